//! Carries statements out, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use imis_schemas::script::{
    Action, Cell, Change, Database, Insert, InsertRows, ModuleKind, ObjectName, Part, Piece, Pieces, Place,
    ScriptError, Statement, TypeName, parse,
};
use imis_schemas::{DataType, Engine};
use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, JoinConstraint, JoinOperator, Merge, SetExpr, Statement as Sql,
    TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};

use super::evaluate::{Bound, Scope, Trouble, unknown};
use super::moment::DateOrder;
use super::query::{Answer, item_of, object_name};
use super::rows::Row;
use super::value::{Value, cast_type};
use super::world::{Made, Otherwise, Rewrite, Shape, World, expression};
use super::{Report, Unread};
use crate::error::Error;
use crate::source::RefusedRow;

/// How deep scripts may call scripts.
const DEPTH: u32 = 16;

/// What reads scripts.
pub(super) struct Interpreter {
    pub(super) world: World,
    pub(super) report: Report,
    file: String,
    depth: u32,
    /// How many TRYs lie around the statement in hand.
    trying: u32,
    /// The statement that a server would refuse within a TRY.
    failed: Option<(Place, String, String)>,
    /// Whether the batch is over before its end.
    ended: bool,
    /// Variables of sqlcmd, by their names in lower case.
    settings: BTreeMap<String, String>,
}

impl Interpreter {
    pub(super) fn new() -> Self {
        Interpreter {
            world: World::new(),
            report: Report::default(),
            file: String::new(),
            depth: 0,
            trying: 0,
            failed: None,
            ended: false,
            settings: BTreeMap::new(),
        }
    }

