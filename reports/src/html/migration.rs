//! The page of a migration: the verdict first, then what moved, what changed, what stayed behind, and how to go on.

use std::collections::{BTreeMap, HashMap};

use imis_mappings::account::{Account, RejectedRow, RuleAccount};
use imis_mappings::plan::Plan;
use serde::Serialize;

use super::{Change, Figure, Head, LINES, PLACES, cut, moment, render};
use crate::ReportError;
use crate::cause;
use crate::consistency;
use crate::mask::Values;
use crate::number::{counted, thousands};
use crate::verdict::{Verdict, complaints};
use crate::words;

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    head: Head,
    complaints: Vec<String>,
    more_complaints: usize,
    areas: Vec<Area<'a>>,
    changes: Vec<Change>,
    rejects: Vec<Reason>,
    more_reasons: usize,
    rejected: String,
    notes: &'a [String],
    more_notes: usize,
    rules: Vec<Line<'a>>,
    more_rules: usize,
}

/// The tables of one part of the business.
#[derive(Serialize)]
struct Area<'a> {
    title: &'static str,
    rows: String,
    tables: Vec<Bar<'a>>,
    more: usize,
}

/// A table with its bar; widths in percent of the longest.
#[derive(Serialize)]
struct Bar<'a> {
    table: &'a str,
    after: String,
    words: String,
    moved: f64,
    rejected: f64,
    left: f64,
    balances: bool,
}

/// Rows that were rejected for one reason.
#[derive(Serialize)]
struct Reason {
    rule: String,
    column: String,
    reason: String,
    count: String,
    keys: Vec<String>,
    more: String,
    /// The rows that went because these went.
    took: String,
}

/// A rule of the accounting.
#[derive(Serialize)]
struct Line<'a> {
    rule: &'a str,
    from: &'a str,
    to: &'a str,
    counts: [String; 8],
    balances: bool,
}

/// The page of a migration, as one HTML text. Values are masked.
///
/// # Errors
/// When the page cannot be rendered.
pub fn migration_page(account: &Account, plan: Option<&Plan>) -> Result<String, ReportError> {
    let verdict = Verdict::of(account);
    let (tone, badge, headline) = headline(account, verdict);
    let sum = |of: fn(&RuleAccount) -> u64| account.rules.iter().map(of).sum::<u64>();
    let (read, loaded) = (sum(|r| r.counts.read), sum(|r| r.counts.loaded));
    let (complaints, more_complaints) = cut(complaints(account), LINES);
    let (rejects, more_reasons) = cut(reasons(&account.rejects), LINES);
    let (rules, more_rules) = cut(account.rules.iter().map(line).collect(), LINES);
    let notes = account.notes.get(..LINES).unwrap_or(&account.notes);
    render(
        "migration.html",
        Page {
            head: Head {
                title: format!("Migration {}", account.run),
                tone,
                badge,
                headline,
                lead: lead(verdict).to_owned(),
                facts: facts(account),
                figures: vec![
                    Figure::new(read, "rows read from the old system"),
                    Figure::new(loaded, "of them in the new system"),
                    Figure::alarming(account.rejected(), "rejected, each with a reason"),
                    Figure::new(sum(|r| r.counts.filtered + r.counts.kept), "left out on purpose"),
                    Figure::new(sum(|r| r.repaired), "references repaired"),
                    Figure::new(sum(|r| r.computed), "new rows made by rules"),
                ],
            },
            complaints,
            more_complaints,
            areas: areas(account),
            changes: changes(account, plan),
            rejects,
            more_reasons,
            rejected: counted(account.rejected(), "row"),
            notes,
            more_notes: account.notes.len() - notes.len(),
            rules,
            more_rules,
        },
    )
}

