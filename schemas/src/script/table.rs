//! CREATE TABLE and ALTER TABLE.

use sqlparser::tokenizer::Token;

use super::index::{self, IndexDraft};
use super::tokens::{Cursor, ObjectName};

/// A table as a script describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDraft {
    /// Its name.
    pub name: ObjectName,
    /// Its columns.
    pub columns: Vec<ColumnDraft>,
    /// Its constraints, those that stand with a column included.
    pub constraints: Vec<ConstraintDraft>,
    /// Indexes that stand with the table.
    pub indexes: Vec<IndexDraft>,
}

/// A column as a script describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnDraft {
    /// Its name.
    pub name: String,
    /// Its type, a user's own or the server's; none for a computed column.
    pub data_type: Option<TypeName>,
    /// Whether it takes NULL, where that is said.
    pub nullable: Option<bool>,
    /// Seed and step of its numbers, where the server numbers it.
    pub identity: Option<(i64, i64)>,
    /// Its default, as it is written.
    pub default: Option<String>,
    /// The name of its default.
    pub default_name: Option<String>,
    /// Whether rows that are there get the default, too (`WITH VALUES`).
    pub with_values: bool,
    /// The expression that computes it, as it is written.
    pub computed: Option<String>,
    /// Its collation.
    pub collation: Option<String>,
}

/// The name of a type and what stands in brackets behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// The name; a schema makes it a user's own.
    pub name: ObjectName,
    /// Length, precision and scale, as they are written: `50`, `max`, `18`, `2`.
    pub arguments: Vec<String>,
}

/// A constraint with its name, where one is given.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstraintDraft {
    /// Its name.
    pub name: Option<String>,
    /// What it demands.
    pub constraint: Constraint,
    /// Whether the rows that are there were looked at (not `WITH NOCHECK`).
    pub trusted: bool,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// A primary key.
    PrimaryKey(Vec<String>),
    /// A unique constraint.
    Unique(Vec<String>),
    /// A foreign key: own columns, the other table, its columns (none: those of its primary key).
    ForeignKey(Vec<String>, ObjectName, Vec<String>),
    /// A condition, as it is written, without the outer brackets.
    Check(String),
    /// A default of a column.
    Default {
        /// The column.
        column: String,
        /// The value, as it is written.
        value: String,
        /// Whether rows that are there get it, too.
        with_values: bool,
    },
}

/// A change of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A further column.
    AddColumn(ColumnDraft),
    /// A further constraint.
    AddConstraint(ConstraintDraft),
    /// A further index.
    AddIndex(IndexDraft),
    /// Another type, and whether it takes NULL where that is said.
    AlterColumn(ColumnDraft),
    /// A column goes; whether it is let go if it is not there (IF EXISTS).
    DropColumn(String, bool),
    /// A constraint goes, likewise.
    DropConstraint(String, bool),
    /// Foreign keys and checks are switched on or off: which (none: all), on, and whether the rows were looked at.
    Enable(Option<Vec<String>>, bool, bool),
}

/// CREATE TABLE, from its name on.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Option<TableDraft> {
    let name = cursor.name()?;
    elements(cursor, name)
}

/// The elements of a table in their brackets, and what stands behind them.
pub(super) fn elements(cursor: &mut Cursor<'_>, name: ObjectName) -> Option<TableDraft> {
    let (start, end) = cursor.group()?;
    let mut draft = TableDraft { name, columns: Vec::new(), constraints: Vec::new(), indexes: Vec::new() };
    for item in cursor.items(start, end) {
        element(item, true, &mut draft)?;
    }
    place_and_options(cursor);
    Some(draft)
}

/// Goes behind `ON [PRIMARY]`, `TEXTIMAGE_ON ...`, `WITH (...)` and the like.
pub(super) fn place_and_options(cursor: &mut Cursor<'_>) {
    loop {
        if cursor.take_one(&["ON", "TEXTIMAGE_ON", "FILESTREAM_ON"]).is_some() {
            cursor.name();
            // A partition scheme takes its column.
            cursor.group();
        } else if cursor.is_word(0, "WITH") && cursor.peek(1) == Some(&Token::LParen) {
            cursor.advance();
            cursor.group();
        } else {
            return;
        }
    }
}

