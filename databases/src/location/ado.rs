//! Connection strings of ADO.NET and ODBC, and `HOST\INSTANCE`, as administrators of a legacy system have them at hand.

use super::{
    CONNECT_TIMEOUT, Driver, Encrypt, LocationError, MSSQL_SILENCE, MssqlAddress, Trust, seconds, unknown_option, url,
};
use crate::secret::Secret;

/// What a key of a connection string means to us.
#[derive(Clone, Copy)]
enum Key {
    Server,
    Port,
    Database,
    User,
    Password,
    Encrypt,
    TrustServerCertificate,
    ServerCertificate,
    Timeout,
    Intent,
    IntegratedSecurity,
    /// Known, and without meaning for somebody who only reads.
    Ignored,
}

/// Every spelling of every key, lower-case and without blanks and underscores.
const KEYS: &[(&str, Key)] = &[
    ("server", Key::Server),
    ("datasource", Key::Server),
    ("addr", Key::Server),
    ("address", Key::Server),
    ("networkaddress", Key::Server),
    ("port", Key::Port),
    ("database", Key::Database),
    ("initialcatalog", Key::Database),
    ("userid", Key::User),
    ("uid", Key::User),
    ("user", Key::User),
    ("username", Key::User),
    ("password", Key::Password),
    ("pwd", Key::Password),
    ("encrypt", Key::Encrypt),
    ("trustservercertificate", Key::TrustServerCertificate),
    ("servercertificate", Key::ServerCertificate),
    ("connectiontimeout", Key::Timeout),
    ("connecttimeout", Key::Timeout),
    ("logintimeout", Key::Timeout),
    ("timeout", Key::Timeout),
    ("applicationintent", Key::Intent),
    ("integratedsecurity", Key::IntegratedSecurity),
    ("trustedconnection", Key::IntegratedSecurity),
    ("applicationname", Key::Ignored),
    ("app", Key::Ignored),
    ("asynchronousprocessing", Key::Ignored),
    ("attachdbfilename", Key::Ignored),
    ("columnencryptionsetting", Key::Ignored),
    ("commandtimeout", Key::Ignored),
    ("connectretrycount", Key::Ignored),
    ("connectretryinterval", Key::Ignored),
    ("connectionlifetime", Key::Ignored),
    ("currentlanguage", Key::Ignored),
    ("driver", Key::Ignored),
    ("enlist", Key::Ignored),
    ("failoverpartner", Key::Ignored),
    ("language", Key::Ignored),
    ("loadbalancetimeout", Key::Ignored),
    ("marsconnection", Key::Ignored),
    ("maxpoolsize", Key::Ignored),
    ("minpoolsize", Key::Ignored),
    ("multipleactiveresultsets", Key::Ignored),
    ("multisubnetfailover", Key::Ignored),
    ("networklibrary", Key::Ignored),
    ("packetsize", Key::Ignored),
    ("persistsecurityinfo", Key::Ignored),
    ("pooling", Key::Ignored),
    ("provider", Key::Ignored),
    ("replication", Key::Ignored),
    ("tdsversion", Key::Ignored),
    ("transactionbinding", Key::Ignored),
    ("typesystemversion", Key::Ignored),
    ("userinstance", Key::Ignored),
    ("workstationid", Key::Ignored),
    ("wsid", Key::Ignored),
];

/// The keys that are worth proposing.
const PROPOSED: &[&str] = &[
    "Server",
    "Database",
    "User Id",
    "Password",
    "Encrypt",
    "TrustServerCertificate",
    "Connection Timeout",
    "ApplicationIntent",
];

fn key(name: &str) -> Option<Key> {
    let plain = name.chars().filter(|c| !c.is_whitespace() && *c != '_').collect::<String>().to_lowercase();
    KEYS.iter().find(|(known, _)| *known == plain).map(|(_, key)| *key)
}

/// Whether a text is meant as a connection string: its first key is one, or it has both `=` and `;`.
pub(super) fn looks_like_it(text: &str) -> bool {
    match text.split_once('=') {
        Some((first, rest)) => key(first).is_some() || rest.contains(';') || first.contains(';'),
        None => false,
    }
}

/// Reads a connection string.
pub(super) fn parse(text: &str) -> Result<MssqlAddress, LocationError> {
    let mut server = None;
    let mut port = None;
    let mut address = MssqlAddress {
        host: String::new(),
        port: None,
        instance: None,
        database: String::new(),
        user: None,
        password: None,
        encrypt: Encrypt::default(),
        trust: Trust::default(),
        old_tls: false,
        read_only_intent: false,
        connect_timeout: CONNECT_TIMEOUT,
        silence: MSSQL_SILENCE,
        driver: Driver::default(),
        accepts_veiled: false,
    };
    for (position, (name, value)) in pairs(text)?.into_iter().enumerate() {
        let Some(key) = key(&name) else { return Err(unknown_option(&name, position + 1, PROPOSED)) };
        match key {
            Key::Server => server = Some(value),
            Key::Port => port = Some(number(&value)?),
            Key::Database => address.database = value,
            Key::User => address.user = Some(value).filter(|v| !v.is_empty()),
            Key::Password => address.password = Some(value).filter(|v| !v.is_empty()).map(Secret::new),
            Key::Encrypt => address.encrypt = url::encrypt(&value)?,
            Key::TrustServerCertificate => {
                if flag(&value, "TrustServerCertificate")? {
                    address.trust = Trust::Any;
                }
            }
            Key::ServerCertificate if value.is_empty() => {}
            Key::ServerCertificate => address.trust = Trust::CaFile(value.into()),
            Key::Timeout => address.connect_timeout = seconds(&value)?,
            Key::Intent => {
                address.read_only_intent = match value.to_lowercase().as_str() {
                    "readonly" => true,
                    "readwrite" => false,
                    _ => return Err(LocationError::new("ApplicationIntent is ReadOnly or ReadWrite")),
                }
            }
            Key::IntegratedSecurity => {
                if value.eq_ignore_ascii_case("sspi") || flag(&value, "Integrated Security")? {
                    return Err(LocationError::new("imis cannot log in with a Windows account").help(
                        "Use a login of SQL Server itself: User Id=...; its password comes from IMIS_MSSQL_PASSWORD.",
                    ));
                }
            }
            Key::Ignored => {}
        }
    }
    let server = server.filter(|s| !s.is_empty()).ok_or_else(|| {
        LocationError::new("the connection string names no server").help("Write Server=HOST,PORT;Database=...")
    })?;
    place(&server, &mut address)?;
    address.port = address.port.or(port);
    Ok(address)
}

