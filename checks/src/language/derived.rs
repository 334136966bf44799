//! Parts that nobody wrote: what a mapping and its target demand of a source, under the checks that say so for columns by name.

use std::sync::Arc;

use imis_schemas::Engine;
use imis_schemas::document::{Located, Place, SourceFile};

use super::model::{Kind, Part, Scope, Spelling, Target};
use super::packs::Packs;
use super::parameter::Value;

/// What is demanded of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derived {
    /// A value (X3).
    Value,
    /// No more than so many characters (X4).
    Length(u32),
    /// That no other row has it (X5).
    Once,
    /// A row that it names (X2).
    Row {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// Nothing beyond its default (X17).
    Nothing {
        /// The default, where it is a plain literal.
        default: Option<String>,
    },
}

impl Derived {
    fn check(&self) -> &'static str {
        match self {
            Derived::Value => "X3",
            Derived::Length(_) => "X4",
            Derived::Once => "X5",
            Derived::Row { .. } => "X2",
            Derived::Nothing { .. } => "X17",
        }
    }
}

impl Packs {
    /// Adds a demand to its check, unless a part of the check already looks at the column by its name, or the check is not run. Says whether
    /// it was added.
    pub fn derive(&mut self, table: &str, column: &str, target: &str, what: &Derived) -> bool {
        let Some(check) = self.checks.iter_mut().find(|check| check.about.id == what.check()) else { return false };
        let same = |text: &str, other: &str| text.eq_ignore_ascii_case(other);
        let named = |part: &Part| {
            let of = matches!(&part.scope, Scope::Table(name) if same(&name.value, table));
            let columns: Vec<&str> = match &part.kind {
                Kind::NotNull { columns, .. } | Kind::Unique { columns, .. } => {
                    columns.iter().map(|c| c.value.as_str()).collect()
                }
                Kind::References { column, .. } => vec![&column.value],
                _ => part.column.iter().map(|c| c.value.as_str()).collect(),
            };
            of && columns.iter().any(|own| same(own, column))
        };
        // X5 looks at every UUID of every table.
        let every_uuid = check.about.id == "X5" && column.to_lowercase().ends_with("uuid");
        if every_uuid || check.parts.iter().any(named) {
            return false;
        }
        let file = Arc::new(SourceFile { name: "the mapping and its target".to_owned(), text: String::new() });
        let place = Place { file, offset: 0, length: 0 };
        let located = |value: &str| Located { value: value.to_owned(), place: place.clone() };
        let name = Engine::Postgres.quote(column);
        let row = |text: String| Kind::Row(located(&text));
        let (title, kind) = match what {
            Derived::Value => {
                (format!("{target} takes no NULL"), Kind::NotNull { columns: vec![located(column)], blank: false })
            }
            Derived::Length(most) => {
                (format!("{target} takes {most} characters"), row(format!("character_length({name}) <= {most}")))
            }
            Derived::Once => {
                let unique = Kind::Unique { columns: vec![located(column)], spelling: Spelling::Exact, blank: false };
                (format!("{target} takes each value once"), unique)
            }
            Derived::Row { table, column: key } => {
                let to = vec![Target { table: table.clone(), column: key.clone(), place: place.clone() }];
                let kind = Kind::References {
                    column: located(column),
                    to,
                    condition: None,
                    null_refused: false,
                    none: Some(Value::Number("0".to_owned())),
                    missing_allowed: false,
                    spelling: Spelling::Exact,
                };
                (format!("{target} must name a row of {table}"), kind)
            }
            Derived::Nothing { default } => {
                let usual = default.as_ref().map(|default| {
                    // The column may be of any type; what is compared is how it looks.
                    format!(" or cast({name} as varchar) = {}", Value::Text(default.clone()).sql())
                });
                let title = format!("{target} has no place for {table}.{column}");
                (title, row(format!("{name} is null{}", usual.unwrap_or_default())))
            }
        };
        check.parts.push(Part {
            what: title,
            severity: None,
            scope: Scope::Table(located(table)),
            condition: None,
            lacks: Vec::new(),
            column: Some(located(column)),
            kind,
            place: place.clone(),
        });
        true
    }
}
