//! Expressions of scripts, evaluated as far as they are understood. What is not is said, never guessed.

use std::cmp::Ordering;
use std::fmt;

use imis_schemas::script::{ObjectName, hex};
use imis_schemas::{DataType, Engine};
use sha2::Digest;
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, UnaryOperator, Value as Literal,
};

use super::moment;
use super::value::{Value, cast_type, rescaled};
use super::world::World;
use crate::error::Error;

/// Why an expression has no value here.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is not understood, or depends on what only a server knows.
    Unknown(String),
    /// A server would refuse it.
    Refused(String),
    /// A file cannot be read or written.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Failed(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unknown(why) | Trouble::Refused(why) => f.write_str(why),
            Trouble::Failed(error) => error.fmt(f),
        }
    }
}

pub(super) fn unknown<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Unknown(why.into()))
}

/// A row that an expression may refer to.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    /// The table's alias or name.
    pub(super) alias: &'a str,
    /// The names of the columns.
    pub(super) columns: &'a [String],
    /// Their values.
    pub(super) cells: &'a [Value],
}

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) world: &'a World,
    pub(super) rows: &'a [Bound<'a>],
    pub(super) outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// Nothing but variables.
    pub(super) fn of(world: &'a World) -> Self {
        Scope { world, rows: &[], outer: None }
    }

    fn column(&self, table: Option<&str>, name: &str) -> Option<Value> {
        for row in self.rows.iter().filter(|row| table.is_none_or(|table| row.alias.eq_ignore_ascii_case(table))) {
            if let Some(at) = row.columns.iter().position(|own| imis_schemas::same_name(own, name)) {
                return row.cells.get(at).cloned();
            }
        }
        self.outer.and_then(|outer| outer.column(table, name))
    }

    /// Whether a condition holds; `None` for unknown in the sense of SQL.
    pub(super) fn holds(&self, expr: &Expr) -> Result<Option<bool>, Trouble> {
        Self::truth_of(&self.value(expr)?)
    }

    fn truth_of(value: &Value) -> Result<Option<bool>, Trouble> {
        match value {
            Value::Null => Ok(None),
            Value::Int(n) => Ok(Some(*n != 0)),
            _ => unknown("a condition that is neither true nor false"),
        }
    }

    /// The value of an expression.
    pub(super) fn value(&self, expr: &Expr) -> Result<Value, Trouble> {
        let truth = |holds: Option<bool>| holds.map_or(Value::Null, |holds| Value::Int(holds.into()));
        Ok(match expr {
            Expr::Value(literal) => literal_value(&literal.value)?,
            Expr::Nested(inner) => self.value(inner)?,
            Expr::Identifier(name) if name.value.starts_with('@') && name.quote_style.is_none() => {
                self.world.variable(&name.value).ok_or_else(|| Trouble::Unknown("a variable without a value".into()))?
            }
            Expr::Identifier(name) => match self.column(None, &name.value) {
                Some(value) => value,
                None if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("current_timestamp") => {
                    self.world.now()
                }
                // Written while quoted names were texts.
                None if name.quote_style == Some('"') => Value::Text(name.value.clone()),
                None => return unknown(format!("the column {} is not there", name.value)),
            },
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] => self.column(Some(&table.value), &name.value).ok_or_else(|| {
                    Trouble::Unknown(format!("the column {}.{} is not there", table.value, name.value))
                })?,
                _ => return unknown("a name without parts"),
            },
            Expr::UnaryOp { op, expr } => self.unary(*op, expr)?,
            Expr::BinaryOp { .. } => self.chain(expr)?,
            Expr::IsNull(inner) => truth(Some(self.value(inner)?.is_null())),
            Expr::IsNotNull(inner) => truth(Some(!self.value(inner)?.is_null())),
            Expr::InList { expr, list, negated } => {
                let value = self.value(expr)?;
                let values = list.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?;
                truth(self.is_among(&value, &values)?.map(|found| found != *negated))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.value(expr)?;
                let found = self.world.query(subquery, Some(self))?;
                let values: Vec<Value> = found.rows.into_iter().filter_map(|row| row.into_iter().next()).collect();
                truth(self.is_among(&value, &values)?.map(|found| found != *negated))
            }
            Expr::Exists { subquery, negated } => truth(Some(self.world.exists(subquery, Some(self))? != *negated)),
            Expr::Subquery(query) => {
                let found = self.world.query(query, Some(self))?;
                match found.rows.as_slice() {
                    [] => Value::Null,
                    [row] => row.first().cloned().unwrap_or(Value::Null),
                    _ => return unknown("a query within an expression gives more than one row"),
                }
            }
            Expr::Between { expr, negated, low, high } => {
                let (value, low, high) = (self.value(expr)?, self.value(low)?, self.value(high)?);
                let order = self.world.order;
                let within = match (value.compare(&low, order), value.compare(&high, order)) {
                    (Some(a), Some(b)) => Some((a != Ordering::Less && b != Ordering::Greater) != *negated),
                    _ => None,
                };
                truth(within)
            }
            Expr::Like { negated, expr, pattern, escape_char: None, .. } => {
                match (self.value(expr)?.text(), self.value(pattern)?.text()) {
                    (Some(text), Some(pattern)) => {
                        truth(Some(like(&text.to_lowercase(), &pattern.to_lowercase())? != *negated))
                    }
                    _ => Value::Null,
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let operand = operand.as_ref().map(|o| self.value(o)).transpose()?;
                for case in conditions {
                    let holds = match &operand {
                        Some(value) => {
                            value.compare(&self.value(&case.condition)?, self.world.order) == Some(Ordering::Equal)
                        }
                        None => self.holds(&case.condition)? == Some(true),
                    };
                    if holds {
                        return self.value(&case.result);
                    }
                }
                else_result.as_ref().map_or(Ok(Value::Null), |otherwise| self.value(otherwise))?
            }
            Expr::Cast { kind, expr, data_type, .. } => {
                self.cast(expr, data_type, matches!(kind, CastKind::TryCast | CastKind::SafeCast))?
            }
            Expr::Convert { is_try, expr, data_type: Some(data_type), styles, .. } => {
                let style = styles.first().map(|style| self.value(style)).transpose()?;
                self.convert(expr, data_type, style.as_ref(), *is_try)?
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Substring { expr, substring_from: Some(from), substring_for: Some(count), .. } => {
                substring(&self.value(expr)?, &self.value(from)?, &self.value(count)?)
            }
            Expr::Trim { expr, trim_where: None, trim_what: None, .. } => {
                self.value(expr)?.text().map_or(Value::Null, |text| Value::Text(text.trim_matches(' ').to_owned()))
            }
            Expr::Ceil { expr, .. } => rounded(&self.value(expr)?, f64::ceil)?,
            Expr::Floor { expr, .. } => rounded(&self.value(expr)?, f64::floor)?,
            Expr::Collate { expr, .. } => self.value(expr)?,
            _ => return unknown("an expression of this kind"),
        })
    }

    /// Whether a value is one of these. A value with which it cannot be compared is an error of the server's.
    fn is_among(&self, value: &Value, values: &[Value]) -> Result<Option<bool>, Trouble> {
        if values.is_empty() {
            return Ok(Some(false));
        }
        if value.is_null() {
            return Ok(None);
        }
        for other in values.iter().filter(|other| !other.is_null()) {
            match value.compare(other, self.world.order) {
                Some(Ordering::Equal) => return Ok(Some(true)),
                Some(_) => {}
                None => return unknown("two values that cannot be compared"),
            }
        }
        Ok((!values.iter().any(Value::is_null)).then_some(false))
    }

    fn unary(&self, op: UnaryOperator, expr: &Expr) -> Result<Value, Trouble> {
        let value = self.value(expr)?;
        Ok(match (op, value) {
            (_, Value::Null) => Value::Null,
            (UnaryOperator::Plus, value) => value,
            (UnaryOperator::Minus, Value::Int(n)) => match n.checked_neg() {
                Some(n) => Value::Int(n),
                None => return unknown("a number out of range"),
            },
            (UnaryOperator::Minus, Value::Decimal(units, scale)) => Value::Decimal(-units, scale),
            (UnaryOperator::Minus, Value::Float(n)) => Value::Float(-n),
            (UnaryOperator::Not, Value::Int(n)) => Value::Int((n == 0).into()),
            _ => return unknown("a sign of this kind"),
        })
    }

    /// Operators one behind the other lean to the left, as deep as they are many: gone through here without going down.
    fn chain(&self, expr: &Expr) -> Result<Value, Trouble> {
        let (mut rest, mut first) = (Vec::new(), expr);
        while let Expr::BinaryOp { left, op, right } = first {
            rest.push((op, right));
            first = left;
        }
        let compares = |op: &BinaryOperator| {
            use BinaryOperator as Op;
            matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
        };
        if rest.iter().any(|(op, right)| compares(op) && (tells_case(right) || tells_case(first))) {
            return unknown("a comparison that tells case apart");
        }
        let mut value = self.value(first);
        for (op, right) in rest.into_iter().rev() {
            value = self.binary(value, op, right);
        }
        value
    }

    fn binary(&self, left: Result<Value, Trouble>, op: &BinaryOperator, right: &Expr) -> Result<Value, Trouble> {
        use BinaryOperator as Op;
        let truth = |holds: Option<bool>| holds.map_or(Value::Null, |holds| Value::Int(holds.into()));
        if matches!(op, Op::And | Op::Or) {
            let deciding = *op == Op::Or;
            let one = left.and_then(|value| Self::truth_of(&value));
            if matches!(one, Ok(Some(holds)) if holds == deciding) {
                return Ok(truth(Some(deciding)));
            }
            let other = self.holds(right)?;
            if other == Some(deciding) {
                return Ok(truth(Some(deciding)));
            }
            let one = one?;
            return Ok(truth(if one.is_none() || other.is_none() { None } else { Some(!deciding) }));
        }
        let (a, b) = (left?, self.value(right)?);
        let compared = |wanted: &dyn Fn(Ordering) -> bool| -> Result<Value, Trouble> {
            if a.is_null() || b.is_null() {
                return Ok(Value::Null);
            }
            match a.compare(&b, self.world.order) {
                Some(ordering) => Ok(truth(Some(wanted(ordering)))),
                None => unknown("two values that cannot be compared"),
            }
        };
        match op {
            Op::Eq => compared(&|o| o == Ordering::Equal),
            Op::NotEq => compared(&|o| o != Ordering::Equal),
            Op::Lt => compared(&|o| o == Ordering::Less),
            Op::LtEq => compared(&|o| o != Ordering::Greater),
            Op::Gt => compared(&|o| o == Ordering::Greater),
            Op::GtEq => compared(&|o| o != Ordering::Less),
            Op::BitwiseAnd | Op::BitwiseOr => match (&a, &b) {
                (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
                (Value::Int(a), Value::Int(b)) if *op == Op::BitwiseAnd => Ok(Value::Int(a & b)),
                (Value::Int(a), Value::Int(b)) => Ok(Value::Int(a | b)),
                (Value::Int(a), Value::Bytes(bits)) if *op == Op::BitwiseAnd && bits.len() <= 8 => {
                    Ok(Value::Int(a & bits.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte))))
                }
                _ => unknown("bits of this kind"),
            },
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => arithmetic(&a, op, &b),
            _ => unknown("an operator of this kind"),
        }
    }

    fn cast(&self, expr: &Expr, to: &SqlType, forgiving: bool) -> Result<Value, Trouble> {
        let text = to.to_string();
        let to = cast_type(DataType::parse(Engine::Mssql, &text.replace(['[', ']'], "")), text.contains('('));
        let mut value = self.value(expr)?;
        // The bytes of a national text are UTF-16.
        if let (Expr::Value(literal), DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image) = (expr, &to)
            && let (Literal::NationalStringLiteral(_), Value::Text(text)) = (&literal.value, &value)
        {
            value = Value::Bytes(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        match value.convert(&to, self.world.order, false) {
            Ok(value) => Ok(value),
            Err(_) if forgiving => Ok(Value::Null),
            Err(misfit) => unknown(misfit.0),
        }
    }

    /// CONVERT, with the styles that people use for days.
    fn convert(&self, expr: &Expr, to: &SqlType, style: Option<&Value>, forgiving: bool) -> Result<Value, Trouble> {
        let style = match style {
            None => return self.cast(expr, to, forgiving),
            Some(Value::Int(style)) => *style,
            Some(_) => return unknown("a style that is no number"),
        };
        let parsed = DataType::parse(Engine::Mssql, &to.to_string().replace(['[', ']'], ""));
        let value = self.value(expr)?;
        if !parsed.is_text() {
            let order = match style {
                3 | 4 | 5 | 103 | 104 | 105 => moment::DateOrder::Dmy,
                1 | 10 | 101 | 110 => moment::DateOrder::Mdy,
                _ => self.world.order,
            };
            return match value.convert(&parsed, order, false) {
                Ok(value) => Ok(value),
                Err(_) if forgiving => Ok(Value::Null),
                Err(misfit) => unknown(misfit.0),
            };
        }
        let Some(ticks) = (match &value {
            Value::Null => return Ok(Value::Null),
            // Bytes as their digits, with 0x before them or not.
            Value::Bytes(bytes) if matches!(style, 1 | 2) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                return Ok(Value::Text(if style == 1 { format!("0x{digits}") } else { digits }));
            }
            Value::Date(_) | Value::Moment(_) | Value::Instant(_) => value.ticks(self.world.order),
            _ => None,
        }) else {
            return self.cast(expr, to, forgiving);
        };
        let full = moment::moment_text(ticks);
        let at = |from: usize, to: usize| full.get(from..to).unwrap_or_default();
        let (year, month, day, time) = (at(0, 4), at(5, 7), at(8, 10), at(11, 19));
        let text = match style {
            101 => format!("{month}/{day}/{year}"),
            102 => format!("{year}.{month}.{day}"),
            103 => format!("{day}/{month}/{year}"),
            104 => format!("{day}.{month}.{year}"),
            105 => format!("{day}-{month}-{year}"),
            108 => time.to_owned(),
            110 => format!("{month}-{day}-{year}"),
            111 => format!("{year}/{month}/{day}"),
            112 => format!("{year}{month}{day}"),
            20 | 120 => format!("{year}-{month}-{day} {time}"),
            21 | 25 | 121 => format!("{year}-{month}-{day} {}", at(11, 23)),
            23 => format!("{year}-{month}-{day}"),
            126 => format!("{year}-{month}-{day}T{}", at(11, 23)),
            _ => return unknown("a style of CONVERT that is not known"),
        };
        Value::Text(text).convert(&parsed, self.world.order, false).or_else(|misfit| unknown(misfit.0))
    }

    fn function(&self, function: &Function) -> Result<Value, Trouble> {
        let name = function.name.0.last().map(ToString::to_string).unwrap_or_default();
        let name = name.trim_matches(['[', ']', '"']).to_lowercase();
        let arguments: Vec<&Expr> = match &function.args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::Subquery(_) => return unknown("a function of a query"),
            FunctionArguments::List(list) => {
                let plain = list.args.iter().map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                    _ => None,
                });
                match plain.collect() {
                    Some(arguments) => arguments,
                    None => return unknown(format!("an argument of {name}")),
                }
            }
        };
        if matches!(name.as_str(), "dateadd" | "datediff" | "datepart") {
            return self.of_dates(&name, &arguments);
        }
        let values = arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
        let text = |at: usize| values.get(at).and_then(Value::text);
        let of_text = |change: &dyn Fn(&str) -> String| text(0).map_or(Value::Null, |t| Value::Text(change(&t)));
        let object = |at: usize| text(at).and_then(|name| ObjectName::parse(&name));
        Ok(match (name.as_str(), values.as_slice()) {
            ("getdate" | "sysdatetime" | "getutcdate" | "sysutcdatetime" | "current_timestamp", []) => self.world.now(),
            ("newid" | "newsequentialid", []) => self.world.new_id(),
            ("isnull", [a, b]) => {
                if a.is_null() {
                    b.clone()
                } else {
                    a.clone()
                }
            }
            ("coalesce", values) => values.iter().find(|v| !v.is_null()).cloned().unwrap_or(Value::Null),
            ("nullif", [a, b]) if a.compare(b, self.world.order) == Some(Ordering::Equal) => Value::Null,
            ("nullif", [a, _]) => a.clone(),
            ("iif", [condition, yes, no]) => {
                if *condition == Value::Int(1) {
                    yes.clone()
                } else {
                    no.clone()
                }
            }
            ("upper", [_]) => of_text(&|t| t.to_uppercase()),
            ("lower", [_]) => of_text(&|t| t.to_lowercase()),
            ("ltrim", [_]) => of_text(&|t| t.trim_start_matches(' ').to_owned()),
            ("rtrim", [_]) => of_text(&|t| t.trim_end_matches(' ').to_owned()),
            ("len", [_]) => {
                text(0).map_or(Value::Null, |t| Value::Int(t.trim_end_matches(' ').encode_utf16().count() as i64))
            }
            ("concat", values) => Value::Text(values.iter().filter_map(Value::text).collect()),
            ("replace", [_, _, _]) => match (text(0), text(1), text(2)) {
                (Some(text), Some(from), Some(to)) if !from.is_empty() => Value::Text(text.replace(&from, &to)),
                (Some(text), Some(_), Some(_)) => Value::Text(text),
                _ => Value::Null,
            },
            ("left", [_, Value::Int(n)]) => of_text(&|t| t.chars().take(usize::try_from(*n).unwrap_or(0)).collect()),
            ("right", [_, Value::Int(n)]) => of_text(&|t| {
                let skipped = t.chars().count().saturating_sub(usize::try_from(*n).unwrap_or(0));
                t.chars().skip(skipped).collect()
            }),
            ("replicate", [_, Value::Int(n)]) => {
                let count = usize::try_from(*n).unwrap_or(0);
                match text(0) {
                    // More than a column takes is nobody's wish.
                    Some(t) if t.len().saturating_mul(count) > crate::source::MAX_CELL => {
                        return unknown("a text of this length");
                    }
                    Some(t) => {
                        let mut text = t.repeat(count);
                        // A literal is no text of any length: the server cuts at 8,000 bytes.
                        match arguments.first() {
                            Some(Expr::Value(literal))
                                if matches!(literal.value, Literal::NationalStringLiteral(_)) =>
                            {
                                text = text.chars().take(4_000).collect();
                            }
                            Some(Expr::Value(_)) => text = text.chars().take(8_000).collect(),
                            _ => {}
                        }
                        Value::Text(text)
                    }
                    None => Value::Null,
                }
            }
            ("space", [Value::Int(n)]) => Value::Text(" ".repeat(usize::try_from(*n).unwrap_or(0).min(8_000))),
            ("char" | "nchar", [Value::Int(n)]) => {
                let c = u32::try_from(*n).ok().and_then(char::from_u32);
                c.map_or(Value::Null, |c| Value::Text(c.to_string()))
            }
            ("reverse", [_]) => of_text(&|t| t.chars().rev().collect()),
            ("str", [Value::Int(_) | Value::Decimal(..)]) => of_text(&|t| format!("{t:>10}")),
            ("substring", [value, from, count]) => substring(value, from, count),
            ("abs", [Value::Int(n)]) => Value::Int(n.saturating_abs()),
            ("abs", [Value::Decimal(units, scale)]) => Value::Decimal(units.saturating_abs(), *scale),
            ("year" | "month" | "day", [value]) => match value.ticks(self.world.order) {
                Some(ticks) => moment::part(&name, ticks).map_or(Value::Null, Value::Int),
                None => Value::Null,
            },
            ("eomonth", [value]) => match value.ticks(self.world.order).and_then(end_of_month) {
                Some(days) => Value::Date(days),
                None => Value::Null,
            },
            ("hashbytes", [Value::Text(algorithm), value]) => self.hash(algorithm, value)?,
            ("object_id", [_, ..]) => {
                let wanted = text(1).map(|kind| kind.trim().to_uppercase());
                match object(0) {
                    Some(name) => self.world.object_id(&name, wanted.as_deref()),
                    None => Value::Null,
                }
            }
            ("col_length", [_, _]) => match (object(0), text(1)) {
                (Some(table), Some(column)) => self.world.column_length(&table, column.trim_matches(['[', ']'])),
                _ => Value::Null,
            },
            ("type_id", [_]) => match object(0) {
                Some(name) => self.world.type_id(&name),
                None => Value::Null,
            },
            ("schema_id", _) => match text(0) {
                Some(name) if !name.eq_ignore_ascii_case("dbo") => Value::Int(super::system::number(&name)),
                _ => Value::Int(1),
            },
            ("schema_name", _) => Value::Text("dbo".to_owned()),
            ("object_name", [Value::Int(id)]) => self.world.object_name(*id),
            ("scope_identity", []) => self.world.last_identity(),
            ("ident_current", [_]) => match object(0) {
                Some(name) => self.world.identity_of(&name),
                None => Value::Null,
            },
            ("is_member" | "is_srvrolemember" | "has_perms_by_name", _) => Value::Int(1),
            _ => return unknown(format!("the function {name}")),
        })
    }

    fn of_dates(&self, name: &str, arguments: &[&Expr]) -> Result<Value, Trouble> {
        let part = match arguments.first() {
            Some(Expr::Identifier(Ident { value, .. })) => value.to_lowercase(),
            _ => return unknown(format!("the first argument of {name}")),
        };
        let values = arguments.iter().skip(1).map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
        if values.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        let ticks = |value: &Value| value.ticks(self.world.order).ok_or_else(|| Trouble::Unknown("no date".into()));
        match (name, values.as_slice()) {
            ("dateadd", [Value::Int(count), value]) => {
                let moved = moment::add(&part, *count, ticks(value)?);
                let Some(moved) = moved else { return unknown("DATEADD of this part") };
                Ok(match value {
                    Value::Date(_) => Value::Date(i32::try_from(moved.div_euclid(moment::DAY)).unwrap_or(i32::MAX)),
                    _ => Value::Moment(moved),
                })
            }
            ("datepart", [value]) => Ok(moment::part(&part, ticks(value)?).map_or(Value::Null, Value::Int)),
            ("datediff", [from, to]) => {
                let (from, to) = (ticks(from)?, ticks(to)?);
                let of = |ticks: i64, part: &str| moment::part(part, ticks).unwrap_or(0);
                let years = of(to, "year") - of(from, "year");
                Ok(Value::Int(match part.as_str() {
                    "year" | "yy" | "yyyy" => years,
                    "month" | "mm" | "m" => years * 12 + of(to, "month") - of(from, "month"),
                    "day" | "dd" | "d" => to.div_euclid(moment::DAY) - from.div_euclid(moment::DAY),
                    "second" | "ss" | "s" => to.div_euclid(10_000_000) - from.div_euclid(10_000_000),
                    _ => return unknown("DATEDIFF of this part"),
                }))
            }
            _ => unknown(format!("the arguments of {name}")),
        }
    }

    fn hash(&self, algorithm: &str, value: &Value) -> Result<Value, Trouble> {
        let bytes = match value {
            Value::Null => return Ok(Value::Null),
            Value::Bytes(bytes) => bytes.clone(),
            // Whether the text is national or not decides about its bytes, and is not known of every expression.
            Value::Text(text) if text.is_ascii() => text.clone().into_bytes(),
            _ => return unknown("HASHBYTES of this value"),
        };
        match algorithm.to_uppercase().as_str() {
            "SHA2_256" => Ok(Value::Bytes(sha2::Sha256::digest(bytes).to_vec())),
            "SHA2_512" => Ok(Value::Bytes(sha2::Sha512::digest(bytes).to_vec())),
            _ => unknown("HASHBYTES by this algorithm"),
        }
    }
}

