//! The race: the same rows from the same SQL Server into the same PostgreSQL, by `imis`, by its peers, and by nobody at all.
//!
//! ```text
//! a table of the loopback server ──> contender, a process from its start to its end ──> a plain table, counted afterwards
//! ```
//!
//! Contenders take turns in rounds, so that whatever else the machine does hits each; medians count.

mod chart;
mod contender;
mod demands;
pub(crate) mod limits;
mod page;
pub(crate) mod shape;

pub(crate) use chart::svg;
pub(crate) use demands::Demand;
use std::path::Path;

use contender::{Contender, DATABASE, Peers};
use imis_schemas::Engine;
use parquet::file::reader::{FileReader, SerializedFileReader};
use shape::Shape;

use crate::Outcome;
use crate::servers::{Served, Servers};
use crate::watch::watch;

/// One run of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// What of that is not the copying of rows and is not asked of the others: the peer's primary key.
    pub(crate) besides: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) source_cpu_seconds: f64,
    pub(crate) target_cpu_seconds: f64,
    pub(crate) peak_bytes: u64,
    /// Cores that others kept busy.
    pub(crate) others: f64,
}

/// What became of a contender in the rounds about one shape.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) contender: Contender,
    pub(crate) shape: Shape,
    pub(crate) rows: u64,
    pub(crate) runs: Vec<Run>,
    /// Why there are no runs, or fewer.
    pub(crate) failure: Option<String>,
}

impl Entry {
    /// A figure of all runs, from the least to the most.
    fn figures(&self, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        let mut figures: Vec<f64> = self.runs.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// The middle one.
    pub(crate) fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        let figures = self.figures(of);
        let (low, high) = (figures.get((figures.len().max(1) - 1) / 2)?, figures.get(figures.len() / 2)?);
        Some((low + high) / 2.0)
    }

    /// Least and most seconds.
    pub(crate) fn span(&self) -> Option<(f64, f64)> {
        let figures = self.figures(Run::alone);
        Some((*figures.first()?, *figures.last()?))
    }

    /// Rows a second, of the median.
    pub(crate) fn rate(&self) -> Option<f64> {
        Some(self.rows as f64 / self.median(Run::alone)?.max(1e-9))
    }

    /// Why there are no runs, or fewer: short, and without anything that a table is made of.
    pub(crate) fn failure_in_short(&self) -> Option<String> {
        // What a program says may have anything in it, a bar for instance.
        Some(self.failure.as_ref()?.chars().filter(|c| !c.is_control() && *c != '|').take(60).collect())
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.peak_bytes).max().unwrap_or(0)
    }
}

impl Run {
    /// The time that counts.
    pub(crate) fn alone(&self) -> f64 {
        self.seconds - self.besides
    }
}

/// All of the race.
pub(crate) struct Race {
    pub(crate) entries: Vec<Entry>,
    pub(crate) rounds: u64,
    /// Which peers ran.
    pub(crate) versions: Vec<String>,
    /// Where rows come from, in words.
    pub(crate) data: String,
    pub(crate) postgres: String,
}

impl Race {
    /// The entry of a contender in the rounds about a shape.
    pub(crate) fn entry(&self, contender: Contender, shape: Shape) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.contender == contender && entry.shape == contender.shape(shape))
    }
}

/// Everybody.
const ALL: [Contender; 9] = [
    Contender::Imis,
    Contender::Verify,
    Contender::Rules,
    Contender::Snapshot,
    Contender::Pgloader,
    Contender::RustPeer,
    Contender::Python,
    Contender::Copy,
    Contender::Stream,
];
/// Who runs where other tables are concerned.
const SHORT: [Contender; 5] =
    [Contender::Imis, Contender::Pgloader, Contender::RustPeer, Contender::Copy, Contender::Stream];
/// Who runs where ten times as many rows are concerned.
const LARGE: [Contender; 3] = [Contender::Imis, Contender::Copy, Contender::Stream];

