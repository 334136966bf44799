//! What a user types to name a database, and the addresses that it becomes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::secret::Secret;

mod ado;
mod password;
mod url;

/// A place where a database, a snapshot or a catalogue is.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// A SQL Server, or what speaks its protocol.
    Mssql(MssqlAddress),
    /// A PostgreSQL server.
    Postgres(PostgresAddress),
    /// A snapshot folder.
    Snapshot(PathBuf),
    /// A T-SQL script, or a folder of them.
    Scripts(PathBuf),
    /// A catalogue file, YAML or JSON.
    Catalog(PathBuf),
    /// A known release: `release:legacy/24.04`.
    Release(String),
}

/// How the connection to a SQL Server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encrypt {
    /// Everything, or no connection. The default.
    #[default]
    Required,
    /// Nothing, not even the login. Only for a server that offers nothing else.
    Off,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those of the system's store. The default.
    #[default]
    System,
    /// Those in this PEM file.
    CaFile(PathBuf),
    /// Any certificate: the line can be listened to by whoever sits in between. Shouted about.
    Any,
}

/// Who reads the rows of a SQL Server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Driver {
    /// We do, from the bytes of the answer. The default.
    #[default]
    Own,
    /// tiberius does: slower, and another's opinion of what a server sends.
    Tiberius,
}

/// How to reach a SQL Server.
#[derive(Clone, Debug, PartialEq)]
pub struct MssqlAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port; `None` with an instance asks the SQL Browser, and is 1433 otherwise.
    pub port: Option<u16>,
    /// A named instance.
    pub instance: Option<String>,
    /// The database; empty for the login's default.
    pub database: String,
    /// The login.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Encryption of the connection.
    pub encrypt: Encrypt,
    /// Trusted certificates.
    pub trust: Trust,
    /// Whether protocols and ciphers before TLS 1.2 are let in, for servers that know no better.
    pub old_tls: bool,
    /// Whether to ask for a read-only replica.
    pub read_only_intent: bool,
    /// Seconds to wait for the connection.
    pub connect_timeout: u64,
    /// Seconds that the server may keep us waiting in the middle of an answer.
    pub silence: u64,
    /// Who reads its rows.
    pub driver: Driver,
    /// Whether masked values, filtered rows and encrypted bytes are taken for what is there.
    pub accepts_veiled: bool,
}

/// How to reach a PostgreSQL server.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresAddress {
    /// Host name, address, or folder of the Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`, as libpq understands them.
    pub sslmode: String,
    /// PEM file of trusted certificates.
    pub sslrootcert: Option<PathBuf>,
    /// Seconds to wait for the connection.
    pub connect_timeout: u64,
    /// Seconds that a statement may take without a word of the server.
    pub silence: u64,
}

/// Why a text names no location.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct LocationError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl LocationError {
    fn new(message: impl Into<String>) -> Self {
        LocationError { message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Seconds to wait for a connection where nobody says otherwise.
const CONNECT_TIMEOUT: u64 = 15;
/// Seconds that a SQL Server may send nothing: a lock may be waited for, a dead line not for ever.
const MSSQL_SILENCE: u64 = 900;
/// The same for a PostgreSQL, which says nothing while it builds an index or checks a key of a large table.
const POSTGRES_SILENCE: u64 = 6 * 3600;

impl FromStr for Location {
    type Err = LocationError;

    /// Reads what a user typed. No message repeats any part of a text that may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let is_scheme = |(scheme, _): &(&str, &str)| scheme.chars().all(|c| c.is_ascii_alphanumeric());
        if let Some((scheme, rest)) = text.split_once("://").filter(is_scheme) {
            return match scheme.to_ascii_lowercase().as_str() {
                "mssql" | "sqlserver" => url::mssql(rest).map(Location::Mssql),
                "postgres" | "postgresql" => url::postgres(rest).map(Location::Postgres),
                _ => Err(unknown(None)),
            };
        }
        if let Some(name) = text.strip_prefix("release:") {
            return release(name);
        }
        if ado::looks_like_it(text) {
            return ado::parse(text).map(Location::Mssql);
        }
        file(text)
    }
}

fn release(name: &str) -> Result<Location, LocationError> {
    if imis_schemas::release_names().any(|known| known == name) {
        return Ok(Location::Release(name.to_owned()));
    }
    let known = imis_schemas::release_names().collect::<Vec<_>>();
    let error = LocationError::new("no known release has this name");
    Err(match closest(name, &known) {
        Some(near) => error.help(format!("Did you mean release:{near}? Known are {}.", known.join(", "))),
        None => error.help(format!("Known are {}.", known.join(", "))),
    })
}

/// A file, a folder, or a named instance; which of them, the disk and the spelling say.
fn file(text: &str) -> Result<Location, LocationError> {
    let path = PathBuf::from(text);
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    let extension = extension.as_deref().and_then(|e| e.to_str()).unwrap_or_default();
    if path.join("manifest.json").is_file() {
        return Ok(Location::Snapshot(path));
    }
    if path.is_dir() {
        return if holds_scripts(&path, 0) { Ok(Location::Scripts(path)) } else { Err(no_snapshot()) };
    }
    match extension {
        "sql" if path.is_file() => Ok(Location::Scripts(path)),
        "json" if path.file_name().is_some_and(|n| n == "manifest.json") && path.is_file() => {
            Ok(Location::Snapshot(path.parent().map(PathBuf::from).unwrap_or_default()))
        }
        "yaml" | "yml" | "json" => Ok(Location::Catalog(path)),
        _ if !path.exists() && text.contains('\\') => ado::instance(text).map(Location::Mssql),
        _ if path.exists() => Err(LocationError::new("this file is neither a catalogue nor a snapshot").help(SHAPES)),
        _ => Err(unknown(Some(text))),
    }
}

const SHAPES: &str = "Write mssql://USER@HOST/DATABASE, postgres://USER@HOST/DATABASE, an ADO.NET connection \
    string, HOST\\INSTANCE, a snapshot folder, a T-SQL script (.sql) or a folder of them, a catalogue \
    file (.yaml, .yml, .json) or release:NAME.";

/// Whether a folder, or one below it, holds a script.
fn holds_scripts(folder: &std::path::Path, depth: u8) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.iter().any(|path| path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")))
        || (depth < 8 && paths.iter().any(|path| path.is_dir() && holds_scripts(path, depth + 1)))
}

fn no_snapshot() -> LocationError {
    LocationError::new("this folder holds no manifest.json, so it is not a snapshot, and no .sql file")
        .help("`imis snapshot` makes one; it writes the manifest last, so a snapshot that broke off has none.")
}

/// Says that a text names nothing. It is repeated only when it cannot be a connection string gone wrong.
fn unknown(path: Option<&str>) -> LocationError {
    let harmless = |t: &&str| !t.is_empty() && !t.contains(['=', '@', ';', ':', '%', '?', '\0']) && t.len() < 200;
    match path.filter(harmless) {
        Some(path) => LocationError::new(format!("there is no file or folder `{path}`")).help(SHAPES),
        None => LocationError::new("this names no database, snapshot, script, catalogue or release").help(SHAPES),
    }
}

/// The known word that a mistyped one most resembles, if it does at all.
fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&word, &k.to_lowercase()), *k))
        .filter(|(distance, k)| *distance <= (k.len() / 3).max(1))
        .min()
        .map(|(_, k)| k)
}

