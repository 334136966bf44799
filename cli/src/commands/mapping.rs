//! `imis mapping check`.

use imis_mappings::bind::bind;

use crate::args::MappingCheck;
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn check(args: MappingCheck, session: &Session) -> Result<u8, Failure> {
    let mapping = session.mapping(&args.mapping)?;
    let source = session.catalog(&session.location(&args.from)?).await?;
    let usual =
        if mapping.migrated == Some(false) { "release:modular/baseline-upstream" } else { "release:modular/1.11" };
    let target = session.catalog(&session.location(args.to.as_deref().unwrap_or(usual))?).await?;
    let target = mapping.loosened(imis_schemas::Catalog::clone(&target));
    let bound = bind(&mapping, &source, &target, uuid::Uuid::nil()).await?;
    if session.json {
        show::json(&bound.hazards())?;
    } else {
        show::print(&imis_reports::terminal::hazards(bound.hazards(), &session.style))?;
        session.say(&format!(
            "{} fits: {} rules, {} source tables, {} hazards, each decided.",
            mapping.name,
            mapping.rules.len(),
            source.tables.len(),
            bound.hazards().len()
        ));
    }
    Ok(DONE)
}
