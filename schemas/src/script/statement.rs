//! From tokens to statements.
//!
//! T-SQL needs no semicolons, so a statement ends where the next one begins: at a key word that begins statements, outside brackets
//! and CASE, and not one that continues what was begun (the SELECT of an INSERT, the SET of an UPDATE). What changes tables is
//! recognised here; queries and expressions are sqlparser's; the rest is known by name or told as not understood.

use sqlparser::ast::{Expr, Statement as Sql};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::module::{self, Module, TypeDraft};
use super::table::{self, Change, TableDraft, TypeName};
use super::tokens::{Cursor, ObjectName, Source, literal};
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

/// An INSERT.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// The table.
    pub table: ObjectName,
    /// The columns, where they are listed.
    pub columns: Option<Vec<String>>,
    /// The rows.
    pub rows: InsertRows,
}

/// The rows of an INSERT.
#[derive(Clone, Debug, PartialEq)]
pub enum InsertRows {
    /// VALUES.
    Values(Vec<Vec<Cell>>),
    /// SELECT, as sqlparser reads it.
    Query(Box<Sql>),
    /// DEFAULT VALUES.
    Defaults,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// DEFAULT.
    Default,
    /// A number: digits, a sign, a point, an exponent.
    Number(String),
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// `CAST(... AS type)`.
    Cast(Box<Cell>, TypeName),
    /// Anything else.
    Expr(Box<Expr>),
}

/// Words that begin a statement.
const STARTS: &[&str] = &[
    "ALTER",
    "BACKUP",
    "BEGIN",
    "BREAK",
    "BULK",
    "CHECKPOINT",
    "CLOSE",
    "COMMIT",
    "CONTINUE",
    "CREATE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DENY",
    "DISABLE",
    "DROP",
    "ELSE",
    "ENABLE",
    "END",
    "EXEC",
    "EXECUTE",
    "FETCH",
    "GO",
    "GOTO",
    "GRANT",
    "IF",
    "INSERT",
    "KILL",
    "MERGE",
    "OPEN",
    "PRINT",
    "RAISERROR",
    "RECONFIGURE",
    "RESTORE",
    "RETURN",
    "REVERT",
    "REVOKE",
    "ROLLBACK",
    "SAVE",
    "SELECT",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "THROW",
    "TRUNCATE",
    "UPDATE",
    "USE",
    "WAITFOR",
    "WHILE",
    "WITH",
];

/// Statements by their first word that leave no trace in a catalogue or in rows.
const NOTHING: &[(&str, &str)] = &[
    ("USE", "a change of the database"),
    ("PRINT", "a message"),
    ("GRANT", "a right"),
    ("DENY", "a right"),
    ("REVOKE", "a right"),
    ("COMMIT", "a transaction"),
    ("SAVE", "a transaction"),
    ("CHECKPOINT", "a transaction"),
    ("WAITFOR", "a pause"),
    ("ENABLE", "a trigger"),
    ("DISABLE", "a trigger"),
    ("BACKUP", "a backup"),
    ("RECONFIGURE", "an option of the server"),
    ("REVERT", "a right"),
    ("SETUSER", "a right"),
    ("OPEN", "a cursor or a key"),
    ("CLOSE", "a cursor or a key"),
    ("DEALLOCATE", "a cursor"),
    ("KILL", "a session"),
];

