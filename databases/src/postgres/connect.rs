//! Connections to PostgreSQL: TLS as libpq understands it, errors told so that one can act on them, a small pool.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::guard::{GIVEN_UP, Guard, RowLimit, VIOLATION};

use crate::error::{Error, ErrorKind};
use crate::location::PostgresAddress;
use crate::socket::Socket;
use crate::source::MAX_CELL;

/// Opens one connection. Its session runs in UTC, so that a wall clock is stored as it stands.
///
/// # Errors
/// When the server cannot be reached, refuses the login or the encryption, or has no such database.
pub async fn connect(address: &PostgresAddress) -> Result<Client, Error> {
    connect_with(address, &OnceLock::new(), &RowLimit::new(MAX_CELL)).await
}

/// What a session of ours says of itself. A time limit that suits a web server would end a load halfway; a lock that nobody gives
/// back is not waited for without end. Rows that a policy keeps from us are an error and not silently fewer rows. Triggers that
/// raise a notice for every row would have us read as many notices.
const SESSION: &str = "-c TimeZone=UTC -c DateStyle=ISO -c client_encoding=UTF8 -c extra_float_digits=3 \
    -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=20s -c row_security=off \
    -c client_min_messages=error";

/// Opens one connection with the TLS settings of an earlier one: reading the system's certificates takes longer than
/// connecting.
async fn connect_with(
    address: &PostgresAddress,
    known: &OnceLock<MakeTlsConnector>,
    limit: &RowLimit,
) -> Result<Client, Error> {
    let seconds = address.connect_timeout.max(1);
    let connected = tokio::time::timeout(Duration::from_secs(seconds), log_in(address, known, limit)).await;
    connected.unwrap_or_else(|_| {
        let place = format!("{}:{}/{}", address.host, address.port, address.database);
        Err(Error::new(ErrorKind::Unreachable, format!("PostgreSQL at {place} did not answer within {seconds} s"))
            .with_help("Check host, port and firewall; connect_timeout=SECONDS in the address waits longer.")
            .passing())
    })
}

async fn log_in(
    address: &PostgresAddress,
    known: &OnceLock<MakeTlsConnector>,
    limit: &RowLimit,
) -> Result<Client, Error> {
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .dbname(&address.database)
        .application_name("imis")
        .options(SESSION)
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
    let silence = Duration::from_secs(address.silence);
    let socket = Socket::dial(address).await.map_err(|e| unreachable(&place).caused_by(e).passing())?;
    if address.sslmode == "disable" {
        let guarded = Guard::new(socket, limit.clone(), silence);
        let (client, connection) = config.connect_raw(guarded, NoTls).await.map_err(trouble)?;
        let version = connection.parameter("server_version").and_then(major);
        tokio::spawn(connection);
        return stay(client, version).await;
    }
    let mut tls = match known.get() {
        Some(tls) => tls.clone(),
        None => {
            let made = tls(address)?;
            known.get_or_init(|| made).clone()
        }
    };
    let tls = MakeTlsConnect::<Guard<Socket>>::make_tls_connect(&mut tls, &address.host)
        .map_err(|e| Error::failed("TLS cannot be set up").caused_by(e))?;
    let guarded = Guard::before_tls(socket, limit.clone(), silence);
    let (client, connection) = config.connect_raw(guarded, GuardedTls(tls)).await.map_err(trouble)?;
    let version = connection.parameter("server_version").and_then(major);
    tokio::spawn(connection);
    stay(client, version).await
}

/// The first number of a version: 17 of `17.2 (Debian 17.2-1)` and of `17beta1`.
fn major(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}

/// Takes time limits away that only newer servers know; an older one would refuse them among the settings of the session.
async fn stay(client: Client, version: Option<u32>) -> Result<Client, Error> {
    let limits = match version {
        Some(17..) => "SET idle_session_timeout = 0; SET transaction_timeout = 0",
        Some(14..) => "SET idle_session_timeout = 0",
        _ => return Ok(client),
    };
    client.batch_execute(limits).await.map_err(|e| describe_error(e, "beginning a session"))?;
    Ok(client)
}

