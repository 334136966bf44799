//! Drafts an overlay for what a mapping does not know of a source: a country's own columns and tables.
//!
//! A column goes into the JSON column of its target table where there is one, under a key of the country, beside what the
//! mapping puts there already. What has no such place is left with a reason that begins with TODO; the mapping is refused
//! until somebody has written a real one, so that nothing is lost by a draft that nobody read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use imis_schemas::{Catalog, Column, DataType, Engine, Table, same_name};

use crate::language::{Finding, Mapping, MappingErrors, Rule, TODO, closest};

/// What the draft is called, and what it builds on.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The name of the new mapping: `country/nepal`.
    pub name: &'a str,
    /// The key under which values stand in JSON columns: `nepal`.
    pub key: &'a str,
    /// What `extends` says.
    pub extends: &'a str,
}

/// A drafted overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drafted {
    /// The file.
    pub text: String,
    /// Columns that go into a JSON column.
    pub carried: Vec<String>,
    /// Columns and tables for which somebody has to write a reason, or a better place.
    pub undecided: Vec<String>,
}

/// Table, column, and how many rows hold something in it.
type OwnColumn<'a> = (&'a str, &'a str, Option<u64>);

/// Drafts an overlay out of what a mapping complained about. `rows` says how many rows a table has.
pub fn scaffold(
    mapping: &Mapping,
    errors: &MappingErrors,
    source: &Catalog,
    target: &Catalog,
    rows: &dyn Fn(&str) -> Option<u64>,
    draft: &Draft<'_>,
) -> Drafted {
    let mut drafted = Drafted::default();
    let mut by_rule: BTreeMap<&str, Vec<OwnColumn<'_>>> = BTreeMap::new();
    let mut tables: Vec<&str> = Vec::new();
    for error in &errors.0 {
        match error.finding.as_deref() {
            Some(Finding::Column { rule, table, column, filled }) => {
                by_rule.entry(rule).or_default().push((table, column, *filled));
            }
            Some(Finding::Table { table }) => tables.push(table),
            _ => {}
        }
    }
    let mut text = format!(
        "# What this country added to openIMIS, drafted by `imis mapping scaffold`. Read every line: a reason that begins with\n\
         # {TODO} is refused until somebody has written a real one.\n\
         mapping: {}\nextends: {}\n",
        yaml(draft.name),
        yaml(draft.extends)
    );
    let mut rules = String::new();
    let mut left = String::new();
    for name in tables {
        let known = rows(name).map_or("its rows were not counted".to_owned(), counted);
        match (source.table(name), target.table(name)) {
            (Some(own), Some(other)) if fits(own, other) => {
                let _ = writeln!(rules, "  # A table of the country's own ({known}); the target has one of this name.");
                let _ = writeln!(
                    rules,
                    "  {}:\n    from: {}\n    to: {}",
                    yaml(&rule_name(mapping, name)),
                    yaml(name),
                    yaml(&other.name)
                );
                drafted.carried.push(name.to_owned());
            }
            (_, other) => {
                let _ = writeln!(left, "  # A table of the country's own: {known}.");
                let near = other
                    .map(|t| t.name.as_str())
                    .or_else(|| closest(name, target.tables.iter().map(|t| t.name.as_str())));
                if let Some(near) = near {
                    let _ = writeln!(
                        left,
                        "  # The target has {near}; is that the place? Then: `rules: {{ x: {{ from: {name}, to: {near} }} }}`."
                    );
                }
                let _ =
                    writeln!(left, "  {}: {}", yaml(name), yaml(&format!("{TODO}: why may these rows stay behind?")));
                drafted.undecided.push(name.to_owned());
            }
        }
    }
    for (name, columns) in by_rule {
        let Some(rule) = mapping.rules.iter().find(|rule| rule.name.value == name) else { continue };
        let own = |column: &str| {
            columns.first().and_then(|(table, ..)| source.table(table)).and_then(|t| t.column(column)).cloned()
        };
        let Some(to) = target.table(&rule.to.value) else { continue };
        let json = to.columns.iter().find(|c| is_json_place(c));
        let mut values: Vec<(Column, Option<u64>)> = Vec::new();
        let mut leave = String::new();
        for (table, column, filled) in &columns {
            let Some(found) = own(column) else { continue };
            let full = format!("{table}.{column}");
            let holds = filled.map_or("not counted".to_owned(), |n| format!("{} hold a value", counted(n)));
            if found.data_type(Engine::Mssql) == DataType::RowVersion {
                let _ = writeln!(leave, "      {}: \"rowversion, without meaning outside SQL Server\"", yaml(column));
                continue;
            }
            if json.is_some() && as_json(&found) {
                drafted.carried.push(full);
                values.push((found, *filled));
                continue;
            }
            let _ = writeln!(leave, "      # {}, {holds}; the target table has no place for it.", found.data_type);
            suggest(&mut leave, column, to, rule);
            let _ = writeln!(
                leave,
                "      {}: {}",
                yaml(column),
                yaml(&format!("{TODO}: why may these values stay behind?"))
            );
            drafted.undecided.push(full);
        }
        let _ = writeln!(rules, "  {}:", yaml(name));
        if let (Some(json), false) = (json, values.is_empty()) {
            let _ = writeln!(rules, "    columns:");
            for (column, filled) in &values {
                let holds = filled.map_or("not counted".to_owned(), |n| format!("{} hold a value", counted(n)));
                let _ = writeln!(rules, "      # {} {}: {holds}.", column.name, column.data_type);
                suggest(&mut rules, &column.name, to, rule);
            }
            let source_table = columns.first().and_then(|(table, ..)| source.table(table));
            let expression = json_expression(rule, json, source_table, draft.key, &values);
            let _ = writeln!(rules, "      {}:", yaml(&json.name));
            let _ = writeln!(rules, "        value: {}", yaml(&expression));
            let _ = writeln!(
                rules,
                "        why: \"Columns of the country's own, kept under the key {}.\"",
                draft.key.replace(['"', '\\'], "'")
            );
        }
        if !leave.is_empty() {
            let _ = writeln!(rules, "    leave:");
            rules.push_str(&leave);
        }
    }
    if !left.is_empty() {
        let _ = write!(text, "leave-tables:\n{left}");
    }
    if !rules.is_empty() {
        let _ = write!(text, "rules:\n{rules}");
    }
    drafted.text = text;
    drafted
}