/// Objects that no catalogue has, by the word behind CREATE, ALTER or DROP.
const OTHERS: &[(&str, &str)] = &[
    ("DATABASE", "an option of the database"),
    ("LOGIN", "a right"),
    ("USER", "a right"),
    ("ROLE", "a right"),
    ("APPLICATION", "a right"),
    ("SERVER", "an option of the server"),
    ("AUTHORIZATION", "a right"),
    ("SCHEMA", "a schema"),
    ("PARTITION", "a place of storage"),
    ("STATISTICS", "statistics"),
    ("FULLTEXT", "a full-text index"),
    ("SYNONYM", "a synonym"),
    ("SEQUENCE", "a sequence"),
    ("TRIGGER", "a trigger"),
    ("ASSEMBLY", "an assembly"),
    ("CERTIFICATE", "a key or certificate"),
    ("SYMMETRIC", "a key or certificate"),
    ("ASYMMETRIC", "a key or certificate"),
    ("MASTER", "a key or certificate"),
    ("CREDENTIAL", "a key or certificate"),
    ("XML", "an XML index or schema"),
    ("PRIMARY", "an XML index or schema"),
    ("SPATIAL", "a spatial index"),
    ("SERVICE", "the service broker"),
    ("QUEUE", "the service broker"),
    ("CONTRACT", "the service broker"),
    ("MESSAGE", "the service broker"),
    ("ROUTE", "the service broker"),
    ("BROKER", "the service broker"),
    ("ENDPOINT", "an option of the server"),
    ("EVENT", "an option of the server"),
    ("RESOURCE", "an option of the server"),
    ("RULE", "a rule"),
    ("DEFAULT", "a default of its own"),
    ("AGGREGATE", "an aggregate of an assembly"),
    ("SECURITY", "a right"),
    ("EXTERNAL", "an external source"),
];

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

/// Procedures of the server that leave no trace in a catalogue or in rows.
const RIGHTS: &[&str] = &[
    "sp_addalias",
    "sp_addapprole",
    "sp_addgroup",
    "sp_addlinkedserver",
    "sp_addlinkedsrvlogin",
    "sp_addlogin",
    "sp_addmessage",
    "sp_addrole",
    "sp_addrolemember",
    "sp_addserver",
    "sp_addsrvrolemember",
    "sp_addumpdevice",
    "sp_adduser",
    "sp_changedbowner",
    "sp_changeobjectowner",
    "sp_change_users_login",
    "sp_configure",
    "sp_db_vardecimal_storage_format",
    "sp_dboption",
    "sp_dropalias",
    "sp_dropgroup",
    "sp_droplogin",
    "sp_droprole",
    "sp_droprolemember",
    "sp_dropserver",
    "sp_dropuser",
    "sp_grantdbaccess",
    "sp_grantlogin",
    "sp_help",
    "sp_helptext",
    "sp_recompile",
    "sp_refreshsqlmodule",
    "sp_refreshview",
    "sp_revokedbaccess",
    "sp_settriggerorder",
    "sp_tableoption",
    "sp_updatestats",
];

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

