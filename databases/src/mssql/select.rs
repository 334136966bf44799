//! The SELECT by which a range is read, and what its columns come back as.
//!
//! A table is read **plainly** as long as it goes: columns as they are, with a cast where tiberius would lose
//! something. One text that is no text (half a surrogate pair, bytes that the code page does not have) makes tiberius
//! give the whole answer up; then the rest is read as **bytes**, every text as the bytes that the server keeps, and
//! decoded here.

use encoding_rs::Encoding;
use imis_schemas::{DataType, Engine, Length, Table};

use crate::error::{Error, ErrorKind};
use crate::source::{ReadRequest, Texts, range_column};

/// How texts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are, decoded where they lie.
    Wire,
    /// As text, decoded by tiberius.
    Plain,
    /// As bytes, decoded by us.
    Bytes,
}

/// What the bytes of a text are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Letters {
    /// UTF-16, little end first.
    Utf16,
    /// A code page.
    CodePage(&'static Encoding),
}

/// One column of the SELECT.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Its name, as the catalogue spells it.
    pub(super) name: String,
    /// Its type.
    pub(super) data_type: DataType,
    /// The collation of a `char`, `varchar` or `text`, as far as it is known.
    pub(super) collation: Option<String>,
    /// Its code page, where it was asked for.
    pub(super) code_page: Option<&'static Encoding>,
    /// Whether it was asked for, or is only read to know the row by.
    pub(super) asked: bool,
}

/// What is read from a table, and how.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) table: String,
    pub(super) slots: Vec<Slot>,
    /// Where the columns of the primary key are among the slots.
    pub(super) key: Vec<usize>,
    /// Where the column is by which the rows come in order; there is none where no whole number is the key.
    pub(super) order: Option<usize>,
    pub(super) to: Option<i64>,
    /// Who decodes texts of a code page in [`Form::Plain`].
    texts: Texts,
}

impl Selection {
    /// What a request means for its table. `collation` is the database's own.
    ///
    /// # Errors
    /// When it asks for a column that the table does not have.
    pub(super) fn new(request: &ReadRequest, collation: Option<&str>) -> Result<Self, Error> {
        let table = &*request.table;
        let mut selection = Selection {
            table: table.table_name().sql(Engine::Mssql),
            slots: Vec::new(),
            key: Vec::new(),
            order: None,
            to: request.range.to,
            texts: request.texts,
        };
        for name in &request.columns {
            let slot = Slot::new(table, name, collation, true)?;
            selection.slots.push(slot);
        }
        for name in table.key_columns() {
            let at = selection.position(table, name, collation)?;
            selection.key.push(at);
        }
        let order = request.range.column.as_deref().or_else(|| range_column(table, Engine::Mssql));
        if let Some(name) = order {
            selection.order = Some(selection.position(table, name, collation)?);
        }
        Ok(selection)
    }

    /// Where a column is among the slots; it becomes one if nobody asked for it.
    fn position(&mut self, table: &Table, name: &str, collation: Option<&str>) -> Result<usize, Error> {
        let slot = Slot::new(table, name, collation, false)?;
        if let Some(at) = self.slots.iter().position(|s| s.name == slot.name) {
            return Ok(at);
        }
        self.slots.push(slot);
        Ok(self.slots.len() - 1)
    }

    /// The statement for the keys from `from` on.
    pub(super) fn sql(&self, form: Form, from: Option<i64>) -> String {
        let columns = match self.slots.as_slice() {
            [] => "1".to_owned(),
            slots => slots.iter().map(|s| s.sql(form, self.texts)).collect::<Vec<_>>().join(", "),
        };
        let mut sql = format!("SELECT {columns} FROM {}", self.table);
        let Some(order) = self.order.and_then(|o| self.slots.get(o)) else { return sql };
        let column = Engine::Mssql.quote(&order.name);
        let mut clause = " WHERE ";
        if let Some(from) = from {
            sql.push_str(&format!("{clause}{column} >= {from}"));
            clause = " AND ";
        }
        if let Some(to) = self.to {
            sql.push_str(&format!("{clause}{column} < {to}"));
        }
        // In order, so that a reading that broke off knows how far it came. It is the clustered key nearly everywhere.
        sql.push_str(&format!(" ORDER BY {column}"));
        sql
    }

