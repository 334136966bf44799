//! Queries of scripts over what the scripts have made so far: enough for seeds, guards and repairs, and no more.

use imis_schemas::script::ObjectName;
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, JoinConstraint, JoinOperator, ObjectName as SqlName, Query, Select, SelectItem,
    SetExpr, SetOperator, SetQuantifier, TableFactor, TableWithJoins, TopQuantity,
};

use super::evaluate::{Bound, Scope, Trouble, unknown};
use super::system;
use super::value::Value;
use super::world::World;

/// More rows than this are not joined or held for a query of a script.
const MANY: usize = 1_000_000;

/// Rows with the names of their columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
}

/// A table of FROM.
#[derive(Clone, Debug)]
struct Source {
    alias: String,
    answer: Answer,
}

/// A name as sqlparser has it.
pub(super) fn object_name(name: &SqlName) -> Option<ObjectName> {
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.clone())).collect();
    let parts = parts?;
    let (name, before) = parts.split_last()?;
    Some(ObjectName { schema: before.last().cloned().filter(|schema| !schema.is_empty()), name: name.clone() })
}

impl World {
    /// Whether a query gives any row.
    pub(super) fn exists(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<bool, Trouble> {
        // One table and a condition: the first row that meets it decides, and none is held.
        if let SetExpr::Select(select) = &*query.body
            && query.with.is_none()
            && let [TableWithJoins { relation: TableFactor::Table { name, alias, args: None, .. }, joins }] =
                select.from.as_slice()
            && joins.is_empty()
            && select.top.is_none()
            && select.having.is_none()
            && select.into.is_none()
            && is_ungrouped(select)
            && query.limit_clause.is_none()
            && !aggregates(select)
            && let Some(name) = object_name(name)
            && let Some(at) = self.find(&name)
        {
            let alias = alias.as_ref().map_or_else(|| name.name.clone(), |alias| alias.name.value.clone());
            let mut found = false;
            self.each_row(at, |columns, cells| {
                let rows = [Bound { alias: &alias, columns, cells }];
                let scope = Scope { world: self, rows: &rows, outer };
                found = match &select.selection {
                    Some(condition) => scope.holds(condition)? == Some(true),
                    None => true,
                };
                Ok(!found)
            })?;
            return Ok(found);
        }
        Ok(!self.query(query, outer)?.rows.is_empty())
    }

    /// The rows of a query.
    pub(super) fn query(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Answer, Trouble> {
        if query.with.is_some() {
            return unknown("a query WITH another");
        }
        if query.limit_clause.is_some() {
            return unknown("a query with OFFSET");
        }
        if query.order_by.is_some() && matches!(*query.body, SetExpr::SetOperation { .. }) {
            return unknown("ORDER BY of a UNION");
        }
        let mut answer = self.body(&query.body, outer, query)?;
        if let Some(limit) = &query.fetch
            && let Some(count) = &limit.quantity
        {
            let Value::Int(count) = Scope::of(self).value(count)? else { return unknown("FETCH without a number") };
            answer.rows.truncate(usize::try_from(count).unwrap_or(0));
        }
        Ok(answer)
    }

    fn body(&self, body: &SetExpr, outer: Option<&Scope<'_>>, query: &Query) -> Result<Answer, Trouble> {
        match body {
            SetExpr::Select(select) => self.select(select, outer, query),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::Values(values) => {
                let scope = Scope { world: self, rows: &[], outer };
                let mut rows = Vec::new();
                for row in &values.rows {
                    rows.push(row.content.iter().map(|expr| scope.value(expr)).collect::<Result<Vec<_>, _>>()?);
                }
                let width = rows.first().map_or(0, Vec::len);
                Ok(Answer { columns: (0..width).map(|at| format!("column{at}")).collect(), rows })
            }
            SetExpr::SetOperation { op: SetOperator::Union, .. } => {
                // A list of rows joined by UNION ALL leans to the left, as deep as it is long.
                let (mut rights, mut first) = (Vec::new(), body);
                while let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = first {
                    rights.push((set_quantifier, right));
                    first = left;
                }
                let mut answer = self.body(first, outer, query)?;
                for (quantifier, right) in rights.into_iter().rev() {
                    for row in self.body(right, outer, query)?.rows {
                        if *quantifier == SetQuantifier::All || !self.contains(&answer.rows, &row) {
                            answer.rows.push(row);
                        }
                    }
                }
                Ok(answer)
            }
            _ => unknown("a query of this kind"),
        }
    }

    fn contains(&self, rows: &[Vec<Value>], row: &[Value]) -> bool {
        let same = |a: &Value, b: &Value| {
            (a.is_null() && b.is_null()) || a.compare(b, self.order) == Some(std::cmp::Ordering::Equal)
        };
        rows.iter().any(|own| own.len() == row.len() && own.iter().zip(row).all(|(a, b)| same(a, b)))
    }

    fn select(&self, select: &Select, outer: Option<&Scope<'_>>, query: &Query) -> Result<Answer, Trouble> {
        if !is_ungrouped(select) || select.having.is_some() || select.into.is_some() {
            return unknown("a query with GROUP BY, HAVING or INTO");
        }
        let mut sources: Vec<(Vec<Source>, Vec<Vec<Value>>)> = Vec::new();
        for from in &select.from {
            sources.push(self.joined(from, outer)?);
        }
        // Several tables behind FROM: every row with every row.
        let (shapes, rows) = match sources.len() {
            0 => (Vec::new(), vec![Vec::new()]),
            _ => {
                let mut whole: (Vec<Source>, Vec<Vec<Value>>) = (Vec::new(), vec![Vec::new()]);
                for (shape, rows) in sources {
                    if whole.1.len().saturating_mul(rows.len()) > MANY {
                        return unknown("a join of too many rows");
                    }
                    let product = whole.1.iter().flat_map(|a| rows.iter().map(move |b| [a.as_slice(), b].concat()));
                    whole = (whole.0.iter().cloned().chain(shape).collect(), product.collect());
                }
                whole
            }
        };
        let mut kept: Vec<Vec<Value>> = Vec::new();
        for row in rows {
            let wanted = match &select.selection {
                Some(condition) => self.with_row(&shapes, &row, outer, |scope| scope.holds(condition))? == Some(true),
                None => true,
            };
            if wanted {
                kept.push(row);
            }
        }
        if aggregates(select) {
            return self.aggregate(select, &shapes, &kept, outer);
        }
        if let Some(order) = &query.order_by {
            kept = self.ordered(order, kept, &shapes, outer)?;
        }
        let mut answer = Answer::default();
        for row in &kept {
            let made = self.with_row(&shapes, row, outer, |scope| projected(select, &shapes, row, scope))?;
            if select.distinct.is_none() || !self.contains(&answer.rows, &made) {
                answer.rows.push(made);
            }
        }
        answer.columns = names(select, &shapes);
        if let Some(top) = &select.top {
            if top.with_ties {
                return unknown("TOP WITH TIES");
            }
            let count = match &top.quantity {
                Some(TopQuantity::Constant(count)) => *count,
                Some(TopQuantity::Expr(expr)) => match (Scope { world: self, rows: &[], outer }).value(expr)? {
                    Value::Int(count) => u64::try_from(count).unwrap_or(0),
                    _ => return unknown("TOP without a number"),
                },
                None => return unknown("TOP without a number"),
            };
            if top.percent && count < 100 {
                return unknown("TOP of a percentage");
            }
            if !top.percent {
                answer.rows.truncate(usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        Ok(answer)
    }

    /// Does something with a row whose tables have these shapes.
    fn with_row<T>(
        &self,
        shapes: &[Source],
        row: &[Value],
        outer: Option<&Scope<'_>>,
        work: impl FnOnce(&Scope<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut rest = row;
        let mut bound = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let (cells, behind) = rest.split_at(shape.answer.columns.len().min(rest.len()));
            bound.push(Bound { alias: &shape.alias, columns: &shape.answer.columns, cells });
            rest = behind;
        }
        work(&Scope { world: self, rows: &bound, outer })
    }

    /// A table of FROM with its joins: what the tables look like, and the joined rows.
    fn joined(
        &self,
        from: &TableWithJoins,
        outer: Option<&Scope<'_>>,
    ) -> Result<(Vec<Source>, Vec<Vec<Value>>), Trouble> {
        let mut first = self.factor(&from.relation, outer)?;
        let mut rows = std::mem::take(&mut first.answer.rows);
        let mut shapes = vec![first];
        for join in &from.joins {
            let mut other = self.factor(&join.relation, outer)?;
            let others = std::mem::take(&mut other.answer.rows);
            let (condition, left) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => (c, false),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (c, true),
                JoinOperator::CrossJoin(c) => (c, false),
                _ => return unknown("a join of this kind"),
            };
            let condition = match condition {
                JoinConstraint::On(condition) => Some(condition),
                JoinConstraint::None => None,
                _ => return unknown("a join of this kind"),
            };
            if rows.len().saturating_mul(others.len()) > MANY {
                return unknown("a join of too many rows");
            }
            let width = other.answer.columns.len();
            shapes.push(other);
            let mut joined = Vec::new();
            for row in &rows {
                let before = joined.len();
                for other in &others {
                    let both = [row.as_slice(), other].concat();
                    let holds = match condition {
                        Some(condition) => {
                            self.with_row(&shapes, &both, outer, |scope| scope.holds(condition))? == Some(true)
                        }
                        None => true,
                    };
                    if holds {
                        joined.push(both);
                    }
                }
                if left && joined.len() == before {
                    joined.push(row.iter().cloned().chain(std::iter::repeat_n(Value::Null, width)).collect());
                }
            }
            rows = joined;
        }
        Ok((shapes, rows))
    }

    /// The rows of a table, a query or a list of values in FROM, and how they are called.
    pub(super) fn source(&self, factor: &TableFactor) -> Result<(String, Answer), Trouble> {
        self.factor(factor, None).map(|source| (source.alias, source.answer))
    }

    fn factor(&self, factor: &TableFactor, outer: Option<&Scope<'_>>) -> Result<Source, Trouble> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let Some(name) = object_name(name) else { return unknown("a name in FROM") };
                let alias = alias.as_ref().map_or_else(|| name.name.clone(), |alias| alias.name.value.clone());
                Ok(Source { alias, answer: self.table(&name)? })
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let mut answer = self.query(subquery, outer)?;
                let alias = match alias {
                    Some(alias) => {
                        for (own, named) in answer.columns.iter_mut().zip(&alias.columns) {
                            own.clone_from(&named.name.value);
                        }
                        alias.name.value.clone()
                    }
                    None => String::new(),
                };
                Ok(Source { alias, answer })
            }
            TableFactor::NestedJoin { table_with_joins, .. } if table_with_joins.joins.is_empty() => {
                self.factor(&table_with_joins.relation, outer)
            }
            _ => unknown("a source of rows of this kind"),
        }
    }

    /// All rows of a table, or of one of the server's own views.
    fn table(&self, name: &ObjectName) -> Result<Answer, Trouble> {
        if let Some(at) = self.find(name) {
            let mut answer = Answer { columns: self.column_names(at), rows: Vec::new() };
            self.each_row(at, |_, cells| {
                if answer.rows.len() >= MANY {
                    return unknown("a table of too many rows");
                }
                answer.rows.push(cells.to_vec());
                Ok(true)
            })?;
            return Ok(answer);
        }
        match system::view(self.database(), name)? {
            Some(answer) => Ok(answer),
            None => unknown(format!("{} is not there, or its rows are made by a server", name.name)),
        }
    }

    fn ordered(
        &self,
        order: &sqlparser::ast::OrderBy,
        rows: Vec<Vec<Value>>,
        shapes: &[Source],
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<Vec<Value>>, Trouble> {
        let sqlparser::ast::OrderByKind::Expressions(by) = &order.kind else { return unknown("ORDER BY of this kind") };
        if by.iter().any(|by| matches!(by.expr, Expr::Value(_))) {
            return unknown("ORDER BY a position");
        }
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows {
            let keys = by.iter().map(|by| self.with_row(shapes, &row, outer, |scope| scope.value(&by.expr)));
            keyed.push((keys.collect::<Result<Vec<_>, _>>()?, row));
        }
        keyed.sort_by(|(a, _), (b, _)| {
            for ((a, b), by) in a.iter().zip(b).zip(by) {
                let ordering = match (a.is_null(), b.is_null()) {
                    (true, true) => std::cmp::Ordering::Equal,
                    (true, false) => std::cmp::Ordering::Less,
                    (false, true) => std::cmp::Ordering::Greater,
                    _ => a.compare(b, self.order).unwrap_or(std::cmp::Ordering::Equal),
                };
                let ordering = if by.options.asc == Some(false) { ordering.reverse() } else { ordering };
                if ordering.is_ne() {
                    return ordering;
                }
            }
            std::cmp::Ordering::Equal
        });
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    /// COUNT, MAX and MIN over all rows.
    fn aggregate(
        &self,
        select: &Select,
        shapes: &[Source],
        rows: &[Vec<Value>],
        outer: Option<&Scope<'_>>,
    ) -> Result<Answer, Trouble> {
        let mut made = Vec::new();
        for item in &select.projection {
            let Some((_, expr)) = item_of(item) else { return unknown("an aggregate beside columns") };
            let (wrapped, fallback) = match coalesced(expr) {
                Some((inner, fallback)) => (inner, Some(fallback)),
                None => (expr, None),
            };
            let Some((name, argument)) = aggregate_of(wrapped) else { return unknown("an aggregate beside columns") };
            let mut values = Vec::new();
            for row in rows {
                match argument {
                    None => values.push(Value::Int(1)),
                    Some(argument) => {
                        let value = self.with_row(shapes, row, outer, |scope| scope.value(argument))?;
                        if !value.is_null() {
                            values.push(value);
                        }
                    }
                }
            }
            let best = |wanted: std::cmp::Ordering| {
                values.iter().fold(Value::Null, |best, value| {
                    if best.is_null() || value.compare(&best, self.order) == Some(wanted) {
                        value.clone()
                    } else {
                        best
                    }
                })
            };
            let value = match name.as_str() {
                "count" => Value::Int(values.len() as i64),
                "max" => best(std::cmp::Ordering::Greater),
                "min" => best(std::cmp::Ordering::Less),
                _ => return unknown(format!("the aggregate {name}")),
            };
            made.push(match fallback {
                Some(fallback) if value.is_null() => Scope { world: self, rows: &[], outer }.value(fallback)?,
                _ => value,
            });
        }
        Ok(Answer { columns: made.iter().map(|_| String::new()).collect(), rows: vec![made] })
    }
}

fn is_ungrouped(select: &Select) -> bool {
    matches!(&select.group_by, GroupByExpr::Expressions(list, more) if list.is_empty() && more.is_empty())
}

/// What an item of SELECT gives, and the variable that it goes to.
pub(super) fn item_of(item: &SelectItem) -> Option<(Option<&str>, &Expr)> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(assigned(expr).map_or((None, expr), |(name, value)| (Some(name), value))),
        // `@x = value` is read as a value with an alias.
        SelectItem::ExprWithAlias { expr, alias } if alias.quote_style.is_none() && alias.value.starts_with('@') => {
            Some((Some(&alias.value), expr))
        }
        SelectItem::ExprWithAlias { expr, .. } => Some((None, expr)),
        _ => None,
    }
}

/// `@x = value` in a list of SELECT.
pub(super) fn assigned(expr: &Expr) -> Option<(&str, &Expr)> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match &**left {
            Expr::Identifier(name) if name.value.starts_with('@') => Some((&name.value, right)),
            _ => None,
        },
        _ => None,
    }
}

