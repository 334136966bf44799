//! Great Expectations and DuckDB, in a venv of their own under target/.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::data::Data;
use crate::run::Contender;

/// What is installed.
const PACKAGES: &str = include_str!("peers.txt");

/// The interpreter with the peers in it.
pub(crate) struct Peers {
    python: PathBuf,
    /// Versions, in words.
    pub(crate) versions: String,
}

/// What Great Expectations answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whether each check holds; the cheapest.
    Fast,
    /// How many rows break it.
    Counting,
}

impl Peers {
    /// Finds the venv or makes it; that takes a minute and the package index.
    pub(crate) fn ready() -> Outcome<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers");
        let python = root.join("bin/python");
        let marked = root.join("packages.txt");
        if std::fs::read_to_string(&marked).is_ok_and(|text| text == PACKAGES) && python.exists() {
            return Ok(Peers { versions: versions(&python)?, python });
        }
        eprintln!("bench: installing Great Expectations and DuckDB into target/bench-peers");
        let _ = std::fs::remove_dir_all(&root);
        let named = std::env::var("IMIS_PYTHON").unwrap_or_else(|_| "python3".into());
        said(Command::new(named).args(["-m", "venv"]).arg(&root))?;
        let list = root.join("wanted.txt");
        std::fs::write(&list, PACKAGES)?;
        said(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&list),
        )?;
        std::fs::write(&marked, PACKAGES)?;
        Ok(Peers { versions: versions(&python)?, python })
    }

    pub(crate) fn great_expectations(&self, data: &Data, form: Form) -> Contender {
        let word = if form == Form::Fast { "BOOLEAN_ONLY" } else { "BASIC" };
        let arguments = vec![script("gx.py"), data.python_url(), word.into()];
        Contender::python("Great Expectations, PostgreSQL", &self.python, arguments, form == Form::Counting)
    }

    pub(crate) fn duckdb(&self, data: &Data) -> Contender {
        let [insurees, educations] = crate::data::TABLES.map(|table| data.parquet(table));
        Contender::python(
            "DuckDB, the snapshot's Parquet",
            &self.python,
            vec![script("duck.py"), insurees, educations, "2".into()],
            true,
        )
    }
}

fn script(name: &str) -> String {
    format!("{}/benches/checks/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn versions(python: &Path) -> Outcome<String> {
    const ASK: &str = "import sys, importlib.metadata as m; print('Python', sys.version.split()[0] + ',', \
                       ', '.join(p + ' ' + m.version(p) for p in ('great-expectations', 'SQLAlchemy', 'psycopg2-binary', 'duckdb')))";
    said(Command::new(python).args(["-c", ASK]))
}

/// What a command says, if it succeeds.
fn said(command: &mut Command) -> Outcome<String> {
    let output = command.env_remove("PYTHONDONTWRITEBYTECODE").stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it failed").to_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
