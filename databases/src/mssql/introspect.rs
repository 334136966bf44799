//! The catalogue, from the server's own views.
//!
//! Every question is a batch of its own and may fail by itself: the servers in the field reach from SQL Server 2008 to
//! 2022, and Babelfish lacks some views. What could not be asked stays unknown and leaves a note; only the columns are
//! indispensable. `INFORMATION_SCHEMA` gives tables and columns, because it keeps the spelling everywhere; the rest is
//! joined to it with case aside, because Babelfish writes `sys` names in lower case.

use std::collections::{BTreeMap, HashMap};

use imis_schemas::{
    Catalog, Check, Column, Engine, ForeignKey, Index, Key, Known, Routine, Table, TableName, Unique, UserType, View,
};
use tiberius::Row;

use super::connect::Server;
use super::query::{self, flag, int, name, text};
use crate::error::{Error, ErrorKind};

const COLUMNS: &str = "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.ORDINAL_POSITION, c.COLUMN_DEFAULT, \
    c.IS_NULLABLE, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, \
    c.DATETIME_PRECISION, c.COLLATION_NAME FROM INFORMATION_SCHEMA.COLUMNS c \
    JOIN INFORMATION_SCHEMA.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
    WHERE t.TABLE_TYPE = 'BASE TABLE'";

const SYSTEM_TABLES: &str = "SELECT s.name, t.name FROM sys.tables t \
    JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 1";

const IDENTITIES: &str = "SELECT s.name, t.name, c.name FROM sys.columns c \
    JOIN sys.tables t ON t.object_id = c.object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE c.is_identity = 1";

const COMPUTED: &str = "SELECT s.name, t.name, c.name, c.definition FROM sys.computed_columns c \
    JOIN sys.tables t ON t.object_id = c.object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id";

const INDEXES: &str = "SELECT s.name, t.name, i.name, i.is_unique, i.is_primary_key, i.filter_definition, \
    c.name, ic.key_ordinal, ic.is_included_column, ic.index_column_id FROM sys.indexes i \
    JOIN sys.tables t ON t.object_id = i.object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id \
    JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id \
    JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id \
    WHERE i.is_hypothetical = 0";

/// The keys for a server that does not tell its indexes.
const PRIMARY_KEYS: &str = "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.ORDINAL_POSITION \
    FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS c JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k \
    ON k.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME \
    AND k.TABLE_NAME = c.TABLE_NAME WHERE c.CONSTRAINT_TYPE = 'PRIMARY KEY'";

const FOREIGN_KEYS: &str = "SELECT s.name, t.name, f.name, c.name, rs.name, rt.name, rc.name, \
    f.is_not_trusted, f.is_disabled, fc.constraint_column_id FROM sys.foreign_keys f \
    JOIN sys.tables t ON t.object_id = f.parent_object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id \
    JOIN sys.tables rt ON rt.object_id = f.referenced_object_id \
    JOIN sys.schemas rs ON rs.schema_id = rt.schema_id \
    JOIN sys.foreign_key_columns fc ON fc.constraint_object_id = f.object_id \
    JOIN sys.columns c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id \
    JOIN sys.columns rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id";

const CHECKS: &str = "SELECT s.name, t.name, k.name, k.definition FROM sys.check_constraints k \
    JOIN sys.tables t ON t.object_id = k.parent_object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id";

const CHECK_NAMES: &str = "SELECT s.name, t.name, k.name FROM sys.check_constraints k \
    JOIN sys.tables t ON t.object_id = k.parent_object_id \
    JOIN sys.schemas s ON s.schema_id = t.schema_id";

const VIEWS: &str = "SELECT s.name, v.name, m.definition FROM sys.views v \
    JOIN sys.schemas s ON s.schema_id = v.schema_id \
    LEFT JOIN sys.sql_modules m ON m.object_id = v.object_id WHERE v.is_ms_shipped = 0";

const VIEW_NAMES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'VIEW'";

const ROUTINES: &str = "SELECT s.name, o.name, o.type, m.definition FROM sys.objects o \
    JOIN sys.schemas s ON s.schema_id = o.schema_id \
    LEFT JOIN sys.sql_modules m ON m.object_id = o.object_id \
    WHERE o.type IN ('P', 'PC', 'FN', 'IF', 'TF', 'FS', 'FT', 'AF') AND o.is_ms_shipped = 0";

