//! Makes `schemas/releases/legacy.zst`, the file of the legacy releases.
//!
//! From the facts, which hold what the public release scripts say:
//!
//! ```sh
//! cargo run -p imis-schemas --example releases -- --facts FOLDER
//! ```
//!
//! A further release, from a catalogue of it: of a database on which it was installed afresh, or of its scripts. Its line in
//! `legacy.tsv` is written, too, before the releases that were never released:
//!
//! ```sh
//! imis introspect mssql://... -o new.yaml
//! cargo run -p imis-schemas --example releases -- --add 24.10=new.yaml --date 2024-10
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use imis_schemas::legacy::{self, LegacyRelease};
use imis_schemas::{Catalog, Column, Engine, Known, Routine, Table, View};
use serde_json::{Map, Value};

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let output = Path::new(env!("CARGO_MANIFEST_DIR")).join("releases/legacy.zst");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = output.with_file_name("legacy.tsv");
    let mut lines: Vec<String> = std::fs::read_to_string(&list)?.lines().map(str::to_owned).collect();
    let releases = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--facts", folder] => from_facts(Path::new(folder))?,
        ["--add", addition, ref date @ ..] => {
            let (name, path) = addition.split_once('=').ok_or("write --add NAME=FILE")?;
            let date = match date {
                [] => None,
                ["--date", date] => Some(*date),
                _ => return Err("after --add NAME=FILE there may be --date YEAR-MONTH".into()),
            };
            if !lines.iter().any(|line| named(line) == name) {
                let date = date.ok_or_else(|| format!("{name} is new: say when it was released, --date YEAR-MONTH"))?;
                let end = lines.iter().position(|line| line.split('\t').nth(2) == Some("-")).unwrap_or(lines.len());
                lines.insert(end, format!("{name}\t-\t{date}\t{name}"));
            }
            let mut releases = legacy::open(&std::fs::read(&output)?)?;
            releases.retain(|release| release.name != name);
            releases.push(from_catalog(name, Catalog::parse(&std::fs::read_to_string(path)?)?));
            releases
        }
        _ => return Err("write --facts FOLDER or --add NAME=CATALOGUE [--date YEAR-MONTH]".into()),
    };
    let count = releases.len();
    let order: Vec<&str> = lines.iter().map(|line| named(line)).collect();
    let bytes = legacy::pack(releases, &order)?;
    std::fs::write(&output, &bytes)?;
    std::fs::write(&list, lines.join("\n") + "\n")?;
    println!("{count} releases, {} bytes: {}", bytes.len(), output.display());
    Ok(())
}

/// The name in a line of the list.
fn named(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

/// What a database shows of a release; texts of routines become fingerprints.
fn from_catalog(name: &str, mut catalog: Catalog) -> LegacyRelease {
    let mut types: Vec<String> = catalog.types.items().iter().map(|own| own.name.clone()).collect();
    types.sort();
    catalog.types = Known::No;
    let mut fingerprints = BTreeMap::new();
    if let Known::Yes(routines) = &mut catalog.routines {
        for routine in routines {
            let own = routine.definition.take().map(|text| legacy::fingerprints(&text)).unwrap_or_default();
            // The cut that another release's fingerprint has is the one to go by.
            let key = routine.name.to_lowercase();
            let known =
                |print: &&String| legacy::legacy_releases().iter().any(|r| r.fingerprints.get(&key) == Some(print));
            if let Some(print) = own.iter().find(known).or(own.first()) {
                fingerprints.insert(key.clone(), print.clone());
            }
        }
    }
    if let Known::Yes(views) = &mut catalog.views {
        views.iter_mut().for_each(|view| view.definition = None);
    }
    (catalog.server, catalog.collation, catalog.notes) = (None, None, Vec::new());
    for table in &mut catalog.tables {
        *table = bare_table(&table.schema, &table.name, std::mem::take(&mut table.columns));
    }
    LegacyRelease { name: name.to_owned(), catalog, fingerprints, types }
}

fn bare_table(schema: &str, name: &str, columns: Vec<Column>) -> Table {
    Table {
        schema: schema.to_owned(),
        name: name.to_owned(),
        columns,
        primary_key: Known::No,
        foreign_keys: Known::No,
        uniques: Known::No,
        indexes: Known::No,
        checks: Known::No,
    }
}

fn json(path: PathBuf) -> Done<Map<String, Value>> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

fn from_facts(folder: &Path) -> Done<Vec<LegacyRelease>> {
    let facts = json(folder.join("legacy-releases.json"))?;
    let prints = json(folder.join("legacy-routine-fingerprints.json"))?;
    let mut releases = Vec::new();
    for known in legacy::legacy_names() {
        let fact = facts.get(known.fact).ok_or_else(|| format!("the facts know no {}", known.fact))?;
        let names = |key: &str| -> Vec<String> {
            let list = fact[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            list.map(str::to_owned).collect()
        };
        let mut catalog = Catalog::new(Engine::Mssql);
        for (name, columns) in fact["tables"].as_object().into_iter().flatten() {
            let columns = columns.as_object().into_iter().flatten().map(|(name, said)| column(name, said));
            catalog.tables.push(bare_table("dbo", name, columns.collect::<Done<_>>()?));
        }
        let place = |full: &str| {
            let (schema, name) = full.split_once('.').unwrap_or(("dbo", full));
            (schema.to_owned(), name.to_owned())
        };
        let routine = |kind: &str, full: &String| {
            let (schema, name) = place(full);
            // A word of the script that was taken for a name.
            let real = !name.eq_ignore_ascii_case("create");
            real.then(|| Routine { schema, name, kind: kind.to_owned(), definition: None })
        };
        let mut routines: Vec<Routine> = names("procs").iter().filter_map(|p| routine("procedure", p)).collect();
        routines.extend(names("funcs").iter().filter_map(|f| routine("function", f)));
        catalog.routines = Known::Yes(routines);
        catalog.views = Known::Yes(
            names("views")
                .iter()
                .map(|full| {
                    let (schema, name) = place(full);
                    View { schema, name, definition: None }
                })
                .collect(),
        );
        let own = prints.get(known.fact).and_then(Value::as_object);
        let fingerprints = own.into_iter().flatten();
        let fingerprints =
            fingerprints.filter_map(|(name, print)| Some((name.to_lowercase(), print.as_str()?.to_owned())));
        releases.push(LegacyRelease {
            name: known.name.to_owned(),
            catalog,
            fingerprints: fingerprints.collect(),
            types: names("types"),
        });
    }
    Ok(releases)
}

/// A column from `nvarchar(50) NOT NULL`.
fn column(name: &str, said: &Value) -> Done<Column> {
    let said = said.as_str().ok_or("a column without a type")?;
    let (data_type, nullable) = match said.strip_suffix(" NOT NULL") {
        Some(data_type) => (data_type, false),
        None => (said.strip_suffix(" NULL").unwrap_or(said), true),
    };
    Ok(Column {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        nullable,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    })
}
