//! `imis identify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use imis_databases::{Location, Source};
use imis_mappings::seen::applied_migrations;
use imis_reports::identity::{Identity, RowCounts};
use imis_reports::{terminal, write_identity};
use imis_schemas::identify::{Difference, Thing, django_release};
use imis_schemas::{Catalog, Engine, Identification, identify as identified};

use crate::args::Identify;
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn identify(args: Identify, session: &Session) -> Result<u8, Failure> {
    let location = session.location(&args.location)?;
    let (source, catalog) = described(&location, session).await?;
    let Some(found) = identified(&catalog) else {
        return Err(Failure::schema(format!("{location} has no table, or the login sees none")));
    };
    let mut identity =
        Identity { location: location.to_string(), found, django: None, counts: None, notes: Vec::new() };
    if let Some(source) = source {
        let migrations = applied_migrations(source.as_ref(), &catalog).await;
        identity.django = migrations.and_then(|applied| django_release(&applied));
        if !args.no_counts {
            let counts = counted(source.as_ref(), &catalog, &identity.found, &mut identity.notes).await;
            identity.counts = Some(counts);
        }
    }
    if catalog.table("django_migrations").is_some() && identity.django.is_none() {
        identity.notes.push("Which of Django's migrations ran cannot be read here.".to_owned());
    }
    if catalog.engine == Engine::Mssql && catalog.table("django_migrations").is_some() {
        identity.notes.push(
            "A hybrid: Django's migrations ran here. It is moved with --mapping openimis/hybrid-to-modular.".into(),
        );
    }
    if session.json {
        show::json(&identity.summary())?;
    } else {
        show::print(&terminal::identity(&identity, &session.style))?;
    }
    if let Some(folder) = &args.report {
        for path in write_identity(folder, &identity).map_err(|e| Failure::failed(e.to_string()))? {
            session.say(&format!("Written: {}", path.display()));
        }
    }
    Ok(DONE)
}

/// The catalogue, and the source where there are rows.
async fn described(location: &Location, session: &Session) -> Result<(Option<Arc<dyn Source>>, Arc<Catalog>), Failure> {
    match location {
        Location::Catalog(_) | Location::Release(_) => Ok((None, session.catalog(location).await?)),
        _ => {
            let source = session.open(location).await?;
            let catalog = source.catalog().await?;
            Ok((Some(source), catalog))
        }
    }
}

/// Counts rows of tables, and of columns those that hold something. What cannot be counted is noted, and stops nothing.
async fn counted(source: &dyn Source, catalog: &Catalog, found: &Identification, notes: &mut Vec<String>) -> RowCounts {
    let mut counts = RowCounts::default();
    let there = || found.added.iter().chain(&found.by_django);
    for difference in there().filter(|d| d.thing == Thing::Table) {
        let Some(table) = table_of(catalog, &difference.name) else { continue };
        match source.count(table).await {
            Ok(rows) => drop(counts.tables.insert(difference.name.clone(), rows)),
            Err(error) => notes.push(format!("{} cannot be counted: {error}", difference.name)),
        }
    }
    let mut columns: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in there().filter(|d| d.thing == Thing::Column && d.found.is_some()) {
        columns.entry(difference.of_table().unwrap_or_default()).or_default().push(difference);
    }
    for (name, differences) in columns {
        let Some(table) = table_of(catalog, name) else { continue };
        let held: Vec<_> = differences
            .iter()
            .filter_map(|difference| Some((difference.name.clone(), table.column(difference.column()?)?)))
            .collect();
        let asked: Vec<_> = held.iter().map(|(_, column)| *column).collect();
        match source.filled(table, &asked).await {
            Ok(filled) => counts.columns.extend(held.iter().map(|(name, _)| name.clone()).zip(filled)),
            Err(error) => notes.push(format!("what {name} holds cannot be counted: {error}")),
        }
    }
    counts
}

/// The table of this name, which has its schema before it where that is not the usual one.
fn table_of<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a imis_schemas::Table> {
    let full = catalog.tables.iter().find(|table| format!("{}.{}", table.schema, table.name) == name);
    full.or_else(|| catalog.table(name))
}
