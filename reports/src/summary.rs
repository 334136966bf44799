//! `summary.json`: a migration for programs. The shape is versioned and documented; fields are added, never changed.

use imis_mappings::account::{Account, FORMAT};
use serde_json::{Value, json};

/// The account as `summary.json`. Rows and keys are not in it; they stand in `rejects.parquet`.
pub fn migrate_summary(account: &Account) -> Value {
    let rules: Vec<Value> = account
        .rules
        .iter()
        .map(|rule| {
            let c = &rule.counts;
            let mut line = json!({
                "rule": rule.rule, "from": rule.from, "to": rule.to, "counted": rule.counted, "read": c.read,
                "loaded": c.loaded, "rejected": c.rejected, "filtered": c.filtered, "kept": c.kept,
                "repaired": rule.repaired, "computed": rule.computed, "balances": rule.balances(),
            });
            // Only rules that set columns of rows which are there have such.
            if c.updated > 0 {
                line["updated"] = c.updated.into();
            }
            line
        })
        .collect();
    let tables: Vec<Value> = account
        .tables
        .iter()
        .map(|table| {
            let mut line = json!({
                "table": table.table, "before": table.before, "removed": table.removed, "loaded": table.loaded,
                "computed": table.computed, "after": table.after, "balances": table.balances(),
            });
            if table.by_migrations != 0 {
                line["by_migrations"] = table.by_migrations.into();
            }
            line
        })
        .collect();
    let losses: Vec<Value> = account
        .rules
        .iter()
        .flat_map(|rule| rule.counts.losses.iter().map(move |((column, name), values)| (rule, column, name, values)))
        .map(|(rule, column, name, values)| json!({ "rule": rule.rule, "column": column, "name": name, "values": values }))
        .collect();
    json!({
        "imis": FORMAT,
        "run": account.run,
        "mapping": account.mapping,
        "from": account.from,
        "to": account.to,
        "started": account.started,
        "finished": account.finished,
        "balances": account.balances(),
        "rejected": account.rejected(),
        "rules": rules,
        "tables": tables,
        "losses": losses,
        "notes": account.notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_shape_is_what_others_build_on() {
        let mut account = sample::account();
        account.rules.truncate(1);
        account.tables.truncate(1);
        insta::assert_json_snapshot!(migrate_summary(&account));
    }

    #[test]
    fn an_account_that_does_not_add_up_says_so() {
        let mut account = sample::account();
        assert_eq!(migrate_summary(&account)["balances"], true);
        account.tables[0].after += 1;
        assert_eq!(migrate_summary(&account)["balances"], false);
        assert_eq!(migrate_summary(&account)["tables"][0]["balances"], false);
        assert_eq!(migrate_summary(&account)["rejected"], 13);
    }
}
