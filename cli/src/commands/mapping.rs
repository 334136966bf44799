//! `imis mapping check`.

use imis_databases::Location;
use imis_mappings::bind::bind;

use crate::args::MappingCheck;
use crate::commands::Session;
use crate::commands::plan::bind_live;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn check(args: MappingCheck, session: &Session) -> Result<u8, Failure> {
    let mapping = session.mapping(&args.mapping)?;
    let from = session.location(&args.from)?;
    let target = session.catalog(&session.location(&args.to)?).await?;
    let (source, bound) = match &from {
        Location::Catalog(_) | Location::Release(_) => {
            let source = session.catalog(&from).await?;
            let bound = bind(&mapping, &source, &target, uuid::Uuid::nil()).await?;
            (source, bound)
        }
        _ => {
            let live = session.open(&from).await?;
            let source = live.catalog().await?;
            let bound = bind_live(&mapping, live.as_ref(), &source, &target, uuid::Uuid::nil()).await?;
            (source, bound)
        }
    };
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
