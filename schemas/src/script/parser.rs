//! Where sqlparser takes over: expressions, queries, and changes of rows.

use sqlparser::ast::{Expr, Statement as Sql};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Action;
use super::tokens::Cursor;

/// An expression that reaches to an index.
pub(super) fn expression(cursor: &mut Cursor<'_>, end: usize) -> Option<Expr> {
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

pub(super) fn query(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
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

pub(super) fn parse_statement(tokens: Vec<TokenWithSpan>) -> Option<Sql> {
    if is_endless(&tokens) {
        return None;
    }
    let mut parser = Parser::new(&MsSqlDialect {}).with_tokens_with_locations(tokens);
    let found = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(found)
}
