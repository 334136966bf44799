//! `make bench`: how fast rows go from a SQL Server into PostgreSQL, step by step, and how much memory that takes.
//!
//! ```text
//! this process ──starts──> the loopback SQL Server, a PostgreSQL cluster      counted apart
//!              ──starts──> one process a step, and `imis` itself              measured
//! ```
//!
//! Every step runs in a process of its own, so that its CPU and its peak memory are its own. `IMIS_BENCH_ROWS` says how
//! many insurees there are (2,000,000), `IMIS_BENCH_WRITE=1` writes the table into docs/benchmarks.md. It fails when `imis`
//! takes more than 256 MiB, or when verifying the rows takes longer than it took to load them, keys and indexes included.

mod machine;
mod process;
mod servers;
mod step;
mod table;
mod whole;

use std::error::Error;
use std::process::ExitCode;

use servers::Servers;
use step::Step;

/// What may go wrong in a benchmark; nobody handles it.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much memory `imis` may take: 256 MiB.
const MEMORY_LIMIT: u64 = 256 * 1024 * 1024;

fn main() -> ExitCode {
    // Cargo adds `--bench`; a role is what this program gives to the processes that it starts itself.
    let role = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let done = match role.as_deref() {
        None => bench(),
        Some(servers::ROLE) => servers::serve().map(|()| true),
        Some(name) => step::carry_out(name).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<bool> {
    let rows = match std::env::var("IMIS_BENCH_ROWS") {
        Ok(text) => text.replace('_', "").parse().map_err(|_| "IMIS_BENCH_ROWS is not a number")?,
        Err(_) => 2_000_000,
    };
    let machine = machine::Machine::look()?;
    eprintln!("bench: {rows} insurees; starting the servers");
    let servers = Servers::start(rows)?;
    let mut figures = step::least(&[Step::Read, Step::Map], &servers)?;
    let migration = whole::migrate(&servers)?;
    figures.extend(step::least(&[Step::Encode], &servers)?);
    figures.push(step::measure(Step::Copy, &servers)?);
    let load = migration.phases.iter().find(|phase| phase.name == "load").cloned();
    let verified = whole::verify(&servers)?;
    let snapshot = whole::snapshot(&servers)?;
    let peak = migration.whole.peak_bytes.max(snapshot.peak_bytes).max(verified.whole.peak_bytes);
    // Proving must not take longer than loading, or nobody proves. One program from start to end against the other: the copying
    // alone, which stands in the table too, is not yet a loaded table.
    let is_slow = verified.whole.seconds > migration.whole.seconds;
    figures.extend(load.map(|phase| phase.named("migrate: its load")));
    figures.extend([migration.whole, verified.whole, snapshot]);
    let mut phases = migration.phases;
    phases.extend(verified.phases);

    let report = table::Report { machine, servers: &servers, figures, phases };
    println!("{}", report.plain());
    if std::env::var_os("IMIS_BENCH_WRITE").is_some_and(|value| value == "1") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
        // The last sections are other benchmarks'.
        let old = std::fs::read_to_string(path).unwrap_or_default();
        let mut page = report.markdown();
        let others = old.find("## Twenty checks").or_else(|| old.find("## The generator"));
        if let Some(others) = others.and_then(|at| old.get(at..)) {
            page.push('\n');
            page.push_str(others);
        }
        std::fs::write(path, page)?;
        eprintln!("bench: written to docs/benchmarks.md");
    }
    if peak > MEMORY_LIMIT {
        eprintln!(
            "bench: imis took {} of memory, more than the {} allowed",
            table::mib(peak),
            table::mib(MEMORY_LIMIT)
        );
    }
    if is_slow {
        eprintln!("bench: imis verify took longer than the load of the same rows");
    }
    Ok(peak <= MEMORY_LIMIT && !is_slow)
}
