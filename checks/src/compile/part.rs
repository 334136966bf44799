//! One part of a check: from what it says to what is carried out.

use std::sync::Arc;

use arrow::datatypes::DataType;
use imis_databases::query::expression::{Expression, ExpressionError, plainly, schema_of};
use imis_schemas::Table;
use imis_schemas::document::{Located, Place};

use super::expand::{self, Site};
use super::names::{Hindrance, key_of};
use super::plan::{KeySet, Member, PlannedPart, Query, Test, TestKind};
use super::{Compiler, sql};
use crate::functions::fold;
use crate::language::As;
use crate::language::{Check, CheckError, Kind, Part, Spelling, Target, Value, Values};

impl Compiler<'_> {
    /// Plans a part of a check, once for each table that it is about.
    pub(super) fn part(&mut self, check: usize, of: &Check, part: &Part) {
        let unknown = part.lacks.iter().find(|name| !self.names.is_known(&name.value));
        if let Some(name) = unknown {
            let error = CheckError::at(&name.place, format!("no openIMIS database has `{}`", name.value));
            let at = self.push(check, of, part, String::new(), Vec::new(), String::new());
            return self.ends(at, error.with_label("not known").into());
        }
        let sites = match part.lacks.iter().find(|name| expand::has(self, &name.value, &name.place)) {
            Some(name) => {
                Err(Hindrance::Absent(format!("the database has {}; the rule is for those without", name.value)))
            }
            None => self.sites(&part.scope),
        };
        match sites {
            Err(hindrance) => {
                let table = match &part.scope {
                    crate::language::Scope::Table(name) => name.value.clone(),
                    crate::language::Scope::ForEach(_) => String::new(),
                };
                let column = part.column.as_ref().map(|c| c.value.clone()).unwrap_or_default();
                let at = self.push(check, of, part, table, Vec::new(), column);
                self.ends(at, hindrance);
            }
            Ok(sites) => {
                for site in sites {
                    // A virtual table is told from the database's own by its schema, and has no key.
                    let (table, key) = if site.names.is_empty() {
                        (format!("{}.{}", site.table.schema, site.table.name), Vec::new())
                    } else {
                        (site.table.name.clone(), key_of(&site.table))
                    };
                    let at = self.push(check, of, part, table, key, String::new());
                    match self.parameters.fill(&part.what, &part.place, &site.names, As::Plain) {
                        Ok(what) => {
                            self.plan.parts.iter_mut().skip(at).for_each(|planned| planned.what.clone_from(&what))
                        }
                        Err(error) => self.ends(at, error.into()),
                    }
                    // A parameter that is not there is complained about where it stands.
                    if let Some(planned) = self.plan.parts.get_mut(at)
                        && let Ok(words) = self.parameters.fill(&planned.words, &part.place, &site.names, As::Plain)
                    {
                        planned.words = words;
                    }
                    if let Err(hindrance) = self.carry_out(at, part, &site) {
                        self.ends(at, hindrance);
                    }
                }
            }
        }
    }

    fn push(
        &mut self,
        check: usize,
        of: &Check,
        part: &Part,
        table: String,
        key: Vec<String>,
        column: String,
    ) -> usize {
        self.plan.parts.push(PlannedPart {
            check,
            what: part.what.clone(),
            severity: part.severity.unwrap_or(of.about.severity),
            kind: part.kind.word(),
            table,
            key,
            column,
            sql: String::new(),
            condition: part.condition.as_ref().map(|c| c.value.clone()).unwrap_or_default(),
            words: words(&part.kind),
            place: match &part.kind {
                Kind::Row(text) | Kind::Query(text) => text.place.clone(),
                _ => part.place.clone(),
            },
            ended: None,
            groups: matches!(part.kind, Kind::Unique { .. }),
        });
        self.plan.parts.len() - 1
    }

    /// A text of SQL with its parameters and names filled in.
    fn filled(&self, text: &Located<String>, site: &Site) -> Result<String, CheckError> {
        self.parameters.fill(&text.value, &text.place, &site.quoted(), As::Sql)
    }

    /// A column of the site's table, as the database spells it.
    fn column(&self, name: &Located<String>, site: &Site) -> Result<String, Hindrance> {
        let filled = self.parameters.fill(&name.value, &name.place, &site.names, As::Plain)?;
        Ok(self.names.column(&site.table, &filled, &name.place)?.name.clone())
    }

    fn columns(&self, list: &[Located<String>], site: &Site) -> Result<Vec<String>, Hindrance> {
        list.iter().map(|name| self.column(name, site)).collect()
    }

    /// Types an expression over a table.
    fn typed(&self, text: &str, place: &Place, table: &Table) -> Result<Expression, Hindrance> {
        let all: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let schema = schema_of(table, self.catalog.engine, &all);
        Expression::new(&self.context, text, &schema).map_err(|error| match error {
            ExpressionError::UnknownColumn(name) => self.names.no_column(&[table], &name, place),
            ExpressionError::Wrong(why) => CheckError::at(place, why).with_label("cannot be used").into(),
        })
    }

    /// Likewise one that must be true or false.
    fn truth(&self, text: &str, place: &Place, table: &Table) -> Result<Expression, Hindrance> {
        let expression = self.typed(text, place, table)?;
        match expression.data_type() {
            DataType::Boolean | DataType::Null => Ok(expression),
            other => {
                let error = CheckError::at(place, format!("this gives {}, and must be true or false", plainly(other)));
                Err(error.with_label("no condition").with_help("Compare it with something: `Amount > 0`.").into())
            }
        }
    }

    /// The part's condition in the site: its text, and where it stands among the scan's.
    fn condition(&mut self, part: &Part, site: &Site) -> Result<(String, Option<usize>), Hindrance> {
        let Some(condition) = &part.condition else { return Ok((String::new(), None)) };
        let text = self.filled(condition, site)?;
        let known = self.scan(&site.table).conditions.iter().position(|(known, _)| *known == text);
        if let Some(at) = known {
            return Ok((text, Some(at)));
        }
        let typed = self.truth(&text, &condition.place, &site.table)?;
        let scan = self.scan(&site.table);
        scan.conditions.push((text.clone(), typed));
        let at = scan.conditions.len() - 1;
        Ok((text, Some(at)))
    }

    /// Adds a part to the scan of its table.
    fn test(&mut self, at: usize, site: &Site, condition: Option<usize>, shown: Option<String>, kind: TestKind) {
        let key = key_of(&site.table);
        if let Some(part) = self.plan.parts.get_mut(at) {
            part.column = shown.clone().unwrap_or_default();
        }
        self.scan(&site.table).tests.push(Test { part: at, condition, kind, key, shown });
    }

    fn set_sql(&mut self, at: usize, text: String) {
        if let Some(part) = self.plan.parts.get_mut(at) {
            part.sql = text;
        }
    }

    fn carry_out(&mut self, at: usize, part: &Part, site: &Site) -> Result<(), Hindrance> {
        if let Kind::Query(query) = &part.kind {
            return self.query(at, part, query, site);
        }
        if site.names.is_empty() {
            return Err(CheckError::at(&part.place, format!("{} is looked at by a query", site.table.name)).into());
        }
        let own = part.column.as_ref().map(|name| self.column(name, site)).transpose()?;
        // For each of many columns, the column is the one to be shown.
        let own = own.or_else(|| site.name("column").map(str::to_owned));
        let table = Arc::clone(&site.table);
        let key = key_of(&table);
        // The condition first: a part whose condition cannot be met has nothing to look at.
        let names = self.named(part, site)?;
        let (condition, chosen) = self.condition(part, site)?;
        match &part.kind {
            Kind::NotNull { blank, .. } => {
                let is_text = |c: &str| table.column(c).is_some_and(|c| c.data_type(self.catalog.engine).is_text());
                let wrong = names.iter().map(|column| match *blank && is_text(column) {
                    true => format!("{0} IS NULL OR btrim({0}) = ''", sql::name(column)),
                    false => format!("{} IS NULL", sql::name(column)),
                });
                let wrong = wrong.collect::<Vec<_>>().join(" OR ");
                self.wrong(at, part, site, (&condition, chosen), &wrong, own.or_else(|| names.first().cloned()))
            }
            Kind::Unique { spelling, blank, .. } => {
                let mut there: Vec<String> = vec![condition];
                for column in names.iter().filter(|_| !blank) {
                    let text = table.column(column).is_some_and(|c| c.data_type(self.catalog.engine).is_text());
                    there.push(format!("{} IS NOT NULL", sql::name(column)));
                    there.extend(text.then(|| format!("btrim({}) <> ''", sql::name(column))));
                }
                let there: Vec<&str> = there.iter().map(String::as_str).collect();
                let is_text = |name: &&String| {
                    table.column(name).is_some_and(|column| column.data_type(self.catalog.engine).is_text())
                };
                let texts: Vec<String> = names.iter().filter(is_text).cloned().collect();
                self.set_sql(at, sql::repeated(&table, &key, &names, &texts, &there, *spelling));
                let kind = TestKind::Unique { columns: names.clone(), spelling: *spelling, blank: *blank };
                self.test(at, site, chosen, own.or_else(|| names.first().cloned()), kind);
                Ok(())
            }
            Kind::References { to, condition: there, null_refused, none, spelling, missing_allowed, .. } => {
                let column = names.first().cloned().unwrap_or_default();
                let reference = Reference {
                    to,
                    there: there.as_ref(),
                    null_refused: *null_refused,
                    none: none.as_ref(),
                    spelling: *spelling,
                    missing_allowed: *missing_allowed,
                };
                self.references(at, site, (&condition, chosen), column, &reference, own)
            }
            Kind::Matches { pattern, null_refused, .. } => {
                let column = sql::name(names.first().map_or("", String::as_str));
                let text = self.parameters.fill(&pattern.value, &pattern.place, &site.names, As::Plain)?;
                if let Err(error) = regex_syntax(&text) {
                    let error = CheckError::at(&pattern.place, format!("the pattern cannot be read: {error}"));
                    return Err(error.with_label("not a regular expression").into());
                }
                let text = Value::Text(text).sql();
                let wrong = or_null(format!("NOT regexp_like({column}, {text})"), &column, *null_refused);
                self.wrong(at, part, site, (&condition, chosen), &wrong, own.or_else(|| names.first().cloned()))
            }
            Kind::OneOf { values, null_refused, folded, .. } => {
                let column = names.first().map_or("", String::as_str);
                let list = self.values(values, site)?;
                let wanted = |value: &Value| match value {
                    Value::Text(text) if *folded => Value::Text(fold(text)).sql(),
                    other => other.sql(),
                };
                // NULL passes or not by `null`; in a list it would let everything pass.
                let list = list.iter().filter(|value| **value != Value::Null).map(wanted).collect::<Vec<_>>();
                if list.is_empty() {
                    return Err(
                        CheckError::at(&part.place, "the list of values is empty, so that nothing could pass").into()
                    );
                }
                let list = list.join(", ");
                let held = if *folded { sql::folded(column) } else { sql::name(column) };
                let wrong = or_null(format!("{held} NOT IN ({list})"), &sql::name(column), *null_refused);
                self.wrong(at, part, site, (&condition, chosen), &wrong, own.or_else(|| names.first().cloned()))
            }
            Kind::Between { min, max, null_refused, .. } => {
                let column = sql::name(names.first().map_or("", String::as_str));
                let mut wrong = Vec::new();
                for (bound, sign) in [(min, "<"), (max, ">")] {
                    if let Some(bound) = bound {
                        let text = self.filled(bound, site)?;
                        // By itself first, so that the complaint points at it.
                        self.typed(&text, &bound.place, &table)?;
                        wrong.push(format!("{column} {sign} {text}"));
                    }
                }
                let wrong = or_null(wrong.join(" OR "), &column, *null_refused);
                self.wrong(at, part, site, (&condition, chosen), &wrong, own.or_else(|| names.first().cloned()))
            }
            Kind::Row(must) => {
                let text = self.filled(must, site)?;
                self.truth(&text, &must.place, &table)?;
                // The line ends before the bracket: the text may end in a comment.
                let wrong = format!("NOT ({text}{})", if text.contains("--") { "\n" } else { "" });
                self.wrong(at, part, site, (&condition, chosen), &wrong, own)
            }
            Kind::NoCycle { .. } => {
                let (Some(own_key), Some(parent)) = (names.first().cloned(), names.get(1).cloned()) else {
                    return Ok(());
                };
                self.comparable(site, &parent, &table, &own_key, &part.place)?;
                self.set_sql(at, sql::circling(&table, &key, &own_key, &parent, &[&condition]));
                let shown = own.or_else(|| Some(parent.clone()));
                self.test(at, site, chosen, shown, TestKind::Cycle { key: own_key, parent });
                Ok(())
            }
            Kind::NoOverlap { by, ends_included, .. } => {
                let (by_names, span) = names.split_at(by.len().min(names.len()));
                let [from, to] = span else { return Ok(()) };
                let statement = sql::overlapping(&table, &key, by_names, (from, to), *ends_included, &[&condition]);
                let folded = imis_databases::query::expression::fold_names(&statement)
                    .map_err(|error| wrong_sql(&error, &part.place))?;
                self.set_sql(at, statement);
                if let Some(planned) = self.plan.parts.get_mut(at) {
                    planned.column = own.unwrap_or_else(|| from.clone());
                }
                self.plan.queries.push(Query {
                    part: at,
                    sql: folded,
                    tables: vec![table],
                    reads: Vec::new(),
                    key,
                    about_schema: false,
                    place: part.place.clone(),
                });
                Ok(())
            }
            Kind::Query(_) => Ok(()),
        }
    }

    /// The columns that a kind names, in its order.
    fn named(&self, part: &Part, site: &Site) -> Result<Vec<String>, Hindrance> {
        match &part.kind {
            Kind::NotNull { columns, .. } | Kind::Unique { columns, .. } => self.columns(columns, site),
            Kind::References { column, .. }
            | Kind::Matches { column, .. }
            | Kind::OneOf { column, .. }
            | Kind::Between { column, .. } => Ok(vec![self.column(column, site)?]),
            Kind::NoOverlap { by, from, to, .. } => {
                let mut names = self.columns(by, site)?;
                names.extend([self.column(from, site)?, self.column(to, site)?]);
                Ok(names)
            }
            Kind::NoCycle { key, parent } => Ok(vec![self.column(key, site)?, self.column(parent, site)?]),
            Kind::Row(_) | Kind::Query(_) => Ok(Vec::new()),
        }
    }

    /// A part that is wrong where an expression is true.
    fn wrong(
        &mut self,
        at: usize,
        part: &Part,
        site: &Site,
        (condition, chosen): (&str, Option<usize>),
        wrong: &str,
        shown: Option<String>,
    ) -> Result<(), Hindrance> {
        let expression = self.truth(wrong, &part.place, &site.table)?;
        let key = key_of(&site.table);
        self.set_sql(at, sql::select(&site.table, &key, &[condition, wrong]));
        self.test(at, site, chosen, shown, TestKind::Wrong(expression));
        Ok(())
    }

    fn values(&self, values: &Values, site: &Site) -> Result<Vec<Value>, Hindrance> {
        match values {
            Values::List(list) => Ok(list.clone()),
            Values::Parameter(text) => {
                let name = text.value.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::trim);
                match name.and_then(|name| self.parameters.get(name)) {
                    Some(Value::List(list)) => Ok(list.clone()),
                    Some(one) => Ok(vec![one.clone()]),
                    None => {
                        let filled = self.parameters.fill(&text.value, &text.place, &site.names, As::Plain)?;
                        Ok(vec![Value::Text(filled)])
                    }
                }
            }
        }
    }

    fn references(
        &mut self,
        at: usize,
        site: &Site,
        (condition, chosen): (&str, Option<usize>),
        column: String,
        reference: &Reference<'_>,
        own: Option<String>,
    ) -> Result<(), Hindrance> {
        // Numbers have one spelling.
        let own_type = site.table.column(&column).map(|column| column.data_type(self.catalog.engine));
        let is_text = own_type.is_some_and(|data_type| data_type.is_text());
        let reference =
            &Reference { spelling: if is_text { reference.spelling } else { Spelling::Exact }, ..*reference };
        let folds = reference.spelling != Spelling::Exact;
        let mut found_in = Vec::new();
        let mut but_only_of = Vec::new();
        let mut all = Vec::new();
        let mut alike = Vec::new();
        for target in reference.to {
            let name = self.parameters.fill(&target.table, &target.place, &site.names, As::Plain)?;
            let table = self.names.table(&name, &target.place)?;
            let name = self.parameters.fill(&target.column, &target.place, &site.names, As::Plain)?;
            let key = self.names.column(&table, &name, &target.place)?.name.clone();
            self.comparable(site, &column, &table, &key, &target.place)?;
            let there = match reference.there {
                None => None,
                Some(there) => {
                    let text = self.filled(there, site)?;
                    let typed = self.truth(&text, &there.place, &table)?;
                    Some((text, typed))
                }
            };
            let text = there.as_ref().map_or("", |(text, _)| text.as_str());
            let known = format!("{} IS NOT NULL", sql::name(&key));
            all.push(sql::select(&table, std::slice::from_ref(&key), &[text, &known]));
            alike.push(sql::select(&table, std::slice::from_ref(&key), &[&known]));
            match reference.spelling {
                Spelling::Differs => {
                    found_in.push(self.set(&table, &key, there.clone(), false));
                    but_only_of.push(self.set(&table, &key, there, true));
                }
                spelling => {
                    if reference.missing_allowed {
                        but_only_of.push(self.set(&table, &key, None, spelling == Spelling::Folded));
                    }
                    found_in.push(self.set(&table, &key, there, spelling == Spelling::Folded));
                }
            }
        }
        let quoted = sql::name(&column);
        let held = if folds { sql::folded(&column) } else { quoted.clone() };
        let list = all.join("\nUNION ALL ");
        let mut wrong = match reference.spelling {
            Spelling::Exact => format!("{quoted} NOT IN ({list})"),
            Spelling::Folded => format!("{held} NOT IN (SELECT lower(rtrim(x.k)) FROM ({list}) AS x(k))"),
            Spelling::Differs => {
                format!("{quoted} NOT IN ({list}) AND {held} IN (SELECT lower(rtrim(x.k)) FROM ({list}) AS x(k))")
            }
        };
        if reference.missing_allowed {
            wrong = format!("{wrong} AND {quoted} IN ({})", alike.join("\nUNION ALL "));
        }
        if let Some(none) = reference.none.filter(|none| **none != Value::Null) {
            wrong = format!("{quoted} <> {} AND {wrong}", none.sql());
        }
        let wrong = or_null(wrong, &quoted, reference.null_refused);
        let key = key_of(&site.table);
        self.set_sql(at, sql::select(&site.table, &key, &[condition, &wrong]));
        let member = Member {
            column: column.clone(),
            found_in,
            but_only_of,
            null_refused: reference.null_refused,
            none: reference.none.cloned(),
        };
        self.test(at, site, chosen, own.or(Some(column)), TestKind::Member(member));
        Ok(())
    }

    /// Refuses to look for a text among numbers.
    fn comparable(&self, site: &Site, column: &str, table: &Table, key: &str, place: &Place) -> Result<(), Hindrance> {
        let arrow = |table: &Table, name: &str| table.column(name).map(|c| c.data_type(self.catalog.engine).arrow());
        let (Some(own), Some(theirs)) = (arrow(&site.table, column), arrow(table, key)) else { return Ok(()) };
        if own == theirs || (own.is_integer() && theirs.is_integer()) {
            return Ok(());
        }
        let what = format!("{column} is {} and {}.{key} is {}", plainly(&own), table.name, plainly(&theirs));
        Err(CheckError::at(place, what).with_label("cannot be found there").into())
    }

    /// The set of a column's values, made once.
    fn set(
        &mut self,
        table: &Arc<Table>,
        column: &str,
        condition: Option<(String, Expression)>,
        folded: bool,
    ) -> usize {
        let same = |set: &KeySet| {
            set.table.table_name() == table.table_name()
                && set.column == column
                && set.folded == folded
                && set.condition.as_ref().map(|(text, _)| text) == condition.as_ref().map(|(text, _)| text)
        };
        if let Some(at) = self.plan.sets.iter().position(same) {
            return at;
        }
        self.plan.sets.push(KeySet { table: Arc::clone(table), column: column.to_owned(), condition, folded });
        self.plan.sets.len() - 1
    }

    /// A query: its tables must be there; the rest is seen when it is planned.
    fn query(&mut self, at: usize, part: &Part, query: &Located<String>, site: &Site) -> Result<(), Hindrance> {
        let text = self.filled(query, site)?;
        let folded =
            imis_databases::query::expression::fold_names(&text).map_err(|error| wrong_sql(&error, &query.place))?;
        let tables =
            super::query::tables_of(&self.context, &folded).map_err(|why| CheckError::at(&query.place, why))?;
        let mut read = Vec::new();
        for name in tables {
            match self.virtuals.table(&name) {
                Some(table) => read.push(table),
                None => read.push(self.names.table(&name, &query.place)?),
            }
        }
        let key = if site.names.is_empty() { Vec::new() } else { key_of(&site.table) };
        let column = match &part.column {
            Some(name) if !site.names.is_empty() => self.column(name, site)?,
            _ => String::new(),
        };
        if let Some(planned) = self.plan.parts.get_mut(at) {
            planned.column = column;
            planned.sql = text;
        }
        self.plan.queries.push(Query {
            part: at,
            sql: folded,
            tables: read,
            reads: Vec::new(),
            key,
            about_schema: site.names.is_empty(),
            place: query.place.clone(),
        });
        Ok(())
    }
}

