//! Expressions of mappings and checks: SQL, parsed and typed before a row moves, evaluated batch by batch.
//!
//! Names are written in any case. Inside, every name is lower case: the schema that an expression sees is made of the
//! lower-case names of the columns, and DataFusion lower-cases what is not quoted; what is quoted we lower-case here.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use imis_schemas::{Engine, Table};

use crate::error::{Error, ErrorKind};

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpressionError {
    /// It names a column that is not there: the name, as it was written.
    UnknownColumn(String),
    /// Anything else.
    Wrong(String),
}

/// A typed expression over the columns of one table.
#[derive(Clone, Debug)]
pub struct Expression {
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

/// The schema that expressions over a table see: the lower-case names of its columns, with their Arrow types.
pub fn schema_of(table: &Table, engine: Engine, columns: &[String]) -> SchemaRef {
    let fields = columns.iter().filter_map(|name| {
        table.column(name).map(|c| Field::new(c.name.to_lowercase(), c.data_type(engine).arrow(), true))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Lower-cases quoted identifiers, so that they meet the lower-case names of our schemas.
pub fn fold_names(sql: &str) -> Result<String, ExpressionError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .with_unescape(false)
        .tokenize()
        .map_err(|e| ExpressionError::Wrong(e.to_string()))?;
    Ok(tokens
        .into_iter()
        .map(|token| match token {
            Token::Word(mut word) if word.quote_style.is_some() => {
                word.value = word.value.to_lowercase();
                Token::Word(word).to_string()
            }
            // The tokenizer has read these, and prints them as they were not written.
            Token::EscapedStringLiteral(text) => {
                format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            other => other.to_string(),
        })
        .collect())
}

/// The names of the columns that an expression uses, in lower case.
pub fn columns_used(
    context: &SessionContext,
    sql: &str,
    schema: &SchemaRef,
) -> Result<HashSet<String>, ExpressionError> {
    let (expr, _) = parse(context, sql, schema)?;
    Ok(expr.column_refs().into_iter().map(|c| c.name.clone()).collect())
}

fn parse(context: &SessionContext, sql: &str, schema: &SchemaRef) -> Result<(Expr, DFSchema), ExpressionError> {
    let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(|e| trouble(&e))?;
    let expr = context.parse_sql_expr(&fold_names(sql)?, &schema).map_err(|e| trouble(&e))?;
    Ok((expr, schema))
}

/// What a failure to plan says of the expression.
pub fn trouble(error: &DataFusionError) -> ExpressionError {
    let root = error.find_root();
    if let DataFusionError::SchemaError(inner, _) = root
        && let datafusion::common::SchemaError::FieldNotFound { field, .. } = inner.as_ref()
    {
        return ExpressionError::UnknownColumn(field.name.clone());
    }
    let text = root.strip_backtrace();
    let text = text.lines().next().unwrap_or_default();
    let plain = ["Error during planning: ", "SQL error: ", "Execution error: ", "Arrow error: "];
    let within = ["ParserError(\"", "TokenizerError(\""].iter().find_map(|prefix| text.split_once(prefix));
    if let Some((_, said)) = within {
        let said = said.strip_suffix("\")").unwrap_or(said);
        return ExpressionError::Wrong(format!("the SQL cannot be read: {said}"));
    }
    ExpressionError::Wrong(plain.iter().fold(text, |t, prefix| t.strip_prefix(prefix).unwrap_or(t)).to_owned())
}

/// What is said of a query of a mapping that failed, as [`failed`] says it.
pub fn query_failed(of: &str, error: &DataFusionError) -> Error {
    failed(&format!("the query of {of}"), error)
}

/// What is said when a query failed. Where a database failed behind it, the error is still that database's.
///
/// What is wrong with the query itself is told as it is. What went wrong while it ran is not: such texts quote the values that
/// they stumbled over.
pub fn failed(what: &str, error: &DataFusionError) -> Error {
    let root = error.find_root();
    if let Some(own) = own_error(root) {
        let mut told = Error::new(own.kind(), format!("{what} failed: {own}")).passing_if(own.is_passing());
        if let Some(cause) = std::error::Error::source(own) {
            told = told.caused_by(cause.to_string());
        }
        return match own.help() {
            Some(help) => told.with_help(help),
            None => told,
        };
    }
    let said = match root {
        DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_) => match trouble(error) {
            ExpressionError::Wrong(text) => text,
            ExpressionError::UnknownColumn(name) => format!("no column {name}"),
        },
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => {
            let message = format!("{what} failed: a value cannot be converted, or arithmetic fails");
            return Error::new(ErrorKind::Data, message).with_help(
                "Which value it is stays unsaid. Look for casts, divisions and sums; try_cast gives NULL where cast fails.",
            );
        }
        DataFusionError::ResourcesExhausted(_) => "it needs more memory than it may have".to_owned(),
        DataFusionError::IoError(error) => format!("a file cannot be read or written ({})", error.kind()),
        _ => "the query engine gave it up".to_owned(),
    };
    Error::failed(format!("{what} failed: {said}"))
}

/// The error of ours behind one of a query, if it is one.
fn own_error(root: &DataFusionError) -> Option<&Error> {
    use arrow::error::ArrowError;
    match root {
        DataFusionError::External(inner) => inner.downcast_ref(),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::ExternalError(inner) => inner.downcast_ref(),
            _ => None,
        },
        _ => None,
    }
}

impl Expression {
    /// Types an expression over a schema whose names are lower case.
    ///
    /// Nothing is coerced between text, numbers, truth values and times behind the author's back, and whole-number
    /// arithmetic that overflows is an error of its row.
    pub fn new(context: &SessionContext, sql: &str, schema: &SchemaRef) -> Result<Self, ExpressionError> {
        let (expr, df_schema) = parse(context, sql, schema)?;
        let simplifier =
            ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::new(df_schema.clone())).build());
        let coerced = simplifier.coerce(expr.clone(), &df_schema).map_err(|e| trouble(&e))?;
        refuse_coercion(&expr, &coerced, &df_schema)?;
        refuse_overflow(context, &coerced, &df_schema)?;
        // Some functions (coalesce) exist for the planner only, until they are simplified.
        let simple = simplifier.simplify(coerced).map_err(|e| trouble(&e))?;
        let physical = context.create_physical_expr(simple, &df_schema).map_err(|e| trouble(&e))?;
        let physical = physical.transform_up(checked).map_err(|e| trouble(&e))?.data;
        let data_type = physical.data_type(schema).map_err(|e| trouble(&e))?;
        Ok(Expression { physical, data_type })
    }