/// TLS with a guard above it, who sees what the server says.
struct GuardedTls(postgres_openssl::TlsConnector);

type TlsError = Box<dyn std::error::Error + Send + Sync>;

impl TlsConnect<Guard<Socket>> for GuardedTls {
    type Stream = Guard<postgres_openssl::TlsStream<Guard<Socket>>>;
    type Error = TlsError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, TlsError>> + Send>>;

    fn connect(self, mut stream: Guard<Socket>) -> Self::Future {
        let (limit, silence) = stream.stand_aside();
        Box::pin(async move { Ok(Guard::new(self.0.connect(stream).await?, limit, silence)) })
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

const REACH_HELP: &str = "Is the server running, is the port right, does a firewall stand in between?";

fn unreachable(place: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("PostgreSQL at {place} cannot be reached")).with_help(REACH_HELP)
}

/// Whether the line broke, and did not only bring something that is no answer.
fn broke_off(error: &tokio_postgres::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    error.is_closed() || cause.is_some_and(|e| !matches!(e.kind(), InvalidData | InvalidInput))
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
        // Only servers name a setting. A pooler in front of one takes what it knows.
        Some(code)
            if code.code() == VIOLATION
                && error.as_db_error().is_some_and(|e| e.message().contains("startup parameter")) =>
        {
            (
                format!("what listens at {place} does not take the settings of a session: it seems to be a pooler"),
                "Name the server itself, not PgBouncer or the like before it: a migration holds locks and transactions of its own sessions.",
            )
        }
        Some(code) if code.code() == VIOLATION || code.code() == GIVEN_UP => {
            (format!("what listens at {place} does not log in as a PostgreSQL does"), REACH_HELP)
        }
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
            } else if broke_off(error) {
                (format!("the connection to PostgreSQL at {place} broke off during the login"), REACH_HELP)
            } else {
                (
                    format!("what listens at {place} does not log in as a PostgreSQL does"),
                    "Check the port; PostgreSQL's own is 5432. A server that asks for GSSAPI, SSPI or the like cannot be used.",
                )
            }
        }
    };
    let passes =
        passes(error) || error.code().is_none() && !help.starts_with("Set ") && !error.to_string().contains("TLS");
    Error::new(ErrorKind::Unreachable, message).with_help(help).caused_by(server_text(error)).passing_if(passes)
}

/// Whether the server, or the line to it, may be well again in a moment: connections that broke off, a server that stops or
/// starts, locks, deadlocks, too many connections.
fn passes(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        // What is no PostgreSQL will be none in a moment; who was silent for as long as we wait has had its time.
        Some(&SqlState::PROTOCOL_VIOLATION | &SqlState::CONNECTION_FAILURE) => false,
        Some(code) => {
            let passing = [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::TOO_MANY_CONNECTIONS,
            ];
            // These two are the guard's words for a server that is not asked again.
            let guarded = [VIOLATION, GIVEN_UP].contains(&code.code());
            passing.contains(code) || (code.code().starts_with("08") && !guarded) || code.code().starts_with("57P")
        }
        None => is_broken(error),
    }
}

