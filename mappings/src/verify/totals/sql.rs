//! What a total is called in the SQL of each server, and what the servers' answers mean.

use std::sync::Arc;

use arrow::array::AsArray;
use datafusion::prelude::SessionContext;
use imis_databases::{Answer, Error};
use imis_schemas::{Column, DataType, Engine, Table};

use super::super::End;
use super::super::canonical::{Kind, Plain};
use super::super::counted::Depth;
use crate::functions::session;
use imis_databases::query::expression::failed;
use imis_databases::query::tables::{SourceRows, register};

/// Whose SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tongue {
    Mssql,
    Postgres,
    /// DataFusion over a snapshot's files.
    DataFusion,
}

/// Somebody who can be asked for totals.
pub(crate) struct Speaker {
    end: End,
    tongue: Tongue,
    context: SessionContext,
    /// Whether the server has other work for us meanwhile, and few cores for it.
    beside: bool,
}

/// What is computed of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Nulls,
    Sum,
    Least,
    Greatest,
    Distinct,
}

impl Measure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Measure::Nulls => "nulls",
            Measure::Sum => "sum",
            Measure::Least => "least",
            Measure::Greatest => "greatest",
            Measure::Distinct => "distinct",
        }
    }
}

impl Speaker {
    /// Finds out how an end is asked: a server in its own SQL, a snapshot through DataFusion.
    pub(crate) async fn new(end: &End) -> Result<Self, Error> {
        let asked = end.source.answer("asking whether it answers", "SELECT CAST('1' AS varchar(1)) AS one").await?;
        let tongue = match (asked, end.catalog.engine) {
            (None, _) => Tongue::DataFusion,
            (Some(_), Engine::Mssql) => Tongue::Mssql,
            (Some(_), Engine::Postgres) => Tongue::Postgres,
        };
        let context = session(uuid::Uuid::nil());
        let rows = SourceRows { source: Arc::clone(&end.source), catalog: Arc::clone(&end.catalog) };
        register(&context, "side", Arc::new(rows));
        Ok(Speaker { end: end.clone(), tongue, context, beside: false })
    }

    /// Asks so that rows can be read meanwhile.
    pub(crate) fn beside_rows(self, beside: bool) -> Self {
        Speaker { beside, ..self }
    }

