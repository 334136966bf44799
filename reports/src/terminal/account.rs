//! An account on a terminal. The verdict stands at the end, where the eye is when it is done.

use imis_mappings::account::{Account, RejectedRow, RuleAccount, TableAccount};

use super::{Cell, Style, Tint, facts, paragraph, table};
use crate::consistency;
use crate::escape;
use crate::mask;
use crate::number::counted;
use crate::verdict::{Verdict, complaints};

/// How many rejected rows are shown.
const REJECTS: usize = 10;

/// What became of every row, for people.
pub fn account(account: &Account, style: &Style) -> String {
    let mut text = facts(&[
        ("run", account.run.clone()),
        ("mapping", account.mapping.clone()),
        ("from", account.from.clone()),
        ("to", account.to.clone()),
        ("when", format!("{} to {}", account.started, account.finished)),
    ]);
    text += &rules(account, style);
    text += &tables(account, style);
    text += &losses(account, style);
    text += &rejects(account, style);
    if !account.notes.is_empty() {
        text += &style.heading("Notes");
        for note in &account.notes {
            text += &format!("- {}\n", escape::terminal(note));
        }
    }
    if let Some(level) = account.consistency {
        text += &style.heading("Consistency of the source");
        text += &paragraph(&consistency::vouched(level, &account.reading), style);
        text += &consistency::changes(level, &account.reading).map_or(String::new(), |said| paragraph(&said, style));
    }
    text.push('\n');
    text + &verdict(account, style)
}

type RuleCount = (&'static str, fn(&RuleAccount) -> u64);
const COUNTS: [RuleCount; 8] = [
    ("read", |r| r.counts.read),
    ("loaded", |r| r.counts.loaded),
    ("rejected", |r| r.counts.rejected),
    ("filtered", |r| r.counts.filtered),
    ("kept", |r| r.counts.kept),
    ("updated", |r| r.counts.updated),
    ("repaired", |r| r.repaired),
    ("computed", |r| r.computed),
];

fn rules(account: &Account, style: &Style) -> String {
    let touched = |rule: &&RuleAccount| style.verbose || !rule.balances() || COUNTS.iter().any(|(_, of)| of(rule) > 0);
    let shown: Vec<&RuleAccount> = account.rules.iter().filter(touched).collect();
    let total = |of: fn(&RuleAccount) -> u64| account.rules.iter().map(of).sum::<u64>();
    // A column of zeros says less than it takes room; the first three are always asked for.
    let columns: Vec<RuleCount> = COUNTS
        .into_iter()
        .enumerate()
        .filter(|(place, (_, of))| *place < 3 || style.verbose || total(*of) > 0)
        .map(|(_, column)| column)
        .collect();
    let cell = |name: &str, number| if name == "rejected" { Cell::Alarm(number) } else { Cell::Number(number) };
    let mut rows: Vec<Vec<Cell>> = shown
        .iter()
        .map(|rule| {
            let name = std::iter::once(rule.rule.as_str().into());
            name.chain(columns.iter().map(|(name, of)| cell(name, of(rule)))).collect()
        })
        .collect();
    let sums = columns.iter().map(|(name, of)| cell(name, total(*of)));
    rows.push(std::iter::once("all rules".into()).chain(sums).collect());
    let headers: Vec<&str> = std::iter::once("rule").chain(columns.iter().map(|(name, _)| *name)).collect();
    style.heading("Rules") + &table(&headers, &rows, style) + &hidden(account.rules.len() - shown.len(), "rule")
}

fn tables(account: &Account, style: &Style) -> String {
    let touched = |t: &&TableAccount| {
        style.verbose || !t.balances() || t.before + t.removed + t.loaded + t.computed + t.after > 0
    };
    let shown: Vec<&TableAccount> = account.tables.iter().filter(touched).collect();
    let rows: Vec<Vec<Cell>> = shown
        .iter()
        .map(|t| {
            let numbers = [t.before, t.removed, t.loaded, t.computed, t.after];
            std::iter::once(t.table.as_str().into()).chain(numbers.map(Cell::Number)).collect()
        })
        .collect();
    let headers = ["table", "before", "removed", "loaded", "computed", "after"];
    style.heading("Tables") + &table(&headers, &rows, style) + &hidden(account.tables.len() - shown.len(), "table")
}

fn hidden(count: usize, noun: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("1 {noun} without rows is not shown (-v shows it)\n"),
        _ => format!("{count} {noun}s without rows are not shown (-v shows them)\n"),
    }
}

