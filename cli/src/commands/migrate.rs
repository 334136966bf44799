//! `imis migrate`.

use std::path::Path;
use std::sync::Arc;

use imis_databases::{Location, PostgresAddress};
use imis_mappings::account::Account;
use imis_mappings::plan::Plan;
use imis_mappings::run::{
    self, Completion, OnReject, Options, Phase, PostgresTarget, Run, RunState, SnapshotTarget, Target,
};

use crate::args::{self, DEFAULT_PACK, Migrate};
use crate::commands::Session;
use crate::commands::consistency::{self, Begun};
use crate::commands::plan::{Opened, get_ready};
use crate::exit::{DATA, DONE, Failure};
use crate::show;

pub(crate) async fn migrate(args: Migrate, session: &Session) -> Result<u8, Failure> {
    if args.undo {
        return undo(&args, session).await;
    }
    let address = postgres_address(&args.to, session).await?;
    let completion = match &address {
        Some(address) => run::completion(address).await?,
        None => Completion::None,
    };
    if args.complete || (args.resume && matches!(completion, Completion::Begun(..))) {
        return complete(&args, session, address, completion).await;
    }
    let mapping = args.mapping.as_deref().unwrap_or(DEFAULT_PACK);
    let earlier = earlier_run(&args, session).await?;
    if let Some(state) = &earlier
        && state.phase >= Phase::Accounted
    {
        session.say(&format!("Run {} is finished already; there is nothing to resume.", state.run));
        return Ok(DONE);
    }
    let made = match (&earlier, &args.plan) {
        (Some(state), _) => Some(Plan::parse(&state.plan)?),
        (None, Some(path)) => Some(read_plan(path)?),
        (None, None) => None,
    };
    let (from, opened) = open(&args, session, mapping, earlier.as_ref(), made.as_ref()).await?;
    let (plan, notes) = match made {
        Some(plan) => {
            refuse_changed(&opened, &plan)?;
            let begun = if earlier.is_some() { Begun::Yes } else { Begun::No };
            consistency::take_up(&opened, plan, begun).await?
        }
        None => (opened.plan(args.rows_a_range).await?, Vec::new()),
    };
    let id = earlier.map_or_else(run::new_id, |state| state.run);
    let options = Options { notes, ..options(&args) };
    let account = carry_out(session, &opened, &plan, options, id, args.allow_connected).await?;
    let code = conclude(session, &account, &plan, args.report.as_deref())?;
    if plan.complete.is_some() {
        session.say(&format!(
            "This is the first half. Next, in the folder of the openIMIS backend:\n  python manage.py migrate\nand then:\n  \
             imis migrate --complete --from {from} --to {}\nUntil that is done nobody can log in.",
            opened.target_location
        ));
    }
    Ok(code)
}

/// The second half of the second route.
async fn complete(
    args: &Migrate,
    session: &Session,
    address: Option<PostgresAddress>,
    completion: Completion,
) -> Result<u8, Failure> {
    let Some(address) = address else {
        return Err(Failure::usage("only a run into PostgreSQL can be completed"));
    };
    let (first, begun) = match completion {
        Completion::Done(first, second) => {
            session
                .say(&format!("Run {} has completed run {} already; there is nothing to do.", second.run, first.run));
            return Ok(DONE);
        }
        Completion::None => {
            return Err(Failure::usage("no run into this target waits for a completion").with_help(
                "--complete follows a run of openimis/legacy-to-baseline and `python manage.py migrate`; \
                 `imis runs` lists the runs of a target.",
            ));
        }
        Completion::Waiting(first, _) if first.phase < Phase::Accounted => {
            return Err(Failure::data(format!("run {} is not finished ({})", first.run, first.phase.name()))
                .with_help("Go on with --resume first, or take it back with --undo."));
        }
        Completion::Waiting(first, _) => (first, None),
        Completion::Begun(first, second) => (first, Some(second)),
    };
    if !run::django_ran(&address).await? {
        return Err(Failure::schema(format!("Django's migrations have not run since run {}", first.run))
            .with_help("Run `python manage.py migrate` on the target, then --complete."));
    }
    let first_plan = Plan::parse(&first.plan)?;
    let pack = args.mapping.clone().or(first_plan.complete).unwrap_or_default();
    let made = begun.as_ref().map(|state| Plan::parse(&state.plan)).transpose()?;
    let (_, opened) = open(args, session, &pack, Some(&first), made.as_ref()).await?;
    if opened.mapping.completes.as_deref() != Some(first_plan.mapping.as_str()) {
        return Err(Failure::schema(format!("{} does not complete {}", opened.mapping.name, first_plan.mapping))
            .with_help(format!("The completing mapping says `completes: {}` in its header.", first_plan.mapping)));
    }
    let (plan, notes) = match made {
        Some(plan) => {
            refuse_changed(&opened, &plan)?;
            consistency::take_up(&opened, plan, Begun::Yes).await?
        }
        None => (opened.plan(args.rows_a_range).await?.completing(&first.run), Vec::new()),
    };
    let id = begun.map_or_else(run::new_id, |state| state.run);
    let options = Options { notes, ..options(args) };
    let account = carry_out(session, &opened, &plan, options, id, args.allow_connected).await?;
    let account = run::whole(&address, &opened.source, &opened.source_catalog, &first, account).await?;
    conclude(session, &account, &plan, args.report.as_deref())
}