    /// The answer to a statement.
    pub(crate) async fn ask(&self, doing: &str, sql: &str) -> Result<Answer, Error> {
        if self.tongue != Tongue::DataFusion {
            let answer = match self.beside {
                true => self.end.source.answer_beside(doing, sql).await?,
                false => self.end.source.answer(doing, sql).await?,
            };
            return Ok(answer.unwrap_or_default());
        }
        let failed = |e| failed(doing, &e);
        let batches = self.context.sql(sql).await.map_err(failed)?.collect().await.map_err(failed)?;
        let mut answer = Answer::new();
        for batch in batches {
            let texts =
                batch.columns().iter().map(|array| arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8));
            let texts = texts.collect::<Result<Vec<_>, _>>();
            let texts = texts.map_err(|e| Error::failed(format!("{doing}: the answer is no text")).caused_by(e))?;
            for row in 0..batch.num_rows() {
                let cell = |array: &arrow::array::ArrayRef| {
                    let array = array.as_string_opt::<i32>()?;
                    (!arrow::array::Array::is_null(array, row)).then(|| array.value(row).to_owned())
                };
                answer.push(texts.iter().map(cell).collect());
            }
        }
        Ok(answer)
    }

    /// A table's name in a statement.
    pub(crate) fn table(&self, table: &Table) -> String {
        match self.tongue {
            Tongue::Mssql => table.table_name().sql(Engine::Mssql),
            Tongue::Postgres => table.table_name().sql(Engine::Postgres),
            Tongue::DataFusion => format!("side.{}", Engine::Postgres.quote(&table.name)),
        }
    }

    fn name(&self, name: &str) -> String {
        match self.tongue {
            Tongue::Mssql => Engine::Mssql.quote(name),
            Tongue::Postgres => Engine::Postgres.quote(name),
            Tongue::DataFusion => Engine::Postgres.quote(&name.to_lowercase()),
        }
    }

    /// A column of a table that stands under an alias in a statement.
    pub(crate) fn column(&self, alias: &str, column: &Column) -> String {
        format!("{alias}.{}", self.name(&column.name))
    }

    /// Whether a column holds whole numbers.
    pub(crate) fn is_whole(&self, column: &Column) -> bool {
        self.data_type(column).arrow().is_integer()
    }

    fn data_type(&self, column: &Column) -> DataType {
        column.data_type(self.end.catalog.engine)
    }

    /// An expression as text.
    fn text(&self, expression: &str) -> String {
        match self.tongue {
            Tongue::Mssql => format!("CAST({expression} AS varchar(80))"),
            Tongue::Postgres => format!("({expression})::text"),
            Tongue::DataFusion => format!("CAST({expression} AS varchar)"),
        }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> String {
        self.text(if self.tongue == Tongue::Mssql { "COUNT_BIG(*)" } else { "count(*)" })
    }

    /// The sum of an expression over a column of numbers; exact, and wide enough for any table.
    fn wide(&self, expression: &str, data_type: &DataType) -> String {
        let scale = match data_type {
            DataType::Decimal { scale, .. } => *scale,
            DataType::Money | DataType::SmallMoney => 4,
            _ => 0,
        };
        match (self.tongue, data_type) {
            (Tongue::Mssql, DataType::TinyInt | DataType::SmallInt | DataType::Int) => {
                format!("CAST({expression} AS bigint)")
            }
            (Tongue::Postgres, _) => expression.to_owned(),
            _ => format!("CAST({expression} AS decimal(38,{scale}))"),
        }
    }

    /// A measure of a column as text. `kind` is what the target's column holds: a moment that goes into a date is looked at
    /// as a date.
    pub(crate) fn measure(&self, measure: Measure, alias: &str, column: &Column, kind: Kind) -> String {
        let name = self.column(alias, column);
        let data_type = self.data_type(column);
        let own = Kind::of(&data_type);
        let as_day = kind == Kind::Date && own == Kind::Moment;
        let value = if as_day { format!("CAST({name} AS date)") } else { name.clone() };
        let end = |function: &str| match (self.tongue, own, &data_type) {
            (Tongue::Mssql, Kind::Date, _) => format!("CONVERT(varchar(33), {function}({value}), 126)"),
            (Tongue::Mssql, Kind::Moment, _) if as_day => format!("CONVERT(varchar(33), {function}({value}), 126)"),
            (Tongue::Mssql, Kind::Moment, DataType::DateTimeOffset(_)) => {
                format!("CONVERT(varchar(33), CAST(SWITCHOFFSET({function}({value}), '+00:00') AS datetime2(7)), 126)")
            }
            (Tongue::Mssql, Kind::Moment, _) => format!("CONVERT(varchar(33), {function}({value}), 126)"),
            (Tongue::Mssql, _, DataType::Money | DataType::SmallMoney) => {
                self.text(&format!("CAST({function}({value}) AS decimal(19,4))"))
            }
            (Tongue::Postgres, Kind::Moment, _) if !as_day => {
                format!("to_char({function}({value}), 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
            }
            // A number of microseconds; formatting is not left to a library that may not know the zone.
            (Tongue::DataFusion, Kind::Moment, _) if !as_day => {
                self.text(&format!("CAST({function}({value}) AS bigint)"))
            }
            _ => self.text(&format!("{function}({value})")),
        };
        match measure {
            Measure::Nulls => match (self.tongue, &data_type) {
                // COUNT does not take the old large types.
                (
                    Tongue::Mssql,
                    DataType::Text
                    | DataType::NText
                    | DataType::Image
                    | DataType::Xml
                    | DataType::Other(_)
                    | DataType::SqlVariant,
                ) => {
                    self.text(&format!("COALESCE(SUM(CAST(CASE WHEN {name} IS NULL THEN 1 ELSE 0 END AS bigint)), 0)"))
                }
                (Tongue::Mssql, _) => self.text(&format!("COUNT_BIG(*) - COUNT_BIG({name})")),
                _ => self.text(&format!("count(*) - count({name})")),
            },
            Measure::Sum if own == Kind::Truth => self.text(&match (self.tongue, &data_type) {
                (Tongue::Mssql, _) => format!("COALESCE(SUM(CAST({name} AS bigint)), 0)"),
                (Tongue::Postgres, DataType::BitString(_)) => format!("count(*) FILTER (WHERE {name} = B'1')"),
                (Tongue::Postgres, _) => format!("count(*) FILTER (WHERE {name})"),
                (_, DataType::BitString(_)) => format!("sum(CASE WHEN {name} IN ('1', 'true') THEN 1 ELSE 0 END)"),
                _ => format!("sum(CASE WHEN {name} THEN 1 ELSE 0 END)"),
            }),
            Measure::Sum => self.text(&format!("SUM({})", self.wide(&name, &data_type))),
            Measure::Least => end("MIN"),
            Measure::Greatest => end("MAX"),
            Measure::Distinct if self.tongue == Tongue::Mssql => self.text(&format!("COUNT_BIG(DISTINCT {value})")),
            Measure::Distinct => self.text(&format!("count(DISTINCT {value})")),
        }
    }

    /// A column, or a part of it, to group by. Millions of rows are grouped by what the server compares fastest; a text is made
    /// of the few groups that come out.
    pub(crate) fn group(&self, alias: &str, column: &Column, part: Part) -> Grouping {
        let name = self.column(alias, column);
        let data_type = self.data_type(column);
        let mut shown = Shown::Value;
        let inner = match (part, self.tongue) {
            (Part::Current, _) => {
                shown = Shown::Current;
                format!("CASE WHEN {name} IS NULL THEN 1 ELSE 0 END")
            }
            (Part::Year, Tongue::Mssql) => format!("YEAR({name})"),
            (Part::Month, Tongue::Mssql) => format!("YEAR({name}) * 100 + MONTH({name})"),
            (Part::Year, Tongue::Postgres) => format!("date_part('year', {name})::int"),
            (Part::Month, Tongue::Postgres) => {
                format!("(date_part('year', {name}) * 100 + date_part('month', {name}))::int")
            }
            (Part::Year, _) => format!("CAST(date_part('year', {name}) AS int)"),
            (Part::Month, _) => {
                format!("CAST(date_part('year', {name}) * 100 + date_part('month', {name}) AS int)")
            }
            (Part::Whole, Tongue::Mssql) => match Kind::of(&data_type) {
                Kind::Truth => format!("CAST({name} AS int)"),
                // The old large types are not grouped by.
                Kind::Text | Kind::Padded => {
                    shown = Shown::Text;
                    format!("CAST({name} AS nvarchar(200))")
                }
                _ => name,
            },
            (Part::Whole, Tongue::Postgres) if data_type == DataType::Boolean => format!("{name}::int"),
            (Part::Whole, Tongue::DataFusion) if data_type == DataType::Boolean => format!("CAST({name} AS int)"),
            (Part::Whole, _) => name,
        };
        Grouping { inner, shown }
    }

    /// The text of what rows were grouped by.
    pub(crate) fn group_text(&self, shown: Shown, name: &str) -> String {
        match shown {
            Shown::Current => format!("CASE WHEN {name} = 1 THEN 'current' ELSE 'closed' END"),
            Shown::Text => name.to_owned(),
            Shown::Value => self.text(name),
        }
    }

    /// The sum of a column that stands under a name of ours in an inner SELECT.
    pub(crate) fn sum_of(&self, name: &str) -> String {
        self.text(&format!("SUM({name})"))
    }

    /// A column of numbers, wide enough to be added up.
    pub(crate) fn number(&self, alias: &str, column: &Column) -> String {
        self.wide(&self.column(alias, column), &self.data_type(column))
    }
}

/// What rows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grouping {
    /// The expression.
    pub(crate) inner: String,
    /// How a text is made of it.
    pub(crate) shown: Shown,
}

