//! `make bench`, its part about checks: twenty checks of one table of a million rows by `imis`, by Great Expectations in the same PostgreSQL,
//! and by one DuckDB query over the same Parquet; then the whole core pack on a country.
//!
//! ```text
//! a made country with defects ──> live insurees ──> snapshot ──> imis, DuckDB          a process each, measured
//!                                               └─> PostgreSQL ─> imis, Great Expectations
//! ```
//!
//! Every round runs all of them, one after the other, so that whatever else the machine does hits each; medians count. Before
//! that all three must count the same violations of each check, or nothing is measured. `IMIS_BENCH_ROWS` says how many insurees
//! there are (1,000,000), `IMIS_BENCH_RUNS` how many rounds (5), `IMIS_BENCH_PACK=0` leaves the core pack out, `IMIS_BENCH_WRITE=1` writes the
//! figures into docs/benchmarks.md. It fails when the counts differ, or when `imis` is not three times as fast as Great
//! Expectations or takes more than twice the time of DuckDB.

mod data;
mod peers;
mod run;
#[allow(dead_code, reason = "another benchmark needs more of it")]
#[path = "../shared/mod.rs"]
mod shared;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;

use data::Data;
use peers::Peers;
use run::{Contender, Run};
use shared::machine::Machine;
use shared::{Outcome, number};

/// How many times as fast as Great Expectations it has to be.
const FASTER: f64 = 3.0;
/// How many times the time of DuckDB it may take.
const SLOWER: f64 = 2.0;

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<bool> {
    let (rows, rounds) = (number("IMIS_BENCH_ROWS", 1_000_000)?, number("IMIS_BENCH_RUNS", 5)?.max(1));
    let machine = Machine::look()?;
    let peers = match Peers::ready() {
        Ok(peers) => Some(peers),
        Err(error) => {
            eprintln!("bench: going on without Great Expectations and DuckDB: {error}");
            None
        }
    };
    eprintln!("bench: making {rows} insurees");
    let data = Data::make(rows)?;
    let mut contenders =
        vec![Contender::imis("imis, PostgreSQL", data.database()), Contender::imis("imis, snapshot", data.snapshot())];
    if let Some(peers) = &peers {
        contenders.insert(1, peers.great_expectations(&data, peers::Form::Fast));
        contenders.push(peers.duckdb(&data));
    }
    // Counting first: it also warms what is read, and tells whether the three do the same work.
    let mut counts: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    let counting = peers.as_ref().map(|peers| peers.great_expectations(&data, peers::Form::Counting));
    for contender in contenders.iter().filter(|c| c.counts).chain(&counting) {
        let run = contender.run(&data)?;
        for (check, found) in run.found.ok_or("nothing was counted")? {
            counts.entry(check).or_default().push((contender.name.clone(), found));
        }
    }
    let differing = differing(&counts, contenders.len());
    for check in &differing {
        eprintln!("bench: {check} is not counted alike: {:?}", counts.get(check));
    }
    let mut runs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("bench: round {round} of {rounds}");
        for contender in &contenders {
            runs.entry(contender.name.clone()).or_default().push(contender.run(&data)?);
        }
    }
    let lines = contenders.iter().filter_map(|c| Some(table::Line::median(&c.name, runs.get(&c.name)?)));
    let lines: Vec<table::Line> = lines.collect();
    let pack = if number("IMIS_BENCH_PACK", 1)? == 1 { Some(data::whole_pack(rows)?) } else { None };
    let report = table::Report { machine, data: &data, peers: peers.as_ref(), lines, counts: &counts, rounds, pack };
    println!("{}", report.text());
    shared::book::put(&report.text())?;
    let slow = report.complaints();
    slow.iter().for_each(|complaint| eprintln!("bench: {complaint}"));
    Ok(differing.is_empty() && slow.is_empty())
}

/// The checks that not all have counted alike.
fn differing(counts: &BTreeMap<String, Vec<(String, u64)>>, contenders: usize) -> Vec<String> {
    let alike = |found: &Vec<(String, u64)>| {
        found.len() == contenders && found.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a == b))
    };
    let broken = counts.iter().filter(|(_, found)| !alike(found)).map(|(check, _)| check.clone());
    let missing = (counts.len() != 20).then(|| format!("{} checks of 20", counts.len()));
    broken.chain(missing).collect()
}