fn headline(account: &Account, verdict: Verdict) -> (&'static str, &'static str, String) {
    match verdict {
        Verdict::Clean => ("good", "Balances", "Every row is accounted for, and none was rejected.".to_owned()),
        Verdict::Rejects => {
            let rejected = account.rejected();
            let were = if rejected == 1 { "was" } else { "were" };
            let rows = counted(rejected, "row");
            ("warning", "Balances, with rejects", format!("Every row is accounted for; {rows} {were} rejected."))
        }
        Verdict::Disturbed => (
            "bad",
            "The source did not stand still",
            "Somebody wrote to the old system while it was read. Do not use the new system yet.".to_owned(),
        ),
        Verdict::Unbalanced => {
            ("bad", "Does not balance", "The rows do not add up. Do not use the new system yet.".to_owned())
        }
    }
}

fn lead(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => {
            "Each row that was read from the old system is in the new one, or was left out by a rule that says why. The \
             servers on both sides counted the same."
        }
        Verdict::Rejects => {
            "Rejected rows are not in the new system. Each of them is listed with its key and the reason, so that someone \
             can decide: mend it in the old system and move it again, or accept that it stays behind."
        }
        Verdict::Disturbed => {
            "The rows add up, but they may be of several moments: what was written in between may have come along in part. Undo \
             the migration, make sure that nobody works in the old system, and migrate again."
        }
        Verdict::Unbalanced => {
            "Somewhere rows are missing or too many. The list below says where. Undo the migration, or find the cause \
             before anyone works with the new system."
        }
    }
}

fn facts(account: &Account) -> Vec<(&'static str, String)> {
    let took = match (account.started.parse::<jiff::Timestamp>(), account.finished.parse::<jiff::Timestamp>()) {
        (Ok(started), Ok(finished)) => duration(finished.as_second() - started.as_second()),
        _ => String::new(),
    };
    let mut facts = vec![
        ("From", account.from.clone()),
        ("To", account.to.clone()),
        ("Mapping", account.mapping.clone()),
        ("Began", moment(&account.started)),
        ("Ended", moment(&account.finished)),
    ];
    if !took.is_empty() {
        facts.push(("Took", took));
    }
    facts.push(("Run", account.run.clone()));
    if let Some(level) = account.consistency {
        facts.push(("Consistency of the source", consistency::vouched(level, &account.reading)));
        facts.extend(consistency::changes(level, &account.reading).map(|said| ("Changes of the source", said)));
    }
    facts
}

