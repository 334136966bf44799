//! `imis check`: what is wrong with the data.

mod explain;
mod list;
mod profile;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use imis_checks::compile::compile;
use imis_checks::engine::{Options, Run};
use imis_checks::language::{CheckErrors, Derived, Packs, pack_names};
use imis_checks::outcome::{Dropped, Findings, Outcome, Severity, Status, Violations};
use imis_databases::{Error, Source};
use imis_mappings::demand::Demanded;
use imis_reports::checks::{Comparison, Previous, ViolationsFile, checks_summary};
use imis_reports::mask::Values;
use imis_reports::terminal::{self, Style};
use imis_schemas::Catalog;
use jiff::civil::Date;

use crate::args::{Check, CheckCommand, CheckPacks, FailOn};
use crate::commands::Session;
use crate::exit::{DATA, DONE, Failure};
use crate::show;

/// The packs that are run where none is named.
pub(crate) const USUAL: [&str; 2] = ["openimis/core", "openimis/migration"];

pub(crate) async fn check(args: Check, session: &Session) -> Result<u8, Failure> {
    match args.what {
        Some(CheckCommand::Profile(args)) => return profile::profile(args, session).await,
        Some(CheckCommand::Explain(args)) => return explain::explain(args, session).await,
        Some(CheckCommand::List(args)) => return list::list(args, session).await,
        None => {}
    }
    let mut packs = gathered(&args.packs)?;
    let Some(name) = &args.location else { return Err(Failure::usage("no LOCATION is named")) };
    let location = session.location(name)?;
    let source = session.open_as(&location, session.wish(name, args.consistency)).await?;
    let catalog = source.catalog().await?;
    if let Some(to) = &args.to {
        demands(session, &mut packs, (&source, &location.to_string()), to, &args.mapping).await?;
    }
    let values = if args.show_values { Values::Shown } else { Values::Masked };
    let previous = args.compare.as_deref().map(Previous::open).transpose()?;
    if let Some(previous) = &previous
        && previous.location() != location.to_string()
    {
        session.warn(&format!("The run to compare with was on {}.", previous.location()));
    }
    let wanted = Wanted {
        source,
        catalog,
        location: location.to_string(),
        as_of: as_of(args.packs.as_of),
        options: Options {
            jobs: args.jobs.map_or_else(|| Options::default().jobs, usize::from),
            memory: usize::try_from(args.memory).unwrap_or(512).saturating_mul(1024 * 1024),
        },
    };
    let checked = carried_out(session, wanted, &packs, args.report.as_deref(), previous, values).await?;
    conclude(session, &checked, args.report.as_deref(), values, threshold(args.fail_on))
}

/// Adds what a mapping and its target demand of the source.
async fn demands(
    session: &Session,
    packs: &mut Packs,
    (source, location): (&Arc<dyn Source>, &str),
    to: &str,
    mapping: &str,
) -> Result<(), Failure> {
    let opened = session.ends(Arc::clone(source), location.to_owned(), to, mapping, None).await?;
    let mut added = 0;
    for demand in opened.bound.demands(opened.source_catalog.engine) {
        let what = match demand.what {
            Demanded::Value => Derived::Value,
            Demanded::Length(most) => Derived::Length(most),
            Demanded::Once => Derived::Once,
            Demanded::Row { table, column } => Derived::Row { table, column },
            Demanded::Nothing { default } => Derived::Nothing { default },
        };
        added += usize::from(packs.derive(&demand.table, &demand.column, &demand.target, &what));
    }
    session.say(&format!("{added} demands of the mapping {mapping} and its target are checked, too"));
    Ok(())
}

/// The packs that are named, with the checks that are.
pub(super) fn gathered(wanted: &CheckPacks) -> Result<Packs, Failure> {
    let names: Vec<String> = match (wanted.packs.as_slice(), wanted.only.as_slice()) {
        ([], []) => USUAL.map(str::to_owned).to_vec(),
        ([], _) => pack_names().map(str::to_owned).collect(),
        (named, _) => named.to_vec(),
    };
    let mut packs = Packs::gather(&names)?;
    let unknown = |errors: CheckErrors| match errors.0.into_iter().next() {
        // A word on the command line, and no pack that does not fit.
        Some(error) if error.place.is_none() => {
            let failure = Failure::usage(error.message);
            match error.help {
                Some(help) => failure.with_help(help),
                None => failure.with_help("`imis check list` shows ids and tags."),
            }
        }
        Some(error) => Failure::from(imis_schemas::document::Complaints(vec![error])),
        None => Failure::usage("no check is left"),
    };
    if !wanted.only.is_empty() {
        packs.only(&wanted.only).map_err(unknown)?;
    }
    packs.skip(&wanted.skip).map_err(unknown)?;
    if packs.checks.is_empty() {
        return Err(
            Failure::usage("no check is left").with_help("The packs have none, or all are switched off or skipped.")
        );
    }
    Ok(packs)
}

