//! The whole: `imis` itself, watched from outside.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::process::{Cpu, cpu_of, ended_children_cpu, peak_bytes};
use crate::servers::Servers;
use crate::table::Figure;

/// The database into which the migration loads.
pub(crate) const LOADED: &str = "loaded";

/// A migration.
pub(crate) struct Migration {
    pub(crate) whole: Figure,
    /// Its phases, in their order.
    pub(crate) phases: Vec<Figure>,
}

/// What was seen of a run of `imis`.
struct Seen {
    whole: Figure,
    phases: Vec<Figure>,
    stdout: Vec<u8>,
}

/// A moment at which a phase began.
struct Mark {
    name: String,
    at: Instant,
    own: Cpu,
    servers: (Cpu, Cpu),
}

/// Migrates everything into a new database.
pub(crate) fn migrate(servers: &Servers) -> Outcome<Migration> {
    servers.empty_database(LOADED)?;
    let (from, to) = (servers.source(), servers.target(LOADED));
    let mut seen = run("migrate", &["migrate", "--json", "--from", &from, "--to", &to], servers)?;
    let summary: serde_json::Value = serde_json::from_slice(&seen.stdout)?;
    let rules = summary["rules"].as_array().ok_or("the summary has no rules")?;
    let sum = |name: &str| rules.iter().filter_map(|rule| rule[name].as_u64()).sum::<u64>();
    // That the account balances and nothing was rejected is in the exit code.
    if sum("loaded") < servers.rows {
        return Err(format!("the migration did not load all rows: {} of {}", sum("loaded"), servers.rows).into());
    }
    seen.whole.rows = Some(sum("read"));
    if let Some(load) = seen.phases.iter_mut().find(|phase| phase.name == "load") {
        load.rows = Some(sum("read"));
    }
    Ok(Migration { whole: seen.whole, phases: seen.phases })
}

/// Verifies what was migrated: every row of all tables, and the totals of both servers.
pub(crate) fn verify(servers: &Servers) -> Outcome<Migration> {
    let (from, to) = (servers.source(), servers.target(LOADED));
    let mut seen = run("verify", &["verify", "--json", "--from", &from, "--to", &to], servers)?;
    let summary: serde_json::Value = serde_json::from_slice(&seen.stdout)?;
    let tables = summary["tables"].as_array().ok_or("the summary has no tables")?;
    let equal: u64 = tables.iter().filter_map(|table| table["equal"].as_u64()).sum();
    // That nothing differs is in the exit code.
    if equal < servers.rows {
        return Err(format!("not all rows were compared: {equal} of {}", servers.rows).into());
    }
    seen.whole.rows = Some(equal);
    let phases = seen.phases.into_iter().map(|phase| {
        let name = format!("verify: {}", phase.name);
        phase.named(&name)
    });
    Ok(Migration { whole: seen.whole, phases: phases.collect() })
}

/// Makes a snapshot of everything.
pub(crate) fn snapshot(servers: &Servers) -> Outcome<Figure> {
    let folder = servers.folder.path().join("snapshot");
    let output = folder.to_string_lossy();
    let mut seen = run("snapshot", &["snapshot", &servers.source(), "-o", &output], servers)?;
    seen.whole.rows = Some(servers.rows);
    Ok(seen.whole)
}

/// Runs `imis` and watches it: time, CPU, peak memory, and when its phases began.
fn run(name: &str, arguments: &[&str], servers: &Servers) -> Outcome<Seen> {
    eprintln!("bench: imis {name}");
    let servers_before = servers.cpu();
    let children_before = ended_children_cpu();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_imis"))
        .args(arguments)
        .current_dir(servers.folder.path())
        .env("IMIS_MSSQL_PASSWORD", servers.source_password())
        .env("IMIS_POSTGRES_PASSWORD", servers.target_password())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let process = child.id();
    let (mut stdout, stderr) = (child.stdout.take().ok_or("no output")?, child.stderr.take().ok_or("no messages")?);
    let peak = AtomicU64::new(0);
    let running = AtomicBool::new(true);
    let mut marks: Vec<Mark> = Vec::new();
    let mut said = Vec::new();
    let status = std::thread::scope(|scope| {
        // The kernel forgets the peak when the process ends, so it is looked at all the time.
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                peak.fetch_max(peak_bytes(&process.to_string()).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        scope.spawn(|| stdout.read_to_end(&mut said));
        let mut messages = Vec::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            match line.strip_prefix("imis: ") {
                Some(phase) if !phase.contains(' ') => marks.push(Mark {
                    name: phase.to_owned(),
                    at: Instant::now(),
                    own: cpu_of(process),
                    servers: servers.cpu(),
                }),
                _ => messages.push(line),
            }
        }
        let status = child.wait();
        running.store(false, Ordering::Relaxed);
        if status.as_ref().is_ok_and(|status| !status.success()) {
            eprintln!("{}", messages.join("\n"));
        }
        status
    })?;
    let ended = Mark {
        name: String::new(),
        at: Instant::now(),
        own: ended_children_cpu().since(children_before),
        servers: servers.cpu(),
    };
    if !status.success() {
        return Err(format!("imis {name} ended with {status}").into());
    }
    let first =
        Mark { name: "connect, bind, plan".to_owned(), at: started, own: Cpu::default(), servers: servers_before };
    let peak_bytes = peak.into_inner();
    let between = |name: &str, from: &Mark, to: &Mark| Figure {
        name: name.to_owned(),
        rows: None,
        seconds: to.at.duration_since(from.at).as_secs_f64(),
        cpu_seconds: to.own.since(from.own).total(),
        peak_bytes,
        source_cpu_seconds: to.servers.0.since(from.servers.0).total(),
        target_cpu_seconds: to.servers.1.since(from.servers.1).total(),
    };
    let whole = between(&format!("the whole: imis {name}"), &first, &ended);
    let all: Vec<&Mark> = std::iter::once(&first).chain(&marks).chain([&ended]).collect();
    let phases = all.windows(2).filter_map(|pair| match pair {
        [from, to] => Some(between(&from.name, from, to)),
        _ => None,
    });
    Ok(Seen { whole, phases: phases.collect(), stdout: said })
}