/// The JSON column in which the backend keeps what has no column of its own.
fn is_json_place(column: &Column) -> bool {
    column.data_type(Engine::Postgres) == DataType::Jsonb
        && column.name.replace('_', "").eq_ignore_ascii_case("jsonext")
}

/// Whether values of a column can be said in JSON: bytes cannot.
fn as_json(column: &Column) -> bool {
    !matches!(
        column.data_type(Engine::Mssql),
        DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion
    )
}

/// The JSON of these columns, beside what the rule puts into the column already.
fn json_expression(
    rule: &Rule,
    json: &Column,
    source: Option<&Table>,
    key: &str,
    values: &[(Column, Option<u64>)],
) -> String {
    let pairs = values.iter().map(|(column, _)| {
        format!("{}, {}", Engine::Postgres.literal(&column.name), Engine::Postgres.quote(&column.name))
    });
    let object = format!("json_object({})", pairs.collect::<Vec<_>>().join(", "));
    let said = rule
        .columns
        .iter()
        .find(|(name, _)| same_name(&name.value, &json.name))
        .and_then(|(_, said)| said.value.as_ref());
    let by_name = source.and_then(|table| table.column(&json.name)).map(|column| Engine::Postgres.quote(&column.name));
    let before = said.map(|value| value.value.split_whitespace().collect::<Vec<_>>().join(" ")).or(by_name);
    let key = Engine::Postgres.literal(key);
    match before {
        Some(before) => format!("json_object({before}, {key}, {object})"),
        None => format!("json_object({key}, {object})"),
    }
}

/// A comment that names a target column of a similar name that gets nothing yet.
fn suggest(out: &mut String, column: &str, to: &Table, rule: &Rule) {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let free = |c: &&Column| !rule.columns.iter().any(|(name, _)| same_name(&name.value, &c.name));
    let exact = to.columns.iter().filter(free).find(|c| plain(&c.name) == plain(column));
    let near = exact
        .map(|c| c.name.as_str())
        .or_else(|| closest(column, to.columns.iter().filter(free).map(|c| c.name.as_str())));
    if let Some(near) = near {
        let _ = writeln!(
            out,
            "      # The target has {near}; if it means the same, under columns: {}: {}",
            yaml(near),
            yaml(&quoted(column))
        );
    }
}

/// A column as an expression: quoted where it must be.
fn quoted(column: &str) -> String {
    let simple = column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !column.starts_with(|c: char| c.is_ascii_digit());
    if simple { column.to_owned() } else { Engine::Postgres.quote(column) }
}

/// Whether a rule that takes everything by name would do.
fn fits(own: &Table, other: &Table) -> bool {
    let taken = own.columns.iter().all(|c| other.column(&c.name).is_some());
    let given = other
        .columns
        .iter()
        .all(|c| c.nullable || c.default.is_some() || c.identity || own.column(&c.name).is_some_and(|o| !o.nullable));
    taken && given
}

fn rule_name(mapping: &Mapping, table: &str) -> String {
    let name = table.strip_prefix("tbl").unwrap_or(table).to_lowercase();
    if mapping.rules.iter().any(|rule| rule.name.value == name) { format!("{name}-of-the-country") } else { name }
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// A text as YAML takes it for nothing but a text.
fn yaml(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-' | '.'))
        && text.chars().next().is_some_and(|c| c.is_ascii_alphabetic())
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    // JSON's quoting is YAML's double quoting.
    if plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}
