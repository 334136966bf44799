//! `imis demo`: all of it on a made country.

use std::sync::Arc;

use imis_databases::Source;
use imis_databases::snapshot::SnapshotSource;
use imis_fixtures::country::{Country, CountryParameters};
use imis_mappings::plan::ROWS_A_RANGE;
use imis_mappings::run::{self, Options};

use crate::args::{DEFAULT_PACK, Demo};
use crate::commands::Session;
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
    let country = Country::new(parameters).map_err(|e| Failure::usage(e.to_string()))?;

    session.say(&format!("1. A country of {} families, as a legacy database would hold it", args.families));
    let bars = session.bars();
    let bar = bars.families(args.families);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let written = tokio::task::block_in_place(|| country.write_snapshot(&legacy, jobs, &|made| bar.made(made)))?;
    bar.clear();
    bars.clear();
    session.say(&format!("   {} tables, {} rows: {}", written.tables.len(), written.rows(), legacy.display()));

    session.say("2. The plan");
    let source: Arc<dyn Source> = Arc::new(SnapshotSource::open(&legacy)?);
    let to = args.to.clone().unwrap_or_else(|| modular.display().to_string());
    let opened = session.ends(source, "a made country".into(), &to, DEFAULT_PACK, None).await?;
    let plan = opened.plan(ROWS_A_RANGE).await?;
    session.say(&format!("   {} rules, {} hazards, each decided by name", plan.rules.len(), plan.hazards.len()));

    session.say(&format!("3. The migration, into {}", opened.target_location));
    let account = carry_out(session, &opened, &plan, Options::default(), run::new_id(), false).await?;

    session.say("4. The account");
    let report = args.output.join("report");
    conclude(session, &account, &plan, Some(&report))
}
