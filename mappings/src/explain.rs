//! Where a column comes from and where it goes, told from a bound mapping.
//!
//! Both directions: a source column with every target column that it feeds, or why it stays behind; a target column with
//! what fills it, or that nothing does. A whole table is the list of its columns.

use imis_schemas::legacy::since;
use imis_schemas::{Catalog, Column, Engine, Table, same_name};
use serde::Serialize;

use crate::bind::{BoundMapping, Flow, Taken};
use crate::language::{Existing, Filter, KeyRule, Located, Mapping, Place, Rule, Step, closest};

/// What becomes of a table or column, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked for, as the catalogues spell it.
    pub name: String,
    /// The mapping.
    pub mapping: String,
    /// The release of the source, with its twins.
    pub release: Option<String>,
    /// What becomes of it as a part of the source; none where the source has nothing of this name.
    pub source: Option<Side>,
    /// What it is made of as a part of the target.
    pub target: Option<Side>,
}

/// One side: a table, or a column of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// The column's type, and whether it takes NULL.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// What happens where no rule does anything: it stays behind, it is empty, it gets its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    /// The rules of a table, or the ways of a column.
    pub ways: Vec<Way>,
    /// A table's columns, each in a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Line>,
}

/// One way of a value, by a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The rule.
    pub rule: String,
    /// File and line of it.
    pub place: String,
    /// The source: columns, a table, or a query.
    pub from: String,
    /// The target, with its type.
    pub to: String,
    /// How: `by name`, `by expression`, `when missing`, `left behind`, `by query`, `no target column`.
    pub how: String,
    /// The expression, where it is more than the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// What a source gets that has not the column yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_missing: Option<String>,
    /// The release that brought the source column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The reason that the mapping gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Losses, rejects and conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The key that must hold, and what becomes of one that does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One column of a table, in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The column.
    pub column: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Where it goes to, or comes from.
    pub what: String,
}

/// Nothing has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unknown {
    /// What is not there.
    pub message: String,
    /// What may be meant.
    pub help: Option<String>,
}

/// Explains `TABLE` or `TABLE.COLUMN`, case aside, a schema in front of it aside.
///
/// # Errors
/// When neither source nor target has it.
pub fn explain(
    mapping: &Mapping,
    bound: &BoundMapping,
    source: &Catalog,
    target: &Catalog,
    name: &str,
) -> Result<Explanation, Unknown> {
    let bare: String = name.chars().filter(|c| !matches!(c, '[' | ']' | '"')).collect();
    let bare = ["dbo.", "public."].iter().find_map(|s| bare.strip_prefix(s)).unwrap_or(&bare).to_owned();
    let (table, column) = match bare.split_once('.') {
        Some((table, column)) => (table, Some(column)),
        None => (bare.as_str(), None),
    };
    let (own, other) = (source.table(table), target.table(table));
    if own.is_none() && other.is_none() {
        let names = source.tables.iter().chain(&target.tables).map(|t| t.name.as_str());
        return Err(unknown(format!("neither source nor target has a table {table}"), closest(table, names)));
    }
    let explainer = Explainer { mapping, bound, source, target };
    let (own, other) = match column {
        None => (own.map(|t| explainer.source_table(t)), other.map(|t| explainer.target_table(t))),
        Some(column) => {
            let of = |table: Option<&Table>| table.and_then(|t| t.column(column)).cloned();
            let (from, to) = (of(own), of(other));
            // An older source lacks a column that its target has: then the target's side tells it.
            if from.is_none() && to.is_none() {
                let names = own.into_iter().chain(other).flat_map(|t| t.columns.iter().map(|c| c.name.as_str()));
                let spelled = own.or(other).map_or(table, |t| t.name.as_str());
                return Err(unknown(format!("{spelled} has no column {column}"), closest(column, names)));
            }
            (
                own.zip(from).map(|(t, c)| explainer.source_column(t, &c)),
                other.zip(to).map(|(t, c)| explainer.target_column(t, &c)),
            )
        }
    };
    Ok(Explanation {
        name: own.as_ref().or(other.as_ref()).map_or(bare.clone(), |side| side.name.clone()),
        mapping: mapping.name.clone(),
        release: bound.release().map(|release| release.label()),
        source: own,
        target: other,
    })
}

