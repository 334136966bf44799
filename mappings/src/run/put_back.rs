//! What was taken away comes back, piece by piece and several at once. A piece is made in the same transaction in which it is
//! noted as back; whoever goes on after a fault makes the rest, and undo knows what is there.

use std::collections::BTreeMap;

use imis_databases::Error;
use imis_databases::postgres::{Connection, describe_error};
use imis_schemas::TableName;
use tokio_postgres::{SimpleQueryMessage, Transaction};

use super::failpoint::reached;
use super::lanes::{Hold, at_once};
use super::postgres::PostgresTarget;
use super::take_away::{FOREIGN_KEY, MARK, Shape};

/// Tables from this size on, in bytes, have their pieces made each for itself; of smaller ones some go together.
const LARGE: i64 = 64 * 1024;
/// How many pieces go together.
const TOGETHER: usize = 8;
/// The order in which pieces come back: indexes, what rests on them, keys.
const ORDER: &str = "kind = 'foreign key', kind = 'mark', position";
/// What is no piece: generators, and columns that were loosened.
const PIECES: &str = "kind NOT IN ('generator', 'column')";

/// Something that is not back yet.
#[derive(Clone, Debug)]
struct Piece {
    position: i64,
    kind: String,
    name: String,
    create: String,
    shape: Option<Shape>,
    tables: Vec<String>,
    /// How large the largest of its tables is, in bytes.
    size: i64,
}

impl Piece {
    fn hold(&self) -> Hold {
        match self.place() {
            _ if self.tables.is_empty() => Hold::All,
            0 => Hold::Shared(self.tables.clone()),
            _ => Hold::Own(self.tables.clone()),
        }
    }

    /// Indexes come before what rests on them, and both before keys.
    fn place(&self) -> u8 {
        match self.kind.as_str() {
            FOREIGN_KEY => 2,
            MARK => 1,
            _ => 0,
        }
    }

    fn is_large(&self) -> bool {
        self.size >= LARGE || self.tables.is_empty()
    }

    fn doing(&self) -> String {
        format!("putting the {} {} back", self.kind, self.name)
    }
}

/// Puts everything back that is not there yet.
pub(super) async fn all(target: &PostgresTarget) -> Result<(), Error> {
    let (mut large, small): (Vec<_>, Vec<_>) = pieces(target).await?.into_iter().partition(Piece::is_large);
    // What takes longest begins first.
    large.sort_by_key(|piece| std::cmp::Reverse(piece.size));
    let mut work: Vec<(Hold, Vec<Piece>)> = large.into_iter().map(|piece| (piece.hold(), vec![piece])).collect();
    for some in small.chunk_by(|one, next| one.place() == next.place()).flat_map(|alike| alike.chunks(TOGETHER)) {
        let mut tables: Vec<String> = some.iter().flat_map(|piece| piece.tables.iter().cloned()).collect();
        tables.sort();
        tables.dedup();
        work.push((Hold::Own(tables), some.to_vec()));
    }
    work.sort_by_key(|(_, some)| some.first().map(Piece::place));
    at_once(work, target.jobs, |some| make(target, some)).await
}

/// Makes the indexes that hold plain uniques of large tables, where `wanted` says so of a table and its columns, and where they
/// can be made: who finds a value twice leaves the index for later, when nothing stands twice any more.
pub(super) async fn uniques(
    target: &PostgresTarget,
    wanted: impl Fn(&TableName, &[String]) -> bool,
) -> Result<(), Error> {
    let work = pieces(target).await?.into_iter().filter(|piece| piece.is_large() && !piece.tables.is_empty());
    let work = work.filter(|piece| {
        let holds = piece.shape.as_ref().and_then(|shape| shape.unique_columns(&target.catalog));
        holds.is_some_and(|(table, columns)| wanted(&table, &columns))
    });
    at_once(work.map(|piece| (piece.hold(), piece)).collect(), target.jobs, |piece| async {
        match make(target, vec![piece]).await {
            Err(error) if error.is_passing() => Err(error),
            _ => Ok(()),
        }
    })
    .await
}

/// The plain uniques that are held by indexes that are back.
pub(super) async fn held(target: &PostgresTarget) -> Result<Vec<(TableName, Vec<String>)>, Error> {
    let rows = target
        .pool
        .take()
        .await?
        .query(
            "SELECT shape FROM imis_migration.dropped WHERE run = $1 AND back AND shape IS NOT NULL ORDER BY position",
            &[&target.run],
        )
        .await
        .map_err(|e| describe_error(e, "reading what was taken away"))?;
    let shapes = rows.iter().filter_map(|row| serde_json::from_str::<Shape>(row.get(0)).ok());
    Ok(shapes.filter_map(|shape| shape.unique_columns(&target.catalog)).collect())
}

