//! Who runs the race, and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use imis_schemas::Engine;

use super::shape::Shape;
use crate::Outcome;
use crate::servers::Servers;
use crate::watch::imis_command;

/// The database into which everybody loads, made anew for each.
pub(crate) const DATABASE: &str = "race";

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// `imis migrate` with a mapping that copies.
    Imis,
    /// `imis verify` of what was loaded just before.
    Verify,
    /// `imis migrate` with a mapping of real rules.
    Rules,
    /// `imis snapshot` of the table.
    Snapshot,
    Pgloader,
    /// mssql-pg-migrate-rs.
    RustPeer,
    /// openIMIS' own tool, of which a hundredth of the rows is asked.
    Python,
    /// COPY of a file that is ready.
    Copy,
    /// The bytes of the result, read and dropped.
    Stream,
}

impl Contender {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Contender::Imis => "imis migrate",
            Contender::Verify => "imis verify",
            Contender::Rules => "imis migrate, real rules",
            Contender::Snapshot => "imis snapshot",
            Contender::Pgloader => "pgloader",
            Contender::RustPeer => "mssql-pg-migrate-rs",
            Contender::Python => "openIMIS' Python tool",
            Contender::Copy => "limit: COPY of a ready file",
            Contender::Stream => "limit: TDS read, not decoded",
        }
    }

    /// Whether it is `imis`.
    pub(crate) fn is_imis(self) -> bool {
        matches!(self, Contender::Imis | Contender::Verify | Contender::Rules | Contender::Snapshot)
    }

    /// The table that it takes when the race is about another.
    pub(crate) fn shape(self, of: Shape) -> Shape {
        if self == Contender::Python { Shape::Hundredth } else { of }
    }

    /// Whether it loads a database that has to be made for it.
    pub(crate) fn loads(self) -> bool {
        !matches!(self, Contender::Verify | Contender::Snapshot | Contender::Stream)
    }

    /// What the target's table is made with; nothing where the contender makes its own.
    pub(crate) fn definition(self, shape: Shape) -> Option<String> {
        match self {
            Contender::RustPeer => None,
            Contender::Rules => Some(include_str!("../rules.sql").to_owned()),
            _ => Some(shape.definition()),
        }
    }
}

/// Where the peers are.
pub(crate) struct Peers {
    pgloader: Option<PathBuf>,
    rust: Option<PathBuf>,
    python_tool: Option<PathBuf>,
    python: PathBuf,
}

impl Peers {
    /// Looks for them and says which are missing.
    pub(crate) fn look() -> Self {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.exists());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let pgloader = std::env::split_paths(&path).map(|folder| folder.join("pgloader")).find(|file| file.is_file());
        let python = std::env::var_os("IMIS_BENCH_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
        let peers = Peers {
            pgloader,
            rust: named("IMIS_BENCH_RUST_PEER"),
            python_tool: named("IMIS_BENCH_PYTHON_TOOL").filter(|folder| folder.join("migtool/migtool.py").is_file()),
            python,
        };
        for (contender, how) in Self::WHERE {
            if !peers.has(contender) {
                eprintln!("bench: going on without {}: {how}", contender.title());
            }
        }
        peers
    }

    const WHERE: [(Contender, &str); 3] = [
        (Contender::Pgloader, "it is not on the PATH; Debian has it in the package `pgloader`"),
        (Contender::RustPeer, "IMIS_BENCH_RUST_PEER does not name its program"),
        (Contender::Python, "IMIS_BENCH_PYTHON_TOOL does not name a checkout of openimis/database_postgresql"),
    ];

    /// Whether a contender can run.
    pub(crate) fn has(&self, contender: Contender) -> bool {
        match contender {
            Contender::Pgloader => self.pgloader.is_some(),
            Contender::RustPeer => self.rust.is_some(),
            Contender::Python => self.python_tool.is_some(),
            _ => true,
        }
    }