fn unknown(message: String, near: Option<&str>) -> Unknown {
    Unknown { message, help: near.map(|near| format!("Did you mean {near}?")) }
}

struct Explainer<'a> {
    mapping: &'a Mapping,
    bound: &'a BoundMapping,
    source: &'a Catalog,
    target: &'a Catalog,
}

impl Explainer<'_> {
    /// The rules that carry a source table.
    fn rules_from<'s>(&'s self, table: &'s Table) -> impl Iterator<Item = &'s Rule> {
        self.mapping.rules.iter().filter(move |rule| {
            let first = rule.source_tables().iter().find(|name| self.source.table(&name.value).is_some());
            first.is_some_and(|name| same_name(&name.value, &table.name))
        })
    }

    fn rule(&self, name: &str) -> Option<&Rule> {
        self.mapping.rules.iter().find(|rule| rule.name.value == name)
    }

    fn source_table(&self, table: &Table) -> Side {
        let mut side = Side { name: table.name.clone(), ..Side::default() };
        for rule in self.rules_from(table) {
            side.ways.push(self.table_way(rule));
        }
        if side.ways.is_empty() {
            side.otherwise = Some(match reason(&self.mapping.leave_tables, &table.name) {
                Some(why) => format!("stays behind: {why}"),
                None => "no rule carries it".to_owned(),
            });
        } else {
            side.columns = table.columns.iter().map(|column| self.source_line(table, column)).collect();
        }
        side
    }

    fn target_table(&self, table: &Table) -> Side {
        let rules = self.mapping.rules.iter().filter(|rule| same_name(&rule.to.value, &table.name));
        let mut side =
            Side { name: table.name.clone(), ways: rules.map(|r| self.table_way(r)).collect(), ..Side::default() };
        if side.ways.is_empty() {
            side.otherwise = Some("no rule fills it: its rows stay as they are".to_owned());
        } else {
            let line = |column: &Column| {
                let told = self.target_column(table, column);
                let mut what: Vec<String> = told.ways.iter().map(brief_origin).collect();
                what.extend(told.otherwise);
                Line {
                    column: column.name.clone(),
                    data_type: spelled(column, Engine::Postgres),
                    what: what.join("; "),
                }
            };
            side.columns = table.columns.iter().map(line).collect();
        }
        side
    }

    fn table_way(&self, rule: &Rule) -> Way {
        let from = match rule.source_tables().iter().find(|name| self.source.table(&name.value).is_some()) {
            Some(table) => table.value.clone(),
            None if rule.query().is_some() => "a query".to_owned(),
            None => {
                format!("nothing: the source has no {}", rule.source_tables().first().map_or("table", |t| &t.value))
            }
        };
        let mut notes = Vec::new();
        match &rule.existing {
            Existing::Refuse => notes.push("rows that the target has already stop the run".to_owned()),
            Existing::Replace => notes.push("rows that the target has already are replaced".to_owned()),
            Existing::Keep { .. } => notes.push("rows that the target has already stay".to_owned()),
            Existing::Merge { by, .. } => notes.push(format!("merged with the target's rows by {}", by.join(", "))),
            #[allow(unreachable_patterns)]
            _ => {}
        }
        notes.extend(rule.filter.as_ref().map(filtered));
        notes.extend(rule.note.clone());
        Way {
            rule: rule.name.value.clone(),
            place: place(&rule.name.place),
            from,
            to: rule.to.value.clone(),
            how: if rule.query().is_some() { "by query" } else { "row by row" }.to_owned(),
            why: rule.may_be_missing.clone().map(|why| format!("may be missing in older releases: {why}")),
            since: rule
                .source_tables()
                .first()
                .and_then(|t| since(&t.value, None))
                .filter(|r| *r != "18.0.0")
                .map(str::to_owned),
            notes,
            ..Way::default()
        }
    }

    fn source_line(&self, table: &Table, column: &Column) -> Line {
        let told = self.source_column(table, column);
        let mut what: Vec<String> = told.ways.iter().map(brief_end).collect();
        what.extend(told.otherwise);
        Line { column: column.name.clone(), data_type: spelled(column, Engine::Mssql), what: what.join("; ") }
    }

    fn source_column(&self, table: &Table, column: &Column) -> Side {
        let mut side = Side {
            name: format!("{}.{}", table.name, column.name),
            data_type: Some(spelled(column, self.source.engine)),
            ..Side::default()
        };
        for rule in self.rules_from(table) {
            let uses = |flow: &&Flow| {
                flow.rule == rule.name.value && flow.used.iter().any(|used| same_name(used, &column.name))
            };
            for flow in self.bound.flows.iter().filter(uses) {
                side.ways.push(self.way(rule, flow, Some(table)));
            }
            for (list, how) in [(&rule.leave, "left behind"), (&rule.leave_if_absent, "no target column")] {
                let Some(why) = reason(list, &column.name) else { continue };
                let taken = side.ways.iter().any(|way| way.rule == rule.name.value);
                if !taken {
                    side.ways.push(Way {
                        rule: rule.name.value.clone(),
                        place: place(&rule.name.place),
                        from: format!("{} {}", side.name, spelled(column, self.source.engine)),
                        to: "-".to_owned(),
                        how: how.to_owned(),
                        why: Some(why.to_owned()),
                        notes: self.hazards(&rule.name.value, &column.name),
                        ..Way::default()
                    });
                }
            }
        }
        if side.ways.is_empty() {
            let empty = self
                .bound
                .hazards
                .iter()
                .any(|h| h.name == "empty-column" && h.column.as_deref() == Some(&column.name));
            side.otherwise = Some(match reason(&self.mapping.leave_tables, &table.name) {
                Some(why) => format!("the table stays behind: {why}"),
                None if empty => "stays behind: no row holds more than its default in it".to_owned(),
                None => match self.rules_from(table).find(|rule| rule.query().is_some()) {
                    Some(rule) => {
                        format!("the query of rule {} reads it ({})", rule.name.value, place(&rule.name.place))
                    }
                    None => "no rule carries it; a query may read it".to_owned(),
                },
            });
        }
        side
    }

    fn target_column(&self, table: &Table, column: &Column) -> Side {
        let mut side = Side {
            name: format!("{}.{}", table.name, column.name),
            data_type: Some(spelled(column, self.target.engine)),
            ..Side::default()
        };
        for flow in
            self.bound.flows.iter().filter(|f| same_name(&f.to, &table.name) && same_name(&f.column, &column.name))
        {
            if let Some(rule) = self.rule(&flow.rule) {
                let source = flow.from.as_deref().and_then(|name| self.source.table(name));
                side.ways.push(self.way(rule, flow, source));
            }
        }
        if side.ways.is_empty() {
            side.otherwise = Some(match &column.default {
                _ if !self.mapping.rules.iter().any(|rule| same_name(&rule.to.value, &table.name)) => {
                    "no rule fills the table".to_owned()
                }
                _ if column.identity => "the server numbers it".to_owned(),
                Some(default) => format!("gets its default, {default}"),
                None => "stays empty (NULL)".to_owned(),
            });
        }
        side
    }

    fn way(&self, rule: &Rule, flow: &Flow, source: Option<&Table>) -> Way {
        let said = rule.columns.iter().find(|(name, _)| same_name(&name.value, &flow.column)).map(|(_, said)| said);
        let typed = |name: &String| match source.and_then(|t| t.column(name).map(|c| (t, c))) {
            Some((t, c)) => format!("{}.{} {}", t.name, c.name, spelled(c, self.source.engine)),
            None => name.clone(),
        };
        let from = match (&flow.from, flow.used.is_empty()) {
            (None, _) => "a query".to_owned(),
            (Some(table), true) => format!("no column of {table}"),
            (Some(_), false) => flow.used.iter().map(typed).collect::<Vec<_>>().join(", "),
        };
        let target = self.target.table(&flow.to).and_then(|t| t.column(&flow.column));
        let to = format!(
            "{}.{} {}",
            flow.to,
            flow.column,
            target.map(|c| spelled(c, self.target.engine)).unwrap_or_default()
        );
        let first = rule.source_tables().first().map(|t| t.value.as_str());
        let brought = first.and_then(|t| {
            let names = flow.used.iter().map(String::as_str).chain([flow.column.as_str()]);
            names.filter_map(|c| since(t, Some(c))).find(|release| *release != "18.0.0")
        });
        let missing = said.and_then(|said| said.when_missing.as_ref());
        let mut notes = self.hazards(&flow.rule, &flow.column);
        if flow.travels != "Utf8" && flow.how != Taken::Named {
            notes.push(format!("its values travel as {}", flow.travels));
        }
        notes.extend(rule.filter.as_ref().map(filtered));
        let key = rule.keys.iter().find(|(name, _)| same_name(&name.value, &flow.column)).map(|(_, key)| kept(key));
        Way {
            rule: flow.rule.clone(),
            place: place(said.and_then(|s| s.value.as_ref()).map_or(&rule.name.place, |v| &v.place)),
            from,
            to,
            how: match flow.how {
                Taken::Named => "by name",
                Taken::Expression => "by expression",
                Taken::WhenMissing => "when missing",
                Taken::Query => "by query",
            }
            .to_owned(),
            expression: (flow.how != Taken::Named).then(|| flow.sql.trim().to_owned()),
            when_missing: missing.filter(|_| flow.how != Taken::WhenMissing).map(|m| m.value.clone()),
            since: brought.filter(|_| missing.is_some()).map(str::to_owned),
            why: said.and_then(|said| said.why.clone()).map(|why| why.trim().to_owned()),
            notes,
            key,
        }
    }

    fn hazards(&self, rule: &str, column: &str) -> Vec<String> {
        let own =
            |h: &&crate::hazard::Hazard| h.rule == rule && h.column.as_deref().is_some_and(|c| same_name(c, column));
        self.bound.hazards.iter().filter(own).map(|h| format!("{}: {}", h.name, h.what)).collect()
    }
}

