//! From tokens to statements.
//!
//! What changes tables is recognised here and in the files beside; queries and expressions are sqlparser's; the rest is known by name
//! or told as not understood.

use sqlparser::ast::{Expr, Statement as Sql};
use sqlparser::tokenizer::Token;

use super::call::{execute, raise, reseed};
use super::extent::{condition_end, end_of};
use super::harmless::{NOTHING, other};
use super::insert::{Insert, insert};
use super::module::{self, Module, TypeDraft};
use super::parser::{expression, query};
use super::table::{self, Change, TableDraft, TypeName};
use super::tokens::{Cursor, ObjectName, Source};
use super::{IndexDraft, Piece, Place, index};

/// One statement of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Where it begins.
    pub place: Place,
    /// Its first words, without texts and numbers.
    pub words: String,
    /// What it does.
    pub action: Action,
    /// The variables that it may give another value, where it is not understood.
    pub variables: Vec<String>,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// CREATE TABLE.
    CreateTable(TableDraft),
    /// ALTER TABLE.
    AlterTable(ObjectName, Vec<Change>),
    /// DROP TABLE, VIEW, PROCEDURE, FUNCTION, TYPE, and whether what is not there is let go (IF EXISTS).
    Drop(Vec<ObjectName>, bool),
    /// CREATE INDEX.
    CreateIndex(IndexDraft),
    /// DROP INDEX: tables and indexes, and whether what is not there is let go.
    DropIndex(Vec<(ObjectName, String)>, bool),
    /// CREATE or ALTER VIEW, PROCEDURE, FUNCTION, TRIGGER.
    Module(Module),
    /// CREATE TYPE.
    CreateType(TypeDraft),
    /// `sp_rename`: the parts of the old name, the new name, and the kind that was said.
    Rename(Vec<String>, String, Option<String>),
    /// TRUNCATE TABLE.
    Truncate(ObjectName),
    /// INSERT.
    Insert(Insert),
    /// `SET IDENTITY_INSERT`.
    IdentityInsert(ObjectName, bool),
    /// `DBCC CHECKIDENT (table, RESEED, value)`.
    Reseed(ObjectName, i64),
    /// UPDATE, DELETE, MERGE or SELECT, as sqlparser reads it.
    Query(Box<Sql>),
    /// DECLARE: names, types and values. A variable that is a table is [`Action::CreateTable`].
    Declare(Vec<(String, TypeName, Option<Expr>)>),
    /// `SET @x = ...`.
    Assign(String, Expr),
    /// `SET DATEFORMAT dmy`.
    DateFormat(String),
    /// IF. Without a condition where it is not understood.
    If(Option<Box<Expr>>, Vec<Statement>, Vec<Statement>),
    /// BEGIN and END.
    Block(Vec<Statement>),
    /// The TRY of TRY and CATCH, and whether the CATCH rolls back.
    Try(Vec<Statement>, bool),
    /// EXEC of a text that is a script itself.
    Dynamic(Expr),
    /// RETURN: the rest of the batch is not carried out.
    Return,
    /// THROW (true) or RAISERROR of a severity that ends a TRY (false).
    Raise(bool),
    /// Nothing that a catalogue or rows would show: what it is.
    Nothing(&'static str),
    /// Not understood, and why.
    Unknown(String),
}

/// Takes a piece apart into its statements. Every word of it is in one of them.
pub fn parse(piece: &Piece) -> Vec<Statement> {
    let source = match Source::new(&piece.text, piece.place) {
        Ok(source) => source,
        Err((place, why)) => {
            let plain = |word: &&str| word.chars().all(|c| c.is_alphabetic() || "_.[]".contains(c));
            let words = piece.text.split_whitespace().take_while(plain).take(4).collect::<Vec<_>>().join(" ");
            return vec![Statement {
                place,
                words,
                action: Action::Unknown(format!("no T-SQL that can be taken apart: {why}")),
                variables: Vec::new(),
            }];
        }
    };
    let mut cursor = source.cursor();
    let mut statements = Vec::new();
    while !cursor.is_at_end() {
        let before = cursor.index();
        statements.extend(statement(&mut cursor, 0));
        if cursor.index() == before {
            // A lone END or ELSE: told, not swallowed.
            let action = Action::Unknown("it stands alone".to_owned());
            statements.push(Statement { place: cursor.place(), words: cursor.words(), action, variables: Vec::new() });
            cursor.advance();
        }
    }
    statements
}

