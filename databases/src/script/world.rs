//! What scripts have made so far: tables, rows, variables, the last numbers that were given out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use imis_schemas::script::{Database, ObjectName};
use imis_schemas::{DataType, Engine};
use sqlparser::ast::Expr;
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;

use super::evaluate::{Bound, Scope, Trouble};
use super::moment::DateOrder;
use super::rows::{Budget, Row, Rows};
use super::system;
use super::value::Value;
use crate::error::Error;
use crate::source::RefusedRow;

/// The name space of the identifiers that `NEWID()` gives: the same script gives the same ones, whenever it is read.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x1bd3_5c2e_6f0a_5d7b_9a57_4c1e_8b2d_9f31);

/// What a table's rows are put together by; made again when the table changes.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) ids: Arc<[u32]>,
    pub(super) names: Vec<String>,
    pub(super) types: Vec<DataType>,
    /// Which of the columns the server numbers, computes or stamps.
    pub(super) made: Vec<Made>,
    pub(super) nullable: Vec<bool>,
    /// What stands for a value where none is given.
    pub(super) defaults: Vec<Otherwise>,
    /// The keys by which a refused row is told.
    pub(super) key: Vec<usize>,
}

/// What stands for a value that is not given.
#[derive(Clone, Debug)]
pub(super) enum Otherwise {
    Null,
    Default(Arc<Expr>),
    NotUnderstood,
}

/// Who makes the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    ByTheScript,
    /// Seed and step.
    Numbered(i64, i64),
    Computed,
    Stamped,
}

/// The rows of a table, and what belongs to them.
#[derive(Debug)]
struct Held {
    rows: Rows,
    shape: Option<Arc<Shape>>,
    /// What older rows have in columns that came later.
    fills: HashMap<u32, Value>,
    identity: Option<i64>,
    identity_insert: bool,
    refused: Vec<RefusedRow>,
}

/// Everything that is there while scripts are read.
#[derive(Debug)]
pub(super) struct World {
    database: Database,
    held: Vec<Held>,
    budget: Budget,
    variables: HashMap<String, Value>,
    types: HashMap<String, DataType>,
    defaults: RefCell<HashMap<String, Option<Arc<Expr>>>>,
    last_identity: Value,
    lost: Vec<(String, u64)>,
    stamp: u64,
    /// When the script in hand was written last: its today.
    now: i64,
    file: String,
    /// How many identifiers each script has got.
    ids: RefCell<HashMap<String, u64>>,
    /// How the script's dates are written.
    pub(super) order: DateOrder,
}

impl World {
    pub(super) fn new() -> Self {
        World {
            database: Database::new(),
            held: Vec::new(),
            budget: Budget::default(),
            variables: HashMap::new(),
            types: HashMap::new(),
            defaults: RefCell::default(),
            last_identity: Value::Null,
            lost: Vec::new(),
            // Where the count of a new database stands.
            stamp: 2_000,
            now: 0,
            file: String::new(),
            ids: RefCell::new(HashMap::new()),
            order: DateOrder::default(),
        }
    }

    /// A script begins: its name, and when it was written last, in steps of 100 ns since 1970-01-01.
    pub(super) fn begin(&mut self, file: &str, now: i64) {
        file.clone_into(&mut self.file);
        self.now = super::moment::datetime(now);
        self.order = DateOrder::default();
        self.end_batch();
    }

    /// What a script in hand has of its own, put aside while another one is read; a new one begins with none of it.
    pub(super) fn put_aside(&mut self) -> Aside {
        Aside {
            file: self.file.clone(),
            now: self.now,
            order: self.order,
            variables: std::mem::take(&mut self.variables),
            types: std::mem::take(&mut self.types),
        }
    }

    /// A text that is a script goes on where the script that runs it stands, with variables of its own.
    pub(super) fn go_on(&mut self, aside: &Aside) {
        (self.file, self.now, self.order) = (aside.file.clone(), aside.now, aside.order);
    }

    /// Goes on with what was put aside.
    pub(super) fn take_up(&mut self, aside: Aside) {
        let Aside { file, now, order, variables, types } = aside;
        (self.file, self.now, self.order, self.variables, self.types) = (file, now, order, variables, types);
    }

