//! The rows that are checked: the live insurees of a made country with defects, in a snapshot and in PostgreSQL.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::compute::{filter_record_batch, is_null};
use futures::{StreamExt, stream};
use imis_databases::postgres::{PostgresSink, PostgresSource};
use imis_databases::snapshot::{SnapshotSink, SnapshotSource};
use imis_databases::{Chunk, Consistency, Location, ReadRequest, Sink, Source};
use imis_fixtures::country::{Country, CountryParameters, DefectRequest};
use imis_fixtures::postgres::Cluster;
use imis_schemas::{Catalog, DataType, Engine, Table};
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::run::{Contender, Run};
use crate::shared::process::{Cpu, family_cpu};

/// The table that is checked, and the one that it refers to.
pub(crate) const TABLES: [&str; 2] = ["tblInsuree", "tblEducations"];
/// Of what is wrong with the country there is enough to be counted and too little to matter.
const DEFECTS: [&str; 16] = [
    "I1=0.003",
    "I2=0.0007",
    "I3=0.001",
    "I7=0.0006",
    "I9.ancient=0.0003",
    "I9.unborn=0.0002",
    "I10.missing=0.0005",
    "I11.unknown=0.0008",
    "I12.education=0.0003",
    "I13=0.001",
    "I15=0.0002",
    "I17.twice=0.0004",
    "I19.missing=0.0001",
    "I21.email=0.01",
    "I21.phone=0.0007",
    "X4.number=0.0005",
];
/// Families that a live insuree takes, in two years of a scheme.
const FAMILIES_A_THOUSAND: u64 = 226;

/// The rows, in both places.
pub(crate) struct Data {
    runtime: Runtime,
    cluster: Cluster,
    folder: tempfile::TempDir,
    /// How many insurees there are.
    pub(crate) rows: u64,
    /// PostgreSQL's version.
    pub(crate) postgres: String,
}

impl Data {
    /// Makes about so many insurees.
    pub(crate) fn make(wanted: u64) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut data = Data {
            runtime,
            cluster: Cluster::start()?,
            folder: tempfile::tempdir()?,
            rows: 0,
            postgres: String::new(),
        };
        data.rows = data.runtime.block_on(data.fill(wanted))?;
        data.postgres = data.runtime.block_on(async {
            let row = data.cluster.connect("postgres").await?.query_one("SHOW server_version", &[]).await?;
            Outcome::Ok(row.get(0))
        })?;
        Ok(data)
    }

    async fn fill(&self, wanted: u64) -> Outcome<u64> {
        let country = country(wanted, &DEFECTS, Some(0))?;
        let mut catalog: Catalog = country.catalog().clone();
        catalog.tables.retain(|table| TABLES.contains(&table.name.as_str()));
        let catalog = Arc::new(catalog);
        let sink =
            SnapshotSink::create(&self.path(), Arc::clone(&catalog), "a made country".to_owned(), Consistency::Frozen)?;
        for table in &catalog.tables {
            let name = table.name.clone();
            let live = country.batches(&name).map(move |batch| {
                let Some(ended) = batch.column_by_name("ValidityTo") else { return Ok(Chunk::from(batch)) };
                let live = is_null(ended).and_then(|live| filter_record_batch(&batch, &live));
                live.map(Chunk::from).map_err(|e| imis_databases::Error::failed(e.to_string()))
            });
            sink.write(table, stream::iter(live).boxed()).await?;
        }
        sink.finish().await?;
        self.copy(&catalog).await
    }

    /// Copies the snapshot into PostgreSQL.
    async fn copy(&self, catalog: &Catalog) -> Outcome<u64> {
        self.cluster.create_database("checks").await?;
        let client = self.cluster.connect("checks").await?;
        for table in &catalog.tables {
            client.batch_execute(&definition(table, catalog.engine)).await?;
        }
        let Location::Postgres(address) = self.cluster.url("checks").parse()? else {
            return Err("the cluster has no address".into());
        };
        let target = PostgresSource::connect(&address).await?.catalog().await?;
        let (source, sink) = (SnapshotSource::open(&self.path())?, PostgresSink::new(address));
        let mut insurees = 0;
        for table in &catalog.tables {
            let theirs = target.table(&table.name).ok_or("a table was not made")?;
            let rows = source.read(ReadRequest::all(Arc::new(table.clone())));
            let written = sink.write(theirs, rows).await?;
            insurees = insurees.max(written);
        }
        // What any database that is used has: statistics, and memory for a sort of a million keys.
        client.batch_execute("VACUUM ANALYZE").await?;
        client.batch_execute("ALTER DATABASE checks SET work_mem = '256MB'").await?;
        Ok(insurees)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("snapshot")
    }

    /// The snapshot's folder.
    pub(crate) fn snapshot(&self) -> String {
        self.path().to_string_lossy().into_owned()
    }

    /// A file of the snapshot.
    pub(crate) fn parquet(&self, table: &str) -> String {
        self.path().join(format!("tables/dbo.{table}.parquet")).to_string_lossy().into_owned()
    }

    /// The database's location, without its password.
    pub(crate) fn database(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/checks?sslmode=disable", self.cluster.port())
    }

    /// The same for Python, password included; it lives as long as the benchmark.
    pub(crate) fn python_url(&self) -> String {
        format!("postgresql+psycopg2://postgres:{}@127.0.0.1:{}/checks", self.cluster.password(), self.cluster.port())
    }

    pub(crate) fn password(&self) -> &str {
        self.cluster.password()
    }

    /// What PostgreSQL has used so far.
    pub(crate) fn server_cpu(&self) -> Cpu {
        let file = self.cluster.socket_folder().join("data/postmaster.pid");
        let postmaster = std::fs::read_to_string(file).ok().and_then(|text| text.lines().next()?.parse().ok());
        postmaster.map(family_cpu).unwrap_or_default()
    }
}