    /// How many bytes each column has as the server sends it, as items of a SELECT: `n0`, `n1` and so on.
    pub(super) fn lengths(&self, form: Form) -> String {
        let length = |(at, slot): (usize, &Slot)| {
            format!("CAST(DATALENGTH({}) AS bigint) AS n{at}", slot.value(form, self.texts))
        };
        self.slots.iter().enumerate().map(length).collect::<Vec<_>>().join(", ")
    }

    /// Whether a text could be among the columns.
    pub(super) fn has_text(&self) -> bool {
        self.slots.iter().any(Slot::is_letters)
    }
}

impl Slot {
    fn new(table: &Table, name: &str, collation: Option<&str>, asked: bool) -> Result<Self, Error> {
        let column = table.column(name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("the table {} has no column {name}", table.table_name()))
        })?;
        Ok(Slot {
            name: column.name.clone(),
            data_type: column.data_type(Engine::Mssql),
            collation: column.collation.clone().or_else(|| collation.map(str::to_owned)),
            code_page: None,
            asked,
        })
    }

    /// Whether the value comes as text, and so as bytes in [`Form::Bytes`].
    pub(super) fn is_letters(&self) -> bool {
        self.data_type.is_text() || self.data_type.is_carried_as_text()
    }

    /// Whether it is text in a code page.
    pub(super) fn has_code_page(&self) -> bool {
        matches!(self.data_type, DataType::Char(_) | DataType::VarChar(_) | DataType::Text)
    }

    /// What the bytes of its texts are in [`Form::Bytes`].
    pub(super) fn letters(&self) -> Option<Letters> {
        match self.code_page {
            Some(page) if self.has_code_page() => Some(Letters::CodePage(page)),
            _ => self.is_letters().then_some(Letters::Utf16),
        }
    }

    /// Whether tiberius does not know the code page, or takes another for it: it looks at the language of a collation
    /// and not at its mark for UTF-8. The server converts such a text.
    fn needs_the_server(&self) -> bool {
        let marks = ["_UTF8", "_CP437", "_CP850"];
        self.has_code_page()
            && self.collation.as_ref().is_some_and(|c| {
                let c = c.to_uppercase();
                marks.iter().any(|m| c.contains(m))
            })
    }

    fn sql(&self, form: Form, texts: Texts) -> String {
        let (column, value) = (Engine::Mssql.quote(&self.name), self.value(form, texts));
        if value == column { column } else { format!("{value} AS {column}") }
    }

    /// What the server sends in the place of the column.
    fn value(&self, form: Form, texts: Texts) -> String {
        let column = Engine::Mssql.quote(&self.name);
        let unicode = format!("CAST({column} AS nvarchar(max))");
        match (&self.data_type, form) {
            (DataType::Money | DataType::SmallMoney, Form::Wire) => column,
            (DataType::Money, _) => format!("CAST({column} AS decimal(19,4))"),
            (DataType::SmallMoney, _) => format!("CAST({column} AS decimal(10,4))"),
            (DataType::SqlVariant | DataType::Other(_), Form::Plain | Form::Wire) => unicode,
            (_, Form::Plain | Form::Wire) if self.needs_the_server() => unicode,
            (DataType::VarChar(Length::Limited(n)) | DataType::Char(n), Form::Plain | Form::Wire)
                if texts == Texts::ByTheServer && *n <= 4000 =>
            {
                format!("CAST({column} AS nvarchar({n}))")
            }
            (_, Form::Plain | Form::Wire) if texts == Texts::ByTheServer && self.has_code_page() => unicode,
            (_, Form::Plain | Form::Wire) => column,
            _ if !self.is_letters() => column,
            (DataType::Char(_) | DataType::VarChar(_), _) if self.code_page.is_some() => {
                format!("CAST({column} AS varbinary(max))")
            }
            (DataType::Text, _) if self.code_page.is_some() => {
                format!("CAST(CAST({column} AS varchar(max)) AS varbinary(max))")
            }
            (DataType::NChar(_) | DataType::NVarChar(_), _) => format!("CAST({column} AS varbinary(max))"),
            _ => format!("CAST({unicode} AS varbinary(max))"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use imis_schemas::{Column, Key, Known};

    use super::*;
    use crate::source::KeyRange;

    fn table(columns: &[(&str, &str)], key: &[&str]) -> Arc<Table> {
        let column = |(name, data_type): &(&str, &str)| Column {
            name: (*name).into(),
            data_type: (*data_type).into(),
            nullable: true,
            identity: false,
            default: None,
            computed: None,
            collation: None,
        };
        let key = Key { name: None, columns: key.iter().map(|k| (*k).into()).collect() };
        Arc::new(Table {
            schema: "dbo".into(),
            name: "a]b".into(),
            columns: columns.iter().map(column).collect(),
            primary_key: Known::Yes((!key.columns.is_empty()).then_some(key)),
            foreign_keys: Known::No,
            uniques: Known::No,
            indexes: Known::No,
            checks: Known::No,
        })
    }

    #[test]
    fn the_text_of_a_select() {
        let whole = table(&[("Id", "int"), ("m", "money"), ("v", "sql_variant")], &["Id"]);
        let request = ReadRequest::all(whole).columns(vec!["m".into(), "v".into()]).range(KeyRange {
            column: Some("Id".into()),
            from: Some(-5),
            to: Some(10),
        });
        let selection = Selection::new(&request, None).unwrap();
        let head =
            "SELECT CAST([m] AS decimal(19,4)) AS [m], CAST([v] AS nvarchar(max)) AS [v], [Id] FROM [dbo].[a]]b]";
        assert_eq!(
            selection.sql(Form::Plain, Some(-5)),
            format!("{head} WHERE [Id] >= -5 AND [Id] < 10 ORDER BY [Id]")
        );
        assert_eq!(selection.sql(Form::Plain, None), format!("{head} WHERE [Id] < 10 ORDER BY [Id]"));
        assert!(selection.sql(Form::Bytes, Some(7)).starts_with(
            "SELECT CAST([m] AS decimal(19,4)) AS [m], CAST(CAST([v] AS nvarchar(max)) AS varbinary(max)) AS [v], [Id] FROM"
        ));
        let keyless = ReadRequest::all(table(&[("c", "char(1)")], &[])).columns(Vec::new());
        assert_eq!(Selection::new(&keyless, None).unwrap().sql(Form::Plain, None), "SELECT 1 FROM [dbo].[a]]b]");
        let unknown = ReadRequest::all(table(&[("c", "int")], &[])).columns(vec!["d".into()]);
        assert_eq!(Selection::new(&unknown, None).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn texts_by_their_types() {
        let unicode = "CAST(CAST([c] AS nvarchar(max)) AS varbinary(max)) AS [c]";
        let page = Some(encoding_rs::WINDOWS_1253);
        // Type, collation, its code page if we know it; the column read plainly, and as bytes.
        let cases = [
            ("int", "x", None, "[c]", "[c]"),
            ("uniqueidentifier", "x", None, "[c]", "[c]"),
            ("nvarchar(5)", "x", page, "[c]", "CAST([c] AS varbinary(max)) AS [c]"),
            ("ntext", "x", None, "[c]", unicode),
            ("xml", "x", None, "[c]", unicode),
            ("geography", "x", None, "CAST([c] AS nvarchar(max)) AS [c]", unicode),
            ("varchar(5)", "Greek_CI_AS", page, "[c]", "CAST([c] AS varbinary(max)) AS [c]"),
            ("varchar(5)", "Greek_CI_AS", None, "[c]", unicode),
            ("text", "Greek_CI_AS", page, "[c]", "CAST(CAST([c] AS varchar(max)) AS varbinary(max)) AS [c]"),
            ("char(5)", "Latin1_General_100_CI_AS_SC_UTF8", None, "CAST([c] AS nvarchar(max)) AS [c]", unicode),
            ("text", "SQL_Latin1_General_CP850_CI_AS", None, "CAST([c] AS nvarchar(max)) AS [c]", unicode),
        ];
        for (data_type, collation, code_page, plain, bytes) in cases {
            let request = ReadRequest::all(table(&[("c", data_type)], &[]));
            let mut selection = Selection::new(&request, Some(collation)).unwrap();
            selection.slots[0].code_page = code_page;
            let sql = |form| selection.sql(form, None);
            assert_eq!(sql(Form::Plain), format!("SELECT {plain} FROM [dbo].[a]]b]"), "{data_type} {collation}");
            assert_eq!(sql(Form::Bytes), format!("SELECT {bytes} FROM [dbo].[a]]b]"), "{data_type} {collation}");
        }
    }
}
