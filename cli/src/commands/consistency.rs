//! A plan that is taken up again, perhaps days later: whether the source is still what it was when it was first read.

use imis_databases::{Changes, Consistency, Reading, Wish};
use imis_mappings::plan::Plan;
use imis_schemas::Table;

use crate::args::Level;
use crate::commands::plan::Opened;
use crate::exit::Failure;

/// Whether rows of a plan have been loaded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    No,
}

/// What to rely on: what the plan was made with, where there is one. Another level is not asked for in the middle.
pub(crate) fn wish(wish: Wish, asked: Option<Level>, plan: Option<&Plan>) -> Result<Wish, Failure> {
    let Some(plan) = plan else { return Ok(wish) };
    let (planned, name) = match plan.consistency {
        Consistency::Frozen => (Wish::Frozen, "frozen"),
        Consistency::SingleTransaction => (Wish::SingleTransaction, "single-transaction"),
        Consistency::Fuzzy => (Wish::Fuzzy, "fuzzy"),
    };
    match asked {
        Some(level) if level != Level::Auto && wish != planned => {
            Err(Failure::usage(format!("the plan was made with --consistency {name}"))
                .with_help("Leave the option out, or make the plan again with the other level."))
        }
        _ => Ok(planned),
    }
}

/// The plan as it is to be carried out now, and what the account must say about that.
///
/// # Errors
/// When somebody wrote to a source that was to stand still, or when rows were loaded in a transaction that is gone and it
/// cannot be shown that nothing has changed since.
pub(crate) async fn take_up(opened: &Opened, plan: Plan, begun: Begun) -> Result<(Plan, Vec<String>), Failure> {
    let (level, now) = opened.source.reading().await?;
    let since = plan.reading.clone().until(now.before);
    let again = match begun {
        Begun::Yes => "Take the run back with --undo, and start again.",
        Begun::No => "Make the plan again with `imis plan`.",
    };
    match plan.consistency {
        Consistency::Frozen if since.is_disturbed(plan.consistency) => Err(Failure::data(format!(
            "somebody wrote to {} since it was first read, although it was to stand still",
            plan.from
        ))
        .with_help(format!("{again} Before that, find out who works in the old system."))),
        Consistency::Frozen if now.declared && !plan.reading.declared => Err(Failure::data(format!(
            "{} takes writes now; when the plan was made, {}",
            plan.from, plan.reading.because
        ))
        .with_help(format!("Set it as it was. Or: {again}"))),
        // Nothing of the plan's transaction is left but counts, and a new transaction counts anew.
        Consistency::SingleTransaction if begun == Begun::No => Ok((plan.read_anew(now), Vec::new())),
        Consistency::SingleTransaction => {
            debug_assert_ne!(level, Consistency::Fuzzy);
            match unchanged(opened, &plan, &since).await? {
                Ok(()) => {
                    let note = "The run was gone on with in a second transaction. When that began, @@DBTS stood where it had \
                        stood before the first one, and every table had as many rows: no row of a table with a rowversion \
                        column was inserted or updated in between.";
                    Ok((plan, vec![note.to_owned()]))
                }
                Err(why) => Err(Failure::data(format!(
                    "run into {} cannot be gone on with: its rows were read in one transaction, which is gone, and {why}",
                    plan.to
                ))
                .with_help(format!("{again} Rows of two moments must not be mixed."))),
            }
        }
        _ => Ok((plan, Vec::new())),
    }
}

/// Whether nothing has changed since the transaction of a plan began, as far as the source tells; else why not.
async fn unchanged(opened: &Opened, plan: &Plan, since: &Reading) -> Result<Result<(), String>, Failure> {
    match since.changes() {
        Changes::None => {}
        Changes::Some => return Ok(Err("rows were inserted or updated since then (@@DBTS has moved)".to_owned())),
        Changes::Open => return Ok(Err("a change was open then that may have been committed since".to_owned())),
        Changes::NotKnown => return Ok(Err("the server does not say whether rows have changed since then".to_owned())),
    }
    // Rows that are deleted do not move the count of changes.
    for planned in plan.rules.iter().filter(|planned| !planned.ranges.is_empty()) {
        let is_it = |table: &&Table| Some(table.table_name().to_string()) == planned.from;
        if let Some(table) = opened.source_catalog.tables.iter().find(is_it) {
            let rows = opened.source.count(table).await?;
            if rows != planned.rows {
                return Ok(Err(format!("{} had {} rows then and has {rows} now", table.table_name(), planned.rows)));
            }
        }
    }
    Ok(Ok(()))
}
