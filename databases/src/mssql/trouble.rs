//! What goes wrong with a SQL Server, told to the person who must act.
//!
//! The messages name host, database, table and login. They hold no password, and no text of the server that may hold
//! a cell's value.

use std::io;

use openssl::x509::X509VerifyResult;

use super::allowance::Exceeded;
use super::consistency;
use super::fault::{Fault, ServerError};
use super::tls::{LineError, STALLED};
use crate::error::{Error, ErrorKind};
use crate::location::MssqlAddress;

/// The name of the place in messages: `SQL Server h:1433`.
pub(super) fn place(address: &MssqlAddress) -> String {
    format!("SQL Server {}", address.server())
}

fn unreachable(message: String) -> Error {
    Error::new(ErrorKind::Unreachable, message)
}

/// The host has no address.
pub(super) fn unresolved(address: &MssqlAddress, cause: io::Error) -> Error {
    unreachable(format!("the host {} cannot be found", address.host))
        .with_help("Check its name, or give its IP address.")
        .caused_by(cause)
}

/// Nobody answered in time.
pub(super) fn timed_out(address: &MssqlAddress) -> Error {
    unreachable(format!("{} did not answer within {} s", place(address), address.connect_timeout))
        .with_help("Check host, port and firewall; timeout=SECONDS in the address waits longer.")
        .passing()
}

/// No TCP connection came about.
pub(super) fn not_connected(address: &MssqlAddress, cause: io::Error) -> Error {
    let help = "SQL Server must listen on TCP (SQL Server Configuration Manager, Protocols, TCP/IP) and the firewall \
        let its port through. A named instance has a port of its own: give it, or HOST\\INSTANCE.";
    let message = match cause.kind() {
        io::ErrorKind::ConnectionRefused => format!("nothing listens at {}", address.server()),
        _ => format!("{} cannot be reached", place(address)),
    };
    unreachable(message).with_help(help).caused_by(cause).passing()
}

/// The SQL Browser did not say where an instance listens.
pub(super) fn no_instance(address: &MssqlAddress) -> Error {
    let instance = address.instance.as_deref().unwrap_or_default();
    let message = format!("the SQL Browser of {} does not say where the instance {instance} listens", address.host);
    unreachable(message).with_help(
        "The service SQL Server Browser must run and UDP port 1434 be open; or give the port: \
         mssql://USER@HOST:PORT/DATABASE.",
    )
}

/// The greeting or the TLS handshake failed.
pub(super) fn no_line(address: &MssqlAddress, error: LineError) -> Error {
    let place = place(address);
    match error {
        LineError::Broken(cause) => unreachable(format!("the connection to {place} broke off during the greeting"))
            .with_help("Is it a SQL Server? Check host and port.")
            .caused_by(cause)
            .passing(),
        LineError::NotSqlServer => unreachable(format!("what listens at {} is not a SQL Server", address.server()))
            .with_help("Check the port; SQL Server's own is 1433."),
        LineError::NoEncryption => unreachable(format!("{place} offers no encryption")).with_help(
            "Give the server a certificate. encrypt=off in the address connects without encryption: everybody on the \
             way can then read data and password.",
        ),
        LineError::EncryptionRequired => {
            unreachable(format!("{place} insists on encryption, and the address says encrypt=off"))
                .with_help("Leave encrypt=off out of the address.")
        }
        LineError::Certificate(verdict) => {
            let (why, help) = certificate(verdict);
            unreachable(format!("the certificate of {place} is not trusted: {why}")).with_help(help)
        }
        LineError::Handshake(cause) => {
            let error = unreachable(format!("{place} and this machine agree on no TLS protocol")).caused_by(cause);
            if address.old_tls {
                error.with_help(
                    "The address lets old protocols in already. The server may have no usable certificate; its error \
                     log says more.",
                )
            } else {
                error.with_help(
                    "Servers before SQL Server 2016 often know only TLS 1.0. tls=old in the address lets that in; its \
                     encryption can be broken, so use it on a line that you trust.",
                )
            }
        }
    }
}

