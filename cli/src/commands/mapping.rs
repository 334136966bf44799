//! `imis mapping`: check, explain, scaffold.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use imis_databases::{Location, Source};
use imis_mappings::bind::bind;
use imis_mappings::explain::explain as explained;
use imis_mappings::language::{Finding, Mapping, MappingErrors, pack_names};
use imis_mappings::scaffold::{Draft, scaffold as drafted};
use imis_mappings::seen::Seen;
use imis_schemas::Catalog;
use imis_schemas::document::Complaints;
use uuid::Uuid;

use crate::args::{MappingCheck, MappingExplain, MappingScaffold};
use crate::commands::Session;
use crate::commands::plan::{bind_live, errors_live};
use crate::exit::{DONE, Failure, SCHEMA};
use crate::show;

/// A source's catalogue, and the source itself where it has rows.
struct From {
    live: Option<Arc<dyn Source>>,
    catalog: Arc<Catalog>,
}

impl Session {
    async fn source(&self, location: &str) -> Result<From, Failure> {
        let location = self.location(location)?;
        match &location {
            Location::Catalog(_) | Location::Release(_) => {
                Ok(From { live: None, catalog: self.catalog(&location).await? })
            }
            _ => {
                let live = self.open(&location).await?;
                let catalog = live.catalog().await?;
                Ok(From { live: Some(live), catalog })
            }
        }
    }
}

impl From {
    async fn bind(&self, mapping: &Mapping, target: &Catalog) -> Result<imis_mappings::bind::BoundMapping, Failure> {
        match &self.live {
            Some(live) => bind_live(mapping, live.as_ref(), &self.catalog, target, Uuid::nil()).await,
            None => Ok(bind(mapping, &self.catalog, target, Uuid::nil()).await?),
        }
    }
}

pub(crate) async fn check(args: MappingCheck, session: &Session) -> Result<u8, Failure> {
    let mapping = session.mapping(&args.mapping)?;
    let source = session.source(&args.from).await?;
    let usual =
        if mapping.migrated == Some(false) { "release:modular/baseline-upstream" } else { "release:modular/1.11" };
    let target = session.catalog(&session.location(args.to.as_deref().unwrap_or(usual))?).await?;
    let target = mapping.loosened(Catalog::clone(&target));
    let bound = source.bind(&mapping, &target).await?;
    if session.json {
        show::json(&bound.hazards())?;
    } else {
        show::print(&imis_reports::terminal::hazards(bound.hazards(), &session.style))?;
        session.say(&format!(
            "{} fits: {} rules, {} source tables, {} hazards, each decided.",
            mapping.name,
            mapping.rules.len(),
            source.catalog.tables.len(),
            bound.hazards().len()
        ));
    }
    Ok(DONE)
}

pub(crate) async fn explain(args: MappingExplain, session: &Session) -> Result<u8, Failure> {
    let mapping = session.mapping(&args.mapping)?;
    let source = session.source(&args.from).await?;
    let target = session.catalog(&session.location(&args.to)?).await?;
    let bound = source.bind(&mapping, &target).await?;
    let told = explained(&mapping, &bound, &source.catalog, &target, &args.name).map_err(|unknown| {
        let failure = Failure::usage(unknown.message);
        match unknown.help {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    })?;
    if session.json {
        show::json(&told)?;
    } else {
        show::print(&imis_reports::terminal::explanation(&told, &session.style))?;
    }
    Ok(DONE)
}

pub(crate) async fn scaffold(args: MappingScaffold, session: &Session) -> Result<u8, Failure> {
    let mapping = session.mapping(&args.mapping)?;
    let source = session.source(&args.from).await?;
    let target = session.catalog(&session.location(&args.to)?).await?;
    let (mut seen, live) = (Seen::default(), source.live.as_deref());
    let Some(errors) = errors_live(&mapping, live, &source.catalog, &target, &mut seen).await? else {
        session.say(&format!("{} knows everything that this source has; there is nothing to draft.", mapping.name));
        return Ok(DONE);
    };
    let rows = count_tables(&errors, &source).await;
    let extends = extended(&args.mapping, args.output.as_deref());
    let name = format!("country/{}", args.name);
    let draft = Draft { name: &name, key: &args.name, extends: &extends };
    let drafted = drafted(&mapping, &errors, &source.catalog, &target, &|table| rows.get(table).copied(), &draft);
    if drafted.carried.is_empty() && drafted.undecided.is_empty() {
        // What does not fit is nothing that an overlay could take up.
        return Err(errors.into());
    }
    match &args.output {
        None => show::print(&drafted.text)?,
        Some(path) => {
            let new = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            let written = new.and_then(|mut file| std::io::Write::write_all(&mut file, drafted.text.as_bytes()));
            written.map_err(|e| Failure::usage(format!("{} cannot be written: {e}", path.display())))?;
        }
    }
    let count = |list: &[String]| list.len();
    session.say(&format!(
        "{} drafted into JSON columns or rules of their own, {} with a reason to be written (search for TODO).",
        count(&drafted.carried),
        count(&drafted.undecided)
    ));
    // Complaints about something else stay, and are shown: the draft does not help with them.
    let others: Vec<_> = errors
        .0
        .into_iter()
        .filter(|error| !matches!(error.finding.as_deref(), Some(Finding::Column { .. } | Finding::Table { .. })))
        .collect();
    if others.is_empty() {
        return Ok(DONE);
    }
    let failure = Failure::from(Complaints(others));
    session.say("Not everything can be drafted:");
    failure.report(session.style.color);
    Ok(SCHEMA)
}

/// How many rows the tables have that go nowhere; those that cannot be counted are left out.
async fn count_tables(errors: &MappingErrors, source: &From) -> HashMap<String, u64> {
    let mut rows = HashMap::new();
    let Some(live) = &source.live else { return rows };
    for error in &errors.0 {
        if let Some(Finding::Table { table }) = error.finding.as_deref()
            && let Some(found) = source.catalog.table(table)
            && let Ok(count) = live.count(found).await
        {
            rows.insert(table.clone(), count);
        }
    }
    rows
}

/// What `extends` says: a pack by its name, a file as seen from beside the new one.
fn extended(mapping: &str, output: Option<&Path>) -> String {
    if pack_names().any(|known| known == mapping) {
        return mapping.to_owned();
    }
    let path = Path::new(mapping);
    let folder = |path: &Path| {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.canonicalize().ok()
    };
    let beside = output.is_none_or(|output| folder(output) == folder(path));
    match path.file_name().filter(|_| beside) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string(),
    }
}