/// How what rows were grouped by becomes a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As any value does.
    Value,
    /// It is one.
    Text,
    /// Whether a row is in force.
    Current,
}

/// What of a column rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Year,
    Month,
    Current,
}

/// The measures that make sense for a column on both sides.
pub(crate) fn measures(kind: Kind, is_whole: bool, may_be_null: bool, depth: Depth) -> Vec<Measure> {
    let mut measures = Vec::new();
    if may_be_null {
        measures.push(Measure::Nulls);
    }
    match kind {
        // Whole numbers are keys for the most part, which add up to nothing that anybody knows.
        Kind::Number if is_whole && depth == Depth::Money => {}
        Kind::Truth if depth == Depth::Money => {}
        // Of millions of numbers the sum tells what the least and the greatest would, at a third of what a server pays.
        Kind::Number => {
            measures.push(Measure::Sum);
            measures.extend([Measure::Least, Measure::Greatest].into_iter().filter(|_| depth == Depth::All));
        }
        Kind::Truth => measures.push(Measure::Sum),
        Kind::Date | Kind::Moment => measures.extend([Measure::Least, Measure::Greatest]),
        _ => {}
    }
    // Texts are left out: servers do not agree about what is distinct (case, blanks at the end).
    if depth == Depth::All && matches!(kind, Kind::Number | Kind::Date) {
        measures.push(Measure::Distinct);
    }
    measures
}