/// The day that counts as today.
pub(super) fn as_of(said: Option<Date>) -> Date {
    said.unwrap_or_else(|| jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// What is checked.
pub(crate) struct Wanted {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) location: String,
    pub(crate) as_of: Date,
    pub(crate) options: Options,
}

/// What came out.
pub(crate) struct Checked {
    pub(crate) outcome: Outcome,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) errors: CheckErrors,
}

/// Where violations go while they are found: into a file, or nowhere.
enum Kept {
    File(Box<ViolationsFile>),
    Nowhere,
}

impl Findings for Kept {
    fn take(&mut self, violations: &Violations<'_>) -> Result<(), Error> {
        match self {
            Kept::File(file) => file.take(violations),
            Kept::Nowhere => Dropped.take(violations),
        }
    }
}

/// Runs checks; violations go into the report's folder.
pub(crate) async fn carried_out(
    session: &Session,
    wanted: Wanted,
    packs: &Packs,
    report: Option<&Path>,
    previous: Option<Previous>,
    values: Values,
) -> Result<Checked, Failure> {
    // A comparison needs all violations, whether anybody wants to keep them or not.
    let passing = match (report, &previous) {
        (None, Some(_)) => Some(tempfile::tempdir()?),
        _ => None,
    };
    let folder = report.or(passing.as_ref().map(tempfile::TempDir::path));
    let kept = match folder {
        Some(folder) => Kept::File(Box::new(ViolationsFile::create(folder, values, previous)?)),
        None => Kept::Nowhere,
    };
    let kept = Arc::new(Mutex::new(kept));
    let plan = compile(packs, &wanted.catalog, wanted.as_of).await;
    let mut errors = plan.errors.clone();
    let bars = Arc::new(session.bars());
    let run = Run {
        source: wanted.source,
        catalog: wanted.catalog,
        location: wanted.location,
        as_of: wanted.as_of,
        options: wanted.options,
        progress: Arc::clone(&bars) as _,
    };
    let done = run.carry_out(packs, plan, Arc::clone(&kept) as _).await;
    bars.clear();
    let (outcome, more) = done?;
    errors.extend(more);
    let kept = std::mem::replace(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner), Kept::Nowhere);
    let comparison = match kept {
        Kept::File(file) => file.finish(&outcome)?.comparison,
        Kept::Nowhere => None,
    };
    Ok(Checked { outcome, comparison, errors: imis_schemas::document::Complaints(errors) })
}

/// From which severity on the run fails.
pub(super) fn threshold(fail_on: FailOn) -> Option<Severity> {
    match fail_on {
        FailOn::Blocker => Some(Severity::Blocker),
        FailOn::Error => Some(Severity::Error),
        FailOn::Warning => Some(Severity::Warning),
        FailOn::Info => Some(Severity::Info),
        FailOn::Never => None,
    }
}

/// Shows what was found, writes the report and finds the exit code.
fn conclude(
    session: &Session,
    checked: &Checked,
    report: Option<&Path>,
    values: Values,
    fail_on: Option<Severity>,
) -> Result<u8, Failure> {
    let Checked { outcome, comparison, errors } = checked;
    if session.json {
        show::json(&checks_summary(outcome, comparison.as_ref(), values))?;
    } else {
        show::print(&terminal::checks(outcome, comparison.as_ref(), &Style { values, ..session.style }))?;
    }
    if let Some(folder) = report {
        imis_reports::write_checks(folder, outcome, comparison.as_ref(), values, fail_on)
            .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
        session.say(&format!("The report: {}", folder.join("index.html").display()));
    }
    if !errors.0.is_empty() {
        return Err(Failure::from(imis_schemas::document::Complaints(errors.0.clone())));
    }
    if outcome.count(Status::Errored) > 0 {
        return Err(Failure::schema("not all checks could be carried out"));
    }
    let unseen = outcome.tables.iter().any(|table| table.refused > 0);
    if unseen && fail_on.is_some() {
        return Err(
            Failure::data("some rows cannot be read, and no check saw them").with_help("The report names the tables.")
        );
    }
    let fails = fail_on.is_some_and(|least| outcome.worst().is_some_and(|worst| worst >= least));
    Ok(if fails { DATA } else { DONE })
}