/// Whether an expression says that it is compared by a collation that tells upper and lower case apart.
fn tells_case(expr: &Expr) -> bool {
    match expr {
        Expr::Collate { collation, .. } => {
            let name = collation.to_string().to_uppercase();
            name.contains("_CS") || name.contains("_BIN")
        }
        Expr::Nested(inner) => tells_case(inner),
        _ => false,
    }
}

fn end_of_month(ticks: i64) -> Option<i32> {
    let first = ticks - (moment::part("day", ticks)? - 1) * moment::DAY;
    let next = moment::add("month", 1, first)?;
    i32::try_from(next.div_euclid(moment::DAY) - 1).ok()
}

fn literal_value(literal: &Literal) -> Result<Value, Trouble> {
    Ok(match literal {
        Literal::Null => Value::Null,
        Literal::Number(text, _) => match Value::number(&text.to_string()) {
            Some(number) => number,
            None => return unknown("a number of this kind"),
        },
        // Texts were taken as they are written, with their quotes doubled.
        Literal::SingleQuotedString(text) | Literal::NationalStringLiteral(text) => {
            Value::Text(text.replace("''", "'"))
        }
        Literal::DoubleQuotedString(text) => Value::Text(text.clone()),
        Literal::HexStringLiteral(digits) => match hex(digits) {
            Some(bytes) => Value::Bytes(bytes),
            None => return unknown("bytes of this kind"),
        },
        Literal::Boolean(holds) => Value::Int((*holds).into()),
        Literal::Placeholder(text) => match Value::number(text.trim_start_matches('$')) {
            Some(number) => number,
            None => return unknown("a placeholder"),
        },
        _ => return unknown("a literal of this kind"),
    })
}

