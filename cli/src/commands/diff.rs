//! `imis diff`.

use imis_schemas::compare::{Comparison, Filter, Kind, compare};

use crate::args::Diff;
use crate::commands::Session;
use crate::exit::{DONE, Failure, SCHEMA};
use crate::show;

pub(crate) async fn diff(args: Diff, session: &Session) -> Result<u8, Failure> {
    let filter = Filter::new(&args.only, &args.ignore);
    let (a, b) = (session.location(&args.a)?, session.location(&args.b)?);
    let (one, two) = (session.catalog(&a).await?, session.catalog(&b).await?);
    let found = compare((&a.to_string(), &one), (&b.to_string(), &two), &filter);
    patterns(&found, &args, session)?;
    if session.json {
        show::print(&found.to_json())?;
    } else {
        show::print(&imis_reports::terminal::comparison(&found, &session.style))?;
    }
    if let Some(folder) = &args.report {
        imis_reports::write_comparison(folder, &found)
            .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
        session.say(&format!("The report: {}", folder.join("index.html").display()));
    }
    Ok(if found.differs && args.exit_code { SCHEMA } else { DONE })
}

/// A pattern that no name is like may be a mistyped kind: then nothing would be compared, or too much, without a word.
fn patterns(found: &Comparison, args: &Diff, session: &Session) -> Result<(), Failure> {
    for pattern in &found.idle_patterns {
        let of_only = args.only.iter().any(|word| word.trim().eq_ignore_ascii_case(pattern));
        if let Some(kind) = Kind::like(pattern) {
            let failure = Failure::usage(format!("`{pattern}` is neither a kind nor like a name on either side"));
            return Err(failure.with_help(format!("Did you mean `{kind}`?")));
        }
        if of_only {
            let kinds = Kind::names().collect::<Vec<_>>().join(", ");
            let failure = Failure::usage(format!("--only {pattern}: nothing on either side has a name like this"));
            return Err(failure.with_help(format!(
                "Patterns are of tables, views, routines, types or TABLE.COLUMN; kinds are {kinds}."
            )));
        }
        session.say(&format!("note: --ignore {pattern}: nothing on either side has a name like this"));
    }
    Ok(())
}
