//! Control totals: each server computes its own, in its own SQL, beside the rows that are compared.

mod areas;
mod sql;

use std::sync::Arc;

use imis_databases::{Answer, Error};
use imis_schemas::{Column, Table};

use self::sql::{Measure, Speaker, measures, normal};
use super::canonical::Kind;
use super::compare::Found;
use super::counted::{Counted, Depth};
use super::expected::{form, rules_of, way};
use super::outcome::{AreaTotal, ColumnTotal, Status, TableVerdict};
use super::tally::{Figures, Unit};
use super::{End, Options, engine, shape};
use crate::bind::{BoundMapping, Way};

/// How many items a statement asks for at most.
const ITEMS: usize = 200;

/// What is asked of both sides about a table: its rows, then measures of its columns.
struct Asked<'a> {
    twins: &'a Twins,
    items: Vec<Option<(&'a Twin, Measure)>>,
}

impl<'a> Asked<'a> {
    fn new(speakers: &(Speaker, Speaker), twins: &'a Twins, counted: &Counted, sample: bool) -> Self {
        let depth = counted.depth(&twins.from, &twins.to, sample);
        let mut items = vec![None];
        for twin in &twins.columns {
            let may_be_null = twin.from.nullable || twin.to.nullable;
            let is_whole = speakers.0.is_whole(&twin.from) && speakers.1.is_whole(&twin.to);
            let depth = if twin.compared { depth } else { depth.max(Depth::Numbers) };
            items.extend(measures(twin.kind, is_whole, may_be_null, depth).into_iter().map(|m| Some((twin, m))));
        }
        if counted.larger(&twins.from, &twins.to) == 0 {
            items.truncate(1);
        }
        Asked { twins, items }
    }

    /// The items in the SQL of a side, of the table that stands under an alias.
    fn sql(&self, speaker: &Speaker, alias: &str, of_from: bool) -> Vec<String> {
        let item = |item: &Option<(&Twin, Measure)>| match item {
            None => speaker.rows(),
            Some((twin, measure)) => {
                speaker.measure(*measure, alias, if of_from { &twin.from } else { &twin.to }, twin.kind)
            }
        };
        self.items.iter().map(item).collect()
    }

    /// The columns of a side that the items are about.
    fn columns(&self, of_from: bool) -> Vec<&'a Column> {
        let mut columns: Vec<&Column> = Vec::new();
        for (twin, _) in self.items.iter().flatten() {
            let column = if of_from { &twin.from } else { &twin.to };
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column);
            }
        }
        columns
    }

    /// Whether what is asked of the parts of a table says what it comes to for the whole: not how many values are distinct.
    fn adds_up(&self) -> bool {
        self.items.len() > 1
            && self.items.len() <= ITEMS
            && self.items.iter().flatten().all(|(_, measure)| *measure != Measure::Distinct)
    }

    /// The items of the whole table from those of its parts, in the order of the items; `None` where they do not tell.
    fn whole(&self, parts: &[&[Option<String>]]) -> Option<Vec<Figure>> {
        let item = |(at, item): (usize, &Option<(&Twin, Measure)>)| {
            let of_parts = parts.iter().map(|part| part.get(at).and_then(Option::as_deref));
            sql::whole(item.map(|(_, measure)| measure), of_parts).map(Ok)
        };
        self.items.iter().enumerate().map(item).collect()
    }
}

/// A table of both sides and the columns that are held against each other.
struct Twins {
    table: String,
    from: Arc<Table>,
    to: Arc<Table>,
    columns: Vec<Twin>,
}

struct Twin {
    name: String,
    from: Column,
    to: Column,
    kind: Kind,
    /// Whether it is among what is compared row by row.
    compared: bool,
}

