//! The figures, on stdout and as a section of the book.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::data::{Data, Pack};
use crate::peers::Peers;
use crate::run::Run;
use crate::shared::machine::Machine;
use crate::shared::{grouped, mib};
use crate::{FASTER, SLOWER};

/// The section of docs/benchmarks.md that is ours.
const SECTION: &str = "## Twenty checks";

/// Medians of the runs of one contender.
pub(crate) struct Line {
    name: String,
    seconds: f64,
    alone: f64,
    least: f64,
    most: f64,
    cpu_seconds: f64,
    server_cpu_seconds: f64,
    peak_bytes: u64,
}

impl Line {
    pub(crate) fn median(name: &str, runs: &[Run]) -> Self {
        let of = |figure: fn(&Run) -> f64| {
            let mut figures: Vec<f64> = runs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures
        };
        let middle =
            |figures: &[f64]| match (figures.get((figures.len().max(1) - 1) / 2), figures.get(figures.len() / 2)) {
                (Some(low), Some(high)) => (low + high) / 2.0,
                _ => 0.0,
            };
        let seconds = of(|run| run.seconds);
        Line {
            name: name.to_owned(),
            least: seconds.first().copied().unwrap_or(0.0),
            most: seconds.last().copied().unwrap_or(0.0),
            seconds: middle(&seconds),
            alone: middle(&of(|run| run.alone)),
            cpu_seconds: middle(&of(|run| run.cpu_seconds)),
            server_cpu_seconds: middle(&of(|run| run.server_cpu_seconds)),
            peak_bytes: runs.iter().map(|run| run.peak_bytes).max().unwrap_or(0),
        }
    }
}

/// All of it.
pub(crate) struct Report<'a> {
    pub(crate) machine: Machine,
    pub(crate) data: &'a Data,
    pub(crate) peers: Option<&'a Peers>,
    pub(crate) lines: Vec<Line>,
    pub(crate) counts: &'a BTreeMap<String, Vec<(String, u64)>>,
    pub(crate) rounds: u64,
    pub(crate) pack: Option<Pack>,
}

impl Report<'_> {
    fn line(&self, start: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name.starts_with(start))
    }

    /// How many times as fast as Great Expectations, and how many times as slow as DuckDB: the whole of `imis` against the checks
    /// alone of the others, whose interpreters nobody holds against them.
    fn ratios(&self) -> (Option<f64>, Option<f64>) {
        let ratio = |ours: &str, theirs: &str| Some((self.line(ours)?.seconds, self.line(theirs)?.alone));
        let great = ratio("imis, PostgreSQL", "Great").map(|(ours, theirs)| theirs / ours.max(1e-9));
        let duck = ratio("imis, snapshot", "DuckDB").map(|(ours, theirs)| ours / theirs.max(1e-9));
        (great, duck)
    }

    /// What is not as it has to be.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let (great, duck) = self.ratios();
        let mut said = Vec::new();
        if let Some(great) = great.filter(|great| *great < FASTER) {
            said.push(format!("imis is {great:.1} times as fast as Great Expectations; it has to be {FASTER}"));
        }
        if let Some(duck) = duck.filter(|duck| *duck > SLOWER) {
            said.push(format!("imis takes {duck:.1} times as long as DuckDB; it may take {SLOWER}"));
        }
        said
    }

    /// The section of the book.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{SECTION}\n\n`cargo bench -p imis-cli --bench checks`, part of `make bench`: twenty checks (`cli/benches/checks/twenty.yaml`) of {} live\n\
             insurees with planted defects. Medians of {} rounds on {}, PostgreSQL {}{}.\n\n",
            grouped(self.data.rows),
            self.rounds,
            self.machine.words(),
            self.data.postgres,
            self.peers.map_or(String::new(), |peers| format!(", {}", peers.versions)),
        );
        text += "| | seconds | least to most | the checks alone | CPU s | PostgreSQL CPU s | peak memory |\n|---|---:|---:|---:|---:|---:|---:|\n";
        for line in &self.lines {
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.2} to {:.2} | {:.2} | {:.2} | {:.2} | {} |",
                line.name,
                line.seconds,
                line.least,
                line.most,
                line.alone,
                line.cpu_seconds,
                line.server_cpu_seconds,
                mib(line.peak_bytes)
            );
        }
        text.push('\n');
        let (great, duck) = self.ratios();
        if let Some(great) = great {
            let _ = writeln!(text, "On PostgreSQL `imis` is **{great:.1} times as fast** as Great Expectations.");
        }
        if let Some(duck) = duck {
            let _ = writeln!(text, "On the snapshot it takes **{duck:.1} times as long** as DuckDB.");
        }
        text += METHOD;
        let violations =
            self.counts.iter().filter_map(|(check, found)| found.first().map(|(_, n)| format!("{check} {n}")));
        let _ = writeln!(text, "\nViolations, counted alike by all: {}.", violations.collect::<Vec<_>>().join(", "));
        if let Some(pack) = &self.pack {
            let counts = &pack.run.said["counts"];
            let _ = writeln!(
                text,
                "\n### The core pack\n\n`imis check --pack openimis/core` on a snapshot of a clean country: {} rows of insurees, {} rows of 65 tables. {} checks \
                 passed, {} failed, {} were not applicable.\n\n| seconds | CPU s | peak memory |\n|---:|---:|---:|\n| {:.1} | {:.1} | {} |",
                grouped(pack.insurees),
                grouped(pack.rows),
                counts["passed"],
                counts["failed"],
                counts["not_applicable"],
                pack.run.seconds,
                pack.run.cpu_seconds,
                mib(pack.run.peak_bytes),
            );
        }
        text
    }
}

const METHOD: &str = "
*seconds* is a program from start to end; *the checks alone* is what it takes once an interpreter is started, packages are imported and
a connection stands. Both comparisons set the whole of `imis` against the checks alone of the others. Great Expectations runs in its best
configuration that was found: one suite of twenty expectations of its own library, one batch over the whole table, one validation,
`BOOLEAN_ONLY` (no counts, no examples), 256 MiB of `work_mem` and parallel queries in PostgreSQL. DuckDB runs one SELECT on two threads:
`count(*) FILTER` for what is row by row, a grouping for each uniqueness. `imis` runs as it always does: it also finds the keys of the rows
and examples. Memory is that of the program; PostgreSQL's own is not in it. The rounds go through all of them in turn.
";