/// `ISNULL(MAX(x), 0)`.
fn coalesced(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.to_string().to_lowercase();
    let sqlparser::ast::FunctionArguments::List(list) = &function.args else { return None };
    let of = |at: usize| match list.args.get(at)? {
        sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    };
    let inner = of(0).filter(|_| matches!(name.as_str(), "isnull" | "coalesce"))?;
    aggregate_of(inner).map(|_| ())?;
    Some((inner, of(1)?))
}

/// The name and argument of an aggregate; no argument for `COUNT(*)`.
fn aggregate_of(expr: &Expr) -> Option<(String, Option<&Expr>)> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.to_string().to_lowercase();
    if !AGGREGATES.contains(&name.as_str()) || function.over.is_some() || function.filter.is_some() {
        return None;
    }
    let sqlparser::ast::FunctionArguments::List(list) = &function.args else { return None };
    if list.duplicate_treatment.is_some() {
        return None;
    }
    let argument = match list.args.first() {
        Some(sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr))) => Some(expr),
        _ => None,
    };
    Some((name, argument))
}

fn aggregates(select: &Select) -> bool {
    select.projection.iter().any(|item| {
        item_of(item).is_some_and(|(_, expr)| {
            let text = expr.to_string().to_lowercase();
            aggregate_of(expr).is_some()
                || coalesced(expr).is_some()
                // Anything around an aggregate is one, too, and is told as not understood.
                || (!text.contains("select") && AGGREGATES.iter().any(|name| text.contains(&format!("{name}("))))
        })
    })
}