/// Runs it with so many rows, in so many rounds.
pub(crate) fn run(rows: u64, rounds: u64, is_large_wanted: bool) -> Outcome<Race> {
    let peers = Peers::look();
    let servers = Servers::start(Served::Race, rows)?;
    let mut race = Race {
        entries: Vec::new(),
        rounds,
        versions: peers.versions(),
        data: servers.data.clone(),
        postgres: servers.postgres.clone(),
    };
    let others = rounds.min(3);
    let mut parts = vec![
        (Shape::Insurees, &ALL[..], rounds),
        (Shape::Narrow, &SHORT[..], others),
        (Shape::Wide, &SHORT[..], others),
        (Shape::Texts, &SHORT[..], others),
    ];
    if is_large_wanted {
        parts.push((Shape::Large, &LARGE[..], others));
    }
    for (shape, contenders, rounds) in parts {
        let mut track = Track::lay(shape, contenders, &peers, &servers)?;
        for round in 1..=rounds {
            eprintln!("bench: the race, {}, round {round} of {rounds}", shape.table());
            track.round()?;
        }
        race.entries.extend(track.entries);
    }
    Ok(race)
}

/// Why a peer that is missing has no runs.
const NOT_HERE: &str = "not here";

/// What the target's table holds, as far as every contender has to agree.
type Held = (i64, Option<i64>);

/// The rounds about one shape.
struct Track<'a> {
    peers: &'a Peers,
    servers: &'a Servers,
    entries: Vec<Entry>,
    held: Held,
}

impl<'a> Track<'a> {
    /// Loads the table once, outside of the race: that warms the servers, makes the ready file, and says what a load has to come to.
    fn lay(shape: Shape, contenders: &[Contender], peers: &'a Peers, servers: &'a Servers) -> Outcome<Self> {
        let rows = |shape: Shape| {
            let at = Shape::ALL.iter().position(|of| *of == shape);
            at.and_then(|at| servers.shapes.get(at)).copied().unwrap_or(0)
        };
        let entry = |contender: &Contender| Entry {
            contender: *contender,
            shape: contender.shape(shape),
            rows: rows(contender.shape(shape)),
            runs: Vec::new(),
            failure: (!peers.has(*contender)).then(|| NOT_HERE.to_owned()),
        };
        let entries = contenders.iter().map(entry).collect();
        let mut track = Track { peers, servers, entries, held: (0, None) };
        eprintln!("bench: the race, {}, a first load", shape.table());
        track.prepare(Contender::Imis, shape)?;
        let seen = watch(peers.command(Contender::Imis, shape, servers)?, servers)?;
        if let Some(failure) = seen.failure {
            return Err(format!("imis: {failure}\n{}", seen.messages).into());
        }
        track.held = track.look(shape)?;
        if u64::try_from(track.held.0)? != rows(shape) {
            return Err(format!("imis loaded {} rows of {}", track.held.0, rows(shape)).into());
        }
        // What the others have to come to is proven first, every cell of it.
        let proof = track.turn(Contender::Verify, shape, rows(shape))??;
        eprintln!("bench: the race, {}, every row is right ({:.2} s)", shape.table(), proof.seconds);
        limits::make_ready(shape, servers)?;
        Ok(track)
    }

    /// One turn of everybody.
    fn round(&mut self) -> Outcome<()> {
        for at in 0..self.entries.len() {
            let Some(entry) = self.entries.get(at).filter(|entry| entry.failure.is_none()) else { continue };
            let (contender, shape, rows) = (entry.contender, entry.shape, entry.rows);
            let outcome = self.turn(contender, shape, rows)?;
            if let Some(entry) = self.entries.get_mut(at) {
                match outcome {
                    Ok(run) => entry.runs.push(run),
                    Err(failure) if contender.is_imis() => return Err(failure.into()),
                    Err(failure) => {
                        eprintln!("bench: {}: {failure}", contender.title());
                        entry.failure = Some(failure);
                    }
                }
            }
        }
        Ok(())
    }

