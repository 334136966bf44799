//! The steps one by one, each in a process of its own.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use futures::StreamExt;
use imis_databases::postgres::copy::CopyEncoder;
use imis_databases::postgres::copy_statement;
use imis_databases::{KeyRange, Location, ReadRequest, Source};
use imis_mappings::bind::{BoundMapping, bind};
use imis_mappings::language::Mapping;
use imis_mappings::plan::{Ends, Plan, ROWS_A_RANGE};
use imis_mappings::run::{self, Progress};
use imis_schemas::{Catalog, Column, DataType, Engine, Table};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::race::limits;
use crate::servers::{Servers, TABLE};
use crate::shared::process::{own_cpu, peak_bytes};
use crate::table::Figure;
use crate::whole::LOADED;

/// How much is gathered before it goes to the server, as in a migration.
const FLUSH_BYTES: usize = 256 * 1024;
/// How many rows the encoder has ready in memory; it takes them again and again.
const ENCODED_ROWS: usize = 50_000;
/// The database into which the ready file goes.
const COPIED: &str = "copied";

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// From the SQL Server into Arrow batches, which are dropped.
    Read,
    /// The same, and each batch mapped into the target's shape.
    Map,
    /// From batches in memory to COPY's bytes, which are dropped.
    Encode,
    /// COPY's bytes from a ready file into the table.
    Copy,
}

impl Step {
    fn role(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Map => "map",
            Step::Encode => "encode",
            Step::Copy => "copy",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Map => "read and map",
            Step::Encode => "encode",
            Step::Copy => "COPY from a ready file",
        }
    }
}

/// What the process of a step says when it is done.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    rows: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_bytes: u64,
}

/// How many times a step is run that can be repeated.
const TRIES: usize = 3;

/// Runs steps in turns and takes the run of each that used the least CPU: what else the machine does only adds to it.
pub(crate) fn least(steps: &[Step], servers: &Servers) -> Outcome<Vec<Figure>> {
    let mut best: Vec<Figure> = steps.iter().map(|step| measure(*step, servers)).collect::<Outcome<_>>()?;
    for _ in 1..TRIES {
        for (step, best) in steps.iter().zip(&mut best) {
            let again = measure(*step, servers)?;
            if again.cpu_seconds < best.cpu_seconds {
                *best = again;
            }
        }
    }
    Ok(best)
}

/// Runs a step in a new process.
pub(crate) fn measure(step: Step, servers: &Servers) -> Outcome<Figure> {
    eprintln!("bench: {}", step.title());
    if step == Step::Copy {
        prepare_copy(servers)?;
    }
    let before = servers.cpu();
    let output = Command::new(std::env::current_exe()?)
        .arg(step.role())
        .env("IMIS_BENCH_FROM", servers.source())
        .env("IMIS_BENCH_FROM_PASSWORD", servers.source_password())
        .env("IMIS_BENCH_TO", servers.target(if step == Step::Copy { COPIED } else { LOADED }))
        .env("IMIS_BENCH_TO_PASSWORD", servers.target_password())
        .env("IMIS_BENCH_FILE", servers.folder.path().join(COPIED))
        .env("IMIS_BENCH_ROWS", servers.rows.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the step {} failed", step.role()).into());
    }
    let after = servers.cpu();
    let said: Said = serde_json::from_slice(&output.stdout)?;
    if said.rows != servers.rows {
        return Err(format!("the step {} saw {} rows of {}", step.role(), said.rows, servers.rows).into());
    }
    Ok(Figure {
        name: step.title().to_owned(),
        rows: Some(said.rows),
        seconds: said.seconds,
        cpu_seconds: said.cpu_seconds,
        peak_bytes: said.peak_bytes,
        source_cpu_seconds: after.0.since(before.0).total(),
        target_cpu_seconds: after.1.since(before.1).total(),
    })
}

/// Makes the ready file out of the rows that a migration loaded, and an empty table that is as bare as a migration
/// makes it for the load: the same keys and indexes are away.
fn prepare_copy(servers: &Servers) -> Outcome<()> {
    servers.empty_database(COPIED)?;
    servers.runtime.block_on(async {
        let loaded = servers.connect(LOADED).await?;
        let table = Engine::Postgres.quote(TABLE);
        let stream = loaded.copy_out(&format!("COPY {table} TO STDOUT (FORMAT binary)")).await?;
        let mut stream = std::pin::pin!(stream);
        let mut file = std::io::BufWriter::new(std::fs::File::create(servers.folder.path().join(COPIED))?);
        while let Some(bytes) = stream.next().await {
            std::io::Write::write_all(&mut file, &bytes?)?;
        }
        std::io::Write::flush(&mut file)?;
        let rows = loaded
            .query(
                "SELECT drop_sql FROM imis_migration.dropped WHERE kind NOT IN ('column', 'generator', 'mark') \
                 ORDER BY kind <> 'foreign key', position",
                &[],
            )
            .await?;
        let bare = servers.connect(COPIED).await?;
        for row in rows {
            bare.batch_execute(row.get(0)).await?;
        }
        Ok(())
    })
}

/// Carries a step out, as the process that is measured.
pub(crate) fn carry_out(role: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        match role {
            "read" => read().await,
            "map" => map().await,
            "encode" => encode().await,
            "copy" => copy().await,
            other => Err(format!("there is no step {other}").into()),
        }
    })?;
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

/// Times what is done from its making to [`Watch::stop`].
struct Watch {
    started: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Self {
        Watch { started: Instant::now(), cpu: own_cpu().total() }
    }

    fn stop(self, rows: u64) -> Said {
        Said {
            rows,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: own_cpu().total() - self.cpu,
            peak_bytes: peak_bytes("self").unwrap_or(0),
        }
    }
}