    /// The type of its values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The columns that it uses, in lower case.
    pub fn columns(&self) -> HashSet<String> {
        collect_columns(&self.physical).into_iter().map(|column| column.name().to_owned()).collect()
    }

    /// The same expression over another schema that has its columns, at whatever places.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn over(&self, schema: &SchemaRef) -> Result<Self, ExpressionError> {
        let physical = reassign_expr_columns(Arc::clone(&self.physical), schema).map_err(|e| trouble(&e))?;
        Ok(Expression { physical, data_type: self.data_type.clone() })
    }

    /// The column that it is, in lower case, if it is nothing but a column.
    pub fn plain_column(&self) -> Option<&str> {
        let any: &dyn std::any::Any = self.physical.as_ref();
        any.downcast_ref::<datafusion::physical_expr::expressions::Column>().map(|column| column.name())
    }

    /// Evaluates it over a batch. Rows in which it fails (an overflow, a division by zero, a text that is no number) are
    /// NULL and named in `failed`.
    pub fn evaluate(&self, batch: &RecordBatch, failed: &mut Vec<(usize, String)>) -> ArrayRef {
        match self.array(batch) {
            Ok(array) => array,
            Err(_) => self.by_row(batch, failed),
        }
    }

    fn array(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        self.physical.evaluate(batch)?.into_array(batch.num_rows())
    }

    /// Halves the batch down to the rows that fail.
    fn by_row(&self, batch: &RecordBatch, failed: &mut Vec<(usize, String)>) -> ArrayRef {
        let mut parts: Vec<ArrayRef> = Vec::new();
        let mut stack = vec![(0, batch.num_rows())];
        while let Some((from, count)) = stack.pop() {
            match self.array(&batch.slice(from, count)) {
                Ok(array) => parts.push(array),
                Err(error) if count <= 1 => {
                    let reason = match trouble(&error) {
                        // The message of a failed cast quotes the value; what kind of failure it is must be enough.
                        ExpressionError::Wrong(text) if text.contains("verflow") => "the arithmetic overflows",
                        ExpressionError::Wrong(text) if text.contains("ivide") => "it divides by zero",
                        _ => "the expression cannot be evaluated",
                    };
                    failed.push((from, reason.to_owned()));
                    parts.push(arrow::array::new_null_array(&self.data_type, count));
                }
                Err(_) => {
                    let half = count / 2;
                    stack.push((from + half, count - half));
                    stack.push((from, half));
                }
            }
        }
        let parts = parts.iter().map(|a| a.as_ref()).collect::<Vec<_>>();
        arrow::compute::concat(&parts)
            .unwrap_or_else(|_| arrow::array::new_null_array(&self.data_type, batch.num_rows()))
    }
}

