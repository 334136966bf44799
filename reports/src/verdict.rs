//! Whether a migration can be signed: the account balances or it does not, and rows were rejected or not.

use imis_mappings::account::{Account, RuleAccount, TableAccount};

use crate::number::{counted, thousands};

/// The verdict on a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every row is accounted for and none was rejected.
    Clean,
    /// Every row is accounted for; some were rejected, with reasons.
    Rejects,
    /// Rows are missing or too many.
    Unbalanced,
}

impl Verdict {
    pub(crate) fn of(account: &Account) -> Self {
        if !account.balances() {
            Verdict::Unbalanced
        } else if account.rejected() > 0 {
            Verdict::Rejects
        } else {
            Verdict::Clean
        }
    }
}

/// What does not add up, a sentence each.
pub(crate) fn complaints(account: &Account) -> Vec<String> {
    let rules = account.rules.iter().flat_map(rule_complaints);
    rules.chain(account.tables.iter().filter_map(table_complaint)).collect()
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
    use super::*;
    use crate::sample;

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