const X509_V_ERR_HOSTNAME_MISMATCH: i32 = 62;
const X509_V_ERR_IP_ADDRESS_MISMATCH: i32 = 64;
const X509_V_ERR_CERT_HAS_EXPIRED: i32 = 10;

fn certificate(verdict: X509VerifyResult) -> (String, &'static str) {
    let why = verdict.error_string().to_owned();
    let help = match verdict.as_raw() {
        X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => {
            "Use the host name that the certificate has. trust=any accepts every certificate: whoever sits in between \
             can then read everything."
        }
        X509_V_ERR_CERT_HAS_EXPIRED => "Renew the certificate, or check this machine's clock.",
        _ => {
            "ca=FILE in the address trusts the certificates in a PEM file. trust=any accepts every certificate: \
             whoever sits in between can then read everything."
        }
    };
    (why, help)
}

/// The login failed, or the connection broke while it went on.
pub(super) fn not_logged_in(address: &MssqlAddress, error: tiberius::error::Error) -> Error {
    let place = place(address);
    let user = address.user.as_deref().unwrap_or_default();
    match Fault::from(error) {
        Fault::Server(error) => match error.code {
            18456 | 18452 => unreachable(format!("{place} refuses the login {user}")).with_help(
                "Check login and password (IMIS_MSSQL_PASSWORD). The server must allow SQL Server authentication, not \
                 only Windows accounts.",
            ),
            18486..=18488 => {
                unreachable(format!("{place} refuses the login {user}: it is locked or its password has expired"))
            }
            4060 | 911 => no_database(address),
            916 => unreachable(format!("the login {user} may not use the database {} of {place}", address.database))
                .with_help("An administrator must make it a user of the database, for reading: role db_datareader."),
            18470 => unreachable(format!("the login {user} of {place} is disabled")),
            _ => server_error(&format!("{place} refuses the connection"), &error),
        },
        Fault::Line(said) | Fault::Protocol(said) => {
            broken(&format!("the connection to {place} broke off during the login"), said)
        }
    }
}

fn no_database(address: &MssqlAddress) -> Error {
    unreachable(format!("the database {} of {} cannot be opened by this login", address.database, place(address)))
        .with_help("Check its name; the login must be a user of the database, and the database online.")
}

/// A statement failed. `doing` says which: `reading tblClaim`.
pub(super) fn failed(address: &MssqlAddress, doing: &str, fault: impl Into<Fault>) -> Error {
    let place = place(address);
    match fault.into() {
        Fault::Server(error) => {
            let message = format!("{doing} failed at {place}, database {}", address.database);
            match error.code {
                229 | 230 | 262 | 297 | 300 | 916 => unreachable(format!("{message}: permission denied")).with_help(
                    "An administrator must let the login read: role db_datareader, and GRANT VIEW DEFINITION.",
                ),
                207 | 208 => Error::new(ErrorKind::Schema, format!("{message}: {}", error.message))
                    .with_help("Either this server does not have it, or the schema was changed since it was read."),
                3952 => not_allowed(address),
                3961 => Error::new(ErrorKind::Schema, format!("{message}: it was altered since the transaction began"))
                    .with_help("Start again: the transaction sees rows of a shape that is no more."),
                3958 | 3966 | 3967 => Error::failed(format!("{message}: tempdb has no room for the old versions of rows"))
                    .with_help(
                        "Give tempdb more room, read when the system is quieter, or read from a database that stands still.",
                    ),
                1205 | 1222 => unreachable(format!("{message}: somebody else held a lock"))
                    .with_help("Try again when the system is quieter.")
                    .passing(),
                _ => server_error(&message, &error),
            }
        }
        Fault::Line(said) => broken(&format!("the connection to {place} broke off while {doing}"), said),
        Fault::Protocol(why) => Error::failed(format!("{doing} failed: the answer of {place} cannot be understood"))
            .caused_by(why)
            .with_help("Is there something between us and the server that changes what it sends? Then read past it."),
    }
}

