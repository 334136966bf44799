//! What a server says of itself, for those who look for the reason why something does not work.

use serde::Serialize;
use tiberius::Row;

use super::connect::Server;
use super::query::{flag, int, text};
use super::{consistency, query};
use crate::consistency::{Consistency, Wish};

/// What was found out about a server, a database and a login. What could not be found out is `None`, with a note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerFacts {
    /// `SQL Server` or `Babelfish`.
    pub product: Option<String>,
    /// Its version: `15.0.4261.1`.
    pub version: Option<String>,
    /// Its edition: `Express Edition (64-bit)`.
    pub edition: Option<String>,
    /// The database that the connection is in.
    pub database: Option<String>,
    /// The database's collation.
    pub collation: Option<String>,
    /// The code page of its `varchar` columns.
    pub code_page: Option<i64>,
    /// The database's compatibility level: 100 is SQL Server 2008, 150 is 2019.
    pub compatibility_level: Option<i64>,
    /// Whether the line is encrypted.
    pub encrypted: bool,
    /// Protocol and cipher of an encrypted line.
    pub tls: Option<String>,
    /// Whether a transaction may read a snapshot.
    pub snapshot_isolation: Option<bool>,
    /// Whether readers see the last committed version instead of waiting for locks.
    pub read_committed_snapshot: Option<bool>,
    /// Whether the database takes no writes.
    pub read_only: Option<bool>,
    /// Whether it is a database snapshot.
    pub is_snapshot: Option<bool>,
    /// The best level of consistency that can be had as the database is now, and why.
    pub consistency: Option<String>,
    /// What an administrator can do for a better one.
    pub better_consistency: Vec<String>,
    /// Where `@@DBTS` stands, the count of changes of tables with a rowversion.
    pub changes_counted: Option<String>,
    /// The login.
    pub login: Option<String>,
    /// Whether the login may read every table.
    pub may_select: Option<bool>,
    /// Whether it may see the definitions of views, routines and constraints.
    pub may_view_definition: Option<bool>,
    /// The size of the data files in bytes.
    pub data_bytes: Option<u64>,
    /// What could not be found out.
    pub notes: Vec<String>,
    /// What the user should hear before anything else.
    pub warnings: Vec<String>,
}

/// Asks one question; one that fails leaves a note.
async fn ask(server: &Server, facts: &mut ServerFacts, what: &str, sql: &str) -> Option<Row> {
    match query::rows(server, &format!("asking for {what}"), sql).await {
        Ok(rows) => rows.into_iter().next(),
        Err(error) => {
            facts.notes.push(format!("{what} could not be found out: {error}"));
            None
        }
    }
}

/// Asks every question, each by itself: none is worth failing for.
pub(super) async fn facts(server: &Server) -> ServerFacts {
    let mut facts = ServerFacts {
        encrypted: server.tls_facts().is_some(),
        tls: server.tls_facts().map(|t| format!("{} {}", t.protocol, t.cipher)),
        warnings: server.address().warnings(),
        ..ServerFacts::default()
    };
    let sql = "SELECT @@VERSION AS version";
    if let Some(banner) = ask(server, &mut facts, "the product", sql).await.and_then(|r| text(&r, 0)) {
        let product = if banner.contains("Babelfish") { "Babelfish" } else { "SQL Server" };
        facts.product = Some(product.to_owned());
    }
    let sql = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version, \
               CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition";
    if let Some(row) = ask(server, &mut facts, "version and edition", sql).await {
        (facts.version, facts.edition) = (text(&row, 0), text(&row, 1));
    }
    let sql = "SELECT DB_NAME() AS name, SUSER_SNAME() AS login";
    if let Some(row) = ask(server, &mut facts, "database and login", sql).await {
        (facts.database, facts.login) = (text(&row, 0), text(&row, 1));
    }
    let sql = super::DATABASE_COLLATION;
    facts.collation = ask(server, &mut facts, "the collation", sql).await.and_then(|r| text(&r, 0));
    if let Some(collation) = facts.collation.clone() {
        let sql = super::code_page_sql(&collation);
        facts.code_page = ask(server, &mut facts, "the code page", &sql).await.and_then(|r| int(&r, 0));
    }
    let sql = "SELECT compatibility_level, snapshot_isolation_state, is_read_committed_snapshot_on, is_read_only, \
               source_database_id FROM sys.databases WHERE name = DB_NAME()";
    if let Some(row) = ask(server, &mut facts, "the isolation", sql).await {
        facts.compatibility_level = int(&row, 0);
        facts.snapshot_isolation = int(&row, 1).map(|state| state == 1);
        facts.read_committed_snapshot = Some(flag(&row, 2));
        facts.read_only = Some(flag(&row, 3));
        facts.is_snapshot = Some(int(&row, 4).is_some());
    }
    let offer = consistency::offer(server).await.unwrap_or_default();
    facts.consistency = offer.choose(Wish::Auto).map(|choice| {
        let level = match choice.level {
            Consistency::Frozen => "frozen",
            Consistency::SingleTransaction => "single transaction",
            Consistency::Fuzzy => "fuzzy",
        };
        format!("{level}: {}", choice.because)
    });
    facts.better_consistency = consistency::advice(facts.database.as_deref().unwrap_or_default(), &offer);
    facts.changes_counted = consistency::mark(server).await.map(|mark| {
        let open = if mark.open { "; a change is open that nobody has committed" } else { "" };
        format!("0x{:016X} (@@DBTS){open}", mark.counter)
    });
    let permissions = [("SELECT", "the right to read"), ("VIEW DEFINITION", "the right to see definitions")];
    for (permission, what) in permissions {
        let sql = format!("SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', '{permission}') AS allowed");
        let allowed = ask(server, &mut facts, what, &sql).await.and_then(|r| int(&r, 0)).map(|n| n == 1);
        if permission == "SELECT" {
            facts.may_select = allowed;
        } else {
            facts.may_view_definition = allowed;
        }
    }
    // Pages of 8 KiB; type 0 are the files with rows.
    let sql = "SELECT SUM(CAST(size AS bigint)) AS pages FROM sys.database_files WHERE type = 0";
    let pages = ask(server, &mut facts, "the size", sql).await.and_then(|r| int(&r, 0));
    facts.data_bytes = pages.and_then(|n| u64::try_from(n).ok()).map(|n| n * 8192);
    facts
}
