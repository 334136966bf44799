//! Holds a mapping against two catalogues: complete or refused.
//!
//! What comes out is a [`BoundMapping`], which a run can carry out: every expression typed, every value's way into its
//! column known, every source column taken or left with a reason, every hazard named.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use imis_schemas::{Catalog, Column, DataType, Engine, Table, same_name};
use uuid::Uuid;

use crate::expression::{Expression, ExpressionError, columns_used, fold_names, schema_of, session, trouble};
use crate::fit::{Allowed, Fit, Unfit};
use crate::hazard::Hazard;
use crate::language::{
    ColumnRule, Existing, KeyBroken, Located, Mapping, MappingError, MappingErrors, Misfit, Origin, Rule,
};
use crate::rows;

/// A mapping that fits its two catalogues.
pub struct BoundMapping {
    pub(crate) rules: Vec<BoundRule>,
    pub(crate) hazards: Vec<Hazard>,
    pub(crate) unused: Vec<String>,
    /// Whether the target must have Django's migrations behind it.
    pub(crate) migrated: bool,
    pub(crate) fallback: Option<Catalog>,
    pub(crate) context: SessionContext,
}

impl BoundMapping {
    /// What may be lost, as far as the catalogues tell.
    pub fn hazards(&self) -> &[Hazard] {
        &self.hazards
    }
}

/// One rule, ready to run.
pub(crate) struct BoundRule {
    pub(crate) name: String,
    /// The source table that is accounted for, if there is one.
    pub(crate) source: Option<Arc<Table>>,
    pub(crate) target: Arc<Table>,
    pub(crate) way: Way,
    pub(crate) existing: Existing,
    pub(crate) keys: Vec<BoundKey>,
    /// Columns that must be unique together, whether or not the target holds them so.
    pub(crate) uniques: Vec<Vec<String>>,
}

/// How a rule makes its rows.
pub(crate) enum Way {
    /// From each row of the source table.
    Rows(RowWay),
    /// From the result of a query.
    Query(QueryWay),
    /// There are none: an older source lacks the table.
    Nothing,
}

/// Row by row: the columns to read, which rows to keep, and what each target column gets.
pub(crate) struct RowWay {
    /// The source columns to read, as the catalogue spells them.
    pub(crate) read: Vec<String>,
    /// The schema that the expressions see: `read`, in lower case.
    pub(crate) schema: SchemaRef,
    pub(crate) filter: Option<(String, Expression)>,
    pub(crate) columns: Vec<(Expression, Fit)>,
    /// Source columns that the target lacks; values in them that are neither NULL nor the default are a named loss.
    pub(crate) dropped: Vec<Dropped>,
    /// Columns of the source's key, in `read`.
    pub(crate) key: Vec<String>,
}

/// A source column without a place in the target.
pub(crate) struct Dropped {
    pub(crate) column: String,
    /// Its default as a number or text, where that is a plain literal.
    pub(crate) default: Option<String>,
}

/// From a query: its text, and what becomes of the columns of its result.
pub(crate) struct QueryWay {
    pub(crate) sql: String,
    pub(crate) rows: RowWay,
}

/// A key that must hold.
#[derive(Clone, Debug)]
pub(crate) struct BoundKey {
    pub(crate) column: String,
    pub(crate) table: Arc<Table>,
    pub(crate) referenced: String,
    pub(crate) broken: KeyBroken,
    pub(crate) spelling: bool,
}

/// Holds a mapping against the catalogues of its source and target.
///
/// # Errors
/// With every complaint at once: a source table or column that is neither mapped nor left, a target column that takes no
/// NULL and gets no value, types that do not convert, losses that are not allowed by name, names that are not there.
pub async fn bind(
    mapping: &Mapping,
    source: &Catalog,
    target: &Catalog,
    namespace: Uuid,
) -> Result<BoundMapping, MappingErrors> {
    let mut binder = Binder {
        mapping,
        source,
        target,
        context: session(namespace),
        errors: Vec::new(),
        hazards: Vec::new(),
        rules: Vec::new(),
    };
    let fallback = mapping.fallback_source();
    rows::register(
        &binder.context,
        "source",
        Arc::new(rows::OrEmpty::new(Arc::new(rows::NoRows(source.clone())), fallback)),
    );
    for name in ["before", "target"] {
        rows::register(&binder.context, name, Arc::new(rows::NoRows(target.clone())));
    }
    binder.families();
    for rule in &mapping.rules {
        binder.rule(rule).await;
    }
    binder.every_table_is_decided();
    if binder.errors.is_empty() {
        Ok(BoundMapping {
            rules: binder.rules,
            hazards: binder.hazards,
            migrated: mapping.migrated,
            unused: mapping.unused.iter().map(|name| name.value.clone()).collect(),
            fallback: mapping.fallback_source(),
            context: binder.context,
        })
    } else {
        Err(MappingErrors(binder.errors))
    }
}

