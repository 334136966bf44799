//! What INSERT, UPDATE and DELETE do to rows.

use std::sync::Arc;

use imis_schemas::script::{Cell, Insert, InsertRows, ObjectName};
use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, JoinConstraint, JoinOperator, Merge, Statement as Sql, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind,
};

use super::super::evaluate::{Bound, Scope, Trouble, unknown};
use super::super::query::{Answer, object_name};
use super::super::rows::Row;
use super::super::value::Value;
use super::super::world::{Made, Otherwise, Rewrite, Shape, World};
use super::{Interpreter, scalar_type};
use crate::source::RefusedRow;

impl Interpreter {
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<(), Trouble> {
        let at = self.table(&insert.table)?;
        let Some(shape) = self.world.shape(at) else { return unknown("the table is not there") };
        let listed = insert.columns.as_ref();
        let positions: Vec<usize> = match listed {
            Some(names) => names
                .iter()
                .map(|name| {
                    let found = shape.names.iter().position(|own| imis_schemas::same_name(own, name));
                    found.ok_or_else(|| Trouble::Unknown(format!("{} has no column {name}", insert.table.name)))
                })
                .collect::<Result<_, _>>()?,
            None => {
                let numbered = self.world.identity_insert(at);
                let given = |made: &Made| match made {
                    Made::ByTheScript => true,
                    Made::Numbered(..) => numbered,
                    // A stamp is made by the server, but has its place in a list of values.
                    Made::Computed | Made::Stamped => false,
                };
                (0..shape.names.len()).filter(|at| shape.made.get(*at).is_some_and(given)).collect()
            }
        };
        match &insert.rows {
            InsertRows::Defaults => self.row(at, &shape, &[], Vec::new()),
            InsertRows::Values(rows) => {
                // A statement is carried out as a whole or not at all.
                let mut made = Vec::with_capacity(rows.len());
                for row in rows {
                    let mut positions = positions.clone();
                    if listed.is_none() && row.len() != positions.len() {
                        positions =
                            (0..shape.names.len()).filter(|at| shape.made.get(*at) != Some(&Made::Computed)).collect();
                        // All columns, the numbered one too: some servers' tools write so.
                        if row.len() != positions.len() {
                            return unknown(format!("{} values for {} columns", row.len(), shape.names.len()));
                        }
                    }
                    if row.len() != positions.len() {
                        return unknown(format!("{} values for {} columns", row.len(), positions.len()));
                    }
                    let mut values = Vec::with_capacity(row.len());
                    for cell in row {
                        values.push(self.cell(cell)?);
                    }
                    made.push((positions, values));
                }
                made.into_iter().try_for_each(|(positions, values)| self.row(at, &shape, &positions, values))
            }
            InsertRows::Query(query) => {
                let Sql::Query(query) = &**query else { return unknown("rows of this kind") };
                let answer = self.world.query(query, None)?;
                for row in answer.rows {
                    if row.len() != positions.len() {
                        return unknown(format!("{} values for {} columns", row.len(), positions.len()));
                    }
                    self.row(at, &shape, &positions, row.into_iter().map(Some).collect())?;
                }
                Ok(())
            }
        }
    }

    /// A value as it is written; none for DEFAULT.
    fn cell(&self, cell: &Cell) -> Result<Option<Value>, Trouble> {
        Ok(Some(match cell {
            Cell::Null => Value::Null,
            Cell::Default => return Ok(None),
            Cell::Number(text) => {
                Value::number(text).ok_or_else(|| Trouble::Unknown("a number of this kind".into()))?
            }
            Cell::Text(text) => Value::Text(text.clone()),
            Cell::Binary(bytes) => Value::Bytes(bytes.clone()),
            Cell::Cast(inner, to) => {
                let value = self.cell(inner)?.unwrap_or(Value::Null);
                let converted = value.convert(&scalar_type(to), self.world.order, false);
                converted.map_err(|misfit| Trouble::Unknown(misfit.0.to_owned()))?
            }
            Cell::Expr(expr) => Scope::of(&self.world).value(expr)?,
        }))
    }