/// What is not back yet, in the order in which it comes.
async fn pieces(target: &PostgresTarget) -> Result<Vec<Piece>, Error> {
    let doing = |e| describe_error(e, "reading what was taken away");
    let connection = target.pool.take().await?;
    let rows = connection
        .query(
            &format!(
                "SELECT position, kind, name, create_sql, shape, tables FROM imis_migration.dropped \
                 WHERE run = $1 AND NOT back AND {PIECES} ORDER BY {ORDER}"
            ),
            &[&target.run],
        )
        .await
        .map_err(doing)?;
    let mut pieces: Vec<Piece> = rows
        .iter()
        .map(|row| Piece {
            position: row.get(0),
            kind: row.get(1),
            name: row.get(2),
            create: row.get(3),
            shape: row.get::<_, Option<String>>(4).and_then(|text| serde_json::from_str(&text).ok()),
            tables: row
                .get::<_, Option<String>>(5)
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
            size: 0,
        })
        .collect();
    let names: Vec<String> = pieces.iter().flat_map(|piece| piece.tables.clone()).collect();
    let sizes = connection
        .query("SELECT DISTINCT t, pg_relation_size(to_regclass(t)) FROM unnest($1::text[]) t", &[&names])
        .await
        .map_err(doing)?;
    let sizes: BTreeMap<String, Option<i64>> = sizes.iter().map(|row| (row.get(0), row.get(1))).collect();
    for piece in &mut pieces {
        piece.size = piece.tables.iter().filter_map(|t| sizes.get(t).copied().flatten()).max().unwrap_or_default();
    }
    Ok(pieces)
}

/// Makes some pieces in one transaction, or, where one cannot be made, each in its own, so that the error names it.
async fn make(target: &PostgresTarget, some: Vec<Piece>) -> Result<(), Error> {
    let done = make_together(target, &some).await;
    match done {
        Err(error) if some.len() > 1 && !error.is_passing() => {
            for piece in &some {
                make_together(target, std::slice::from_ref(piece)).await?;
            }
            Ok(())
        }
        other => other,
    }
}

async fn make_together(target: &PostgresTarget, some: &[Piece]) -> Result<(), Error> {
    let doing = match some {
        [one] => one.doing(),
        _ => "putting keys and indexes back".to_owned(),
    };
    let mut connection = target.pool.take().await?;
    connection.spoil();
    let made = make_on(&connection, some, &doing).await;
    if made.is_ok() || connection.batch_execute("ROLLBACK").await.is_ok() {
        connection.heal(&target.pool);
    }
    made
}

async fn make_on(connection: &Connection, some: &[Piece], doing: &str) -> Result<(), Error> {
    let failed = |e| describe_error(e, doing);
    let positions = some.iter().map(|piece| piece.position.to_string()).collect::<Vec<_>>().join(", ");
    // An earlier try whose line broke may be at it still: it is waited for, and what it did is not done again. The last
    // transaction of the run writes the log through, and with it all of these.
    let claim = format!(
        "BEGIN; SET LOCAL synchronous_commit = off; \
         SELECT position FROM imis_migration.dropped WHERE position IN ({positions}) AND NOT back ORDER BY 1 FOR UPDATE"
    );
    let answer = connection.simple_query(&claim).await.map_err(failed)?;
    let open: Vec<i64> = answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).and_then(|text| text.parse().ok()),
            _ => None,
        })
        .collect();
    let mut sql: Vec<&str> =
        some.iter().filter(|piece| open.contains(&piece.position)).map(|piece| piece.create.as_str()).collect();
    let noted = format!("UPDATE imis_migration.dropped SET back = true WHERE position IN ({positions})");
    sql.push(&noted);
    connection.batch_execute(&sql.join("; ")).await.map_err(failed)?;
    reached("finish-put-back");
    connection.batch_execute("COMMIT").await.map_err(failed)?;
    reached("finish-piece-committed");
    Ok(())
}

/// Takes away again what is back of an unfinished run, or all of a finished one.
pub(super) async fn drop_again(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    finished: bool,
) -> Result<(), Error> {
    let doing = |e| describe_error(e, "taking keys and indexes away again");
    let rows = transaction
        .query(
            "SELECT drop_sql FROM imis_migration.dropped \
             WHERE run = $1 AND kind NOT IN ('column', 'generator', 'mark') AND (back OR $2) \
             ORDER BY kind <> 'foreign key', position",
            &[&target.run, &finished],
        )
        .await
        .map_err(doing)?;
    for row in rows {
        transaction.batch_execute(row.get(0)).await.map_err(doing)?;
    }
    Ok(())
}

/// Makes everything anew within one transaction, as undo does.
pub(super) async fn within(target: &PostgresTarget, transaction: &Transaction<'_>) -> Result<(), Error> {
    let rows = transaction
        .query(
            &format!(
                "SELECT kind, name, create_sql FROM imis_migration.dropped WHERE run = $1 AND {PIECES} ORDER BY {ORDER}"
            ),
            &[&target.run],
        )
        .await
        .map_err(|e| describe_error(e, "reading what was taken away"))?;
    for row in rows {
        let (kind, name): (String, String) = (row.get(0), row.get(1));
        transaction
            .batch_execute(row.get(2))
            .await
            .map_err(|e| describe_error(e, &format!("putting the {kind} {name} back")))?;
        reached("finish-put-back");
    }
    Ok(())
}

/// How many pieces are not back.
pub(super) async fn left(target: &PostgresTarget, transaction: &Transaction<'_>) -> Result<i64, Error> {
    let count = format!("SELECT count(*) FROM imis_migration.dropped WHERE run = $1 AND NOT back AND {PIECES}");
    let row = transaction.query_one(&count, &[&target.run]).await;
    Ok(row.map_err(|e| describe_error(e, "reading what was taken away"))?.get(0))
}