struct Binder<'a> {
    mapping: &'a Mapping,
    source: &'a Catalog,
    target: &'a Catalog,
    context: SessionContext,
    errors: Vec<MappingError>,
    hazards: Vec<Hazard>,
    rules: Vec<BoundRule>,
}

impl Binder<'_> {
    /// Refuses ends that are plainly not what the mapping is for: swapped ones, and hybrids.
    fn families(&mut self) {
        let django = |catalog: &Catalog| catalog.table("django_migrations").is_some();
        if self.mapping.from == "legacy" && django(self.source) {
            let hybrid = self.source.engine == Engine::Mssql;
            let (what, help) = if hybrid {
                (
                    "the source is a hybrid: a SQL Server database on which Django migrations already ran",
                    "There is no pack for hybrids yet; this one would leave the modular tables behind.",
                )
            } else {
                ("the source is a modular openIMIS database already", "Are --from and --to the right way round?")
            };
            self.errors.push(MappingError::general(what).with_help(help));
        }
    }

    async fn rule(&mut self, rule: &Rule) {
        let Some(target) = self.target.table(&rule.to.value) else {
            if !rule.optional_target {
                self.errors.push(
                    MappingError::at(&rule.to.place, format!("the target has no table {}", rule.to.value))
                        .suggest(&rule.to.value, self.target.tables.iter().map(|t| t.name.as_str())),
                );
            }
            return;
        };
        let target = Arc::new(target.clone());
        let source = rule.source_tables().iter().find_map(|name| self.source.table(&name.value));
        if source.is_none()
            && let Some(first) = rule.source_tables().first()
            && rule.may_be_missing.is_none()
        {
            self.errors.push(
                MappingError::at(&first.place, format!("the source has no table {}", first.value))
                    .suggest(&first.value, self.source.tables.iter().map(|t| t.name.as_str())),
            );
            return;
        }
        let source = source.map(|t| Arc::new(t.clone()));
        let keys = self.keys(rule, &target);
        self.existing(rule, &target);
        let uniques = self.uniques(rule, &target);
        let way = match (&rule.from, &source) {
            (Origin::Table(_), None) => Some(Way::Nothing),
            (Origin::Table(_), Some(source)) => self.rows(rule, source, &target).map(Way::Rows),
            (Origin::TableQuery { query, .. } | Origin::Query(query), _) => {
                if matches!(rule.from, Origin::TableQuery { .. }) && source.is_none() {
                    Some(Way::Nothing)
                } else {
                    self.query(rule, query, &target).await.map(Way::Query)
                }
            }
        };
        if let Some(way) = way {
            self.rules.push(BoundRule {
                name: rule.name.value.clone(),
                source,
                target,
                way,
                existing: rule.existing.clone(),
                keys,
                uniques,
            });
        }
    }

    fn keys(&mut self, rule: &Rule, target: &Arc<Table>) -> Vec<BoundKey> {
        let mut keys = Vec::new();
        for (column, key) in &rule.keys {
            let Some(own) = target.column(&column.value) else {
                self.unknown_column(&column.place, &column.value, target, "target");
                continue;
            };
            let (table, referenced) = &key.to.value;
            let Some(table) = self.target.table(table) else {
                self.errors.push(
                    MappingError::at(&key.to.place, format!("the target has no table {table}"))
                        .suggest(table, self.target.tables.iter().map(|t| t.name.as_str())),
                );
                continue;
            };
            let Some(referenced) = table.column(referenced) else {
                self.unknown_column(&key.to.place, referenced, &table.clone(), "target");
                continue;
            };
            keys.push(BoundKey {
                column: own.name.clone(),
                referenced: referenced.name.clone(),
                table: Arc::new(table.clone()),
                broken: key.broken,
                spelling: key.spelling,
            });
        }
        keys
    }

    fn uniques(&mut self, rule: &Rule, target: &Table) -> Vec<Vec<String>> {
        let mut uniques = Vec::new();
        for columns in &rule.uniques {
            let spelled: Vec<String> =
                columns.iter().filter_map(|name| target.column(name).map(|c| c.name.clone())).collect();
            for column in columns.iter().filter(|name| target.column(name).is_none()) {
                self.unknown_column(&rule.to.place, column, target, "target");
            }
            if spelled.len() == columns.len() {
                uniques.push(spelled);
            }
        }
        uniques
    }

    fn existing(&mut self, rule: &Rule, target: &Table) {
        let columns: Vec<&String> = match &rule.existing {
            Existing::Merge { by, preserve } => by.iter().chain(preserve).collect(),
            Existing::Keep { by } => by.iter().collect(),
            _ => return,
        };
        for column in columns {
            if target.column(column).is_none() {
                self.unknown_column(&rule.to.place, column, target, "target");
            }
        }
    }

    fn unknown_column(&mut self, place: &crate::language::Place, name: &str, table: &Table, side: &str) {
        self.errors.push(
            MappingError::at(place, format!("the {side}'s {} has no column {name}", table.table_name()))
                .suggest(name, table.columns.iter().map(|c| c.name.as_str())),
        );
    }

    fn rows(&mut self, rule: &Rule, source: &Arc<Table>, target: &Arc<Table>) -> Option<RowWay> {
        let errors_before = self.errors.len();
        let engine = self.source.engine;
        let all: Vec<String> = source.columns.iter().map(|c| c.name.clone()).collect();
        let whole = schema_of(source, engine, &all);
        let mut used: HashSet<String> = HashSet::new();
        let mut dropped = Vec::new();

        // Which expression each target column gets, and which source columns that uses.
        let mut wanted: Vec<(&Column, String, ColumnRule, Option<Located<String>>)> = Vec::new();
        for (name, _) in &rule.columns {
            let (name, said) = (&name.value, &name.place);
            let column_rule = rule.columns.iter().find(|(n, _)| n.value == *name).map(|(_, c)| c);
            if target.column(name).is_none() && !column_rule.is_some_and(|c| c.if_in_target) {
                self.unknown_column(said, name, target, "target");
            }
        }
        for column in &target.columns {
            let said = rule.columns.iter().find(|(name, _)| same_name(&name.value, &column.name));
            let by_name = source.column(&column.name);
            let left = by_name.is_some_and(|c| rule.leave.iter().any(|(name, _)| same_name(&name.value, &c.name)));
            match said {
                Some((name, column_rule)) => {
                    let written = column_rule
                        .value
                        .clone()
                        .or_else(|| by_name.map(|c| Located { value: quoted(&c.name), place: name.place.clone() }));
                    match self.choose(column_rule, written, &whole) {
                        Ok(Some(chosen)) => {
                            wanted.push((column, chosen.value.clone(), column_rule.clone(), Some(chosen)));
                        }
                        Ok(None) => {
                            if column_rule.value.is_none() && by_name.is_none() && self.column_is_needed(column) {
                                self.errors.push(self.no_value(rule, column));
                            }
                        }
                        Err(error) => self.errors.push(error),
                    }
                }
                None if left && self.column_is_needed(column) => self.errors.push(self.no_value(rule, column)),
                None if left => {}
                None => match by_name {
                    Some(own) => wanted.push((column, quoted(&own.name), ColumnRule::default(), None)),
                    None if self.column_is_needed(column) => self.errors.push(self.no_value(rule, column)),
                    None => {}
                },
            }
        }

        let mut columns = Vec::new();
        for (column, sql, column_rule, at) in wanted {
            let place = at.as_ref().map_or(&rule.to.place, |l| &l.place);
            match columns_used(&self.context, &sql, &whole) {
                Ok(names) => used.extend(names),
                Err(error) => {
                    self.expression_error(place, &error, source);
                    continue;
                }
            }
            match Expression::new(&self.context, &sql, &whole) {
                Err(error) => self.expression_error(place, &error, source),
                Ok(expression) => {
                    let plain = plain_column(&sql, source);
                    if let Some(fit) = self.fit(rule, place, column, &expression, plain, &column_rule) {
                        columns.push((sql, fit));
                    }
                }
            }
        }

        let filter =
            rule.filter.as_ref().and_then(|filter| match columns_used(&self.context, &filter.keep.value, &whole) {
                Ok(names) => {
                    used.extend(names);
                    self.hazards.push(Hazard::new(
                        "filtered",
                        &rule.name.value,
                        None,
                        format!("rows that do not meet `{}` stay behind as {}", filter.keep.value, filter.name),
                    ));
                    Some((filter.name.clone(), filter.keep.value.clone()))
                }
                Err(error) => {
                    self.expression_error(&filter.keep.place, &error, source);
                    None
                }
            });

        // Every source column is used, or left with a reason.
        for column in &source.columns {
            let named =
                |list: &[(Located<String>, String)]| list.iter().any(|(n, _)| same_name(&n.value, &column.name));
            if used.contains(&column.name.to_lowercase()) || named(&rule.leave) {
                continue;
            }
            if named(&rule.leave_if_absent) {
                self.hazards.push(Hazard::new(
                    "no-target-column",
                    &rule.name.value,
                    Some(&column.name),
                    "the target has no such column; values other than NULL and the default are counted as lost",
                ));
                dropped.push(Dropped { column: column.name.clone(), default: plain_default(column) });
                continue;
            }
            // A column that this release always has and the mapping does not mention: drift or a country's own.
            self.errors.push(
                MappingError::at(
                    &rule.name.place,
                    format!("the source column {}.{} goes nowhere", source.name, column.name),
                )
                .with_help(format!(
                    "Map it under `columns`, or say why it stays behind: `leave: {{ {}: \"reason\" }}`.",
                    column.name
                )),
            );
        }
        for (name, _) in rule.leave.iter().chain(&rule.leave_if_absent) {
            // An older source may lack the column; a name that no column is close to is a slip of the pen.
            if source.column(&name.value).is_none()
                && let Some(near) =
                    crate::language::closest(&name.value, source.columns.iter().map(|c| c.name.as_str()))
                && near.len() == name.value.len()
                && !rule.leave.iter().any(|(n, _)| same_name(&n.value, near))
            {
                self.unknown_column(&name.place, &name.value, source, "source");
            }
        }
        if self.errors.len() > errors_before {
            return None;
        }

        // Read only what is needed, the key always, so that a row can be named.
        let key: Vec<String> = source.key_columns().to_vec();
        let read: Vec<String> = source
            .columns
            .iter()
            .filter(|c| {
                used.contains(&c.name.to_lowercase())
                    || key.contains(&c.name)
                    || dropped.iter().any(|d| d.column == c.name)
            })
            .map(|c| c.name.clone())
            .collect();
        let schema = schema_of(source, engine, &read);
        let retyped = |sql: &str| Expression::new(&self.context, sql, &schema).ok();
        let columns = columns.into_iter().filter_map(|(sql, fit)| Some((retyped(&sql)?, fit))).collect();
        let filter = filter.and_then(|(name, sql)| Some((name, retyped(&sql)?)));
        for name in &read {
            self.source_hazard(rule, source, name);
        }
        Some(RowWay { read, schema, filter, columns, dropped, key })
    }

    async fn query(&mut self, rule: &Rule, query: &Located<String>, target: &Arc<Table>) -> Option<QueryWay> {
        let errors_before = self.errors.len();
        let planned = match fold_names(&query.value) {
            Ok(sql) => match self.context.state().create_logical_plan(&sql).await {
                Ok(plan) => Ok((sql, plan)),
                Err(error) => Err(trouble(&error)),
            },
            Err(error) => Err(error),
        };
        let (sql, plan) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let text = match error {
                    ExpressionError::UnknownColumn(name) => {
                        format!("the query names a column `{name}` that is not there")
                    }
                    ExpressionError::Wrong(text) => text,
                };
                self.errors.push(MappingError::at(&query.place, format!("rule {}: {text}", rule.name.value)));
                return None;
            }
        };
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        for (name, said) in &rule.columns {
            if target.column(&name.value).is_none() && !said.if_in_target {
                self.unknown_column(&name.place, &name.value, target, "target");
            }
        }
        for field in schema.fields() {
            if target.column(field.name()).is_none()
                && !rule.leave_if_absent.iter().any(|(name, _)| same_name(&name.value, field.name()))
            {
                self.unknown_column(&query.place, field.name(), target, "target");
            }
        }
        let mut columns = Vec::new();
        for column in &target.columns {
            let said = rule.columns.iter().find(|(name, _)| same_name(&name.value, &column.name));
            let by_name = schema.field_with_name(&column.name.to_lowercase()).is_ok();
            let column_rule = said.map(|(_, rule)| rule.clone()).unwrap_or_default();
            let sql = match (&column_rule.value, by_name) {
                (Some(value), _) => value.value.clone(),
                (None, true) => quoted(&column.name),
                (None, false) if self.column_is_needed(column) => {
                    self.errors.push(self.no_value(rule, column));
                    continue;
                }
                (None, false) => continue,
            };
            let place = column_rule.value.as_ref().map_or(&query.place, |value| &value.place).clone();
            match Expression::new(&self.context, &sql, &schema) {
                Err(ExpressionError::UnknownColumn(name)) => {
                    self.errors.push(MappingError::at(&place, format!("the query's result has no column {name}")))
                }
                Err(ExpressionError::Wrong(text)) => self.errors.push(MappingError::at(&place, text)),
                Ok(expression) => {
                    if let Some(fit) = self.fit(rule, &place, column, &expression, None, &column_rule) {
                        columns.push((expression, fit));
                    }
                }
            }
        }
        if self.errors.len() > errors_before {
            return None;
        }
        let key = target.key_columns().iter().map(|k| k.to_lowercase()).collect();
        let read = schema.fields().iter().map(|f| f.name().clone()).collect();
        Some(QueryWay { sql, rows: RowWay { read, schema, filter: None, columns, dropped: Vec::new(), key } })
    }

    /// The expression that holds for this source: `value`, or `when-missing` where the source lacks a column of it.
    fn choose(
        &self,
        rule: &ColumnRule,
        value: Option<Located<String>>,
        schema: &SchemaRef,
    ) -> Result<Option<Located<String>>, MappingError> {
        let Some(value) = value else { return Ok(rule.when_missing.clone()) };
        match columns_used(&self.context, &value.value, schema) {
            Err(ExpressionError::UnknownColumn(_)) if rule.when_missing.is_some() => Ok(rule.when_missing.clone()),
            _ => Ok(Some(value)),
        }
    }

    fn column_is_needed(&self, column: &Column) -> bool {
        !column.nullable && column.default.is_none() && !column.identity
    }

    fn no_value(&self, rule: &Rule, column: &Column) -> MappingError {
        MappingError::at(
            &rule.name.place,
            format!("the target column {}.{} takes no NULL and gets no value", rule.to.value, column.name),
        )
        .with_help(format!("Give it one: `columns: {{ {}: \"...\" }}`.", column.name))
    }

    fn expression_error(&mut self, place: &crate::language::Place, error: &ExpressionError, source: &Table) {
        match error {
            ExpressionError::UnknownColumn(name) => self.unknown_column(place, name, source, "source"),
            ExpressionError::Wrong(text) => self.errors.push(MappingError::at(place, text.clone())),
        }
    }

    fn fit(
        &mut self,
        rule: &Rule,
        place: &crate::language::Place,
        column: &Column,
        expression: &Expression,
        source: Option<&Column>,
        said: &ColumnRule,
    ) -> Option<Fit> {
        let target = column.typed(Engine::Postgres);
        let source_type = source.map(|c| c.data_type(self.source.engine));
        let mut allowed = Allowed { too_long: said.too_long, out_of_range: said.out_of_range, ..Allowed::default() };
        for loss in &said.loses {
            match loss.value.as_str() {
                "time-of-day" => allowed.time_of_day = true,
                other => self.errors.push(
                    MappingError::at(&loss.place, format!("`{other}` is no loss that imis knows"))
                        .suggest(other, ["time-of-day"]),
                ),
            }
        }
        match Fit::new(expression.data_type(), source_type.as_ref(), &target, allowed) {
            Ok(fit) => {
                self.fit_hazards(rule, column, expression, source, source_type.as_ref(), said);
                Some(fit)
            }
            Err(Unfit::Types(what)) => {
                self.errors.push(
                    MappingError::at(place, format!("{}.{}: {what}", rule.to.value, column.name))
                        .with_help("Write an expression that gives the column's type."),
                );
                None
            }
            Err(Unfit::Undecided(what, write)) => {
                self.errors.push(
                    MappingError::at(place, format!("{}.{}: {what}", rule.to.value, column.name)).with_help(format!(
                        "Decide what becomes of values that do not fit: `{}: {{ {write} }}`.",
                        column.name
                    )),
                );
                None
            }
        }
    }

    fn fit_hazards(
        &mut self,
        rule: &Rule,
        column: &Column,
        expression: &Expression,
        source: Option<&Column>,
        source_type: Option<&DataType>,
        said: &ColumnRule,
    ) {
        use arrow::datatypes::DataType as A;
        let name = &rule.name.value;
        let target = column.data_type(Engine::Postgres);
        let mut add = |kind: &str, what: String| {
            self.hazards.push(Hazard::new(kind, name, Some(&column.name), what));
        };
        if matches!(expression.data_type(), A::Timestamp(..)) && target == DataType::Date {
            add("time-of-day", "the target is a date; a time of day is lost and counted".into());
        }
        if let (Some(from), Some(to)) = (source_type.filter(|t| t.is_text()), target.length())
            && from.length().is_none_or(|from| from > to)
        {
            let fate = if said.too_long == Some(Misfit::Cut) { "is cut and counted" } else { "rejects its row" };
            add("too-long", format!("a text of more than {to} characters {fate}"));
        }
        if let (Some(DataType::Int | DataType::BigInt), DataType::SmallInt) | (Some(DataType::BigInt), DataType::Int) =
            (source_type, &target)
        {
            let fate = match said.out_of_range {
                Some(Misfit::Clamp) => "becomes the nearest one that fits, counted",
                _ => "rejects its row",
            };
            add("out-of-range", format!("a number beyond {} {fate}", target.sql(Engine::Postgres)));
        }
        if !column.nullable && source.is_some_and(|c| c.nullable) {
            add("null-in-not-null", "NULL in the source rejects its row".into());
        }
    }

    fn source_hazard(&mut self, rule: &Rule, source: &Table, name: &str) {
        let Some(column) = source.column(name) else { return };
        match column.data_type(self.source.engine) {
            t if t.is_carried_as_text() => self.hazards.push(Hazard::new(
                "carried-as-text",
                &rule.name.value,
                Some(name),
                format!("{} travels as the text that the server makes of it", t.sql(self.source.engine)),
            )),
            DataType::Time(7) | DataType::Timestamp(7) | DataType::DateTimeOffset(7) => {
                self.hazards.push(Hazard::new(
                    "digits-below-microsecond",
                    &rule.name.value,
                    Some(name),
                    "the seventh digit of a second is lost",
                ));
            }
            _ => {}
        }
    }

    /// Every source table is the source of a rule, read by a query, or left with a reason.
    fn every_table_is_decided(&mut self) {
        for table in &self.source.tables {
            if table.schema != self.source.engine.default_schema() {
                continue;
            }
            let of_a_rule = self
                .mapping
                .rules
                .iter()
                .any(|rule| rule.source_tables().iter().any(|name| same_name(&name.value, &table.name)));
            let left = self.mapping.leave_tables.iter().any(|(name, _)| same_name(&name.value, &table.name));
            if !of_a_rule && !left {
                self.errors.push(
                    MappingError::general(format!("the source table {} goes nowhere", table.table_name())).with_help(
                        format!(
                            "Write a rule for it, or say why it stays behind: `leave-tables: {{ {}: \"reason\" }}`.",
                            table.name
                        ),
                    ),
                );
            }
        }
    }
}

/// A column as an expression.
fn quoted(column: &str) -> String {
    Engine::Postgres.quote(column)
}

/// The source column that an expression is, if it is nothing but a column.
fn plain_column<'a>(sql: &str, source: &'a Table) -> Option<&'a Column> {
    let name = sql.trim();
    let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
    source.column(name)
}

/// A default that is a plain literal: `((0))` is 0, `('N')` is N.
fn plain_default(column: &Column) -> Option<String> {
    let mut text = column.default.as_deref()?.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        text = inner.trim();
    }
    let text = text.strip_prefix('N').filter(|t| t.starts_with('\'')).unwrap_or(text);
    let text = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap_or(text);
    (!text.contains('(')).then(|| text.to_owned())
}