fn duration(seconds: i64) -> String {
    match seconds {
        ..0 => String::new(),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn areas(account: &Account) -> Vec<Area<'_>> {
    #[derive(Default)]
    struct Behind {
        rejected: u64,
        left: u64,
    }
    let mut behind: HashMap<&str, Behind> = HashMap::new();
    for rule in &account.rules {
        let of_table = behind.entry(&rule.to).or_default();
        of_table.rejected += rule.counts.rejected;
        of_table.left += rule.counts.filtered + rule.counts.kept;
    }
    let none = Behind::default();
    let parts = |table: &str| behind.get(table).unwrap_or(&none);
    let length = |table: &str, moved: u64| moved + parts(table).rejected + parts(table).left;
    let longest = account.tables.iter().map(|t| length(&t.table, t.loaded + t.computed)).max().unwrap_or(0).max(1);
    // What is not nothing can be seen.
    let percent =
        |rows: u64| if rows == 0 { 0.0 } else { (rows as f64 * 1000.0 / longest as f64).round().max(4.0) / 10.0 };

    let mut grouped: BTreeMap<(usize, &'static str), (u64, Vec<Bar>)> = BTreeMap::new();
    for table in &account.tables {
        let moved = table.loaded + table.computed;
        let Behind { rejected, left } = parts(&table.table);
        if table.balances() && length(&table.table, moved) + table.before + table.after == 0 {
            continue;
        }
        let counts = [
            (table.loaded, "moved"),
            (table.computed, "made"),
            (*rejected, "rejected"),
            (*left, "left out"),
            (table.removed, "replaced"),
        ];
        let seen = counts.iter().filter(|(rows, _)| *rows > 0);
        let words: Vec<String> = seen.map(|(rows, what)| format!("{} {what}", thousands(*rows))).collect();
        let (rows, bars) = grouped.entry(words::area(&table.table)).or_default();
        *rows += table.after;
        bars.push(Bar {
            table: &table.table,
            after: thousands(table.after),
            words: if words.is_empty() { "nothing moved".to_owned() } else { words.join(", ") },
            moved: percent(moved),
            rejected: percent(*rejected),
            left: percent(*left),
            balances: table.balances(),
        });
    }
    let area = |((_, title), (rows, bars)): ((usize, &'static str), (u64, Vec<_>))| {
        let (tables, more) = cut(bars, LINES);
        Area { title, rows: counted(rows, "row"), tables, more }
    };
    grouped.into_iter().map(area).collect()
}

/// What the plan foresaw and what happened, by name. What happened comes first, the most first.
fn changes(account: &Account, plan: Option<&Plan>) -> Vec<Change> {
    #[derive(Default)]
    struct Found {
        values: u64,
        foreseen: u64,
        places: Vec<(u64, String)>,
    }
    let mut by_name: BTreeMap<&str, Found> = BTreeMap::new();
    for rule in &account.rules {
        for ((column, name), values) in &rule.counts.losses {
            let found = by_name.entry(name).or_default();
            found.values += values;
            found.places.push((*values, format!("{}.{column}: {}", rule.rule, thousands(*values))));
        }
    }
    for hazard in plan.iter().flat_map(|plan| &plan.hazards) {
        by_name.entry(&hazard.name).or_default().foreseen += 1;
    }
    for rule in account.rules.iter().filter(|rule| rule.counts.filtered > 0) {
        let found = by_name.entry("filtered").or_default();
        found.values += rule.counts.filtered;
        found.places.push((rule.counts.filtered, format!("{}: {}", rule.rule, counted(rule.counts.filtered, "row"))));
    }
    let mut found: Vec<_> = by_name.into_iter().collect();
    found.sort_by_key(|(_, found)| std::cmp::Reverse(found.values));
    found
        .into_iter()
        .map(|(name, mut found)| {
            found.places.sort_by_key(|(values, _)| std::cmp::Reverse(*values));
            let (places, more) = cut(found.places.into_iter().map(|(_, place)| place).collect(), PLACES);
            Change {
                name: name.to_owned(),
                meaning: words::meaning(name),
                foreseen: if found.foreseen > 0 { counted(found.foreseen, "place") } else { String::new() },
                // What is not counted by value shows as rows: rejected, or left out.
                values: if found.values > 0 { thousands(found.values) } else { "–".to_owned() },
                places,
                more,
            }
        })
        .collect()
}

/// Rejects by rule, column and reason, the most first.
fn reasons(rejects: &[RejectedRow]) -> Vec<Reason> {
    let reason = |group: cause::Group<'_>| {
        let more = group.rows - group.keys.len() as u64;
        let some = |number: u64| if number > 0 { thousands(number) } else { String::new() };
        Reason {
            rule: group.rule.to_owned(),
            column: group.column.to_owned(),
            reason: group.reason.to_owned(),
            count: thousands(group.rows),
            keys: group.keys,
            more: some(more),
            took: if group.took > 0 { counted(group.took, "row") } else { String::new() },
        }
    };
    cause::groups(rejects, Values::Masked).into_iter().map(reason).collect()
}

fn line(rule: &RuleAccount) -> Line<'_> {
    let c = &rule.counts;
    Line {
        rule: &rule.rule,
        from: rule.from.as_deref().unwrap_or_default(),
        to: &rule.to,
        counts: [c.read, c.loaded, c.rejected, c.filtered, c.kept, c.updated, rule.repaired, rule.computed]
            .map(thousands),
        balances: rule.balances(),
    }
}