/// All reads cannot be in one transaction: the database does not allow it.
pub(super) fn not_allowed(address: &MssqlAddress) -> Error {
    let message = format!("the database {} of {} allows no snapshot transaction", address.database, place(address));
    unreachable(message).with_help(format!(
        "An administrator can allow it, while everybody works: {}. Or read with --consistency frozen from a database that \
         stands still.",
        consistency::allow(&address.database)
    ))
}

/// The one transaction in which everything is read is gone. It is not worth another try: that would read another state.
pub(super) fn transaction_lost(doing: &str, cause: Option<Error>) -> Error {
    let error = Error::failed(format!("the one transaction in which the source is read was lost while {doing}"))
        .with_help(
            "What is read from now on would be of another moment than what was read so far: take the run back with --undo \
             and start again. Where the line breaks, read from a source that stands still (a read-only database, a database \
             snapshot, a restored backup), or take an `imis snapshot` near the server.",
        );
    match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

/// The server took too long for the whole of an answer.
pub(super) fn slow(address: &MssqlAddress, doing: &str, seconds: u64) -> Error {
    unreachable(format!("{} did not come to an end within {seconds} s while {doing}", place(address)))
        .with_help(PATIENCE_HELP)
}

/// A row has more bytes than any may have, and cannot be passed over.
pub(super) fn oversized(address: &MssqlAddress, doing: &str) -> Error {
    Error::failed(format!("{doing} failed: {} sends rows larger than a cell may be", place(address)))
        .with_help("--max-cell=MIB lets in larger cells; it costs three times as much memory.")
}

/// The server sends more rows than there can be.
pub(super) fn endless(address: &MssqlAddress, doing: &str, rows: u64) -> Error {
    Error::failed(format!(
        "{doing} failed: {} sends more than {rows} rows, and there cannot be as many",
        place(address)
    ))
    .with_help("Is it a SQL Server? If the table grew that much meanwhile, start again.")
}

const PATIENCE_HELP: &str = "silence=SECONDS in the address waits longer. Is the server busy, does another session hold a lock, is the line dead?";

fn broken(message: &str, said: String) -> Error {
    let error = unreachable(message.to_owned());
    // Who was silent for as long as was allowed, or never came to an end, is not asked again.
    if said.starts_with(STALLED) {
        error.with_help(PATIENCE_HELP).caused_by(said)
    } else if said == Exceeded.to_string() {
        error
            .with_help("Is it a SQL Server, or is there something on the way that changes what it says?")
            .caused_by(said)
    } else {
        let help = "Try again. If it stays, look into the server's error log, and at what lies on the way.";
        error.with_help(help).caused_by(said).passing()
    }
}

/// An error that we do not know by its number. Those of severity 20 and above end the connection.
fn server_error(message: &str, error: &ServerError) -> Error {
    let kind = if error.class >= 20 { ErrorKind::Unreachable } else { ErrorKind::Failed };
    let text = if may_quote_a_value(error.code) { "a value cannot be converted" } else { error.message.as_str() };
    // A server that stops, starts, fails over or runs short of memory or workers.
    let passes = error.class >= 20
        || matches!(
            error.code,
            701 | 802 | 8645 | 8651 | 17142 | 6005 | 6006 | 18401 | 983 | 10928 | 10929 | 40197 | 40501 | 40613
        );
    Error::new(kind, format!("{message}: {text} (error {}, severity {})", error.code, error.class)).passing_if(passes)
}

/// Errors whose text the server fills with the value that it choked on.
fn may_quote_a_value(code: u32) -> bool {
    let conversions = matches!(code, 220 | 232 | 235..=248 | 293..=296 | 517 | 8114 | 8115 | 8152 | 8169);
    let keys = matches!(code, 2601 | 2627 | 2628);
    let documents = matches!(code, 6354 | 6522 | 9400..=9500 | 13608..=13619);
    conversions || keys || documents
}