    /// Variables live as long as their batch.
    pub(super) fn end_batch(&mut self) {
        self.variables.clear();
        self.types.clear();
        while let Some(table) = self.database.tables().iter().find(|table| table.name.name.starts_with('@')) {
            let name = ObjectName { schema: Some(table.name.schema.clone()), name: table.name.name.clone() };
            if self.change(|database| database.drop(&name)).is_err() {
                break;
            }
        }
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Changes the tables. Rows follow: a new table has none, a dropped one loses them.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Database) -> T) -> T {
        let first = |database: &Database| -> Vec<Option<u32>> {
            database.tables().iter().map(|table| table.columns.first().map(|column| column.id)).collect()
        };
        let (before, names) = (first(&self.database), self.names());
        let outcome = change(&mut self.database);
        let after = self.database.tables();
        if after.len() < before.len() {
            // At most one table goes at a time; numbers of columns are given once only.
            let left = first(&self.database);
            let gone = before.iter().enumerate().find(|(at, id)| left.get(*at) != Some(id)).map(|(at, _)| at);
            if let Some(at) = gone.filter(|at| *at < self.held.len()) {
                let held = self.held.remove(at);
                if !held.refused.is_empty() {
                    let name = names.get(at).cloned().unwrap_or_default();
                    self.lost.push((name, held.refused.len() as u64));
                }
            }
        }
        while self.held.len() < after.len() {
            self.held.push(Held {
                rows: Rows::new(&self.budget),
                shape: None,
                fills: HashMap::new(),
                identity: None,
                identity_insert: false,
                refused: Vec::new(),
            });
        }
        self.held.iter_mut().for_each(|held| held.shape = None);
        outcome
    }

    /// Puts the tables back as they were, if none came or went since: rows follow by the numbers of their columns.
    pub(super) fn take_back(&mut self, before: Database) -> bool {
        let taken = self.database.take_back(before);
        self.held.iter_mut().for_each(|held| held.shape = None);
        taken
    }

    fn names(&self) -> Vec<String> {
        self.database.tables().iter().map(|table| table.name.to_string()).collect()
    }

    /// Rows that were refused by tables that are gone: the tables, and how many.
    pub(super) fn lost(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.lost)
    }

    pub(super) fn find(&self, name: &ObjectName) -> Option<usize> {
        self.database.find(name)
    }

    /// What rows of a table are put together by.
    pub(super) fn shape(&mut self, at: usize) -> Option<Arc<Shape>> {
        if let Some(shape) = self.held.get(at).and_then(|held| held.shape.clone()) {
            return Some(shape);
        }
        let table = self.database.tables().get(at)?;
        let types: Vec<DataType> = table.columns.iter().map(|c| c.column.data_type(Engine::Mssql)).collect();
        let made = table.columns.iter().zip(&types).map(|(column, data_type)| match column.identity {
            Some((seed, step)) => Made::Numbered(seed, step),
            None if column.column.computed.is_some() => Made::Computed,
            None if *data_type == DataType::RowVersion => Made::Stamped,
            None => Made::ByTheScript,
        });
        let names: Vec<String> = table.columns.iter().map(|c| c.column.name.clone()).collect();
        let of_catalogue = table.table();
        let key =
            of_catalogue.key_columns().iter().filter_map(|key| names.iter().position(|name| name == key)).collect();
        let shape = Arc::new(Shape {
            ids: table.columns.iter().map(|c| c.id).collect(),
            made: made.collect(),
            nullable: table.columns.iter().map(|c| c.column.nullable).collect(),
            defaults: table
                .columns
                .iter()
                .map(|c| match c.column.default.as_deref() {
                    None => Otherwise::Null,
                    Some(default) => self.parsed(default).map_or(Otherwise::NotUnderstood, Otherwise::Default),
                })
                .collect(),
            names,
            types,
            key,
        });
        self.held.get_mut(at)?.shape = Some(Arc::clone(&shape));
        Some(shape)
    }

    /// The expression of a default, parsed once.
    fn parsed(&self, default: &str) -> Option<Arc<Expr>> {
        let mut known = self.defaults.borrow_mut();
        if let Some(found) = known.get(default) {
            return found.clone();
        }
        let parsed = expression(default).map(Arc::new);
        known.insert(default.to_owned(), parsed.clone());
        parsed
    }

    pub(super) fn column_names(&self, at: usize) -> Vec<String> {
        let table = self.database.tables().get(at);
        table.map(|table| table.columns.iter().map(|c| c.column.name.clone()).collect()).unwrap_or_default()
    }

    /// Shows every row of a table as its columns stand now; `false` ends it.
    pub(super) fn each_row(
        &self,
        at: usize,
        see: impl FnMut(&[String], &[Value]) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        self.each_computed(at, true, see)
    }

    /// The computed columns of a table, by their position, with their expressions; none where it is not understood.
    fn computed(&self, at: usize) -> Vec<(usize, Option<Arc<Expr>>)> {
        let Some(table) = self.database.tables().get(at) else { return Vec::new() };
        let columns = table.columns.iter().enumerate();
        columns.filter_map(|(at, column)| Some((at, self.parsed(column.column.computed.as_deref()?)))).collect()
    }

    /// Fills in what is computed. What is not understood is an error if it must be known, and NULL otherwise.
    fn compute(
        &self,
        table: &str,
        computed: &[(usize, Option<Arc<Expr>>)],
        names: &[String],
        cells: &mut [Value],
        strict: bool,
    ) -> Result<(), Trouble> {
        for (position, expression) in computed {
            let value = {
                let bound = [Bound { alias: table, columns: names, cells }];
                let scope = Scope { world: self, rows: &bound, outer: None };
                match expression {
                    Some(expression) => scope.value(expression),
                    None => Err(Trouble::Unknown("a computed column".to_owned())),
                }
            };
            let value = match value {
                Err(Trouble::Unknown(_) | Trouble::Refused(_)) if !strict => Value::Null,
                other => other?,
            };
            if let Some(cell) = cells.get_mut(*position) {
                *cell = value;
            }
        }
        Ok(())
    }

    /// Which computed columns of a table cannot be told for all of its rows: their names.
    pub(super) fn not_computed(&self, at: usize) -> Vec<String> {
        let mut found = Vec::new();
        let names = self.column_names(at);
        let (Some(table), Some(held)) = (self.database.tables().get(at), self.held.get(at)) else { return found };
        for (position, expression) in self.computed(at) {
            let one = [(position, expression)];
            let mut fails = false;
            let outcome = held.rows.each::<Trouble>(|row| {
                let mut cells: Vec<Value> = table.columns.iter().map(|column| held.cell(row, column.id)).collect();
                fails = self.compute(&table.name.name, &one, &names, &mut cells, true).is_err();
                Ok(!fails)
            });
            if outcome.is_err() || fails {
                found.extend(names.get(position).cloned());
            }
        }
        found
    }

    /// As [`World::each_row`], with what to do where a computed column is not understood.
    pub(super) fn each_computed(
        &self,
        at: usize,
        strict: bool,
        mut see: impl FnMut(&[String], &[Value]) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let (Some(table), Some(held)) = (self.database.tables().get(at), self.held.get(at)) else { return Ok(()) };
        let names = self.column_names(at);
        let computed = self.computed(at);
        let mut cells = Vec::with_capacity(names.len());
        held.rows.each(|row| {
            cells.clear();
            cells.extend(table.columns.iter().map(|column| held.cell(row, column.id)));
            self.compute(&table.name.name, &computed, &names, &mut cells, strict)?;
            see(&names, &cells)
        })
    }

    /// Puts another row, or none, in the place of each. What is shown are the columns as they stand now; the change names columns by
    /// their position. A change that looks at rows beside its own (`looks_around`) sees all of them as they were.
    pub(super) fn rewrite(
        &mut self,
        at: usize,
        looks_around: bool,
        mut change: impl FnMut(&World, &[String], &[Value]) -> Result<Rewrite, Trouble>,
    ) -> Result<u64, Trouble> {
        if looks_around {
            let (mut decided, mut number) = (HashMap::new(), 0_u64);
            self.each_row(at, |names, cells| {
                match change(self, names, cells)? {
                    Rewrite::Keep => {}
                    other => {
                        decided.insert(number, other);
                    }
                }
                number += 1;
                Ok(true)
            })?;
            number = 0;
            return self.apply(at, &mut |_, _, _| {
                number += 1;
                Ok(decided.remove(&(number - 1)).unwrap_or(Rewrite::Keep))
            });
        }
        self.apply(at, &mut change)
    }

    fn apply(&mut self, at: usize, change: &mut Deciding<'_>) -> Result<u64, Trouble> {
        let names = self.column_names(at);
        let Some(ids) = self.shape(at).map(|shape| Arc::clone(&shape.ids)) else { return Ok(0) };
        let computed = self.computed(at);
        let table = self.database.tables().get(at).map(|table| table.name.name.clone()).unwrap_or_default();
        let Some(held) = self.held.get_mut(at) else { return Ok(0) };
        let mut rows = std::mem::replace(&mut held.rows, Rows::new(&self.budget));
        let mut changed = 0;
        let outcome = rows.rewrite(|row| {
            let held = self.held.get(at);
            let mut cells: Vec<Value> =
                ids.iter().map(|id| held.map_or(Value::Null, |held| held.cell(row, *id))).collect();
            self.compute(&table, &computed, &names, &mut cells, true)?;
            match change(self, &names, &cells)? {
                Rewrite::Keep => Ok(Some(row.clone())),
                Rewrite::Drop => {
                    changed += 1;
                    Ok(None)
                }
                Rewrite::Set(values) => {
                    changed += 1;
                    let mut row = row.clone();
                    for (position, value) in values {
                        if let Some(id) = ids.get(position) {
                            row.set(*id, value);
                        }
                    }
                    Ok::<_, Trouble>(Some(row))
                }
            }
        });
        if let Some(held) = self.held.get_mut(at) {
            held.rows = rows;
        }
        outcome.map(|()| changed)
    }

    pub(super) fn push(&mut self, at: usize, row: Row) -> Result<(), Error> {
        self.held.get_mut(at).map_or(Ok(()), |held| held.rows.push(row))
    }

    pub(super) fn clear(&mut self, at: usize) {
        if let Some(held) = self.held.get_mut(at) {
            held.rows.clear();
            held.refused.clear();
            held.identity = None;
        }
    }

    pub(super) fn count(&self, at: usize) -> u64 {
        self.held.get(at).map_or(0, |held| held.rows.count())
    }

    pub(super) fn refuse(&mut self, at: usize, row: RefusedRow) {
        if let Some(held) = self.held.get_mut(at) {
            held.refused.push(row);
        }
    }

    pub(super) fn refused(&self, at: usize) -> &[RefusedRow] {
        self.held.get(at).map_or(&[], |held| &held.refused)
    }

    /// What rows that are there have in a column that comes now.
    pub(super) fn fill(&mut self, at: usize, column: u32, value: Value) {
        if let Some(held) = self.held.get_mut(at) {
            held.fills.insert(column, value);
        }
    }

    pub(super) fn set_identity_insert(&mut self, at: usize, on: bool) {
        if let Some(held) = self.held.get_mut(at) {
            held.identity_insert = on;
        }
    }

    pub(super) fn identity_insert(&self, at: usize) -> bool {
        self.held.get(at).is_some_and(|held| held.identity_insert)
    }

    /// The next number of a table.
    pub(super) fn next_identity(&mut self, at: usize, seed: i64, step: i64) -> i64 {
        let Some(held) = self.held.get_mut(at) else { return seed };
        let next = held.identity.map_or(seed, |last| last.saturating_add(step));
        held.identity = Some(next);
        self.last_identity = Value::Int(next);
        next
    }

    /// A number that a script gave itself: the next ones lie beyond it.
    pub(super) fn note_identity(&mut self, at: usize, value: i64, step: i64) {
        self.last_identity = Value::Int(value);
        let Some(held) = self.held.get_mut(at) else { return };
        let beyond = held.identity.is_none_or(|last| if step < 0 { value < last } else { value > last });
        if beyond {
            held.identity = Some(value);
        }
    }

    /// The last number is this one; of a table that never had a row, the next one is.
    pub(super) fn reseed(&mut self, at: usize, value: i64) {
        let step = self.database.tables().get(at).and_then(|table| table.columns.iter().find_map(|c| c.identity));
        if let Some(held) = self.held.get_mut(at) {
            let fresh = held.identity.is_none();
            held.identity = Some(if fresh { value.saturating_sub(step.map_or(1, |(_, step)| step)) } else { value });
        }
    }

    pub(super) fn last_identity(&self) -> Value {
        self.last_identity.clone()
    }

    pub(super) fn identity_of(&self, name: &ObjectName) -> Value {
        let last = self.find(name).and_then(|at| self.held.get(at)?.identity);
        last.map_or(Value::Null, Value::Int)
    }

    /// The next stamp of a rowversion.
    pub(super) fn stamp(&mut self) -> Value {
        self.stamp += 1;
        Value::Bytes(self.stamp.to_be_bytes().to_vec())
    }

    pub(super) fn declare(&mut self, name: &str, data_type: DataType, value: Value) {
        self.types.insert(name.to_lowercase(), data_type);
        self.variables.insert(name.to_lowercase(), value);
    }

    /// Gives a variable a value of its type.
    pub(super) fn assign(&mut self, name: &str, value: Value) -> Result<(), Trouble> {
        let name = name.to_lowercase();
        let value = match self.types.get(&name) {
            Some(data_type) => {
                value.convert(data_type, self.order, false).map_err(|m| Trouble::Unknown(m.0.to_owned()))?
            }
            None => value,
        };
        self.variables.insert(name, value);
        Ok(())
    }

    /// What a variable holds is not known any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.variables.remove(&name.to_lowercase());
    }

    pub(super) fn variable(&self, name: &str) -> Option<Value> {
        match name.to_lowercase().as_str() {
            "@@identity" => Some(self.last_identity.clone()),
            "@@trancount" | "@@error" => Some(Value::Int(0)),
            name => self.variables.get(name).cloned(),
        }
    }

    pub(super) fn now(&self) -> Value {
        Value::Moment(self.now)
    }

    pub(super) fn new_id(&self) -> Value {
        let mut ids = self.ids.borrow_mut();
        let count = ids.entry(self.file.clone()).or_default();
        let name = format!("{}#{count}", self.file);
        *count += 1;
        let id = uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes());
        // As a text it is in capitals; a column of its type has it in small letters.
        Value::Text(id.hyphenated().to_string().to_uppercase())
    }

    /// `OBJECT_ID(name, kind)`.
    pub(super) fn object_id(&self, name: &ObjectName, kind: Option<&str>) -> Value {
        if name.name.starts_with('#') {
            return self.find(name).map_or(Value::Null, |_| Value::Int(system::number(&name.name)));
        }
        let there = match (kind, self.database.kind(name)) {
            (None, found) => found.is_some(),
            (Some("FN" | "IF" | "TF"), Some("FN")) | (Some("F" | "C" | "D" | "PK" | "UQ"), Some("C")) => true,
            (Some(wanted), Some(found)) => wanted == found,
            (Some(_), None) => false,
        };
        let schema = name.schema.as_deref().unwrap_or(Engine::Mssql.default_schema());
        if there { Value::Int(system::object_number(schema, &name.name)) } else { Value::Null }
    }

    pub(super) fn object_name(&self, id: i64) -> Value {
        let tables = self.database.tables().iter().map(|table| &table.name);
        let found = tables.into_iter().find(|name| system::object_number(&name.schema, &name.name) == id);
        found.map_or(Value::Null, |name| Value::Text(name.name.clone()))
    }

    pub(super) fn column_length(&self, table: &ObjectName, column: &str) -> Value {
        let table = self.find(table).and_then(|at| self.database.tables().get(at));
        let Some(column) = table.and_then(|table| table.column(column)) else { return Value::Null };
        let data_type = column.column.data_type(Engine::Mssql);
        let units = data_type.length().map_or(-1, i64::from);
        let wide = matches!(data_type, DataType::NVarChar(_) | DataType::NChar(_));
        Value::Int(match data_type {
            DataType::TinyInt | DataType::Boolean => 1,
            DataType::SmallInt => 2,
            DataType::Int | DataType::Real | DataType::SmallDateTime => 4,
            DataType::BigInt | DataType::Double | DataType::DateTime | DataType::Money => 8,
            _ if wide && units > 0 => units * 2,
            _ => units,
        })
    }

    pub(super) fn type_id(&self, name: &ObjectName) -> Value {
        if self.database.user_type(name) { Value::Int(system::number(&name.name)) } else { Value::Null }
    }

    /// The value of a default in this world.
    pub(super) fn default(&self, expr: &Expr) -> Result<Value, Trouble> {
        Scope::of(self).value(expr)
    }
}