fn arithmetic(a: &Value, op: &BinaryOperator, b: &Value) -> Result<Value, Trouble> {
    use BinaryOperator as Op;
    const RANGE: &str = "a number out of range";
    let out = |value: Option<Value>| value.ok_or_else(|| Trouble::Unknown(RANGE.into()));
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Text(a), Value::Text(b)) if *op == Op::Plus => Ok(Value::Text(format!("{a}{b}"))),
        (Value::Bytes(a), Value::Bytes(b)) if *op == Op::Plus => Ok(Value::Bytes([a.as_slice(), b].concat())),
        (Value::Int(a), Value::Int(b)) => out(match op {
            Op::Plus => a.checked_add(*b).map(Value::Int),
            Op::Minus => a.checked_sub(*b).map(Value::Int),
            Op::Multiply => a.checked_mul(*b).map(Value::Int),
            Op::Divide => a.checked_div(*b).map(Value::Int),
            _ => a.checked_rem(*b).map(Value::Int),
        }),
        // A day and a number of days.
        (Value::Moment(ticks), Value::Int(days)) if matches!(op, Op::Plus | Op::Minus) => {
            let days = if *op == Op::Minus { days.checked_neg() } else { Some(*days) };
            out(days.and_then(|d| d.checked_mul(moment::DAY)).and_then(|d| ticks.checked_add(d)).map(Value::Moment))
        }
        (Value::Text(text), number) | (number, Value::Text(text)) if !matches!(number, Value::Text(_)) => {
            let Some(read) = Value::number(text.trim()) else { return unknown("arithmetic with a text") };
            if matches!(a, Value::Text(_)) { arithmetic(&read, op, b) } else { arithmetic(a, op, &read) }
        }
        (Value::Decimal(..) | Value::Int(_), Value::Decimal(..) | Value::Int(_))
            if *op != Op::Divide && *op != Op::Modulo =>
        {
            let parts = |value: &Value| match value {
                Value::Decimal(units, scale) => (*units, *scale),
                Value::Int(n) => (i128::from(*n), 0),
                _ => (0, 0),
            };
            let ((a, s), (b, t)) = (parts(a), parts(b));
            if *op == Op::Multiply {
                return out(a.checked_mul(b).map(|units| Value::Decimal(units, s + t)));
            }
            let scale = s.max(t);
            let (a, b) = (rescaled(a, s, scale), rescaled(b, t, scale));
            let sum = a.zip(b).and_then(|(a, b)| if *op == Op::Plus { a.checked_add(b) } else { a.checked_sub(b) });
            out(sum.map(|units| Value::Decimal(units, scale)))
        }
        _ => match (a.float(), b.float()) {
            (Some(a), Some(b)) => Ok(Value::Float(match op {
                Op::Plus => a + b,
                Op::Minus => a - b,
                Op::Multiply => a * b,
                Op::Divide if b != 0.0 => a / b,
                _ => return unknown("arithmetic of this kind"),
            })),
            _ => unknown("arithmetic of this kind"),
        },
    }
}

