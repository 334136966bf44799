//! The race as text: for a terminal and for the book.

use super::demands::{Demand, Reached};
use super::shape::Shape;
use super::{Entry, Race, Run, others};
use crate::shared::machine::Machine;
use crate::shared::{grouped, mib};
use crate::table::aligned;

const HEAD: [&str; 9] = [
    "who",
    "rows",
    "seconds",
    "least to most",
    "rows/s",
    "CPU s/M rows",
    "peak memory",
    "SQL Server s/M",
    "PostgreSQL s/M",
];
const DEMANDS: [&str; 4] = ["what must be true", "wanted", "reached", ""];

impl Race {
    /// Tables, with bars between the columns or without.
    pub(crate) fn text(&self, machine: &Machine, bar: &str) -> String {
        let part = |shapes: &[Shape]| {
            let entries = self.entries.iter().filter(|entry| shapes.contains(&entry.shape));
            entries.map(Entry::cells).collect::<Vec<_>>()
        };
        let of = |shape: Shape| format!("{}, {}", shape.title(), shape.table());
        let mut text = format!(
            "{}\n\n{}",
            self.setting(machine),
            aligned(&HEAD, &part(&[Shape::Insurees, Shape::Hundredth]), bar)
        );
        for shape in [Shape::Large, Shape::Narrow, Shape::Wide, Shape::Texts] {
            let cells = part(&[shape]);
            if !cells.is_empty() {
                text += &format!("\n{}:\n\n{}", of(shape), aligned(&HEAD, &cells, bar));
            }
        }
        text += &format!("\n{}", aligned(&DEMANDS, &self.demands().iter().map(Demand::cells).collect::<Vec<_>>(), bar));
        text
    }

    fn setting(&self, machine: &Machine) -> String {
        let (least, most) = others(&self.entries);
        let peers = match self.versions.as_slice() {
            [] => "no peer".to_owned(),
            versions => versions.join("; "),
        };
        format!(
            "Rows made by repeating those of {}, medians of {} rounds (three at most for the other tables).\n\
             Measured on {}, PostgreSQL {}; while the race ran,\n\
             others kept {least:.2} to {most:.2} cores busy. Peers: {peers}.",
            self.data,
            self.rounds,
            machine.words(),
            self.postgres,
        )
    }

    /// As a section of the book.
    pub(crate) fn section(&self, machine: &Machine) -> String {
        format!(
            "## The race\n\nThe same rows from the same SQL Server into the same PostgreSQL. {}\n\n\
             ![Rows a second and CPU of imis, its peers and the limits](benchmarks.svg)\n\nA figure behind » belongs to a bar that would be longer than the picture.\n\n{METHOD}",
            self.text(machine, "|")
        )
    }
}

impl Entry {
    fn cells(&self) -> [String; 9] {
        let mut name = self.contender.title().to_owned();
        let Some((seconds, (least, most))) = self.median(Run::alone).zip(self.span()) else {
            let mut cells: [String; 9] = Default::default();
            cells[0] = name;
            cells[1] = self.failure_in_short().unwrap_or_default();
            return cells;
        };
        if let Some(failure) = self.failure_in_short() {
            name += &format!(", round {} only, then: {failure}", self.runs.len());
        }
        let per_million = |of: fn(&Run) -> f64| {
            self.median(of)
                .map_or_else(String::new, |seconds| format!("{:.2}", seconds / self.rows.max(1) as f64 * 1e6))
        };
        [
            name,
            grouped(self.rows),
            format!("{seconds:.2}"),
            format!("{least:.2} to {most:.2}"),
            grouped(self.rate().unwrap_or(0.0) as u64),
            per_million(|run| run.cpu_seconds),
            mib(self.peak_bytes()),
            per_million(|run| run.source_cpu_seconds),
            per_million(|run| run.target_cpu_seconds),
        ]
    }
}

impl Demand {
    fn cells(&self) -> [String; 4] {
        let (reached, word) = match &self.reached {
            Reached::Met(figure) => (format!("{figure:.2}"), "met"),
            Reached::Missed(figure) => (format!("{figure:.2}"), "**missed**"),
            Reached::Failed(_) => (String::new(), "**not measured**"),
            Reached::NotAsked(why) => (why.clone(), "not asked"),
        };
        [self.what.clone(), self.wanted.clone(), reached, word.to_owned()]
    }
}

const METHOD: &str = "\
Each line is a program from its start to its end, connecting, planning and accounting included; the contenders take turns. The target is a
plain logged table without key, index or constraint, in a new database each time, after a checkpoint and with autovacuum off (it wakes once
a minute, at the cost of whoever is at work); afterwards its rows are counted and their keys added up.
CPU is user and system time as the kernel counts it, the servers' own stand beside it. Memory is the kernel's `VmHWM`. Cores that others kept
busy are what the machine did besides, by `/proc/stat`. `make bench` fails when something that must be true is missed, or could not be
measured because a contender failed; what is not asked because a peer is not here, or the large table was left out, stands in the table as such.
Before the rounds about a table `imis verify` compares, row by row, what a first load of it left.

- *imis migrate*: `cli/benches/migrate/straight.yaml`, one rule that copies. *real rules*: `rules.yaml` beside it: other names, a condition,
  expressions, constants, what stands in for NULL, a length that cuts and one that rejects. *verify* compares every row of what was loaded just
  before. *snapshot* writes the table as Parquet.
- *pgloader*: Debian's package, `data only` into the same table, with `workers = 8, concurrency = 2`, the fastest that was found here. Its
  FreeTDS gives it `nvarchar(max)` as something that it does not know (its issue 1068); what helps there is TDS 7.1, which the loopback
  server does not speak, so long texts are without it.
- *mssql-pg-migrate-rs*: built from its public source as a release. It makes its own table of the same columns, logged as all others are,
  and tunes itself. The time that it says it took for a primary key, which nobody else makes, is taken off; the CPU of that cannot be told apart
  and is in its figures. Its fork of tiberius asks for larger packets; where the fork cannot be had, tiberius 0.13, which does the same,
  stands in for it, and the line about peers above says that its source was changed.
- *openIMIS' Python tool*: `migtool.py` of openimis/database_postgresql, its settings apart as it is, with FreeTDS as its driver. It gets a hundredth
  of the rows: it inserts them one by one.
- *COPY of a ready file*: the bytes of the same rows from a file into the same table, over one connection; `imis` uses two.
- *TDS read, not decoded*: the answer's packets, the largest that the protocol has, read from the socket and dropped.

Peers are not part of `imis` and come from their public sources: pgloader (PostgreSQL licence) from `apt-get install pgloader`;
github.com/johndauphine/mssql-pg-migrate-rs (MIT), `cargo build --release`, named by `IMIS_BENCH_RUST_PEER`; github.com/openimis/database_postgresql
(AGPL-3.0), named by `IMIS_BENCH_PYTHON_TOOL`, with a Python in `IMIS_BENCH_PYTHON` that has pyodbc and psycopg2, and the packages `unixodbc`
and `tdsodbc`.
";
