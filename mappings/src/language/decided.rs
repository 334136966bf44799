//! A test over facts: every key and every unique that a legacy or a modular database holds is decided in the pack.

use std::collections::BTreeSet;
use std::path::PathBuf;

use imis_schemas::same_name;
use serde_json::Value;

use super::{Mapping, Step};

fn facts() -> Option<PathBuf> {
    let named = std::env::var_os("IMIS_SHARED").map(PathBuf::from);
    let shared = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let facts = shared.join("facts");
    if facts.join("modular-1.11.json").exists() {
        return Some(facts);
    }
    eprintln!("the facts are missing: {} (IMIS_SHARED names another place)", facts.display());
    None
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The columns that only the baseline calls otherwise.
fn column_now(table: &str, column: &str) -> String {
    match (table, column.to_lowercase().as_str()) {
        ("tblUsers", "userid") => "id".to_owned(),
        ("tblUsers", "useruuid") => "uuid".to_owned(),
        (_, other) => other.to_owned(),
    }
}

#[test]
fn every_key_and_unique_is_decided() {
    let Some(facts) = facts() else { return };
    let read =
        |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(facts.join(name)).unwrap()).unwrap() };
    let (live, baseline, legacy) =
        (read("modular-1.11.json"), read("modular-baseline.json"), read("legacy-24.04.json"));
    let mapping = Mapping::pack("openimis/legacy-to-modular").unwrap();
    let filled: BTreeSet<&str> = mapping.rules.iter().map(|rule| rule.to.value.as_str()).collect();

    let mut keys: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut uniques: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
    for table in &filled {
        for facts in [&live, &baseline] {
            let of = &facts["tables"][*table];
            for key in of["fks"].as_array().into_iter().flatten() {
                let column = names(&key["cols"]).join(", ");
                keys.insert(((*table).to_owned(), column_now(table, &column), key["ref"].as_str().unwrap().to_owned()));
            }
            for unique in of["uniques"].as_array().into_iter().flatten() {
                let columns = names(&unique["cols"]).iter().map(|c| column_now(table, c)).collect();
                uniques.insert(((*table).to_owned(), sorted(columns)));
            }
            for index in of["indexes"].as_array().into_iter().flatten().filter_map(|index| index["def"].as_str()) {
                let Some((_, list)) = index.split_once(" USING btree (").filter(|_| index.contains("UNIQUE")) else {
                    continue;
                };
                let list = list.split(')').next().unwrap().replace('"', "");
                let columns = list.split(", ").map(|c| column_now(table, c)).collect();
                uniques.insert(((*table).to_owned(), sorted(columns)));
            }
        }
        for key in legacy["tables"][*table]["fks"].as_array().into_iter().flatten() {
            let column = key["col"].as_str().unwrap().to_lowercase();
            keys.insert(((*table).to_owned(), column_now(table, &column), key["ref"].as_str().unwrap().to_owned()));
        }
    }
    // What the models say and no database holds: the list of the direct route.
    let route = std::fs::read_to_string(facts.join("direct-route.md")).unwrap();
    for line in route.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, from, to, _, held, _, ..] = cells.as_slice()
            && let Some((table, column)) = from.split_once('.')
            && held.len() == 4
            && filled.contains(to)
        {
            keys.insert((table.to_owned(), column.to_lowercase(), (*to).to_owned()));
        }
    }
    // One-to-one in the models, and identifiers that no database holds unique.
    for (table, columns) in [
        ("tblInsuree", "photoid"),
        ("tblClaim", "feedbackid"),
        ("tblFeedback", "claimid"),
        ("tblRole", "roleuuid"),
        ("tblPayment", "paymentuuid"),
        ("tblPolicyRenewals", "renewaluuid"),
        ("tblExtracts", "extractuuid"),
    ] {
        uniques.insert((table.to_owned(), vec![columns.to_owned()]));
    }
    assert!(keys.len() > 110 && uniques.len() > 80, "{} keys, {} uniques", keys.len(), uniques.len());

    let mut undecided = Vec::new();
    for (table, column, to) in &keys {
        let decided = mapping.rules.iter().filter(|rule| same_name(&rule.to.value, table)).any(|rule| {
            rule.keys.iter().any(|(own, key)| same_name(&own.value, column) && same_name(&key.to.value.0, to))
        });
        if !decided {
            undecided.push(format!("the key {table}.{column} to {to}"));
        }
    }
    for (table, columns) in &uniques {
        // A primary key that the source has too is held there; repeats of it, if a country has any, are rejected unasked.
        let theirs = names(&legacy["tables"][table]["pk"]).iter().map(|c| column_now(table, c)).collect::<Vec<_>>();
        let own = names(&live["tables"][table]["pk"]);
        if sorted(theirs) == *columns || (own == *columns && legacy["tables"][table].is_null()) {
            continue;
        }
        let decided = mapping.rules.iter().filter(|rule| same_name(&rule.to.value, table)).any(|rule| {
            rule.uniques
                .iter()
                .any(|unique| sorted(unique.columns.iter().map(|c| c.value.to_lowercase()).collect()) == *columns)
        });
        if !decided {
            undecided.push(format!("the unique {table} ({})", columns.join(", ")));
        }
    }
    assert!(undecided.is_empty(), "not decided in the pack:\n{}", undecided.join("\n"));

    // What is not held has a reason, and so has everything that is neither emptied nor rejected.
    for rule in &mapping.rules {
        for (column, key) in &rule.keys {
            let plain =
                key.broken.iter().all(|step| matches!(step.value, Step::Spelling | Step::Null(None) | Step::Reject));
            assert!(plain || key.why.is_some(), "{}.{} says no `why`", rule.name.value, column.value);
        }
        for unique in &rule.uniques {
            let kept = unique.repeated.value == super::Repeated::Keep;
            assert!(!kept || unique.why.is_some(), "a unique of {} that is not held says no `why`", rule.name.value);
        }
    }
}
