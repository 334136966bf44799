//! The Parquet files of a report: rejected rows, the accounting, rows that differ.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt8Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use imis_checks::profile::{KeyRole, Profile, TableProfile};
use imis_mappings::account::{Account, RejectedRow, RuleAccount};
use imis_mappings::verify::{CellDifference, Difference, Verification};
use imis_schemas::compare::{self, Comparison};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::ReportError;
use crate::mask::{Values, key_json, value};
use crate::profile::{self, Seen};

/// Rows a batch, so that millions of rejects do not stand in memory twice.
const BATCH: usize = 50_000;

/// `rejects.parquet`, one row a rejected row: rule, table, key (JSON text, masked), column (NULL where the whole row was
/// refused), reason, and, for a row that only went because the row that it named went, table, key, column and reason of the first row
/// of that chain.
///
/// # Errors
/// When the file cannot be encoded.
pub fn rejects_parquet(account: &Account) -> Result<Vec<u8>, ReportError> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let schema = Schema::new(vec![
        text("rule", false),
        text("table", false),
        text("key", false),
        text("column", true),
        text("reason", false),
        text("cause_table", true),
        text("cause_key", true),
        text("cause_column", true),
        text("cause_reason", true),
    ]);
    let batches = account.rejects.chunks(BATCH).map(|rows| {
        let strings = |of: &dyn Fn(&RejectedRow) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        vec![
            strings(&|row| Some(row.rule.clone())),
            strings(&|row| Some(row.table.clone())),
            strings(&|row| Some(key_json(&row.reject.key, Values::Masked))),
            strings(&|row| Some(row.reject.column.clone()).filter(|column| !column.is_empty())),
            strings(&|row| Some(row.reject.reason.clone())),
            strings(&|row| row.reject.cause.as_ref().map(|cause| cause.table.clone())),
            strings(&|row| row.reject.cause.as_ref().map(|cause| key_json(&cause.key, Values::Masked))),
            strings(&|row| row.reject.cause.as_ref().map(|cause| cause.column.clone())),
            strings(&|row| row.reject.cause.as_ref().map(|cause| cause.reason.clone())),
        ]
    });
    encode(schema, batches)
}

