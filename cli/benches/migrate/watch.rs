//! A program, watched from outside: time, CPU, peak memory, and when its phases began.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::servers::Servers;
use crate::shared::process::{Cpu, cpu_of, ended_children_cpu, machine_cpu, peak_bytes};

/// A moment at which a phase began.
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) at: Instant,
    pub(crate) own: Cpu,
    pub(crate) servers: (Cpu, Cpu),
}

/// What was seen of a program.
pub(crate) struct Watched {
    pub(crate) started: Mark,
    /// When its phases began, as `imis` says it.
    pub(crate) phases: Vec<Mark>,
    pub(crate) ended: Mark,
    pub(crate) peak_bytes: u64,
    /// How many cores others kept busy meanwhile, on average: neither the program nor the servers.
    pub(crate) others: f64,
    pub(crate) stdout: Vec<u8>,
    /// What it said besides.
    pub(crate) messages: String,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

impl Watched {
    pub(crate) fn seconds(&self) -> f64 {
        self.ended.at.duration_since(self.started.at).as_secs_f64()
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.ended.own.since(self.started.own).total()
    }

    /// How long each phase took, where there are any.
    pub(crate) fn phases_in_words(&self) -> String {
        let marks: Vec<&Mark> = std::iter::once(&self.started).chain(&self.phases).chain([&self.ended]).collect();
        let phase = |pair: &[&Mark]| match pair {
            [from, to] if !from.name.is_empty() => {
                Some(format!("{} {:.2}", from.name, to.at.duration_since(from.at).as_secs_f64()))
            }
            _ => None,
        };
        let phases: Vec<String> = marks.windows(2).filter_map(phase).collect();
        if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) }
    }

    pub(crate) fn source_cpu_seconds(&self) -> f64 {
        self.ended.servers.0.since(self.started.servers.0).total()
    }

    pub(crate) fn target_cpu_seconds(&self) -> f64 {
        self.ended.servers.1.since(self.started.servers.1).total()
    }
}

/// `imis`: the one that was built with the benchmark, or the one that `IMIS_BENCH_IMIS` names.
pub(crate) fn imis() -> PathBuf {
    std::env::var_os("IMIS_BENCH_IMIS").map_or_else(|| env!("CARGO_BIN_EXE_imis").into(), PathBuf::from)
}

/// `imis` in the servers' folder, with the passwords that it needs.
pub(crate) fn imis_command(arguments: &[&str], servers: &Servers) -> Command {
    let mut command = Command::new(imis());
    command
        .args(arguments)
        .env("IMIS_MSSQL_PASSWORD", servers.source_password())
        .env("IMIS_POSTGRES_PASSWORD", servers.target_password());
    command
}

/// Runs a program to its end. That it fails is in what was seen, not an error.
pub(crate) fn watch(mut command: Command, servers: &Servers) -> Outcome<Watched> {
    let machine_before = machine_cpu();
    let children_before = ended_children_cpu();
    let servers_before = servers.cpu();
    let started = Mark { name: String::new(), at: Instant::now(), own: Cpu::default(), servers: servers_before };
    let mut child = command
        .current_dir(servers.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let process = child.id();
    let (mut stdout, stderr) = (child.stdout.take().ok_or("no output")?, child.stderr.take().ok_or("no messages")?);
    let peak = AtomicU64::new(0);
    let running = AtomicBool::new(true);
    let mut phases: Vec<Mark> = Vec::new();
    let mut said = Vec::new();
    let mut messages = String::new();
    let status = std::thread::scope(|scope| {
        // The kernel forgets the peak when the process ends, so it is looked at all the time.
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                peak.fetch_max(peak_bytes(&process.to_string()).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        scope.spawn(|| stdout.read_to_end(&mut said));
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            match line.strip_prefix("imis: ") {
                Some(phase) if !phase.contains(' ') => phases.push(Mark {
                    name: phase.to_owned(),
                    at: Instant::now(),
                    own: cpu_of(process),
                    servers: servers.cpu(),
                }),
                _ => {
                    messages += &line;
                    messages.push('\n');
                }
            }
        }
        let status = child.wait();
        running.store(false, Ordering::Relaxed);
        status
    })?;
    let ended = Mark {
        name: String::new(),
        at: Instant::now(),
        own: ended_children_cpu().since(children_before),
        servers: servers.cpu(),
    };
    let busy = machine_cpu() - machine_before;
    let ours = ended.own.total()
        + ended.servers.0.since(servers_before.0).total()
        + ended.servers.1.since(servers_before.1).total();
    let seconds = ended.at.duration_since(started.at).as_secs_f64();
    Ok(Watched {
        started,
        phases,
        ended,
        peak_bytes: peak.into_inner(),
        others: ((busy - ours) / seconds.max(1e-3)).max(0.0),
        stdout: said,
        messages,
        failure: (!status.success()).then(|| format!("it ended with {status}")),
    })
}
