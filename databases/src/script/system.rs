//! The server's own views, as far as scripts ask them whether something is there already.

use imis_schemas::script::{ColumnState, Database, ObjectName};

use super::evaluate::{Trouble, unknown};
use super::query::Answer;
use super::value::Value;

/// A number that stands for a name: the same for the same name, case aside.
pub(super) fn number(name: &str) -> i64 {
    let hash = name
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    i64::from((hash >> 33) as u32)
}

/// The number of an object of a schema.
pub(super) fn object_number(schema: &str, name: &str) -> i64 {
    number(&format!("{schema}.{name}"))
}

/// The name of a column's default; one that a server would make up where nobody gave one.
fn default_name(table: &str, column: &ColumnState) -> String {
    column.default_name().map_or_else(|| format!("DF__{table}__{}", column.column.name), str::to_owned)
}

/// A view of `sys` or `INFORMATION_SCHEMA`, or none where the name is not such a view's.
pub(super) fn view(database: &Database, name: &ObjectName) -> Result<Option<Answer>, Trouble> {
    let lower = name.name.to_lowercase();
    let schema = name.schema.as_deref().unwrap_or_default().to_lowercase();
    let old = matches!(lower.as_str(), "sysobjects" | "syscolumns" | "sysindexes" | "systypes");
    if schema != "sys" && schema != "information_schema" && !old {
        return Ok(None);
    }
    let catalog = database.catalog();
    let text = |text: &str| Value::Text(text.to_owned());
    let id = |schema: &str, name: &str| Value::Int(object_number(schema, name));
    let flag = |holds: bool| Value::Int(holds.into());
    let default_of = |schema: &str, table: &str, column: &str| {
        let table = database.tables().iter().find(|own| own.name.schema == schema && own.name.name == table);
        let column = table.and_then(|table| table.column(column)).filter(|column| column.column.default.is_some());
        Value::Int(
            column.map_or(0, |column| object_number(schema, &default_name(table.map_or("", |t| &t.name.name), column))),
        )
    };
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let columns: &[&str] = match (schema.as_str(), lower.as_str()) {
        ("information_schema", "tables") => {
            for table in &catalog.tables {
                rows.push(vec![text(&table.schema), text(&table.name), text("BASE TABLE")]);
            }
            for view in catalog.views.items() {
                rows.push(vec![text(&view.schema), text(&view.name), text("VIEW")]);
            }
            &["TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE"]
        }
        ("information_schema", "views") => {
            rows.extend(catalog.views.items().iter().map(|view| vec![text(&view.schema), text(&view.name)]));
            &["TABLE_SCHEMA", "TABLE_NAME"]
        }
        ("information_schema", "columns") => {
            for table in &catalog.tables {
                for column in &table.columns {
                    let (base, _) = column.data_type.split_once('(').unwrap_or((&column.data_type, ""));
                    let length = column.data_type(catalog.engine).length();
                    rows.push(vec![
                        text(&table.schema),
                        text(&table.name),
                        text(&column.name),
                        text(base),
                        text(if column.nullable { "YES" } else { "NO" }),
                        length.map_or(Value::Null, |length| Value::Int(length.into())),
                        column.default.as_deref().map_or(Value::Null, text),
                    ]);
                }
            }
            &[
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "COLUMN_NAME",
                "DATA_TYPE",
                "IS_NULLABLE",
                "CHARACTER_MAXIMUM_LENGTH",
                "COLUMN_DEFAULT",
            ]
        }
        ("information_schema", "routines") => {
            for routine in catalog.routines.items() {
                let kind = routine.kind.to_uppercase();
                rows.push(vec![
                    text(&routine.schema),
                    text(&routine.name),
                    text(&routine.schema),
                    text(&routine.name),
                    text(&kind),
                ]);
            }
            &["ROUTINE_SCHEMA", "ROUTINE_NAME", "SPECIFIC_SCHEMA", "SPECIFIC_NAME", "ROUTINE_TYPE"]
        }
        (
            "information_schema",
            "table_constraints" | "constraint_column_usage" | "key_column_usage" | "referential_constraints",
        ) => {
            for table in &catalog.tables {
                let mut of = |name: &str, kind: &str, columns: &[String]| {
                    for column in columns {
                        rows.push(vec![
                            text(&table.schema),
                            text(&table.name),
                            text(&table.schema),
                            text(name),
                            text(kind),
                            text(column),
                        ]);
                    }
                };
                if let Some(Some(key)) = table.primary_key.known() {
                    of(key.name.as_deref().unwrap_or_default(), "PRIMARY KEY", &key.columns);
                }
                table.foreign_keys.items().iter().for_each(|key| of(&key.name, "FOREIGN KEY", &key.columns));
                table.uniques.items().iter().for_each(|unique| of(&unique.name, "UNIQUE", &unique.columns));
            }
            &["TABLE_SCHEMA", "TABLE_NAME", "CONSTRAINT_SCHEMA", "CONSTRAINT_NAME", "CONSTRAINT_TYPE", "COLUMN_NAME"]
        }
        ("sys", "schemas") => {
            rows.push(vec![text("dbo"), Value::Int(1)]);
            &["name", "schema_id"]
        }
        (
            "sys",
            "objects"
            | "all_objects"
            | "tables"
            | "views"
            | "procedures"
            | "foreign_keys"
            | "check_constraints"
            | "key_constraints"
            | "default_constraints"
            | "sysobjects",
        )
        | (_, "sysobjects") => {
            let wanted: Option<&[&str]> = match lower.as_str() {
                "tables" => Some(&["U"]),
                "views" => Some(&["V"]),
                "procedures" => Some(&["P"]),
                "foreign_keys" => Some(&["F"]),
                "check_constraints" => Some(&["C"]),
                "key_constraints" => Some(&["PK", "UQ"]),
                "default_constraints" => Some(&["D"]),
                _ => None,
            };
            let mut of = |schema: &str, name: &str, kind: &str, parent: i64, referenced: i64| {
                if wanted.is_none_or(|wanted| wanted.contains(&kind)) {
                    rows.push(vec![
                        text(name),
                        id(schema, name),
                        id(schema, name),
                        text(kind),
                        text(kind),
                        Value::Int(if schema == "dbo" { 1 } else { number(schema) }),
                        Value::Int(parent),
                        Value::Int(parent),
                        Value::Int(referenced),
                        flag(false),
                        Value::Int(match kind {
                            "V" => 2,
                            "U" => 3,
                            "P" => 4,
                            _ => 1,
                        }),
                    ]);
                }
            };
            for table in &catalog.tables {
                let parent = object_number(&table.schema, &table.name);
                of(&table.schema, &table.name, "U", 0, 0);
                if let Some(name) =
                    table.primary_key.known().and_then(Option::as_ref).and_then(|key| key.name.as_deref())
                {
                    of(&table.schema, name, "PK", parent, 0);
                }
                for unique in table.uniques.items() {
                    of(&table.schema, &unique.name, "UQ", parent, 0);
                }
                for key in table.foreign_keys.items() {
                    of(
                        &table.schema,
                        &key.name,
                        "F",
                        parent,
                        object_number(&key.references.schema, &key.references.name),
                    );
                }
                for check in table.checks.items() {
                    of(&table.schema, &check.name, "C", parent, 0);
                }
            }
            for table in database.tables() {
                let parent = object_number(&table.name.schema, &table.name.name);
                for column in table.columns.iter().filter(|column| column.column.default.is_some()) {
                    of(&table.name.schema, &default_name(&table.name.name, column), "D", parent, 0);
                }
            }
            for view in catalog.views.items() {
                of(&view.schema, &view.name, "V", 0, 0);
            }
            for routine in catalog.routines.items() {
                of(&routine.schema, &routine.name, if routine.kind == "procedure" { "P" } else { "FN" }, 0, 0);
            }
            &[
                "name",
                "object_id",
                "id",
                "type",
                "xtype",
                "schema_id",
                "parent_object_id",
                "parent_obj",
                "referenced_object_id",
                "is_ms_shipped",
                "sysstat",
            ]
        }
        ("sys", "columns" | "all_columns" | "syscolumns") | (_, "syscolumns") => {
            for table in &catalog.tables {
                for (at, column) in table.columns.iter().enumerate() {
                    let (base, _) = column.data_type.split_once('(').unwrap_or((&column.data_type, ""));
                    let length = column.data_type(catalog.engine).length().map_or(-1, i64::from);
                    let width = if base.starts_with('n') && length > 0 { 2 * length } else { length };
                    rows.push(vec![
                        id(&table.schema, &table.name),
                        id(&table.schema, &table.name),
                        text(&column.name),
                        Value::Int(at as i64 + 1),
                        flag(column.nullable),
                        flag(column.identity),
                        Value::Int(width),
                        Value::Int(number(base)),
                        Value::Int(number(base)),
                        default_of(&table.schema, &table.name, &column.name),
                    ]);
                }
            }
            &[
                "object_id",
                "id",
                "name",
                "column_id",
                "is_nullable",
                "is_identity",
                "max_length",
                "system_type_id",
                "user_type_id",
                "default_object_id",
            ]
        }
        ("sys", "indexes" | "sysindexes") | (_, "sysindexes") => {
            for table in &catalog.tables {
                let mut of = |name: &str, unique: bool, primary: bool| {
                    let table = id(&table.schema, &table.name);
                    rows.push(vec![table.clone(), table, text(name), flag(unique), flag(primary)]);
                };
                if let Some(name) =
                    table.primary_key.known().and_then(Option::as_ref).and_then(|key| key.name.as_deref())
                {
                    of(name, true, true);
                }
                table.uniques.items().iter().for_each(|unique| of(&unique.name, true, false));
                table.indexes.items().iter().for_each(|index| of(&index.name, index.unique, false));
            }
            &["object_id", "id", "name", "is_unique", "is_primary_key"]
        }
        ("sys", "types" | "table_types" | "systypes") | (_, "systypes") => {
            for own in catalog.types.items() {
                if lower != "table_types" || own.base.is_none() {
                    rows.push(vec![
                        text(&own.name),
                        flag(true),
                        flag(own.base.is_none()),
                        Value::Int(1),
                        Value::Int(number(&own.name)),
                        Value::Int(number(&own.name)),
                    ]);
                }
            }
            if lower != "table_types" {
                for name in BASE_TYPES {
                    rows.push(vec![
                        text(name),
                        flag(false),
                        flag(false),
                        Value::Int(4),
                        Value::Int(number(name)),
                        Value::Int(number(name)),
                    ]);
                }
            }
            &["name", "is_user_defined", "is_table_type", "schema_id", "user_type_id", "system_type_id"]
        }
        // Nothing of the kind is in a catalogue, and scripts that ask find none.
        (
            "sys",
            "extended_properties"
            | "triggers"
            | "fulltext_catalogs"
            | "fulltext_indexes"
            | "synonyms"
            | "sequences"
            | "database_principals"
            | "server_principals"
            | "partition_functions"
            | "partition_schemes"
            | "databases"
            | "sysusers"
            | "syslogins"
            | "change_tracking_databases"
            | "stats",
        ) => &["name", "type", "object_id", "major_id", "minor_id", "class"],
        _ => return unknown(format!("the server's view {}", name.name)),
    };
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    Ok(Some(Answer { columns, rows }))
}

const BASE_TYPES: &[&str] = &[
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "decimal",
    "numeric",
    "money",
    "smallmoney",
    "float",
    "real",
    "date",
    "time",
    "datetime",
    "datetime2",
    "smalldatetime",
    "datetimeoffset",
    "char",
    "varchar",
    "text",
    "nchar",
    "nvarchar",
    "ntext",
    "binary",
    "varbinary",
    "image",
    "timestamp",
    "uniqueidentifier",
    "xml",
    "sql_variant",
    "sysname",
];