/// Functions over many rows.
const AGGREGATES: [&str; 8] = ["count", "count_big", "max", "min", "sum", "avg", "string_agg", "stdev"];

fn projected(select: &Select, shapes: &[Source], row: &[Value], scope: &Scope<'_>) -> Result<Vec<Value>, Trouble> {
    let mut out = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
                let Some((_, expr)) = item_of(item) else { continue };
                out.push(scope.value(expr)?);
            }
            SelectItem::Wildcard(_) => out.extend_from_slice(row),
            SelectItem::QualifiedWildcard(..) => {
                let wanted = item.to_string();
                let wanted = wanted.trim_end_matches(".*").trim_matches(['[', ']']);
                let mut rest = row;
                for shape in shapes {
                    let (cells, behind) = rest.split_at(shape.answer.columns.len().min(rest.len()));
                    if shape.alias.eq_ignore_ascii_case(wanted) {
                        out.extend_from_slice(cells);
                    }
                    rest = behind;
                }
            }
            _ => return unknown("a column of a query"),
        }
    }
    Ok(out)
}

/// The names of the columns of a query.
fn names(select: &Select, shapes: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => out.push(alias.value.clone()),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => out.push(name.value.clone()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                out.push(parts.last().map(|name| name.value.clone()).unwrap_or_default());
            }
            SelectItem::UnnamedExpr(_) => out.push(String::new()),
            _ => out.extend(shapes.iter().flat_map(|shape| shape.answer.columns.iter().cloned())),
        }
    }
    out
}
