//! Addresses written as URLs: `mssql://...` and `postgres://...`.
//!
//! The parser is our own because people write passwords as they are, with `/`, `#` and `@` in them: everything up to
//! the last `@` before the first `?` is login and password. No message repeats a piece of the text.

use std::path::PathBuf;

use super::{
    CONNECT_TIMEOUT, Driver, Encrypt, LocationError, MSSQL_SILENCE, MssqlAddress, POSTGRES_SILENCE, PostgresAddress,
    Trust, closest, seconds, silence, unknown_option,
};
use crate::secret::Secret;

const MSSQL_OPTIONS: &[&str] =
    &["encrypt", "trust", "ca", "tls", "instance", "intent", "timeout", "silence", "driver", "veiled"];
const POSTGRES_OPTIONS: &[&str] =
    &["sslmode", "sslrootcert", "host", "port", "dbname", "user", "connect_timeout", "application_name", "silence"];
const SSL_MODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];
/// Where Debian, Ubuntu and Red Hat keep the socket of a PostgreSQL on the same machine.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// The pieces of a URL behind its scheme, percent-decoded.
struct Pieces {
    user: Option<String>,
    password: Option<Secret>,
    host: String,
    port: Option<u16>,
    database: String,
    options: Vec<(String, String)>,
}

impl Pieces {
    fn cut(rest: &str) -> Result<Self, LocationError> {
        let (before, query) = rest.split_once('?').map_or((rest, None), |(b, q)| (b, Some(q)));
        let is_option = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            MSSQL_OPTIONS.contains(&name) || POSTGRES_OPTIONS.contains(&name)
        };
        let stray = |q: &str| q.split('&').any(|pair| pair.contains('@') && !is_option(pair));
        if !before.contains('@') && query.is_some_and(stray) {
            return Err(LocationError::new("login and host of the address cannot be told apart")
                .help("A ? in a login or password is written %3F. Better keep the password out of the address."));
        }
        let (login, place) = before.rsplit_once('@').map_or((None, before), |(l, p)| (Some(l), p));
        let (user, password) = match login.map(|l| l.split_once(':').map_or((l, None), |(u, p)| (u, Some(p)))) {
            None => (None, None),
            Some((user, password)) => (Some(decode(user)).filter(|u| !u.is_empty()), password.map(decode)),
        };
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = host_and_port(authority)?;
        let mut options = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.push((decode(name).to_lowercase(), decode(value)));
        }
        Ok(Pieces {
            user,
            password: password.filter(|p| !p.is_empty()).map(Secret::new),
            host: decode(host),
            port,
            database: decode(database.trim_end_matches('/')),
            options,
        })
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), LocationError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, after) =
                v6.split_once(']').ok_or_else(|| LocationError::new("the [ of the host is not closed"))?;
            (host, after.strip_prefix(':'))
        }
        None => authority.rsplit_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| {
            LocationError::new("the port is not a number from 1 to 65535")
                .help("An address is written SCHEME://USER@HOST:PORT/DATABASE.")
        })?),
    };
    Ok((host, port))
}

/// Undoes percent-encoding. A `%` that starts no escape stands for itself: people write passwords as they are.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Reads `[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?OPTION=VALUE&...]` of a SQL Server.
pub(super) fn mssql(rest: &str) -> Result<MssqlAddress, LocationError> {
    let pieces = Pieces::cut(rest)?;
    let (host, instance) = match pieces.host.split_once('\\') {
        Some((host, instance)) => (host.to_owned(), Some(instance.to_owned()).filter(|i| !i.is_empty())),
        None => (pieces.host, None),
    };
    let mut address = MssqlAddress {
        host: super::ado::host(&host)?,
        port: pieces.port,
        instance,
        database: pieces.database,
        user: pieces.user,
        password: pieces.password,
        encrypt: Encrypt::default(),
        trust: Trust::default(),
        old_tls: false,
        read_only_intent: false,
        connect_timeout: CONNECT_TIMEOUT,
        silence: MSSQL_SILENCE,
        driver: Driver::default(),
        accepts_veiled: false,
    };
    for (position, (name, value)) in pieces.options.into_iter().enumerate() {
        match name.as_str() {
            "encrypt" => address.encrypt = encrypt(&value)?,
            "trust" => match (value.to_lowercase().as_str(), &address.trust) {
                ("system", Trust::CaFile(_)) => {}
                ("system", _) => address.trust = Trust::System,
                ("any", _) => address.trust = Trust::Any,
                _ => return Err(LocationError::new("trust is system or any").help(TRUST_HELP)),
            },
            "ca" if value.is_empty() => return Err(LocationError::new("ca names no file").help(TRUST_HELP)),
            "ca" if address.trust == Trust::Any => {
                return Err(LocationError::new("trust=any and ca contradict each other").help(TRUST_HELP));
            }
            "ca" => address.trust = Trust::CaFile(PathBuf::from(value)),
            "tls" => {
                address.old_tls = match value.to_lowercase().as_str() {
                    "old" => true,
                    "new" | "1.2" => false,
                    _ => {
                        return Err(LocationError::new(
                            "tls is new (TLS 1.2, the default) or old (TLS 1.0 and 1.1 too)",
                        ));
                    }
                }
            }
            "instance" => address.instance = Some(value).filter(|v| !v.is_empty()),
            "intent" => {
                address.read_only_intent = match value.to_lowercase().as_str() {
                    "readonly" => true,
                    "readwrite" => false,
                    _ => return Err(LocationError::new("intent is readonly or readwrite")),
                }
            }
            "timeout" => address.connect_timeout = seconds(&value)?,
            "silence" => address.silence = silence(&value)?,
            "driver" => {
                address.driver = match value.to_lowercase().as_str() {
                    "own" => Driver::Own,
                    "tiberius" => Driver::Tiberius,
                    _ => return Err(LocationError::new("driver is own (the default) or tiberius")),
                }
            }
            "veiled" => {
                address.accepts_veiled = match value.to_lowercase().as_str() {
                    "accept" => true,
                    "refuse" => false,
                    _ => return Err(LocationError::new("veiled is refuse (the default) or accept")),
                }
            }
            other => return Err(unknown_option(other, position + 1, MSSQL_OPTIONS)),
        }
    }
    Ok(address)
}

