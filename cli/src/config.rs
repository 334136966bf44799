//! `imis.yaml`: databases by name, with passwords from the environment.
//!
//! ```yaml
//! databases:
//!   legacy: "mssql://reader@old-server/IMIS"
//!   rehearsal: { location: "mssql://reader@copy/IMIS", consistency: frozen }
//!   target: { location: "postgres://imis@localhost/openimis", password: "${TARGET_PASSWORD}" }
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use imis_databases::Wish;
use serde::Deserialize;

use crate::exit::Failure;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) databases: BTreeMap<String, Database>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Database {
    Location(String),
    Full(Full),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Full {
    pub(crate) location: String,
    pub(crate) password: Option<String>,
    /// What to rely on while others work on it.
    pub(crate) consistency: Option<Wish>,
}

impl std::fmt::Debug for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Full")
    }
}

impl Config {
    /// Reads the file; there need not be one.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(Failure::usage(format!("{} cannot be read: {error}", path.display()))),
        };
        if text.trim().is_empty() {
            return Ok(Config::default());
        }
        serde_yaml::from_str(&text).map_err(|error| {
            // The parser's snippet would show lines of the file, and a line may hold a password.
            let error = error.without_snippet();
            let place = error.location().map(|l| format!(":{}:{}", l.line(), l.column())).unwrap_or_default();
            Failure::usage(format!("{}{place} is not a configuration that imis can read", path.display())).with_help(
                "Write `databases:` and under it `NAME: LOCATION` or `NAME: { location: ..., password: ${VAR}, consistency: frozen }`.",
            )
        })
    }

    /// What a named database says of its consistency.
    pub(crate) fn consistency(&self, name: &str) -> Option<Wish> {
        match self.databases.get(name)? {
            Database::Location(_) => None,
            Database::Full(full) => full.consistency,
        }
    }

    /// Location and password of a named database, with `${VAR}` filled in.
    pub(crate) fn named(&self, name: &str) -> Result<Option<(String, Option<String>)>, Failure> {
        let Some(database) = self.databases.get(name) else { return Ok(None) };
        Ok(Some(match database {
            Database::Location(location) => (filled(location)?, None),
            Database::Full(full) => (filled(&full.location)?, full.password.as_deref().map(filled).transpose()?),
        }))
    }
}

/// Fills `${VAR}` in from the environment.
fn filled(text: &str) -> Result<String, Failure> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let Some((name, tail)) = after.strip_prefix("${").and_then(|a| a.split_once('}')) else {
            return Err(Failure::usage("imis.yaml: `${` without `}`"));
        };
        let value = std::env::var(name).map_err(|_| {
            Failure::usage(format!("imis.yaml names the environment variable {name}, which is not set"))
        })?;
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
