//! The two ends: a SQL Server on the loopback in a process of its own, and a PostgreSQL cluster.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use imis_databases::postgres::baseline::Shape;
use imis_fixtures::backend::{Backend, Birth, shared_folder};
use imis_fixtures::country::{Country, CountryParameters};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::shared::process::{Cpu, cpu_of, family_cpu};

/// The table that is large.
pub(crate) const TABLE: &str = "tblInsuree";
/// The login of a server that lives for the benchmark only.
const PASSWORD: &str = "Bench-1";

/// What the SQL Server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// All tables of a legacy openIMIS, the insurees repeated.
    Country,
    /// The tables of the race.
    Race,
}

impl Served {
    /// What the process that is the SQL Server is called with.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Served::Country => "server",
            Served::Race => "race-server",
        }
    }
}

/// Both servers, running.
pub(crate) struct Servers {
    pub(crate) runtime: Runtime,
    sql_server: Child,
    port: u16,
    pub(crate) cluster: Cluster,
    template: String,
    /// Where rows come from, in words.
    pub(crate) data: String,
    /// How many insurees there are.
    pub(crate) rows: u64,
    /// How many rows each table of the race has, in the order of its shapes.
    pub(crate) shapes: Vec<u64>,
    /// PostgreSQL's version.
    pub(crate) postgres: String,
    /// A folder for files that go when the benchmark ends.
    pub(crate) folder: tempfile::TempDir,
}

impl Servers {
    /// Starts them, the SQL Server with about so many insurees.
    pub(crate) fn start(served: Served, rows: u64) -> Outcome<Self> {
        let mut sql_server = Command::new(std::env::current_exe()?)
            .arg(served.role())
            .env("IMIS_BENCH_ROWS", rows.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(sql_server.stdout.take().ok_or("the SQL Server has no output")?);
        let mut next = || -> Outcome<String> {
            let mut line = String::new();
            said.read_line(&mut line)?;
            Ok(line.trim().to_owned())
        };
        let port = next()?.parse().map_err(|_| "the SQL Server did not start")?;
        let shapes = next()?.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let data = next()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let cluster = Cluster::start()?;
        let (template, postgres) = runtime.block_on(async {
            let template = match served {
                Served::Country => Backend::ensure().await?.template(&cluster, Shape::Wide, &Birth::Empty).await?,
                Served::Race => "template0".to_owned(),
            };
            let client = cluster.connect("postgres").await?;
            // Who is at work when the server wakes to clean up would pay for what others left.
            client.batch_execute("ALTER SYSTEM SET autovacuum = off").await?;
            client.batch_execute("SELECT pg_reload_conf()").await?;
            let row = client.query_one("SHOW server_version", &[]).await?;
            Outcome::Ok((template, row.get(0)))
        })?;
        let folder = tempfile::tempdir()?;
        let rows = shapes.first().copied().unwrap_or(0);
        Ok(Servers { runtime, sql_server, port, cluster, template, data, rows, shapes, postgres, folder })
    }

    /// The SQL Server's port.
    pub(crate) fn source_port(&self) -> u16 {
        self.port
    }

    /// The SQL Server's location.
    pub(crate) fn source(&self) -> String {
        format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", self.port)
    }

    /// The password of the source.
    pub(crate) fn source_password(&self) -> &'static str {
        PASSWORD
    }

    /// The location of a database of the cluster.
    pub(crate) fn target(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.cluster.port())
    }

    /// The password of the target.
    pub(crate) fn target_password(&self) -> &str {
        self.cluster.password()
    }

    /// A new database: a migrated one without rows, or in the race an empty one. One of that name goes first.
    pub(crate) fn empty_database(&self, name: &str) -> Outcome<()> {
        Ok(self.runtime.block_on(async {
            self.cluster.drop_database(name).await?;
            self.cluster.create_database_from(&self.template, name).await
        })?)
    }

    /// A connection to a database of the cluster.
    pub(crate) async fn connect(&self, database: &str) -> Outcome<tokio_postgres::Client> {
        Ok(self.cluster.connect(database).await?)
    }

    /// What the SQL Server and what PostgreSQL have used so far.
    pub(crate) fn cpu(&self) -> (Cpu, Cpu) {
        // Its first line is the process.
        let file = self.cluster.socket_folder().join("data/postmaster.pid");
        let postmaster = std::fs::read_to_string(file).ok().and_then(|text| text.lines().next()?.parse().ok());
        (cpu_of(self.sql_server.id()), postmaster.map(family_cpu).unwrap_or_default())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.sql_server.kill();
        let _ = self.sql_server.wait();
    }
}

/// Is the SQL Server, until the other end closes.
pub(crate) fn serve(served: Served) -> Outcome<()> {
    let wanted: u64 = std::env::var("IMIS_BENCH_ROWS")?.parse()?;
    let (tables, rows, data) = match served {
        Served::Country => {
            let (tables, rows, data) = tables(wanted)?;
            (tables, rows.to_string(), data)
        }
        Served::Race => {
            let (tables, data, counts) = crate::race::shape::tables(wanted)?;
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            (tables, counts.join(" "), data)
        }
    };
    let mut options = Options::new(tables, PASSWORD);
    // A port of one's choice is for trying a peer by hand.
    options.port = std::env::var("IMIS_BENCH_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let server = SqlServer::start(options)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{rows}\n{data}", server.port())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The tables of the official demo database, or of a made country where that is not there, with the insurees repeated.
fn tables(wanted: u64) -> Outcome<(Tables, u64, &'static str)> {
    let catalog = imis_schemas::release("legacy/24.04")?;
    let demo: Option<PathBuf> = shared_folder().map(|folder| folder.join("demo"));
    let (tables, first, data) = match demo {
        Some(folder) => {
            let tables = Tables::csv(catalog, &folder)?;
            let reader = csv::Reader::from_path(folder.join(format!("{TABLE}.csv")))?;
            (tables, reader.into_records().count() as u64, "the official demo database")
        }
        None => {
            let country = Country::new(CountryParameters::default())?;
            let mut tables = Tables::new(country.catalog().clone())?;
            for table in &country.catalog().tables {
                tables = tables.with_batches(&table.name, country.batches(&table.name).collect())?;
            }
            let first = country.batches(TABLE).map(|batch| batch.num_rows() as u64).sum();
            (tables, first, "a made country of 200 families")
        }
    };
    let times = wanted.div_ceil(first.max(1)).max(1);
    Ok((tables.repeat(TABLE, times)?, first * times, data))
}
