//! Whether a migration can be signed: the account balances or it does not, and rows were rejected or not.

use imis_databases::Consistency;
use imis_mappings::account::{Account, RuleAccount, TableAccount};

use crate::consistency;
use crate::number::{counted, thousands};

/// The verdict on a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every row is accounted for and none was rejected.
    Clean,
    /// Every row is accounted for; some were rejected, with reasons.
    Rejects,
    /// Somebody wrote to a source that was to stand still.
    Disturbed,
    /// Rows are missing or too many.
    Unbalanced,
}

impl Verdict {
    pub(crate) fn of(account: &Account) -> Self {
        if !account.balances() {
            Verdict::Unbalanced
        } else if account.is_disturbed() {
            Verdict::Disturbed
        } else if account.rejected() > 0 {
            Verdict::Rejects
        } else {
            Verdict::Clean
        }
    }
}

/// What does not add up, a sentence each.
pub(crate) fn complaints(account: &Account) -> Vec<String> {
    let mut found = Vec::new();
    if account.is_disturbed() {
        found.push(consistency::disturbed(&account.from, &account.reading));
    }
    found.extend(account.rules.iter().flat_map(rule_complaints));
    let counted_otherwise = |rule: &RuleAccount| rule.counted.is_some_and(|counted| counted != rule.counts.read);
    if account.consistency == Some(Consistency::Fuzzy) && account.rules.iter().any(counted_otherwise) {
        found.push(
            "the source is fuzzy: rows came or went while it was read. Stop the old system, or read in one transaction, and \
             load again"
                .to_owned(),
        );
    }
    found.extend(account.tables.iter().filter_map(table_complaint));
    found
}

fn rule_complaints(rule: &RuleAccount) -> Vec<String> {
    let c = &rule.counts;
    let mut found = Vec::new();
    let sum = c.loaded.saturating_add(c.rejected).saturating_add(c.filtered).saturating_add(c.kept);
    let sum = sum.saturating_add(c.updated);
    if c.read != sum {
        found.push(format!("rule {}: {} read, but {} accounted for", rule.rule, thousands(c.read), thousands(sum)));
    }
    if let Some(server) = rule.counted.filter(|counted| *counted != c.read) {
        found.push(format!(
            "rule {}: {} read, but the source's server counts {}",
            rule.rule,
            thousands(c.read),
            thousands(server)
        ));
    }
    found
}

fn table_complaint(table: &TableAccount) -> Option<String> {
    if table.balances() {
        return None;
    }
    let into = table.before.saturating_add(table.loaded).saturating_add(table.computed);
    let into = into.saturating_add_signed(table.by_migrations);
    Some(format!(
        "table {}: {} expected, but the target's server counts {}",
        table.table,
        counted(into.saturating_sub(table.removed), "row"),
        thousands(table.after)
    ))
}

#[cfg(test)]
mod tests {
    use imis_databases::Mark;

    use super::*;
    use crate::sample;

    #[test]
    fn a_source_that_did_not_stand_still_is_named() {
        let mut account = sample::account();
        account.reading.after = account.reading.before.map(|mark| Mark { counter: mark.counter + 1, ..mark });
        assert_eq!(Verdict::of(&account), Verdict::Rejects);
        account.consistency = Some(Consistency::Frozen);
        assert_eq!(Verdict::of(&account), Verdict::Disturbed);
        let said = complaints(&account);
        assert!(said[0].starts_with("somebody wrote to the source SQL Server, IMIS on db.example.org"), "{said:?}");

        account.consistency = Some(Consistency::Fuzzy);
        account.rules[0].counted = Some(24_999);
        let said = complaints(&account);
        assert!(said.iter().any(|said| said.contains("rows came or went")), "{said:?}");
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        let mut account = sample::account();
        assert_eq!(Verdict::of(&account), Verdict::Rejects);
        assert!(complaints(&account).is_empty());

        account.rules[0].counts.read += 1;
        account.tables[0].after += 1000;
        assert_eq!(Verdict::of(&account), Verdict::Unbalanced);
        assert_eq!(
            complaints(&account),
            [
                "rule claims: 25,001 read, but 25,000 accounted for",
                "rule claims: 25,001 read, but the source's server counts 25,000",
                "table tblClaim: 24,988 rows expected, but the target's server counts 25,988",
            ]
        );
    }
}
