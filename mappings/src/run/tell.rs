//! What the reader of the report must know about rows that are there now: how many, and which, by their keys.

use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use imis_databases::Error;

use crate::bind::BoundTell;
use imis_databases::query::expression::query_failed;

/// How many keys a note names.
const NAMED: usize = 40;

/// The notes of all `tell`s that found a row. The tables of the target must be registered as they are now.
pub(super) async fn notes(context: &SessionContext, tells: &[BoundTell]) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for tell in tells {
        let failed = |e| query_failed(&format!("what rule {} tells", tell.rule), &e);
        let batches = context.sql(&tell.sql).await.map_err(failed)?.collect().await.map_err(failed)?;
        let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        if count == 0 {
            continue;
        }
        let mut keys = Vec::new();
        for batch in &batches {
            let Some(column) = batch.columns().first() else { continue };
            keys.extend((0..batch.num_rows()).take(NAMED - keys.len().min(NAMED)).filter_map(|row| {
                // Surrogate keys only: a text is a value of a cell.
                array_value_to_string(column, row).ok().filter(|key| key.parse::<i64>().is_ok())
            }));
        }
        let more = if count > keys.len() { format!(" and {} more", count - keys.len()) } else { String::new() };
        notes.push(format!(
            "{} ({}: {}{more})",
            tell.text.replace("{count}", &count.to_string()),
            tell.key,
            keys.join(", ")
        ));
    }
    Ok(notes)
}