/// Makes arithmetic on whole numbers fail on overflow instead of wrapping.
fn checked(expr: Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>, DataFusionError> {
    let any: &dyn std::any::Any = expr.as_ref();
    if let Some(binary) = any.downcast_ref::<BinaryExpr>()
        && matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply)
    {
        let checked = BinaryExpr::new(Arc::clone(binary.left()), *binary.op(), Arc::clone(binary.right()))
            .with_fail_on_overflow(true);
        return Ok(Transformed::yes(Arc::new(checked)));
    }
    Ok(Transformed::no(expr))
}

/// Refuses arithmetic and casts of literals that cannot be carried out: they would fail in every row.
fn refuse_overflow(context: &SessionContext, coerced: &Expr, schema: &DFSchema) -> Result<(), ExpressionError> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).ok();
    let mut refused = None;
    let _ = coerced.apply(|e| {
        if let Expr::BinaryExpr(binary) = e
            && matches!(binary.op, Operator::Divide | Operator::Modulo)
            && is_nought(&binary.right)
        {
            refused = Some(format!("`{}` divides by zero in every row", e.human_display()));
            return Ok(TreeNodeRecursion::Stop);
        }
        let arithmetic = matches!(e, Expr::BinaryExpr(_) | Expr::Cast(_) | Expr::Negative(_));
        if !arithmetic || !e.column_refs().is_empty() {
            return Ok(TreeNodeRecursion::Continue);
        }
        let physical = context.create_physical_expr(e.clone(), schema).and_then(|p| Ok(p.transform_up(checked)?.data));
        if let (Ok(physical), Some(one)) = (physical, &one)
            && let Err(error) = physical.evaluate(one)
        {
            let text = error.strip_backtrace();
            let why = if text.contains("ivide") { "divides by zero" } else { "does not fit its type" };
            refused = Some(format!("`{}` {why} in every row", e.human_display()));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Jump)
    });
    refused.map_or(Ok(()), |text| Err(ExpressionError::Wrong(text)))
}

/// Whether an expression is the number zero.
fn is_nought(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    let zero = datafusion::common::ScalarValue::new_zero(&value.data_type());
    value.data_type().is_numeric() && zero.is_ok_and(|zero| zero == *value)
}

/// The families between which nothing is coerced.
#[derive(PartialEq)]
enum Family {
    Text,
    Number,
    Truth,
    Time,
    Other,
}

fn family(data_type: &DataType) -> Family {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Boolean => Family::Truth,
        t if t.is_numeric() => Family::Number,
        t if t.is_temporal() => Family::Time,
        _ => Family::Other,
    }
}

