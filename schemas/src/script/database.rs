//! The catalogue that grows from statements, in their order.

mod constraints;
mod rename;

use crate::catalog::{Catalog, Check, ForeignKey, Index, Key, Known, Routine, Table, Unique, UserType, View};
use crate::name::{Engine, TableName, same_name};

use super::IndexDraft;
use super::computed;
use super::module::{Module, ModuleKind, TypeDraft};
use super::spelling::{bracketed, is, placed, spelled, stored};
use super::table::{Change, ColumnDraft, TableDraft, TypeName};
use super::tokens::ObjectName;

/// Why a statement has no effect. It is told beside what was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refused<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// A column with a number that stays the same when it is renamed and is never used again when it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The number, within its table.
    pub id: u32,
    /// The column.
    pub column: crate::catalog::Column,
    /// Seed and step, where the server numbers it.
    pub identity: Option<(i64, i64)>,
    /// The default that rows got which were there when the column came, as it is written.
    pub fill: Option<String>,
    /// The name of its default.
    default_name: Option<String>,
}

/// A table as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TableState {
    /// Schema and name.
    pub name: TableName,
    /// Its columns.
    pub columns: Vec<Column>,
    primary_key: Option<Key>,
    foreign_keys: Vec<ForeignKey>,
    uniques: Vec<Unique>,
    indexes: Vec<Index>,
    checks: Vec<Check>,
}

impl Column {
    /// The name of its default, where it has one.
    pub fn default_name(&self) -> Option<&str> {
        self.default_name.as_deref()
    }
}

impl TableState {
    /// The column of this name, case aside.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| same_name(&c.column.name, name))
    }

    fn position(&self, name: &str) -> Result<usize, Refused> {
        let found = self.columns.iter().position(|c| same_name(&c.column.name, name));
        found.ok_or_else(|| Refused(format!("{} has no column {name}", self.name)))
    }

    /// A column as a catalogue tells it: a computed one has the type that its expression has.
    fn told(&self, column: &Column) -> crate::catalog::Column {
        let mut told = column.column.clone();
        let of = |name: &str| Some(self.column(name)?.column.data_type.clone());
        if let Some(found) = told.computed.as_deref().and_then(|expression| computed::data_type(expression, &of)) {
            told.data_type = found;
        }
        told
    }

    /// What would have to go before a column goes.
    fn held_by(&self, name: &str) -> Option<&'static str> {
        let among = |columns: &[String]| columns.iter().any(|own| same_name(own, name));
        if self.primary_key.as_ref().is_some_and(|key| among(&key.columns)) {
            Some("the primary key")
        } else if self.foreign_keys.iter().any(|key| among(&key.columns)) {
            Some("a foreign key")
        } else if self.uniques.iter().any(|unique| among(&unique.columns)) {
            Some("a unique")
        } else if self.indexes.iter().any(|index| among(&index.columns) || among(&index.include)) {
            Some("an index")
        } else if self.column(name).is_some_and(|column| column.column.default.is_some()) {
            Some("a default")
        } else {
            None
        }
    }

    /// The names of these columns as the table spells them.
    fn spelled(&self, names: &[String]) -> Vec<String> {
        let own = |name: &String| self.column(name).map_or_else(|| name.clone(), |c| c.column.name.clone());
        names.iter().map(own).collect()
    }

    /// The table as a catalogue has it.
    pub fn table(&self) -> Table {
        Table {
            schema: self.name.schema.clone(),
            name: self.name.name.clone(),
            columns: self.columns.iter().map(|c| self.told(c)).collect(),
            primary_key: Known::Yes(self.primary_key.clone()),
            foreign_keys: Known::Yes(self.foreign_keys.clone()),
            uniques: Known::Yes(self.uniques.clone()),
            indexes: Known::Yes(self.indexes.clone()),
            checks: Known::Yes(self.checks.clone()),
        }
    }
}