    /// Reads a script. `include` opens another one that it names; it is told how much was read.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub(super) fn script<R: std::io::Read + std::io::Seek>(
        &mut self,
        name: &str,
        written: i64,
        input: R,
        include: &mut dyn FnMut(&mut Self, &str, Place) -> Result<(), Error>,
    ) -> Result<(), Broken> {
        self.file.clear();
        self.file.push_str(name);
        self.world.begin(name, written);
        let mut pieces = Pieces::new(input)?;
        let mut held: Vec<Piece> = Vec::new();
        while let Some(part) = pieces.read()? {
            match part {
                Part::Directive(command, argument, place) => match command.as_str() {
                    "r" => {
                        let aside = self.world.put_aside();
                        include(self, &argument, place)?;
                        self.file.clear();
                        self.file.push_str(name);
                        self.world.take_up(aside);
                    }
                    "setvar" => {
                        let (name, value) = argument.split_once(char::is_whitespace).unwrap_or((&argument, ""));
                        let value = value.trim().trim_matches('"').to_owned();
                        self.settings.insert(name.to_lowercase(), value);
                    }
                    "on" | "out" | "error" | "perftrace" | "xml" | "exit" | "quit" => {}
                    _ => self.unread(place, &format!(":{command}"), "a command of sqlcmd"),
                },
                Part::Piece(mut piece) => {
                    if piece.text.contains("$(") {
                        piece.text = self.substituted(&piece.text);
                    }
                    let statements = parse(&piece);
                    self.truncated(&piece, &statements)?;
                    // GO 0 is a batch that does not run.
                    if piece.times > 0 {
                        self.run(&statements)?;
                    }
                    if piece.ends_batch {
                        self.ended = false;
                        for _ in 1..piece.times {
                            if held.is_empty() {
                                self.world.end_batch();
                                self.run(&statements)?;
                                self.ended = false;
                            }
                        }
                        if piece.times > 1 && !held.is_empty() {
                            self.unread(piece.place, "GO", "a batch of this size is carried out once");
                        }
                        held.clear();
                        self.world.end_batch();
                    } else {
                        held = vec![Piece { text: String::new(), ..piece }];
                    }
                }
            }
        }
        self.report.broken += pieces.broken();
        Ok(())
    }

    /// A text with the values of sqlcmd's variables in their places: `$(name)`.
    fn substituted(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("$(") {
            out.push_str(before);
            match after
                .split_once(')')
                .and_then(|(name, behind)| Some((self.settings.get(&name.to_lowercase())?, behind)))
            {
                Some((value, behind)) => {
                    out.push_str(value);
                    rest = behind;
                }
                None => {
                    out.push_str("$(");
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// A script that ends in the middle of a statement that we know was cut off.
    fn truncated(&self, piece: &Piece, statements: &[Statement]) -> Result<(), Broken> {
        let Some(last) = statements.last().filter(|_| piece.ends_script) else { return Ok(()) };
        let words = last.words.to_ascii_uppercase();
        let known = ["INSERT", "CREATE", "ALTER", "UPDATE", "DELETE"];
        let unread = matches!(&last.action, Action::Unknown(why) if why.is_empty());
        // It is not whole where it ends with what cannot end a statement.
        let text = piece.text.trim_end();
        let word =
            text.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_ascii_uppercase();
        let open = [
            "VALUES", "SELECT", "SET", "WHERE", "AND", "OR", "FROM", "INTO", "TABLE", "ADD", "ON", "IN", "NOT", "AS",
            "INSERT", "UPDATE",
        ];
        let breaks_off = text.ends_with([',', '=', '+', '-', '*', '/', '.']) || open.contains(&word.as_str());
        if unread && breaks_off && known.iter().any(|k| words.starts_with(k)) {
            let what = "a statement, which begins here and is not whole";
            return Err(Broken::Script(ScriptError::Ends { what, place: last.place }));
        }
        Ok(())
    }

    fn unread(&mut self, place: Place, words: &str, why: &str) {
        self.report.unread(Unread { file: self.file.clone(), place, words: words.to_owned(), why: why.to_owned() });
    }

    /// Carries statements out until the batch ends by itself, or the TRY around them does.
    fn run(&mut self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            if self.ended || self.failed.is_some() {
                return Ok(());
            }
            self.report.statements += 1;
            match self.statement(statement) {
                Ok(()) => {}
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Refused(why)) if self.trying > 0 => {
                    self.failed = Some((statement.place, statement.words.clone(), why));
                }
                Err(Trouble::Unknown(why) | Trouble::Refused(why)) => {
                    self.unread(statement.place, &statement.words, &why);
                    // What it would have given to variables is not known.
                    if !matches!(statement.action, Action::Query(_) | Action::Assign(..) | Action::Declare(_)) {
                        statement.variables.iter().for_each(|name| self.world.forget(name));
                    }
                }
            }
            for (table, rows) in self.world.lost() {
                let why = format!("{rows} rows that {table} had refused went with it");
                self.unread(statement.place, &statement.words, &why);
            }
        }
        Ok(())
    }

    /// The statements of a TRY. Where a server would refuse one, the rest of them is not carried out, and what they did to tables is
    /// taken back if the CATCH says so.
    fn attempt(&mut self, statements: &[Statement], rolls_back: bool) -> Result<(), Error> {
        let (before, rows) = (self.world.database().clone(), self.report.changes());
        self.trying += 1;
        let outcome = self.run(statements);
        self.trying -= 1;
        if let Some((place, words, why)) = self.failed.take() {
            let then = match (rolls_back, rolls_back && self.world.take_back(before)) {
                (false, _) => "the rest of its TRY was not carried out, as a server does it",
                (true, true) if rows == self.report.changes() => "its TRY was rolled back, as a server does it",
                (true, true) => "what its TRY did to tables was taken back, and what it did to rows was not",
                (true, false) => "a server would roll back its TRY, and what was done stays here",
            };
            self.unread(place, &words, &format!("{why}; {then}"));
        }
        outcome
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), Trouble> {
        match &statement.action {
            Action::CreateTable(draft) => {
                self.ddl(|database| database.create_table(draft).map(|_| ()))?;
                Ok(())
            }
            Action::AlterTable(name, changes) => {
                // All of it or nothing.
                let at = self.table(name)?;
                let mut tried = self.world.database().clone();
                let outcome = changes.iter().try_for_each(|change| tried.alter_table(at, change));
                outcome.map_err(|refused| Trouble::Refused(refused.0))?;
                changes.iter().try_for_each(|change| self.alter(name, change))
            }
            Action::Drop(names, lenient) => names.iter().try_for_each(|name| {
                let outcome = self.ddl(|database| database.drop(name).map(|_| ()));
                if *lenient { Ok(()) } else { outcome }
            }),
            Action::CreateIndex(draft) => self.ddl(|database| database.create_index(draft)),
            Action::DropIndex(indexes, lenient) => indexes.iter().try_for_each(|(table, name)| {
                let outcome = self.ddl(|database| database.drop_index(table, name));
                if *lenient { Ok(()) } else { outcome }
            }),
            Action::Module(module) => {
                if module.kind == ModuleKind::Trigger {
                    *self.report.nothing.entry("a trigger").or_default() += 1;
                }
                self.ddl(|database| database.module(module))
            }
            Action::CreateType(draft) => self.ddl(|database| database.create_type(draft)),
            Action::Rename(old, new, kind) => self.ddl(|database| database.rename(old, new, kind.as_deref())),
            Action::Truncate(name) => {
                let at = self.table(name)?;
                if self.world.database().is_referred_to(at) {
                    return Err(Trouble::Refused(format!("a foreign key refers to {}", name.name)));
                }
                self.world.clear(at);
                Ok(())
            }
            Action::Insert(insert) => self.insert(insert),
            Action::IdentityInsert(name, on) => {
                let at = self.table(name)?;
                self.world.set_identity_insert(at, *on);
                Ok(())
            }
            Action::Reseed(name, value) => {
                let at = self.table(name)?;
                self.world.reseed(at, *value);
                Ok(())
            }
            Action::Query(query) => self.query(query),
            Action::Declare(declared) => declared.iter().try_for_each(|(name, typed, value)| {
                self.world.declare(name, scalar_type(typed), Value::Null);
                match value {
                    Some(value) => self.assign(name, value),
                    None => Ok(()),
                }
            }),
            Action::Assign(name, value) => self.assign(name, value),
            Action::DateFormat(format) => match DateOrder::named(format) {
                Some(order) => {
                    self.world.order = order;
                    Ok(())
                }
                None => unknown("a date format that is not known"),
            },
            Action::If(condition, yes, no) => self.conditional(condition.as_deref(), yes, no),
            Action::Block(statements) => Ok(self.run(statements)?),
            Action::Try(statements, rolls_back) => Ok(self.attempt(statements, *rolls_back)?),
            Action::Dynamic(text) => self.dynamic(text, statement.place),
            Action::Return => {
                self.ended = true;
                Ok(())
            }
            Action::Raise(throws) => {
                if self.trying > 0 {
                    return Err(Trouble::Refused("an error is raised".to_owned()));
                }
                self.ended |= throws;
                *self.report.nothing.entry("a message").or_default() += 1;
                Ok(())
            }
            Action::Nothing(what) => {
                *self.report.nothing.entry(what).or_default() += 1;
                Ok(())
            }
            Action::Unknown(why) => unknown(if why.is_empty() { "it is not understood" } else { why }),
        }
    }

    fn ddl(
        &mut self,
        change: impl FnOnce(&mut Database) -> Result<(), imis_schemas::script::Refused>,
    ) -> Result<(), Trouble> {
        self.world.change(change).map_err(|refused| Trouble::Refused(refused.0))
    }

    fn table(&self, name: &ObjectName) -> Result<usize, Trouble> {
        self.world.find(name).ok_or_else(|| Trouble::Refused(format!("the table {} is not there", name.name)))
    }

    fn alter(&mut self, name: &ObjectName, change: &Change) -> Result<(), Trouble> {
        let at = self.table(name)?;
        if let Change::AddColumn(draft) = change
            && self.world.count(at) > 0
            && draft.nullable == Some(false)
            && draft.default.is_none()
            && draft.identity.is_none()
            && draft.data_type.as_ref().is_none_or(|t| !is_stamp(t))
            && draft.computed.is_none()
        {
            return Err(Trouble::Refused(format!("rows that are there would have NULL in {}", draft.name)));
        }
        self.ddl(|database| database.alter_table(at, change))?;
        // Rows that are there get the default of a column that must have something.
        if let Change::AddColumn(draft) = change
            && self.world.count(at) > 0
            && let Some(column) = self.world.database().tables().get(at).and_then(|table| table.column(&draft.name))
        {
            let (id, fill, identity) = (column.id, column.fill.clone(), column.identity);
            let data_type = column.column.data_type(Engine::Mssql);
            if let Some((seed, step)) = identity {
                let position = self.world.column_names(at).len().saturating_sub(1);
                let mut next = seed;
                self.world.rewrite(at, false, |_, _, _| {
                    let value = Value::Int(next);
                    next = next.saturating_add(step);
                    Ok(Rewrite::Set(vec![(position, value)]))
                })?;
                self.world.note_identity(at, next.saturating_sub(step), step);
            } else if data_type == DataType::RowVersion {
                let position = self.world.column_names(at).len().saturating_sub(1);
                let mut stamps = Vec::new();
                for _ in 0..self.world.count(at) {
                    stamps.push(self.world.stamp());
                }
                let mut stamps = stamps.into_iter();
                self.world.rewrite(at, false, |_, _, _| {
                    Ok(Rewrite::Set(vec![(position, stamps.next().unwrap_or(Value::Null))]))
                })?;
            } else if let Some(fill) = fill {
                let Some(parsed) = expression(&fill) else { return unknown("a default that is not understood") };
                let position = self.world.column_names(at).len().saturating_sub(1);
                if ["newid", "newsequentialid"].iter().any(|made| fill.to_lowercase().contains(made)) {
                    // Every row gets its own.
                    self.world.rewrite(at, false, |world, _, _| {
                        Ok(Rewrite::Set(vec![(position, world.default(&parsed)?)]))
                    })?;
                } else {
                    let order = self.world.order;
                    let value = self.world.default(&parsed)?.convert(&data_type, order, true);
                    self.world.fill(at, id, value.map_err(|misfit| Trouble::Unknown(misfit.0.to_owned()))?);
                }
            }
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: &Expr) -> Result<(), Trouble> {
        match Scope::of(&self.world).value(value) {
            Ok(value) => self.world.assign(name, value),
            Err(trouble) => {
                self.world.forget(name);
                Err(trouble)
            }
        }
    }

    fn conditional(&mut self, condition: Option<&Expr>, yes: &[Statement], no: &[Statement]) -> Result<(), Trouble> {
        let Some(condition) = condition else {
            return unknown("its condition is not understood, so nothing of it was done");
        };
        let holds = Scope::of(&self.world).holds(condition).map_err(|trouble| match trouble {
            Trouble::Unknown(why) => {
                Trouble::Unknown(format!("its condition is not understood ({why}), so nothing of it was done"))
            }
            other => other,
        })?;
        Ok(self.run(if holds == Some(true) { yes } else { no })?)
    }

    /// A text that is a script: a batch of its own, with variables of its own.
    fn dynamic(&mut self, text: &Expr, place: Place) -> Result<(), Trouble> {
        let Some(text) = Scope::of(&self.world).value(text)?.text() else { return Ok(()) };
        if self.depth >= DEPTH {
            return unknown("scripts call scripts too deep");
        }
        let piece = Piece { text, place, ends_batch: true, times: 1, ends_script: false };
        self.depth += 1;
        let own = self.world.put_aside();
        self.world.go_on(&own);
        let outcome = self.run(&parse(&piece));
        self.ended = false;
        self.world.take_up(own);
        self.depth -= 1;
        Ok(outcome?)
    }

    fn query(&mut self, query: &Sql) -> Result<(), Trouble> {
        match query {
            Sql::Query(query) => match &*query.body {
                SetExpr::Select(select) => {
                    let names: Vec<Option<&str>> =
                        select.projection.iter().map(|item| item_of(item).and_then(|(name, _)| name)).collect();
                    if select.into.is_some() {
                        return unknown("a table that is made of a query");
                    }
                    if names.iter().all(Option::is_none) {
                        *self.report.nothing.entry("a query").or_default() += 1;
                        return Ok(());
                    }
                    let answer = match self.world.query(query, None) {
                        Ok(answer) => answer,
                        Err(trouble) => {
                            names.iter().flatten().for_each(|name| self.world.forget(name));
                            return Err(trouble);
                        }
                    };
                    // Without a row a variable keeps what it has; of many, the last one counts.
                    if let Some(row) = answer.rows.last() {
                        for (name, value) in names.iter().zip(row) {
                            if let Some(name) = name {
                                self.world.assign(name, value.clone())?;
                            }
                        }
                    }
                    Ok(())
                }
                SetExpr::Insert(Sql::Insert(_)) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                    unknown("a change WITH a query before it")
                }
                body if body.to_string().to_uppercase().contains(" INTO ") => {
                    unknown("a table that is made of a query")
                }
                _ => {
                    *self.report.nothing.entry("a query").or_default() += 1;
                    Ok(())
                }
            },
            Sql::Update(update) => self.update(update),
            Sql::Delete(delete) => self.delete(delete),
            Sql::Merge(merge) => self.merge(merge),
            _ => unknown("a statement of this kind"),
        }
    }

    fn insert(&mut self, insert: &Insert) -> Result<(), Trouble> {
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

    fn update(&mut self, update: &Update) -> Result<(), Trouble> {
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

    fn delete(&mut self, delete: &Delete) -> Result<(), Trouble> {
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

    fn merge(&mut self, _merge: &Merge) -> Result<(), Trouble> {
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

/// Whether a type is one that the server fills by itself.
fn is_stamp(typed: &TypeName) -> bool {
    matches!(typed.name.name.to_lowercase().as_str(), "timestamp" | "rowversion")
}

/// The type that a CAST or a variable names.
pub(super) fn scalar_type(typed: &TypeName) -> DataType {
    let text = if typed.arguments.is_empty() {
        typed.name.name.clone()
    } else {
        format!("{}({})", typed.name.name, typed.arguments.join(","))
    };
    cast_type(DataType::parse(Engine::Mssql, &text), !typed.arguments.is_empty())
}

/// What ends the reading of a script.
#[derive(Debug)]
pub(super) enum Broken {
    Script(ScriptError),
    Failed(Error),
}

impl From<ScriptError> for Broken {
    fn from(error: ScriptError) -> Self {
        Broken::Script(error)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Broken::Failed(error)
    }
}

/// Statements without effect, by what they are.
pub(super) type Nothing = BTreeMap<&'static str, u64>;