    /// Adds a row, with what it does not say filled in. A row that its table does not take is refused with the reason.
    fn row(
        &mut self,
        at: usize,
        shape: &Arc<Shape>,
        positions: &[usize],
        values: Vec<Option<Value>>,
    ) -> Result<(), Trouble> {
        let mut cells: Vec<Option<Value>> = vec![None; shape.names.len()];
        for (position, value) in positions.iter().zip(values) {
            if let Some(cell) = cells.get_mut(*position) {
                *cell = value;
            }
        }
        let mut made = Vec::with_capacity(cells.len());
        let mut refused: Option<(usize, &'static str)> = None;
        let parts = cells.into_iter().zip(&shape.types).zip(&shape.made).zip(&shape.defaults);
        for (position, (((cell, data_type), maker), default)) in parts.enumerate() {
            let given = matches!(&cell, Some(cell) if !cell.is_null());
            let value = match (cell, maker) {
                (_, Made::Stamped) => self.world.stamp(),
                (_, Made::Computed) => Value::Null,
                (None | Some(Value::Null), Made::Numbered(seed, step)) => {
                    Value::Int(self.world.next_identity(at, *seed, *step))
                }
                (Some(value), _) => value,
                (None, Made::ByTheScript) => match default {
                    Otherwise::Default(default) => self.world.default(default)?,
                    Otherwise::Null => Value::Null,
                    Otherwise::NotUnderstood => return unknown("a default that is not understood"),
                },
            };
            let value = value.convert(data_type, self.world.order, true).unwrap_or_else(|misfit| {
                refused.get_or_insert((position, misfit.0));
                Value::Null
            });
            if let (true, Made::Numbered(_, step)) = (given, maker) {
                let number = match &value {
                    Value::Int(number) => Some(*number),
                    Value::Decimal(units, 0) => i64::try_from(*units).ok(),
                    _ => None,
                };
                number.into_iter().for_each(|number| self.world.note_identity(at, number, *step));
            }
            if value.is_null() && shape.nullable.get(position) == Some(&false) && *maker == Made::ByTheScript {
                refused.get_or_insert((position, "it is NULL, and the column does not take that"));
            }
            made.push(value);
        }
        if let Some((position, reason)) = refused {
            let name = |at: usize| shape.names.get(at).cloned().unwrap_or_default();
            let key = shape.key.iter().map(|at| (name(*at), made.get(*at).and_then(Value::text).unwrap_or_default()));
            let row = RefusedRow { key: key.collect(), column: name(position), reason: reason.to_owned() };
            self.world.refuse(at, row);
            return Ok(());
        }
        self.report.rows += 1;
        Ok(self.world.push(at, Row { columns: Arc::clone(&shape.ids), cells: made })?)
    }

    pub(super) fn update(&mut self, update: &Update) -> Result<(), Trouble> {
        if update.limit.is_some() || update.output.is_some() || !update.table.joins.is_empty() {
            return unknown("an UPDATE of this kind");
        }
        let from: &[TableWithJoins] = match &update.from {
            None => &[],
            Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
        };
        let Target { at, alias, others, conditions } = self.target(&update.table.relation, from)?;
        let Some(shape) = self.world.shape(at) else { return unknown("the table is not there") };
        let mut assignments = Vec::new();
        for assignment in &update.assignments {
            let AssignmentTarget::ColumnName(name) = &assignment.target else {
                return unknown("an assignment of this kind");
            };
            let Some(name) = object_name(name) else { return unknown("an assignment of this kind") };
            let Some(position) = shape.names.iter().position(|own| imis_schemas::same_name(own, &name.name)) else {
                return unknown(format!("the column {} is not there", name.name));
            };
            if shape.made.get(position) != Some(&Made::ByTheScript) {
                return Err(Trouble::Refused(format!("the column {} cannot be set", name.name)));
            }
            assignments.push((position, &assignment.value));
        }
        let around = looks_around(update);
        let changed = self.world.rewrite(at, around, |world, columns, cells| {
            let own = Bound { alias: &alias, columns, cells };
            let Some(rows) = others.matching(world, own, &conditions, update.selection.as_ref())? else {
                return Ok(Rewrite::Keep);
            };
            let scope = Scope { world, rows: &rows, outer: None };
            let mut values = Vec::with_capacity(assignments.len());
            for (position, value) in &assignments {
                let Some(data_type) = shape.types.get(*position) else { continue };
                let value = scope.value(value)?.convert(data_type, world.order, true);
                let value = value.map_err(|misfit| Trouble::Refused(misfit.0.to_owned()))?;
                if value.is_null() && shape.nullable.get(*position) == Some(&false) {
                    return Err(Trouble::Refused("NULL into a column that does not take it".to_owned()));
                }
                values.push((*position, value));
            }
            Ok(Rewrite::Set(values))
        })?;
        self.report.updated += changed;
        Ok(())
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Result<(), Trouble> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let using: &[TableWithJoins] = delete.using.as_deref().unwrap_or_default();
        let (first, using) = match (delete.tables.as_slice(), from.as_slice()) {
            // DELETE alias FROM table alias JOIN ...
            ([name], from) => (Named::Name(name), from),
            ([], [only]) if only.joins.is_empty() && using.is_empty() => (Named::Factor(&only.relation), using),
            ([], [only]) if only.joins.is_empty() => (Named::Factor(&only.relation), using),
            _ => return unknown("a DELETE of this kind"),
        };
        if delete.limit.is_some() || delete.output.is_some() || delete.returning.is_some() {
            return unknown("a DELETE of this kind");
        }
        let Target { at, alias, others, conditions } = match first {
            Named::Factor(factor) => self.target(factor, using)?,
            Named::Name(name) => {
                let Some(name) = object_name(name) else { return unknown("a DELETE of this kind") };
                self.target_named(&name, None, using)?
            }
        };
        let around = looks_around(delete);
        let changed = self.world.rewrite(at, around, |world, columns, cells| {
            let own = Bound { alias: &alias, columns, cells };
            let meant = others.matching(world, own, &conditions, delete.selection.as_ref())?.is_some();
            Ok(if meant { Rewrite::Drop } else { Rewrite::Keep })
        })?;
        self.report.deleted += changed;
        Ok(())
    }

    pub(super) fn merge(&mut self, _merge: &Merge) -> Result<(), Trouble> {
        unknown("MERGE")
    }

    /// The table that a change is about, and the others that FROM names beside it.
    fn target<'q>(&self, factor: &TableFactor, from: &'q [TableWithJoins]) -> Result<Target<'q>, Trouble> {
        let Some((name, alias)) = plain(factor) else { return unknown("a change of this kind") };
        self.target_named(&name, alias, from)
    }

    fn target_named<'q>(
        &self,
        name: &ObjectName,
        alias: Option<String>,
        from: &'q [TableWithJoins],
    ) -> Result<Target<'q>, Trouble> {
        if from.is_empty() {
            let alias = alias.unwrap_or_else(|| name.name.clone());
            return Ok(Target { at: self.table(name)?, alias, others: Others::none(), conditions: Vec::new() });
        }
        let (mut own, mut others, mut conditions) = (None, Others::none(), Vec::new());
        for table in from {
            let joined = table.joins.iter().map(|join| (&join.relation, Some(&join.join_operator)));
            for (factor, join) in std::iter::once((&table.relation, None)).chain(joined) {
                match join {
                    None | Some(JoinOperator::CrossJoin(JoinConstraint::None)) => {}
                    Some(JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on))) => {
                        conditions.push(on);
                    }
                    Some(_) => return unknown("a change with a join of this kind"),
                }
                let called = plain(factor).map(|(real, alias)| (alias.unwrap_or_else(|| real.name.clone()), real));
                match called {
                    Some((called, real))
                        if own.is_none()
                            && (imis_schemas::same_name(&called, &name.name)
                                || imis_schemas::same_name(&real.name, &name.name)) =>
                    {
                        own = Some((self.table(&real)?, called));
                    }
                    _ => others.join(self.world.source(factor)?)?,
                }
            }
        }
        // UPDATE t SET ... FROM u: the table itself need not be named again.
        let (at, alias) = match own {
            Some(own) => own,
            None => (self.table(name)?, alias.unwrap_or_else(|| name.name.clone())),
        };
        Ok(Target { at, alias, others, conditions })
    }
}