/// Says what becomes of a row, of which it sees the columns and the values.
type Deciding<'a> = dyn FnMut(&World, &[String], &[Value]) -> Result<Rewrite, Trouble> + 'a;

/// See [`World::put_aside`].
pub(super) struct Aside {
    file: String,
    now: i64,
    order: DateOrder,
    variables: HashMap<String, Value>,
    types: HashMap<String, DataType>,
}

/// What becomes of a row.
pub(super) enum Rewrite {
    Keep,
    Drop,
    /// New values, by the position of their columns.
    Set(Vec<(usize, Value)>),
}

impl Held {
    fn cell(&self, row: &Row, column: u32) -> Value {
        match row.get(column) {
            Some(value) => value.clone(),
            None => self.fills.get(&column).cloned().unwrap_or(Value::Null),
        }
    }
}

/// A text as an expression.
pub(super) fn expression(text: &str) -> Option<Expr> {
    let mut parser = Parser::new(&MsSqlDialect {}).with_tokens(tokens(text)?);
    let found = parser.parse_expr().ok()?;
    (parser.peek_token().token == sqlparser::tokenizer::Token::EOF).then_some(found)
}

/// Texts keep their doubled quotes, as in the statements of a script.
fn tokens(text: &str) -> Option<Vec<sqlparser::tokenizer::Token>> {
    sqlparser::tokenizer::Tokenizer::new(&MsSqlDialect {}, text).with_unescape(false).tokenize().ok()
}
