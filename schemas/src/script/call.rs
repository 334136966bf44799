//! Calls: what renames, what is a script itself, and procedures of which it is known what they do.

use sqlparser::tokenizer::Token;

use super::harmless::RIGHTS;
use super::module::TypeDraft;
use super::parser::expression;
use super::tokens::{Cursor, ObjectName, Source};
use super::{Action, Place, table};

/// A call: what renames, what is a script itself, and procedures of which it is known what they do.
pub(super) fn execute(cursor: &mut Cursor<'_>, end: usize) -> Option<Action> {
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
pub(super) fn raise(cursor: &mut Cursor<'_>, end: usize) -> Action {
    cursor.advance();
    let severity = cursor.group().and_then(|(start, close)| {
        let second = *cursor.items(start, close).get(1)?;
        second.text(second.index(), close).split(',').next()?.trim().parse::<i64>().ok()
    });
    *cursor = cursor.from(end);
    if severity.is_some_and(|severity| severity < 11) { Action::Nothing("a message") } else { Action::Raise(false) }
}

pub(super) fn reseed(cursor: &mut Cursor<'_>) -> Option<Action> {
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
