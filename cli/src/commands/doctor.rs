//! `imis doctor`.

use imis_databases::mssql::MssqlSource;
use imis_databases::postgres::{connect, doctor};
use imis_databases::snapshot::SnapshotSource;
use imis_databases::{Location, Source};
use imis_reports::terminal;

use crate::args::Doctor;
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn doctor(args: Doctor, session: &Session) -> Result<u8, Failure> {
    let mut places = args.locations;
    if places.is_empty() {
        places.extend(session.config.databases.keys().cloned());
    }
    if places.is_empty() {
        return Err(
            Failure::usage("there is nothing to look at").with_help("Give a location, or name databases in imis.yaml.")
        );
    }
    let mut code = DONE;
    let mut all = Vec::new();
    for place in places {
        let location = session.location(&place)?;
        match facts(&location, session).await {
            Ok(rows) => {
                if session.json {
                    let facts = object(rows);
                    all.push(serde_json::json!({"location": location.to_string(), "facts": facts}));
                } else {
                    show::print(&format!("{location}"))?;
                    let rows: Vec<_> = rows.into_iter().map(|(k, v)| vec![k.into(), v.into()]).collect();
                    show::print(&terminal::table(&["what", "is"], &rows, &session.style))?;
                }
            }
            Err(failure) => {
                // One place that is out of reach must not hide what the others say.
                failure.report(session.style.color);
                code = code.max(failure.code());
            }
        }
    }
    if session.json {
        show::json(&all)?;
    }
    Ok(code)
}

async fn facts(location: &Location, session: &Session) -> Result<Vec<(String, String)>, Failure> {
    match location {
        Location::Mssql(address) => {
            let source = MssqlSource::connect(address).await?;
            let facts = source.facts().await;
            for warning in &facts.warnings {
                session.warn(warning);
            }
            let value = serde_json::to_value(&facts).map_err(|e| Failure::failed(e.to_string()))?;
            let mut rows = flat(&value);
            let catalog = source.catalog().await?;
            rows.push(("tables that the login sees".into(), catalog.tables.len().to_string()));
            rows.extend(catalog.notes.iter().map(|note| ("note".to_owned(), note.clone())));
            Ok(rows)
        }
        Location::Postgres(address) => {
            let client = connect(address).await?;
            Ok(doctor::facts(&client).await?)
        }
        Location::Snapshot(folder) => {
            let source = SnapshotSource::open(folder)?;
            source.check_files()?;
            let manifest = source.manifest();
            let rows: u64 = manifest.tables.iter().map(|t| t.rows).sum();
            let refused: usize = manifest.tables.iter().map(|t| t.refused.len()).sum();
            Ok(vec![
                ("snapshot of".into(), manifest.from.clone()),
                ("taken".into(), format!("{} to {}", manifest.started, manifest.finished)),
                ("tables".into(), manifest.tables.len().to_string()),
                ("rows".into(), rows.to_string()),
                ("rows that could not be read".into(), refused.to_string()),
                ("files".into(), "each is the one that was written (SHA-256)".into()),
            ])
        }
        Location::Scripts(_) => {
            let source = session.open(location).await?;
            let catalog = source.catalog().await?;
            let mut rows = vec![("tables".to_owned(), catalog.tables.len().to_string())];
            if let Some(report) = source.scripts() {
                let count = |name: &str, count: u64| (name.to_owned(), count.to_string());
                rows.extend([
                    count("scripts", report.files),
                    count("statements", report.statements),
                    count("rows inserted", report.rows),
                    count("rows changed", report.updated),
                    count("rows deleted", report.deleted),
                    count("statements not understood or not carried out", report.unread),
                ]);
                let mut reasons: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
                report.list.iter().for_each(|unread| *reasons.entry(&unread.why).or_default() += 1);
                rows.extend(reasons.into_iter().map(|(why, n)| ("not carried out".to_owned(), format!("{n}: {why}"))));
                rows.extend(
                    report.nothing.iter().map(|(what, n)| ("without effect here".to_owned(), format!("{n}: {what}"))),
                );
            }
            Ok(rows)
        }
        Location::Catalog(_) | Location::Release(_) => {
            let catalog = session.catalog(location).await?;
            Ok(vec![("tables".into(), catalog.tables.len().to_string())])
        }
    }
}

/// Facts as an object; a name that comes several times has a line for each.
fn object(rows: Vec<(String, String)>) -> serde_json::Map<String, serde_json::Value> {
    let mut facts = serde_json::Map::new();
    for (name, value) in rows {
        let value = match facts.get(&name).and_then(|earlier| earlier.as_str()) {
            Some(earlier) => format!("{earlier}\n{value}"),
            None => value,
        };
        facts.insert(name, value.into());
    }
    facts
}

/// Facts as rows of a table; what is not known is left out.
fn flat(value: &serde_json::Value) -> Vec<(String, String)> {
    let Some(object) = value.as_object() else { return Vec::new() };
    object
        .iter()
        .filter(|(key, _)| *key != "warnings")
        .flat_map(|(key, value)| {
            let name = key.replace('_', " ");
            match value {
                serde_json::Value::Null => vec![(name, "not known".to_owned())],
                serde_json::Value::Bool(b) => vec![(name, if *b { "yes" } else { "no" }.to_owned())],
                serde_json::Value::String(text) => vec![(name, text.clone())],
                serde_json::Value::Array(items) => {
                    let name = if key == "notes" { "note".to_owned() } else { name };
                    items.iter().map(|i| (name.clone(), i.as_str().unwrap_or_default().to_owned())).collect()
                }
                other => vec![(name, other.to_string())],
            }
        })
        .collect()
}