/// The tables, views, routines and types that scripts have made so far.
#[derive(Clone, Debug, Default)]
pub struct Database {
    tables: Vec<TableState>,
    views: Vec<View>,
    routines: Vec<Routine>,
    types: Vec<UserType>,
    /// The number of the next column, of whatever table: none is ever given twice.
    next: u32,
    /// Whether a user's own type lets a column be NULL that does not say.
    nullable_types: Vec<(String, bool)>,
}

impl Database {
    /// A database without anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tables, in the order in which they came.
    pub fn tables(&self) -> &[TableState] {
        &self.tables
    }

    /// Where a table stands among [`Database::tables`].
    pub fn find(&self, name: &ObjectName) -> Option<usize> {
        self.tables.iter().position(|t| is(&t.name.schema, &t.name.name, name))
    }

    /// Whether any object has this name: a table, a view, a routine or a type.
    pub fn has(&self, name: &ObjectName) -> bool {
        self.find(name).is_some()
            || self.views.iter().any(|v| is(&v.schema, &v.name, name))
            || self.routines.iter().any(|r| is(&r.schema, &r.name, name))
            || self.constraint(&name.name)
    }

    /// What kind of object has this name, as `sys.objects` calls it: `U`, `V`, `P`, `FN`, `F`.
    pub fn kind(&self, name: &ObjectName) -> Option<&'static str> {
        if self.find(name).is_some() {
            return Some("U");
        }
        if self.views.iter().any(|v| is(&v.schema, &v.name, name)) {
            return Some("V");
        }
        if let Some(routine) = self.routines.iter().find(|r| is(&r.schema, &r.name, name)) {
            return Some(if routine.kind == "procedure" { "P" } else { "FN" });
        }
        self.constraint(&name.name).then_some("C")
    }

    /// Whether a constraint of any table has this name.
    fn constraint(&self, name: &str) -> bool {
        self.tables.iter().any(|t| {
            t.primary_key.as_ref().and_then(|k| k.name.as_deref()).is_some_and(|k| same_name(k, name))
                || t.foreign_keys.iter().any(|k| same_name(&k.name, name))
                || t.uniques.iter().any(|u| same_name(&u.name, name))
                || t.checks.iter().any(|c| same_name(&c.name, name))
                || t.columns.iter().any(|c| c.default_name.as_deref().is_some_and(|d| same_name(d, name)))
        })
    }

    /// Whether a table has an index of this name, keys included.
    pub fn index(&self, table: Option<&ObjectName>, name: &str) -> bool {
        let wanted = |t: &&TableState| table.is_none_or(|wanted| is(&t.name.schema, &t.name.name, wanted));
        self.tables.iter().filter(wanted).any(|t| {
            t.indexes.iter().any(|i| same_name(&i.name, name))
                || t.uniques.iter().any(|u| same_name(&u.name, name))
                || t.primary_key.as_ref().and_then(|k| k.name.as_deref()).is_some_and(|k| same_name(k, name))
        })
    }

    /// Puts the tables back as they were before, if none came or went since. Numbers of columns that were given meanwhile stay taken.
    pub fn take_back(&mut self, mut before: Database) -> bool {
        let same = |(old, new): (&TableState, &TableState)| {
            let kept = old.columns.iter().any(|old| new.columns.iter().any(|new| new.id == old.id));
            old.name == new.name && (kept || old.columns.is_empty())
        };
        if self.tables.len() != before.tables.len() || !before.tables.iter().zip(&self.tables).all(same) {
            return false;
        }
        before.next = self.next;
        *self = before;
        true
    }

    /// Whether a foreign key of another table refers to a table.
    pub fn is_referred_to(&self, at: usize) -> bool {
        let Some(own) = self.tables.get(at).map(|table| table.name.clone()) else { return false };
        let others = self.tables.iter().enumerate().filter(|(other, _)| *other != at);
        others.flat_map(|(_, table)| &table.foreign_keys).any(|key| key.references == own)
    }

    /// Whether a type has this name.
    pub fn user_type(&self, name: &ObjectName) -> bool {
        self.types.iter().any(|t| is(&t.schema, &t.name, name))
    }

    /// Whether somebody's statement may name this table: a temporary table or a table variable is no table of the database.
    pub fn is_temporary(name: &ObjectName) -> bool {
        name.name.starts_with('#') || name.name.starts_with('@')
    }

    /// The catalogue, in its stable order.
    pub fn catalog(&self) -> Catalog {
        let mut catalog = Catalog::new(Engine::Mssql);
        let wanted = |t: &&TableState| !t.name.name.starts_with(['#', '@']);
        catalog.tables = self.tables.iter().filter(wanted).map(TableState::table).collect();
        catalog.views = Known::Yes(self.views.clone());
        catalog.routines = Known::Yes(self.routines.clone());
        catalog.types = Known::Yes(self.types.clone());
        catalog.sort();
        catalog
    }

    /// CREATE TABLE.
    ///
    /// # Errors
    /// When it is there already, or a type is not known.
    pub fn create_table(&mut self, draft: &TableDraft) -> Result<usize, Refused> {
        if self.find(&draft.name).is_some() {
            return refused(format!("the table {} is there already", draft.name.name));
        }
        let table = TableState {
            name: placed(&draft.name),
            columns: Vec::new(),
            primary_key: None,
            foreign_keys: Vec::new(),
            uniques: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
        };
        self.tables.push(table);
        let at = self.tables.len() - 1;
        let made = draft
            .columns
            .iter()
            .try_for_each(|column| self.add_column(at, column, false))
            .and_then(|()| draft.constraints.iter().try_for_each(|c| self.add_constraint(at, c)))
            .and_then(|()| draft.indexes.iter().try_for_each(|index| self.create_index(index)));
        match made {
            Ok(()) => Ok(at),
            Err(error) => {
                self.tables.pop();
                Err(error)
            }
        }
    }

    /// A change of ALTER TABLE. Rows follow by the numbers of the columns.
    ///
    /// # Errors
    /// When what it names is not there, or is there already.
    pub fn alter_table(&mut self, at: usize, change: &Change) -> Result<(), Refused> {
        match change {
            Change::AddColumn(column) => self.add_column(at, column, true),
            Change::AddConstraint(constraint) => self.add_constraint(at, constraint),
            Change::AddIndex(index) => self.create_index(index),
            Change::AlterColumn(draft) => {
                let typed = draft.data_type.as_ref().map(|t| self.resolve(t)).transpose()?;
                let table = self.table_mut(at)?;
                let position = table.position(&draft.name)?;
                let Some(column) = table.columns.get_mut(position) else { return refused("no such column") };
                if let Some((data_type, nullable)) = typed {
                    column.column.data_type = data_type;
                    // Without a word the column takes NULL, whatever it took before.
                    column.column.nullable = draft.nullable.unwrap_or(nullable);
                }
                column.column.collation.clone_from(&draft.collation);
                Ok(())
            }
            Change::DropColumn(name, lenient) => {
                let table = self.table_mut(at)?;
                match table.position(name) {
                    Ok(position) => {
                        if let Some(what) = table.held_by(name) {
                            return refused(format!("{what} of {} needs the column {name}", table.name));
                        }
                        table.columns.remove(position);
                    }
                    Err(refused) if !lenient => return Err(refused),
                    Err(_) => {}
                }
                Ok(())
            }
            Change::DropConstraint(name, lenient) => {
                let outcome = self.drop_constraint(at, name);
                if *lenient { Ok(()) } else { outcome }
            }
            Change::Enable(names, on, checked) => {
                let table = self.table_mut(at)?;
                let wanted = |own: &str| names.as_ref().is_none_or(|n| n.iter().any(|n| same_name(n, own)));
                for key in table.foreign_keys.iter_mut().filter(|key| wanted(&key.name)) {
                    key.enabled = *on;
                    // Switched off, nobody vouches for it; switched on, only who looks at the rows does.
                    key.trusted = if *on { key.trusted || *checked } else { false };
                }
                Ok(())
            }
        }
    }

    /// DROP TABLE, VIEW, PROCEDURE, FUNCTION or TYPE. Gives where a table stood.
    ///
    /// # Errors
    /// When nothing has this name.
    pub fn drop(&mut self, name: &ObjectName) -> Result<Option<usize>, Refused> {
        if let Some(at) = self.find(name) {
            if self.is_referred_to(at) {
                return refused(format!("a foreign key refers to {}", name.name));
            }
            self.tables.remove(at);
            return Ok(Some(at));
        }
        let before = self.views.len() + self.routines.len() + self.types.len();
        self.views.retain(|v| !is(&v.schema, &v.name, name));
        self.routines.retain(|r| !is(&r.schema, &r.name, name));
        self.types.retain(|t| !is(&t.schema, &t.name, name));
        if before == self.views.len() + self.routines.len() + self.types.len() {
            return refused(format!("{} is not there", name.name));
        }
        Ok(None)
    }

    /// CREATE INDEX.
    ///
    /// # Errors
    /// When the table or a column is not there.
    pub fn create_index(&mut self, draft: &IndexDraft) -> Result<(), Refused> {
        let Some(at) = self.find(&draft.table) else {
            if self.views.iter().any(|v| is(&v.schema, &v.name, &draft.table)) {
                // An index of a view is no table's.
                return Ok(());
            }
            return refused(format!("the table {} of the index {} is not there", draft.table.name, draft.name));
        };
        let table = self.table_mut(at)?;
        for column in draft.columns.iter().chain(&draft.include) {
            table.position(column)?;
        }
        let (columns, include) = (table.spelled(&draft.columns), table.spelled(&draft.include));
        if table.indexes.iter().any(|i| same_name(&i.name, &draft.name))
            || table.uniques.iter().any(|u| same_name(&u.name, &draft.name))
        {
            return refused(format!("the index {} is there already", draft.name));
        }
        if draft.unique && draft.filter.is_none() {
            table.uniques.push(Unique { name: draft.name.clone(), columns });
        } else {
            let filter = draft.filter.as_deref().map(bracketed);
            table.indexes.push(Index { name: draft.name.clone(), columns, include, unique: draft.unique, filter });
        }
        Ok(())
    }

    /// DROP INDEX.
    ///
    /// # Errors
    /// When it is not there.
    pub fn drop_index(&mut self, table: &ObjectName, name: &str) -> Result<(), Refused> {
        let Some(at) = self.find(table) else { return refused(format!("the table {} is not there", table.name)) };
        let table = self.table_mut(at)?;
        let before = table.indexes.len() + table.uniques.len();
        table.indexes.retain(|i| !same_name(&i.name, name));
        table.uniques.retain(|u| !same_name(&u.name, name));
        if before == table.indexes.len() + table.uniques.len() {
            return refused(format!("the index {name} is not there"));
        }
        Ok(())
    }

    /// CREATE or ALTER of a view or routine.
    ///
    /// # Errors
    /// When it is there already, or is not.
    pub fn module(&mut self, module: &Module) -> Result<(), Refused> {
        let name = placed(&module.name);
        let there = match module.kind {
            ModuleKind::Trigger => return Ok(()),
            ModuleKind::View => self.views.iter().position(|v| is(&v.schema, &v.name, &module.name)),
            _ => self.routines.iter().position(|r| is(&r.schema, &r.name, &module.name)),
        };
        match (module.exists, there) {
            (Some(false), Some(_)) => return refused(format!("{} is there already", module.name.name)),
            (Some(true), None) => return refused(format!("{} is not there", module.name.name)),
            _ => {}
        }
        let text = Some(module.text.clone());
        if module.kind == ModuleKind::View {
            let view = View { schema: name.schema, name: name.name, definition: text };
            match there.and_then(|at| self.views.get_mut(at)) {
                Some(old) => *old = View { name: old.name.clone(), ..view },
                None => self.views.push(view),
            }
        } else {
            let kind = if module.kind == ModuleKind::Procedure { "procedure" } else { "function" };
            let routine = Routine { schema: name.schema, name: name.name, kind: kind.to_owned(), definition: text };
            match there.and_then(|at| self.routines.get_mut(at)) {
                Some(old) => *old = Routine { name: old.name.clone(), ..routine },
                None => self.routines.push(routine),
            }
        }
        Ok(())
    }

    /// CREATE TYPE.
    ///
    /// # Errors
    /// When it is there already.
    pub fn create_type(&mut self, draft: &TypeDraft) -> Result<(), Refused> {
        if self.user_type(&draft.name) {
            return refused(format!("the type {} is there already", draft.name.name));
        }
        let name = placed(&draft.name);
        let base = draft.base.as_ref().map(|base| self.resolve(base)).transpose()?.map(|(base, _)| base);
        let mut columns = Vec::new();
        for column in &draft.columns {
            columns.push(self.column(0, column)?.column);
        }
        self.nullable_types.push((name.name.to_lowercase(), draft.nullable.unwrap_or(true)));
        self.types.push(UserType { schema: name.schema, name: name.name, base, columns });
        Ok(())
    }

    fn table_mut(&mut self, at: usize) -> Result<&mut TableState, Refused> {
        self.tables.get_mut(at).ok_or_else(|| Refused("the table is not there".to_owned()))
    }

    fn add_column(&mut self, at: usize, draft: &ColumnDraft, later: bool) -> Result<(), Refused> {
        let id = self.next;
        let mut column = self.column(id, draft)?;
        let table = self.table_mut(at)?;
        if table.column(&draft.name).is_some() {
            return refused(format!("{} has the column {} already", table.name, draft.name));
        }
        // Rows that are there get the default where they must have something, or where it is asked for.
        if later && (draft.with_values || !column.column.nullable) {
            column.fill.clone_from(&column.column.default);
        }
        table.columns.push(column);
        self.next += 1;
        Ok(())
    }

    fn column(&self, id: u32, draft: &ColumnDraft) -> Result<Column, Refused> {
        let (data_type, nullable) = match (&draft.data_type, &draft.computed) {
            (Some(typed), _) => self.resolve(typed)?,
            // What a computed column holds, only a server can say.
            (None, Some(_)) => ("sql_variant".to_owned(), true),
            (None, None) => return refused(format!("the column {} has no type", draft.name)),
        };
        let numbered = matches!(data_type.as_str(), "timestamp") || draft.identity.is_some();
        Ok(Column {
            id,
            column: crate::catalog::Column {
                name: draft.name.clone(),
                nullable: draft.nullable.unwrap_or(nullable && !numbered),
                data_type,
                identity: draft.identity.is_some(),
                default: draft.default.as_deref().map(stored),
                computed: draft.computed.as_deref().map(bracketed),
                collation: draft.collation.clone(),
            },
            identity: draft.identity,
            fill: None,
            default_name: draft.default_name.clone(),
        })
    }

    /// A type as a server tells it, and whether a column of it takes NULL if nothing is said.
    fn resolve(&self, typed: &TypeName) -> Result<(String, bool), Refused> {
        let own = self.types.iter().find(|t| is(&t.schema, &t.name, &typed.name));
        if let Some(base) = own.and_then(|t| t.base.clone()) {
            let lower = typed.name.name.to_lowercase();
            let nullable = self.nullable_types.iter().rev().find(|(name, _)| *name == lower).is_none_or(|(_, n)| *n);
            return Ok((base, nullable));
        }
        let name = typed.name.name.to_lowercase();
        let own_schema = typed.name.schema.as_deref().is_some_and(|s| !s.eq_ignore_ascii_case("sys"));
        let of_clr = matches!(name.as_str(), "geography" | "geometry" | "hierarchyid");
        if own_schema && own.is_none() && !of_clr {
            return refused(format!("the type {} is not known", typed.name.name));
        }
        // A name of the server's own is never NULL unless it is said.
        Ok((spelled(&name, &typed.arguments), name != "sysname"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Piece, Place, parse};
    use super::*;

    /// Carries out what changes tables; what is refused is told.
    fn run(sql: &str) -> (Database, Vec<String>) {
        let mut database = Database::new();
        let mut refused = Vec::new();
        for batch in sql.split("\nGO\n") {
            let piece =
                Piece { text: batch.to_owned(), place: Place::START, ends_batch: true, times: 1, ends_script: false };
            for statement in parse(&piece) {
                let outcome = match &statement.action {
                    Action::CreateTable(draft) => database.create_table(draft).map(|_| ()),
                    Action::AlterTable(name, changes) => {
                        let at = database.find(name).unwrap();
                        changes.iter().try_for_each(|change| database.alter_table(at, change))
                    }
                    Action::Drop(names, _) => names.iter().try_for_each(|name| database.drop(name).map(|_| ())),
                    Action::CreateIndex(draft) => database.create_index(draft),
                    Action::DropIndex(names, _) => names.iter().try_for_each(|(t, i)| database.drop_index(t, i)),
                    Action::Module(module) => database.module(module),
                    Action::CreateType(draft) => database.create_type(draft),
                    Action::Rename(old, new, kind) => database.rename(old, new, kind.as_deref()),
                    other => Err(Refused(format!("{other:?}"))),
                };
                refused.extend(outcome.err().map(|error| error.0));
            }
        }
        (database, refused)
    }

    #[test]
    fn changes_are_applied_in_their_order() {
        let (database, refused) = run("CREATE TYPE dbo.Code FROM nvarchar(12) NOT NULL
            CREATE TABLE dbo.a (Id int IDENTITY PRIMARY KEY, Old nvarchar(5), Gone bit, c Code, d decimal)
            CREATE TABLE b (a_id INT NULL CONSTRAINT fk REFERENCES a, n int DEFAULT 0, s sysname)
            ALTER TABLE a ALTER COLUMN Old varchar(max) NOT NULL
            ALTER TABLE a DROP COLUMN Gone
            ALTER TABLE a ADD x money NOT NULL CONSTRAINT dx DEFAULT (1.5), y datetime2
            EXEC sp_rename 'a.Id', 'AId', 'COLUMN'
            EXEC sp_rename N'[dbo].[b]', N'c'
            CREATE UNIQUE INDEX u ON a (old) WHERE y IS NOT NULL
            CREATE INDEX gone ON a (x)
            DROP INDEX gone ON a
            ALTER TABLE c NOCHECK CONSTRAINT fk
            ALTER TABLE a DROP CONSTRAINT dx
            ALTER TABLE a WITH NOCHECK ADD CONSTRAINT ck CHECK (x > 0)
GO
CREATE PROC dbo.p AS SELECT 1
GO
ALTER PROCEDURE dbo.P AS SELECT 2
GO
CREATE OR ALTER VIEW v AS SELECT 1 AS x
GO
DROP TABLE nothing");
        assert_eq!(refused, ["nothing is not there"]);
        insta::assert_snapshot!(database.catalog().to_yaml().unwrap());
    }

    #[test]
    fn types_and_defaults_are_told_as_a_server_tells_them() {
        for (written, told) in [
            ("0", "((0))"),
            ("(0)", "((0))"),
            ("((0))", "((0))"),
            ("GETDATE()", "(getdate())"),
            ("N'x'", "(N'x')"),
            ("('a')+('b')", "(('a')+('b'))"),
            ("-1", "((-1))"),
            ("NEWID()", "(newid())"),
            ("CURRENT_TIMESTAMP", "(getdate())"),
        ] {
            assert_eq!(stored(written), told);
        }
        for (name, arguments, told) in [
            ("decimal", &["18", "2"][..], "decimal(18,2)"),
            ("numeric", &["9"], "numeric(9,0)"),
            ("nvarchar", &["max"], "nvarchar(max)"),
            ("varchar", &[], "varchar(1)"),
            ("float", &["24"], "real"),
            ("datetime2", &[], "datetime2(7)"),
            ("int", &[], "int"),
        ] {
            let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
            assert_eq!(spelled(name, &arguments), told);
        }
    }
}
