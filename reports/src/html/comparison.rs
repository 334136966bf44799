//! The page of a comparison: what differs by business area and table, with links to each.

use imis_schemas::compare::{Change, Comparison, Difference, Fit, KINDS, Kind};
use serde::Serialize;

use super::{Figure, Head, LINES, cut, render};
use crate::ReportError;
use crate::comparison::{diff_lines, not_compared, of_kind, remark, side, sides, sign, tables, title, verdict, what};
use crate::number::thousands;
use crate::words;

/// How many lines of the diffs of texts a page shows, all in all and of one text.
const DIFF_LINES: (usize, usize) = (4_000, 300);
/// The longest diff that is seen without a click.
const SHORT: usize = 30;
/// How many differences within tables a page shows.
const DIFFERENCES: usize = 4_000;

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    head: Head,
    rowless: bool,
    summary: Vec<[String; 7]>,
    only: Vec<Only>,
    renamed: Vec<Line>,
    areas: Vec<AreaOf>,
    more_tables: usize,
    objects: Vec<Objects>,
    gaps: Vec<String>,
    more_gaps: usize,
    remarks: Vec<[String; 4]>,
    more_remarks: usize,
}

#[derive(Serialize)]
struct Only {
    title: &'static str,
    names: Vec<String>,
    more: usize,
}

#[derive(Serialize)]
struct AreaOf {
    title: &'static str,
    tables: Vec<TableOf>,
}

#[derive(Serialize)]
struct TableOf {
    /// A place on the page; no name from outside is one.
    id: String,
    table: String,
    count: String,
    narrower: bool,
    lines: Vec<Line>,
    more: usize,
}

#[derive(Serialize)]
struct Objects {
    id: &'static str,
    title: &'static str,
    lines: Vec<Line>,
    more: usize,
}

#[derive(Serialize)]
struct Line {
    sign: char,
    class: &'static str,
    what: String,
    called: String,
    a: String,
    b: String,
    remark: String,
    diff: Vec<(&'static str, String)>,
    /// Whether the diff is short enough to be seen at once.
    open: bool,
    more: usize,
}

fn line(difference: &Difference, diff: &mut usize) -> Line {
    let (a, b) = sides(difference);
    let shown = diff_lines(difference.diff.as_deref().unwrap_or_default()).skip(2).map(|line| {
        let class = match line.chars().next() {
            Some('-') => "minus",
            Some('+') => "plus",
            Some('@') => "place",
            _ => "",
        };
        (class, line)
    });
    let (shown, more) = cut(shown.collect(), DIFF_LINES.1.min(*diff));
    *diff -= shown.len();
    let what = match difference.kind {
        Kind::Tables | Kind::Views | Kind::Routines => format!("{} {}", what(difference), difference.object),
        Kind::UserTypes => difference.object.clone(),
        _ => what(difference),
    };
    Line {
        sign: sign(difference.change),
        class: match difference.change {
            Change::OnlyA => "minus",
            Change::OnlyB => "plus",
            Change::Changed if difference.fit == Some(Fit::Narrower) => "narrower",
            Change::Changed | Change::Renamed | Change::Respelled => "",
        },
        what,
        called: difference.called.clone().unwrap_or_default(),
        a,
        b,
        remark: remark(difference),
        open: shown.len() <= SHORT,
        diff: shown,
        more,
    }
}

/// The page of a comparison, as one HTML text.
///
/// # Errors
/// When the page cannot be rendered.
pub fn comparison_page(found: &Comparison) -> Result<String, ReportError> {
    let mut left = DIFF_LINES.0;
    let only = [(Change::OnlyA, "Only A has"), (Change::OnlyB, "Only B has")].map(|(change, title)| {
        let names = of_kind(found, Kind::Tables).into_iter().filter(|d| d.change == change).map(|d| d.object.clone());
        let (names, more) = cut(names.collect(), LINES);
        Only { title, names, more }
    });
    let renamed =
        of_kind(found, Kind::Tables).into_iter().filter(|d| !matches!(d.change, Change::OnlyA | Change::OnlyB));
    let renamed = renamed.map(|difference| line(difference, &mut left)).collect();
    let (areas, more_tables) = areas(found);
    let objects = [
        (Kind::Views, "views", "Views"),
        (Kind::Routines, "routines", "Procedures and functions"),
        (Kind::UserTypes, "types", "Types of users"),
    ]
    .map(|(kind, id, title)| {
        let (differences, more) = cut(of_kind(found, kind), LINES);
        Objects { id, title, lines: differences.into_iter().map(|d| line(d, &mut left)).collect(), more }
    });
    let summary = KINDS.iter().filter_map(|kind| Some((kind, found.summary.get(kind)?))).map(|(kind, count)| {
        let numbers = [count.only_a, count.only_b, count.changed, count.renamed, count.equal, count.uncompared];
        let [only_a, only_b, changed, renamed, equal, uncompared] = numbers.map(thousands);
        [kind.name().to_owned(), only_a, only_b, changed, renamed, equal, uncompared]
    });
    let (gaps, more_gaps) = cut(not_compared(found, 20), LINES);
    let remarks = found.remarks.iter().map(|r| [r.object.clone(), r.kind.noun().to_owned(), r.a.clone(), r.b.clone()]);
    let (remarks, more_remarks) = cut(remarks.collect(), LINES);
    let equal = |kind: Kind| found.summary.get(&kind).map_or(0, |count| count.equal);
    let narrower = found.differences.iter().filter(|d| d.fit == Some(Fit::Narrower)).count() as u64;
    let guessed = found.differences.iter().filter(|d| d.guessed).count() as u64;
    render(
        "comparison.html",
        Page {
            head: Head {
                title: "Comparison of two schemas".to_owned(),
                tone: if found.differs { "warning" } else { "good" },
                badge: if found.differs { "Differs" } else { "Equal" },
                headline: verdict(found),
                lead: lead(found).to_owned(),
                facts: vec![("A", side(&found.a)), ("B", side(&found.b))],
                figures: vec![
                    Figure::new(found.differences.len() as u64, "differences"),
                    Figure::new(equal(Kind::Tables), "tables with one name"),
                    Figure::new(equal(Kind::Columns), "columns with one name"),
                    Figure::alarming(narrower, "columns narrower in B"),
                    Figure::new(guessed, "guesses at another name"),
                ],
            },
            rowless: true,
            summary: summary.collect(),
            only: only.into_iter().filter(|only| !only.names.is_empty()).collect(),
            renamed,
            areas,
            more_tables,
            objects: objects.into_iter().filter(|objects| !objects.lines.is_empty()).collect(),
            gaps,
            more_gaps,
            remarks,
            more_remarks,
        },
    )
}

fn lead(found: &Comparison) -> &'static str {
    match (found.differs, found.a.engine == found.b.engine) {
        (false, _) => {
            "Tables, columns, keys and texts say the same on both sides; names that servers make up do not count."
        }
        (true, true) => {
            "A minus stands for what only A has, a plus for what only B has. Names that servers make up, white space, comments and \
             brackets do not count."
        }
        (true, false) => {
            "A minus stands for what only A has, a plus for what only B has. Types that are the usual counterparts of each other count \
             as equal; texts of views and routines are not compared between engines."
        }
    }
}

