//! One run of one contender, watched from outside: time, CPU, peak memory, and what it says it found.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::data::Data;
use crate::shared::process::{Cpu, ended_children_cpu, peak_bytes};

/// Who checks.
pub(crate) struct Contender {
    pub(crate) name: String,
    program: String,
    arguments: Vec<String>,
    /// Whether it says how many rows break each check.
    pub(crate) counts: bool,
}

/// What was seen of a run.
pub(crate) struct Run {
    /// The program from start to end.
    pub(crate) seconds: f64,
    /// The checks alone, as the program says: without starting an interpreter, importing, connecting.
    pub(crate) alone: f64,
    /// CPU of the program.
    pub(crate) cpu_seconds: f64,
    /// CPU that PostgreSQL used meanwhile.
    pub(crate) server_cpu_seconds: f64,
    /// The program's peak memory.
    pub(crate) peak_bytes: u64,
    /// Violations a check, where they were counted.
    pub(crate) found: Option<BTreeMap<String, u64>>,
    /// What the program said.
    pub(crate) said: serde_json::Value,
}

impl Contender {
    /// `imis` with the twenty checks.
    pub(crate) fn imis(name: &str, location: String) -> Self {
        let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/checks/twenty.yaml");
        Contender::of_imis(name, &location, pack)
    }

    /// `imis` with its core pack.
    pub(crate) fn pack(name: &str, location: &str) -> Self {
        Contender::of_imis(name, location, "openimis/core")
    }

    fn of_imis(name: &str, location: &str, pack: &str) -> Self {
        let words =
            ["check", location, "--pack", pack, "--as-of", "2026-01-31", "--fail-on", "never", "--json", "--quiet"];
        Contender {
            name: name.into(),
            program: env!("CARGO_BIN_EXE_imis").into(),
            arguments: words.map(str::to_owned).to_vec(),
            counts: true,
        }
    }

    /// A script of a peer.
    pub(crate) fn python(name: &str, python: &Path, arguments: Vec<String>, counts: bool) -> Self {
        Contender { name: name.into(), program: python.to_string_lossy().into_owned(), arguments, counts }
    }

    /// Runs it against the data.
    pub(crate) fn run(&self, data: &Data) -> Outcome<Run> {
        self.watch(data.password(), &|| data.server_cpu())
    }

    /// Runs it where no server stands behind.
    pub(crate) fn run_alone(&self) -> Outcome<Run> {
        self.watch("", &Cpu::default)
    }

    fn watch(&self, password: &str, server: &dyn Fn() -> Cpu) -> Outcome<Run> {
        let (own_before, server_before, started) = (ended_children_cpu(), server(), Instant::now());
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(std::env::temp_dir())
            .env("IMIS_POSTGRES_PASSWORD", password)
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let process = child.id();
        let (mut stdout, mut stderr) =
            (child.stdout.take().ok_or("no output")?, child.stderr.take().ok_or("no messages")?);
        let (peak, running) = (AtomicU64::new(0), AtomicBool::new(true));
        let (mut said, mut messages) = (String::new(), String::new());
        let status = std::thread::scope(|scope| {
            // The kernel forgets the peak when the process ends, so it is looked at all the time.
            scope.spawn(|| {
                while running.load(Ordering::Relaxed) {
                    peak.fetch_max(peak_bytes(&process.to_string()).unwrap_or(0), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            scope.spawn(|| stderr.read_to_string(&mut messages));
            let read = stdout.read_to_string(&mut said);
            let status = child.wait();
            running.store(false, Ordering::Relaxed);
            read.and(status)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!("{} ended with {status}\n{messages}", self.name).into());
        }
        let said: serde_json::Value = serde_json::from_str(said.trim())?;
        Ok(Run {
            seconds,
            alone: said["seconds"].as_f64().ok_or("it does not say how long it took")?,
            cpu_seconds: ended_children_cpu().since(own_before).total(),
            server_cpu_seconds: server().since(server_before).total(),
            peak_bytes: peak.into_inner(),
            found: found(&said),
            said,
        })
    }
}

/// Violations a check, as `imis` or a script of ours says them.
fn found(said: &serde_json::Value) -> Option<BTreeMap<String, u64>> {
    if let Some(found) = said["found"].as_object() {
        return found.iter().map(|(check, count)| Some((check.clone(), count.as_u64()?))).collect();
    }
    let checks = said["checks"].as_array()?;
    checks.iter().map(|check| Some((check["id"].as_str()?.to_owned(), check["violations"].as_u64()?))).collect()
}