/// Where the statement that begins here ends: the index behind its last token.
fn end_of(cursor: &Cursor<'_>) -> usize {
    let mut at = *cursor;
    let first = at.word(0).unwrap_or_default().to_ascii_uppercase();
    at.advance();
    let (mut depth, mut cases) = (0_u32, 0_u32);
    // How many more key words may continue it.
    let mut source = matches!(first.as_str(), "INSERT" | "WITH");
    let mut set = matches!(first.as_str(), "UPDATE" | "ALTER" | "MERGE" | "WITH");
    let merge = first == "MERGE";
    let mut joined = false;
    // Rights are named by words that begin statements, up to those who get them.
    let mut granted = false;
    while let Some(token) = at.peek(0) {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon if depth == 0 => return at.index(),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let is = |wanted: &str| word.value.eq_ignore_ascii_case(wanted);
                let after_dot = at.index() > 0 && at.from(at.index() - 1).is_token(&Token::Period);
                if is("CASE") {
                    cases += 1;
                } else if cases > 0 && is("END") {
                    cases -= 1;
                } else if is("VALUES") && first == "INSERT" {
                    source = false;
                } else if !after_dot && STARTS.iter().any(|start| is(start)) && !(cases > 0 && is("ELSE")) {
                    // DROP TABLE IF EXISTS, DROP COLUMN IF EXISTS.
                    let guarded = is("IF") && at.is_word(1, "EXISTS") && at.peek(2) != Some(&Token::LParen);
                    let continues = guarded
                        || match first.as_str() {
                            "GRANT" | "DENY" | "REVOKE" => !granted || is("WITH"),
                            "BULK" => is("INSERT") || is("WITH"),
                            "ENABLE" | "DISABLE" | "BACKUP" | "RESTORE" => false,
                            "CREATE" | "ALTER" => {
                                let second = cursor.word(1).unwrap_or_default().to_ascii_uppercase();
                                match second.as_str() {
                                    "TABLE" => {
                                        is("WITH")
                                        || (first == "ALTER" && (is("ALTER") || is("DROP")) && at.is_one_of(1, &["COLUMN", "CONSTRAINT"]))
                                        || (first == "ALTER" && is("DROP") && !at.is_one_of(1, &["TABLE", "VIEW", "PROC", "PROCEDURE", "FUNCTION", "TYPE", "INDEX", "DATABASE", "SCHEMA", "USER", "ROLE"]))
                                        || (first == "ALTER" && is("SET") && at.peek(1) == Some(&Token::LParen))
                                        || (first == "ALTER" && (is("ENABLE") || is("DISABLE")))
                                        // ON DELETE CASCADE, ON UPDATE SET NULL, PERIOD ... END
                                        || (at.index() > 0 && at.from(at.index() - 1).is_word(0, "ON") && (is("DELETE") || is("UPDATE")))
                                        || (is("SET") && at.is_one_of(1, &["NULL", "DEFAULT"]))
                                        || (is("END") && at.index() > 0 && at.from(at.index() - 1).is_word(0, "ROW"))
                                    }
                                    "DATABASE" | "ROLE" | "USER" | "LOGIN" | "SERVER" => {
                                        (set && is("SET"))
                                            || is("WITH")
                                            || is("ADD")
                                            || (is("DROP") && at.is_word(1, "MEMBER"))
                                    }
                                    _ => is("WITH"),
                                }
                            }
                            _ => {
                                (is("WITH") && (at.peek(1) == Some(&Token::LParen) || first != "SELECT" && !cte(&at)))
                                || (source && (is("SELECT") || (first == "INSERT" && (is("EXEC") || is("EXECUTE")))))
                                || (source && first == "WITH" && (is("INSERT") || is("UPDATE") || is("DELETE") || is("MERGE")))
                                || (joined && is("SELECT"))
                                || (set && is("SET"))
                                || (merge && (is("UPDATE") || is("INSERT") || is("DELETE") || is("SET") || is("SELECT")))
                                // FETCH NEXT n ROWS of a SELECT; SET of an option.
                                || (is("FETCH") && at.is_one_of(1, &["NEXT", "FIRST"]) && at.is_one_of(3, &["ROWS", "ROW", "ONLY"]))
                                || (is("OPEN") && at.is_one_of(1, &["SYMMETRIC"]))
                            }
                        };
                    if !continues {
                        return at.index();
                    }
                    if is("SELECT") || is("EXEC") || is("EXECUTE") || is("INSERT") || is("UPDATE") || is("DELETE") {
                        // WITH x AS (...) INSERT ... SELECT: the INSERT may have a source of its own.
                        source = first == "WITH" && is("INSERT");
                        set = set || is("UPDATE");
                    }
                    if is("SET") && !merge {
                        set = false;
                    }
                }
                granted |= is("TO") || is("FROM");
                joined = is("UNION") || is("EXCEPT") || is("INTERSECT") || (joined && is("ALL"));
            }
            // A label, or a bracketed query behind UNION.
            _ => {}
        }
        at.advance();
    }
    at.index()
}

