//! Engines, names, and the one place that quotes an identifier or a literal for each engine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The database engine that a catalogue describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Microsoft SQL Server, and what speaks its language (Babelfish).
    Mssql,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// Quotes an identifier: `[a]]b]` for SQL Server, `"a""b"` for PostgreSQL.
    ///
    /// A NUL can stand in no identifier of either engine and is left out.
    pub fn quote(self, identifier: &str) -> String {
        let (open, close) = match self {
            Engine::Mssql => ('[', ']'),
            Engine::Postgres => ('"', '"'),
        };
        let mut out = String::with_capacity(identifier.len() + 2);
        out.push(open);
        for c in identifier.chars().filter(|c| *c != '\0') {
            if c == close {
                out.push(close);
            }
            out.push(c);
        }
        out.push(close);
        out
    }

    /// Quotes a text as a literal: `N'a''b'` for SQL Server, `'a''b'` (or `E'..'` with a backslash) for PostgreSQL.
    pub fn literal(self, text: &str) -> String {
        let doubled = text.replace('\0', "").replace('\'', "''");
        match self {
            Engine::Mssql => format!("N'{doubled}'"),
            Engine::Postgres if doubled.contains('\\') => format!("E'{}'", doubled.replace('\\', "\\\\")),
            Engine::Postgres => format!("'{doubled}'"),
        }
    }

    /// The schema in which openIMIS keeps its tables: `dbo` or `public`.
    pub fn default_schema(self) -> &'static str {
        match self {
            Engine::Mssql => "dbo",
            Engine::Postgres => "public",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Mssql => "SQL Server",
            Engine::Postgres => "PostgreSQL",
        })
    }
}

/// A table's schema and name, in the case of its database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// The schema: `dbo`, `public`.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// Makes a name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// The quoted name, with its schema, for the text of a statement.
    pub fn sql(&self, engine: Engine) -> String {
        format!("{}.{}", engine.quote(&self.schema), engine.quote(&self.name))
    }
}

impl fmt::Display for TableName {
    /// Leaves out the schemas that every reader expects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.schema.as_str(), "dbo" | "public") {
            f.write_str(&self.name)
        } else {
            write!(f, "{}.{}", self.schema, self.name)
        }
    }
}

/// Whether two names are one and the same when the engines' habits about case are set aside.
pub fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_literals_cannot_break_out() {
        let cases = [
            (Engine::Mssql, "tblClaim", "[tblClaim]"),
            (Engine::Mssql, "a]b[c", "[a]]b[c]"),
            (Engine::Postgres, "tblClaim", "\"tblClaim\""),
            (Engine::Postgres, "a\"; drop table x --", "\"a\"\"; drop table x --\""),
        ];
        for (engine, name, quoted) in cases {
            assert_eq!(engine.quote(name), quoted);
        }
        assert_eq!(Engine::Mssql.literal("O'Neil"), "N'O''Neil'");
        assert_eq!(Engine::Postgres.literal("a\\'b"), "E'a\\\\''b'");
    }
}