fn country(insurees: u64, defects: &[&str], claims: Option<u32>) -> Outcome<Country> {
    let defects = defects.iter().map(|text| text.parse()).collect::<Result<Vec<DefectRequest>, _>>()?;
    let families = u32::try_from(insurees * FAMILIES_A_THOUSAND / 1_000)?.max(10);
    let parameters =
        CountryParameters { families, years: 2, claims_per_insuree: claims, defects, ..Default::default() };
    Ok(Country::new(parameters)?)
}

/// A table as the modular schema has it, without what refers to other tables.
fn definition(table: &Table, engine: Engine) -> String {
    let columns = table.columns.iter().map(|column| {
        let data_type = match column.data_type(engine) {
            DataType::Boolean => "boolean",
            DataType::TinyInt | DataType::SmallInt => "smallint",
            DataType::Int => "integer",
            DataType::BigInt => "bigint",
            DataType::Date => "date",
            DataType::DateTime | DataType::SmallDateTime | DataType::Timestamp(_) => "timestamp",
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::RowVersion => "bytea",
            _ => "varchar",
        };
        format!("{} {data_type}", Engine::Postgres.quote(&column.name))
    });
    let keys: Vec<String> = table.key_columns().iter().map(|column| Engine::Postgres.quote(column)).collect();
    let columns: Vec<String> = columns.chain([format!("PRIMARY KEY ({})", keys.join(", "))]).collect();
    format!("CREATE TABLE {} ({})", Engine::Postgres.quote(&table.name), columns.join(", "))
}

/// What a whole country with claims took.
pub(crate) struct Pack {
    pub(crate) run: Run,
    pub(crate) rows: u64,
    pub(crate) insurees: u64,
}

/// The core pack on a country of about so many insurees with claims, in a snapshot.
pub(crate) fn whole_pack(insurees: u64) -> Outcome<Pack> {
    eprintln!("bench: making a country of {insurees} insurees with claims");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("country");
    let jobs = std::thread::available_parallelism()?.get();
    let written = country(insurees, &[], None)?.write_snapshot(&path, jobs, &|_| {})?;
    let of =
        |name: &str| written.tables.iter().find(|(table, _)| table.to_string().ends_with(name)).map_or(0, |(_, n)| *n);
    let contender = Contender::pack("the core pack", &path.to_string_lossy());
    Ok(Pack { run: contender.run_alone()?, rows: written.rows(), insurees: of("tblInsuree") })
}
