//! Totals by business area, as `packs/totals.yaml` names them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use imis_databases::{Answer, Error, ErrorKind};
use imis_schemas::{Column, DataType, Engine, Table, TableName, same_name};
use serde::Deserialize;

use super::super::canonical::Plain;
use super::super::outcome::{AreaTotal, Group, Status};
use super::sql::{Grouping, Part, Speaker};
use super::{Asked, Figure};

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

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum By {
    Column(String),
    Part(PartOf),
}

#[derive(Debug, PartialEq, Deserialize)]
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

    /// How many groups there are at most, as far as the type of the target's column tells.
    fn most(&self, base: &Resolved) -> u64 {
        // What another table says has no bound here.
        let Some((name, part, [])) = self.parts() else { return u64::MAX };
        let Ok((_, column)) = pick(base, name) else { return u64::MAX };
        match (part, column.data_type(Engine::Postgres)) {
            (Part::Current, _) => 2,
            // Two hundred years, which is what birthdays come to.
            (Part::Year, _) => 200,
            (Part::Month, _) => 200 * 12,
            (Part::Whole, DataType::Boolean) => 3,
            // A letter or a digit.
            (Part::Whole, data_type) if data_type.length() == Some(1) => 64,
            (Part::Whole, _) => u64::MAX,
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
#[derive(Clone)]
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

/// What was answered about the columns of tables of the target besides, on both sides.
pub(crate) type Answered = HashMap<TableName, (Vec<Figure>, Vec<Figure>)>;

/// Computes every total whose tables and columns both sides have. What is `asked` about the columns of a table is asked along, where
/// that costs no other look at its rows.
pub(crate) async fn totals(
    speakers: &(Speaker, Speaker),
    resolve: &(dyn Fn(&str) -> Option<Resolved> + Sync),
    asked: &[Asked<'_>],
) -> Result<(Vec<AreaTotal>, Answered), Error> {
    let mut answered = Answered::new();
    let mut found = Vec::new();
    let mut questions: Vec<Question<'_>> = Vec::new();
    for area in &file().areas {
        for total in &area.totals {
            // Another kind of database, or a table that was not asked for.
            let Some(base) = resolve(&total.table) else { continue };
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
            let asked = questions.iter_mut().find(|question| question.takes(total, &base));
            let asked = match asked {
                Some(question) => question.add(total, found.len(), resolve),
                None => {
                    let mut question = Question::new(speakers, &total.table, &base);
                    let added = question.add(total, found.len(), resolve);
                    questions.extend(added.is_ok().then_some(question));
                    added
                }
            };
            if let Err(why) = asked {
                outcome.status = Status::NotComputed(why);
            }
            found.push(outcome);
        }
    }
    for asked in asked.iter().filter(|asked| asked.adds_up()) {
        if let Some(question) = questions.iter_mut().find(|question| question.may_take_along(asked)) {
            question.along = Some(asked);
        }
    }
    while let Some(question) = questions.pop() {
        let answers = question.ask().await;
        match &answers {
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                return Err(answers.err().unwrap_or_else(|| Error::failed("no answer")));
            }
            // One that a server cannot answer does not take the others along.
            Err(_) if question.places.len() > 1 || question.along.is_some() => {
                for place in &question.places {
                    let mut alone = Question::new(speakers, question.table, &question.base);
                    // What could be asked together can be asked alone.
                    questions.extend(alone.add(place.total, place.at, resolve).is_ok().then_some(alone));
                }
                continue;
            }
            _ => {}
        }
        for place in &question.places {
            let Some(outcome) = found.get_mut(place.at) else { continue };
            match &answers {
                Ok((one, other)) => {
                    let groups = |answer| place.groups(answer, question.by.len());
                    place.total.judge(&groups(one), &groups(other), outcome);
                }
                Err(error) => outcome.status = Status::NotComputed(error.to_string()),
            }
        }
        if let (Some(asked), Ok((one, other))) = (question.along, &answers)
            && let Some(figures) = question.taken_along(asked, one).zip(question.taken_along(asked, other))
        {
            answered.insert(question.base.to.table_name(), figures);
        }
    }
    Ok((found, answered))
}

/// Groups by their folded names, with their figures.
type Groups = BTreeMap<Vec<Option<String>>, Vec<Option<Plain>>>;

/// Rows are grouped by at most so many groups at once, as far as the types of the columns tell.
const TOGETHER: u64 = 200_000;

/// One statement for each side, which answers the totals of a table that go together: the rows are read once, grouped by
/// everything that one of the totals is grouped by, and what each total asked for is put together from the groups here.
struct Question<'a> {
    table: &'a str,
    base: Resolved,
    sides: [Statement<'a>; 2],
    joined: Vec<Resolved>,
    /// What the rows are grouped by.
    by: Vec<&'a By>,
    /// The columns that are added up.
    sums: Vec<&'a str>,
    places: Vec<Place<'a>>,
    /// What is asked about the table's columns besides, group by group.
    along: Option<&'a Asked<'a>>,
}

/// A total and where it finds its answer.
struct Place<'a> {
    total: &'a Total,
    /// Its place among the outcomes.
    at: usize,
    /// Which of the question's groups and which of its sums are its own.
    by: Vec<usize>,
    sums: Vec<usize>,
}

impl Place<'_> {
    /// What the answer says about this total. A row of it has so many groups, then the number of rows, then the sums.
    fn groups(&self, answer: &Answer, width: usize) -> Groups {
        let mut groups = Groups::new();
        for row in answer {
            let cell = |at: &usize| row.get(*at).cloned().flatten();
            // SQL Server takes `m`, `M` and `M ` for one; so do we.
            let fold = |text: String| match Plain::parse(&text) {
                Some(plain) => plain.text(),
                None => text.trim_end().to_uppercase(),
            };
            let by = self.by.iter().map(|at| cell(at).map(fold)).collect();
            let figures = std::iter::once(width).chain(self.sums.iter().map(|at| width + 1 + at));
            let figures = figures.map(|at| Plain::parse(cell(&at).as_deref().unwrap_or("0")));
            let entry: &mut Vec<Option<Plain>> = groups.entry(by).or_default();
            for (at, figure) in figures.enumerate() {
                match entry.get_mut(at) {
                    None => entry.push(figure),
                    Some(sum) => *sum = sum.take().zip(figure).and_then(|(a, b)| a.plus(&b)),
                }
            }
        }
        groups
    }
}