/// An element of a table: a column or a constraint.
fn element(mut item: Cursor<'_>, trusted: bool, draft: &mut TableDraft) -> Option<()> {
    if item.is_at_end() {
        // A comma too many at the end is let through by the server.
        return Some(());
    }
    if item.is_word(0, "PERIOD") && item.is_word(1, "FOR") {
        return Some(());
    }
    if item.is_word(0, "INDEX") {
        draft.indexes.push(index::within_table(&mut item, &draft.name)?);
        return Some(());
    }
    if let Some(constraint) = constraint(&mut item, trusted)? {
        draft.constraints.push(constraint);
        // Management Studio's own scripts have nothing behind it; anything else would be lost.
        place_and_options(&mut item);
        return item.is_at_end().then_some(());
    }
    column(&mut item, trusted, draft)?;
    item.is_at_end().then_some(())
}

/// A constraint of the table. The outer `None` says that it is not understood, the inner that none stands here.
#[expect(clippy::option_option, reason = "not understood and not there are two things")]
fn constraint(item: &mut Cursor<'_>, trusted: bool) -> Option<Option<ConstraintDraft>> {
    let begin = *item;
    let name = if item.take(&["CONSTRAINT"]) { Some(item.identifier()?) } else { None };
    let constraint = if item.take(&["PRIMARY", "KEY"]) {
        item.take_one(&["CLUSTERED", "NONCLUSTERED"]);
        Constraint::PrimaryKey(item.names_in_group()?)
    } else if item.take(&["UNIQUE"]) {
        item.take_one(&["CLUSTERED", "NONCLUSTERED"]);
        Constraint::Unique(item.names_in_group()?)
    } else if item.take(&["FOREIGN", "KEY"]) {
        let columns = item.names_in_group()?;
        if !item.take(&["REFERENCES"]) {
            return None;
        }
        references(item, columns)?
    } else if item.take(&["CHECK"]) {
        check(item)?
    } else if item.take(&["DEFAULT"]) {
        let value = value(item)?;
        if !item.take(&["FOR"]) {
            return None;
        }
        let column = item.identifier()?;
        Constraint::Default { column, value, with_values: item.take(&["WITH", "VALUES"]) }
    } else if name.is_some() {
        return None;
    } else {
        *item = begin;
        return Some(None);
    };
    Some(Some(ConstraintDraft { name, constraint, trusted }))
}

/// Behind REFERENCES: the table, its columns, and what happens on changes.
fn references(item: &mut Cursor<'_>, columns: Vec<String>) -> Option<Constraint> {
    let table = item.name()?;
    let referenced = if item.is_token(&Token::LParen) { item.names_in_group()? } else { Vec::new() };
    loop {
        if item.take(&["ON"]) {
            item.take_one(&["DELETE", "UPDATE"])?;
            if !item.take(&["NO", "ACTION"]) && !item.take(&["SET", "NULL"]) && !item.take(&["SET", "DEFAULT"]) {
                item.take_one(&["CASCADE"])?;
            }
        } else if !item.take(&["NOT", "FOR", "REPLICATION"]) {
            return Some(Constraint::ForeignKey(columns, table, referenced));
        }
    }
}

fn check(item: &mut Cursor<'_>) -> Option<Constraint> {
    item.take(&["NOT", "FOR", "REPLICATION"]);
    let (start, end) = item.group()?;
    Some(Constraint::Check(item.text(start, end).to_owned()))
}

/// The value of a default: brackets, a literal with its sign, or a function.
fn value(item: &mut Cursor<'_>) -> Option<String> {
    let from = item.index();
    loop {
        if item.is_token(&Token::LParen) {
            item.group()?;
        } else {
            let _sign = item.take_token(&Token::Minus) || item.take_token(&Token::Plus);
            match item.peek(0)? {
                Token::Word(_) => {
                    // NEXT VALUE FOR is three words before a name.
                    item.take(&["NEXT", "VALUE", "FOR"]);
                    item.name()?;
                    item.group();
                }
                Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::NationalStringLiteral(_)
                | Token::HexStringLiteral(_) => {
                    item.advance();
                }
                _ => return None,
            }
        }
        if !(item.take_token(&Token::Plus) || item.take_token(&Token::Minus) || item.take_token(&Token::Mul)) {
            return Some(item.text(from, item.index()).to_owned());
        }
    }
}

/// A column with everything that stands with it.
fn column(item: &mut Cursor<'_>, trusted: bool, draft: &mut TableDraft) -> Option<()> {
    let name = item.identifier()?;
    let mut column = ColumnDraft { name: name.clone(), ..ColumnDraft::default() };
    if item.take(&["AS"]) {
        let from = item.index();
        let mut end = *item;
        let ends = |at: &Cursor<'_>| {
            at.is_at_end()
                || at.is_one_of(0, &["PERSISTED", "CONSTRAINT"])
                || (at.is_word(0, "NOT") && at.is_word(1, "NULL"))
        };
        while !ends(&end) {
            if end.group().is_none() {
                end.advance();
            }
        }
        column.computed = Some(item.text(from, end.index()).to_owned());
        *item = end;
        item.take(&["PERSISTED"]);
    } else {
        column.data_type = Some(type_name(item)?);
    }
    while !item.is_at_end() {
        if let Some(constraint) = column_option(item, &mut column, trusted)? {
            draft.constraints.push(constraint);
        }
    }
    draft.columns.push(column);
    Some(())
}

