//! CREATE INDEX.

use sqlparser::tokenizer::Token;

use super::table::place_and_options;
use super::tokens::{Cursor, ObjectName};

/// An index as a script describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDraft {
    /// Its name.
    pub name: String,
    /// Its table or view.
    pub table: ObjectName,
    /// Whether it is unique.
    pub unique: bool,
    /// Its key columns.
    pub columns: Vec<String>,
    /// Columns that it only carries.
    pub include: Vec<String>,
    /// Its condition, as it is written.
    pub filter: Option<String>,
}

/// CREATE INDEX, from behind CREATE on. `None` where no index stands here.
pub(super) fn create(cursor: &mut Cursor<'_>, end: usize) -> Option<IndexDraft> {
    let unique = cursor.take(&["UNIQUE"]);
    cursor.take_one(&["CLUSTERED", "NONCLUSTERED"]);
    cursor.take(&["COLUMNSTORE"]);
    if !cursor.take(&["INDEX"]) {
        return None;
    }
    let name = cursor.identifier()?;
    if !cursor.take(&["ON"]) {
        return None;
    }
    let table = cursor.name()?;
    // A columnstore of all columns names none.
    let columns = cursor.names_in_group().unwrap_or_default();
    rest(cursor, end, IndexDraft { name, table, unique, columns, include: Vec::new(), filter: None })
}

/// An index within CREATE TABLE, from INDEX on.
pub(super) fn within_table(item: &mut Cursor<'_>, table: &ObjectName) -> Option<IndexDraft> {
    item.take(&["INDEX"]);
    let name = item.identifier()?;
    let unique = item.take(&["UNIQUE"]);
    item.take_one(&["CLUSTERED", "NONCLUSTERED"]);
    let columns = item.names_in_group()?;
    let mut end = *item;
    while end.advance().is_some() {}
    rest(
        item,
        end.index(),
        IndexDraft { name, table: table.clone(), unique, columns, include: Vec::new(), filter: None },
    )
}

fn rest(cursor: &mut Cursor<'_>, end: usize, mut draft: IndexDraft) -> Option<IndexDraft> {
    if cursor.take(&["INCLUDE"]) {
        draft.include = cursor.names_in_group()?;
    }
    if cursor.take(&["WHERE"]) {
        let from = cursor.index();
        let is_option =
            |c: &Cursor<'_>| c.is_word(0, "ON") || (c.is_word(0, "WITH") && c.peek(1) == Some(&Token::LParen));
        while cursor.index() < end && !is_option(cursor) {
            if cursor.group().is_none() {
                cursor.advance();
            }
        }
        draft.filter = Some(cursor.text(from, cursor.index()).to_owned());
    }
    place_and_options(cursor);
    // `WITH FILLFACTOR = 80`, as it was written long ago.
    if cursor.is_word(0, "WITH") {
        *cursor = cursor.from(end);
    }
    Some(draft)
}