/// Opens one of the ends, `FROM` or `TO`.
async fn open(end: &str) -> Outcome<(Arc<dyn Source>, Arc<Catalog>)> {
    let mut location: Location = std::env::var(format!("IMIS_BENCH_{end}"))?.parse()?;
    let password = imis_databases::Secret::new(std::env::var(format!("IMIS_BENCH_{end}_PASSWORD"))?);
    match &mut location {
        Location::Mssql(address) => address.password = Some(password),
        Location::Postgres(address) => address.password = Some(password),
        _ => return Err("this is no server".into()),
    }
    let source = imis_databases::open(&location).await?;
    let catalog = source.catalog().await?;
    Ok((source, catalog))
}

fn insurees(catalog: &Catalog) -> Outcome<Arc<Table>> {
    Ok(Arc::new(catalog.table(TABLE).ok_or("the table is not there")?.clone()))
}

async fn read() -> Outcome<Said> {
    // Binding is not needed here, but memory that is in use changes what the allocator does: as in the next step.
    let Bound { source, source_catalog, .. } = &bound().await?;
    let table = insurees(source_catalog)?;
    let is_read = |column: &&Column| column.data_type(Engine::Mssql) != DataType::RowVersion;
    let columns = table.columns.iter().filter(is_read).map(|column| column.name.clone()).collect();
    let watch = Watch::start();
    let mut rows = 0;
    let mut chunks = source.read(ReadRequest::all(table).columns(columns));
    while let Some(chunk) = chunks.next().await {
        rows += chunk?.batch.num_rows() as u64;
    }
    Ok(watch.stop(rows))
}

/// Nobody watches.
struct Silence;

impl Progress for Silence {
    fn phase(&self, _: &str) {}
    fn rule(&self, _: &str, _: u64) {}
    fn rows(&self, _: &str, _: u64) {}
    fn done(&self, _: &str) {}
}

/// The pack, bound to the source, with a plan that reads the insurees and nothing else.
struct Bound {
    source: Arc<dyn Source>,
    source_catalog: Arc<Catalog>,
    mapping: BoundMapping,
    plan: Plan,
}

async fn bound() -> Outcome<Bound> {
    let (source, source_catalog) = open("FROM").await?;
    let target_catalog = imis_schemas::release("modular/1.11")?;
    let mapping = Mapping::pack("openimis/legacy-to-modular").map_err(|e| e.to_string())?;
    let namespace = uuid::Uuid::NAMESPACE_URL;
    let fitted = bind(&mapping, &source_catalog, &target_catalog, namespace).await.map_err(|e| e.to_string())?;
    let ends = Ends {
        rows_a_range: ROWS_A_RANGE,
        source: &source,
        source_catalog: &source_catalog,
        target: None,
        target_catalog: &target_catalog,
        to: "nothing".to_owned(),
        from: "the source".to_owned(),
    };
    let mut plan = Plan::make(&mapping, &fitted, &ends, namespace).await?;
    for rule in &mut plan.rules {
        let is_large = rule.from.as_deref().is_some_and(|from| from.ends_with(TABLE)) && rule.to.ends_with(TABLE);
        // One statement for all rows, as in the step without mapping, so that the two can be compared.
        rule.ranges = if is_large { vec![KeyRange::whole()] } else { Vec::new() };
    }
    Ok(Bound { source, source_catalog, mapping: fitted, plan })
}

async fn map() -> Outcome<Said> {
    let Bound { source, mapping, plan, .. } = &bound().await?;
    let watch = Watch::start();
    let extent = run::Extent { sample: false, max_cell: imis_databases::source::MAX_CELL };
    let counts = run::scan(mapping, plan, source, None, extent, &Silence).await?;
    let rows = counts.rules.iter().map(|(_, counts)| counts.loaded).sum();
    Ok(watch.stop(rows))
}

async fn encode() -> Outcome<Said> {
    let wanted: usize = std::env::var("IMIS_BENCH_ROWS")?.parse()?;
    let (target, catalog) = open("TO").await?;
    let table = insurees(&catalog)?;
    let encoder = CopyEncoder::new(table.columns.iter().map(|c| c.typed(Engine::Postgres)).collect())?;
    let mut batches = Vec::new();
    let mut held = 0;
    let mut chunks = target.read(ReadRequest::all(table));
    while held < ENCODED_ROWS
        && let Some(chunk) = chunks.next().await
    {
        let batch = chunk?.batch;
        held += batch.num_rows();
        batches.push(batch);
    }
    drop(chunks);
    if held == 0 {
        return Err("the target has no rows".into());
    }
    let mut buffer = BytesMut::with_capacity(FLUSH_BYTES * 2);
    let watch = Watch::start();
    let mut rows = 0;
    for batch in batches.iter().cycle() {
        let batch = batch.slice(0, batch.num_rows().min(wanted - rows));
        let step = (batch.num_rows() * FLUSH_BYTES / batch.get_array_memory_size().max(1)).max(1);
        for from in (0..batch.num_rows()).step_by(step) {
            encoder.batch(&batch.slice(from, step.min(batch.num_rows() - from)), &mut buffer)?;
            if buffer.len() >= FLUSH_BYTES {
                drop(buffer.split());
            }
        }
        rows += batch.num_rows();
        if rows >= wanted {
            break;
        }
    }
    Ok(watch.stop(rows as u64))
}

async fn copy() -> Outcome<Said> {
    let client = limits::target().await?;
    let (_, catalog) = open("TO").await?;
    let table = insurees(&catalog)?;
    let statement = copy_statement(&table, table.columns.iter().map(|c| c.name.as_str()));
    let watch = Watch::start();
    Ok(watch.stop(limits::copy_ready(&client, &statement).await?))
}