const TRUST_HELP: &str = "trust=system checks the certificate against the system's store, ca=FILE against the \
    certificates in a PEM file, trust=any against nothing.";

/// What `encrypt` and `Encrypt` may say; the words are those of Microsoft's drivers and our own.
pub(super) fn encrypt(value: &str) -> Result<Encrypt, LocationError> {
    match value.to_lowercase().as_str() {
        "required" | "true" | "yes" | "mandatory" | "on" => Ok(Encrypt::Required),
        "off" | "false" | "no" | "optional" => Ok(Encrypt::Off),
        "strict" => Err(LocationError::new("encrypt=strict (TDS 8.0) is read by a later version of imis")
            .help("encrypt=required encrypts everything, too.")),
        _ => Err(LocationError::new("encrypt is required or off")),
    }
}

/// Reads `[USER[:PASSWORD]@][HOST][:PORT]/DATABASE[?OPTION=VALUE&...]` of a PostgreSQL.
pub(super) fn postgres(rest: &str) -> Result<PostgresAddress, LocationError> {
    let pieces = Pieces::cut(rest)?;
    let mut address = PostgresAddress {
        host: pieces.host,
        port: pieces.port.unwrap_or(5432),
        database: pieces.database,
        user: pieces.user,
        password: pieces.password,
        sslmode: "prefer".to_owned(),
        sslrootcert: None,
        connect_timeout: CONNECT_TIMEOUT,
        silence: POSTGRES_SILENCE,
    };
    for (position, (name, value)) in pieces.options.into_iter().enumerate() {
        match name.as_str() {
            "sslmode" => address.sslmode = sslmode(&value)?,
            "sslrootcert" => address.sslrootcert = Some(PathBuf::from(value)).filter(|p| !p.as_os_str().is_empty()),
            "host" => address.host = value,
            "port" => {
                address.port = value
                    .parse::<u16>()
                    .ok()
                    .filter(|p| *p > 0)
                    .ok_or_else(|| LocationError::new("the port is not a number from 1 to 65535"))?;
            }
            "dbname" => address.database = value,
            "user" => address.user = Some(value).filter(|v| !v.is_empty()),
            "password" => address.password = Some(Secret::new(value)),
            "connect_timeout" => address.connect_timeout = seconds(&value)?,
            "silence" => address.silence = silence(&value)?,
            // The server's list of sessions shows our own name.
            "application_name" => {}
            other => return Err(unknown_option(other, position + 1, POSTGRES_OPTIONS)),
        }
    }
    if address.host.contains(',') {
        return Err(LocationError::new("an address names one host, not several"));
    }
    if address.host.is_empty() {
        address.host = SOCKET_FOLDER.to_owned();
    }
    if address.database.is_empty() {
        address.database = address.user.clone().ok_or_else(|| {
            LocationError::new("the address names no database").help("Write postgres://USER@HOST:PORT/DATABASE.")
        })?;
    }
    Ok(address)
}

fn sslmode(value: &str) -> Result<String, LocationError> {
    let value = value.to_lowercase();
    // libpq's `allow` tries in the clear first; `prefer` reaches the same servers and encrypts where it can.
    let value = if value == "allow" { "prefer".to_owned() } else { value };
    if SSL_MODES.contains(&value.as_str()) {
        return Ok(value);
    }
    let error = LocationError::new("this sslmode is not known");
    Err(match closest(&value, SSL_MODES) {
        Some(near) => error.help(format!("Did you mean `{near}`? There are {}.", SSL_MODES.join(", "))),
        None => error.help(format!("There are {}.", SSL_MODES.join(", "))),
    })
}
