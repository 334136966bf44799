//! `summary.json`: a migration for programs. The shape is versioned and documented; fields are added, never changed.

use imis_mappings::account::{Account, FORMAT};
use imis_mappings::verify::{self, Status, Verification};
use serde_json::{Value, json};

use crate::mask::Values;
use crate::verification::{figure, group};

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
        "consistency": account.consistency,
        "reading": account.reading,
        "disturbed": account.is_disturbed(),
        "balances": account.balances(),
        "rejected": account.rejected(),
        "rules": rules,
        "tables": tables,
        "losses": losses,
        "notes": account.notes,
    })
}

/// A verification as `summary.json`. Rows are not in it; they stand in `differences.parquet`. Of the totals of columns only those stand
/// here that are not equal.
pub fn verify_summary(found: &Verification, values: Values) -> Value {
    let status = |status: &Status| match status {
        Status::Equal => json!({ "status": "equal" }),
        Status::Explained(why) => json!({ "status": "explained", "why": why }),
        Status::Differs => json!({ "status": "differs" }),
        Status::NotComputed(why) => json!({ "status": "not-computed", "why": why }),
    };
    let with = |mut line: Value, of: &Status| {
        if let (Value::Object(line), Value::Object(more)) = (&mut line, status(of)) {
            line.extend(more);
        }
        line
    };
    let tables: Vec<Value> = found
        .tables
        .iter()
        .map(|t| {
            json!({
                "table": t.table, "rules": t.rules, "from_rows": t.from_rows, "to_rows": t.to_rows, "equal": t.equal,
                "missing": t.missing, "extra": t.extra, "changed": t.changed, "doubled": t.doubled,
                "unreadable": t.unreadable, "explained": t.explained, "losses": t.losses, "left_out": t.left_out,
                "sampled": t.sampled, "seconds": (t.seconds * 1000.0).round() / 1000.0,
            })
        })
        .collect();
    let count = |of: fn(&Status) -> bool| found.totals.iter().filter(|total| of(&total.status)).count();
    let telling = found.totals.iter().filter(|total| total.status != Status::Equal);
    let totals: Vec<Value> = telling
        .map(|total| {
            let line = json!({
                "table": total.table, "column": total.column, "total": total.total,
                "from": total.from.as_deref().map(|text| figure(total, Some(text), values)),
                "to": total.to.as_deref().map(|text| figure(total, Some(text), values)),
            });
            with(line, &total.status)
        })
        .collect();
    let areas: Vec<Value> = found
        .areas
        .iter()
        .map(|area| {
            let differing =
                area.differing.iter().map(|of| json!({ "group": group(of, values), "from": of.from, "to": of.to }));
            let line = json!({
                "area": area.area, "title": area.title, "table": area.table, "figures": area.figures, "from": area.from,
                "to": area.to, "groups": area.groups, "differ": area.differ, "differing": differing.collect::<Vec<_>>(),
            });
            with(line, &area.status)
        })
        .collect();
    json!({
        "imis": verify::FORMAT,
        "mode": found.mode,
        "from": found.from,
        "to": found.to,
        "mapping": found.mapping,
        "run": found.run,
        "started": found.started,
        "finished": found.finished,
        "from_consistency": found.from_consistency,
        "to_consistency": found.to_consistency,
        "from_reading": found.from_reading,
        "to_reading": found.to_reading,
        "disturbed": found.disturbed(),
        "sample": found.sample,
        "holds": found.holds(),
        "unexplained": found.unexplained(),
        "explained": found.explained(),
        "totals": {
            "equal": count(|s| *s == Status::Equal), "explained": count(|s| matches!(s, Status::Explained(_))),
            "not_computed": count(|s| matches!(s, Status::NotComputed(_))), "differ": count(Status::differs),
            "columns": totals, "areas": areas,
        },
        "tables": tables,
        "shape": found.shape,
        "notes": found.notes,
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
    fn the_shape_of_a_verification_is_what_others_build_on() {
        insta::assert_json_snapshot!(verify_summary(&sample::verification(), Values::Masked));
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
