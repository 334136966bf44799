//! `imis verify`.

use std::sync::Arc;

use imis_databases::Location;
use imis_databases::consistency::Wish;
use imis_databases::snapshot::SnapshotSource;
use imis_mappings::seen::Seen;
use imis_mappings::verify::{self, End, Options, Recorded, Verification};
use imis_reports::mask::Values;
use imis_reports::terminal::Style;
use imis_schemas::{Catalog, Engine};

use crate::args::{DEFAULT_PACK, Verify};
use crate::commands::Session;
use crate::commands::plan::{bind_known, get_ready, modular, namespace};
use crate::exit::{DATA, DONE, Failure};
use crate::show;

pub(crate) async fn verify(args: Verify, session: &Session) -> Result<u8, Failure> {
    let (from, to) = ends(&args, session).await?;
    let options = Options {
        jobs: args.jobs,
        tables: args.tables.clone(),
        sample: args.sample,
        limit: args.limit,
        max_cell: args.max_cell * 1024 * 1024,
    };
    let engines = (from.1.catalog.engine, to.1.catalog.engine);
    let mapping = match (&args.mapping, engines) {
        _ if args.same_shape => None,
        (Some(mapping), _) => Some(mapping.as_str()),
        (None, (Engine::Mssql, Engine::Postgres)) => Some(DEFAULT_PACK),
        (None, _) => None,
    };
    let found = match mapping {
        Some(mapping) => migration(mapping, from, to, options, &args, session).await?,
        None => {
            let bars = Arc::new(session.bars());
            let progress: Arc<dyn imis_mappings::run::Progress> = Arc::clone(&bars) as _;
            let found = verify::same_shape(from.1, to.1, options, progress).await;
            bars.clear();
            found?
        }
    };
    conclude(&found, &args, session)
}

/// Opens both ends: two servers beside each other.
async fn ends(args: &Verify, session: &Session) -> Result<((Location, End), (Location, End)), Failure> {
    let (from, to) = (session.location(&args.from)?, session.location(&args.to)?);
    // The option is about legacy systems; a PostgreSQL gives all its connections one snapshot unless imis.yaml says otherwise.
    let of_to = args.consistency.filter(|_| matches!(to, Location::Mssql(_)));
    let (wish, wish_of_to) = (session.wish(&args.from, args.consistency), session.wish(&args.to, of_to));
    if !args.same_shape {
        get_ready();
    }
    let one_by_one = [&from, &to].into_iter().any(|end| matches!(end, Location::Scripts(_)));
    // A mapping that is held against the source wants to know what the login may read there.
    let (from, to) = (end(from, wish, !args.same_shape, session), end(to, wish_of_to, false, session));
    // Scripts show how far they have come, and that one by one.
    if one_by_one {
        return Ok((from.await?, to.await?));
    }
    let (from, to) = futures::join!(from, to);
    Ok((from?, to?))
}

/// Opens a location and describes it. The source remembers the rights that it is asked for beside the catalogue.
async fn end(location: Location, wish: Wish, rights: bool, session: &Session) -> Result<(Location, End), Failure> {
    let source = session.open_as(&location, wish).await?;
    let asked = async {
        if rights {
            source.rights().await;
        }
    };
    let (catalog, ()) = futures::join!(source.catalog(), asked);
    let catalog = catalog?;
    let name = location.to_string();
    Ok((location, End { source, catalog, name }))
}

async fn migration(
    mapping: &str,
    (_, from): (Location, End),
    (location, to): (Location, End),
    options: Options,
    args: &Verify,
    session: &Session,
) -> Result<Verification, Failure> {
    let mapping = session.mapping(mapping)?;
    let recorded = async {
        match &location {
            Location::Postgres(address) => Recorded::read(address).await,
            _ => Ok(Recorded::nothing()),
        }
    };
    // Each end tells what it knows; neither waits for the other.
    let (recorded, seen) = futures::join!(recorded, Seen::of(from.source.as_ref(), &from.catalog));
    let recorded = recorded?;
    // The country that the run was made for; a snapshot knows the source's name, from which it follows where nobody named one.
    let mut source = from.name.clone();
    let to = match &location {
        Location::Snapshot(folder) => {
            SnapshotSource::open(folder)?.manifest().from.clone_into(&mut source);
            with_empty_tables(to)?
        }
        _ => to,
    };
    let namespace = args.country.or(recorded.namespace).unwrap_or_else(|| namespace(&source));
    let bound = bind_known(&mapping, from.source.as_ref(), &from.catalog, &to.catalog, namespace, seen).await?;
    let bars = Arc::new(session.bars());
    let progress: Arc<dyn imis_mappings::run::Progress> = Arc::clone(&bars) as _;
    let found = verify::migration(Arc::new(bound), &mapping.name, from, to, recorded, options, progress).await;
    bars.clear();
    Ok(found?)
}

/// A snapshot that a migration filled has the tables of its mapping. The others of the modular schema, to which keys and queries of
/// the mapping point, are as good as empty.
fn with_empty_tables(end: End) -> Result<End, Failure> {
    let mut catalog = Catalog::clone(&end.catalog);
    let others = modular()?.tables.into_iter().filter(|table| catalog.table(&table.name).is_none());
    let others: Vec<_> = others.collect();
    catalog.tables.extend(others);
    Ok(End { catalog: Arc::new(catalog), ..end })
}

/// Shows what was found, writes the report and finds the exit code.
fn conclude(found: &Verification, args: &Verify, session: &Session) -> Result<u8, Failure> {
    let values = if args.show_values { Values::Shown } else { Values::Masked };
    if session.json {
        show::json(&imis_reports::summary::verify_summary(found, values))?;
    } else {
        show::print(&imis_reports::terminal::verification(found, &Style { values, ..session.style }))?;
    }
    if let Some(folder) = &args.report {
        imis_reports::write_verification(folder, found, values)
            .map_err(|e| Failure::failed(format!("the report cannot be written: {e}")))?;
        session.say(&format!("The report: {}", folder.join("index.html").display()));
    }
    for name in found.disturbed() {
        session.warn(&format!("Somebody wrote to {name} while it was read, although it was to stand still."));
    }
    Ok(if found.holds() { DONE } else { DATA })
}