/// Microseconds as a wall clock.
pub(crate) fn moment_text(micros: i128) -> Option<String> {
    // The last day of a wall clock is later than the last of an instant.
    let span = jiff::Span::new().try_microseconds(i64::try_from(micros).ok()?).ok()?;
    jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(span).ok().map(|moment| moment.to_string())
}

/// Days since 1970 as a date.
pub(crate) fn day_text(days: i128) -> Option<String> {
    moment_text(days.checked_mul(86_400_000_000)?).map(|text| text.chars().take(10).collect())
}

/// A server's answer in one form for all servers: numbers without needless digits, moments to the microsecond.
pub(crate) fn normal(measure: Measure, kind: Kind, answer: Option<String>) -> Option<String> {
    let number = |text: String| Plain::parse(&text).map_or(text, |plain| plain.text());
    match (measure, kind) {
        (Measure::Least | Measure::Greatest, Kind::Moment) => answer.map(|text| {
            if let Ok(micros) = text.parse::<i128>() {
                return moment_text(micros).unwrap_or(text);
            }
            let Ok(moment) = text.parse::<jiff::civil::DateTime>() else { return text };
            let micros = i128::from(moment.subsec_nanosecond()) / 1_000;
            let whole = moment.with().subsec_nanosecond(i32::try_from(micros * 1_000).unwrap_or(0)).build();
            whole.map_or(text, |moment| moment.to_string())
        }),
        (Measure::Least | Measure::Greatest, Kind::Date) => {
            answer.map(|text| text.get(..10).map_or(text.clone(), str::to_owned))
        }
        // The sum of nothing is nothing everywhere.
        (Measure::Sum, _) => Some(number(answer.unwrap_or_else(|| "0".to_owned()))),
        _ => answer.map(number),
    }
}

/// What a measure of the parts of a table comes to for the whole, in the words of one server: rows are counted where there is no
/// measure. `None` where the parts do not tell.
pub(crate) fn whole<'a>(
    measure: Option<Measure>,
    parts: impl Iterator<Item = Option<&'a str>> + Clone,
) -> Option<Option<String>> {
    let mut known = parts.flatten();
    let keep = |is_better: fn(std::cmp::Ordering) -> bool,
                mut known: std::iter::Flatten<_>|
     -> Option<Option<String>> {
        let Some(first) = known.next() else { return Some(None) };
        let best = known
            .try_fold(first, |best: &str, next: &str| Some(if is_better(in_time(next, best)?) { next } else { best }));
        in_time(first, first).and(best).map(|best| Some(best.to_owned()))
    };
    match measure {
        Some(Measure::Distinct) => None,
        Some(Measure::Least) => keep(std::cmp::Ordering::is_lt, known),
        Some(Measure::Greatest) => keep(std::cmp::Ordering::is_gt, known),
        None | Some(Measure::Nulls | Measure::Sum) => {
            let zero = Plain::parse("0")?;
            let sum = known.try_fold(zero, |sum, part| sum.plus(&Plain::parse(part)?))?;
            Some(Some(sum.text()))
        }
    }
}