fn rounded(value: &Value, round: fn(f64) -> f64) -> Result<Value, Trouble> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int(n) => Value::Int(*n),
        other => match other.float().map(round) {
            Some(n) if n.abs() < 9e15 => Value::Int(n as i64),
            _ => return unknown("a number that cannot be rounded"),
        },
    })
}

fn substring(value: &Value, from: &Value, count: &Value) -> Value {
    match (value.text(), from, count) {
        (Some(text), Value::Int(from), Value::Int(count)) => {
            let end = from.saturating_add(*count);
            let within = |at: usize| (*from..end).contains(&(at as i64 + 1));
            Value::Text(text.chars().enumerate().filter(|(at, _)| within(*at)).map(|(_, c)| c).collect())
        }
        _ => Value::Null,
    }
}

/// LIKE with `%` and `_`; sets of characters are not understood. Both sides are in lower case.
fn like(text: &str, pattern: &str) -> Result<bool, Trouble> {
    if pattern.contains('[') {
        return unknown("LIKE with a set of characters");
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    // Which beginnings of the text the pattern so far matches.
    let mut matches = vec![false; text.len() + 1];
    matches[0] = true;
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        match wanted {
            '%' => {
                let first = matches.iter().position(|m| *m).unwrap_or(matches.len());
                next.iter_mut().skip(first).for_each(|m| *m = true);
            }
            wanted => {
                for (at, c) in text.iter().enumerate() {
                    next[at + 1] = matches[at] && (wanted == '_' || wanted == *c);
                }
            }
        }
        matches = next;
    }
    Ok(matches.last().copied().unwrap_or(false))
}