/// The complaint about an option that nobody knows. Its own text stays out: it may be a piece of a password.
fn unknown_option(option: &str, position: usize, known: &[&str]) -> LocationError {
    let list = known.join(", ");
    let error = LocationError::new(format!("option {position} of the address is not known"));
    match closest(option, known) {
        Some(near) => error.help(format!("Did you mean `{near}`? Known options are {list}.")),
        None => error.help(format!(
            "Known options are {list}. If it is a piece of a password: keep passwords out of addresses (set \
             IMIS_MSSQL_PASSWORD or IMIS_POSTGRES_PASSWORD), or write ; ? / @ and % in it as %3B %3F %2F %40 and %25."
        )),
    }
}

fn seconds(text: &str) -> Result<u64, LocationError> {
    match text.parse::<u64>() {
        Ok(n @ 1..=3600) => Ok(n),
        _ => Err(LocationError::new("the timeout is not a whole number of seconds from 1 to 3600")),
    }
}

/// Reads how many seconds a server may be silent; a day at most.
fn silence(text: &str) -> Result<u64, LocationError> {
    match text.parse::<u64>() {
        Ok(n @ 1..=86_400) => Ok(n),
        _ => Err(LocationError::new("silence is not a whole number of seconds from 1 to 86400")),
    }
}

impl fmt::Display for Location {
    /// Names the place without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Mssql(a) => write!(f, "mssql://{}/{}", a.server(), a.database),
            Location::Postgres(a) => write!(f, "postgres://{}:{}/{}", a.host, a.port, a.database),
            Location::Snapshot(path) | Location::Catalog(path) | Location::Scripts(path) => {
                write!(f, "{}", path.display())
            }
            Location::Release(name) => write!(f, "release:{name}"),
        }
    }
}

impl Location {
    /// What the user should hear before connecting: which safety the address gives up. Empty where it gives up none.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            Location::Mssql(address) => address.warnings(),
            _ => Vec::new(),
        }
    }
}

impl MssqlAddress {
    /// Host with instance or port, as people write it.
    pub fn server(&self) -> String {
        match (&self.instance, self.port) {
            (Some(instance), None) => format!("{}\\{instance}", self.host),
            (_, port) => format!("{}:{}", self.host, port.unwrap_or(1433)),
        }
    }

    /// Which safety the address gives up, to be shouted about.
    pub fn warnings(&self) -> Vec<String> {
        let place = self.server();
        if self.encrypt == Encrypt::Off {
            return vec![format!("{place}, encrypt=off: data and password cross the network readable for everybody.")];
        }
        let mut warnings = Vec::new();
        if self.trust == Trust::Any {
            warnings.push(format!(
                "{place}, trust=any: whoever sits in between can pose as the server and read everything."
            ));
        }
        if self.old_tls {
            warnings.push(format!(
                "{place}, tls=old: TLS before 1.2 and weak ciphers are let in; what they encrypt can be read."
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
