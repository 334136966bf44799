//! A folder, the real binary, and databases to point it at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use imis_databases::postgres::baseline::Shape;
use imis_fixtures::backend::{Backend, Birth, shared_folder};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::{Catalog, Engine};

/// A folder that goes when the test ends, and the command in it.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What the command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Desk { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `imis` with these arguments. The environment holds nothing of the user's own configuration.
    pub(crate) fn imis(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// The same, with the time it took and the most memory that it had, in MiB; 0 where the system does not say.
    pub(crate) fn measured(&self, arguments: &[&str]) -> (Said, Duration, u64) {
        let begun = Instant::now();
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            // Until it is the program that it will be, a process shows the memory of the one that started it.
            let text = std::fs::read_to_string(&status).ok().filter(|text| text.starts_with("Name:\timis\n"));
            let text = text.unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) / 1024);
            // Whoever never ends is ended.
            if begun.elapsed() > Duration::from_secs(180) {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        (Said::of(child.wait_with_output().unwrap()), begun.elapsed(), peak)
    }

    /// The same, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imis"));
        command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path());
        for (name, _) in std::env::vars() {
            if name.starts_with("IMIS_") || name.starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(n, v)| (n, v)));
        command
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Said {
            code: output.status.code().unwrap_or(-1),
            signal: std::os::unix::process::ExitStatusExt::signal(&output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The command must have succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The command must have failed with this code, saying this, without a word of any of these.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, says: &str, never: &[&str]) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{all}");
        assert!(all.contains(says), "`{says}` is missing in:\n{all}");
        for word in never {
            assert!(!all.contains(word), "a secret stands in:\n{all}");
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}:\n{}\n{}", self.stdout, self.stderr))
    }
}

const LOOPBACK: &str = "Loopback!1";

/// A SQL Server that ran a script, a target database that ran one, and a desk, on which `mapping.yaml` must be laid.
pub(crate) struct Ends {
    pub(crate) server: SqlServer,
    pub(crate) desk: Desk,
    pub(crate) database: String,
}

impl Ends {
    pub(crate) async fn new(name: &str, source: &str, target: &str) -> Self {
        let server =
            SqlServer::start(Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), LOOPBACK)).unwrap();
        server.execute_script(source).unwrap();
        let ends = Ends { server, desk: Desk::new().with("IMIS_MSSQL_PASSWORD", LOOPBACK), database: name.to_owned() };
        Cluster::shared().create_database(&ends.database).await.unwrap();
        ends.execute(target).await;
        ends
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let client = Cluster::shared().connect(&self.database).await.unwrap();
        client.batch_execute("SET application_name = 'imis'").await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    pub(crate) fn imis(&self, more: &[&str]) -> Said {
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", self.server.port());
        let to = Cluster::shared().url(&self.database);
        let ends = ["--from", &from, "--to", &to, "--mapping", "mapping.yaml"];
        let mut all: Vec<&str> = more.iter().take(1).copied().chain(ends).chain(more.iter().skip(1).copied()).collect();
        if more.first() == Some(&"migrate") {
            all.extend(["--on-reject", "continue", "--allow-connected"]);
        }
        self.desk.imis(&all)
    }
}

/// The kinds of migrated databases that a migration may meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    Wide,
    Upstream,
    Seeded,
}

impl Target {
    pub(crate) const ALL: [Target; 3] = [Target::Wide, Target::Upstream, Target::Seeded];
}

/// A migrated database of this kind, named after the test; `None`, said aloud, when the seed rows are not there.
pub(crate) async fn migrated(target: Target, name: &str) -> Option<String> {
    let cluster = Cluster::shared();
    let (shape, birth) = match target {
        Target::Wide => (Shape::Wide, Birth::Empty),
        Target::Upstream => (Shape::Upstream, Birth::Empty),
        Target::Seeded => (Shape::Upstream, Birth::Seeded(shared_folder()?.join("facts/modular-seed"))),
    };
    let template = Backend::shared().await.template(cluster, shape, &birth).await.unwrap();
    let name = format!("{name}_{target:?}").to_lowercase();
    cluster.create_database_from(&template, &name).await.unwrap();
    Some(name)
}

/// The dump of a database, our own state aside, for comparing.
pub(crate) fn dump(database: &str, arguments: &[&str]) -> String {
    let output = Cluster::shared()
        .command("pg_dump", database)
        .args(["--exclude-schema=imis_migration"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // Newer versions of pg_dump put a random word into these two lines.
    let lines = text.lines().filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

/// One number out of a database. The connection is closed when this returns: a migration refuses a target with others in it.
pub(crate) async fn number(database: &str, sql: &str) -> i64 {
    let client = Cluster::shared().connect(database).await.unwrap();
    // A session that is still closing must not look like somebody at work to the next run.
    client.batch_execute("SET application_name = 'imis'").await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Two dumps must be equal; only the first line that differs is shown.
#[track_caller]
pub(crate) fn assert_same(found: &str, expected: &str, what: &str) {
    let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(found == expected, "{what}: {differs:?}, {} and {} lines", found.lines().count(), expected.lines().count());
}