/// `accounting.parquet`, one row a rule, with the counts of `summary.json`.
///
/// # Errors
/// When the file cannot be encoded.
pub fn accounting_parquet(account: &Account) -> Result<Vec<u8>, ReportError> {
    type Number = (&'static str, fn(&RuleAccount) -> u64);
    const NUMBERS: [Number; 8] = [
        ("read", |r| r.counts.read),
        ("loaded", |r| r.counts.loaded),
        ("rejected", |r| r.counts.rejected),
        ("filtered", |r| r.counts.filtered),
        ("kept", |r| r.counts.kept),
        ("updated", |r| r.counts.updated),
        ("repaired", |r| r.repaired),
        ("computed", |r| r.computed),
    ];
    let rules = &account.rules;
    let mut fields = vec![
        Field::new("rule", DataType::Utf8, false),
        Field::new("from", DataType::Utf8, true),
        Field::new("to", DataType::Utf8, false),
        Field::new("counted", DataType::UInt64, true),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(rules.iter().map(|r| Some(r.rule.as_str())).collect::<StringArray>()),
        Arc::new(rules.iter().map(|r| r.from.as_deref()).collect::<StringArray>()),
        Arc::new(rules.iter().map(|r| Some(r.to.as_str())).collect::<StringArray>()),
        Arc::new(rules.iter().map(|r| r.counted).collect::<UInt64Array>()),
    ];
    for (name, number) in NUMBERS {
        fields.push(Field::new(name, DataType::UInt64, false));
        columns.push(Arc::new(rules.iter().map(|r| Some(number(r))).collect::<UInt64Array>()));
    }
    encode(Schema::new(fields), std::iter::once(columns))
}

/// `differences.parquet`, one row a cell that differs (or a row, where the whole row does): table, rule, kind, key (JSON text),
/// column, from, to (values masked unless they were asked for), how often each side has the row, what explains it, and more.
///
/// # Errors
/// When the file cannot be encoded.
pub fn differences_parquet(found: &Verification, values: Values) -> Result<Vec<u8>, ReportError> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let schema = Schema::new(vec![
        text("table", false),
        text("rule", true),
        text("kind", false),
        text("key", false),
        text("column", true),
        text("from", true),
        text("to", true),
        Field::new("from_times", DataType::UInt64, false),
        Field::new("to_times", DataType::UInt64, false),
        text("explained", true),
        text("why", true),
    ]);
    type Line<'a> = (&'a Difference, Option<&'a CellDifference>);
    let lines: Vec<Line<'_>> = found
        .differences
        .iter()
        .flat_map(|difference| -> Vec<Line<'_>> {
            match difference.cells.as_slice() {
                [] => vec![(difference, None)],
                cells => cells.iter().map(|cell| (difference, Some(cell))).collect(),
            }
        })
        .collect();
    let batches = lines.chunks(BATCH).map(|lines| {
        let strings = |of: &dyn Fn(&Line<'_>) -> Option<String>| -> ArrayRef {
            Arc::new(lines.iter().map(of).collect::<StringArray>())
        };
        let numbers = |of: &dyn Fn(&Difference) -> u64| -> ArrayRef {
            Arc::new(lines.iter().map(|(difference, _)| Some(of(difference))).collect::<UInt64Array>())
        };
        let masked = |cell: &CellDifference, of: &Option<String>| {
            of.as_ref().map(|text| value(&cell.column, text, values).to_string())
        };
        vec![
            strings(&|(d, _)| Some(d.table.clone())),
            strings(&|(d, _)| d.rule.clone()),
            strings(&|(d, _)| Some(d.kind.name().to_owned())),
            strings(&|(d, _)| Some(key_json(&d.key, values))),
            strings(&|(_, cell)| cell.map(|cell| cell.column.clone())),
            strings(&|(_, cell)| cell.and_then(|cell| masked(cell, &cell.from))),
            strings(&|(_, cell)| cell.and_then(|cell| masked(cell, &cell.to))),
            numbers(&|d| d.from_times),
            numbers(&|d| d.to_times),
            strings(&|(d, _)| d.explained.clone()),
            strings(&|(d, _)| d.why.clone()),
        ]
    });
    encode(schema, batches)
}

/// `differences.parquet` of a comparison of two schemas, one row a difference: kind, change, object, part, called, a, b, fit,
/// guessed, sure (percent), why and diff, as in JSON.
///
/// # Errors
/// When the file cannot be encoded.
pub fn schema_differences_parquet(found: &Comparison) -> Result<Vec<u8>, ReportError> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let schema = Schema::new(vec![
        text("kind", false),
        text("change", false),
        text("object", false),
        text("part", true),
        text("called", true),
        text("a", true),
        text("b", true),
        text("fit", true),
        Field::new("guessed", DataType::Boolean, false),
        Field::new("sure", DataType::UInt8, true),
        text("why", true),
        text("diff", true),
    ]);
    let batches = found.differences.chunks(BATCH).map(|rows| {
        let strings = |of: &dyn Fn(&compare::Difference) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        let guessed: ArrayRef = Arc::new(rows.iter().map(|d| Some(d.guessed)).collect::<BooleanArray>());
        let sure: ArrayRef = Arc::new(rows.iter().map(|d| d.sure).collect::<UInt8Array>());
        vec![
            strings(&|d| Some(d.kind.name())),
            strings(&|d| Some(d.change.name())),
            strings(&|d| Some(&d.object)),
            strings(&|d| d.part.as_deref()),
            strings(&|d| d.called.as_deref()),
            strings(&|d| d.a.as_deref()),
            strings(&|d| d.b.as_deref()),
            strings(&|d| d.fit.map(compare::Fit::name)),
            guessed,
            sure,
            strings(&|d| d.why.as_deref()),
            strings(&|d| d.diff.as_deref()),
        ]
    });
    encode(schema, batches)
}

