//! Tables that are no tables: what the catalogue and the server say, for queries of checks.
//!
//! `imis.generators`, `imis.unknown`, `imis.collisions`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use imis_databases::{Error, Source};
use imis_schemas::identify::Thing;
use imis_schemas::{Catalog, Column, Engine, Known, Table};

/// The shapes of the virtual tables.
pub(crate) struct VirtualTables {
    catalog: Catalog,
}

/// Name, and columns with their types.
const SHAPES: [(&str, &[(&str, &str)]); 3] = [
    ("generators", &[("table_name", "text"), ("column_name", "text"), ("last_value", "bigint"), ("max_key", "bigint")]),
    ("unknown", &[("thing", "text"), ("table_name", "text"), ("column_name", "text")]),
    ("collisions", &[("table_name", "text"), ("column_name", "text"), ("release", "text")]),
];

impl VirtualTables {
    pub(crate) fn shapes() -> Self {
        let mut catalog = Catalog::new(Engine::Postgres);
        catalog.tables = SHAPES.iter().map(|(name, columns)| table(name, columns)).collect();
        VirtualTables { catalog }
    }

    /// The virtual table of this name: `imis.generators`.
    pub(crate) fn table(&self, name: &str) -> Option<Arc<Table>> {
        let name = name.to_lowercase();
        self.catalog.table(name.strip_prefix("imis.")?).map(|table| Arc::new(table.clone()))
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    let column = |(name, data_type): &(&str, &str)| Column {
        name: (*name).to_owned(),
        data_type: (*data_type).to_owned(),
        nullable: true,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    };
    Table {
        schema: "imis".to_owned(),
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        primary_key: Known::Yes(None),
        foreign_keys: Known::Yes(Vec::new()),
        uniques: Known::Yes(Vec::new()),
        indexes: Known::Yes(Vec::new()),
        checks: Known::Yes(Vec::new()),
    }
}

/// Virtual tables with their rows, and those of which nobody can say anything, with the reason.
pub(crate) struct Filled {
    pub(crate) tables: Vec<(String, RecordBatch)>,
    pub(crate) silent: Vec<(&'static str, String)>,
}

/// Fills the virtual tables that are used.
///
/// # Errors
/// When the server fails.
pub(crate) async fn fill(source: &dyn Source, catalog: &Catalog, used: &dyn Fn(&str) -> bool) -> Result<Filled, Error> {
    let mut filled = Filled { tables: Vec::new(), silent: Vec::new() };
    let (mut generators, mut unknown, mut collisions) = (Vec::new(), Vec::new(), Vec::new());
    if used("generators") {
        match generators_of(source, catalog).await? {
            Some(rows) => generators = rows,
            None => filled.silent.push(("generators", "nobody says where its generators stand".to_owned())),
        }
    }
    if used("unknown") || used("collisions") {
        match imis_schemas::identify(catalog) {
            Some(found) => {
                for added in &found.added {
                    let thing = format!("{:?}", added.thing).to_lowercase();
                    let (table, column) = match added.thing {
                        Thing::Table | Thing::Column => (added.of_table().unwrap_or_default(), added.column()),
                        _ => (added.name.as_str(), None),
                    };
                    unknown.push(vec![Some(thing), Some(table.to_owned()), column.map(str::to_owned)]);
                }
                for collision in found.collisions.iter().filter(|collision| !collision.alike) {
                    let column = collision.name.rsplit_once('.').map(|(_, column)| column.to_owned());
                    collisions.push(vec![Some(collision.table.clone()), column, Some(collision.release.clone())]);
                }
            }
            None => {
                let why = "the database has no table that a release has".to_owned();
                filled.silent.extend([("unknown", why.clone()), ("collisions", why)]);
            }
        }
    }
    for ((name, columns), rows) in SHAPES.iter().zip([generators, unknown, collisions]) {
        let cell = |at: usize| rows.iter().map(move |row: &Vec<Option<String>>| row.get(at).cloned().flatten());
        let arrays = columns.iter().enumerate().map(|(at, (column, data_type))| {
            let array: ArrayRef = match *data_type {
                "bigint" => Arc::new(cell(at).map(|text| text?.parse::<i64>().ok()).collect::<Int64Array>()),
                _ => Arc::new(cell(at).collect::<StringArray>()),
            };
            (*column, array, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(arrays)
            .map_err(|e| Error::failed("a table of the catalogue is not well formed").caused_by(e))?;
        filled.tables.push(((*name).to_owned(), batch));
    }
    Ok(filled)
}

/// Where the server's generators stand, and the highest key of each column; `None` where no server says it.
async fn generators_of(source: &dyn Source, catalog: &Catalog) -> Result<Option<Vec<Vec<Option<String>>>>, Error> {
    let sql = match catalog.engine {
        Engine::Postgres => POSTGRES_GENERATORS,
        Engine::Mssql => MSSQL_GENERATORS,
    };
    // A server that does not know its own catalogue has nothing to say, and stops nothing.
    let answer = match source.answer("asking where generators stand", sql).await {
        Err(error) if error.is_passing() => return Err(error),
        answer => answer.unwrap_or_default(),
    };
    let Some(answer) = answer else { return Ok(None) };
    let mut rows = Vec::new();
    for row in answer {
        let [Some(schema), Some(name), Some(column), last] = row.as_slice() else { continue };
        let table = catalog.tables.iter().find(|table| table.schema == *schema && table.name == *name);
        let Some(table) = table.filter(|table| table.column(column).is_some()) else { continue };
        // A column that is no number, or that the login may not read, has no generator that could be judged.
        let greatest = match source.bounds(table, column).await {
            Err(error) if error.is_passing() => return Err(error),
            Err(_) => continue,
            Ok(bounds) => bounds.map(|(_, greatest)| greatest.to_string()),
        };
        rows.push(vec![Some(name.clone()), Some(column.clone()), last.clone(), greatest]);
    }
    Ok(Some(rows))
}

/// Sequences behind columns: those that a default names and those of identity columns. One that was never used stands before its start; of one that
/// the login may not see nothing is said.
const POSTGRES_GENERATORS: &str = "\
SELECT DISTINCT n.nspname::text, c.relname::text, a.attname::text, coalesce(s.last_value, s.start_value - 1)::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
JOIN pg_depend d ON (d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass)
  OR (d.classid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i')
JOIN pg_class q ON q.relkind = 'S' AND q.oid = CASE WHEN d.classid = 'pg_attrdef'::regclass THEN d.refobjid ELSE d.objid END
JOIN pg_namespace m ON m.oid = q.relnamespace
JOIN pg_sequences s ON s.schemaname = m.nspname AND s.sequencename = q.relname
WHERE c.relkind IN ('r', 'p') AND has_sequence_privilege(q.oid, 'SELECT, USAGE')
ORDER BY 1, 2, 3";

/// Identity columns.
const MSSQL_GENERATORS: &str = "\
SELECT SCHEMA_NAME(t.schema_id), t.name, c.name, CAST(c.last_value AS varchar(40))
FROM sys.identity_columns c JOIN sys.tables t ON t.object_id = c.object_id";