const TYPES: &str = "SELECT s.name, t.name, b.name, t.max_length, t.precision, t.scale, t.is_table_type FROM sys.types t \
    JOIN sys.schemas s ON s.schema_id = t.schema_id \
    LEFT JOIN sys.types b ON b.user_type_id = t.system_type_id WHERE t.is_user_defined = 1";

const TYPE_COLUMNS: &str = "SELECT s.name, tt.name, c.name, c.column_id, c.is_nullable, c.is_identity, b.name, \
    c.max_length, c.precision, c.scale FROM sys.table_types tt \
    JOIN sys.schemas s ON s.schema_id = tt.schema_id \
    JOIN sys.columns c ON c.object_id = tt.type_table_object_id \
    LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id";

const DEFINITIONS_ALLOWED: &str = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION') AS allowed";

/// What Management Studio leaves in a database when somebody draws a diagram. Nobody's schema, and not marked as the
/// server's own.
const DIAGRAMS: &[&str] = &[
    "sysdiagrams",
    "dtproperties",
    "fn_diagramobjects",
    "sp_alterdiagram",
    "sp_creatediagram",
    "sp_dropdiagram",
    "sp_helpdiagramdefinition",
    "sp_helpdiagrams",
    "sp_renamediagram",
    "sp_upgraddiagrams",
];

fn is_diagram(name: &str) -> bool {
    DIAGRAMS.iter().any(|d| name.eq_ignore_ascii_case(d))
}

/// Schemas that the server keeps for itself.
fn is_system_schema(schema: &str) -> bool {
    ["sys", "information_schema"].iter().any(|s| schema.eq_ignore_ascii_case(s))
}

/// Reads the catalogue.
///
/// # Errors
/// When the columns cannot be read, or the login sees no table at all.
pub(super) async fn catalog(server: &Server) -> Result<Catalog, Error> {
    let rows = query::rows(server, "reading the catalogue", COLUMNS).await?;
    let mut asked = Asked { server, notes: Vec::new() };
    let mut catalog = Catalog::new(Engine::Mssql);
    let banner = asked.rows("the server's version", "SELECT @@VERSION AS version").await;
    catalog.server =
        banner.and_then(|r| text(r.first()?, 0)).map(|b| b.lines().next().unwrap_or_default().trim().to_owned());
    catalog.collation =
        asked.rows("the database's collation", super::DATABASE_COLLATION).await.and_then(|r| text(r.first()?, 0));
    let shipped = asked.rows("which tables are the server's own", SYSTEM_TABLES).await.unwrap_or_default();
    let shipped = shipped.iter().map(place).collect::<Vec<_>>();
    catalog.tables = tables(&rows, catalog.collation.as_deref());
    catalog.tables.retain(|t| {
        !is_diagram(&t.name) && !is_system_schema(&t.schema) && !shipped.contains(&lower(&t.schema, &t.name))
    });
    if catalog.tables.is_empty() {
        return Err(Error::new(
            ErrorKind::Schema,
            format!("{}: no table is to be seen", super::trouble::place(server.address())),
        )
        .with_help("Is this the right database, and may the login read it (role db_datareader)?"));
    }

    let mut shelf = Shelf::new(&mut catalog.tables);
    if let Some(rows) = asked.rows("which columns number themselves", IDENTITIES).await {
        rows.iter().for_each(|r| shelf.column(r, 2, |c| c.identity = true));
    }
    if let Some(rows) = asked.rows("the computed columns", COMPUTED).await {
        // One whose text may not be seen is still known to be computed.
        let text = |r: &Row| text(r, 3).unwrap_or_else(|| "(unknown)".to_owned());
        rows.iter().for_each(|r| shelf.column(r, 2, |c| c.computed = Some(text(r))));
    }
    match asked.rows("the indexes", INDEXES).await {
        Some(rows) => shelf.indexes(&rows),
        None => {
            if let Some(rows) = asked.rows("the primary keys", PRIMARY_KEYS).await {
                shelf.primary_keys(&rows);
            }
        }
    }
    if let Some(rows) = asked.rows("the foreign keys", FOREIGN_KEYS).await {
        shelf.foreign_keys(&rows);
    }
    let checks = match asked.rows("the texts of the check constraints", CHECKS).await {
        Some(rows) => Some(rows),
        None => asked.rows("the check constraints", CHECK_NAMES).await,
    };
    if let Some(rows) = checks {
        shelf.checks(&rows);
    }

    let spelled = asked.rows("the views", VIEW_NAMES).await;
    let texts = asked.rows("the texts of the views", VIEWS).await;
    if spelled.is_some() || texts.is_some() {
        catalog.views = Known::Yes(views(&spelled.unwrap_or_default(), texts.as_deref()));
    }
    if let Some(rows) = asked.rows("procedures and functions", ROUTINES).await {
        catalog.routines = Known::Yes(rows.iter().filter_map(routine).collect());
    }
    if let Some(rows) = asked.rows("the types of users", TYPES).await {
        let columns = asked.rows("the columns of table types", TYPE_COLUMNS).await.unwrap_or_default();
        catalog.types = Known::Yes(types(&rows, &columns));
    }
    // Without the right, the server leaves texts out and does not say so. A server that knows no such right is silent.
    let allowed = query::rows(server, "asking for rights", DEFINITIONS_ALLOWED).await;
    if allowed.is_ok_and(|rows| rows.first().and_then(|r| int(r, 0)) == Some(0)) {
        asked.notes.push(
            "The login lacks VIEW DEFINITION: tables, defaults, checks, views and routines may be there that it \
             does not see."
                .to_owned(),
        );
    }
    catalog.notes = asked.notes;
    catalog.sort();
    Ok(catalog)
}