/// One thing that stands with a column; constraints among them become the table's.
#[expect(clippy::option_option, reason = "not understood and no constraint are two things")]
fn column_option(item: &mut Cursor<'_>, column: &mut ColumnDraft, trusted: bool) -> Option<Option<ConstraintDraft>> {
    let name = if item.take(&["CONSTRAINT"]) { Some(item.identifier()?) } else { None };
    // A constraint with columns of its own is the table's, though the comma before it is missing: the server lets that through.
    let own = |item: &mut Cursor<'_>| {
        let bracketed = item.is_token(&Token::LParen);
        if bracketed { item.names_in_group() } else { Some(vec![column.name.clone()]) }
    };
    let constraint = if item.take(&["PRIMARY", "KEY"]) {
        item.take_one(&["CLUSTERED", "NONCLUSTERED"]);
        let columns = own(item)?;
        place_and_options(item);
        Some(Constraint::PrimaryKey(columns))
    } else if item.take(&["UNIQUE"]) {
        item.take_one(&["CLUSTERED", "NONCLUSTERED"]);
        let columns = own(item)?;
        place_and_options(item);
        Some(Constraint::Unique(columns))
    } else if item.take(&["REFERENCES"]) {
        Some(references(item, vec![column.name.clone()])?)
    } else if item.take(&["FOREIGN", "KEY"]) {
        let columns = own(item)?;
        if !item.take(&["REFERENCES"]) {
            return None;
        }
        Some(references(item, columns)?)
    } else if item.take(&["CHECK"]) {
        Some(check(item)?)
    } else {
        None
    };
    if let Some(constraint) = constraint {
        return Some(Some(ConstraintDraft { name, constraint, trusted }));
    }
    if item.take(&["NOT", "NULL"]) {
        column.nullable = Some(false);
    } else if item.take(&["NULL"]) {
        column.nullable = Some(true);
    } else if item.take(&["IDENTITY"]) {
        column.identity = Some(seed(item)?);
    } else if item.take(&["DEFAULT"]) {
        column.default = Some(value(item)?);
        column.default_name = name;
    } else if item.take(&["WITH", "VALUES"]) {
        column.with_values = true;
    } else if item.take(&["COLLATE"]) {
        column.collation = Some(item.identifier()?);
    } else if item.take(&["GENERATED", "ALWAYS", "AS"]) {
        item.take_one(&["ROW", "TRANSACTION_ID", "SEQUENCE_NUMBER"])?;
        item.take_one(&["START", "END"])?;
    } else if item.is_one_of(0, &["MASKED", "ENCRYPTED"]) && item.is_word(1, "WITH") {
        item.advance();
        item.advance();
        item.group()?;
    } else if item.take(&["ON"]) {
        item.name()?;
    } else if !item.take(&["NOT", "FOR", "REPLICATION"]) {
        item.take_one(&["ROWGUIDCOL", "SPARSE", "FILESTREAM", "HIDDEN", "PERSISTED"])?;
    }
    Some(None)
}

/// Seed and step of IDENTITY, 1 and 1 where they are not said.
fn seed(item: &mut Cursor<'_>) -> Option<(i64, i64)> {
    let Some((start, end)) = item.group() else { return Some((1, 1)) };
    let numbers: Vec<i64> = item
        .items(start, end)
        .iter()
        .filter_map(|n| n.text(n.index(), end).split(',').next()?.trim().parse().ok())
        .collect();
    match numbers[..] {
        [seed, step] => Some((seed, step)),
        _ => None,
    }
}

