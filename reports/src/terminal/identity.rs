//! Which release a database is of, on a terminal.

use imis_schemas::identify::{Difference, Level};

use super::{Cell, Style, Tint, facts, paragraph, table};
use crate::escape;
use crate::identity::{Identity, level, place};
use crate::number::counted;
use crate::words;

/// How many differences of a list are shown where the style is not verbose.
const LINES: usize = 60;
/// How many facts say what decided.
const FACTS: usize = 8;

/// The release, how sure that is, and what is different, for people.
pub fn identity(identity: &Identity, style: &Style) -> String {
    let found = &identity.found;
    let tint = match found.confidence.level {
        Level::Certain | Level::High => Tint::Good,
        Level::Fair => Tint::Warning,
        Level::Low => Tint::Bad,
    };
    let mut text = style.tint(tint, &identity.release()) + "\n\n";
    let (there, all) = found.tables;
    text += &facts(&[
        ("database", identity.location.clone()),
        ("distance", counted(found.distance as u64, "difference")),
        ("tables", format!("{there} of the {all} that the release has")),
        ("next release", identity.runner_up()),
    ]);
    text += "\n";
    text += &paragraph(&format!("How sure: {}.", identity.sure()), style);
    decided(identity, style, &mut text);
    if !found.twins_because.is_empty() {
        text += &style.heading("Cannot be told from");
        for twin in &found.twins_because {
            text += &paragraph(&format!("- {}: {}", twin.release, twin.because), style);
        }
    }
    django(identity, style, &mut text);
    if !found.countries.is_empty() {
        text += &style.heading("Looks like");
        for country in &found.countries {
            let marks = format!("- {}: {} ({})", country.title, country.score(), country.found.join(", "));
            text += &paragraph(&marks, style);
        }
    }
    for (title, meaning, list) in identity.lists() {
        differences(identity, title, meaning, list, style, &mut text);
    }
    collisions(identity, style, &mut text);
    if !found.unknown.is_empty() {
        text += &style.heading("Not compared");
        text += &paragraph(&format!("The database does not show {}.", found.unknown.join(", ")), style);
    }
    let counts = if identity.counts.is_some() { None } else { Some("Rows were not counted.".to_owned()) };
    let notes: Vec<String> = counts.into_iter().chain(identity.notes.iter().cloned()).collect();
    if !notes.is_empty() {
        text += &style.heading("Notes");
        notes.iter().for_each(|note| text += &paragraph(&format!("- {note}"), style));
    }
    text
}

fn decided(identity: &Identity, style: &Style, text: &mut String) {
    let (decided, Some(next)) = (&identity.found.decided, &identity.found.runner_up) else { return };
    if decided.is_empty() {
        return;
    }
    *text += &style.heading(&format!("Why it is not {}", next.release));
    let shown = if style.verbose { decided.len() } else { FACTS };
    decided.iter().take(shown).for_each(|fact| *text += &paragraph(&format!("- {fact}"), style));
    more(decided.len().saturating_sub(shown), text);
}

fn more(hidden: usize, text: &mut String) {
    if hidden > 0 {
        *text += &format!(
            "and {} more (-v shows them)\n",
            counted(hidden as u64, "line").replace(" lines", "").replace(" line", "")
        );
    }
}

fn django(identity: &Identity, style: &Style, text: &mut String) {
    let Some(django) = &identity.django else { return };
    *text += &style.heading("Django's migrations");
    let twins = if django.twins.is_empty() { String::new() } else { format!(" (or {})", django.twins.join(", ")) };
    let sure = &django.confidence;
    *text += &paragraph(
        &format!(
            "{} ran: modular release {}{twins}. How sure: {} ({} of 100): {}.",
            counted(django.migrations as u64, "migration"),
            django.release,
            level(sure.level),
            sure.percent,
            sure.because
        ),
        style,
    );
    django.contradictions.iter().for_each(|said| *text += &paragraph(&format!("- {said}"), style));
    if !django.foreign.is_empty() {
        let names: Vec<String> = django.foreign.iter().take(FACTS).map(|m| format!("{} {}", m.app, m.name)).collect();
        *text += &paragraph(&format!("- not among upstream's: {}", names.join(", ")), style);
        more(django.foreign.len().saturating_sub(FACTS), text);
    }
}

fn differences(identity: &Identity, title: &str, meaning: &str, list: &[Difference], style: &Style, text: &mut String) {
    if list.is_empty() {
        return;
    }
    *text += &style.heading(&format!("{title}: {}", list.len()));
    *text += &paragraph(meaning, style);
    let shown = if style.verbose { list.len() } else { LINES };
    let list = list.get(..shown).map_or((list, 0), |cut| (cut, list.len() - shown));
    for (area, items) in words::by_area(list.0, place) {
        let counted = items.iter().any(|d| !identity.rows(d).is_empty());
        let rows: Vec<Vec<Cell>> = items
            .iter()
            .map(|d| {
                let mut row = vec![d.name.as_str().into(), Identity::what(d).into()];
                if counted {
                    let rows = identity.counts.as_ref().and_then(|counts| counts.of(d));
                    row.push(rows.map_or(Cell::Empty, Cell::Number));
                }
                row
            })
            .collect();
        let headers: &[&str] = if counted { &[area, "is", "rows"] } else { &[area, "is"] };
        *text += "\n";
        *text += &table(headers, &rows, style);
    }
    more(list.1, text);
}

fn collisions(identity: &Identity, style: &Style, text: &mut String) {
    let found = &identity.found.collisions;
    if found.is_empty() {
        return;
    }
    *text += &style.heading("Names that later releases use, too");
    let rows: Vec<Vec<Cell>> = found
        .iter()
        .map(|c| {
            let meaning = if c.alike { "alike" } else { "another" };
            vec![
                c.name.as_str().into(),
                c.found.as_str().into(),
                c.release.as_str().into(),
                c.theirs.as_str().into(),
                meaning.into(),
            ]
        })
        .collect();
    *text += &table(&["name", "here", "release", "there", "is"], &rows, style);
    if found.iter().any(|c| !c.alike) {
        let name = escape::terminal(&identity.found.release).into_owned();
        *text += &paragraph(
            &format!("\"Another\" is one name for two things: an upgrade from {name} meets a name that is taken."),
            style,
        );
    }
}