/// What a part looks for, in words.
fn words(kind: &Kind) -> String {
    let list = |names: &[Located<String>]| names.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join(", ");
    match kind {
        Kind::NotNull { columns, blank: false } => format!("{} must be there", list(columns)),
        Kind::NotNull { columns, blank: true } => format!("{} must be there, and not blank", list(columns)),
        Kind::Unique { columns, spelling: Spelling::Exact, .. } => format!("no two rows agree in {}", list(columns)),
        Kind::Unique { columns, spelling: Spelling::Folded, .. } => {
            format!("no two rows agree in {}, case and blanks at the end aside", list(columns))
        }
        Kind::Unique { columns, spelling: Spelling::Differs, .. } => {
            format!("no two rows differ in the spelling of {} only", list(columns))
        }
        Kind::References { column, to, .. } => {
            let to = to.iter().map(|t| format!("{}.{}", t.table, t.column)).collect::<Vec<_>>().join(" or ");
            format!("{} must be found in {to}", column.value)
        }
        Kind::Matches { column, pattern, .. } => format!("{} must match {}", column.value, pattern.value),
        Kind::OneOf { column, values, .. } => {
            let values = match values {
                Values::List(list) => Value::List(list.clone()).to_string(),
                Values::Parameter(name) => name.value.clone(),
            };
            format!("{} must be one of {values}", column.value)
        }
        Kind::Between { column, min, max, .. } => {
            let bound = |word: &str, bound: &Option<Located<String>>| {
                bound.as_ref().map(|bound| format!("{word} {}", bound.value))
            };
            let bounds = [bound("at least", min), bound("at most", max)];
            format!("{} must be {}", column.value, bounds.into_iter().flatten().collect::<Vec<_>>().join(" and "))
        }
        Kind::NoOverlap { by, from, to, .. } => {
            format!("rows that agree in {} must not overlap from {} to {}", list(by), from.value, to.value)
        }
        Kind::NoCycle { key, parent } => format!("{} must not lead back to {}", parent.value, key.value),
        Kind::Row(must) => format!("it must hold that {}", must.value),
        Kind::Query(_) => "a query gives the offending rows".to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Reference<'a> {
    to: &'a [Target],
    there: Option<&'a Located<String>>,
    null_refused: bool,
    none: Option<&'a Value>,
    spelling: Spelling,
    missing_allowed: bool,
}

fn or_null(wrong: String, column: &str, refused: bool) -> String {
    if refused { format!("{wrong} OR {column} IS NULL") } else { wrong }
}

fn regex_syntax(pattern: &str) -> Result<(), String> {
    let texts = arrow::array::StringArray::from(vec![""]);
    let found = arrow::compute::regexp_is_match_scalar(&texts, pattern, None);
    found.map(|_| ()).map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

fn wrong_sql(error: &ExpressionError, place: &Place) -> CheckError {
    let why = match error {
        ExpressionError::Wrong(why) => why.clone(),
        ExpressionError::UnknownColumn(name) => format!("there is no column {name}"),
    };
    CheckError::at(place, why).with_label("cannot be read")
}