/// How deep blocks may lie in one another.
const DEPTH: u32 = 60;

/// One statement. `None` for a semicolon and for what ends a block.
fn statement(cursor: &mut Cursor<'_>, depth: u32) -> Option<Statement> {
    if cursor.take_token(&Token::SemiColon) || (cursor.take(&["GO"])) {
        return None;
    }
    if cursor.is_one_of(0, &["END", "ELSE"]) {
        return None;
    }
    let (place, words) = (cursor.place(), cursor.words());
    let begin = *cursor;
    let action = if depth > DEPTH {
        *cursor = cursor.from(usize::MAX);
        Action::Unknown("blocks lie too deep in one another".to_owned())
    } else if cursor.is_word(0, "IF") {
        conditional(cursor, depth)
    } else if cursor.is_word(0, "BEGIN")
        && !cursor.is_one_of(1, &["TRAN", "TRANSACTION", "DISTRIBUTED", "DIALOG", "CONVERSATION"])
    {
        block(cursor, depth)
    } else if cursor.is_word(0, "WHILE") {
        let _loop = cursor.advance();
        skip_condition(cursor);
        let _body = statement(cursor, depth + 1);
        Action::Unknown("a loop".to_owned())
    } else if let Some(module) = module::module(cursor) {
        *cursor = cursor.from(usize::MAX);
        Action::Module(module)
    } else {
        let end = end_of(cursor);
        let action = simple(cursor, end);
        // What is understood is understood to its end, or not at all.
        let stopped = cursor.index();
        *cursor = begin.from(end);
        match action {
            Some(action)
                if stopped >= end
                    || matches!(
                        action,
                        Action::Nothing(_) | Action::Unknown(_) | Action::Return | Action::Raise(_)
                    ) =>
            {
                action
            }
            Some(_) => Action::Unknown(format!("what stands at {} has no known meaning", begin.from(stopped).place())),
            None => Action::Unknown(String::new()),
        }
    };
    let variables = match action {
        Action::Insert(_)
        | Action::CreateTable(_)
        | Action::AlterTable(..)
        | Action::Module(_)
        | Action::Nothing(_) => Vec::new(),
        _ => begin.variables(cursor.index()),
    };
    Some(Statement { place, words, action, variables })
}