fn losses(account: &Account, style: &Style) -> String {
    let mut rows: Vec<(&str, Vec<Cell>)> = Vec::new();
    for rule in &account.rules {
        for ((column, name), values) in &rule.counts.losses {
            let place = format!("{}.{column}", rule.rule);
            rows.push((name, vec![name.as_str().into(), place.into(), Cell::Number(*values)]));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by_key(|(name, _)| *name);
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|(_, row)| row).collect();
    style.heading("Losses and repairs, by name") + &table(&["name", "rule and column", "values"], &rows, style)
}

fn rejects(account: &Account, style: &Style) -> String {
    if account.rejects.is_empty() {
        return String::new();
    }
    let all = account.rejects.len();
    let title = match all {
        all if all <= REJECTS => "Rejected rows".to_owned(),
        _ => format!("Rejected rows, the first {REJECTS} of {}", crate::number::thousands(all as u64)),
    };
    reasons(&account.rejects, style) + &style.heading(&title) + &rejected_rows(&account.rejects, REJECTS, style)
}

/// Rejected rows by rule, column and reason, with what they took along.
pub fn reasons(rejects: &[RejectedRow], style: &Style) -> String {
    let groups = crate::cause::groups(rejects, style.values);
    let took = groups.iter().any(|group| group.took > 0);
    let rows: Vec<Vec<Cell>> = groups
        .iter()
        .map(|group| {
            let mut cells: Vec<Cell> = vec![Cell::Number(group.rows)];
            cells.extend(took.then_some(Cell::Number(group.took)));
            cells.extend([group.rule.into(), group.column.into(), group.reason.into()]);
            cells
        })
        .collect();
    let mut headers = vec!["rows"];
    headers.extend(took.then_some("took along"));
    headers.extend(["rule", "column", "reason"]);
    style.heading("Why rows were rejected") + &table(&headers, &rows, style)
}

/// Rejected rows one by one, as many as are asked for.
pub fn rejected_rows(rejects: &[RejectedRow], limit: usize, style: &Style) -> String {
    let shown = rejects.get(..limit).unwrap_or(rejects);
    let caused = shown.iter().any(|row| row.reject.cause.is_some());
    let row = |row: &RejectedRow| -> Vec<Cell> {
        let reject = &row.reject;
        let mut cells: Vec<Cell> = vec![
            row.rule.as_str().into(),
            mask::key(&reject.key, style.values).into(),
            reject.column.as_str().into(),
            reject.reason.as_str().into(),
        ];
        if caused {
            let cause = reject.cause.as_ref().map_or(String::new(), |cause| {
                let key = mask::key(&cause.key, style.values);
                format!("{} {key}: {}, {}", cause.table, cause.column, cause.reason)
            });
            cells.push(cause.as_str().into());
        }
        cells
    };
    let rows: Vec<Vec<Cell>> = shown.iter().map(row).collect();
    let mut headers = vec!["rule", "key", "column", "reason"];
    headers.extend(caused.then_some("began with"));
    table(&headers, &rows, style)
}

fn verdict(account: &Account, style: &Style) -> String {
    let rejected = counted(account.rejected(), "row");
    match Verdict::of(account) {
        Verdict::Clean => style.tint(Tint::Good, "The account balances; no row was rejected.") + "\n",
        Verdict::Rejects => style.tint(Tint::Warning, &format!("The account balances; {rejected} rejected.")) + "\n",
        Verdict::Disturbed | Verdict::Unbalanced => {
            let said = match Verdict::of(account) {
                Verdict::Disturbed => "The account balances, but the source did not stand still:",
                _ => "The account does not balance:",
            };
            let mut text = style.tint(Tint::Bad, said) + "\n";
            for complaint in complaints(account) {
                text += &paragraph(&format!("- {complaint}"), style);
            }
            text
        }
    }
}