impl<'a> Question<'a> {
    fn new(speakers: &'a (Speaker, Speaker), table: &'a str, base: &Resolved) -> Self {
        let mut sides = [Statement::new(&speakers.0), Statement::new(&speakers.1)];
        sides[0].from = format!("{} t", speakers.0.table(&base.from));
        sides[1].from = format!("{} t", speakers.1.table(&base.to));
        let base = base.clone();
        let (joined, by, sums, places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Question { table, base, sides, joined, by, sums, places, along: None }
    }

    /// Whether the columns of its table can be asked about group by group: groups are few, and no row stands twice in a join.
    fn may_take_along(&self, asked: &Asked<'_>) -> bool {
        let most = self.by.iter().map(|by| by.most(&self.base)).fold(1, u64::saturating_mul);
        self.along.is_none()
            && self.joined.is_empty()
            && most <= TOGETHER
            && (&self.base.from, &self.base.to) == (&asked.twins.from, &asked.twins.to)
    }

    /// What an answer says about the columns of the whole table.
    fn taken_along(&self, asked: &Asked<'_>, answer: &Answer) -> Option<Vec<Figure>> {
        let first = self.by.len() + 1 + self.sums.len();
        let parts: Option<Vec<_>> = answer.iter().map(|row| row.get(first..)).collect();
        asked.whole(&parts?)
    }

    /// Whether a total can be answered with the others: it is about the same table alone, both sides have its columns, and the groups
    /// stay few.
    fn takes(&self, total: &Total, base: &Resolved) -> bool {
        let new = total.by.iter().filter(|by| !self.by.contains(by));
        let most = self.by.iter().copied().chain(new).map(|by| by.most(base));
        self.table == total.table
            && most.fold(1, u64::saturating_mul) <= TOGETHER
            && total.sum.iter().all(|name| pick(base, name).is_ok())
    }

    /// Adds a total.
    ///
    /// # Errors
    /// Why it cannot be computed.
    fn add(
        &mut self,
        total: &'a Total,
        at: usize,
        resolve: &(dyn Fn(&str) -> Option<Resolved> + Sync),
    ) -> Result<(), String> {
        let mut place = Place { total, at, by: Vec::new(), sums: Vec::new() };
        for by in &total.by {
            let known = self.by.iter().position(|known| *known == by);
            place.by.push(match known {
                Some(position) => position,
                None => {
                    self.group(by, resolve)?;
                    self.by.push(by);
                    self.by.len() - 1
                }
            });
        }
        for name in &total.sum {
            let known = self.sums.iter().position(|known| known == name);
            place.sums.push(match known {
                Some(position) => position,
                None => {
                    let (own, target) = pick(&self.base, name)?;
                    for (side, column) in self.sides.iter_mut().zip([&own, &target]) {
                        side.sums.push(side.speaker.number("t", column));
                    }
                    self.sums.push(name);
                    self.sums.len() - 1
                }
            });
        }
        self.places.push(place);
        Ok(())
    }

    /// Groups the rows by one more thing, following its keys.
    fn group(&mut self, by: &By, resolve: &(dyn Fn(&str) -> Option<Resolved> + Sync)) -> Result<(), String> {
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
            let here = at.and_then(|at| self.joined.get(at)).unwrap_or(&self.base);
            let (own, referred) = (pick(here, key)?, pick(&next, column)?);
            let new = format!("j{}", self.joined.len());
            for (side, (own, referred, table)) in
                self.sides.iter_mut().zip([(&own.0, &referred.0, &next.from), (&own.1, &referred.1, &next.to)])
            {
                let speaker = side.speaker;
                side.from.push_str(&format!(
                    " LEFT JOIN {} {new} ON {} = {}",
                    speaker.table(table),
                    speaker.column(&alias, own),
                    speaker.column(&new, referred)
                ));
            }
            at = Some(self.joined.len());
            self.joined.push(next);
            alias = new;
        }
        let here = at.and_then(|at| self.joined.get(at)).unwrap_or(&self.base);
        let (own, target) = pick(here, name)?;
        for (side, column) in self.sides.iter_mut().zip([&own, &target]) {
            side.groups.push(side.speaker.group(&alias, column, part));
        }
        Ok(())
    }

