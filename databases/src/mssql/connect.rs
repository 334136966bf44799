//! Connecting: the line, the login, and a few connections that are kept for the next reader.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openssl::ssl::SslConnector;
use tiberius::{AuthMethod, Client as TdsClient, Config, EncryptionLevel, SqlBrowser};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::allowance::Allowance;
use super::shared_line::SharedLine;
use super::tls::{self, TlsFacts};
use super::transaction::Transaction;
use super::trouble;
use super::wire::{self, Answer};
use crate::error::{Error, ErrorKind};
use crate::location::{MssqlAddress, Trust};

/// A logged-in connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) tds: TdsClient<Compat<SharedLine>>,
    /// How much the server may still send.
    pub(super) allowance: Allowance,
    /// The line that tiberius talks over, for rows.
    pub(super) line: SharedLine,
    /// Whether tiberius may have left an answer on the line before its end. It steps over the rest with its next statement.
    pub(super) is_half_read: bool,
    /// The rows that are on their way.
    pub(super) answer: Answer,
    /// The size of packets, as far as the server said it.
    pub(super) packet_size: Option<usize>,
    /// By what a statement names the transaction that was begun, as far as the server said it.
    pub(super) transaction: Option<u64>,
}

impl Client {
    /// Whether a statement that tiberius does not send can name the transaction in which it reads.
    pub(super) fn knows_its_transaction(&self, server: &Server) -> bool {
        server.transaction().is_none() || self.transaction.is_some()
    }
}

/// How many ranges are read at once at most, where nobody says otherwise.
pub(super) const READERS: usize = 16;
/// How much a packet carries: near what SQL Server allows on an encrypted line.
const PACKET_SIZE: u32 = 16_000;
/// How long an idle connection is good for. Firewalls forget quiet connections without telling anybody.
const IDLE: Duration = Duration::from_secs(60);
/// How often a server may send us on to another.
const ROUTES: usize = 2;

/// A server together with the connections to it that are open and idle.
#[derive(Debug)]
pub(super) struct Server {
    address: MssqlAddress,
    tls: Option<SslConnector>,
    tls_facts: OnceLock<TlsFacts>,
    idle: Mutex<Vec<(Client, Instant)>>,
    readers: Semaphore,
    keep: usize,
    transaction: OnceLock<tokio::sync::Mutex<Transaction>>,
}

impl Server {
    /// Prepares for an address, without connecting.
    pub(super) fn new(address: &MssqlAddress, readers: usize) -> Result<Self, Error> {
        let readers = readers.max(1);
        Ok(Server {
            tls: tls::connector(address)?,
            address: address.clone(),
            tls_facts: OnceLock::new(),
            idle: Mutex::new(Vec::new()),
            readers: Semaphore::new(readers),
            keep: readers,
            transaction: OnceLock::new(),
        })
    }

    pub(super) fn address(&self) -> &MssqlAddress {
        &self.address
    }

    /// What was agreed on for the first connection, if it is encrypted.
    pub(super) fn tls_facts(&self) -> Option<&TlsFacts> {
        self.tls_facts.get()
    }

    /// From here on everything is read in one transaction.
    pub(super) fn read_in_one_transaction(&self) {
        self.transaction.get_or_init(tokio::sync::Mutex::default);
    }

    /// The transaction in which everything is read, if that was chosen.
    pub(super) fn transaction(&self) -> Option<&tokio::sync::Mutex<Transaction>> {
        self.transaction.get()
    }

    /// Waits until one more range may be read.
    pub(super) async fn reader(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.readers.acquire().await.map_err(|e| Error::failed("the source was closed").caused_by(e))
    }

