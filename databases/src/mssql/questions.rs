//! What a server is asked about tables and rights, besides their rows.

use std::collections::BTreeMap;

use imis_schemas::{Column, DataType, Engine, TableName};
use tiberius::Row;

use super::connect::Server;
use super::query;
use crate::error::Error;
use crate::source::{Denied, Rights};

/// `COUNT_BIG(*)`.
pub(super) async fn count(server: &Server, table: &TableName) -> Result<u64, Error> {
    let sql = format!("SELECT COUNT_BIG(*) AS n FROM {}", table.sql(Engine::Mssql));
    let rows = query::rows_within(server, &format!("counting {table}"), &sql).await?;
    let count = rows.first().and_then(|r| query::int(r, 0)).and_then(|n| u64::try_from(n).ok());
    count.ok_or_else(|| Error::failed(format!("the server does not say how many rows {table} has")))
}

/// How many rows hold something in each column: neither NULL nor a default that is a plain literal.
pub(super) async fn filled(server: &Server, table: &TableName, columns: &[&Column]) -> Result<Vec<u64>, Error> {
    let counts = columns.iter().enumerate().map(|(at, column)| {
        let name = Engine::Mssql.quote(&column.name);
        let data_type = column.data_type(Engine::Mssql);
        // What SQL Server does not compare counts as soon as it is not NULL.
        let compares = !matches!(
            data_type,
            DataType::Text
                | DataType::NText
                | DataType::Image
                | DataType::Xml
                | DataType::SqlVariant
                | DataType::Other(_)
        );
        let other = column.plain_default().filter(|_| compares).map(|default| {
            let literal = Engine::Mssql.literal(&default);
            format!(" AND {name} <> CAST({literal} AS {})", data_type.sql(Engine::Mssql))
        });
        format!("COUNT_BIG(CASE WHEN {name} IS NOT NULL{} THEN 1 END) AS n{at}", other.unwrap_or_default())
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {counts} FROM {}", table.sql(Engine::Mssql));
    let doing = format!("counting what columns of {table} hold");
    let rows = query::rows_within(server, &doing, &sql).await?;
    let row = rows.first().ok_or_else(|| Error::failed(format!("{doing}: the server does not answer")))?;
    let count = |at| query::int(row, at).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
    Ok((0..columns.len()).map(count).collect())
}

/// What the login may not do. A server that does not answer denies nothing: what is denied then shows when it is read.
pub(super) async fn rights(server: &Server) -> Rights {
    const LOGIN: &str =
        "SELECT SUSER_SNAME() AS login, HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION') AS shown";
    const TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'BASE TABLE' \
        AND HAS_PERMS_BY_NAME(QUOTENAME(TABLE_SCHEMA) + '.' + QUOTENAME(TABLE_NAME), 'OBJECT', 'SELECT') = 0";
    const COLUMNS: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, HAS_PERMS_BY_NAME(QUOTENAME(TABLE_SCHEMA) + '.' + \
        QUOTENAME(TABLE_NAME), 'OBJECT', 'SELECT', COLUMN_NAME, 'COLUMN') AS allowed FROM INFORMATION_SCHEMA.COLUMNS";
    let ask = async |what: &str, sql: &str| query::rows(server, what, sql).await.unwrap_or_default();
    let (mut login, mut shown) = (None, None);
    if let Some(row) = ask("asking for rights", LOGIN).await.first() {
        login = query::text(row, 0);
        shown = query::int(row, 1).map(|n| n == 1);
    }
    // The columns say it best: a table may be allowed with a column denied, or denied with some columns allowed.
    let mut tables: BTreeMap<TableName, Vec<(String, bool)>> = BTreeMap::new();
    let place = |row: &Row| TableName::new(query::name(row, 0), query::name(row, 1));
    for row in ask("asking for rights to columns", COLUMNS).await {
        tables.entry(place(&row)).or_default().push((query::name(&row, 2), query::int(&row, 3) == Some(0)));
    }
    let mut denied = Vec::new();
    if tables.is_empty() {
        let whole = ask("asking for rights to tables", TABLES).await;
        denied.extend(whole.iter().map(|row| Denied { table: place(row), column: None }));
    }
    for (table, columns) in tables {
        if columns.iter().all(|(_, denied)| *denied) {
            denied.push(Denied { table, column: None });
        } else {
            let parts = columns.into_iter().filter(|(_, denied)| *denied);
            denied.extend(parts.map(|(column, _)| Denied { table: table.clone(), column: Some(column) }));
        }
    }
    Rights { login, view_definition: shown, denied, ..Rights::default() }
}

/// The least and the greatest key.
pub(super) async fn bounds(server: &Server, table: &TableName, column: &str) -> Result<Option<(i64, i64)>, Error> {
    let column = Engine::Mssql.quote(column);
    let sql = format!(
        "SELECT CAST(MIN({column}) AS bigint) AS least, CAST(MAX({column}) AS bigint) AS greatest FROM {}",
        table.sql(Engine::Mssql)
    );
    let rows = query::rows_within(server, &format!("reading the bounds of {table}"), &sql).await?;
    Ok(rows.first().and_then(|r| query::int(r, 0).zip(query::int(r, 1))))
}
