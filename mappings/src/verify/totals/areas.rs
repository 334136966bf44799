//! Totals by business area, as `packs/totals.yaml` names them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use imis_databases::{Error, ErrorKind};
use imis_schemas::{Column, Table, same_name};
use serde::Deserialize;

use super::super::canonical::Plain;
use super::super::outcome::{AreaTotal, Group, Status};
use super::sql::{Grouping, Part, Speaker};

/// How many differing groups of a total are kept.
const GROUPS: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    areas: Vec<Area>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    area: String,
    totals: Vec<Total>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Total {
    title: String,
    table: String,
    by: Vec<By>,
    #[serde(default)]
    sum: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum By {
    Column(String),
    Part(PartOf),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartOf {
    current: Option<String>,
    year: Option<String>,
    month: Option<String>,
    column: Option<String>,
    #[serde(default)]
    through: Vec<String>,
}

impl By {
    /// The column, the part of it, and the keys to follow.
    fn parts(&self) -> Option<(&str, Part, &[String])> {
        match self {
            By::Column(column) => Some((column, Part::Whole, &[])),
            By::Part(of) => {
                let said = [
                    (&of.current, Part::Current),
                    (&of.year, Part::Year),
                    (&of.month, Part::Month),
                    (&of.column, Part::Whole),
                ];
                let (column, part) = said.into_iter().find_map(|(column, part)| Some((column.as_deref()?, part)))?;
                Some((column, part, &of.through))
            }
        }
    }

    fn name(&self) -> String {
        match self.parts() {
            Some((_, Part::Current, _)) => "in force".to_owned(),
            Some((column, Part::Year, _)) => format!("year of {column}"),
            Some((column, Part::Month, _)) => format!("month of {column}"),
            Some((column, ..)) => column.to_owned(),
            None => String::new(),
        }
    }
}

/// A table of both sides: which columns of the source and of the target belong together.
pub(crate) struct Resolved {
    pub(crate) from: Arc<Table>,
    pub(crate) to: Arc<Table>,
    pub(crate) columns: Vec<(Column, Column)>,
}

fn file() -> &'static File {
    static FILE: OnceLock<File> = OnceLock::new();
    // The file is part of the program and read by a test.
    FILE.get_or_init(|| serde_yaml::from_str(include_str!("../../../packs/totals.yaml")).unwrap_or_default())
}

impl AreaTotal {
    /// The tables that a total looks at.
    pub(crate) fn tables(&self) -> Vec<String> {
        let totals = file().areas.iter().flat_map(|area| &area.totals);
        let Some(total) = totals.into_iter().find(|total| total.title == self.title) else { return Vec::new() };
        let through = total.by.iter().filter_map(By::parts).flat_map(|(_, _, through)| through);
        let through = through.filter_map(|step| Some(step.split_once('=')?.1.trim().split_once('.')?.0.to_owned()));
        std::iter::once(total.table.clone()).chain(through).collect()
    }
}

/// Computes every total whose tables and columns both sides have.
pub(crate) async fn totals(
    speakers: &(Speaker, Speaker),
    resolve: &(dyn Fn(&str) -> Option<Resolved> + Sync),
) -> Result<Vec<AreaTotal>, Error> {
    let mut found = Vec::new();
    for area in &file().areas {
        for total in &area.totals {
            // Another kind of database, or a table that was not asked for.
            if resolve(&total.table).is_none() {
                continue;
            }
            let figures = std::iter::once("rows".to_owned()).chain(total.sum.iter().map(|c| format!("sum of {c}")));
            let mut outcome = AreaTotal {
                area: area.area.clone(),
                title: total.title.clone(),
                table: total.table.clone(),
                figures: figures.collect(),
                from: Vec::new(),
                to: Vec::new(),
                groups: 0,
                differing: Vec::new(),
                differ: 0,
                status: Status::Equal,
            };
            match total.statements(speakers, resolve) {
                Err(why) => outcome.status = Status::NotComputed(why),
                Ok((one, other)) => match ask(speakers, total, &one, &other).await {
                    Ok((one, other)) => total.judge(&one, &other, &mut outcome),
                    Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
                    Err(error) => outcome.status = Status::NotComputed(error.to_string()),
                },
            }
            found.push(outcome);
        }
    }
    Ok(found)
}

/// Groups by their folded names, with their figures.
type Groups = BTreeMap<Vec<Option<String>>, Vec<Option<Plain>>>;

async fn ask(speakers: &(Speaker, Speaker), total: &Total, one: &str, other: &str) -> Result<(Groups, Groups), Error> {
    let doing = format!("computing the total \"{}\"", total.title);
    let (one, other) = futures::try_join!(speakers.0.ask(&doing, one), speakers.1.ask(&doing, other))?;
    let groups = |answer: imis_databases::Answer| {
        let mut groups = Groups::new();
        for row in answer {
            let (by, figures) = row.split_at(total.by.len().min(row.len()));
            // SQL Server takes `m`, `M` and `M ` for one; so do we.
            let fold = |text: &String| match Plain::parse(text) {
                Some(plain) => plain.text(),
                None => text.trim_end().to_uppercase(),
            };
            let by = by.iter().map(|text| text.as_ref().map(fold)).collect();
            let figures = figures.iter().map(|text| Plain::parse(text.as_deref().unwrap_or("0")));
            let entry: &mut Vec<Option<Plain>> = groups.entry(by).or_default();
            for (at, figure) in figures.enumerate() {
                match entry.get_mut(at) {
                    None => entry.push(figure),
                    Some(sum) => *sum = sum.take().zip(figure).and_then(|(a, b)| a.plus(&b)),
                }
            }
        }
        groups
    };
    Ok((groups(one), groups(other)))
}

impl Total {
    /// The statement for each side.
    fn statements(
        &self,
        speakers: &(Speaker, Speaker),
        resolve: &(dyn Fn(&str) -> Option<Resolved> + Sync),
    ) -> Result<(String, String), String> {
        let base = resolve(&self.table).ok_or_else(|| format!("no table {}", self.table))?;
        let mut joined: Vec<Resolved> = Vec::new();
        let mut sides = [Statement::new(&speakers.0), Statement::new(&speakers.1)];
        sides[0].from = format!("{} t", speakers.0.table(&base.from));
        sides[1].from = format!("{} t", speakers.1.table(&base.to));
        let pick = |resolved: &Resolved, name: &str| -> Result<(Column, Column), String> {
            let found = resolved.columns.iter().find(|(_, target)| same_name(&target.name, name));
            found.cloned().ok_or_else(|| format!("the source has {}.{name} not as a plain column", resolved.to.name))
        };
        for by in &self.by {
            let Some((name, part, through)) = by.parts() else {
                return Err("it is not grouped by anything".to_owned());
            };
            let mut alias = "t".to_owned();
            let mut at: Option<usize> = None;
            for step in through {
                let said = step.split_once('=').map(|(key, to)| (key.trim(), to.trim()));
                let Some((key, (table, column))) = said.and_then(|(key, to)| Some((key, to.split_once('.')?))) else {
                    return Err(format!("`{step}` is no step: write KEY = TABLE.COLUMN"));
                };
                let next = resolve(table).ok_or_else(|| format!("no table {table}"))?;
                let here = at.and_then(|at| joined.get(at)).unwrap_or(&base);
                let (own, referred) = (pick(here, key)?, pick(&next, column)?);
                let new = format!("j{}", joined.len());
                for (side, (own, referred, table)) in
                    sides.iter_mut().zip([(&own.0, &referred.0, &next.from), (&own.1, &referred.1, &next.to)])
                {
                    let speaker = side.speaker;
                    side.from.push_str(&format!(
                        " LEFT JOIN {} {new} ON {} = {}",
                        speaker.table(table),
                        speaker.column(&alias, own),
                        speaker.column(&new, referred)
                    ));
                }
                at = Some(joined.len());
                joined.push(next);
                alias = new;
            }
            let here = at.and_then(|at| joined.get(at)).unwrap_or(&base);
            let (own, target) = pick(here, name)?;
            for (side, column) in sides.iter_mut().zip([&own, &target]) {
                side.groups.push(side.speaker.group(&alias, column, part));
            }
        }
        for name in &self.sum {
            let (own, target) = pick(&base, name)?;
            for (side, column) in sides.iter_mut().zip([&own, &target]) {
                side.sums.push(side.speaker.number("t", column));
            }
        }
        let [one, other] = sides;
        Ok((one.text(), other.text()))
    }

    fn judge(&self, one: &Groups, other: &Groups, outcome: &mut AreaTotal) {
        let texts = |figures: Option<&Vec<Option<Plain>>>| -> Vec<Option<String>> {
            figures.map(|figures| figures.iter().map(|f| f.as_ref().map(Plain::text)).collect()).unwrap_or_default()
        };
        let whole = |groups: &Groups| -> Vec<Option<String>> {
            let zero = || vec![Plain::parse("0"); outcome.figures.len()];
            let sum = groups
                .values()
                .fold(zero(), |sum, figures| sum.into_iter().zip(figures).map(|(a, b)| a?.plus(b.as_ref()?)).collect());
            texts(Some(&sum))
        };
        (outcome.from, outcome.to) = (whole(one), whole(other));
        let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
        outcome.groups = keys.len() as u64;
        for key in keys {
            let (from, to) = (texts(one.get(key)), texts(other.get(key)));
            if from != to {
                outcome.differ += 1;
                if outcome.differing.len() < GROUPS {
                    let by = self.by.iter().map(By::name).zip(key.iter().cloned()).collect();
                    outcome.differing.push(Group { by, from, to });
                }
            }
        }
        outcome.status = if outcome.differ == 0 { Status::Equal } else { Status::Differs };
    }
}

struct Statement<'a> {
    speaker: &'a Speaker,
    from: String,
    /// What rows are grouped by, in the form in which grouping costs least, and what makes a text of it.
    groups: Vec<Grouping>,
    sums: Vec<String>,
}