/// Everything that has no statements inside.
fn simple(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    let first = cursor.word(0).map(str::to_ascii_uppercase).unwrap_or_default();
    if let Some((_, what)) = NOTHING.iter().find(|(word, _)| *word == first) {
        return Some(Action::Nothing(what));
    }
    match first.as_str() {
        "CREATE" => create(cursor, end),
        "ALTER" => {
            if cursor.take(&["ALTER", "TABLE"]) {
                let (table, changes) = table::alter(cursor, end)?;
                return Some(Action::AlterTable(table, changes));
            }
            if cursor.is_word(1, "INDEX") {
                return Some(Action::Nothing("an index that is rebuilt or switched"));
            }
            other(cursor)
        }
        "DROP" => drop(cursor, end),
        "INSERT" => insert(cursor, end),
        "TRUNCATE" => {
            cursor.take(&["TRUNCATE", "TABLE"]).then_some(())?;
            Some(Action::Truncate(cursor.name()?))
        }
        "SET" => set(cursor, end),
        "RETURN" => Some(Action::Return),
        "THROW" => Some(Action::Raise(true)),
        "RAISERROR" => Some(raise(cursor, end)),
        "ROLLBACK" => Some(Action::Unknown("it takes back what was done before".to_owned())),
        "FETCH" => Some(Action::Unknown("a cursor".to_owned())),
        "DECLARE" => declare(cursor, end),
        "EXEC" | "EXECUTE" => {
            cursor.advance();
            execute(cursor, end)
        }
        "DBCC" => {
            cursor.advance();
            let reseeds = cursor.is_word(0, "CHECKIDENT") && (0..8).any(|ahead| cursor.is_word(ahead, "RESEED"));
            let otherwise = if reseeds {
                Action::Unknown("the number to go on from is not a number here".to_owned())
            } else {
                Action::Nothing("a check of the server")
            };
            Some(reseed(cursor).unwrap_or(otherwise))
        }
        "UPDATE" if cursor.is_word(1, "STATISTICS") => Some(Action::Nothing("statistics")),
        "BEGIN" => Some(Action::Nothing("a transaction")),
        "BULK" => Some(Action::Unknown("its rows lie in another file".to_owned())),
        "WITH" | "UPDATE" | "DELETE" | "MERGE" | "SELECT" => query(cursor, end),
        _ => {
            // A label, or a procedure that is called without EXEC, as the first word of a batch may be.
            if cursor.peek(1) == Some(&Token::Colon) && cursor.index() + 2 == end {
                return Some(Action::Nothing("a label"));
            }
            execute(cursor, end)
        }
    }
}

fn create(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    if cursor.take(&["CREATE", "TABLE"]) {
        return Some(Action::CreateTable(table::create(cursor)?));
    }
    if cursor.take(&["CREATE", "TYPE"]) {
        if let Some(draft) = module::create_type(cursor) {
            return Some(Action::CreateType(draft));
        }
        return Some(Action::Nothing("a type of an assembly"));
    }
    if cursor.is_one_of(1, &["UNIQUE", "CLUSTERED", "NONCLUSTERED", "INDEX", "COLUMNSTORE"]) {
        cursor.advance();
        return Some(Action::CreateIndex(index::create(cursor, end)?));
    }
    other(cursor)
}

fn drop(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    let known = ["TABLE", "VIEW", "PROCEDURE", "PROC", "FUNCTION", "TYPE"];
    if cursor.is_one_of(1, &known) {
        cursor.advance();
        cursor.advance();
        let lenient = cursor.take(&["IF", "EXISTS"]);
        let mut names = vec![cursor.name()?];
        while cursor.take_token(&Token::Comma) {
            names.push(cursor.name()?);
        }
        return Some(Action::Drop(names, lenient));
    }
    if cursor.take(&["DROP", "INDEX"]) {
        let lenient = cursor.take(&["IF", "EXISTS"]);
        let mut indexes = Vec::new();
        loop {
            let name = cursor.name()?;
            // `DROP INDEX table.index` is the old way.
            indexes.push(match (cursor.take(&["ON"]), name.schema) {
                (true, _) => (cursor.name()?, name.name),
                (false, Some(table)) => (ObjectName { schema: None, name: table }, name.name),
                (false, None) => return None,
            });
            if cursor.is_word(0, "WITH") {
                *cursor = cursor.from(end);
            }
            if !cursor.take_token(&Token::Comma) {
                return Some(Action::DropIndex(indexes, lenient));
            }
        }
    }
    other(cursor)
}

