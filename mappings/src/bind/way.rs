//! Rules that take their rows one by one from a source table, or from a query.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use imis_schemas::{Column, Table, same_name};

use super::{Binder, BoundTell, Dropped, Flow, QueryWay, RowWay, Taken, plain_column, quoted};
use crate::hazard::Hazard;
use crate::language::{ColumnRule, Existing, Finding, Located, MappingError, Rule, Tell};
use imis_databases::query::expression::{Expression, ExpressionError, columns_used, fold_names, schema_of, trouble};

impl Binder<'_> {
    pub(super) fn rows(&mut self, rule: &Rule, source: &Arc<Table>, target: &Arc<Table>) -> Option<RowWay> {
        let errors_before = self.errors.len();
        let engine = self.source.engine;
        let all: Vec<String> = source.columns.iter().map(|c| c.name.clone()).collect();
        let whole = schema_of(source, engine, &all);
        let mut used: HashSet<String> = HashSet::new();
        let mut dropped = Vec::new();
        let mut stand_ins: Vec<(String, String, String)> = Vec::new();

        // Which expression each target column gets, and which source columns that uses.
        let mut wanted: Vec<(&Column, String, ColumnRule, Option<Located<String>>)> = Vec::new();
        for (name, _) in &rule.columns {
            let (name, said) = (&name.value, &name.place);
            let column_rule = rule.columns.iter().find(|(n, _)| n.value == *name).map(|(_, c)| c);
            if target.column(name).is_none() && !column_rule.is_some_and(|c| c.if_in_target) {
                self.unknown_column(said, name, target, "target");
            }
        }
        // A rule that only sets columns takes its key and the columns that it names.
        let update = match &rule.existing {
            Existing::Update { by } => Some(by),
            _ => None,
        };
        for column in &target.columns {
            let said = rule.columns.iter().find(|(name, _)| same_name(&name.value, &column.name));
            let by_name = source.column(&column.name);
            if let Some(by) = update
                && said.is_none()
            {
                match (by.iter().any(|key| same_name(key, &column.name)), by_name) {
                    (true, Some(own)) => wanted.push((column, quoted(&own.name), ColumnRule::default(), None)),
                    (true, None) => self.errors.push(self.no_value(rule, column)),
                    (false, _) => {}
                }
                continue;
            }
            let left = by_name.is_some_and(|c| rule.leave.iter().any(|(name, _)| same_name(&name.value, &c.name)));
            match said {
                Some((name, column_rule)) => {
                    let written = column_rule
                        .value
                        .clone()
                        .or_else(|| by_name.map(|c| Located { value: quoted(&c.name), place: name.place.clone() }));
                    match self.choose(rule, column_rule, written, Some(source), &whole) {
                        Ok(Some(chosen)) => {
                            let mut sql = chosen.value.clone();
                            // What stands in for a column that is not there is no stand-in for a NULL.
                            let missing = column_rule.when_missing.as_ref().is_some_and(|m| m.value == sql);
                            if let Some((other, name)) = column_rule.when_null.as_ref().filter(|_| !missing) {
                                let condition = format!("({sql}) is null and ({}) is not null", other.value);
                                stand_ins.push((condition, column.name.clone(), name.clone()));
                                sql = format!("coalesce({sql}, {})", other.value);
                            }
                            wanted.push((column, sql, column_rule.clone(), Some(chosen)));
                        }
                        Ok(None) => {
                            if column_rule.value.is_none() && by_name.is_none() && self.column_is_needed(column) {
                                self.errors.push(self.no_value(rule, column));
                            }
                        }
                        Err(error) => {
                            self.errors.push(error);
                            used.insert(column.name.to_lowercase());
                        }
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
            let names = match columns_used(&self.context, &sql, &whole) {
                Ok(names) => names,
                Err(error) => {
                    self.expression_error(place, &error, source);
                    used.extend(meant(&sql, column, source));
                    continue;
                }
            };
            match Expression::new(&self.context, &sql, &whole) {
                Err(error) => {
                    self.expression_error(place, &error, source);
                    used.extend(names);
                }
                Ok(expression) => {
                    let plain = plain_column(&sql, source);
                    let missing = column_rule
                        .when_missing
                        .as_ref()
                        .is_some_and(|w| at.as_ref().is_some_and(|at| at.value == w.value));
                    let columns_of = |c: &&Column| names.contains(&c.name.to_lowercase());
                    self.flows.push(Flow {
                        rule: rule.name.value.clone(),
                        from: Some(source.name.clone()),
                        used: source.columns.iter().filter(columns_of).map(|c| c.name.clone()).collect(),
                        to: target.name.clone(),
                        column: column.name.clone(),
                        sql: sql.clone(),
                        how: match plain {
                            _ if missing => Taken::WhenMissing,
                            Some(_) => Taken::Named,
                            None => Taken::Expression,
                        },
                        travels: expression.data_type().to_string(),
                    });
                    let is_constant = names.is_empty();
                    used.extend(names);
                    if let Some(fit) = self.fit(rule, place, column, &expression, plain, &column_rule) {
                        if is_constant {
                            self.constant_fits(place, &expression, &fit);
                        }
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
        for column in source.columns.iter().filter(|_| update.is_none()) {
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
                dropped.push(Dropped { column: column.name.clone(), default: column.plain_default() });
                continue;
            }
            // A column that the mapping does not mention: a country's own.
            let filled = self.seen.filled(&source.name, &column.name);
            if filled == Some(0) {
                self.hazards.push(Hazard::new(
                    "empty-column",
                    &rule.name.value,
                    Some(&column.name),
                    "the mapping does not know the column; no row holds more than its default in it, so it stays behind",
                ));
                continue;
            }
            let holding = filled.map(|n| format!(", and {n} rows hold a value in it")).unwrap_or_default();
            let (table, name) = (source.name.clone(), column.name.clone());
            self.errors.push(
                MappingError::at(&rule.name.place, format!("the source column {table}.{name} goes nowhere{holding}"))
                    .with_label("this rule carries the table")
                    .with_help(format!(
                        "Map it under `columns`, or say why it stays behind: `leave: {{ {name}: \"reason\" }}`. `imis mapping \
                         scaffold` drafts it."
                    ))
                    .found(Finding::Column { rule: rule.name.value.clone(), table, column: name, filled }),
            );
        }
        for (name, _) in rule.leave.iter().chain(&rule.leave_if_absent) {
            // An older source may lack the column; a name that no release knows is a slip of the pen.
            if self.release.is_some() {
                if source.column(&name.value).is_none() && !self.is_known(rule.source_tables(), &name.value) {
                    self.unknown_column(&name.place, &name.value, source, "source");
                }
            } else if source.column(&name.value).is_none()
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
        let plain = columns
            .iter()
            .filter_map(|(sql, fit)| Some((plain_column(sql, source)?.name.clone(), fit.column().name.clone())))
            .filter(|(own, _)| key.contains(own))
            .collect();
        self.may_be_read(rule, source, &read);
        let retyped = |sql: &str| Expression::new(&self.context, sql, &schema).ok();
        let columns = columns.into_iter().filter_map(|(sql, fit)| Some((retyped(&sql)?, fit))).collect();
        let filter = filter.and_then(|(name, sql)| Some((name, retyped(&sql)?)));
        let stand_ins =
            stand_ins.into_iter().filter_map(|(sql, column, name)| Some((retyped(&sql)?, column, name))).collect();
        for name in &read {
            self.source_hazard(rule, source, name);
        }
        Some(RowWay { read, schema, filter, columns, stand_ins, dropped, key, plain })
    }

    pub(super) async fn tell(&mut self, rule: &Rule, tell: &Tell) {
        match self.planned(&tell.query.value).await {
            Ok((sql, plan)) => self.tells.push(BoundTell {
                rule: rule.name.value.clone(),
                sql,
                key: plan.schema().fields().first().map_or_else(String::new, |field| field.name().clone()),
                text: tell.text.clone(),
            }),
            Err(text) => {
                self.errors.push(MappingError::at(&tell.query.place, format!("rule {}: {text}", rule.name.value)));
            }
        }
    }

    /// A query as it is run, with its plan; or what is wrong with it.
    pub(super) async fn planned(&self, query: &str) -> Result<(String, LogicalPlan), String> {
        let planned = match fold_names(query) {
            Ok(sql) => match self.context.state().create_logical_plan(&sql).await {
                Ok(plan) => Ok((sql, plan)),
                Err(error) => Err(trouble(&error)),
            },
            Err(error) => Err(error),
        };
        planned.map_err(|error| match error {
            ExpressionError::UnknownColumn(name) => format!("the query names a column `{name}` that is not there"),
            ExpressionError::Wrong(text) => text,
        })
    }

    pub(super) async fn query(
        &mut self,
        rule: &Rule,
        query: &Located<String>,
        target: &Arc<Table>,
    ) -> Option<QueryWay> {
        let errors_before = self.errors.len();
        let (sql, plan) = match self.planned(&query.value).await {
            Ok(planned) => planned,
            Err(text) => {
                self.errors.push(MappingError::at(&query.place, format!("rule {}: {text}", rule.name.value)));
                return None;
            }
        };
        self.tables_of_a_query(rule, query, &source_tables(&plan));
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
            let at = said.map_or(&query.place, |(name, _)| &name.place);
            let written = column_rule
                .value
                .clone()
                .or_else(|| by_name.then(|| Located { value: quoted(&column.name), place: at.clone() }));
            let (sql, place) = match self.choose(rule, &column_rule, written, None, &schema) {
                Ok(Some(chosen)) => (chosen.value, chosen.place),
                Ok(None) if self.column_is_needed(column) => {
                    self.errors.push(self.no_value(rule, column));
                    continue;
                }
                Ok(None) => continue,
                Err(error) => {
                    self.errors.push(error);
                    continue;
                }
            };
            match Expression::new(&self.context, &sql, &schema) {
                Err(ExpressionError::UnknownColumn(name)) => {
                    self.errors.push(MappingError::at(&place, format!("the query's result has no column {name}")))
                }
                Err(ExpressionError::Wrong(text)) => self.wrong(&place, &text),
                Ok(expression) => {
                    self.flows.push(Flow {
                        rule: rule.name.value.clone(),
                        from: None,
                        used: Vec::new(),
                        to: target.name.clone(),
                        column: column.name.clone(),
                        sql: sql.clone(),
                        how: Taken::Query,
                        travels: expression.data_type().to_string(),
                    });
                    if let Some(fit) = self.fit(rule, &place, column, &expression, None, &column_rule) {
                        columns.push((expression, fit));
                    }
                }
            }
        }
        if self.errors.len() > errors_before {
            return None;
        }
        let key: Vec<String> = target.key_columns().iter().map(|k| k.to_lowercase()).collect();
        let plain = key.iter().cloned().zip(target.key_columns().iter().cloned()).collect();
        let read = schema.fields().iter().map(|f| f.name().clone()).collect();
        Some(QueryWay {
            sql,
            rows: RowWay {
                read,
                schema,
                filter: None,
                columns,
                stand_ins: Vec::new(),
                dropped: Vec::new(),
                key,
                plain,
            },
        })
    }

    /// The expression that holds for this source: `value`, or `when-missing` where the source lacks a column of it.
    fn choose(
        &self,
        rule: &Rule,
        said: &ColumnRule,
        value: Option<Located<String>>,
        source: Option<&Table>,
        schema: &SchemaRef,
    ) -> Result<Option<Located<String>>, MappingError> {
        let Some(value) = value else { return Ok(said.when_missing.clone()) };
        match columns_used(&self.context, &value.value, schema) {
            Err(ExpressionError::UnknownColumn(name)) if said.when_missing.is_some() => {
                // What no release knows is a slip of the pen, and would take the other value for ever.
                let tables = rule.source_tables();
                if self.release.is_some() && !tables.is_empty() && !self.is_known(tables, &name) {
                    let whose = source.map_or_else(
                        || "the query's result".to_owned(),
                        |table| format!("the source's {}", table.table_name()),
                    );
                    let message = format!("{whose} has no column {name}, nor has it in any release");
                    let error = MappingError::at(&value.place, message).with_label("no such column");
                    let near: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                    let near = source.map_or(near, |table| table.columns.iter().map(|c| c.name.as_str()).collect());
                    return Err(error.suggest(&name, near));
                }
                Ok(said.when_missing.clone())
            }
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
            ExpressionError::Wrong(text) => self.wrong(place, text),
        }
    }

    /// A complaint about an expression, at the word that it is about.
    fn wrong(&mut self, place: &crate::language::Place, text: &str) {
        let function = text.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next());
        self.errors.push(match function {
            Some(name) => {
                let state = self.context.state();
                let known = state.scalar_functions().keys().map(String::as_str);
                let error = MappingError::at(&place.within(name), format!("there is no function {name}"));
                error.with_label("no such function").suggest(name, known)
            }
            None => {
                let word = text.split('`').nth(1).unwrap_or_default();
                let word = word.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                MappingError::at(&place.within(word), text).with_label("here")
            }
        });
    }

    /// An expression without a column is the same for every row: it must be one that the column takes.
    fn constant_fits(&mut self, place: &crate::language::Place, expression: &Expression, fit: &crate::fit::Fit) {
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(1));
        let empty = Arc::new(arrow::datatypes::Schema::empty());
        let Ok(one) = arrow::record_batch::RecordBatch::try_new_with_options(empty, Vec::new(), &options) else {
            return;
        };
        let mut failed = Vec::new();
        let array = expression.evaluate(&one, &mut failed);
        let mut findings = crate::fit::Findings::default();
        if failed.is_empty() {
            fit.apply(&array, &mut findings);
            failed.extend(findings.rejected.into_iter().map(|(row, _, reason)| (row, reason)));
        }
        if let Some((_, reason)) = failed.first() {
            let column = &fit.column().name;
            let message = format!("{column} would reject every row: {reason}");
            self.errors.push(MappingError::at(place, message).with_label("the same for every row"));
        }
    }
}

/// The columns that an expression which cannot be read is about: its own words, and the column that it is for. They are no
/// columns that go nowhere.
fn meant(sql: &str, column: &Column, source: &Table) -> Vec<String> {
    let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_').chain([column.name.as_str()]);
    words.filter_map(|word| source.column(word)).map(|column| column.name.to_lowercase()).collect()
}

/// The tables of the source that a query reads, those of its subqueries included.
fn source_tables(plan: &LogicalPlan) -> Vec<String> {
    let mut tables = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.schema() == Some("source")
        {
            tables.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables
}
