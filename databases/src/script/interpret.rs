//! Carries statements out, one after the other.

mod change;

use std::collections::BTreeMap;

use imis_schemas::script::{
    Action, Change, Database, ModuleKind, ObjectName, Part, Piece, Pieces, Place, ScriptError, Statement, TypeName,
    parse,
};
use imis_schemas::{DataType, Engine};
use sqlparser::ast::{Expr, SetExpr, Statement as Sql};

use super::evaluate::{Scope, Trouble, unknown};
use super::moment::DateOrder;
use super::query::item_of;
use super::value::{Value, cast_type};
use super::world::{Rewrite, World, expression};
use super::{Report, Unread};
use crate::error::Error;

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
