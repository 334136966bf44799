//! `imis check list`.

use imis_checks::compile::compile;
use imis_reports::terminal;

use crate::args::CheckList;
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(super) async fn list(args: CheckList, session: &Session) -> Result<u8, Failure> {
    let packs = super::gathered(&args.packs)?;
    let location = session.location(&args.of)?;
    let catalog = session.catalog(&location).await?;
    let plan = compile(&packs, &catalog, super::as_of(args.packs.as_of)).await;
    let abouts: Vec<_> = packs.checks.iter().map(|check| &check.about).collect();
    if session.json {
        show::json(&abouts)?;
    } else {
        show::print(&terminal::check_list(&abouts, &session.style))?;
    }
    if plan.errors.is_empty() {
        return Ok(DONE);
    }
    Err(Failure::from(imis_schemas::document::Complaints(plan.errors)))
}
