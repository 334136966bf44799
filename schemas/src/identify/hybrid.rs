//! Which modular release a database's Django migrations come from.
//!
//! `django_migrations` names every migration that ran. The last number of each app tells the release; numbers do not only
//! rise, since branches fork, so they are held against a table of the releases, app by app.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Serialize;

use super::confidence::{Confidence, Level};

const RELEASES: &str = include_str!("../../releases/django.tsv");
const MIGRATIONS: &str = include_str!("../../releases/django-migrations.tsv");

/// A migration that ran: app and name, as `django_migrations` has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Migration {
    /// The app: `core`.
    pub app: String,
    /// Its name: `0028_alter_moduleconfiguration_module`.
    pub name: String,
}

/// How an app stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The app.
    pub app: String,
    /// Its last migration; none where none ran.
    pub last: Option<String>,
    /// The number that the release has: none where it had none.
    pub expected: Option<String>,
    /// Whether both agree.
    pub agrees: bool,
}

/// What the migrations say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hybrid {
    /// The modular release: `23.04`.
    pub release: String,
    /// Releases for which as much speaks.
    pub twins: Vec<String>,
    /// How sure that is.
    pub confidence: Confidence,
    /// The apps by which releases are told apart.
    pub apps: Vec<Standing>,
    /// What does not agree with the release, in words.
    pub contradictions: Vec<String>,
    /// Migrations that upstream's newest known release has under no such name, though it has the app: those of a fork, or of a
    /// later release.
    pub foreign: Vec<Migration>,
    /// How many migrations ran, Django's own aside.
    pub migrations: usize,
}

/// What is known of an app in a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    NotKnown,
    None,
    Last(u32),
}

struct Row {
    release: &'static str,
    numbers: Vec<(&'static str, Number)>,
}

fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut lines = RELEASES.lines().filter(|line| !line.starts_with('#'));
        let apps: Vec<&str> = lines.next().unwrap_or_default().split('\t').skip(2).collect();
        let number = |text: &str| match text {
            "-" => Number::None,
            text => text.parse().map_or(Number::NotKnown, Number::Last),
        };
        let row = |line: &'static str| {
            let mut cells = line.split('\t');
            let release = cells.next()?;
            Some(Row { release, numbers: apps.iter().copied().zip(cells.skip(1).map(number)).collect() })
        };
        lines.filter_map(row).collect()
    })
}

fn upstream() -> &'static BTreeSet<(&'static str, &'static str)> {
    static UPSTREAM: OnceLock<BTreeSet<(&str, &str)>> = OnceLock::new();
    UPSTREAM.get_or_init(|| {
        MIGRATIONS.lines().filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('\t')).collect()
    })
}

/// The apps of upstream's modules.
pub(super) fn apps() -> impl Iterator<Item = &'static str> {
    let apps: BTreeSet<&str> = upstream().iter().map(|(app, _)| *app).collect();
    apps.into_iter()
}

/// The names of the modular releases that migrations can tell, oldest first.
pub fn django_releases() -> impl Iterator<Item = &'static str> {
    rows().iter().map(|row| row.release)
}

/// Migrations as they stand in a database of a release: every number up to the last, by its name where upstream's newest
/// release still has it. Empty for a release that is not known.
pub fn django_migrations_of(release: &str) -> Vec<Migration> {
    let mut out = Vec::new();
    let rows = rows().iter().filter(|row| row.release == release);
    for (app, number) in rows.flat_map(|row| &row.numbers) {
        let Number::Last(last) = number else { continue };
        let name = |n: u32| {
            let begin = format!("{n:04}_");
            let known = upstream().iter().find(|(a, name)| a == app && name.starts_with(&begin));
            known.map_or(format!("{begin}not_known"), |(_, name)| (*name).to_owned())
        };
        out.extend((1..=*last).map(|n| Migration { app: (*app).to_owned(), name: name(n) }));
    }
    out
}

fn number(name: &str) -> Option<u32> {
    name.get(..4)?.parse().ok()
}

/// What speaks against a release: an app that disagrees, and by how much.
fn distance(row: &Row, last: &BTreeMap<&str, u32>) -> (usize, u32) {
    let off = row.numbers.iter().filter_map(|(app, number)| match (number, last.get(app)) {
        (Number::NotKnown, _) | (Number::None, None) => None,
        (Number::None, Some(found)) => Some(*found),
        (Number::Last(known), None) => Some(*known),
        (Number::Last(known), Some(found)) => (known != found).then(|| known.abs_diff(*found)),
    });
    off.fold((0, 0), |(apps, by), one| (apps + 1, by + one))
}

