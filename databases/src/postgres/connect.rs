//! Connections to PostgreSQL: TLS as libpq understands it, errors told so that one can act on them, a small pool.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Error, ErrorKind};
use crate::location::PostgresAddress;

/// Opens one connection. Its session runs in UTC, so that a wall clock is stored as it stands.
///
/// # Errors
/// When the server cannot be reached, refuses the login or the encryption, or has no such database.
pub async fn connect(address: &PostgresAddress) -> Result<Client, Error> {
    connect_with(address, &OnceLock::new()).await
}

/// Opens one connection with the TLS settings of an earlier one: reading the system's certificates takes longer than
/// connecting.
async fn connect_with(address: &PostgresAddress, known: &OnceLock<MakeTlsConnector>) -> Result<Client, Error> {
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .dbname(&address.database)
        .application_name("imis")
        .connect_timeout(Duration::from_secs(address.connect_timeout.max(1)))
        .options("-c TimeZone=UTC -c DateStyle=ISO -c client_encoding=UTF8 -c extra_float_digits=3")
        .ssl_mode(match address.sslmode.as_str() {
            "disable" => SslMode::Disable,
            "allow" | "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
    if let Some(user) = &address.user {
        config.user(user);
    }
    if let Some(password) = &address.password {
        config.password(password.reveal());
    }
    let place = format!("{}:{}/{}", address.host, address.port, address.database);
    let trouble = |e: tokio_postgres::Error| connection_error(&e, address, &place);
    if address.sslmode == "disable" {
        let (client, connection) = config.connect(NoTls).await.map_err(trouble)?;
        tokio::spawn(connection);
        Ok(client)
    } else {
        let tls = match known.get() {
            Some(tls) => tls.clone(),
            None => {
                let made = tls(address)?;
                known.get_or_init(|| made).clone()
            }
        };
        let (client, connection) = config.connect(tls).await.map_err(trouble)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn tls(address: &PostgresAddress) -> Result<MakeTlsConnector, Error> {
    let trouble = |e: openssl::error::ErrorStack| Error::failed("TLS cannot be set up").caused_by(e);
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(trouble)?;
    if let Some(file) = &address.sslrootcert {
        builder.set_ca_file(file).map_err(|e| {
            Error::new(ErrorKind::Usage, format!("the certificates in {} cannot be read", file.display())).caused_by(e)
        })?;
    }
    let (check_chain, check_name) = match address.sslmode.as_str() {
        "verify-full" => (true, true),
        "verify-ca" => (true, false),
        _ => (false, false),
    };
    builder.set_verify(if check_chain { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    let mut connector = MakeTlsConnector::new(builder.build());
    connector.set_callback(move |connection, _| {
        connection.set_verify_hostname(check_name);
        Ok(())
    });
    Ok(connector)
}

fn connection_error(error: &tokio_postgres::Error, address: &PostgresAddress, place: &str) -> Error {
    let user = address.user.as_deref().unwrap_or("(none)");
    let (message, help) = match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            (
                format!("PostgreSQL at {place} refused the login of `{user}`"),
                "Check user and password; the password comes from IMIS_POSTGRES_PASSWORD, PGPASSWORD, ~/.pgpass or a prompt.",
            )
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => (
            format!("there is no database `{}` on PostgreSQL at {}:{}", address.database, address.host, address.port),
            "Create it (createdb) or correct the name.",
        ),
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => (
            format!("PostgreSQL at {place} takes no more connections"),
            "Close other sessions, or use fewer connections with --jobs.",
        ),
        Some(_) => (
            format!("PostgreSQL at {place} refused the connection"),
            "Look at the cause below and at the server's log.",
        ),
        None => {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            if cause.contains("password missing") {
                (
                    format!("PostgreSQL at {place} asks for a password and none was given"),
                    "Set IMIS_POSTGRES_PASSWORD or PGPASSWORD, or use ~/.pgpass.",
                )
            } else if cause.contains("does not support TLS") {
                (
                    format!("PostgreSQL at {place} does not encrypt connections"),
                    "Switch TLS on at the server, or say sslmode=disable if the line is safe.",
                )
            } else if error.to_string().contains("TLS") {
                (
                    format!("the encrypted connection to PostgreSQL at {place} failed"),
                    "Check the server's certificate; sslrootcert=FILE names the authority, sslmode=require skips the check.",
                )
            } else {
                (
                    format!("PostgreSQL at {place} cannot be reached"),
                    "Is the server running, is the port right, does a firewall stand in between?",
                )
            }
        }
    };
    Error::new(ErrorKind::Unreachable, message).with_help(help).caused_by(server_text(error))
}

/// The server's own words, without DETAIL, HINT and CONTEXT: those may quote values of cells.
fn server_text(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", safe_message(db), db.code().code()),
        None => {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(error) {
                text = format!("{text}: {cause}");
            }
            text
        }
    }
}

/// The server's message, unless it is one of those that quote a value; then what its class of error means.
fn safe_message(db: &tokio_postgres::error::DbError) -> String {
    match db.code().code().get(..2) {
        // Class 22: data exceptions ("invalid input syntax for type integer: "x"").
        Some("22") => "a value does not fit its type".to_owned(),
        _ => db.message().to_owned(),
    }
}

/// Tells what went wrong while something was `doing`, with table, column and constraint where the server names them.
pub fn describe_error(error: tokio_postgres::Error, doing: &str) -> Error {
    let kind = match error.code() {
        None if error.is_closed() => ErrorKind::Unreachable,
        None => ErrorKind::Failed,
        Some(code) if code.code().starts_with("08") || code.code().starts_with("57P") => ErrorKind::Unreachable,
        Some(code) if code.code().starts_with("22") || code.code().starts_with("23") => ErrorKind::Data,
        Some(_) => ErrorKind::Failed,
    };
    let mut message = format!("PostgreSQL failed while {doing}");
    let mut help = None;
    if let Some(db) = error.as_db_error() {
        for (what, name) in [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())] {
            if let Some(name) = name {
                message.push_str(&format!(", {what} {name}"));
            }
        }
        help = match *db.code() {
            SqlState::INSUFFICIENT_PRIVILEGE => Some("The role may not do this; see `imis doctor` for what it needs."),
            SqlState::DISK_FULL => Some("The target's disk is full. Make room, then go on with --resume."),
            SqlState::QUERY_CANCELED => Some("A statement timeout ended it; set statement_timeout to 0 for this role."),
            SqlState::LOCK_NOT_AVAILABLE => Some("Another session holds a lock; end it and try again."),
            _ => None,
        };
    }
    let described = Error::new(kind, message).said_by_server().caused_by(server_text(&error));
    match help {
        Some(help) => described.with_help(help),
        None => described,
    }
}

/// A few connections to one database, kept for the next one who asks.
#[derive(Clone)]
pub struct Pool {
    address: Arc<PostgresAddress>,
    idle: Arc<Mutex<Vec<Client>>>,
    tls: Arc<OnceLock<MakeTlsConnector>>,
}

impl Pool {
    /// A pool without connections yet.
    pub fn new(address: PostgresAddress) -> Self {
        Pool { address: Arc::new(address), idle: Arc::default(), tls: Arc::default() }
    }

    /// Host, port and database, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.address.host, self.address.port, self.address.database)
    }

    /// The address.
    pub fn address(&self) -> &PostgresAddress {
        &self.address
    }

    /// Takes an idle connection or opens one.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn take(&self) -> Result<Connection, Error> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(client) if client.is_closed() => {}
                Some(client) => return Ok(Connection { client: Some(client), pool: Some(self.clone()) }),
                None => {
                    let client = connect_with(&self.address, &self.tls).await?;
                    return Ok(Connection { client: Some(client), pool: Some(self.clone()) });
                }
            }
        }
    }
}

/// A connection that goes back to its pool when it is dropped, unless it was [spoiled](Connection::spoil).
pub struct Connection {
    client: Option<Client>,
    pool: Option<Pool>,
}

impl Connection {
    /// Keeps the connection from going back to the pool: it is in the middle of something.
    pub fn spoil(&mut self) {
        self.pool = None;
    }

    /// Takes a spoiled connection back into use: what it was in the middle of has ended.
    pub fn heal(&mut self, pool: &Pool) {
        self.pool = Some(pool.clone());
    }
}

#[expect(clippy::expect_used, reason = "the client is there until the connection is dropped")]
impl Deref for Connection {
    type Target = Client;
    fn deref(&self) -> &Client {
        self.client.as_ref().expect("the client leaves only on drop")
    }
}

#[expect(clippy::expect_used, reason = "the client is there until the connection is dropped")]
impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("the client leaves only on drop")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let (Some(client), Some(pool)) = (self.client.take(), self.pool.take())
            && !client.is_closed()
        {
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}
