//! Which parts of which checks a run carried out: only what both runs looked at can be compared.

use std::collections::HashMap;

use imis_checks::outcome::Status;

/// A part: what it looks for, its table and column, what became of it.
#[derive(Clone, Debug)]
struct Part {
    table: String,
    column: String,
    carried_out: bool,
}

/// What a run looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    parts: HashMap<(String, String), Vec<Part>>,
}

impl Looked {
    /// Notes a part of a check.
    pub(super) fn note(&mut self, id: &str, what: &str, table: &str, column: &str, status: Status) {
        let carried_out = matches!(status, Status::Passed | Status::Failed);
        let part = Part { table: table.to_owned(), column: column.to_owned(), carried_out };
        self.parts.entry((id.to_owned(), what.to_owned())).or_default().push(part);
    }

    /// Whether the run would have found a violation of this part. A table or column that it does not know has no row that
    /// breaks anything, if the part was carried out elsewhere: it went, or came.
    pub(super) fn at(&self, id: &str, what: &str, table: &str, column: &str) -> bool {
        let Some(parts) = self.parts.get(&(id.to_owned(), what.to_owned())) else { return false };
        let of_table = |part: &&Part| part.table.eq_ignore_ascii_case(table);
        let of_column = |part: &&Part| of_table(part) && part.column.eq_ignore_ascii_case(column);
        let known = parts.iter().find(of_column).or_else(|| parts.iter().find(of_table));
        known.map_or_else(|| parts.iter().any(|part| part.carried_out), |part| part.carried_out)
    }

    /// Whether violations of this part are tables and columns, not rows.
    pub(super) fn is_about_schema(&self, id: &str, what: &str) -> bool {
        let parts = self.parts.get(&(id.to_owned(), what.to_owned()));
        parts.is_some_and(|parts| parts.iter().any(|part| is_about_schema(&part.table)))
    }
}

/// The columns by which those tables name what they are about.
pub(super) const TABLE_NAME: &str = "table_name";
pub(super) const COLUMN_NAME: &str = "column_name";

/// Whether a table is one of those that describe the schema itself.
pub(crate) fn is_about_schema(table: &str) -> bool {
    table.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("imis."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_carried_out_was_looked_at() {
        let mut looked = Looked::default();
        for (what, table, column, status) in [
            ("", "tblClaim", "ICDID", Status::Passed),
            ("", "tblClaim", "ICDID1", Status::Errored),
            ("", "tblOld", "A", Status::NotApplicable),
            ("never", "tblClaim", "ICDID", Status::Errored),
            ("schema", "imis.unknown", "", Status::Failed),
        ] {
            looked.note("X1", what, table, column, status);
        }
        for (id, what, table, column, expected) in [
            ("X1", "", "tblclaim", "ICDID", true),
            ("X1", "", "tblClaim", "ICDID1", false),
            ("X1", "", "tblClaim", "Other", true),
            ("X1", "", "tblOld", "A", false),
            ("X1", "", "tblDropped", "A", true),
            ("X1", "never", "tblDropped", "A", false),
            ("X1", "reworded", "tblClaim", "ICDID", false),
            ("X2", "", "tblClaim", "ICDID", false),
            ("X1", "schema", "tblCountry", "Extra", true),
        ] {
            assert_eq!(looked.at(id, what, table, column), expected, "{id} {what} {table}.{column}");
        }
        assert!(looked.is_about_schema("X1", "schema") && !looked.is_about_schema("X1", ""));
    }
}
