//! `imis check profile`.

use std::sync::Arc;

use imis_checks::profile::{Options, Profile, profile as look};
use imis_databases::Progress;
use imis_reports::mask::Values;
use imis_reports::profile::profile_summary;
use imis_reports::terminal::{self, Style};

use crate::args::CheckProfile;
use crate::commands::Session;
use crate::exit::{DATA, DONE, Failure};
use crate::show;

pub(crate) async fn profile(args: CheckProfile, session: &Session) -> Result<u8, Failure> {
    let location = session.location(&args.location)?;
    let source = session.open_as(&location, session.wish(&args.location, args.consistency)).await?;
    let options = Options {
        tables: args.tables.clone(),
        columns: args.columns.clone(),
        sample: args.sample,
        exact: args.exact,
        jobs: args.jobs,
        max_cell: args.max_cell * 1024 * 1024,
        ..Options::default()
    };
    let bars = Arc::new(session.bars());
    bars.phase("profile");
    let found = look(source, location.to_string(), &options, Arc::clone(&bars) as _).await;
    bars.clear();
    conclude(&found?, &args, session)
}

/// Shows what was found, writes the report and finds the exit code.
fn conclude(found: &Profile, args: &CheckProfile, session: &Session) -> Result<u8, Failure> {
    let values = if args.show_values { Values::Shown } else { Values::Masked };
    if session.json {
        show::json(&profile_summary(found, values))?;
    } else {
        show::print(&terminal::profile(found, &Style { values, ..session.style }))?;
    }
    if let Some(folder) = &args.report {
        imis_reports::write_profile(folder, found, values)
            .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
        session.say(&format!("The report: {}", folder.join("index.html").display()));
    }
    let incomplete = found.tables.iter().any(|t| t.unread.is_some() || t.refused > 0 || !t.unread_columns.is_empty());
    Ok(if incomplete { DATA } else { DONE })
}
