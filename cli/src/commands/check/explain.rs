//! `imis check explain`.

use imis_checks::compile::compile;
use imis_checks::language::{Packs, Parameters, pack_names};
use imis_reports::checks::{ExplainedCheck, ExplainedPart};
use imis_reports::terminal;

use crate::args::CheckExplain;
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(super) async fn explain(args: CheckExplain, session: &Session) -> Result<u8, Failure> {
    let names = if args.packs.is_empty() { pack_names().map(str::to_owned).collect() } else { args.packs };
    let mut packs = Packs::gather(&names)?;
    let off = packs.off.iter().find(|off| off.id.eq_ignore_ascii_case(&args.id)).cloned();
    packs.with_switched_off();
    let known = packs.checks.iter().map(|check| check.about.id.clone()).collect::<Vec<_>>();
    packs.checks.retain(|check| check.about.id.eq_ignore_ascii_case(&args.id));
    let Some(check) = packs.checks.first() else {
        let failure = Failure::usage(format!("no check is called `{}`", args.id));
        let near = imis_schemas::document::closest(&args.id, known.iter().map(String::as_str));
        return Err(match near {
            Some(near) => failure.with_help(format!("Did you mean {near}? `imis check list` shows them all.")),
            None => failure.with_help("`imis check list` shows them all."),
        });
    };
    let about = check.about.clone();
    let as_of = super::as_of(args.as_of);
    let location = session.location(&args.of)?;
    let catalog = session.catalog(&location).await?;
    let plan = compile(&packs, &catalog, as_of).await;
    let used = check.texts();
    let parameters = Parameters::new(packs.parameters(), as_of).shown();
    let explained = ExplainedCheck {
        about,
        parameters: parameters.into_iter().filter(|(name, _)| used.contains(&format!("${{{name}}}"))).collect(),
        off: off.map(|off| off.why),
        parts: plan
            .parts
            .iter()
            .map(|part| ExplainedPart {
                what: part.what.clone(),
                severity: part.severity,
                table: part.table.clone(),
                kind: part.words.clone(),
                condition: Some(part.condition.clone()).filter(|condition| !condition.is_empty()),
                sql: part.sql.clone(),
                example: part.key.iter().chain(Some(&part.column).filter(|c| !c.is_empty())).cloned().collect(),
                reason: part.ended.as_ref().map(|(_, why)| why.clone()),
            })
            .collect(),
    };
    if session.json {
        show::json(&explained)?;
    } else {
        show::print(&terminal::check_explained(&explained, &session.style))?;
    }
    if plan.errors.is_empty() {
        return Ok(DONE);
    }
    Err(Failure::from(imis_schemas::document::Complaints(plan.errors)))
}