/// The tables that differ, by business area, and how many are left out.
fn areas(found: &Comparison) -> (Vec<AreaOf>, usize) {
    let (groups, more) = cut(tables(found), LINES);
    let (mut areas, mut left): (Vec<(usize, AreaOf)>, usize) = (Vec::new(), DIFFERENCES);
    for (at, group) in groups.into_iter().enumerate() {
        let (place, title_of_area) = words::area(group.object);
        let count = thousands(group.differences.len() as u64);
        let narrower = group.differences.iter().any(|d| d.fit == Some(Fit::Narrower));
        let (differences, more) = cut(group.differences, left.min(LINES));
        left -= differences.len();
        let table = TableOf {
            id: format!("t{at}"),
            table: title(group.object).to_owned(),
            count,
            narrower,
            lines: differences.into_iter().map(|d| line(d, &mut 0)).collect(),
            more,
        };
        match areas.iter_mut().find(|(own, _)| *own == place) {
            Some((_, area)) => area.tables.push(table),
            None => areas.push((place, AreaOf { title: title_of_area, tables: vec![table] })),
        }
    }
    areas.sort_by_key(|(place, _)| *place);
    (areas.into_iter().map(|(_, area)| area).collect(), more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_page_leads_to_every_table_that_differs() {
        let page = comparison_page(&sample::comparison()).unwrap();
        for text in
            ["smalldatetime", "the time of day is lost", "guessed, 92 % sure", "href=\"#t0\"", "id=\"t0\"", "-select 1"]
        {
            assert!(page.contains(text), "{text} in {page}");
        }
        let places = |start: &str| {
            let places = page.split(start).skip(1).filter_map(|rest| rest.split('"').next());
            places.filter(|place| place.parse::<usize>().is_ok()).count()
        };
        assert_eq!((places("href=\"#t"), places("id=\"t")), (2, 2));
    }

    #[test]
    fn no_markup_from_a_schema_survives() {
        let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}";
        let mut found = sample::comparison();
        (found.a.name, found.b.notes) = (evil.into(), vec![evil.into()]);
        for difference in &mut found.differences {
            difference.object = evil.into();
            for text in [&mut difference.part, &mut difference.a, &mut difference.b, &mut difference.why] {
                *text = Some(evil.into());
            }
            (difference.called, difference.diff) =
                (Some(evil.into()), difference.diff.as_ref().map(|d| format!("{d}+{evil}")));
        }
        found.remarks.iter_mut().for_each(|remark| remark.b = evil.into());
        found.not_compared.iter_mut().for_each(|gap| gap.objects = vec![evil.into()]);
        let page = comparison_page(&found).unwrap();
        assert!(page.contains("&lt;script&gt;alert(1)"));
        for bad in ["<script", "<img", "\u{202e}", "\"'>"] {
            assert!(!page.contains(bad), "{bad} in the page");
        }
    }

    #[test]
    fn equal_schemas_have_a_page_too() {
        let mut found = sample::comparison();
        found.differences.clear();
        found.not_compared.clear();
        found.differs = false;
        let page = comparison_page(&found).unwrap();
        assert!(page.contains("The two schemas are equal.") && !page.contains("href=\"#t"));
    }
}
