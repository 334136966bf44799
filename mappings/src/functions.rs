//! The functions that mappings have beside DataFusion's own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use uuid::Uuid;

/// The place where expressions and queries of mappings are planned and run.
pub(crate) fn session(namespace: Uuid) -> SessionContext {
    imis_databases::query::session(all(namespace))
}

/// All functions, with `namespace` for `stable_uuid`.
fn all(namespace: Uuid) -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(StableUuid { namespace, signature: Signature::variadic_any(Volatility::Immutable) }),
        ScalarUDF::from(JsonObject { signature: Signature::variadic_any(Volatility::Immutable) }),
        ScalarUDF::from(Hyphenated { signature: Signature::any(1, Volatility::Immutable) }),
    ]
}

/// `stable_uuid(text, value, ...)`: a UUID (version 5) of the values in the namespace of this country: the same on every
/// run, another one in another country. NULL when a value is NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct StableUuid {
    namespace: Uuid,
    signature: Signature,
}

impl ScalarUDFImpl for StableUuid {
    fn name(&self) -> &str {
        "stable_uuid"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args)?;
        let rows = args.number_rows;
        let mut out = StringBuilder::with_capacity(rows, rows * 36);
        let mut name = String::new();
        for row in 0..rows {
            name.clear();
            let mut complete = !texts.is_empty();
            for (at, text) in texts.iter().enumerate() {
                if text.is_null(row) {
                    complete = false;
                    break;
                }
                if at > 0 {
                    // A unit separator keeps ('a', 'bc') and ('ab', 'c') apart.
                    name.push('\u{1f}');
                }
                name.push_str(text.value(row));
            }
            if complete {
                out.append_value(Uuid::new_v5(&self.namespace, name.as_bytes()).to_string());
            } else {
                out.append_null();
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// `json_object(key, value, ...)`: a JSON object as text. Keys with a NULL value are left out; NULL when nothing is left.
/// `json_object(object, key, value, ...)` adds to an object, which may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonObject {
    signature: Signature,
}

impl ScalarUDFImpl for JsonObject {
    fn name(&self) -> &str {
        "json_object"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args)?;
        let (base, texts) = match texts.split_first() {
            Some((base, rest)) if rest.len().is_multiple_of(2) => (Some(base), rest),
            _ => (None, texts.as_slice()),
        };
        if texts.is_empty() {
            return exec_err!("json_object takes keys and values in turn");
        }
        let of_pairs = args.arg_fields.iter().skip(usize::from(base.is_some()));
        let kinds: Vec<DataType> = of_pairs.map(|f| f.data_type().clone()).collect();
        let mut out = StringBuilder::new();
        for row in 0..args.number_rows {
            let mut object =
                match base.filter(|base| !base.is_null(row)).map(|base| serde_json::from_str(base.value(row))) {
                    None => serde_json::Map::new(),
                    Some(Ok(serde_json::Value::Object(object))) => object,
                    Some(_) => return exec_err!("the text that json_object adds to is no JSON object"),
                };
            for (pair, kind) in texts.chunks_exact(2).zip(kinds.iter().skip(1).step_by(2)) {
                let [key, value] = pair else { continue };
                if !key.is_null(row) && !value.is_null(row) {
                    object.insert(key.value(row).to_owned(), json_value(value.value(row), kind));
                }
            }
            if object.is_empty() {
                out.append_null();
            } else {
                out.append_value(serde_json::Value::Object(object).to_string());
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// `hyphenated(text)`: a UUID in lower case and with its hyphens, however it was written: Django keeps them on SQL Server as 32
/// digits. NULL stays NULL; what is no UUID stays as it is, and is met where it goes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hyphenated {
    signature: Signature,
}

impl ScalarUDFImpl for Hyphenated {
    fn name(&self) -> &str {
        "hyphenated"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args)?;
        let Some(texts) = texts.first() else { return exec_err!("hyphenated takes one text") };
        let out = texts.iter().map(|text| {
            let text = text?;
            Some(text.trim().parse::<Uuid>().map_or_else(|_| text.to_owned(), |uuid| uuid.to_string()))
        });
        Ok(ColumnarValue::Array(Arc::new(out.collect::<StringArray>())))
    }
}

/// A value as JSON: an object or array made by `json_object` nests, whole numbers and truth values are such, all else is
/// text (a decimal as a JSON number would lose its digits in most readers).
fn json_value(text: &str, kind: &DataType) -> serde_json::Value {
    let parsed = || serde_json::from_str(text).ok();
    match kind {
        DataType::Boolean => serde_json::Value::Bool(text == "true"),
        kind if kind.is_integer() => parsed().unwrap_or_else(|| text.into()),
        DataType::Utf8 if text.starts_with('{') => parsed().unwrap_or_else(|| text.into()),
        _ => text.into(),
    }
}

fn texts(args: &ScalarFunctionArgs) -> Result<Vec<StringArray>> {
    args.args
        .iter()
        .map(|value| {
            let array = value.to_array(args.number_rows)?;
            Ok(arrow::compute::cast(&array, &DataType::Utf8)?.as_string::<i32>().clone())
        })
        .collect()
}

/// A value for a message or a key, as text; `None` for NULL. Used for keys of rejected rows.
pub(crate) fn cell_text(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_owned()),
        DataType::Decimal128(..) => Some(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Timestamp(..) => Some(array.as_primitive::<TimestampMicrosecondType>().value(row).to_string()),
        _ => arrow::util::display::array_value_to_string(array, row).ok(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::{Field, Schema};
    use arrow::record_batch::RecordBatch;
    use imis_databases::query::expression::{Expression, ExpressionError};

    use super::*;

    fn batch() -> RecordBatch {
        let fields = [("feedbackid", DataType::Int32), ("name", DataType::Utf8)];
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec();
        let numbers = Int32Array::from(vec![Some(0), Some(7), Some(i32::MAX)]);
        let names = StringArray::from(vec![Some("a "), None, Some("c")]);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(numbers), Arc::new(names)]).unwrap()
    }

    fn typed(sql: &str) -> Result<Expression, ExpressionError> {
        Expression::new(&session(Uuid::nil()), sql, &batch().schema())
    }

    #[test]
    fn uuids_are_stable_and_json_leaves_nulls_out() {
        let mut failed = Vec::new();
        let once = typed("stable_uuid('tblClaim', FeedbackID)").unwrap().evaluate(&batch(), &mut failed);
        let again = typed("stable_uuid('tblClaim', FeedbackID)").unwrap().evaluate(&batch(), &mut failed);
        assert_eq!(&once, &again);
        assert_ne!(once.as_string::<i32>().value(0), once.as_string::<i32>().value(1));
        let json = typed("json_object('legacy', json_object('id', FeedbackID, 'n', name))").unwrap();
        let json = json.evaluate(&batch(), &mut failed);
        assert_eq!(json.as_string::<i32>().value(1), r#"{"legacy":{"id":7}}"#);
        // An odd number of arguments adds to an object; what is none fails its row.
        let added = "json_object(json_object('a', name), 'np', json_object('id', FeedbackID))";
        let added = typed(added).unwrap().evaluate(&batch(), &mut failed);
        assert_eq!(added.as_string::<i32>().value(1), r#"{"np":{"id":7}}"#);
        assert_eq!(added.as_string::<i32>().value(2), r#"{"a":"c","np":{"id":2147483647}}"#);
        typed("json_object(name, 'np', FeedbackID)").unwrap().evaluate(&batch(), &mut failed);
        assert_eq!(failed.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 2]);
    }
}