/// Whether WITH begins a common table expression here: `WITH name [(columns)] AS (`.
fn cte(cursor: &Cursor<'_>) -> bool {
    let mut at = *cursor;
    at.advance();
    at.identifier().is_some() && {
        at.group();
        at.take(&["AS"]) && at.is_token(&Token::LParen)
    }
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

fn other(cursor: &Cursor<'_>) -> Option<Action> {
    let word = cursor.word(1)?.to_ascii_uppercase();
    if word == "SCHEMA" && cursor.is_word(0, "ALTER") {
        return Some(Action::Unknown("a thing moves to another schema".to_owned()));
    }
    OTHERS.iter().find(|(known, _)| *known == word).map(|(_, what)| Action::Nothing(what))
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

/// A call: what renames, what is a script itself, and procedures of which it is known what they do.
fn execute(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    if cursor.is_token(&Token::LParen) {
        let (start, close) = cursor.group()?;
        let mut inside = cursor.from(start).until(close);
        let text = expression(&mut inside, close)?;
        let whole = cursor.index() >= end;
        *cursor = cursor.from(end);
        return Some(if whole {
            Action::Dynamic(text)
        } else {
            Action::Unknown("a text is carried out elsewhere, or with parameters".to_owned())
        });
    }
    let name = cursor.name()?;
    let lower = name.name.to_lowercase();
    let parameters: Vec<(String, Cursor<'_>)> = cursor
        .items(cursor.index(), end)
        .into_iter()
        .map(|mut item| {
            let named = item.word(0).filter(|w| w.starts_with('@')).filter(|_| item.peek(1) == Some(&Token::Eq));
            let named = named.map(str::to_lowercase).unwrap_or_default();
            if !named.is_empty() {
                item.advance();
                item.advance();
            }
            (named, item)
        })
        .collect();
    let parameter = |at: usize, names: &[&str]| {
        let named = parameters.iter().find(|(name, _)| names.contains(&name.as_str()));
        named.or_else(|| parameters.get(at).filter(|(name, _)| name.is_empty())).map(|(_, item)| *item)
    };
    *cursor = cursor.from(end);
    match lower.as_str() {
        "sp_rename" => {
            let mut old = parameter(0, &["@objname"])?;
            let mut new = parameter(1, &["@newname"])?;
            let kind = parameter(2, &["@objtype"]).and_then(|mut kind| kind.string());
            let old = old.string().or_else(|| old.identifier())?;
            let new = new.string().or_else(|| new.identifier())?;
            Some(Action::Rename(ObjectName::parts(&old), new, kind.map(|k| k.to_uppercase())))
        }
        "sp_executesql" if parameters.len() > 1 => {
            Some(Action::Unknown("a text is carried out with parameters".to_owned()))
        }
        "sp_executesql" => {
            let mut text = parameter(0, &["@statement", "@stmt"])?;
            let mut last = text;
            while last.advance().is_some() {}
            Some(Action::Dynamic(expression(&mut text, last.index())?))
        }
        "sp_addtype" => {
            let mut own = parameter(0, &["@typename"])?;
            let mut base = parameter(1, &["@phystype"])?;
            let nullable =
                parameter(2, &["@nulltype"]).and_then(|mut null| null.string().or_else(|| null.identifier()));
            let name = ObjectName { schema: None, name: own.string().or_else(|| own.identifier())? };
            let base = base.string().or_else(|| base.identifier())?;
            let source = Source::new(&base, Place::START).ok()?;
            let base = table::type_name(&mut source.cursor())?;
            let nullable = nullable.map(|said| !said.trim().eq_ignore_ascii_case("NOT NULL"));
            Some(Action::CreateType(TypeDraft { name, base: Some(base), nullable, columns: Vec::new() }))
        }
        "sp_bindefault" | "sp_bindrule" => None,
        "sp_addextendedproperty" | "sp_updateextendedproperty" | "sp_dropextendedproperty" => {
            Some(Action::Nothing("a description"))
        }
        "sp_fulltext_database" => Some(Action::Nothing("a full-text index")),
        _ if RIGHTS.contains(&lower.as_str()) => Some(Action::Nothing("a right or an option of the server")),
        _ => Some(Action::Unknown("a procedure is called, and what it does to rows is not known".to_owned())),
    }
}

/// RAISERROR ends a TRY from severity 11 on; one that is not a number is taken for such.
fn raise(cursor: &mut Cursor<'_>, end: usize) -> Action {
    cursor.advance();
    let severity = cursor.group().and_then(|(start, close)| {
        let second = *cursor.items(start, close).get(1)?;
        second.text(second.index(), close).split(',').next()?.trim().parse::<i64>().ok()
    });
    *cursor = cursor.from(end);
    if severity.is_some_and(|severity| severity < 11) { Action::Nothing("a message") } else { Action::Raise(false) }
}

fn reseed(cursor: &mut Cursor<'_>) -> Option<Action> {
    cursor.take(&["CHECKIDENT"]).then_some(())?;
    let (start, end) = cursor.group()?;
    let items = cursor.items(start, end);
    let mut table = *items.first()?;
    let table = match table.string() {
        Some(text) => ObjectName::parse(&text)?,
        None => table.name()?,
    };
    if !items.get(1)?.is_word(0, "RESEED") {
        return None;
    }
    let value = *items.get(2)?;
    value.text(value.index(), end).trim().parse().ok().map(|value| Action::Reseed(table, value))
}

/// INSERT, with values read here: a script of rows is mostly this.
fn insert(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    let begin = *cursor;
    cursor.advance();
    cursor.take(&["INTO"]);
    let table = cursor.name()?;
    if cursor.is_word(0, "WITH") && cursor.peek(1) == Some(&Token::LParen) {
        cursor.advance();
        cursor.group()?;
    }
    let bracketed_query = |c: &Cursor<'_>| {
        let mut inside = *c;
        inside.advance();
        inside.is_one_of(0, &["SELECT", "WITH"])
    };
    let columns =
        if cursor.is_token(&Token::LParen) && !bracketed_query(cursor) { Some(cursor.names_in_group()?) } else { None };
    if cursor.take(&["DEFAULT", "VALUES"]) {
        return Some(Action::Insert(Insert { table, columns, rows: InsertRows::Defaults }));
    }
    if cursor.take(&["VALUES"]) {
        let mut rows = Vec::new();
        loop {
            let (start, close) = cursor.group()?;
            let row: Option<Vec<Cell>> = cursor.items(start, close).into_iter().map(cell).collect();
            rows.push(row?);
            if !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        return Some(Action::Insert(Insert { table, columns, rows: InsertRows::Values(rows) }));
    }
    if cursor.is_one_of(0, &["EXEC", "EXECUTE"]) {
        return Some(Action::Unknown("its rows come from a procedure".to_owned()));
    }
    if cursor.is_word(0, "OUTPUT") {
        *cursor = begin;
        return None;
    }
    let statement = parse_statement(cursor.tokens_to(end))?;
    *cursor = cursor.from(end);
    Some(Action::Insert(Insert { table, columns, rows: InsertRows::Query(Box::new(statement)) }))
}

/// A value of a row.
fn cell(mut item: Cursor<'_>) -> Option<Cell> {
    let whole = item;
    let read = simple_cell(&mut item, 0);
    if let Some(cell) = read
        && item.is_at_end()
    {
        return Some(cell);
    }
    let mut last = whole;
    while last.advance().is_some() {}
    let mut again = whole;
    expression(&mut again, last.index()).map(|e| Cell::Expr(Box::new(e)))
}

/// A literal, with a sign or within CAST, and nothing else.
fn simple_cell(item: &mut Cursor<'_>, depth: u32) -> Option<Cell> {
    if depth > 8 {
        return None;
    }
    let token = item.advance()?;
    if let Some(text) = literal(token) {
        return Some(Cell::Text(text));
    }
    match token {
        Token::Number(number, _) => Some(Cell::Number(number.clone())),
        Token::Minus | Token::Plus => match item.advance()? {
            Token::Number(number, _) if *token == Token::Minus => Some(Cell::Number(format!("-{number}"))),
            Token::Number(number, _) => Some(Cell::Number(number.clone())),
            _ => None,
        },
        Token::HexStringLiteral(digits) => hex(digits).map(Cell::Binary),
        Token::Word(word) if word.quote_style.is_none() => {
            if word.value.eq_ignore_ascii_case("NULL") {
                return Some(Cell::Null);
            }
            if word.value.eq_ignore_ascii_case("DEFAULT") {
                return Some(Cell::Default);
            }
            if !word.value.eq_ignore_ascii_case("CAST") {
                return None;
            }
            let (start, end) = item.group()?;
            let mut inside = item.from(start).until(end);
            let national = matches!(inside.peek(0), Some(Token::NationalStringLiteral(_)));
            let value = simple_cell(&mut inside, depth + 1)?;
            if !inside.take(&["AS"]) {
                return None;
            }
            let to = table::type_name(&mut inside)?;
            // The bytes of a national text are others than those of a plain one, and an expression knows which it is.
            if national && matches!(to.name.name.to_lowercase().as_str(), "binary" | "varbinary" | "image") {
                return None;
            }
            inside.is_at_end().then(|| Cell::Cast(Box::new(value), to))
        }
        _ => None,
    }
}

/// Bytes from the digits behind `0x`; an odd one stands for a leading zero.
pub(super) fn hex(digits: &str) -> Option<Vec<u8>> {
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    let pairs = padded.as_bytes().chunks(2);
    pairs.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect()
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

/// A condition ends where a statement begins, outside brackets and CASE.
fn condition_end(cursor: &Cursor<'_>) -> usize {
    let mut at = *cursor;
    let (mut depth, mut cases) = (0_u32, 0_u32);
    while let Some(token) = at.peek(0) {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon if depth == 0 => break,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let is = |wanted: &str| word.value.eq_ignore_ascii_case(wanted);
                // `UPDATE(column)` is a function of triggers.
                if is("CASE") {
                    cases += 1;
                } else if is("END") && cases > 0 {
                    cases -= 1;
                } else if cases == 0 && STARTS.iter().any(|start| is(start)) {
                    break;
                }
            }
            _ => {}
        }
        at.advance();
    }
    at.index()
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

/// An expression that reaches to an index.
fn expression(cursor: &mut Cursor<'_>, end: usize) -> Option<Expr> {
    let tokens = cursor.tokens_to(end);
    if is_endless(&tokens) {
        return None;
    }
    let mut parser = Parser::new(&MsSqlDialect {}).with_tokens_with_locations(tokens);
    let found = parser.parse_expr().ok()?;
    let whole = parser.peek_token().token == Token::EOF;
    *cursor = cursor.from(end);
    whole.then_some(found)
}

fn query(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
    let mut tokens = cursor.tokens_to(end);
    // FROM may be left out behind DELETE.
    if cursor.is_word(0, "DELETE") && !cursor.is_one_of(1, &["FROM", "TOP"]) && !has_from(cursor, end) {
        tokens.insert(1.min(tokens.len()), TokenWithSpan::wrap(Token::make_keyword("FROM")));
    }
    let statement = parse_statement(tokens)?;
    *cursor = cursor.from(end);
    Some(Action::Query(Box::new(statement)))
}

/// Whether a FROM stands outside brackets: `DELETE alias FROM table alias`.
fn has_from(cursor: &Cursor<'_>, end: usize) -> bool {
    let mut at = cursor.until(end);
    while !at.is_at_end() {
        if at.is_word(0, "FROM") {
            return true;
        }
        if at.group().is_none() {
            at.advance();
        }
    }
    false
}

/// More operators or UNIONs than this in one statement are nobody's wish: what is made of them lies as deep as they are many.
const MANY_OPERATORS: usize = 20_000;
const MANY_UNIONS: usize = 100_000;
/// Brackets that lie deeper in one another than this are not looked into: the parser's time doubles with each function in a function.
const DEEP: u32 = 16;

fn is_endless(tokens: &[TokenWithSpan]) -> bool {
    let is = |token: &Token, words: &[&str]| match token {
        Token::Word(word) => words.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted)),
        _ => false,
    };
    let operators =
        [Token::Plus, Token::Minus, Token::Mul, Token::Div, Token::Mod, Token::Ampersand, Token::Pipe, Token::Eq];
    let chained =
        |token: &&TokenWithSpan| operators.contains(&token.token) || is(&token.token, &["AND", "OR", "NOT", "WHEN"]);
    let mut depth = 0_u32;
    let deep = tokens.iter().any(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEP
    });
    deep || tokens.len() > MANY_OPERATORS
        && (tokens.iter().filter(chained).count() > MANY_OPERATORS
            || tokens.iter().filter(|token| is(&token.token, &["UNION"])).count() > MANY_UNIONS)
}

fn parse_statement(tokens: Vec<TokenWithSpan>) -> Option<Sql> {
    if is_endless(&tokens) {
        return None;
    }
    let mut parser = Parser::new(&MsSqlDialect {}).with_tokens_with_locations(tokens);
    let found = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(found)
}

#[cfg(test)]
mod tests {
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
