//! INSERT, with values read here: a script of rows is mostly this.

use sqlparser::ast::{Expr, Statement as Sql};
use sqlparser::tokenizer::Token;

use super::Action;
use super::parser::{expression, parse_statement};
use super::table::{self, TypeName};
use super::tokens::{Cursor, ObjectName, literal};

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

/// INSERT, with values read here: a script of rows is mostly this.
pub(super) fn insert(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
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
pub fn hex(digits: &str) -> Option<Vec<u8>> {
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    let pairs = padded.as_bytes().chunks(2);
    pairs.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect()
}
