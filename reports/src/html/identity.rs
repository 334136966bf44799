//! The page of an identification: which release it is, how sure, and what the country did.

use imis_schemas::identify::{Difference, Level};
use serde::Serialize;

use super::{Figure, Head, LINES, cut, render};
use crate::ReportError;
use crate::identity::{Identity, level, place};
use crate::number::counted;
use crate::words;

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    head: Head,
    runner_up: &'a str,
    decided: Vec<&'a str>,
    more_decided: usize,
    twins: Vec<(&'a str, &'a str)>,
    countries: Vec<Country<'a>>,
    django: Option<Django<'a>>,
    lists: Vec<List<'a>>,
    collisions: Vec<Collision<'a>>,
    more_collisions: usize,
    unknown: &'a [String],
    notes: Vec<&'a str>,
}

#[derive(Serialize)]
struct Country<'a> {
    title: &'a str,
    score: String,
    found: String,
    missing: String,
}

#[derive(Serialize)]
struct Django<'a> {
    sentence: String,
    apps: Vec<(&'a str, &'a str, &'a str, bool)>,
    contradictions: &'a [String],
    foreign: Vec<String>,
    more_foreign: usize,
}

#[derive(Serialize)]
struct List<'a> {
    title: &'static str,
    meaning: &'static str,
    count: usize,
    counted: bool,
    areas: Vec<Area<'a>>,
    more: usize,
}

#[derive(Serialize)]
struct Area<'a> {
    title: &'static str,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    what: String,
    rows: String,
}

#[derive(Serialize)]
struct Collision<'a> {
    name: &'a str,
    found: &'a str,
    release: &'a str,
    theirs: &'a str,
    alike: bool,
}

/// The page of an identification, as one HTML text.
///
/// # Errors
/// When the page cannot be rendered.
pub fn identity_page(identity: &Identity) -> Result<String, ReportError> {
    let found = &identity.found;
    let (decided, more_decided) = cut(found.decided.iter().map(String::as_str).collect(), LINES);
    let collisions = found.collisions.iter().map(|c| Collision {
        name: &c.name,
        found: &c.found,
        release: &c.release,
        theirs: &c.theirs,
        alike: c.alike,
    });
    let (collisions, more_collisions) = cut(collisions.collect(), LINES);
    let (there, all) = found.tables;
    let none = (identity.counts.is_none()).then_some("Rows were not counted.");
    render(
        "identity.html",
        Page {
            head: Head {
                title: "Release of a database".to_owned(),
                tone: match found.confidence.level {
                    Level::Certain | Level::High => "good",
                    Level::Fair => "warning",
                    Level::Low => "bad",
                },
                badge: level(found.confidence.level),
                headline: format!("{}: {}", identity.release(), counted(found.distance as u64, "difference")),
                lead: format!("How sure: {}.", identity.sure()),
                facts: vec![
                    ("Database", identity.location.clone()),
                    ("Tables of the release", format!("{there} of {all} are there")),
                    ("Next release", identity.runner_up()),
                ],
                figures: vec![
                    Figure::new(found.added.len() as u64, "added"),
                    Figure::new(found.changed.len() as u64, "changed"),
                    Figure::new(found.removed.len() as u64, "removed"),
                    Figure::alarming(
                        found.collisions.iter().filter(|c| !c.alike).count() as u64,
                        "names that mean another thing in a later release",
                    ),
                ],
            },
            runner_up: found.runner_up.as_ref().map_or("", |next| &next.release),
            decided,
            more_decided,
            twins: found.twins_because.iter().map(|twin| (twin.release.as_str(), twin.because.as_str())).collect(),
            countries: (found.countries.iter())
                .map(|c| Country {
                    title: &c.title,
                    score: c.score(),
                    found: c.found.join(", "),
                    missing: c.missing.join(", "),
                })
                .collect(),
            django: identity.django.as_ref().map(|django| {
                let foreign = django.foreign.iter().map(|m| format!("{} {}", m.app, m.name)).collect();
                let (foreign, more_foreign) = cut(foreign, LINES);
                let apps = django.apps.iter().map(|a| {
                    let none = "none";
                    let (last, expected) = (a.last.as_deref().unwrap_or(none), a.expected.as_deref().unwrap_or(none));
                    (a.app.as_str(), last, expected, a.agrees)
                });
                Django {
                    sentence: format!(
                        "{} ran; they come from modular release {}{}. {}.",
                        counted(django.migrations as u64, "migration"),
                        django.release,
                        if django.twins.is_empty() {
                            String::new()
                        } else {
                            format!(" (or {})", django.twins.join(", "))
                        },
                        django.confidence.because
                    ),
                    apps: apps.collect(),
                    contradictions: &django.contradictions,
                    foreign,
                    more_foreign,
                }
            }),
            lists: identity
                .lists()
                .into_iter()
                .filter(|(.., list)| !list.is_empty())
                .map(|l| list(identity, l))
                .collect(),
            collisions,
            more_collisions,
            unknown: &found.unknown,
            notes: none.into_iter().chain(identity.notes.iter().map(String::as_str)).collect(),
        },
    )
}

fn list<'a>(identity: &Identity, (title, meaning, all): (&'static str, &'static str, &'a [Difference])) -> List<'a> {
    let shown = all.get(..5 * LINES).unwrap_or(all);
    let line = |difference: &&'a Difference| Line {
        name: &difference.name,
        what: Identity::what(difference),
        rows: identity.rows(difference),
    };
    let areas = words::by_area(shown, place);
    let areas = areas.into_iter().map(|(title, items)| Area { title, lines: items.iter().map(line).collect() });
    let areas: Vec<Area<'a>> = areas.collect();
    let counted = areas.iter().flat_map(|area| &area.lines).any(|line| !line.rows.is_empty());
    List { title, meaning, count: all.len(), counted, areas, more: all.len() - shown.len() }
}