fn brief_end(way: &Way) -> String {
    match way.how.as_str() {
        "left behind" => format!("stays behind: {}", way.why.as_deref().unwrap_or_default()),
        "no target column" => format!("lost where it holds a value: {}", way.why.as_deref().unwrap_or_default()),
        _ => {
            let to = way.to.split(' ').next().unwrap_or_default();
            match &way.expression {
                Some(expression) => format!("{to} as {}", one_line(expression)),
                None => to.to_owned(),
            }
        }
    }
}

fn brief_origin(way: &Way) -> String {
    match (&way.expression, way.how.as_str()) {
        (_, "by query") => format!("rule {}", way.rule),
        (Some(expression), _) => one_line(expression),
        (None, _) => way.from.split(' ').next().unwrap_or_default().to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn filtered(filter: &Filter) -> String {
    let why = filter.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("only rows that meet `{}`; the others count as {}{why}", filter.keep.value, filter.name)
}

fn reason<'a>(list: &'a [(Located<String>, String)], name: &str) -> Option<&'a str> {
    list.iter().find(|(own, _)| same_name(&own.value, name)).map(|(_, why)| why.as_str())
}

fn place(place: &Place) -> String {
    let line = place.file.text.get(..place.offset).map_or(1, |before| before.matches('\n').count() + 1);
    format!("{}:{line}", place.file.name)
}

/// What a key wants, and what becomes of a value that names no row.
fn kept(key: &KeyRule) -> String {
    let (table, column) = &key.to.value;
    let fate = |step: &Step| match step {
        Step::Spelling => "takes another spelling that names one".to_owned(),
        Step::Reject => "rejects its row, and what needs it".to_owned(),
        Step::Null(None) => "becomes NULL, counted".to_owned(),
        Step::Null(Some(condition)) => format!("becomes NULL where {}, counted", one_line(condition)),
        Step::Keep => "is kept as it is".to_owned(),
        Step::Repair(rule) => format!("takes what the repair {rule} finds"),
        Step::Value { value, name } => format!("becomes {}, counted as {name}", one_line(value)),
    };
    let fate = key.broken.iter().map(|step| fate(&step.value)).collect::<Vec<_>>().join(", else ");
    let why = key.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("names a row of {table}.{column}; one that names none {fate}{why}")
}

fn spelled(column: &Column, engine: Engine) -> String {
    let data_type = column.data_type(engine).sql(engine);
    if column.nullable { data_type } else { format!("{data_type} not null") }
}