/// Reads `HOST\INSTANCE` or `HOST\INSTANCE/DATABASE`.
pub(super) fn instance(text: &str) -> Result<MssqlAddress, LocationError> {
    let (server, database) = text.split_once('/').unwrap_or((text, ""));
    let mut address = url::mssql("localhost")?;
    place(server, &mut address)?;
    address.database = database.to_owned();
    Ok(address)
}

/// Reads `tcp:HOST\INSTANCE,PORT`.
fn place(server: &str, address: &mut MssqlAddress) -> Result<(), LocationError> {
    let server = server.trim();
    let server = match server.split_once(':') {
        Some((protocol, rest)) if protocol.eq_ignore_ascii_case("tcp") => rest,
        Some((protocol, _)) if ["np", "lpc", "admin"].iter().any(|p| protocol.eq_ignore_ascii_case(p)) => {
            return Err(LocationError::new("imis reaches a SQL Server by TCP only").help("Write Server=tcp:HOST,PORT."));
        }
        _ => server,
    };
    let (server, port) = match server.split_once(',') {
        Some((server, port)) => (server, Some(number(port)?)),
        None => (server, None),
    };
    let (server, instance) = match server.split_once('\\') {
        Some((server, instance)) => (server, Some(instance.trim().to_owned())),
        None => (server, None),
    };
    if instance.as_ref().is_some_and(|i| i.is_empty() || i.contains(['\\', '/', ' '])) {
        return Err(LocationError::new("the name of the instance is not one").help("Write HOST\\INSTANCE."));
    }
    // `HOST:PORT` is no connection string by the book, but it is what people write.
    let (server, port) = match (server.rsplit_once(':'), port) {
        (Some((host, digits)), None) if !host.contains(':') => (host, Some(number(digits)?)),
        (_, port) => (server, port),
    };
    address.host = host(server.trim().trim_start_matches('[').trim_end_matches(']'))?;
    address.port = port;
    address.instance = instance;
    Ok(())
}

/// Checks a host, and knows the names by which SQL Server's tools call the machine they run on.
pub(super) fn host(host: &str) -> Result<String, LocationError> {
    match host.to_lowercase().as_str() {
        "" => Err(LocationError::new("the address names no host").help("Write mssql://USER@HOST:PORT/DATABASE.")),
        "." | "(local)" => Ok("localhost".to_owned()),
        "(localdb)" => Err(LocationError::new("LocalDB cannot be reached from outside Windows")
            .help("Attach the database to a SQL Server that listens on TCP.")),
        _ if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@;=?%".contains(c)) => {
            Err(LocationError::new("the host is not a name or an address")
                .help("Write mssql://USER@HOST:PORT/DATABASE."))
        }
        _ => Ok(host.to_owned()),
    }
}

fn number(text: &str) -> Result<u16, LocationError> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(LocationError::new("the port is not a number from 1 to 65535").help("Write Server=HOST,PORT.")),
    }
}

fn flag(value: &str, name: &str) -> Result<bool, LocationError> {
    match value.to_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(LocationError::new(format!("{name} is True or False"))),
    }
}

/// Cuts a connection string into its pairs. A value may stand in `"..."`, `'...'` or `{...}`, with its closing sign
/// doubled where it is meant.
fn pairs(text: &str) -> Result<Vec<(String, String)>, LocationError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches([';', ' ', '\t', '\r', '\n']);
    while !rest.is_empty() {
        let position = pairs.len() + 1;
        let Some((name, after)) = rest.split_once('=') else {
            return Err(LocationError::new(format!("pair {position} of the connection string has no =")).help(QUOTING));
        };
        if name.contains(';') {
            return Err(LocationError::new(format!("pair {position} of the connection string has no =")).help(QUOTING));
        }
        let after = after.trim_start();
        let close = match after.chars().next() {
            Some('"') => Some('"'),
            Some('\'') => Some('\''),
            Some('{') => Some('}'),
            _ => None,
        };
        let (value, tail) = match close {
            Some(close) => quoted(after.get(1..).unwrap_or_default(), close).ok_or_else(|| {
                LocationError::new(format!("the value of pair {position} is not closed")).help(QUOTING)
            })?,
            None => {
                let (value, tail) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), tail)
            }
        };
        pairs.push((name.trim().to_owned(), value));
        rest = tail.trim_start_matches([';', ' ', '\t', '\r', '\n']);
    }
    Ok(pairs)
}

const QUOTING: &str = "A value with ; in it stands in quotes: Password=\"...\".";

/// The value up to its closing sign, and what follows behind the next semicolon.
fn quoted(text: &str, close: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == close) {
            value.push(c);
            chars.next();
        } else {
            let tail = text.get(at + c.len_utf8()..).unwrap_or_default().trim_start();
            return (tail.is_empty() || tail.starts_with(';')).then_some((value, tail));
        }
    }
    None
}