/// `profile.parquet`, one row a column of the database: table, column, type, kind, roles, rows, nulls, blank, distinct, distinct_exact,
/// uniqueness, repeated, min, max, length_min, length_mean, length_max, zero, negative, not_a_number, quartile_1, median, quartile_3,
/// with_time, shape_count, most, counts_off_by, and as JSON text roles, shapes and top. Values are masked unless they were asked for.
///
/// # Errors
/// When the file cannot be encoded.
pub fn profile_parquet(found: &Profile, values: Values) -> Result<Vec<u8>, ReportError> {
    type Line<'a> = (&'a TableProfile, Seen<'a>);
    type Number = (&'static str, fn(&Line<'_>) -> Option<u64>);
    type Text = (&'static str, fn(&Line<'_>) -> Option<String>);
    const TEXTS: [Text; 14] = [
        ("schema", |(table, _)| Some(table.table.schema.clone())),
        ("table", |(table, _)| Some(table.table.name.clone())),
        ("column", |(_, seen)| Some(seen.column.column.clone())),
        ("type", |(_, seen)| Some(seen.column.data_type.clone())),
        ("kind", |(_, seen)| Some(seen.column.kind.word().to_owned())),
        ("roles", |(_, seen)| Some(seen.column.roles.iter().map(KeyRole::words).collect::<Vec<_>>().join(", "))),
        ("uniqueness", |(_, seen)| Some(profile::uniqueness(seen.column).0.to_owned())),
        ("min", |(_, seen)| seen.min().map(|value| value.to_string())),
        ("max", |(_, seen)| seen.max().map(|value| value.to_string())),
        ("quartile_1", |(_, seen)| seen.quartiles().map(|[low, _, _]| low)),
        ("median", |(_, seen)| seen.quartiles().map(|[_, half, _]| half)),
        ("quartile_3", |(_, seen)| seen.quartiles().map(|[_, _, high]| high)),
        ("shapes", |(_, seen)| Some(profile::shapes(seen).to_string())),
        ("top", |(_, seen)| Some(profile::top(seen).to_string())),
    ];
    const NUMBERS: [Number; 14] = [
        ("rows", |(_, seen)| Some(seen.column.rows)),
        ("nulls", |(_, seen)| Some(seen.column.nulls)),
        ("blank", |(_, seen)| seen.column.blank),
        ("distinct", |(_, seen)| Some(seen.column.distinct.number)),
        ("repeated", |(_, seen)| profile::uniqueness(seen.column).1),
        ("length_min", |(_, seen)| seen.lengths().map(|l| l.min)),
        ("length_max", |(_, seen)| seen.lengths().map(|l| l.max)),
        ("zero", |(_, seen)| seen.column.numbers.as_ref().map(|n| n.zero)),
        ("negative", |(_, seen)| seen.column.numbers.as_ref().map(|n| n.negative)),
        ("not_a_number", |(_, seen)| seen.column.numbers.as_ref().map(|n| n.not_a_number)),
        ("with_time", |(_, seen)| seen.column.with_time),
        ("shape_count", |(_, seen)| Some(seen.column.shape_count)),
        ("most", |(_, seen)| Some(seen.column.most)),
        ("counts_off_by", |(_, seen)| Some(seen.column.counts_off_by)),
    ];
    let mut fields: Vec<Field> = TEXTS.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    fields.extend(NUMBERS.iter().map(|(name, _)| Field::new(*name, DataType::UInt64, true)));
    fields.push(Field::new("distinct_exact", DataType::Boolean, false));
    fields.push(Field::new("length_mean", DataType::Float64, true));
    let lines: Vec<Line<'_>> = found.columns().map(|(table, column)| (table, Seen::new(column, values))).collect();
    let batches = lines.chunks(BATCH).map(|lines| {
        let texts = TEXTS.iter().map(|(_, of)| Arc::new(lines.iter().map(of).collect::<StringArray>()) as ArrayRef);
        let numbers = NUMBERS.iter().map(|(_, of)| Arc::new(lines.iter().map(of).collect::<UInt64Array>()) as ArrayRef);
        let mut columns: Vec<ArrayRef> = texts.chain(numbers).collect();
        let exact = lines.iter().map(|(_, seen)| Some(seen.column.distinct.exact));
        columns.push(Arc::new(exact.collect::<BooleanArray>()));
        columns.push(Arc::new(lines.iter().map(|(_, seen)| seen.lengths().map(|l| l.mean)).collect::<Float64Array>()));
        columns
    });
    encode(Schema::new(fields), batches)
}

