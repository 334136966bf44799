//! `make bench`: how fast rows go from a SQL Server into PostgreSQL, step by step, and how much memory that takes.
//!
//! ```text
//! this process ──starts──> the loopback SQL Server, a PostgreSQL cluster      counted apart
//!              ──starts──> one process a step, and `imis` itself              measured
//! ```
//!
//! Two parts. The *race* sets the whole of `imis` beside its peers and beside what nobody can be faster than, over plain tables of
//! several shapes. *Step by step* takes a whole migration with the full pack apart, with verification and a snapshot.
//!
//! Everything that is measured runs in a process of its own, so that its CPU and its peak memory are its own.
//!
//! | variable | means |
//! |---|---|
//! | `IMIS_BENCH_ROWS` | how many rows (1,000,000; the large table of the race has ten times as many) |
//! | `IMIS_BENCH_RUNS` | rounds of the race (5) |
//! | `IMIS_BENCH_LARGE` | `0` leaves the large table out |
//! | `IMIS_BENCH_PARTS` | `race` or `steps` for one part only |
//! | `IMIS_BENCH_RUST_PEER` | the program of mssql-pg-migrate-rs |
//! | `IMIS_BENCH_PYTHON_TOOL` | a checkout of openimis/database_postgresql, and in `IMIS_BENCH_PYTHON` a Python with pyodbc and psycopg2 |
//! | `IMIS_BENCH_IMIS` | another `imis` than the one that was built with the benchmark |
//! | `IMIS_BENCH_WRITE` | `1` writes docs/benchmarks.md and docs/benchmarks.svg |
//!
//! A peer that is missing is said to be, on the terminal and in the table. It fails when something is missed that must be true: see
//! `race/demands.rs`; also when `imis` takes more than 256 MiB, or when verifying a migration takes longer than the migration.

mod race;
mod servers;
#[path = "../shared/mod.rs"]
mod shared;
mod step;
mod table;
mod watch;
mod whole;

use std::process::ExitCode;

use servers::{Served, Servers};
use shared::machine::Machine;
use shared::{Outcome, book, mib, number};
use step::Step;

/// How much memory `imis` may take: 256 MiB.
const MEMORY_LIMIT: u64 = 256 * 1024 * 1024;

fn main() -> ExitCode {
    // Cargo adds `--bench`; a role is what this program gives to the processes that it starts itself.
    let role = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let done = match role.as_deref() {
        None => bench(),
        Some(role) => play(role).map(|()| true),
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

/// Is one of the processes that the benchmark starts.
fn play(role: &str) -> Outcome<()> {
    match role {
        race::limits::COPY | race::limits::STREAM => race::limits::carry_out(role),
        _ => match [Served::Country, Served::Race].into_iter().find(|served| served.role() == role) {
            Some(served) => servers::serve(served),
            None => step::carry_out(role),
        },
    }
}

fn bench() -> Outcome<bool> {
    let rows = number("IMIS_BENCH_ROWS", 1_000_000)?;
    let parts = std::env::var("IMIS_BENCH_PARTS").unwrap_or_default();
    let machine = Machine::look()?;
    let mut complaints = Vec::new();
    if parts != "steps" {
        let race = race::run(rows, number("IMIS_BENCH_RUNS", 5)?.max(1), number("IMIS_BENCH_LARGE", 1)? == 1)?;
        println!("{}", race.text(&machine, ""));
        complaints.extend(race.demands().iter().filter_map(race::Demand::complaint));
        book::put(&race.section(&machine))?;
        book::write("benchmarks.svg", &race::svg(&race))?;
    }
    if parts != "race" {
        let (section, mut missed) = steps(rows, &machine)?;
        book::put(&section)?;
        complaints.append(&mut missed);
    }
    complaints.iter().for_each(|complaint| eprintln!("bench: {complaint}"));
    Ok(complaints.is_empty())
}

/// The second part: its section of the page, and what is missed.
fn steps(rows: u64, machine: &Machine) -> Outcome<(String, Vec<String>)> {
    eprintln!("bench: step by step, {rows} insurees; starting the servers");
    let servers = Servers::start(Served::Country, rows)?;
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
    let mut missed = Vec::new();
    if peak > MEMORY_LIMIT {
        let (peak, limit) = (mib(peak), mib(MEMORY_LIMIT));
        missed.push(format!("imis took {peak} of memory, more than the {limit} allowed"));
    }
    if is_slow {
        missed.push("imis verify took longer than the load of the same rows".to_owned());
    }
    Ok((report.section(), missed))
}