/// A type with what stands in brackets behind it.
pub(super) fn type_name(item: &mut Cursor<'_>) -> Option<TypeName> {
    let mut name = item.name()?;
    // Types of two words.
    if name.schema.is_none() {
        let lower = name.name.to_lowercase();
        if (lower == "double" && item.take(&["PRECISION"])) || lower == "national" || lower == "character" {
            let second = item.take_one(&["CHARACTER", "CHAR", "TEXT", "VARYING"]);
            let varying = second == Some("VARYING") || item.take(&["VARYING"]);
            let national = lower == "national";
            name.name = match (lower.as_str(), second, varying) {
                ("double", ..) => "float",
                ("national", Some("TEXT"), _) => "ntext",
                (_, _, true) if national => "nvarchar",
                (_, _, true) => "varchar",
                _ if national => "nchar",
                _ => "char",
            }
            .to_owned();
        }
    }
    let mut arguments = Vec::new();
    if let Some((start, end)) = item.group() {
        arguments.extend(item.items(start, end).iter().map(|a| {
            let mut last = *a;
            while last.advance().is_some() {}
            a.text(a.index(), last.index()).trim().to_lowercase()
        }));
    }
    Some(TypeName { name, arguments })
}

/// ALTER TABLE, from the table's name on.
pub(super) fn alter(cursor: &mut Cursor<'_>, end: usize) -> Option<(ObjectName, Vec<Change>)> {
    let table = cursor.name()?;
    let with = cursor.take(&["WITH"]).then(|| cursor.take_one(&["CHECK", "NOCHECK"])).flatten();
    let trusted = with != Some("NOCHECK");
    let mut changes = Vec::new();
    if cursor.take(&["ADD"]) {
        let mut draft =
            TableDraft { name: table.clone(), columns: Vec::new(), constraints: Vec::new(), indexes: Vec::new() };
        // Some write brackets around what is added.
        let whole = *cursor;
        let mut inside = *cursor;
        let bracketed = inside.group().filter(|_| inside.index() == end);
        let items = match bracketed {
            Some((start, close)) => whole.items(start, close),
            None => whole.items(whole.index(), end),
        };
        for item in items {
            element(item, trusted, &mut draft)?;
        }
        *cursor = cursor.from(end);
        changes.extend(draft.columns.into_iter().map(Change::AddColumn));
        changes.extend(draft.constraints.into_iter().map(Change::AddConstraint));
        changes.extend(draft.indexes.into_iter().map(Change::AddIndex));
    } else if cursor.take(&["ALTER", "COLUMN"]) {
        let name = cursor.identifier()?;
        if cursor.take_one(&["ADD", "DROP"]).is_some() {
            // Properties of a column that say nothing about what it holds.
            cursor.take_one(&["ROWGUIDCOL", "PERSISTED", "SPARSE", "HIDDEN", "MASKED", "NOT"])?;
            *cursor = cursor.from(end);
        } else {
            let mut draft =
                TableDraft { name: table.clone(), columns: Vec::new(), constraints: Vec::new(), indexes: Vec::new() };
            let mut column = ColumnDraft { name, data_type: Some(type_name(cursor)?), ..ColumnDraft::default() };
            while cursor.index() < end {
                if let Some(constraint) = column_option(cursor, &mut column, trusted)? {
                    draft.constraints.push(constraint);
                }
            }
            changes.push(Change::AlterColumn(column));
            changes.extend(draft.constraints.into_iter().map(Change::AddConstraint));
        }
    } else if cursor.take(&["DROP"]) {
        drop_items(cursor, end, &mut changes)?;
    } else if let Some(state) = cursor.take_one(&["CHECK", "NOCHECK"]) {
        if !cursor.take(&["CONSTRAINT"]) {
            return None;
        }
        let names = if cursor.take(&["ALL"]) {
            None
        } else {
            let mut names = vec![cursor.identifier()?];
            while cursor.take_token(&Token::Comma) {
                names.push(cursor.identifier()?);
            }
            Some(names)
        };
        changes.push(Change::Enable(names, state == "CHECK", with == Some("CHECK")));
    } else if cursor.is_one_of(0, &["ENABLE", "DISABLE", "SET", "REBUILD"]) {
        // Triggers, lock escalation, storage.
        *cursor = cursor.from(end);
    } else {
        return None;
    }
    Some((table, changes))
}

/// `DROP COLUMN a, b, CONSTRAINT c`, `DROP c`.
fn drop_items(cursor: &mut Cursor<'_>, end: usize, changes: &mut Vec<Change>) -> Option<()> {
    let mut column = false;
    loop {
        match cursor.take_one(&["COLUMN", "CONSTRAINT"]) {
            Some("COLUMN") => column = true,
            Some(_) => column = false,
            None => {}
        }
        let lenient = cursor.take(&["IF", "EXISTS"]);
        let name = cursor.identifier()?;
        changes.push(if column { Change::DropColumn(name, lenient) } else { Change::DropConstraint(name, lenient) });
        if cursor.is_word(0, "WITH") {
            cursor.advance();
            cursor.group()?;
        }
        if !cursor.take_token(&Token::Comma) {
            return (cursor.index() == end).then_some(());
        }
    }
}