/// A type in the words of somebody who writes mappings and checks.
pub fn plainly(data_type: &DataType) -> String {
    match data_type {
        t if family(t) == Family::Text => "text".to_owned(),
        t if t.is_integer() => "a whole number".to_owned(),
        t if family(t) == Family::Number => "a number".to_owned(),
        DataType::Boolean => "a truth value".to_owned(),
        DataType::Date32 => "a date".to_owned(),
        t if family(t) == Family::Time => "a time".to_owned(),
        DataType::Binary => "bytes".to_owned(),
        other => other.to_string(),
    }
}

/// Refuses casts that the author did not write and that change the family of a value.
fn refuse_coercion(written: &Expr, coerced: &Expr, schema: &DFSchema) -> Result<(), ExpressionError> {
    use datafusion::logical_expr::ExprSchemable;
    let mut own = HashSet::new();
    let _ = written.apply(|e| {
        if matches!(e, Expr::Cast(_) | Expr::TryCast(_)) {
            own.insert(e.schema_name().to_string());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    let mut refused = None;
    let _ = coerced.apply(|e| {
        if let Expr::Cast(cast) = e
            && !own.contains(&e.schema_name().to_string())
            && !matches!(cast.expr.as_ref(), Expr::Literal(..))
            && let (Ok(from), Ok(to)) = (cast.expr.get_type(schema), e.get_type(schema))
            && family(&from) != Family::Other
            && from != DataType::Null
            && family(&from) != family(&to)
        {
            refused = Some((cast.expr.schema_name().to_string(), from, to));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match refused {
        None => Ok(()),
        Some((what, from, to)) => Err(ExpressionError::Wrong(format!(
            "`{what}` is {} and would silently become {}; write a cast if that is meant",
            plainly(&from),
            plainly(&to)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::session;
    use arrow::array::{Array, AsArray, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;

    fn batch() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("feedbackid", DataType::Int32, true),
            Field::new("max age", DataType::Int32, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(Int32Array::from(vec![Some(0), Some(7), Some(i32::MAX)])),
                Arc::new(Int32Array::from(vec![1, 2, 0])),
                Arc::new(StringArray::from(vec![Some("a "), None, Some("c")])),
            ],
        )
        .unwrap()
    }

    fn typed(sql: &str) -> Result<Expression, ExpressionError> {
        Expression::new(&session(Vec::new()), sql, &batch().schema())
    }

    #[test]
    fn names_in_any_case_and_quoted() {
        let mut failed = Vec::new();
        let array = typed("nullif(FeedbackID, 0)").unwrap().evaluate(&batch(), &mut failed);
        assert!(array.is_null(0) && !array.is_null(1));
        assert!(typed("\"Max Age\" + 1").is_ok());
        assert_eq!(typed("FeedbackIDs").unwrap_err(), ExpressionError::UnknownColumn("feedbackids".into()));
    }

    #[test]
    fn nothing_is_coerced_between_text_and_number() {
        assert!(matches!(typed("coalesce(FeedbackID, name)"), Err(ExpressionError::Wrong(_))));
        assert!(matches!(typed("case when FeedbackID = name then 1 end"), Err(ExpressionError::Wrong(_))));
        assert!(typed("coalesce(cast(FeedbackID as varchar), name)").is_ok());
    }

    #[test]
    fn a_row_that_fails_is_named_and_the_others_come_through() {
        let mut failed = Vec::new();
        let array = typed("FeedbackID + cast(1 as int)").unwrap().evaluate(&batch(), &mut failed);
        assert_eq!(failed, [(2, "the arithmetic overflows".to_owned())]);
        assert_eq!(array.as_primitive::<Int32Type>().value(1), 8);
        let mut failed = Vec::new();
        typed("FeedbackID / \"Max Age\"").unwrap().evaluate(&batch(), &mut failed);
        assert_eq!(failed, [(2, "it divides by zero".to_owned())]);
    }
}
