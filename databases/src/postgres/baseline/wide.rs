//! The shape `wide`: upstream's tables, widened until everything from a legacy database and from the backend fits.

use std::collections::{BTreeMap, BTreeSet};

use imis_schemas::{Catalog, Column, DataType, Engine, Key, Known, Length, Table};
use serde::Deserialize;

use super::ddl::{counting, sequence_of};
use crate::error::Error;

/// What does not follow from the two catalogues, with its reasons.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    columns: BTreeMap<String, ColumnException>,
    absent: BTreeMap<String, String>,
    keys: BTreeMap<String, KeyException>,
    sequences: BTreeMap<String, SequenceException>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnException {
    #[serde(rename = "type")]
    data_type: Option<String>,
    nullable: Option<bool>,
    default: Option<String>,
    #[serde(rename = "why")]
    _why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyException {
    columns: Vec<String>,
    #[serde(rename = "why")]
    _why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SequenceException {
    name: String,
    #[serde(rename = "why")]
    _why: String,
}

/// Widens upstream's tables by the legacy ones.
pub(super) fn derive(mut upstream: Catalog, legacy: &Catalog) -> Result<Catalog, Error> {
    let exceptions: Exceptions = serde_yaml::from_str(include_str!("wide.yaml"))
        .map_err(|e| Error::failed("wide.yaml cannot be read").caused_by(e.to_string()))?;
    let mut used = BTreeSet::new();
    for table in &mut upstream.tables {
        let Some(source) = legacy.table(&table.name) else {
            return Err(Error::failed(format!("the legacy catalogue has no {}", table.name)));
        };
        widen(table, source, &exceptions, &mut used);
        add_missing(table, source, &exceptions, &mut used);
        if let Some(key) = exceptions.keys.get(&table.name) {
            used.insert(table.name.clone());
            let name = table.primary_key.known().and_then(|k| k.as_ref()).and_then(|k| k.name.clone());
            table.primary_key = Known::Yes(Some(Key { name, columns: key.columns.clone() }));
        }
    }
    let known = exceptions.columns.keys().chain(exceptions.absent.keys());
    let known = known.chain(exceptions.keys.keys()).chain(exceptions.sequences.keys());
    if let Some(idle) = known.into_iter().find(|name| !used.contains(*name)) {
        return Err(Error::failed(format!("wide.yaml speaks of {idle}, which is not there")));
    }
    Ok(upstream)
}

fn widen(table: &mut Table, source: &Table, exceptions: &Exceptions, used: &mut BTreeSet<String>) {
    for column in &mut table.columns {
        let name = format!("{}.{}", table.name, column.name);
        if let Some(legacy) = source.column(&column.name) {
            let wider = wider(&column.data_type(Engine::Postgres), &legacy.data_type(Engine::Mssql));
            column.data_type = wider.sql(Engine::Postgres);
            column.nullable |= legacy.nullable;
            if legacy.identity {
                let sequence = exceptions.sequences.get(&name).map(|s| s.name.clone());
                let present = column.default.as_deref().and_then(sequence_of);
                let usual = || format!("{}_{}_seq", table.name, column.name);
                column.default = Some(counting(&sequence.or(present).unwrap_or_else(usual)));
            }
        }
        if exceptions.sequences.contains_key(&name) {
            used.insert(name.clone());
        }
        if let Some(exception) = exceptions.columns.get(&name) {
            used.insert(name);
            if let Some(data_type) = &exception.data_type {
                column.data_type.clone_from(data_type);
            }
            if let Some(default) = &exception.default {
                column.default = Some(default.clone());
            }
            column.nullable = exception.nullable.unwrap_or(column.nullable);
        }
    }
}

/// Legacy columns that upstream does not have. No model knows them, so the backend must be able to leave them out.
fn add_missing(table: &mut Table, source: &Table, exceptions: &Exceptions, used: &mut BTreeSet<String>) {
    for legacy in &source.columns {
        let name = format!("{}.{}", table.name, legacy.name);
        if exceptions.absent.contains_key(&name) {
            used.insert(name);
            continue;
        }
        if table.column(&legacy.name).is_some() {
            continue;
        }
        let data_type = match legacy.data_type(Engine::Mssql) {
            DataType::DateTime | DataType::SmallDateTime | DataType::Timestamp(_) => DataType::TimestampTz,
            other => other.postgres_counterpart(),
        };
        table.columns.push(Column {
            name: legacy.name.clone(),
            default: legacy.default.as_deref().and_then(|d| literal(d, &data_type)),
            data_type: data_type.sql(Engine::Postgres),
            nullable: true,
            identity: false,
            computed: None,
            collation: None,
        });
    }
}

/// A legacy default that is a plain number, for the new type.
fn literal(default: &str, data_type: &DataType) -> Option<String> {
    let bare = default.trim_matches(|c| c == '(' || c == ')');
    let number: i64 = bare.parse().ok()?;
    match data_type {
        DataType::Boolean => Some((number != 0).to_string()),
        DataType::SmallInt | DataType::Int | DataType::BigInt | DataType::Decimal { .. } => Some(number.to_string()),
        _ => None,
    }
}

/// The type that takes what either takes. What upstream made another kind of type stays so (a UUID as text, a day for
/// a moment): the exceptions say where it must not.
fn wider(upstream: &DataType, legacy: &DataType) -> DataType {
    use DataType as T;
    match (upstream, legacy) {
        (_, T::RowVersion) => T::VarBinary(Length::Max),
        (T::BitString(1), T::Boolean) => T::Boolean,
        (T::SmallInt, T::Int) => T::Int,
        (T::SmallInt | T::Int, T::BigInt) => T::BigInt,
        (T::VarChar(Length::Limited(a)), T::NVarChar(l) | T::VarChar(l)) => match l {
            Length::Limited(b) => T::VarChar(Length::Limited(*a.max(b))),
            Length::Max => T::Text,
        },
        (T::VarChar(Length::Limited(a)) | T::Char(a), T::NChar(b) | T::Char(b)) if b > a => {
            T::VarChar(Length::Limited(*b))
        }
        (T::VarChar(Length::Limited(_)), T::NText | T::Text) => T::Text,
        (T::Decimal { precision: p, scale: s }, T::Decimal { precision: q, scale: t }) => {
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let scale = (*s).max(*t);
            let precision = u8::try_from(whole + i16::from(scale)).unwrap_or(38).min(38);
            T::Decimal { precision, scale }
        }
        (kept, _) => kept.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wider_type_takes_both() {
        for (upstream, legacy, both) in [
            ("character varying(8)", "nvarchar(50)", "character varying(50)"),
            ("character varying(255)", "nvarchar(6)", "character varying(255)"),
            ("character varying(20)", "nvarchar(max)", "text"),
            ("smallint", "int", "integer"),
            ("bigint", "int", "bigint"),
            ("numeric(3,1)", "decimal(4,3)", "numeric(5,3)"),
            ("bit(1)", "bit", "boolean"),
            ("timestamp without time zone", "timestamp", "bytea"),
            ("date", "smalldatetime", "date"),
        ] {
            let wider = wider(&DataType::parse(Engine::Postgres, upstream), &DataType::parse(Engine::Mssql, legacy));
            assert_eq!(wider.sql(Engine::Postgres), both, "{upstream} and {legacy}");
        }
    }
}
