//! The type of a computed column, as far as its expression tells it without a server.

use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::data_type::{DataType, Length};
use crate::name::Engine;

/// The type of an expression as a server spells it; `of` gives the types of columns. `None` where only a server can say.
pub(super) fn data_type(expression: &str, of: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut parser = Parser::new(&MsSqlDialect {}).try_with_sql(expression).ok()?;
    let parsed = parser.parse_expr().ok().filter(|_| parser.peek_token().token == Token::EOF)?;
    Some(type_of(&parsed, of)?.sql(Engine::Mssql))
}

fn parsed(text: &str) -> DataType {
    DataType::parse(Engine::Mssql, &text.replace(['[', ']'], "").replace(", ", ","))
}

fn type_of(expression: &Expr, of: &dyn Fn(&str) -> Option<String>) -> Option<DataType> {
    match expression {
        Expr::Nested(inner) => type_of(inner, of),
        Expr::Identifier(name) => Some(parsed(&of(&name.value)?)),
        Expr::UnaryOp { expr, .. } => type_of(expr, of),
        Expr::Value(literal) => match &literal.value {
            Value::Number(text, _) => {
                let text = text.to_string();
                if text.parse::<i32>().is_ok() {
                    return Some(DataType::Int);
                }
                let (whole, fraction) = text.split_once('.')?;
                let digits = |text: &str| u8::try_from(text.trim_start_matches('0').len().max(1)).ok();
                let scale = u8::try_from(fraction.len()).ok()?;
                let precision = digits(whole)?.checked_add(scale).filter(|precision| *precision <= 38)?;
                Some(DataType::Decimal { precision, scale: i8::try_from(scale).ok()? })
            }
            Value::SingleQuotedString(text) => Some(DataType::VarChar(length(text))),
            Value::NationalStringLiteral(text) => Some(DataType::NVarChar(length(text))),
            _ => None,
        },
        Expr::Cast { data_type, .. } => Some(parsed(&data_type.to_string())),
        Expr::Convert { data_type: Some(data_type), .. } => Some(parsed(&data_type.to_string())),
        Expr::BinaryOp { left, op, right } => meet(&type_of(left, of)?, op, &type_of(right, of)?),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let FunctionArguments::List(list) = &function.args else { return None };
            let first = match list.args.first()? {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(first)) => first,
                _ => return None,
            };
            match name.as_str() {
                "isnull" | "upper" | "lower" | "ltrim" | "rtrim" | "abs" => type_of(first, of),
                "len" | "year" | "month" | "day" | "datediff" | "datepart" => Some(DataType::Int),
                _ => None,
            }
        }
        _ => None,
    }
}

fn length(text: &str) -> Length {
    Length::Limited(u32::try_from(text.replace("''", "'").encode_utf16().count()).unwrap_or(u32::MAX).max(1))
}

/// The type of two operands: whole numbers, decimals by SQL Server's rule for precision and scale, texts one behind the other.
fn meet(left: &DataType, op: &BinaryOperator, right: &DataType) -> Option<DataType> {
    use BinaryOperator as Op;
    const WHOLE: [DataType; 4] = [DataType::TinyInt, DataType::SmallInt, DataType::Int, DataType::BigInt];
    let rank = |of: &DataType| WHOLE.iter().position(|whole| whole == of);
    let digits = |of: &DataType| match of {
        DataType::Decimal { precision, scale } => Some((i32::from(*precision), i32::from(*scale))),
        DataType::TinyInt => Some((3, 0)),
        DataType::SmallInt => Some((5, 0)),
        DataType::Int => Some((10, 0)),
        DataType::BigInt => Some((19, 0)),
        _ => None,
    };
    if !matches!(op, Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo) {
        return None;
    }
    if let (Some(a), Some(b)) = (rank(left), rank(right)) {
        return WHOLE.get(a.max(b)).cloned();
    }
    if left == right && matches!(left, DataType::Double | DataType::Real | DataType::Money) {
        return Some(left.clone());
    }
    let texts = |of: &DataType| match of {
        DataType::VarChar(Length::Limited(n)) => Some((false, *n)),
        DataType::NVarChar(Length::Limited(n)) => Some((true, *n)),
        _ => None,
    };
    if let (Op::Plus, Some((one, a)), Some((other, b))) = (op, texts(left), texts(right)) {
        let national = one || other;
        let length = Length::Limited(a.saturating_add(b).min(if national { 4_000 } else { 8_000 }));
        return Some(if national { DataType::NVarChar(length) } else { DataType::VarChar(length) });
    }
    let ((p, s), (q, t)) = (digits(left)?, digits(right)?);
    let (precision, scale) = match op {
        Op::Plus | Op::Minus => (s.max(t) + (p - s).max(q - t) + 1, s.max(t)),
        Op::Multiply => (p + q + 1, s + t),
        // Beyond 38 digits the server cuts in ways that are not worth guessing.
        _ => return None,
    };
    (precision <= 38)
        .then_some(DataType::Decimal { precision: u8::try_from(precision).ok()?, scale: i8::try_from(scale).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_columns_have_the_type_of_their_expression() {
        let of = |name: &str| {
            Some(match name {
                "i" => "int".to_owned(),
                "b" => "bigint".to_owned(),
                "d" => "decimal(18,2)".to_owned(),
                "n" => "nvarchar(10)".to_owned(),
                _ => return None,
            })
        };
        for (expression, expected) in [
            ("([i]*(2))", Some("int")),
            ("(i + b)", Some("bigint")),
            ("([d]*[i])", Some("decimal(29,2)")),
            ("([d]+[d])", Some("decimal(19,2)")),
            ("([n]+N'-')", Some("nvarchar(11)")),
            ("(CONVERT([date],[x],0))", Some("date")),
            ("(isnull([d],(0)))", Some("decimal(18,2)")),
            ("(len([n]))", Some("int")),
            ("([dbo].[fn]([i]))", None),
            ("([x]/[d])", None),
        ] {
            assert_eq!(data_type(expression, &of).as_deref(), expected, "{expression}");
        }
    }
}