    async fn ask(&self) -> Result<(Answer, Answer), Error> {
        let titles: Vec<String> = self.places.iter().map(|place| format!("\"{}\"", place.total.title)).collect();
        let doing = format!("computing the total {}", titles.join(" and "));
        let [one, other] = &self.sides;
        let (of_one, of_other) = (one.text(self.along, true), other.text(self.along, false));
        futures::try_join!(one.speaker.ask(&doing, &of_one), other.speaker.ask(&doing, &of_other))
    }
}

/// A column of both sides.
fn pick(resolved: &Resolved, name: &str) -> Result<(Column, Column), String> {
    let found = resolved.columns.iter().find(|(_, target)| same_name(&target.name, name));
    found.cloned().ok_or_else(|| format!("the source has {}.{name} not as a plain column", resolved.to.name))
}

impl Total {
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

    /// The statement, with what is asked along about a side's columns.
    fn text(&self, along: Option<&Asked<'_>>, of_from: bool) -> String {
        let inner = self.groups.iter().enumerate().map(|(at, group)| format!("{} AS g{at}", group.inner));
        let sums = self.sums.iter().enumerate().map(|(at, sum)| format!("{sum} AS s{at}"));
        let columns = along.iter().flat_map(|asked| asked.columns(of_from)).map(|c| self.speaker.column("t", c));
        let inner = inner.chain(sums).chain(columns).collect::<Vec<_>>().join(", ");
        let groups = (0..self.groups.len()).map(|at| format!("x.g{at}")).collect::<Vec<_>>().join(", ");
        let shown = self.groups.iter().enumerate().map(|(at, group)| {
            let text = self.speaker.group_text(group.shown, &format!("x.g{at}"));
            format!("{text} AS t{at}")
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let figures = std::iter::once(self.speaker.rows())
            .chain((0..self.sums.len()).map(|at| self.speaker.sum_of(&format!("x.s{at}"))))
            .chain(along.iter().flat_map(|asked| asked.sql(self.speaker, "x", of_from)));
        let figures = figures.enumerate().map(|(at, item)| format!("{item} AS f{at}")).collect::<Vec<_>>().join(", ");
        format!("SELECT {shown}, {figures} FROM (SELECT {inner} FROM {}) x GROUP BY {groups}", self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::canonical::Kind;
    use super::super::super::told::Told;
    use super::super::sql::Measure;
    use super::super::{Twin, Twins};
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

    /// A server with six insurees, which answers by what it is asked for; statements that group by all four at once it may refuse.
    fn insurees(refuses_all: bool) -> Arc<Told> {
        let rows = |rows: &[&[&str]]| -> Answer {
            rows.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect()
        };
        Arc::new(Told::new(move |sql| {
            Ok(match (sql.contains("Gender"), sql.contains("date_part")) {
                (true, true) if refuses_all => return Err(Error::failed("too much at once")),
                (true, true) => rows(&[
                    &["current", "M", "1", "1980", "2"],
                    &["current", "m ", "1", "1990", "1"],
                    &["current", "M", "0", "1990", "2"],
                    &["closed", "F", "1", "1980", "1"],
                ]),
                (true, false) => {
                    rows(&[&["current", "M", "1", "3"], &["current", "m", "0", "2"], &["closed", "F", "1", "1"]])
                }
                (false, true) => {
                    rows(&[&["current", "1980", "2"], &["current", "1990", "3"], &["closed", "1980", "1"]])
                }
                _ => rows(&[&["1"]]),
            })
        }))
    }

    async fn totals_of(one: &Arc<Told>, other: &Arc<Told>) -> Vec<AreaTotal> {
        let (from, to) = (one.end(), other.end());
        let speakers = (Speaker::new(&from).await.unwrap(), Speaker::new(&to).await.unwrap());
        let resolve = |name: &str| {
            let table = to.catalog.table(name).filter(|table| table.name == "tblInsuree")?;
            let columns = table.columns.iter().map(|column| (column.clone(), column.clone())).collect();
            Some(Resolved { from: Arc::new(table.clone()), to: Arc::new(table.clone()), columns })
        };
        totals(&speakers, &resolve, &[]).await.unwrap().0
    }

    #[tokio::test]
    async fn columns_are_asked_about_along_with_the_groups() {
        let rows = |rows: &[&[Option<&str>]]| -> Answer {
            rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect()
        };
        // The year is asked for as text, the other groups and the rows follow; then what is asked along: rows, NULLs, the least.
        let server = |refuses: bool| {
            Arc::new(Told::new(move |sql| {
                Ok(match (sql.contains("date_part"), sql.contains(r#"MIN(x."DOB")"#)) {
                    (true, true) if refuses => return Err(Error::failed("too much at once")),
                    (true, true) => rows(&[
                        &[
                            Some("current"),
                            Some("M"),
                            Some("1"),
                            Some("1980"),
                            Some("2"),
                            Some("2"),
                            Some("0"),
                            Some("1980-02-01"),
                        ],
                        &[Some("closed"), Some("F"), Some("0"), None, Some("3"), Some("3"), Some("3"), None],
                    ]),
                    (true, false) => rows(&[&[Some("current"), Some("M"), Some("1"), Some("1980"), Some("5")]]),
                    _ => rows(&[&[Some("1")]]),
                })
            }))
        };
        for refuses in [false, true] {
            let (one, other) = (server(refuses), server(false));
            let (from, to) = (one.end(), other.end());
            let speakers = (Speaker::new(&from).await.unwrap(), Speaker::new(&to).await.unwrap());
            let table = Arc::new(to.catalog.table("tblInsuree").unwrap().clone());
            let (dob, kind) = (table.column("DOB").unwrap().clone(), Kind::Date);
            let twin = Twin { name: "DOB".to_owned(), from: dob.clone(), to: dob, kind, compared: true };
            let (from, to) = (Arc::clone(&table), Arc::clone(&table));
            let twins = Twins { table: "public.tblInsuree".to_owned(), from, to, columns: vec![twin] };
            let twin = twins.columns.first().unwrap();
            let items = vec![None, Some((twin, Measure::Nulls)), Some((twin, Measure::Least))];
            let asked = [Asked { twins: &twins, items }];
            let resolve = |name: &str| {
                let columns = table.columns.iter().map(|column| (column.clone(), column.clone())).collect();
                (name == table.name).then(|| Resolved { from: Arc::clone(&table), to: Arc::clone(&table), columns })
            };
            let (areas, answered) = totals(&speakers, &resolve, &asked).await.unwrap();
            assert!(areas.iter().all(|area| refuses || area.from == [Some("5".to_owned())]), "{areas:?}");
            // Who refuses is asked without; the columns are left to a question of their own.
            let whole = ["5", "3", "1980-02-01"].map(|text| Ok(Some(text.to_owned()))).to_vec();
            assert_eq!(answered.get(&table.table_name()), (!refuses).then(|| (whole.clone(), whole)).as_ref());
        }
    }

    #[tokio::test]
    async fn totals_of_one_table_are_asked_for_together_and_alone_where_that_fails() {
        let (server, other) = (insurees(false), insurees(false));
        let together = totals_of(&server, &other).await;
        let found: Vec<_> = together.iter().map(|total| (total.groups, total.from.clone(), &total.status)).collect();
        let six = vec![Some("6".to_owned())];
        assert_eq!(found, [(3, six.clone(), &Status::Equal), (3, six, &Status::Equal)]);
        // The first question is whether anybody answers.
        assert_eq!(server.asked.lock().unwrap().len(), 2);

        let (server, other) = (insurees(true), insurees(false));
        let alone = totals_of(&server, &other).await;
        assert_eq!(alone, together);
        assert_eq!(server.asked.lock().unwrap().len(), 4);
    }
}