    /// One run; the inner error is the contender's.
    fn turn(&self, contender: Contender, shape: Shape, rows: u64) -> Outcome<Result<Run, String>> {
        if contender.loads() {
            self.prepare(contender, shape)?;
        }
        // What those before have left to be written is not a part of it.
        self.servers.runtime.block_on(async {
            self.servers.connect("postgres").await?.batch_execute("CHECKPOINT").await?;
            Outcome::Ok(())
        })?;
        let seen = watch(self.peers.command(contender, shape, self.servers)?, self.servers)?;
        let stdout = String::from_utf8_lossy(&seen.stdout);
        if let Some(failure) = &seen.failure {
            return Ok(Err(format!("{failure}: {}", last_line(&seen.messages, &stdout))));
        }
        if let Some(wrong) = self.wrong(contender, shape, rows, &stdout)? {
            return Ok(Err(wrong));
        }
        let besides = match contender {
            Contender::RustPeer => match key_seconds(&stdout, &seen.messages) {
                Some(seconds) => seconds,
                None => return Ok(Err("it does not say how long its primary key took".to_owned())),
            },
            _ => 0.0,
        };
        let run = Run {
            seconds: seen.seconds(),
            besides,
            cpu_seconds: seen.cpu_seconds(),
            source_cpu_seconds: seen.source_cpu_seconds(),
            target_cpu_seconds: seen.target_cpu_seconds(),
            peak_bytes: seen.peak_bytes,
            others: seen.others,
        };
        let (name, phases) = (contender.title(), seen.phases_in_words());
        eprintln!("bench: {name:<28} {:>7.2} s, others kept {:.2} cores busy{phases}", run.alone(), run.others);
        Ok(Ok(run))
    }

    /// What is wrong with what a contender has done, if anything is.
    fn wrong(&self, contender: Contender, shape: Shape, rows: u64, stdout: &str) -> Outcome<Option<String>> {
        let said = || serde_json::from_str::<serde_json::Value>(stdout.trim());
        let done = match contender {
            Contender::Stream | Contender::Copy => said()?["rows"].as_u64().unwrap_or(0),
            // That nothing differs is in the exit code.
            Contender::Verify => {
                let tables = said()?;
                let equal = tables["tables"].as_array().into_iter().flatten().filter_map(|t| t["equal"].as_u64());
                equal.sum()
            }
            Contender::Snapshot => parquet_rows(&contender::snapshot_folder(self.servers))?,
            _ => {
                let held = self.look(shape)?;
                // The hundredth has a sum of its own.
                if contender != Contender::Python && held.1 != self.held.1 {
                    return Ok(Some("it loaded other rows than imis".to_owned()));
                }
                u64::try_from(held.0)?
            }
        };
        Ok((done != rows).then(|| format!("it did {done} rows of {rows}")))
    }

    /// Makes the database anew.
    fn prepare(&self, contender: Contender, shape: Shape) -> Outcome<()> {
        self.servers.empty_database(DATABASE)?;
        self.servers.runtime.block_on(async {
            let client = self.servers.connect(DATABASE).await?;
            if let Some(definition) = contender.definition(shape) {
                client.batch_execute(&definition).await?;
            }
            Ok(())
        })
    }

    fn look(&self, shape: Shape) -> Outcome<Held> {
        let table = Engine::Postgres.quote(shape.table());
        let row = self.servers.runtime.block_on(async {
            let client = self.servers.connect(DATABASE).await?;
            let sql = format!("SELECT count(*), sum(\"InsureeID\"::bigint)::bigint FROM {table}");
            Outcome::Ok(client.query_one(&sql, &[]).await?)
        })?;
        Ok((row.get(0), row.get(1)))
    }
}

/// How long the Rust peer says that it made primary keys, which nobody asked of the others.
fn key_seconds(stdout: &str, messages: &str) -> Option<f64> {
    let mut lines = stdout.lines().chain(messages.lines());
    lines.find_map(|line| line.split_once("Primary keys created in ")?.1.split('s').next()?.trim().parse().ok())
}

/// How many rows the Parquet files of a snapshot have, by their footers.
pub(crate) fn parquet_rows(snapshot: &Path) -> Outcome<u64> {
    let mut rows = 0;
    for file in std::fs::read_dir(snapshot.join("tables"))? {
        let reader = SerializedFileReader::new(std::fs::File::open(file?.path())?)?;
        rows += u64::try_from(reader.metadata().file_metadata().num_rows())?;
    }
    Ok(rows)
}

/// The last thing that a program said.
fn last_line(messages: &str, stdout: &str) -> String {
    let last = |text: &str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    last(messages).or_else(|| last(stdout)).unwrap_or_else(|| "it said nothing".to_owned())
}

/// What others kept busy while the race ran, at least and at most, in cores.
pub(crate) fn others(entries: &[Entry]) -> (f64, f64) {
    let figures = entries.iter().flat_map(|entry| &entry.runs).map(|run| run.others);
    let least = figures.clone().fold(f64::INFINITY, f64::min);
    (if least.is_finite() { least } else { 0.0 }, figures.fold(0.0, f64::max))
}