/// Asks, and keeps a note of what could not be answered.
struct Asked<'a> {
    server: &'a Server,
    notes: Vec<String>,
}

impl Asked<'_> {
    async fn rows(&mut self, what: &str, sql: &str) -> Option<Vec<Row>> {
        match query::rows(self.server, "reading the catalogue", sql).await {
            Ok(rows) => Some(rows),
            Err(error) => {
                self.notes.push(format!("Not known: {what} ({error})."));
                None
            }
        }
    }
}

fn lower(schema: &str, name: &str) -> (String, String) {
    (schema.to_lowercase(), name.to_lowercase())
}

/// Schema and table of a row, with case aside.
fn place(row: &Row) -> (String, String) {
    lower(&name(row, 0), &name(row, 1))
}

fn tables(rows: &[Row], collation: Option<&str>) -> Vec<Table> {
    let mut tables: BTreeMap<(String, String), Vec<(i64, Column)>> = BTreeMap::new();
    for row in rows {
        let column = Column {
            name: name(row, 2),
            data_type: type_text(&name(row, 6), int(row, 7), int(row, 8), int(row, 9), int(row, 10)),
            nullable: name(row, 5).eq_ignore_ascii_case("YES"),
            identity: false,
            default: text(row, 4),
            computed: None,
            collation: text(row, 11).filter(|c| collation.is_none_or(|d| !d.eq_ignore_ascii_case(c))),
        };
        let position = int(row, 3).unwrap_or_default();
        tables.entry((name(row, 0), name(row, 1))).or_default().push((position, column));
    }
    let table = |((schema, name), mut columns): ((String, String), Vec<(i64, Column)>)| {
        columns.sort_by_key(|(position, _)| *position);
        Table {
            schema,
            name,
            columns: columns.into_iter().map(|(_, c)| c).collect(),
            primary_key: Known::No,
            foreign_keys: Known::No,
            uniques: Known::No,
            indexes: Known::No,
            checks: Known::No,
        }
    };
    tables.into_iter().map(table).collect()
}

/// A type as SQL Server spells it, from its name and what `INFORMATION_SCHEMA.COLUMNS` says of its size.
fn type_text(
    name: &str,
    length: Option<i64>,
    precision: Option<i64>,
    scale: Option<i64>,
    seconds: Option<i64>,
) -> String {
    let name = name.to_lowercase();
    match (name.as_str(), length) {
        ("char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary", Some(-1)) => format!("{name}(max)"),
        ("char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary", Some(length)) => {
            format!("{name}({length})")
        }
        ("decimal" | "numeric", _) => match (precision, scale) {
            (Some(precision), scale) => format!("{name}({precision},{})", scale.unwrap_or(0)),
            _ => name,
        },
        ("datetime2" | "time" | "datetimeoffset", _) => format!("{name}({})", seconds.unwrap_or(7)),
        ("rowversion", _) => "timestamp".to_owned(),
        _ => name,
    }
}

/// The tables, to be found by schema and name with case aside.
struct Shelf<'a> {
    tables: &'a mut Vec<Table>,
    places: HashMap<(String, String), usize>,
}

impl<'a> Shelf<'a> {
    fn new(tables: &'a mut Vec<Table>) -> Self {
        let places = tables.iter().enumerate().map(|(at, t)| (lower(&t.schema, &t.name), at)).collect();
        Shelf { tables, places }
    }

