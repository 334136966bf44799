//! What a user types to name a database, and the addresses that it becomes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::secret::Secret;

/// A place where a database, a snapshot or a catalogue is.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// A SQL Server, or what speaks its protocol.
    Mssql(MssqlAddress),
    /// A PostgreSQL server.
    Postgres(PostgresAddress),
    /// A snapshot folder.
    Snapshot(PathBuf),
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

/// How to reach a SQL Server.
#[derive(Clone, Debug, PartialEq)]
pub struct MssqlAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port; `None` with an instance asks the SQL Browser, and is 1433 otherwise.
    pub port: Option<u16>,
    /// A named instance.
    pub instance: Option<String>,
    /// The database.
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

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        Err(LocationError { message: "not yet".into(), help: None })
    }
}

impl fmt::Display for Location {
    /// Names the place without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Mssql(a) => write!(f, "mssql://{}/{}", a.server(), a.database),
            Location::Postgres(a) => write!(f, "postgres://{}:{}/{}", a.host, a.port, a.database),
            Location::Snapshot(path) | Location::Catalog(path) => write!(f, "{}", path.display()),
            Location::Release(name) => write!(f, "release:{name}"),
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
}
