//! Names, types, defaults and definitions as a server tells them, whatever a script writes.

use crate::name::{Engine, TableName, same_name};

use super::Place;
use super::tokens::{Cursor, ObjectName, Source};

/// Whether an object has this name; without a schema the server's default is meant.
pub(super) fn is(schema: &str, name: &str, wanted: &ObjectName) -> bool {
    let of = wanted.schema.as_deref().unwrap_or(Engine::Mssql.default_schema());
    same_name(schema, of) && same_name(name, &wanted.name)
}

pub(super) fn placed(name: &ObjectName) -> TableName {
    let schema = match name.schema.as_deref() {
        // Spelled as everybody spells it.
        Some(schema) if schema.eq_ignore_ascii_case(Engine::Mssql.default_schema()) => Engine::Mssql.default_schema(),
        Some(schema) => schema,
        None => Engine::Mssql.default_schema(),
    };
    TableName::new(schema, name.name.clone())
}

/// A type as `imis introspect` tells it.
pub(super) fn spelled(name: &str, arguments: &[String]) -> String {
    let first = arguments.first().map(String::as_str);
    match name {
        "char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary" => {
            format!("{name}({})", first.unwrap_or("1"))
        }
        "decimal" | "numeric" | "dec" => {
            let name = if name == "dec" { "decimal" } else { name };
            let scale = arguments.get(1).map_or("0", String::as_str);
            format!("{name}({},{scale})", first.unwrap_or("18"))
        }
        "datetime2" | "time" | "datetimeoffset" => format!("{name}({})", first.unwrap_or("7")),
        "float" => match first.and_then(|digits| digits.parse::<u32>().ok()) {
            Some(digits) if digits <= 24 => "real".to_owned(),
            _ => "float".to_owned(),
        },
        "rowversion" => "timestamp".to_owned(),
        "integer" => "int".to_owned(),
        "sysname" => "nvarchar(128)".to_owned(),
        _ => name.to_owned(),
    }
}

/// A definition within one pair of brackets, as a server keeps it.
pub(super) fn bracketed(text: &str) -> String {
    let text = text.trim();
    if is_bracketed(text) { text.to_owned() } else { format!("({text})") }
}

/// Whether the first bracket of a text is closed by its last character.
fn is_bracketed(text: &str) -> bool {
    let Ok(source) = Source::new(text, Place::START) else { return false };
    let mut cursor: Cursor<'_> = source.cursor();
    cursor.group().is_some() && cursor.is_at_end()
}

/// A default as a server keeps it: a number in two pairs of brackets, the rest in one, the names of functions in lower case.
pub(super) fn stored(text: &str) -> String {
    let mut bare = text.trim();
    while is_bracketed(bare) {
        bare = bare.get(1..bare.len() - 1).unwrap_or_default().trim();
    }
    let function = bare.strip_suffix("()").filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    if bare.parse::<f64>().is_ok() && !bare.starts_with(char::is_alphabetic) {
        format!("(({bare}))")
    } else if let Some(function) = function {
        format!("({}())", function.to_lowercase())
    } else if bare.eq_ignore_ascii_case("current_timestamp") {
        "(getdate())".to_owned()
    } else if bare.eq_ignore_ascii_case("null") {
        "(NULL)".to_owned()
    } else {
        format!("({bare})")
    }
}