/// The modular release whose migrations ran; `None` when none of the apps that tell releases apart is there.
pub fn django_release(migrations: &[Migration]) -> Option<Hybrid> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for Migration { app, name } in migrations {
        let Some(number) = number(name) else { continue };
        let known = last.entry(app).or_default();
        // Of two with one number the name decides, so that the order of the rows does not.
        if (number, name.as_str()) >= (*known, names.get(app.as_str()).copied().unwrap_or_default()) {
            *known = number;
            names.insert(app, name);
        }
    }
    let told: BTreeSet<&str> = rows().iter().flat_map(|row| &row.numbers).map(|(app, _)| *app).collect();
    if !told.iter().any(|app| last.contains_key(app)) {
        return None;
    }
    let mut found: Vec<(usize, u32, &Row)> = rows()
        .iter()
        .map(|row| {
            let (apps, by) = distance(row, &last);
            (apps, by, row)
        })
        .collect();
    // As much speaks for both: the later one stands first.
    found.reverse();
    found.sort_by_key(|(apps, by, _)| (*apps, *by));
    let (off, by, row) = found.first()?;
    let twins = found.iter().skip(1).filter(|other| (other.0, other.1) == (*off, *by));
    let twins: Vec<String> = twins.map(|(_, _, row)| row.release.to_owned()).collect();
    let standings: Vec<Standing> = (row.numbers.iter())
        .filter(|(_, number)| *number != Number::NotKnown)
        .map(|(app, number)| {
            let expected = match number {
                Number::Last(known) => Some(*known),
                Number::None | Number::NotKnown => None,
            };
            Standing {
                app: (*app).to_owned(),
                last: names.get(app).map(|name| (*name).to_owned()),
                expected: expected.map(|known| format!("{known:04}")),
                agrees: last.get(app).copied() == expected,
            }
        })
        .collect();
    let contradictions = standings.iter().filter(|s| !s.agrees).map(|s| match (&s.last, &s.expected) {
        (Some(last), Some(expected)) => format!("{}: the last is {last}, and {} has {expected}", s.app, row.release),
        (Some(last), None) => format!("{}: the last is {last}, and {} has none", s.app, row.release),
        (None, _) => {
            format!("{}: none ran, and {} has {}", s.app, row.release, s.expected.as_deref().unwrap_or("none"))
        }
    });
    let own = |m: &&Migration| apps().any(|app| app == m.app);
    let mut foreign: Vec<Migration> = (migrations.iter())
        .filter(own)
        .filter(|m| !upstream().contains(&(m.app.as_str(), m.name.as_str())))
        .cloned()
        .collect();
    foreign.sort();
    foreign.dedup();
    Some(Hybrid {
        confidence: confidence(
            &standings,
            found.get(1 + twins.len()).map(|(apps, _, row)| (*apps, row.release)),
            *off,
            &twins,
        ),
        release: row.release.to_owned(),
        twins,
        contradictions: contradictions.collect(),
        apps: standings,
        foreign,
        migrations: migrations.iter().filter(own).count(),
    })
}

fn confidence(apps: &[Standing], next: Option<(usize, &str)>, off: usize, twins: &[String]) -> Confidence {
    let agree = apps.iter().filter(|app| app.agrees).count();
    let against = match next {
        Some((apps, name)) => format!("{apps} speak against {name}"),
        None => "no other release is as close".to_owned(),
    };
    let because = format!("{agree} of {} apps agree; {against}", apps.len());
    let share = 100 * agree / apps.len().max(1);
    let level = match off {
        _ if !twins.is_empty() => Level::Low,
        0 => Level::Certain,
        _ if share >= 75 => Level::High,
        _ if share >= 50 => Level::Fair,
        _ => Level::Low,
    };
    Confidence { level, percent: u8::try_from(share).unwrap_or(100), because }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_told_by_its_migrations() {
        assert_eq!(rows().len(), 10);
        for row in rows() {
            assert_eq!(row.numbers.len(), 8, "{}", row.release);
            let found = django_release(&django_migrations_of(row.release)).unwrap();
            let unknown = row.numbers.iter().any(|(_, number)| *number == Number::NotKnown);
            assert_eq!(found.release, row.release, "{found:?}");
            if !unknown {
                assert_eq!((found.confidence.level, found.contradictions.len()), (Level::Certain, 0), "{found:?}");
            }
        }
        assert!(django_release(&[]).is_none());
        assert!(django_release(&[Migration { app: "auth".into(), name: "0001_initial".into() }]).is_none());
    }

    #[test]
    fn forks_and_contradictions_are_named() {
        let mut migrations = django_migrations_of("23.04");
        // A country's fork of one app, and one that is behind.
        migrations.push(Migration { app: "insuree".into(), name: "0015_nin".into() });
        migrations
            .retain(|m| m.name != "0005_auto_20220826_0750" && !(m.app == "medical" && m.name.starts_with("0005")));
        let found = django_release(&migrations).unwrap();
        assert_eq!(found.release, "23.04");
        assert_eq!((found.confidence.level, found.confidence.percent), (Level::High, 87));
        assert!(
            found.contradictions.len() == 1 && found.contradictions[0].starts_with("medical: the last is 0004"),
            "{found:?}"
        );
        assert!(found.foreign.iter().any(|m| m.name == "0015_nin"), "{:?}", found.foreign);
    }

    #[test]
    fn the_newest_release_is_the_one_whose_migrations_are_listed() {
        let newest = rows().last().unwrap();
        for (app, number) in &newest.numbers {
            let last = upstream().iter().filter(|(a, _)| a == app).filter_map(|(_, name)| super::number(name)).max();
            assert_eq!(last.map_or(Number::None, Number::Last), *number, "{app}");
        }
    }
}