/// Totals of the tables of a migration: of columns that the mapping carries over as they are.
pub(crate) async fn migration(
    mapping: &BoundMapping,
    from: &End,
    to: &End,
    tables: &[Arc<Table>],
    counted: &Counted,
    options: &Options,
) -> Result<(Vec<ColumnTotal>, Vec<AreaTotal>), Error> {
    let twins = tables.iter().filter_map(|table| {
        let (source, columns) = carried(mapping, table)?;
        let (compared, _) = form(mapping, table);
        let columns = columns.into_iter().filter_map(|(own, target)| {
            let (a, b) = (own.data_type(engine(from)), target.data_type(engine(to)));
            let kind = match (Kind::of(&a), Kind::of(&b)) {
                (Kind::Moment, Kind::Date) => Kind::Date,
                _ => Kind::between(&a, &b)?,
            };
            let compared = compared.columns.iter().any(|column| column.name == target.name);
            Some(Twin { name: target.name.clone(), from: own, to: target, kind, compared })
        });
        Some(Twins {
            table: table.table_name().to_string(),
            from: source,
            to: Arc::clone(table),
            columns: columns.collect(),
        })
    });
    let speakers = speakers(from, to, options).await?;
    let twins: Vec<Twins> = twins.collect();
    let resolve = |table: &str| {
        let target = tables.iter().find(|t| imis_schemas::same_name(&t.name, table))?;
        let (source, columns) = carried(mapping, target)?;
        Some(areas::Resolved { from: source, to: Arc::clone(target), columns })
    };
    both(&speakers, &twins, &resolve, counted, options.sample).await
}

/// A source table, and its columns beside those of the target that they go to.
type Carried = (Arc<Table>, Vec<(Column, Column)>);

/// The one source table whose rows a target table gets, and the columns that come along as they are.
fn carried(mapping: &BoundMapping, table: &Table) -> Option<Carried> {
    let rules: Vec<_> = rules_of(mapping, table).filter(|(_, rule)| matches!(rule.way, Way::Rows(_))).collect();
    let [(_, rule)] = rules.as_slice() else { return None };
    let source = rule.source.as_ref()?;
    let columns = way(rule)?.columns.iter().filter_map(|(expression, fit)| {
        let own = source.column(expression.plain_column()?)?;
        Some((own.clone(), table.column(&fit.column().name)?.clone()))
    });
    Some((Arc::clone(source), columns.collect()))
}

/// Totals of two databases of one shape.
pub(crate) async fn same_shape(
    pairs: &[shape::Pair],
    from: &End,
    to: &End,
    counted: &Counted,
    options: &Options,
) -> Result<(Vec<ColumnTotal>, Vec<AreaTotal>), Error> {
    let columns_of = |pair: &shape::Pair| -> Vec<(Column, Column, Kind)> {
        let names = pair.from_columns.iter().zip(&pair.to_columns).zip(&pair.form.columns);
        names
            .filter_map(|((a, b), compared)| {
                Some((pair.from.column(a)?.clone(), pair.to.column(b)?.clone(), compared.kind))
            })
            .collect()
    };
    let twins = pairs.iter().map(|pair| Twins {
        table: pair.form.table.clone(),
        from: Arc::clone(&pair.from),
        to: Arc::clone(&pair.to),
        columns: columns_of(pair)
            .into_iter()
            .map(|(from, to, kind)| Twin { name: to.name.clone(), from, to, kind, compared: true })
            .collect(),
    });
    let twins: Vec<Twins> = twins.collect();
    let speakers = speakers(from, to, options).await?;
    let resolve = |table: &str| {
        let pair = pairs.iter().find(|pair| imis_schemas::same_name(&pair.to.name, table))?;
        let columns = columns_of(pair).into_iter().map(|(from, to, _)| (from, to)).collect();
        Some(areas::Resolved { from: Arc::clone(&pair.from), to: Arc::clone(&pair.to), columns })
    };
    both(&speakers, &twins, &resolve, counted, options.sample).await
}

