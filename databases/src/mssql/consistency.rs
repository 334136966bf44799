//! What a SQL Server offers to those who want to read one state, and its count of changes.

use imis_schemas::Engine;
use tiberius::{ColumnData, Row};

use super::connect::Server;
use super::query;
use crate::consistency::{Mark, Offer};
use crate::error::Error;

/// What the database offers. What a server does not say (Babelfish, a login that may not see it) is relied on by nobody.
///
/// Each question goes by itself: a column that a server does not have fails its whole statement. A readable secondary of an
/// availability group calls itself read-only in other places, but goes on changing; `is_read_only` is 0 there.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn offer(server: &Server) -> Result<Offer, Error> {
    let ask = async |column: &str| {
        let sql = format!("SELECT {column} AS answer FROM sys.databases WHERE name = DB_NAME()");
        let rows = query::rows_if_any(server, "asking what may be relied on", &sql).await?;
        Ok::<_, Error>(rows.and_then(|rows| query::int(rows.first()?, 0)))
    };
    let frozen = if ask("source_database_id").await?.is_some() {
        Some("it is a database snapshot")
    } else if ask("is_read_only").await? == Some(1) {
        Some(match ask("is_in_standby").await? {
            Some(1) => "it is a standby: it stands still until the next backup of the log is restored into it",
            _ => "the database is read-only",
        })
    } else {
        None
    };
    let allowed = ask("snapshot_isolation_state").await?.map(|state| state == 1);
    Ok(Offer {
        frozen: frozen.map(str::to_owned),
        single_transaction: if is_babelfish(server).await? { allowed.filter(|allowed| !allowed) } else { allowed },
    })
}

/// Babelfish takes a snapshot transaction, but may end it after an error that SQL Server forgives (a function that it does not
/// have): nobody gets one there unasked.
async fn is_babelfish(server: &Server) -> Result<bool, Error> {
    let rows = query::rows_if_any(server, "asking for the product", "SELECT @@VERSION AS version").await?;
    Ok(rows.and_then(|rows| query::text(rows.first()?, 0)).is_some_and(|banner| banner.contains("Babelfish")))
}

/// Where the count of changes stands, if the server has one.
pub(super) async fn mark(server: &Server) -> Option<Mark> {
    let bytes = |row: &Row, at| match row.cells().nth(at) {
        Some((_, ColumnData::Binary(Some(bytes)))) => Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?)),
        _ => None,
    };
    let mut answer = None;
    // Babelfish and SQL Server 2000 do not know the least count that is not committed yet.
    for least in [", CAST(MIN_ACTIVE_ROWVERSION() AS binary(8)) AS least", ""] {
        let sql = format!("SELECT CAST(@@DBTS AS binary(8)) AS counter{least}");
        answer = query::rows_if_any(server, "asking for the count of changes", &sql).await.ok().flatten();
        if answer.is_some() {
            break;
        }
    }
    let row = answer?.into_iter().next()?;
    let counter = bytes(&row, 0)?;
    Some(Mark { counter, open: bytes(&row, 1).is_some_and(|least| least <= counter) })
}

/// The statement that lets everybody read one moment of a database.
pub(super) fn allow(database: &str) -> String {
    format!("ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON", Engine::Mssql.quote(database))
}

/// What an administrator can do for a better level, a sentence each, the best first.
pub(super) fn advice(database: &str, offer: &Offer) -> Vec<String> {
    if offer.frozen.is_some() {
        return Vec::new();
    }
    let name = Engine::Mssql.quote(database);
    let snapshot = Engine::Mssql.quote(&format!("{database}_imis"));
    let mut advice = vec![
        format!("frozen: stop the system, then ALTER DATABASE {name} SET READ_ONLY WITH ROLLBACK IMMEDIATE"),
        format!(
            "frozen: CREATE DATABASE {snapshot} ON (NAME = LOGICAL_FILE, FILENAME = 'FILE.ss') AS SNAPSHOT OF {name}, and \
             migrate from that; the system may go on"
        ),
        "frozen: restore a backup where nobody works with it, and say --consistency frozen".to_owned(),
    ];
    match offer.single_transaction {
        Some(true) => {}
        Some(false) => advice.push(format!("single transaction: {}; the system may go on", allow(database))),
        None => advice
            .push("single transaction: --consistency single-transaction tries it; the system may go on".to_owned()),
    }
    advice
}