fn set(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    cursor.advance();
    if cursor.take(&["IDENTITY_INSERT"]) {
        let table = cursor.name()?;
        let on = cursor.take_one(&["ON", "OFF"])? == "ON";
        return Some(Action::IdentityInsert(table, on));
    }
    if cursor.take(&["DATEFORMAT"]) {
        return Some(match cursor.identifier() {
            Some(format) => Action::DateFormat(format.to_ascii_lowercase()),
            None => Action::Unknown("a date format that is not said".to_owned()),
        });
    }
    match cursor.word(0) {
        Some(variable) if variable.starts_with('@') => {
            let name = variable.to_lowercase();
            cursor.advance();
            if !cursor.take_token(&Token::Eq) {
                return None;
            }
            let value = expression(cursor, end)?;
            Some(Action::Assign(name, value))
        }
        Some(option) => {
            let on = |word: &str| cursor.is_word(1, word);
            Some(match option.to_ascii_uppercase().as_str() {
                "NOEXEC" | "PARSEONLY" | "FMTONLY" if on("ON") => {
                    Action::Unknown("what follows would not be carried out".to_owned())
                }
                "ROWCOUNT" if cursor.peek(1) != Some(&Token::Number("0".to_owned(), false)) => {
                    Action::Unknown("what follows would stop after some rows".to_owned())
                }
                "LANGUAGE" => Action::Unknown("how dates are written depends on it".to_owned()),
                _ => Action::Nothing("an option of the session"),
            })
        }
        None => None,
    }
}

fn declare(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    cursor.advance();
    let mut declared = Vec::new();
    for mut item in cursor.items(cursor.index(), end) {
        let name = item.word(0)?.to_lowercase();
        item.advance();
        if !name.starts_with('@') || item.is_word(0, "CURSOR") {
            *cursor = cursor.from(end);
            return Some(Action::Nothing("a cursor"));
        }
        item.take(&["AS"]);
        if item.take(&["TABLE"]) {
            let draft = table::elements(&mut item, ObjectName { schema: None, name })?;
            *cursor = cursor.from(end);
            return (declared.is_empty() && item.is_at_end()).then_some(Action::CreateTable(draft));
        }
        let data_type = table::type_name(&mut item)?;
        let value = if item.take_token(&Token::Eq) {
            let mut last = item;
            while last.advance().is_some() {}
            Some(expression(&mut item, last.index())?)
        } else {
            None
        };
        if !item.is_at_end() {
            return None;
        }
        declared.push((name, data_type, value));
    }
    *cursor = cursor.from(end);
    Some(Action::Declare(declared))
}

/// IF, its branch, and the ELSE.
fn conditional(cursor: &mut Cursor<'_>, depth: u32) -> Action {
    cursor.advance();
    let condition = condition(cursor);
    let branch = |cursor: &mut Cursor<'_>| -> Vec<Statement> {
        let found = statement(cursor, depth + 1);
        // A semicolon behind the branch belongs to it, so that an ELSE is still found.
        let mut after = *cursor;
        while after.take_token(&Token::SemiColon) {}
        if after.is_word(0, "ELSE") {
            *cursor = after;
        }
        match found {
            Some(Statement { action: Action::Block(statements), .. }) => statements,
            found => found.into_iter().collect(),
        }
    };
    let yes = branch(cursor);
    let no = if cursor.take(&["ELSE"]) { branch(cursor) } else { Vec::new() };
    Action::If(condition.map(Box::new), yes, no)
}

/// The condition of an IF: as far as sqlparser reads an expression, or up to the next statement.
fn condition(cursor: &mut Cursor<'_>) -> Option<Expr> {
    let end = condition_end(cursor);
    let mut at = *cursor;
    let found = expression(&mut at, end);
    *cursor = cursor.from(end);
    found
}

fn skip_condition(cursor: &mut Cursor<'_>) {
    let end = condition_end(cursor);
    *cursor = cursor.from(end);
}

