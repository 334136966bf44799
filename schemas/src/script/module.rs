//! Views, routines and types.

use super::table::{ColumnDraft, TypeName, type_name};
use super::tokens::{Cursor, ObjectName};
use super::{TableDraft, table};

/// What kind of module it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// A view.
    View,
    /// A stored procedure.
    Procedure,
    /// A function.
    Function,
    /// A trigger, which no catalogue has.
    Trigger,
}

/// A view or a routine.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// What it is.
    pub kind: ModuleKind,
    /// Its name.
    pub name: ObjectName,
    /// Its text as a server keeps it: with CREATE, whatever the script says.
    pub text: String,
    /// Whether it must be there already (ALTER), must not (CREATE), or either (CREATE OR ALTER).
    pub exists: Option<bool>,
}

/// A type of a user's own.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDraft {
    /// Its name.
    pub name: ObjectName,
    /// The type that it is another name of.
    pub base: Option<TypeName>,
    /// Whether it takes NULL where a column does not say.
    pub nullable: Option<bool>,
    /// The columns of a table type.
    pub columns: Vec<ColumnDraft>,
}

/// CREATE or ALTER of a module, from the verb on. It ends with its batch.
pub(super) fn module(cursor: &Cursor<'_>) -> Option<Module> {
    let mut after = *cursor;
    let exists = if after.take(&["CREATE", "OR", "ALTER"]) {
        None
    } else if after.take(&["CREATE"]) {
        Some(false)
    } else if after.take(&["ALTER"]) {
        Some(true)
    } else {
        return None;
    };
    let head = after.index();
    let kind = match after.take_one(&["VIEW", "PROCEDURE", "PROC", "FUNCTION", "TRIGGER"])? {
        "VIEW" => ModuleKind::View,
        "FUNCTION" => ModuleKind::Function,
        "TRIGGER" => ModuleKind::Trigger,
        _ => ModuleKind::Procedure,
    };
    let name = after.name()?;
    let text = format!("CREATE {}", cursor.text_from(head).trim_end());
    Some(Module { kind, name, text, exists })
}

/// CREATE TYPE, from its name on.
pub(super) fn create_type(cursor: &mut Cursor<'_>) -> Option<TypeDraft> {
    let name = cursor.name()?;
    if cursor.take(&["FROM"]) {
        let base = type_name(cursor)?;
        let nullable = if cursor.take(&["NOT", "NULL"]) { Some(false) } else { cursor.take(&["NULL"]).then_some(true) };
        return Some(TypeDraft { name, base: Some(base), nullable, columns: Vec::new() });
    }
    if cursor.take(&["AS", "TABLE"]) {
        // Like a table without a name of its own.
        let draft: TableDraft = table::elements(cursor, name)?;
        let keys = draft.constraints.iter().filter_map(|c| match &c.constraint {
            super::Constraint::PrimaryKey(columns) => Some(columns.clone()),
            _ => None,
        });
        let keys: Vec<String> = keys.flatten().collect();
        let mut columns = draft.columns;
        for column in &mut columns {
            if keys.iter().any(|key| key.eq_ignore_ascii_case(&column.name)) {
                column.nullable = Some(false);
            }
        }
        return Some(TypeDraft { name: draft.name, base: None, nullable: None, columns });
    }
    None
}