    fn table(&mut self, row: &Row) -> Option<&mut Table> {
        let at = *self.places.get(&place(row))?;
        self.tables.get_mut(at)
    }

    /// A table's name as it is spelled.
    fn spelled(&self, schema: &str, name: &str) -> TableName {
        match self.places.get(&lower(schema, name)).and_then(|at| self.tables.get(*at)) {
            Some(table) => table.table_name(),
            None => TableName::new(schema, name),
        }
    }

    /// A column's name as it is spelled.
    fn spelled_column(&self, table: &TableName, column: &str) -> String {
        let table = self.places.get(&lower(&table.schema, &table.name)).and_then(|at| self.tables.get(*at));
        table.and_then(|t| t.column(column)).map_or_else(|| column.to_owned(), |c| c.name.clone())
    }

    fn column(&mut self, row: &Row, at: usize, change: impl FnOnce(&mut Column)) {
        let wanted = name(row, at).to_lowercase();
        let columns = self.table(row).map(|t| t.columns.iter_mut()).into_iter().flatten();
        if let Some(column) = columns.into_iter().find(|c| c.name.to_lowercase() == wanted) {
            change(column);
        }
    }

    fn indexes(&mut self, rows: &[Row]) {
        for table in self.tables.iter_mut() {
            table.primary_key = Known::Yes(None);
            table.uniques = Known::Yes(Vec::new());
            table.indexes = Known::Yes(Vec::new());
        }
        for rows in grouped(rows, |r| (place(r), name(r, 2))) {
            let Some(first) = rows.first() else { continue };
            let table = self.spelled(&name(first, 0), &name(first, 1));
            let part = |wanted: bool, order: usize| {
                let mut parts = rows
                    .iter()
                    // A column that only decides the partition is neither key nor carried.
                    .filter(|r| flag(r, 8) == wanted && (wanted || int(r, 7).is_some_and(|n| n > 0)))
                    .map(|r| (int(r, order), self.spelled_column(&table, &name(r, 6))))
                    .collect::<Vec<_>>();
                parts.sort();
                parts.into_iter().map(|(_, column)| column).collect::<Vec<_>>()
            };
            let (columns, include) = (part(false, 7), part(true, 9));
            let (index, unique, primary, filter) = (name(first, 2), flag(first, 3), flag(first, 4), text(first, 5));
            let Some(table) = self.table(first) else { continue };
            if primary {
                table.primary_key = Known::Yes(Some(Key { name: Some(index), columns }));
            } else if unique && filter.is_none() {
                push(&mut table.uniques, Unique { name: index, columns });
            } else if !columns.is_empty() || !include.is_empty() {
                push(&mut table.indexes, Index { name: index, columns, include, unique, filter });
            }
        }
    }

    fn primary_keys(&mut self, rows: &[Row]) {
        for table in self.tables.iter_mut() {
            table.primary_key = Known::Yes(None);
        }
        for mut rows in grouped(rows, |r| (place(r), name(r, 2))) {
            rows.sort_by_key(|r| int(r, 4));
            let Some(first) = rows.first() else { continue };
            let key = Key { name: text(first, 2), columns: rows.iter().map(|r| name(r, 3)).collect() };
            if let Some(table) = self.table(first) {
                table.primary_key = Known::Yes(Some(key));
            }
        }
    }

    fn foreign_keys(&mut self, rows: &[Row]) {
        for table in self.tables.iter_mut() {
            table.foreign_keys = Known::Yes(Vec::new());
        }
        for mut rows in grouped(rows, |r| (place(r), name(r, 2))) {
            rows.sort_by_key(|r| int(r, 9));
            let Some(first) = rows.first() else { continue };
            let referring = self.spelled(&name(first, 0), &name(first, 1));
            let references = self.spelled(&name(first, 4), &name(first, 5));
            let key = ForeignKey {
                name: name(first, 2),
                columns: rows.iter().map(|r| self.spelled_column(&referring, &name(r, 3))).collect(),
                referenced_columns: rows.iter().map(|r| self.spelled_column(&references, &name(r, 6))).collect(),
                references,
                trusted: !flag(first, 7),
                enabled: !flag(first, 8),
                deferrable: false,
            };
            if let Some(table) = self.table(first) {
                push(&mut table.foreign_keys, key);
            }
        }
    }

    fn checks(&mut self, rows: &[Row]) {
        for table in self.tables.iter_mut() {
            table.checks = Known::Yes(Vec::new());
        }
        for row in rows {
            let check = Check { name: name(row, 2), definition: text(row, 3) };
            if let Some(table) = self.table(row) {
                push(&mut table.checks, check);
            }
        }
    }
}