impl<'a> Statement<'a> {
    fn new(speaker: &'a Speaker) -> Self {
        Statement { speaker, from: String::new(), groups: Vec::new(), sums: Vec::new() }
    }

    fn text(&self) -> String {
        let inner = self.groups.iter().enumerate().map(|(at, group)| format!("{} AS g{at}", group.inner));
        let sums = self.sums.iter().enumerate().map(|(at, sum)| format!("{sum} AS s{at}"));
        let inner = inner.chain(sums).collect::<Vec<_>>().join(", ");
        let groups = (0..self.groups.len()).map(|at| format!("x.g{at}")).collect::<Vec<_>>().join(", ");
        let shown = self.groups.iter().enumerate().map(|(at, group)| {
            let text = self.speaker.group_text(group.shown, &format!("x.g{at}"));
            format!("{text} AS t{at}")
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let figures = std::iter::once(self.speaker.rows())
            .chain((0..self.sums.len()).map(|at| self.speaker.sum_of(&format!("x.s{at}"))));
        let figures = figures.enumerate().map(|(at, item)| format!("{item} AS f{at}")).collect::<Vec<_>>().join(", ");
        format!("SELECT {shown}, {figures} FROM (SELECT {inner} FROM {}) x GROUP BY {groups}", self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_tables_and_columns_of_the_modular_schema() {
        let catalog = imis_schemas::release("modular/1.11").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        assert!(file().areas.len() >= 4);
        for total in file().areas.iter().flat_map(|area| &area.totals) {
            assert!(seen.insert(&total.title), "{} stands twice", total.title);
            let table = catalog.table(&total.table).unwrap_or_else(|| panic!("{}", total.table));
            for name in &total.sum {
                assert!(table.column(name).is_some(), "{}.{name}", total.table);
            }
            for by in &total.by {
                let (name, _, through) = by.parts().unwrap();
                let mut here = table;
                for step in through {
                    let (key, to) = step.split_once('=').unwrap();
                    assert!(here.column(key.trim()).is_some(), "{step}");
                    let (next, column) = to.trim().split_once('.').unwrap();
                    here = catalog.table(next).unwrap();
                    assert!(here.column(column).is_some(), "{step}");
                }
                assert!(here.column(name).is_some(), "{}.{name}", here.name);
            }
        }
    }
}
