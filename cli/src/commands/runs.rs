//! `imis runs` and `imis rejects show`.

use imis_databases::{Location, PostgresAddress};
use imis_mappings::run::{self, Completion};
use imis_reports::terminal;

use crate::args::{RejectsShow, Runs};
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

fn address(text: &str, session: &Session) -> Result<PostgresAddress, Failure> {
    match session.location(text)? {
        Location::Postgres(address) => Ok(address),
        _ => Err(Failure::usage("runs are kept in PostgreSQL targets only")),
    }
}

pub(crate) async fn runs(args: Runs, session: &Session) -> Result<u8, Failure> {
    let address = address(&args.location, session)?;
    let runs = run::runs(&address).await?;
    let waiting = match run::completion(&address).await? {
        Completion::Waiting(first, pack) => Some((first.run, pack)),
        _ => None,
    };
    let waits = |r: &run::RunState| waiting.as_ref().filter(|(run, _)| *run == r.run).map(|(_, pack)| pack.as_str());
    if session.json {
        let rows: Vec<_> = runs
            .iter()
            .map(|r| {
                let mut row = serde_json::json!({
                    "run": r.run, "started": r.started, "phase": r.phase.name(), "mapping": r.mapping
                });
                if let Some(pack) = waits(r) {
                    row["waits_for"] = pack.into();
                }
                row
            })
            .collect();
        show::json(&rows)?;
        return Ok(DONE);
    }
    if runs.is_empty() {
        session.say("No run has been recorded in this database.");
        return Ok(DONE);
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|r| {
            let phase = match waits(r) {
                Some(pack) => format!("{}, waits for {pack}", r.phase.name()),
                None => r.phase.name().to_owned(),
            };
            vec![r.run.as_str().into(), r.started.as_str().into(), phase.into(), r.mapping.as_str().into()]
        })
        .collect();
    show::print(&terminal::table(&["run", "started", "phase", "mapping"], &rows, &session.style))?;
    Ok(DONE)
}

pub(crate) async fn rejects(args: RejectsShow, session: &Session) -> Result<u8, Failure> {
    let mut rejects = run::rejects(&address(&args.location, session)?, args.run.as_deref()).await?;
    rejects.retain(|r| args.table.as_ref().is_none_or(|t| imis_schemas::same_name(t, &r.table)));
    let mut style = session.style;
    if args.show_values {
        style.values = imis_reports::mask::Values::Shown;
    }
    let values = style.values;
    if session.json {
        let groups: Vec<_> = imis_reports::cause::groups(&rejects, values)
            .into_iter()
            .map(|g| {
                serde_json::json!({"rule": g.rule, "column": g.column, "reason": g.reason, "rows": g.rows, "took_along": g.took})
            })
            .collect();
        let key = |key: &[(String, String)]| -> serde_json::Value {
            serde_json::from_str(&imis_reports::mask::key_json(key, values)).unwrap_or_default()
        };
        let rows: Vec<_> = rejects
            .iter()
            .take(args.limit)
            .map(|r| {
                let cause = r.reject.cause.as_ref().map(|c| {
                    serde_json::json!({"table": c.table, "key": key(&c.key), "column": c.column, "reason": c.reason})
                });
                serde_json::json!({
                    "rule": r.rule, "table": r.table, "key": key(&r.reject.key), "column": r.reject.column,
                    "reason": r.reject.reason, "cause": cause,
                })
            })
            .collect();
        show::json(&serde_json::json!({"all": rejects.len(), "groups": groups, "rejects": rows}))?;
        return Ok(DONE);
    }
    if rejects.is_empty() {
        session.say("No row was rejected.");
        return Ok(DONE);
    }
    show::print(&terminal::reasons(&rejects, &style))?;
    show::print(&terminal::rejected_rows(&rejects, args.limit, &style))?;
    session.say(&format!("{} rejected rows", rejects.len()));
    Ok(DONE)
}