/// Opens both ends; gives the source's name beside them. A country that an earlier run was made for stays.
async fn open(
    args: &Migrate,
    session: &Session,
    mapping: &str,
    earlier: Option<&RunState>,
    made: Option<&Plan>,
) -> Result<(String, Opened), Failure> {
    let name = args.from.as_deref().unwrap_or_default();
    let from = session.location(name)?;
    let wish = consistency::wish(session.wish(name, args.consistency), args.consistency, made)?;
    get_ready();
    let source = session.open_as(&from, wish).await?;
    let country = match earlier {
        Some(state) => Some(Plan::parse(&state.plan)?.namespace),
        None => args.country,
    };
    Ok((from.to_string(), session.ends(source, from.to_string(), &args.to, mapping, country).await?))
}

fn refuse_changed(opened: &Opened, plan: &Plan) -> Result<(), Failure> {
    match plan.changed(&opened.mapping, &opened.source_catalog, &opened.target_catalog) {
        None => Ok(()),
        Some(changed) => Err(Failure::schema(format!("{changed} changed since the plan was made")).with_help(
            "Make the plan again with `imis plan`; a run that was begun can only be taken back with --undo.",
        )),
    }
}

fn options(args: &Migrate) -> Options {
    Options {
        jobs: args.jobs,
        on_reject: match args.on_reject {
            args::OnReject::Stop => OnReject::Stop,
            args::OnReject::Continue => OnReject::Continue,
        },
        max_cell: args.max_cell * 1024 * 1024,
        notes: Vec::new(),
    }
}

/// Carries a plan out into the target of its ends.
pub(crate) async fn carry_out(
    session: &Session,
    opened: &Opened,
    plan: &Plan,
    options: Options,
    id: String,
    allow_connected: bool,
) -> Result<Account, Failure> {
    let catalog = Arc::clone(&opened.target_catalog);
    let target: Arc<dyn Target> = match &opened.target_location {
        Location::Snapshot(folder) => Arc::new(SnapshotTarget::new(folder.clone(), catalog, id)?),
        Location::Postgres(address) => Arc::new(
            PostgresTarget::new(address, catalog, id)
                .allow_connected(allow_connected)
                .jobs(options.jobs)
                .completing(plan.completes.as_deref()),
        ),
        other => return Err(Failure::usage(format!("{other} cannot be written to"))),
    };
    let bars = Arc::new(session.bars());
    let run = Run {
        mapping: &opened.bound,
        plan,
        source: Arc::clone(&opened.source),
        source_catalog: Arc::clone(&opened.source_catalog),
        target,
        options,
        progress: Arc::clone(&bars) as Arc<dyn run::Progress>,
    };
    let result = run.carry_out().await;
    bars.clear();
    Ok(result?)
}

/// Shows the account, writes the report and finds the exit code.
pub(crate) fn conclude(
    session: &Session,
    account: &Account,
    plan: &Plan,
    report: Option<&Path>,
) -> Result<u8, Failure> {
    if session.json {
        show::json(&imis_reports::summary::migrate_summary(account))?;
    } else {
        show::print(&imis_reports::terminal::account(account, &session.style))?;
    }
    if let Some(folder) = report {
        imis_reports::write_migration(folder, account, Some(plan))
            .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
        session.say(&format!("The report: {}", folder.join("index.html").display()));
    }
    if account.is_disturbed() {
        session.warn("Somebody wrote to the source while it was read, although it was to stand still. Take the run back with --undo.");
    }
    if !account.balances() {
        session.say("The account does not balance: see above. Take the run back with --undo.");
        return Ok(DATA);
    }
    Ok(if account.rejected() > 0 || account.is_disturbed() { DATA } else { DONE })
}

fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("the plan {} cannot be read: {e}", path.display())))?;
    Ok(Plan::parse(&text)?)
}

async fn postgres_address(to: &str, session: &Session) -> Result<Option<PostgresAddress>, Failure> {
    match session.target(to)? {
        Location::Postgres(address) => Ok(Some(address)),
        _ => Ok(None),
    }
}

/// The run that is to be gone on with; refuses where one is open and nobody said so.
async fn earlier_run(args: &Migrate, session: &Session) -> Result<Option<RunState>, Failure> {
    let Some(address) = postgres_address(&args.to, session).await? else {
        return if args.resume {
            Err(Failure::usage("only a run into PostgreSQL can be resumed")
                .with_help("Remove the unfinished folder and start again."))
        } else {
            Ok(None)
        };
    };
    let latest = run::runs(&address).await?.into_iter().find(|state| state.phase != Phase::Undone);
    match latest {
        Some(state) if args.resume => Ok(Some(state)),
        Some(state) if state.phase < Phase::Accounted => Err(Failure::data(format!(
            "run {} into this target is not finished (begun {}, {})",
            state.run,
            state.started,
            state.phase.name()
        ))
        .with_help("Go on with --resume, or take it back with --undo.")),
        _ => Ok(None),
    }
}

async fn undo(args: &Migrate, session: &Session) -> Result<u8, Failure> {
    let Some(address) = postgres_address(&args.to, session).await? else {
        return Err(Failure::usage("only a run into PostgreSQL can be undone").with_help("Remove the folder."));
    };
    let run = run::undo(&address, None).await?;
    session.say(&format!("Run {run} is undone: the target is as it was before, but for schema imis_migration."));
    Ok(DONE)
}
