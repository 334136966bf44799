//! The table of figures, plain and as a page of the book.

use std::fmt::Write;

use crate::MEMORY_LIMIT;
use crate::servers::Servers;
use crate::shared::machine::Machine;
use crate::shared::{grouped, mib};

/// What was measured of one step.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// How many rows went through, where the step is about rows.
    pub(crate) rows: Option<u64>,
    pub(crate) seconds: f64,
    /// CPU of the measured process.
    pub(crate) cpu_seconds: f64,
    /// Its peak memory.
    pub(crate) peak_bytes: u64,
    /// CPU that the SQL Server used meanwhile.
    pub(crate) source_cpu_seconds: f64,
    /// CPU that PostgreSQL used meanwhile.
    pub(crate) target_cpu_seconds: f64,
}

impl Figure {
    /// The same under another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    fn cells(&self) -> [String; 7] {
        let rows = self.rows.unwrap_or(0).max(1) as f64;
        let per_million = |seconds: f64| format!("{:.2}", seconds / rows * 1e6);
        [
            self.name.clone(),
            format!("{:.1}", self.seconds),
            grouped((rows / self.seconds.max(1e-9)) as u64),
            per_million(self.cpu_seconds),
            mib(self.peak_bytes),
            per_million(self.source_cpu_seconds),
            per_million(self.target_cpu_seconds),
        ]
    }

    fn phase_cells(&self) -> [String; 5] {
        let seconds = |seconds: f64| format!("{seconds:.1}");
        [
            self.name.clone(),
            seconds(self.seconds),
            seconds(self.cpu_seconds),
            seconds(self.source_cpu_seconds),
            seconds(self.target_cpu_seconds),
        ]
    }
}

const STEPS: [&str; 7] =
    ["step", "seconds", "rows/s", "CPU s/M rows", "peak memory", "SQL Server s/M", "PostgreSQL s/M"];
const PHASES: [&str; 5] = ["phase of migration and verification", "seconds", "CPU s", "SQL Server s", "PostgreSQL s"];

/// Everything that was measured.
pub(crate) struct Report<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) servers: &'a Servers,
    pub(crate) figures: Vec<Figure>,
    pub(crate) phases: Vec<Figure>,
}

impl Report<'_> {
    /// For a terminal.
    pub(crate) fn plain(&self) -> String {
        let figures: Vec<_> = self.figures.iter().map(Figure::cells).collect();
        let phases: Vec<_> = self.phases.iter().map(Figure::phase_cells).collect();
        format!("{}\n\n{}\n{}", self.setting(), aligned(&STEPS, &figures, ""), aligned(&PHASES, &phases, ""))
    }

    /// As a section of the book.
    pub(crate) fn section(&self) -> String {
        let figures: Vec<_> = self.figures.iter().map(Figure::cells).collect();
        let phases: Vec<_> = self.phases.iter().map(Figure::phase_cells).collect();
        format!(
            "## Step by step\n\nA whole migration with the full pack, over the wire. {}\n\n{}\n{}\n{}",
            self.setting(),
            aligned(&STEPS, &figures, "|"),
            aligned(&PHASES, &phases, "|"),
            METHOD.replace("{limit}", &mib(MEMORY_LIMIT)),
        )
    }

    fn setting(&self) -> String {
        format!(
            "{} rows of tblInsuree, made by repeating those of {}.\nMeasured on {}, PostgreSQL {}.",
            grouped(self.servers.rows),
            self.servers.data,
            self.machine.words(),
            self.servers.postgres,
        )
    }
}

const METHOD: &str = "\
### What is measured

Every step is a process of its own; the two servers are others and are counted apart. CPU is user and system time as the kernel counts it,
in seconds for a million rows, without connecting and planning (but for the whole, which has everything in it). Peak memory is the kernel's
`VmHWM`; the load's is that of the whole. `make bench` fails when a process of `imis` passes {limit}. *read*, *read and map* and *encode*
are run three times and the run with the least CPU counts; the others are run once.

- *read*: one SELECT over TDS, without TLS, into Arrow batches, which are dropped. The peak has the bound pack in it, as that of the next step.
- *read and map*: the same columns, and the pack's rule for insurees on every batch; what it takes more than *read* is the mapping's.
- *encode*: batches that are ready in memory (and counted in its peak) into the bytes of binary COPY, which are dropped.
- *COPY from a ready file*: the bytes of the same rows from a file into a table as a migration loads it: keys, uniques and indexes are
  away. One connection. Nobody who loads with COPY is faster than the server lets him be.
- *migrate: its load*: the phase in which rows go from server to server: two connections at each end, ranges of about 100,000 rows, each
  in a transaction with its line in the ledger.
- *the whole: imis migrate*: the program with the full pack and all 65 tables, from start to end: catalogues, plan, load, keys, indexes,
  foreign keys, account.
- *the whole: imis verify*: totals by both servers, and meanwhile every row of all tables read from both, mapped, encoded, hashed and compared. `make
  bench` fails when it takes longer than the whole of `imis migrate`; the copying alone, without keys and indexes, is held against
  the proof in the race above. Rows are counted once, though both sides are read.
- *the whole: imis snapshot*: all tables into Parquet.

### What is not

- SQL Server itself: the source is the loopback server of the fixtures, which has no locks, no disk and no network to wait for, but shares the
  cores with what is measured. Its CPU stands in its own column; where the sum of the three columns reaches the cores, the cores are the
  bottleneck, and a server on another machine leaves more of them to `imis`.
- PostgreSQL's promises: the cluster is that of the tests, for everybody alike: `fsync`, `synchronous_commit` and `full_page_writes` off, `wal_level`
  minimal. Rows that are copied into a table that was there before are logged all the same; an index that is built is not, and a real server
  logs that too, and waits for its disk.
- Encryption on either line.
- Photos: an insuree has none in its row.
";

/// A table with columns as wide as they need to be; with `|` between them it is Markdown.
pub(crate) fn aligned<const N: usize>(head: &[&str; N], rows: &[[String; N]], bar: &str) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).chain([head[at].len()]).max().unwrap_or(0));
    let line = |cells: [&str; N]| {
        let mut text = String::from(bar);
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let pad = if bar.is_empty() && at == 0 { "" } else { " " };
            let _ = if at == 0 {
                write!(text, "{pad}{cell:<width$} {bar}")
            } else {
                write!(text, "{pad}{cell:>width$} {bar}")
            };
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(std::array::from_fn(|at| head[at]));
    if !bar.is_empty() {
        text.push_str(&format!("|---|{}\n", "---:|".repeat(N - 1)));
    }
    for row in rows {
        text.push_str(&line(std::array::from_fn(|at| row[at].as_str())));
    }
    text
}