    /// Which versions run, in words.
    pub(crate) fn versions(&self) -> Vec<String> {
        let said = |program: &Path, argument: &str| {
            let output = Command::new(program).arg(argument).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let pgloader = self.pgloader.as_deref().map(|program| said(program, "--version").unwrap_or_default());
        let rust = self.rust.as_deref().map(|program| {
            let version = said(program, "--version").unwrap_or_default();
            match program.parent().and_then(commit) {
                Some(commit) => format!("{version}, {commit}"),
                None => version,
            }
        });
        let tool = self.python_tool.as_deref().map(|folder| {
            let python = said(&self.python, "--version").unwrap_or_default();
            format!("openimis/database_postgresql {} under {python}", commit(folder).unwrap_or_default())
        });
        [pgloader, rust, tool].into_iter().flatten().collect()
    }

    /// The command by which a contender takes a table.
    pub(crate) fn command(&self, contender: Contender, shape: Shape, servers: &Servers) -> Outcome<Command> {
        let (from, to) = (servers.source(), servers.target(DATABASE));
        let folder = servers.folder.path();
        let table = shape.table();
        let migration = |mapping: &str| -> Outcome<Command> {
            let file = folder.join("mapping.yaml");
            std::fs::write(&file, mapping_of(mapping, shape))?;
            let file = file.to_string_lossy();
            let word = if contender == Contender::Verify { "verify" } else { "migrate" };
            Ok(imis_command(&[word, "--json", "--from", &from, "--to", &to, "--mapping", &file], servers))
        };
        let filled = |template: &str| {
            template
                .replace("{source_port}", &servers.source_port().to_string())
                .replace("{source_password}", servers.source_password())
                .replace("{target_port}", &servers.cluster.port().to_string())
                .replace("{target_password}", servers.target_password())
                .replace("{database}", DATABASE)
                .replace("{table}", table)
        };
        let missing = || format!("{} is not here", contender.title());
        match contender {
            Contender::Imis | Contender::Verify => migration(include_str!("../straight.yaml")),
            Contender::Rules => migration(include_str!("../rules.yaml")),
            Contender::Snapshot => {
                let output = snapshot_folder(servers);
                let _ = std::fs::remove_dir_all(&output);
                let output = output.to_string_lossy();
                Ok(imis_command(&["snapshot", &from, "--tables", table, "-o", &output], servers))
            }
            Contender::Pgloader => {
                let file = folder.join("race.load");
                std::fs::write(&file, filled(include_str!("../peers/race.load")))?;
                let mut command = Command::new(self.pgloader.as_ref().ok_or_else(missing)?);
                command.arg("--quiet").arg(file);
                Ok(command)
            }
            Contender::RustPeer => {
                let file = folder.join("race-peer.yaml");
                std::fs::write(&file, filled(include_str!("../peers/mssql-pg-migrate.yaml")))?;
                let mut command = Command::new(self.rust.as_ref().ok_or_else(missing)?);
                command.arg("-c").arg(file).arg("run");
                Ok(command)
            }
            Contender::Python => {
                // The tool reads its settings from where it is started; its driver is called what it calls it.
                std::fs::write(folder.join("settings.ini"), filled(include_str!("../peers/settings.ini")))?;
                std::fs::write(folder.join("tables.txt"), format!("{table}\n"))?;
                std::fs::write(folder.join("odbcinst.ini"), include_str!("../peers/odbcinst.ini"))?;
                let tool = self.python_tool.as_ref().ok_or_else(missing)?;
                let mut command = Command::new(&self.python);
                command.arg(tool.join("migtool/migtool.py")).env("ODBCSYSINI", folder).env("TDSVER", "7.4");
                Ok(command)
            }
            Contender::Copy | Contender::Stream => {
                let mut command = Command::new(std::env::current_exe()?);
                command
                    .arg(if contender == Contender::Copy { super::limits::COPY } else { super::limits::STREAM })
                    .env("IMIS_BENCH_TO", &to)
                    .env("IMIS_BENCH_TO_PASSWORD", servers.target_password())
                    .env("IMIS_BENCH_FILE", folder.join("ready"))
                    .env("IMIS_BENCH_COPY", super::limits::copy_in(shape))
                    .env("IMIS_BENCH_PORT", servers.source_port().to_string())
                    .env("IMIS_BENCH_FROM_PASSWORD", servers.source_password())
                    .env("IMIS_BENCH_SELECT", select(shape));
                Ok(command)
            }
        }
    }
}

/// Where the snapshot of a table lies.
pub(crate) fn snapshot_folder(servers: &Servers) -> PathBuf {
    servers.folder.path().join("race-snapshot")
}

/// The commit of a checkout, and whether something in it is other than committed.
fn commit(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).filter(|commit| !commit.is_empty())?;
    let changed = git(&["diff", "--name-only", "HEAD"])?.lines().collect::<Vec<_>>().join(", ");
    Some(if changed.is_empty() { commit } else { format!("{commit} (changed: {changed})") })
}

/// Everything of a table, its columns by name.
fn select(shape: Shape) -> String {
    let columns: Vec<String> = shape.column_names().iter().map(|name| Engine::Mssql.quote(name)).collect();
    format!("SELECT {} FROM dbo.{}", columns.join(", "), Engine::Mssql.quote(shape.table()))
}

/// A mapping of one table for another; the other tables of the race stay behind.
fn mapping_of(mapping: &str, shape: Shape) -> String {
    let mut text = mapping.replace(Shape::Insurees.table(), shape.table());
    text += "leave-tables:\n";
    for other in Shape::ALL.into_iter().filter(|other| *other != shape) {
        text += &format!("  {}: \"another race\"\n", other.table());
    }
    text
}