/// Which of two moments, as one server writes them, comes first; `None` for texts of which nobody knows.
fn in_time(one: &str, other: &str) -> Option<std::cmp::Ordering> {
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return Some(one.cmp(&other));
    }
    // Years of four digits stand in the order of their texts; the years before our era, and those of five digits, do not.
    let is_plain = |text: &str| {
        let (year, rest) = text.split_at_checked(4)?;
        (year.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-') && !text.ends_with("BC")).then_some(())
    };
    is_plain(one).and(is_plain(other)).map(|()| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_millions_of_rows_money_and_dates_are_added_up() {
        use Measure::{Distinct, Greatest, Least, Nulls, Sum};
        let of = |kind, is_whole, depth| measures(kind, is_whole, false, depth);
        for is_whole in [true, false] {
            assert_eq!(of(Kind::Number, is_whole, Depth::All), [Sum, Least, Greatest, Distinct]);
        }
        assert_eq!(of(Kind::Number, true, Depth::Numbers), [Sum]);
        assert_eq!(of(Kind::Truth, false, Depth::Numbers), [Sum]);
        assert_eq!(of(Kind::Number, true, Depth::Money), []);
        assert_eq!(of(Kind::Truth, false, Depth::Money), []);
        assert_eq!(of(Kind::Number, false, Depth::Money), [Sum]);
        assert_eq!(of(Kind::Moment, false, Depth::Money), [Least, Greatest]);
        assert_eq!(measures(Kind::Text, false, true, Depth::Money), [Nulls]);
    }

    #[test]
    fn parts_come_to_the_whole_or_to_nothing() {
        let of = |measure, parts: &[Option<&str>]| whole(measure, parts.iter().copied());
        let text = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(of(None, &[Some("7"), Some("5")]), text("12"));
        assert_eq!(of(None, &[]), text("0"));
        assert_eq!(of(Some(Measure::Nulls), &[]), text("0"));
        assert_eq!(of(Some(Measure::Sum), &[Some("1.50"), None, Some("-0.25")]), text("1.25"));
        assert_eq!(of(Some(Measure::Sum), &[Some("1"), Some("NaN")]), None);
        let moments = [Some("2024-02-29T12:34:56"), None, Some("2024-02-29T12:34:56.790"), Some("0001-01-01T00:00:00")];
        assert_eq!(of(Some(Measure::Least), &moments), text("0001-01-01T00:00:00"));
        assert_eq!(of(Some(Measure::Greatest), &moments), text("2024-02-29T12:34:56.790"));
        // Microseconds, from a snapshot.
        assert_eq!(of(Some(Measure::Least), &[Some("9"), Some("-10")]), text("-10"));
        assert_eq!(of(Some(Measure::Greatest), &[Some("9"), Some("10")]), text("10"));
        assert_eq!(of(Some(Measure::Greatest), &[None, None]), Some(None));
        for odd in ["0044-03-15 BC", "infinity", "10000-01-01", ""] {
            assert_eq!(of(Some(Measure::Least), &[Some(odd)]), None, "{odd}");
            assert_eq!(of(Some(Measure::Least), &[Some("2024-01-01"), Some(odd)]), None, "{odd}");
        }
        assert_eq!(of(Some(Measure::Distinct), &[Some("1")]), None);
    }

    #[test]
    fn answers_of_both_servers_meet() {
        let cases = [
            (Measure::Least, Kind::Moment, "2024-02-29T12:34:56.790", "2024-02-29T12:34:56.790000"),
            (Measure::Least, Kind::Moment, "2024-02-29T12:34:56", "2024-02-29T12:34:56.000000"),
            (Measure::Greatest, Kind::Moment, "253402300799999999", "9999-12-31T23:59:59.999999"),
            (Measure::Greatest, Kind::Moment, "9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.999999"),
            (Measure::Least, Kind::Moment, "1709210096790000", "2024-02-29T12:34:56.790000"),
            (Measure::Least, Kind::Date, "2024-02-29T00:00:00", "2024-02-29"),
            (Measure::Sum, Kind::Number, "1.5000", "1.5"),
            (Measure::Nulls, Kind::Text, "7", "7"),
        ];
        for (measure, kind, one, other) in cases {
            assert_eq!(normal(measure, kind, Some(one.into())), normal(measure, kind, Some(other.into())), "{one}");
        }
        assert_eq!(normal(Measure::Sum, Kind::Number, None), Some("0".into()));
        assert_eq!(normal(Measure::Least, Kind::Number, None), None);
        assert_eq!(day_text(19_782).as_deref(), Some("2024-02-29"));
    }
}