/// BEGIN ... END, and TRY with its CATCH, which is not carried out.
fn block(cursor: &mut Cursor<'_>, depth: u32) -> Action {
    cursor.advance();
    let tried = cursor.take_one(&["TRY", "CATCH"]);
    let mut statements = Vec::new();
    while !cursor.is_at_end() && !cursor.is_word(0, "END") {
        let before = cursor.index();
        statements.extend(statement(cursor, depth + 1));
        if cursor.index() == before {
            let action = Action::Unknown("it stands alone".to_owned());
            statements.push(Statement { place: cursor.place(), words: cursor.words(), action, variables: Vec::new() });
            cursor.advance();
        }
    }
    cursor.take(&["END"]);
    match tried {
        None => Action::Block(statements),
        Some("CATCH") => {
            cursor.take(&["CATCH"]);
            Action::Nothing("what happens on an error")
        }
        Some(_) => {
            cursor.take(&["TRY"]);
            // What the CATCH does is looked at here, and it is read as a statement of its own.
            let mut after = *cursor;
            while after.take_token(&Token::SemiColon) {}
            let mut rolls_back = false;
            if after.is_word(0, "BEGIN") && after.is_word(1, "CATCH") {
                let mut open = 0_u32;
                while !after.is_at_end() {
                    rolls_back |= after.is_word(0, "ROLLBACK");
                    open += u32::from(after.is_word(0, "BEGIN") && after.is_word(1, "CATCH"));
                    if after.is_word(0, "END") && after.is_word(1, "CATCH") {
                        open = open.saturating_sub(1);
                        if open == 0 {
                            break;
                        }
                    }
                    after.advance();
                }
            }
            Action::Try(statements, rolls_back)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, InsertRows};
    use super::*;

    fn actions(sql: &str) -> Vec<Action> {
        let piece = Piece { text: sql.to_owned(), place: Place::START, ends_batch: true, times: 1, ends_script: true };
        parse(&piece).into_iter().map(|s| s.action).collect()
    }

    fn kinds(sql: &str) -> Vec<String> {
        let kind = |action: &Action| {
            let text = format!("{action:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        actions(sql).iter().map(kind).collect()
    }

    #[test]
    fn statements_end_where_the_next_begins() {
        let cases = [
            ("INSERT t VALUES (1) INSERT t (a) VALUES (2), (-3.5)", vec!["Insert", "Insert"]),
            ("INSERT INTO t (a) SELECT 1 UNION ALL SELECT 2 INSERT t DEFAULT VALUES", vec!["Insert", "Insert"]),
            (
                "UPDATE t SET a = 1 WHERE b = 2 UPDATE t SET a = CASE WHEN b = 1 THEN 2 ELSE 3 END SET @x = 1",
                vec!["Query", "Query", "Assign"],
            ),
            ("SET NOCOUNT ON SET @a = 1 SET IDENTITY_INSERT [dbo].[t] ON", vec!["Nothing", "Assign", "IdentityInsert"]),
            (
                "IF NOT EXISTS (SELECT 1 FROM t) INSERT t VALUES (1) ELSE UPDATE t SET a = 1 DELETE FROM t",
                vec!["If", "Query"],
            ),
            (
                "BEGIN TRAN; BEGIN TRY DELETE t END TRY BEGIN CATCH ROLLBACK END CATCH; COMMIT",
                vec!["Nothing", "Try", "Nothing", "Nothing"],
            ),
            (
                "ALTER TABLE t ADD a int NULL, b nvarchar(5) CONSTRAINT d DEFAULT (N'x') NOT NULL ALTER TABLE t DROP COLUMN c",
                vec!["AlterTable", "AlterTable"],
            ),
            ("ALTER TABLE t ALTER COLUMN a nvarchar(5) NOT NULL DROP TABLE u", vec!["AlterTable", "Drop"]),
            (
                "ALTER TABLE t WITH NOCHECK ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u (b) ON DELETE SET NULL ON UPDATE CASCADE SELECT 1",
                vec!["AlterTable", "Query"],
            ),
            (
                "DECLARE @a int = 5, @b nvarchar(10) EXEC sp_rename 'dbo.t.a', 'b', 'COLUMN' EXEC ('DROP TABLE x')",
                vec!["Declare", "Rename", "Dynamic"],
            ),
            (
                "CREATE UNIQUE NONCLUSTERED INDEX i ON dbo.t (a ASC, b DESC) INCLUDE (c) WHERE ([d] IS NULL) WITH (PAD_INDEX = OFF) ON [PRIMARY] PRINT 'x'",
                vec!["CreateIndex", "Nothing"],
            ),
            ("GRANT SELECT, INSERT ON t TO x CREATE TABLE #t (a int)", vec!["Nothing", "CreateTable"]),
            ("WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x", vec!["Query"]),
            ("WHILE @i < 5 BEGIN SET @i = @i + 1 END SELECT 1", vec!["Unknown", "Query"]),
            ("dbo.uspSomething 1, 2", vec!["Unknown"]),
            (
                "MERGE t USING (SELECT 1 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a) WHEN MATCHED THEN UPDATE SET a = 1;",
                vec!["Query"],
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(kinds(sql), expected, "{sql}\n{:#?}", actions(sql));
        }
    }

    #[test]
    fn a_table_is_read_with_everything_that_stands_with_it() {
        let found = actions(
            "CREATE TABLE [dbo].[t](
                [Id] [int] IDENTITY(5,2) NOT FOR REPLICATION NOT NULL,
                [Name] [nvarchar](50) COLLATE Latin1_General_CI_AS NULL CONSTRAINT [DF] DEFAULT (N'it''s'),
                Total AS ([a]*(2)) PERSISTED NOT NULL,
                [a] decimal(18, 2) NOT NULL DEFAULT -1 CHECK (a > 0),
                [b] varbinary(max), [c] dbo.Phone NULL REFERENCES dbo.u(x),
             CONSTRAINT [PK] PRIMARY KEY CLUSTERED ([Id] ASC)WITH (PAD_INDEX = OFF) ON [PRIMARY],
             UNIQUE (Name, a), INDEX ix (a)
            ) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY]",
        );
        let [Action::CreateTable(draft)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(draft.columns.len(), 6);
        assert_eq!(draft.columns[0].identity, Some((5, 2)));
        assert_eq!(draft.columns[1].default.as_deref(), Some("(N'it''s')"));
        assert_eq!(draft.columns[2].computed.as_deref(), Some("([a]*(2))"));
        assert_eq!((draft.columns[3].default.as_deref(), draft.columns[3].nullable), (Some("-1"), Some(false)));
        assert_eq!(draft.columns[3].data_type.as_ref().unwrap().arguments, ["18", "2"]);
        assert_eq!(draft.columns[4].data_type.as_ref().unwrap().arguments, ["max"]);
        assert_eq!((draft.constraints.len(), draft.indexes.len()), (4, 1));
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let found = actions(
            "INSERT t VALUES (NULL, -1.50, N'O''Neil', 0x0aF, CAST(N'2020-01-01' AS DateTime), GETDATE(), 1 + 2, DEFAULT, 1E3)",
        );
        let [Action::Insert(Insert { rows: InsertRows::Values(rows), .. })] = &found[..] else { panic!("{found:?}") };
        let row = &rows[0];
        assert_eq!(
            row[..4],
            [Cell::Null, Cell::Number("-1.50".into()), Cell::Text("O'Neil".into()), Cell::Binary(vec![0, 0xaf])]
        );
        assert!(matches!((&row[4], &row[5], &row[6]), (Cell::Cast(..), Cell::Expr(_), Cell::Expr(_))), "{row:?}");
        assert_eq!(row[7..], [Cell::Default, Cell::Number("1E3".into())]);
    }

    #[test]
    fn what_is_not_understood_is_told_and_nothing_behind_it_is_lost() {
        let found = actions("INSERT t VALUES (1 DELETE FROM t");
        assert!(matches!(&found[..], [Action::Unknown(_)]), "{found:?}");
        let found = actions("FROBNICATE all of it\nINSERT t VALUES (1)");
        assert!(matches!(&found[..], [Action::Unknown(_), Action::Insert(_)]), "{found:?}");
        let found = actions("ALTER TABLE t ADD CONSTRAINT x SOMETHING (1) ALTER TABLE t ADD y int");
        assert!(matches!(&found[..], [Action::Unknown(_), Action::AlterTable(..)]), "{found:?}");
    }
}