/// A table with the alias that it has, if a source of rows is a table.
fn plain(factor: &TableFactor) -> Option<(ObjectName, Option<String>)> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            Some((object_name(name)?, alias.as_ref().map(|alias| alias.name.value.clone())))
        }
        _ => None,
    }
}

/// What a change is about.
struct Target<'q> {
    at: usize,
    alias: String,
    others: Others,
    conditions: Vec<&'q Expr>,
}

/// How a DELETE names its table.
enum Named<'q> {
    Factor(&'q TableFactor),
    Name(&'q sqlparser::ast::ObjectName),
}

/// The rows that stand beside those of a change.
struct Others {
    shapes: Vec<(String, Vec<String>)>,
    rows: Vec<Vec<Value>>,
}

impl Others {
    /// More pairs of rows than this are not looked at.
    const MANY: usize = 1_000_000;

    fn none() -> Self {
        Others { shapes: Vec::new(), rows: vec![Vec::new()] }
    }

    fn join(&mut self, (alias, answer): (String, Answer)) -> Result<(), Trouble> {
        if self.rows.len().saturating_mul(answer.rows.len()) > Self::MANY {
            return unknown("a change with a join of too many rows");
        }
        let pairs = self.rows.iter().flat_map(|a| answer.rows.iter().map(move |b| [a.as_slice(), b].concat()));
        self.rows = pairs.collect();
        self.shapes.push((alias, answer.columns));
        Ok(())
    }

    /// A row with the first of the others with which all conditions hold; none where there is no such.
    fn matching<'a>(
        &'a self,
        world: &World,
        own: Bound<'a>,
        conditions: &[&Expr],
        selection: Option<&Expr>,
    ) -> Result<Option<Vec<Bound<'a>>>, Trouble> {
        for row in &self.rows {
            let mut bound = vec![own];
            let mut rest = row.as_slice();
            for (alias, columns) in &self.shapes {
                let (cells, behind) = rest.split_at(columns.len().min(rest.len()));
                bound.push(Bound { alias, columns, cells });
                rest = behind;
            }
            let scope = Scope { world, rows: &bound, outer: None };
            let mut holds = true;
            for condition in conditions.iter().copied().chain(selection) {
                if scope.holds(condition)? != Some(true) {
                    holds = false;
                    break;
                }
            }
            if holds {
                return Ok(Some(bound));
            }
        }
        Ok(None)
    }
}

/// Whether a change looks at rows beside its own.
fn looks_around(change: &impl std::fmt::Display) -> bool {
    change.to_string().to_uppercase().contains("SELECT")
}
