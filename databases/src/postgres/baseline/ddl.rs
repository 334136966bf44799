//! A catalogue's tables as statements.

use imis_schemas::{Catalog, Column, Engine, Index, Known, Table, TableName};

use crate::error::Error;

const ENGINE: Engine = Engine::Postgres;

/// Sequences, tables, ownership, indexes, then the keys between tables, so that each statement finds what it names.
pub(super) fn tables(catalog: &Catalog) -> Result<Vec<String>, Error> {
    let mut before = Vec::new();
    let mut tables = Vec::new();
    let mut after = Vec::new();
    let mut keys = Vec::new();
    for table in &catalog.tables {
        let name = table.table_name().sql(ENGINE);
        for column in &table.columns {
            let Some(sequence) = column.default.as_deref().and_then(sequence_of) else { continue };
            let sequence = TableName::new(&table.schema, sequence).sql(ENGINE);
            before.push(format!("CREATE SEQUENCE {sequence} AS {}", column.data_type));
            after.push(format!("ALTER SEQUENCE {sequence} OWNED BY {name}.{}", ENGINE.quote(&column.name)));
        }
        tables.push(create(table)?);
        after.extend(table.indexes.items().iter().map(|i| index(&name, i)));
        for key in table.foreign_keys.items() {
            let deferred = if key.deferrable { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
            keys.push(format!(
                "ALTER TABLE {name} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){deferred}",
                ENGINE.quote(&key.name),
                list(&key.columns),
                key.references.sql(ENGINE),
                list(&key.referenced_columns),
            ));
        }
    }
    before.extend(tables);
    before.extend(after);
    before.extend(keys);
    Ok(before)
}

fn create(table: &Table) -> Result<String, Error> {
    let mut lines: Vec<String> = table.columns.iter().map(|c| column(&table.schema, c)).collect();
    if let Known::Yes(Some(key)) = &table.primary_key {
        lines.push(format!("{}PRIMARY KEY ({})", constraint(key.name.as_deref()), list(&key.columns)));
    }
    for unique in table.uniques.items() {
        lines.push(format!("{}UNIQUE ({})", constraint(Some(&unique.name)), list(&unique.columns)));
    }
    for check in table.checks.items() {
        let definition = check.definition.as_deref().ok_or_else(|| {
            Error::failed(format!("the check {} of {} has no definition", check.name, table.table_name()))
        })?;
        lines.push(format!("{}{definition}", constraint(Some(&check.name))));
    }
    Ok(format!("CREATE TABLE {} (\n  {}\n)", table.table_name().sql(ENGINE), lines.join(",\n  ")))
}

fn constraint(name: Option<&str>) -> String {
    name.map(|n| format!("CONSTRAINT {} ", ENGINE.quote(n))).unwrap_or_default()
}

fn column(schema: &str, column: &Column) -> String {
    let mut text = format!("{} {}", ENGINE.quote(&column.name), column.data_type);
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    match column.default.as_deref().map(|default| (default, sequence_of(default))) {
        // The schema is spelled out, so that the search path decides nothing.
        Some((_, Some(sequence))) => {
            let sequence = TableName::new(schema, sequence).sql(ENGINE);
            text.push_str(&format!(" DEFAULT nextval({}::regclass)", ENGINE.literal(&sequence)));
        }
        Some((default, None)) => text.push_str(&format!(" DEFAULT {default}")),
        None => {}
    }
    text
}

fn index(table: &str, index: &Index) -> String {
    // Django makes a second index for LIKE beside every index on a text, and names it so.
    let class = if index.name.ends_with("_like") { " varchar_pattern_ops" } else { "" };
    let columns: Vec<String> = index.columns.iter().map(|c| format!("{}{class}", ENGINE.quote(c))).collect();
    let unique = if index.unique { "UNIQUE " } else { "" };
    let filter = index.filter.as_deref().map(|f| format!(" WHERE {f}")).unwrap_or_default();
    format!("CREATE {unique}INDEX {} ON {table} ({}){filter}", ENGINE.quote(&index.name), columns.join(", "))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|c| ENGINE.quote(c)).collect::<Vec<_>>().join(", ")
}

/// The sequence that a default counts with: `nextval('"tblClaim_ClaimID_seq"'::regclass)`.
pub(super) fn sequence_of(default: &str) -> Option<String> {
    let name = default.strip_prefix("nextval('")?.strip_suffix("'::regclass)")?;
    match name.strip_prefix('"') {
        Some(quoted) => Some(quoted.strip_suffix('"')?.replace("\"\"", "\"")),
        None => Some(name.to_owned()),
    }
}

/// The default that counts with a sequence.
pub(super) fn counting(sequence: &str) -> String {
    format!("nextval('{}'::regclass)", ENGINE.quote(sequence))
}