/// Whether the connection is gone.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
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
        None if is_broken(&error) => ErrorKind::Unreachable,
        None => ErrorKind::Failed,
        Some(code) if code.code().starts_with("08") || code.code().starts_with("57P") => ErrorKind::Unreachable,
        Some(code) if code.code().starts_with("22") || code.code().starts_with("23") => ErrorKind::Data,
        Some(_) => ErrorKind::Failed,
    };
    let mut message = format!("PostgreSQL failed while {doing}");
    let mut help = match kind {
        ErrorKind::Unreachable => Some("Is the server still running? Look into its log, then try again."),
        _ if error.as_db_error().is_none() => Some(
            "The answer cannot be understood. Is it a PostgreSQL, or is there something on the way that changes it?",
        ),
        _ => None,
    };
    if let Some(db) = error.as_db_error() {
        for (what, name) in [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())] {
            if let Some(name) = name {
                message.push_str(&format!(", {what} {name}"));
            }
        }
        help = match *db.code() {
            SqlState::PROTOCOL_VIOLATION => {
                Some("Is it a PostgreSQL, or is there something on the way that changes what it says?")
            }
            SqlState::INSUFFICIENT_PRIVILEGE => Some("The role may not do this; see `imis doctor` for what it needs."),
            SqlState::DISK_FULL => Some("The target's disk is full. Make room, then go on with --resume."),
            SqlState::QUERY_CANCELED => Some("A statement timeout ended it; set statement_timeout to 0 for this role."),
            SqlState::CONNECTION_FAILURE => Some("silence=SECONDS in the address waits longer."),
            SqlState::LOCK_NOT_AVAILABLE => Some("Another session holds a lock; end it and try again."),
            _ => help,
        };
    }
    let described =
        Error::new(kind, message).said_by_server().caused_by(server_text(&error)).passing_if(passes(&error));
    match help {
        Some(help) => described.with_help(help),
        None => described,
    }
}

/// A value of an answer's row. Unlike the driver's own `get` it does not panic when the server answers with something else than
/// was asked for.
///
/// # Errors
/// When the row has no such column, or it is of another type, or NULL where none can be.
pub fn cell<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|error| {
        Error::failed(format!("the answer of PostgreSQL cannot be understood: column {} of {}", at + 1, row.len()))
            .with_help("Is it a PostgreSQL, or is there something on the way that changes what it says?")
            .caused_by(error)
    })
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// A connection may be idle for as long as others work.
const STAY: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// A few connections to one database, kept for the next one who asks.
#[derive(Clone)]
pub struct Pool {
    address: Arc<PostgresAddress>,
    idle: Arc<Mutex<Vec<Client>>>,
    tls: Arc<OnceLock<MakeTlsConnector>>,
    limit: RowLimit,
    /// The state that all connections see, where they see one.
    state: Arc<OnceLock<State>>,
}

/// A snapshot that a transaction has exported. It is there for others as long as that transaction is open.
struct State {
    name: String,
    _holder: Client,
}

impl Pool {
    /// A pool without connections yet.
    pub fn new(address: PostgresAddress) -> Self {
        Pool {
            address: Arc::new(address),
            idle: Arc::default(),
            tls: Arc::default(),
            limit: RowLimit::new(MAX_CELL),
            state: Arc::default(),
        }
    }

    /// Lets rows with cells of this size in.
    pub(super) fn allow_cells(&self, max_cell: usize) {
        self.limit.allow(max_cell);
    }

    /// Host, port and database, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.address.host, self.address.port, self.address.database)
    }

    /// The address.
    pub fn address(&self) -> &PostgresAddress {
        &self.address
    }

    /// From here on, every connection sees the state that the database has now. Whatever fails on a connection ends its
    /// transaction: it must be [spoiled](Connection::spoil).
    ///
    /// # Errors
    /// As [`connect`], and when the server exports no snapshots.
    pub async fn see_one_state(&self) -> Result<(), Error> {
        let holder = connect_with(&self.address, &self.tls, &self.limit).await?;
        let doing = |e| describe_error(e, "exporting a snapshot");
        holder.batch_execute(&format!("{BEGIN}; {STAY}")).await.map_err(doing)?;
        let name = cell(&holder.query_one("SELECT pg_export_snapshot()", &[]).await.map_err(doing)?, 0)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let _ = self.state.set(State { name, _holder: holder });
        Ok(())
    }

    /// Whether all connections see one state of the database.
    pub(super) fn sees_one_state(&self) -> bool {
        self.state.get().is_some()
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
                    let client = connect_with(&self.address, &self.tls, &self.limit).await?;
                    if let Some(state) = self.state.get() {
                        let adopt = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{}'; {STAY}", state.name);
                        client.batch_execute(&adopt).await.map_err(|e| describe_error(e, "taking up the snapshot"))?;
                    }
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
