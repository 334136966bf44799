//! stub
#![allow(missing_docs)]
pub mod terminal {
    use imis_mappings::{account::Account, hazard::Hazard, plan::Plan};
    #[derive(Clone, Copy, Debug)]
    pub struct Style {
        pub color: bool,
        pub width: Option<u16>,
    }
    pub fn table(h: &[&str], rows: Vec<Vec<String>>, _: Style) -> String {
        let mut s = h.join(" | ");
        for r in rows {
            s.push('\n');
            s.push_str(&r.join(" | "));
        }
        s
    }
    pub fn plan(p: &Plan, _: Style) -> String {
        p.rules
            .iter()
            .map(|r| format!("{} {} {} {} {}\n", r.rule, r.rows, r.existing, r.policy, r.ranges.len()))
            .collect()
    }
    pub fn hazards(h: &[Hazard], _: Style) -> String {
        h.iter().map(|h| format!("{} {} {:?} {}\n", h.name, h.rule, h.column, h.what)).collect()
    }
    pub fn scan(h: &[(String, imis_mappings::account::Counts)], _: Style) -> String {
        h.iter().map(|h| format!("{h:?}\n")).collect()
    }
    pub fn account(a: &Account, _: Style) -> String {
        let mut s = String::new();
        for r in &a.rules {
            s.push_str(&format!(
                "{} counted {:?} read {} loaded {} rej {} filt {} kept {} rep {} comp {} {:?}{}\n",
                r.rule,
                r.counted,
                r.counts.read,
                r.counts.loaded,
                r.counts.rejected,
                r.counts.filtered,
                r.counts.kept,
                r.repaired,
                r.computed,
                r.counts.losses,
                if r.balances() { "" } else { " !!!" }
            ));
        }
        for t in &a.tables {
            s.push_str(&format!("{t:?}{}\n", if t.balances() { "" } else { " !!!" }));
        }
        for r in &a.rejects {
            s.push_str(&format!("{r:?}\n"));
        }
        s
    }
}
pub mod summary {
    pub fn migrate_summary(a: &imis_mappings::account::Account) -> serde_json::Value {
        serde_json::to_value(a).unwrap_or_default()
    }
}
pub mod mask {
    pub fn key_value(v: &str) -> String {
        v.to_owned()
    }
}
pub fn write_migration(
    _: &std::path::Path,
    _: &imis_mappings::account::Account,
    _: Option<&imis_mappings::plan::Plan>,
) -> Result<Vec<std::path::PathBuf>, std::io::Error> {
    Ok(vec![])
}