fn push<T>(list: &mut Known<Vec<T>>, item: T) {
    if let Known::Yes(list) = list {
        list.push(item);
    }
}

/// The rows of each thing together, in a stable order.
fn grouped<K: Ord>(rows: &[Row], key: impl Fn(&Row) -> K) -> Vec<Vec<&Row>> {
    let mut groups: BTreeMap<K, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups.into_values().collect()
}

/// The views by their spelled names, with the texts that could be had.
fn views(spelled: &[Row], texts: Option<&[Row]>) -> Vec<View> {
    let names = spelled.iter().map(|r| (place(r), (name(r, 0), name(r, 1)))).collect::<HashMap<_, _>>();
    let wanted = |v: &View| !is_system_schema(&v.schema);
    let Some(texts) = texts else {
        let view = |(schema, name): (String, String)| View { schema, name, definition: None };
        return names.into_values().map(view).filter(wanted).collect();
    };
    let view = |row: &Row| {
        let (schema, name) = names.get(&place(row)).cloned().unwrap_or_else(|| (name(row, 0), name(row, 1)));
        View { schema, name, definition: text(row, 2) }
    };
    texts.iter().map(view).filter(wanted).collect()
}

/// Another name of a type has its base; a table type has columns.
fn types(rows: &[Row], columns: &[Row]) -> Vec<UserType> {
    let user_type = |row: &Row| {
        let mut own: Vec<&Row> = columns.iter().filter(|c| place(c) == place(row)).collect();
        own.sort_by_key(|c| int(c, 3));
        let column = |c: &&Row| Column {
            name: name(c, 2),
            data_type: stored_type_text(&name(c, 6), int(c, 7), int(c, 8), int(c, 9)),
            nullable: flag(c, 4),
            identity: flag(c, 5),
            default: None,
            computed: None,
            collation: None,
        };
        let base = || stored_type_text(&name(row, 2), int(row, 3), int(row, 4), int(row, 5));
        UserType {
            schema: name(row, 0),
            name: name(row, 1),
            base: (!flag(row, 6)).then(base),
            columns: own.iter().map(column).collect(),
        }
    };
    rows.iter().map(user_type).filter(|t| !is_system_schema(&t.schema)).collect()
}

/// A type as SQL Server spells it, from what `sys.types` and `sys.columns` say: lengths are bytes there.
fn stored_type_text(name: &str, bytes: Option<i64>, precision: Option<i64>, scale: Option<i64>) -> String {
    let wide = name.eq_ignore_ascii_case("nchar") || name.eq_ignore_ascii_case("nvarchar");
    let length = bytes.map(|bytes| if wide && bytes > 0 { bytes / 2 } else { bytes });
    type_text(name, length, precision, scale, scale)
}

fn routine(row: &Row) -> Option<Routine> {
    let (schema, name) = (name(row, 0), name(row, 1));
    let kind = if query::name(row, 2).trim_end().starts_with('P') { "procedure" } else { "function" };
    (!is_diagram(&name) && !is_system_schema(&schema)).then(|| Routine {
        schema,
        name,
        kind: kind.to_owned(),
        definition: text(row, 3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_spelled_as_in_a_create_table() {
        let cases = [
            (("nvarchar", Some(50), None, None, None), "nvarchar(50)"),
            (("NVARCHAR", Some(-1), None, None, None), "nvarchar(max)"),
            (("varbinary", Some(256), None, None, None), "varbinary(256)"),
            (("ntext", Some(1_073_741_823), None, None, None), "ntext"),
            (("xml", Some(-1), None, None, None), "xml"),
            (("decimal", None, Some(18), Some(2), None), "decimal(18,2)"),
            (("int", None, Some(10), Some(0), None), "int"),
            (("float", None, Some(53), None, None), "float"),
            (("money", None, Some(19), Some(4), None), "money"),
            (("datetime", None, None, None, Some(3)), "datetime"),
            (("datetime2", None, None, None, Some(0)), "datetime2(0)"),
            (("time", None, None, None, None), "time(7)"),
            (("date", None, None, None, Some(0)), "date"),
            (("timestamp", None, None, None, None), "timestamp"),
            (("hierarchyid", None, None, None, None), "hierarchyid"),
        ];
        for ((name, length, precision, scale, seconds), expected) in cases {
            assert_eq!(type_text(name, length, precision, scale, seconds), expected);
        }
    }
}
