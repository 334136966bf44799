//! `imis demo`: all of it on a made country.

use std::path::Path;
use std::sync::Arc;

use imis_checks::engine::Options;
use imis_checks::language::Packs;
use imis_checks::outcome::{CheckResult, Outcome, Status};
use imis_databases::Source;
use imis_databases::snapshot::SnapshotSource;
use imis_fixtures::country::{Country, CountryParameters};
use imis_mappings::plan::ROWS_A_RANGE;
use imis_mappings::run;
use imis_reports::mask::Values;
use jiff::civil::Date;

use crate::args::{DEFAULT_PACK, Demo};
use crate::commands::Session;
use crate::commands::check::{USUAL, Wanted, carried_out};
use crate::commands::migrate::{carry_out, conclude};
use crate::exit::Failure;

pub(crate) async fn demo(args: Demo, session: &Session) -> Result<u8, Failure> {
    if args.output.exists() && std::fs::read_dir(&args.output).is_ok_and(|mut e| e.next().is_some()) {
        return Err(Failure::usage(format!("{} is not empty", args.output.display()))
            .with_help("Remove it, or name another folder with --output."));
    }
    let legacy = args.output.join("legacy");
    let modular = args.output.join("modular");
    let parameters = CountryParameters { families: args.families, seed: args.seed, ..CountryParameters::default() };
    let as_of = parameters.as_of;
    let country = Country::new(parameters).map_err(|e| Failure::usage(e.to_string()))?;

    session.say(&format!("1. A country of {} families, as a legacy database would hold it", args.families));
    let bars = session.bars();
    let bar = bars.families(args.families);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let written = tokio::task::block_in_place(|| country.write_snapshot(&legacy, jobs, &|made| bar.made(made)))?;
    bar.clear();
    bars.clear();
    session.say(&format!("   {} tables, {} rows: {}", written.tables.len(), written.rows(), legacy.display()));

    session.say("2. Checks of the legacy database");
    let source: Arc<dyn Source> = Arc::new(SnapshotSource::open(&legacy)?);
    let before =
        checked(session, Arc::clone(&source), &legacy.display().to_string(), as_of, &args.output.join("checks-before"))
            .await?;
    tell(session, &before);

    session.say("3. The plan");
    let to = args.to.clone().unwrap_or_else(|| modular.display().to_string());
    let opened = session.ends(source, "a made country".into(), &to, DEFAULT_PACK, None).await?;
    let plan = opened.plan(ROWS_A_RANGE).await?;
    session.say(&format!("   {} rules, {} hazards, each decided by name", plan.rules.len(), plan.hazards.len()));

    session.say(&format!("4. The migration, into {}", opened.target_location));
    let account = carry_out(session, &opened, &plan, run::Options::default(), run::new_id(), false).await?;

    session.say("5. Checks of the modular database");
    let target = session.open(&opened.target_location).await?;
    let after = checked(session, target, &to, as_of, &args.output.join("checks-after")).await?;
    tell(session, &after);
    let gone = |result: &&CheckResult| {
        let still =
            after.results.iter().any(|other| other.about.id == result.about.id && other.status == Status::Failed);
        result.status == Status::Failed && !still
    };
    let gone: Vec<&str> = before.results.iter().filter(gone).map(|result| result.about.id.as_str()).collect();
    if !gone.is_empty() {
        session.say(&format!("   the migration mended {}", gone.join(", ")));
    }

    session.say("6. The account");
    let report = args.output.join("report");
    conclude(session, &account, &plan, Some(&report))
}

/// Runs the usual checks on one side.
async fn checked(
    session: &Session,
    source: Arc<dyn Source>,
    location: &str,
    as_of: Date,
    report: &Path,
) -> Result<Outcome, Failure> {
    let packs = Packs::gather(&USUAL.map(str::to_owned))?;
    let catalog = source.catalog().await?;
    let wanted = Wanted { source, catalog, location: location.to_owned(), as_of, options: Options::default() };
    let checked = carried_out(session, wanted, &packs, Some(report), None, Values::Masked).await?;
    if !checked.errors.0.is_empty() {
        return Err(Failure::from(checked.errors));
    }
    imis_reports::write_checks(report, &checked.outcome, None, Values::Masked, None)
        .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
    session.say(&format!("   {}", report.join("index.html").display()));
    Ok(checked.outcome)
}

/// What failed, a line each.
fn tell(session: &Session, outcome: &Outcome) {
    let failed: Vec<_> = outcome.results.iter().filter(|result| result.status == Status::Failed).collect();
    session.say(&format!("   {} checks, {} failed", outcome.results.len(), failed.len()));
    for result in failed {
        let rows = if result.violations == 1 { "row" } else { "rows" };
        session.say(&format!("   {:<4} {} ({} {rows})", result.about.id, result.about.title, result.violations));
    }
}
