//! Columns that Django's migrations will loosen anyway are loosened before the first row, so that no value has to be cut or
//! held back for a migration that has not run yet. Undo tightens them again.

use imis_databases::Error;
use imis_databases::postgres::describe_error;
use imis_schemas::Engine;
use tokio_postgres::Transaction;

use super::postgres::PostgresTarget;
use super::take_away::{Taken, note_taken};
use crate::bind::BoundMapping;

const PG: Engine = Engine::Postgres;

/// The kind under which a loosened column stands among what was taken away.
pub(super) const KIND: &str = "column";

/// Loosens the columns of the mapping that are still tight.
pub(super) async fn loosen(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    transaction: &Transaction<'_>,
) -> Result<(), Error> {
    for said in &mapping.loosen {
        let Some(table) = target.catalog.table(&said.table) else { continue };
        let Some(column) = table.column(&said.column) else { continue };
        let name = format!("{}.{}", table.table_name(), column.name);
        let doing = |e| describe_error(e, &format!("loosening {name}"));
        let (table_sql, quoted) = (table.table_name().sql(PG), PG.quote(&column.name));
        let is = transaction
            .query_one(
                "SELECT a.attnotnull, CASE WHEN t.typname = 'varchar' THEN a.atttypmod - 4 END \
                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
                 WHERE a.attrelid = $1::text::regclass AND a.attname = $2",
                &[&table_sql, &column.name],
            )
            .await
            .map_err(doing)?;
        let (not_null, length): (bool, Option<i32>) = (is.get(0), is.get(1));
        let alter = |action: String| format!("ALTER TABLE {table_sql} ALTER COLUMN {quoted} {action}");
        let mut changes = Vec::new();
        if let (Some(wanted), Some(length)) = (said.length, length.and_then(|length| u32::try_from(length).ok()))
            && length > 0
            && length < wanted
        {
            let to = |length: u32| alter(format!("TYPE varchar({length})"));
            changes.push((to(wanted), to(length)));
        }
        if said.nullable && not_null {
            changes.push((alter("DROP NOT NULL".into()), alter("SET NOT NULL".into())));
        }
        for (loosen, back) in changes {
            let taken =
                Taken { kind: KIND, name: name.clone(), drop: loosen.clone(), create: back, ..Taken::default() };
            note_taken(target, transaction, &[taken]).await?;
            transaction.batch_execute(&loosen).await.map_err(doing)?;
        }
    }
    Ok(())
}