/// Both ends, to be asked. Where all rows are compared by no more than a few connections, they take the longer time, and two cores are
/// busy with them: servers add up on one core each. Who wants more jobs than that has cores to spare.
async fn speakers(from: &End, to: &End, options: &Options) -> Result<(Speaker, Speaker), Error> {
    let beside = !options.sample && options.jobs <= 2;
    Ok((Speaker::new(from).await?.beside_rows(beside), Speaker::new(to).await?.beside_rows(beside)))
}

/// The totals of columns and those by area. Where a large table has both, one statement asks for them: its rows are read once.
async fn both(
    speakers: &(Speaker, Speaker),
    twins: &[Twins],
    resolve: &(dyn Fn(&str) -> Option<areas::Resolved> + Sync),
    counted: &Counted,
    sample: bool,
) -> Result<(Vec<ColumnTotal>, Vec<AreaTotal>), Error> {
    let asked: Vec<Asked<'_>> = twins.iter().map(|twins| Asked::new(speakers, twins, counted, sample)).collect();
    let (areas, answered) = areas::totals(speakers, resolve, &asked).await?;
    Ok((of_columns(speakers, &asked, answered).await?, areas))
}

async fn of_columns(
    speakers: &(Speaker, Speaker),
    asked: &[Asked<'_>],
    mut answered: areas::Answered,
) -> Result<Vec<ColumnTotal>, Error> {
    let mut totals = Vec::new();
    for asked in asked {
        let (twins, table) = (asked.twins, asked.twins.to.table_name());
        let (one, other) = match answered.remove(&table) {
            Some(figures) => figures,
            None => futures::try_join!(
                figures(&speakers.0, &twins.from, asked.sql(&speakers.0, "t", true)),
                figures(&speakers.1, &twins.to, asked.sql(&speakers.1, "t", false))
            )?,
        };
        for (item, (one, other)) in asked.items.iter().zip(one.into_iter().zip(other)) {
            let (column, total) = match item {
                None => (String::new(), "rows"),
                Some((twin, measure)) => (twin.name.clone(), measure.name()),
            };
            let normal = |answer| match item {
                None => answer,
                Some((twin, measure)) => normal(*measure, twin.kind, answer),
            };
            let (from, to, status) = match (one, other) {
                (Ok(one), Ok(other)) => {
                    let (one, other) = (normal(one), normal(other));
                    let status = if one == other { Status::Equal } else { Status::Differs };
                    (one, other, status)
                }
                (Err(why), _) | (_, Err(why)) => (None, None, Status::NotComputed(why)),
            };
            totals.push(ColumnTotal { table: twins.table.clone(), column, total: total.to_owned(), from, to, status });
        }
    }
    Ok(totals)
}

type Figure = Result<Option<String>, String>;

/// The figures of a table; one that the server cannot give does not take the others along.
async fn figures(speaker: &Speaker, table: &Table, items: Vec<String>) -> Result<Vec<Figure>, Error> {
    let doing = format!("computing totals of {}", table.table_name());
    let place = speaker.table(table);
    let statement = |items: &[String]| {
        let named = items.iter().enumerate().map(|(at, item)| format!("{item} AS f{at}")).collect::<Vec<_>>();
        format!("SELECT {} FROM {place} t", named.join(", "))
    };
    let row = |answer: Answer| answer.into_iter().next().unwrap_or_default();
    let mut figures = Vec::with_capacity(items.len());
    for part in items.chunks(ITEMS) {
        match speaker.ask(&doing, &statement(part)).await {
            Ok(answer) => figures.extend(row(answer).into_iter().map(Ok)),
            Err(error) if error.kind() == imis_databases::ErrorKind::Unreachable => return Err(error),
            Err(_) => {
                for item in part {
                    let answer = speaker.ask(&doing, &statement(std::slice::from_ref(item))).await;
                    figures.push(match answer {
                        Ok(answer) => Ok(row(answer).into_iter().next().flatten()),
                        Err(error) if error.kind() == imis_databases::ErrorKind::Unreachable => return Err(error),
                        Err(error) => Err(error.to_string()),
                    });
                }
            }
        }
    }
    Ok(figures)
}

/// Says which totals that differ are explained by rows that differ for a reason. The figures must agree: what was read adds up to
/// what the server computed, on both sides, and nothing in between is without a name.
pub(crate) fn explain(totals: &mut [ColumnTotal], areas: &mut [AreaTotal], found: &[(TableVerdict, Found)]) {
    let of = |table: &str| found.iter().find(|(verdict, _)| verdict.table == table);
    for total in totals.iter_mut().filter(|total| total.status.differs()) {
        if let Some((verdict, found)) = of(&total.table)
            && let Some(why) = reason(total, verdict, found)
        {
            total.status = Status::Explained(why);
        }
    }
    for area in areas.iter_mut().filter(|area| area.status.differs()) {
        let involved: Vec<_> = area.tables().iter().filter_map(|table| of(table)).collect();
        let names: Vec<String> = involved.iter().flat_map(|(verdict, found)| names(verdict, found, None)).collect();
        let is_clean = involved.iter().all(|(verdict, _)| verdict.unexplained() == 0);
        if is_clean && !names.is_empty() {
            area.status = Status::Explained(said(names));
        }
    }
}

fn said(mut names: Vec<String>) -> String {
    names.sort();
    names.dedup();
    names.join(", ")
}

/// The names of what explains differences of a table, or of a column of it. Rows that a query of the mapping makes are in the
/// target only.
fn names(verdict: &TableVerdict, found: &Found, column: Option<&str>) -> Vec<String> {
    let losses = verdict.losses.iter().filter(|loss| column.is_none_or(|column| loss.column == column));
    let computed = (found.made_rows > 0).then(|| "computed".to_owned());
    verdict.explained.keys().cloned().chain(computed).chain(losses.map(|loss| loss.name.clone())).collect()
}

fn reason(total: &ColumnTotal, verdict: &TableVerdict, found: &Found) -> Option<String> {
    if verdict.unexplained() > 0 {
        return None;
    }
    let names = names(verdict, found, (!total.column.is_empty()).then_some(total.column.as_str()));
    if names.is_empty() {
        return None;
    }
    let said = said(names);
    if verdict.sampled {
        return Some(format!("{said}, as far as the sample tells"));
    }
    if total.column.is_empty() {
        let read = found.from_rows + found.not_passed - found.made_rows;
        let agrees = total.from == Some(read.to_string()) && total.to == Some(found.to_rows.to_string());
        return agrees.then_some(said);
    }
    let at = found.columns.iter().position(|name| *name == total.column)?;
    let agrees = |figures: Option<&Figures>, text: &Option<String>| {
        let Some(figures) = figures else { return false };
        match total.total.as_str() {
            "nulls" => Some(figures.nulls.to_string()) == *text,
            "sum" => figures.sum.map(|sum| scaled(sum, figures.scale)) == *text,
            "least" | "greatest" => {
                let value = if total.total == "least" { figures.least } else { figures.greatest };
                let shown = value.and_then(|value| match figures.unit {
                    Unit::Number => Some(scaled(value, figures.scale)),
                    Unit::Day => sql::day_text(value),
                    Unit::Micro => sql::moment_text(value),
                });
                match (&shown, text) {
                    // A moment that goes into a date was looked at as a date.
                    (Some(shown), Some(text)) if text.len() == 10 => shown.starts_with(text.as_str()),
                    _ => shown == *text,
                }
            }
            // Which values are distinct cannot be followed through sums; the rows must be enough.
            _ => true,
        }
    };
    (agrees(found.read.get(at), &total.from) && agrees(found.there.get(at), &total.to)).then_some(said)
}

/// A scaled number as its shortest text.
fn scaled(value: i128, scale: u8) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if value < 0 { "-" } else { "" };
    super::canonical::Plain::parse(&format!("{sign}{whole}.{fraction}")).map_or_else(String::new, |plain| plain.text())
}