    /// An idle connection, or a new one.
    pub(super) async fn client(&self) -> Result<Client, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some((client, since)) if since.elapsed() < IDLE => Ok(client),
            _ => self.open().await,
        }
    }

    /// Takes back a connection whose last answer was read to its end. One in any other state is dropped instead, which
    /// ends what it was doing.
    pub(super) fn give_back(&self, client: Client) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.keep {
            idle.push((client, Instant::now()));
        }
    }

    async fn open(&self) -> Result<Client, Error> {
        let limit = Duration::from_secs(self.address.connect_timeout);
        match tokio::time::timeout(limit, self.log_in()).await {
            Ok(client) => client,
            Err(_) => Err(trouble::timed_out(&self.address)),
        }
    }

    async fn log_in(&self) -> Result<Client, Error> {
        let mut address = self.address.clone();
        for _ in 0..=ROUTES {
            let config = config(&address)?;
            let tcp = dial(&address, &config).await?;
            let (line, facts) = tls::greet(
                tcp,
                &address.host,
                address.instance.as_deref(),
                self.tls.as_ref(),
                address.trust != Trust::Any,
            )
            .await
            .map_err(|e| trouble::no_line(&address, e))?;
            let allowance = Allowance::new();
            let line = SharedLine::new(line.watched(Duration::from_secs(address.silence), allowance.clone()));
            line.listen();
            if let Some(facts) = facts {
                let _ = self.tls_facts.set(facts);
            }
            match TdsClient::connect(config, line.clone().compat_write()).await {
                Ok(tds) => {
                    let packet_size = wire::environment(&line.heard()).packet_size;
                    let answer = Answer::default();
                    return Ok(Client {
                        tds,
                        allowance,
                        line,
                        answer,
                        packet_size,
                        transaction: None,
                        is_half_read: false,
                    });
                }
                // A listener of an availability group, or Azure, names the server that has the database.
                Err(tiberius::error::Error::Routing { host, port }) => {
                    address = MssqlAddress { host, port: Some(port), instance: None, ..address };
                }
                Err(error) => return Err(trouble::not_logged_in(&address, error)),
            }
        }
        Err(Error::new(ErrorKind::Unreachable, format!("{} sends us on in a circle", trouble::place(&self.address))))
    }
}

fn config(address: &MssqlAddress) -> Result<Config, Error> {
    let place = trouble::place(address);
    let user = address.user.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no login for {place}")).with_help("Write mssql://USER@HOST/DATABASE.")
    })?;
    let password = address.password.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no password for the login {user} of {place}"))
            .with_help("Set it in the environment: IMIS_MSSQL_PASSWORD.")
    })?;
    let mut config = Config::new();
    config.host(&address.host);
    config.port(address.port.unwrap_or(1433));
    if !address.database.is_empty() {
        config.database(&address.database);
    }
    config.authentication(AuthMethod::sql_server(user, password.reveal()));
    config.application_name("imis");
    config.readonly(address.read_only_intent);
    config.packet_size(PACKET_SIZE);
    // The line encrypts by itself, below tiberius.
    config.encryption(EncryptionLevel::NotSupported);
    // The whole connecting has one limit of its own; a table may take as long as it takes.
    config.handshake_timeout(None);
    config.command_timeout(None);
    Ok(config)
}

async fn dial(address: &MssqlAddress, config: &Config) -> Result<TcpStream, Error> {
    let tcp = match (&address.instance, address.port) {
        (Some(instance), None) => {
            let mut config = config.clone();
            config.port(1434);
            config.instance_name(instance);
            TcpStream::connect_named(&config).await.map_err(|error| match error {
                tiberius::error::Error::Io { kind, message } => {
                    trouble::not_connected(address, std::io::Error::new(kind, message))
                }
                _ => trouble::no_instance(address),
            })?
        }
        (_, port) => {
            let name = (address.host.as_str(), port.unwrap_or(1433));
            let found = tokio::net::lookup_host(name).await.map_err(|e| trouble::unresolved(address, e))?;
            let found = found.collect::<Vec<_>>();
            TcpStream::connect(found.as_slice()).await.map_err(|e| trouble::not_connected(address, e))?
        }
    };
    crate::socket::tune(&tcp);
    Ok(tcp)
}