fn encode(schema: Schema, batches: impl Iterator<Item = Vec<ArrayRef>>) -> Result<Vec<u8>, ReportError> {
    let schema = Arc::new(schema);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_created_by("imis".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
    for columns in batches {
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::UInt64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    use super::*;
    use crate::sample;

    fn read(bytes: Vec<u8>) -> RecordBatch {
        let batches: Vec<RecordBatch> =
            ParquetRecordBatchReader::try_new(parquet_bytes(bytes), 100_000).unwrap().map(Result::unwrap).collect();
        match batches.first() {
            Some(first) => arrow::compute::concat_batches(&first.schema(), &batches).unwrap(),
            None => RecordBatch::new_empty(Arc::new(Schema::empty())),
        }
    }

    fn parquet_bytes(bytes: Vec<u8>) -> bytes::Bytes {
        bytes::Bytes::from(bytes)
    }

    #[test]
    fn rejects_come_back_masked() {
        let batch = read(rejects_parquet(&sample::account()).unwrap());
        let last = batch.num_rows() - 1;
        let cell =
            |column: &str, row: usize| batch.column_by_name(column).unwrap().as_string::<i32>().value(row).to_owned();
        assert_eq!(batch.num_rows(), 13);
        assert_eq!(cell("key", 0), r#"{"ClaimID":"1"}"#);
        assert_eq!(cell("key", last), r#"{"Code":"***"}"#);
        assert_eq!(cell("rule", last), "genders");
        assert_eq!(cell("reason", 0), "it names no row of tblICDCodes");
    }

    #[test]
    fn many_rejects_come_back_all_and_none_are_a_file_too() {
        let mut account = sample::account();
        let mut one = account.rejects[0].clone();
        one.reject.column.clear();
        account.rejects = vec![one; BATCH + 1];
        let batch = read(rejects_parquet(&account).unwrap());
        assert_eq!((batch.num_rows(), batch.column_by_name("column").unwrap().null_count()), (BATCH + 1, BATCH + 1));
        account.rejects.clear();
        assert_eq!(read(rejects_parquet(&account).unwrap()).num_rows(), 0);
    }

    #[test]
    fn differences_come_back_a_row_a_cell_and_masked() {
        use crate::mask::Values;
        let found = sample::verification();
        let cell = |batch: &RecordBatch, column: &str, row: usize| {
            let column = batch.column_by_name(column).unwrap().as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let batch = read(differences_parquet(&found, Values::Masked).unwrap());
        assert_eq!(batch.num_rows(), 6);
        assert_eq!(cell(&batch, "column", 0).as_deref(), Some("Claimed"));
        assert_eq!(cell(&batch, "from", 0).as_deref(), Some("***"));
        assert_eq!(cell(&batch, "to", 2), None);
        assert_eq!(cell(&batch, "explained", 5).as_deref(), Some("rejected"));
        let batch = read(differences_parquet(&found, Values::Shown).unwrap());
        assert_eq!(cell(&batch, "from", 0).as_deref(), Some("100.00"));
        assert_eq!(cell(&batch, "from", 1).as_deref(), Some("***"), "secrets are never shown");
    }

    #[test]
    fn differences_of_schemas_come_back() {
        let found = sample::comparison();
        let batch = read(schema_differences_parquet(&found).unwrap());
        assert_eq!(batch.num_rows(), found.differences.len());
        let kinds = batch.column_by_name("kind").unwrap().as_string::<i32>().clone();
        assert!(kinds.iter().flatten().eq(found.differences.iter().map(|d| d.kind.name())));
        let equal = compare::Comparison { differences: Vec::new(), ..found };
        assert_eq!(read(schema_differences_parquet(&equal).unwrap()).num_rows(), 0);
    }

    #[test]
    fn the_accounting_has_a_row_a_rule() {
        let batch = read(accounting_parquet(&sample::account()).unwrap());
        let numbers = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<UInt64Type>().clone();
        assert_eq!(numbers("read").values(), &[25_000, 1_234_567, 4, 0, 0]);
        assert_eq!(numbers("computed").value(4), 40);
        assert!(numbers("counted").is_null(4) && batch.column_by_name("from").unwrap().is_null(4));
    }
}
