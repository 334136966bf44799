//! Why rows were rejected: the reasons, and how many further rows each of them took along.

use std::collections::{BTreeMap, BTreeSet};

use imis_mappings::account::RejectedRow;

use crate::mask::{self, Values};
use crate::number::counted;

/// How many keys of a group are named.
const KEYS: usize = 5;

/// Rows that were rejected by one rule, for one column and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The rule.
    pub rule: &'a str,
    /// The column; empty where the whole row was refused.
    pub column: &'a str,
    /// The reason.
    pub reason: &'a str,
    /// How many rows.
    pub rows: u64,
    /// How many rows they took along: those that named one of them, those that named these, and so on.
    pub took: u64,
    /// The keys of the first of them.
    pub keys: Vec<String>,
}

/// Groups rejected rows by rule, column and reason, the most first. Rows that only followed others stand in groups of their
/// own, and are counted with the reason that began it.
pub fn groups(rejects: &[RejectedRow], values: Values) -> Vec<Group<'_>> {
    let mut grouped: BTreeMap<(&str, &str, &str), Group<'_>> = BTreeMap::new();
    let mut followers: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for RejectedRow { rule, reject, .. } in rejects {
        let group = grouped.entry((rule, &reject.column, &reject.reason)).or_insert_with(|| Group {
            rule,
            column: &reject.column,
            reason: &reject.reason,
            rows: 0,
            took: 0,
            keys: Vec::new(),
        });
        group.rows += 1;
        if group.keys.len() < KEYS {
            group.keys.push(mask::key(&reject.key, values));
        }
        if let Some(cause) = &reject.cause {
            *followers.entry((&cause.table, &cause.column, &cause.reason)).or_default() += 1;
        }
    }
    // A cause names its table, a group its rule: the rows themselves say which belongs to which.
    let mut seen = BTreeSet::new();
    for RejectedRow { rule, table, reject } in rejects.iter().filter(|row| row.reject.cause.is_none()) {
        let cause = (table.as_str(), reject.column.as_str(), reject.reason.as_str());
        if let Some(took) = followers.get(&cause)
            && seen.insert(cause)
            && let Some(group) = grouped.get_mut(&(rule.as_str(), reject.column.as_str(), reject.reason.as_str()))
        {
            group.took += took;
        }
    }
    let mut groups: Vec<Group<'_>> = grouped.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows));
    groups
}

/// The root causes in words: `1 row of claims: ICDID, it names no row of tblICDCodes; it took 3 rows along`.
pub fn roots(rejects: &[RejectedRow]) -> Vec<String> {
    groups(rejects, Values::Masked)
        .into_iter()
        .filter(|group| group.took > 0)
        .map(|group| {
            let it = if group.rows == 1 { "it" } else { "they" };
            let column = if group.column.is_empty() { String::new() } else { format!("{}, ", group.column) };
            format!(
                "{} of {}: {column}{}; {it} took {} along",
                counted(group.rows, "row"),
                group.rule,
                group.reason,
                counted(group.took, "row")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use imis_mappings::account::Cause;

    use super::*;
    use crate::sample::reject;

    #[test]
    fn a_reason_says_how_many_rows_it_took_along() {
        let mut rows = vec![
            reject("claims", "tblClaim", ("ClaimID", "1"), "ICDID", "it names no row of tblICDCodes"),
            reject("claims", "tblClaim", ("ClaimID", "2"), "ICDID", "it names no row of tblICDCodes"),
            reject(
                "claim-items",
                "tblClaimItems",
                ("ClaimItemID", "7"),
                "ClaimID",
                "the row of tblClaim that it names was rejected",
            ),
            reject("claim-items", "tblClaimItems", ("ClaimItemID", "8"), "ClaimID", "it names no row of tblClaim"),
        ];
        rows[2].reject.cause = Some(Cause {
            table: "tblClaim".into(),
            key: vec![("ClaimID".into(), "1".into())],
            column: "ICDID".into(),
            reason: "it names no row of tblICDCodes".into(),
        });
        let found = groups(&rows, Values::Masked);
        let counts: Vec<(&str, u64, u64)> = found.iter().map(|g| (g.rule, g.rows, g.took)).collect();
        assert_eq!(counts, [("claims", 2, 1), ("claim-items", 1, 0), ("claim-items", 1, 0)]);
        assert_eq!(roots(&rows), ["2 rows of claims: ICDID, it names no row of tblICDCodes; they took 1 row along"]);
    }
}
