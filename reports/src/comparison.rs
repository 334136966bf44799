//! What a comparison of two schemas says, in words that the terminal, the page and the files share.

use imis_schemas::compare::{Change, Comparison, Difference, Kind};

use crate::number::{counted, thousands};

/// The sign before a difference, as in a diff.
pub(crate) fn sign(change: Change) -> char {
    match change {
        Change::OnlyA => '-',
        Change::OnlyB => '+',
        Change::Changed => '~',
        Change::Renamed | Change::Respelled => '>',
    }
}

/// What differs: `type of DateFrom`, `foreign key`.
pub(crate) fn what(difference: &Difference) -> String {
    let noun = match (difference.kind, difference.a.as_deref().or(difference.b.as_deref())) {
        (Kind::Routines, Some(noun @ ("procedure" | "function"))) => noun,
        (kind, _) => kind.noun(),
    };
    match (difference.kind, &difference.part) {
        (Kind::Columns, _) if matches!(difference.change, Change::Renamed | Change::Respelled) => noun.to_owned(),
        (Kind::Columns | Kind::Checks, Some(part)) => format!("{noun} {part}"),
        (Kind::ForeignKeys, Some(part)) if difference.change == Change::Changed => format!("{noun} of {part}"),
        (
            Kind::Types | Kind::Nulls | Kind::Defaults | Kind::Identity | Kind::Computed | Kind::Collations,
            Some(part),
        ) => {
            format!("{noun} of {part}")
        }
        _ => noun.to_owned(),
    }
}

/// What each side has, as far as it is worth a word.
pub(crate) fn sides(difference: &Difference) -> (String, String) {
    let of = |side: &Option<String>| side.clone().unwrap_or_default();
    match difference.kind {
        // One kind on both sides: the noun says it.
        Kind::Views | Kind::Routines if difference.change != Change::Changed || difference.a == difference.b => {
            (String::new(), String::new())
        }
        _ => (of(&difference.a), of(&difference.b)),
    }
}

/// How it stands and why: `narrower: the time of day is lost`, `guessed, 84 %`.
pub(crate) fn remark(difference: &Difference) -> String {
    let guess = match difference.sure {
        Some(sure) => Some(format!("guessed, {sure} % sure")),
        None => difference.guessed.then(|| "guessed".to_owned()),
    };
    let spelling = (difference.change == Change::Respelled).then(|| "upper and lower case differ".to_owned());
    let fit = difference.fit.map(|fit| fit.name().to_owned());
    [guess, spelling, fit, difference.why.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// A difference on one line, without its sign: `type of DateFrom: smalldatetime -> date (narrower: ...)`.
pub(crate) fn line(difference: &Difference) -> String {
    let (a, b) = sides(difference);
    let said = match (a.is_empty(), b.is_empty()) {
        (true, true) => String::new(),
        (false, true) => a,
        (true, false) => b,
        (false, false) => format!("{a} -> {b}"),
    };
    let remark = remark(difference);
    let colon = if matches!(difference.change, Change::OnlyA | Change::OnlyB) && difference.kind != Kind::Checks {
        ""
    } else {
        ":"
    };
    let mut text = what(difference);
    if !said.is_empty() {
        text += &format!("{colon} {said}");
    }
    if !remark.is_empty() {
        text += &format!(" ({remark})");
    }
    text
}

/// Differences of one object, in the order in which they were found.
pub(crate) struct Group<'a> {
    pub(crate) object: &'a str,
    pub(crate) differences: Vec<&'a Difference>,
}

/// What differs within tables, table by table.
pub(crate) fn tables(found: &Comparison) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let is_within = |d: &&Difference| !matches!(d.kind, Kind::Tables | Kind::Views | Kind::Routines | Kind::UserTypes);
    for difference in found.differences.iter().filter(is_within) {
        match groups.last_mut() {
            Some(group) if group.object == difference.object => group.differences.push(difference),
            _ => groups.push(Group { object: &difference.object, differences: vec![difference] }),
        }
    }
    groups
}

/// The differences of a kind.
pub(crate) fn of_kind(found: &Comparison, kind: Kind) -> Vec<&Difference> {
    found.differences.iter().filter(|d| d.kind == kind).collect()
}

/// The name of a group; the database's own differences have none.
pub(crate) fn title(object: &str) -> &str {
    if object.is_empty() { "The database" } else { object }
}

/// `release:legacy/24.04 (SQL Server, 65 tables, 914 columns)`.
pub(crate) fn side(side: &imis_schemas::compare::Side) -> String {
    format!(
        "{} ({}, {}, {})",
        side.name,
        side.engine,
        counted(side.tables as u64, "table"),
        counted(side.columns as u64, "column")
    )
}

/// The verdict in a sentence.
pub(crate) fn verdict(found: &Comparison) -> String {
    let far = if found.not_compared.is_empty() { "" } else { ", as far as they could be compared" };
    match found.differences.len() as u64 {
        0 => format!("The two schemas are equal{far}."),
        1 => "The two schemas differ in one thing.".to_owned(),
        count => format!("The two schemas differ in {} things.", thousands(count)),
    }
}

/// What could not be compared: `indexes of tblA, tblB: not known of A`.
pub(crate) fn not_compared(found: &Comparison, names: usize) -> Vec<String> {
    let line = |gap: &imis_schemas::compare::NotCompared| {
        let shown = gap.objects.iter().take(names).map(String::as_str).collect::<Vec<_>>().join(", ");
        let of = match gap.objects.len() {
            0 => String::new(),
            all if all > names => format!(" of {shown} and {} more", all - names),
            _ => format!(" of {shown}"),
        };
        format!("{}{of}: {}", gap.kind.name(), gap.why)
    };
    let notes = [("A", &found.a), ("B", &found.b)]
        .into_iter()
        .flat_map(|(name, side)| side.notes.iter().map(move |note| format!("{name}: {note}")));
    found.not_compared.iter().map(line).chain(notes).collect()
}

/// The lines of a unified diff as they can be shown: TABs make the width of four blanks.
pub(crate) fn diff_lines(diff: &str) -> impl Iterator<Item = String> {
    diff.lines().map(|line| line.replace('\t', "    "))
}
