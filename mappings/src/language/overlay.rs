//! What an overlay says of the pack that it extends: which of its rules stay, and what the two packs of the second route
//! (one before Django's migrations, one after) say of each other and of the target.

use std::sync::Arc;

use imis_schemas::document::{SourceFile, located};
use imis_schemas::{Catalog, DataType, Engine, Length, same_name};

use super::error::MappingError;
use super::model::{Loosened, Mapping, Rule};
use super::text::FileText;

const PG: Engine = Engine::Postgres;

/// Keeps or drops rules and repairs of the extended pack by their names.
pub(super) fn choose_rules(
    mapping: &mut Mapping,
    file: &Arc<SourceFile>,
    head: &FileText,
    errors: &mut Vec<MappingError>,
) {
    let repairs = mapping.repairs.iter().map(|repair| &repair.rule);
    let known: Vec<String> = mapping.rules.iter().map(|r| &r.name).chain(repairs).map(|n| n.value.clone()).collect();
    for name in head.keep_rules.iter().flatten().chain(&head.drop_rules) {
        if !known.contains(&name.value) {
            let place = located(file, name).place;
            let unknown = MappingError::at(&place, format!("the extended pack has no rule `{}`", name.value));
            errors.push(unknown.suggest(&name.value, known.iter().map(String::as_str)));
        }
    }
    if let (Some(_), Some(first)) = (&head.keep_rules, head.drop_rules.first()) {
        errors.push(
            MappingError::at(&located(file, first).place, "a mapping says either `keep-rules` or `drop-rules`")
                .with_help("`keep-rules` drops every rule that it does not name."),
        );
    }
    let named = |list: &[serde_yaml::Spanned<String>], name: &str| list.iter().any(|n| n.value == name);
    let stays = |name: &str| match &head.keep_rules {
        Some(kept) => named(kept, name),
        None => !named(&head.drop_rules, name),
    };
    mapping.rules.retain(|rule| stays(&rule.name.value));
    mapping.repairs.retain(|repair| stays(&repair.rule.value));
}

/// Drops keys of the pack's rule: of columns that the target of the overlay does not have.
pub(super) fn drop_keys(
    file: &Arc<SourceFile>,
    own: &mut Rule,
    names: &[serde_yaml::Spanned<String>],
) -> Result<(), MappingError> {
    for name in names {
        if !own.keys.iter().any(|(known, _)| same_name(&known.value, &name.value)) {
            let what = format!("rule `{}` of the extended pack holds no key {}", own.name.value, name.value);
            let known = own.keys.iter().map(|(known, _)| known.value.as_str());
            return Err(MappingError::at(&located(file, name).place, what).suggest(&name.value, known));
        }
        own.keys.retain(|(known, _)| !same_name(&known.value, &name.value));
    }
    Ok(())
}

/// The columns that the header loosens.
pub(super) fn loosened(file: &Arc<SourceFile>, head: &FileText, errors: &mut Vec<MappingError>) -> Vec<Loosened> {
    let mut all = Vec::new();
    for (name, said) in &head.loosen.0 {
        let place = located(file, name).place;
        match name.value.rsplit_once('.') {
            Some((table, column)) if said.length.is_some() || said.nullable => all.push(Loosened {
                table: table.to_owned(),
                column: column.to_owned(),
                length: said.length,
                nullable: said.nullable,
                place,
            }),
            Some(_) => errors.push(
                MappingError::at(&place, format!("`{}` is not loosened at all", name.value))
                    .with_help("Write `{ length: N }`, `{ nullable: true }` or both."),
            ),
            None => errors.push(
                MappingError::at(&place, format!("`{}` names no column", name.value))
                    .with_help("Write `TABLE.COLUMN: { length: N, why: ... }`."),
            ),
        }
    }
    all
}

impl Mapping {
    /// The target's catalogue as this mapping meets it: with the columns loosened that its header names.
    #[must_use]
    pub fn loosened(&self, mut target: Catalog) -> Catalog {
        for said in &self.loosen {
            let table = target.tables.iter_mut().find(|t| same_name(&t.name, &said.table));
            let column = table.and_then(|t| t.columns.iter_mut().find(|c| same_name(&c.name, &said.column)));
            if let Some(column) = column {
                if let Some(length) = said.length.filter(|length| holds_fewer(&column.typed(PG).data_type, *length)) {
                    column.data_type = DataType::VarChar(Length::Limited(length)).sql(PG);
                }
                column.nullable |= said.nullable;
            }
        }
        target
    }
}

/// Whether a text column holds fewer characters.
fn holds_fewer(data_type: &DataType, length: u32) -> bool {
    matches!(data_type, DataType::VarChar(Length::Limited(own)) if *own < length)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::language::Existing;

    fn overlay(head: &str) -> Result<Mapping, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        std::fs::write(&path, format!("mapping: x\nextends: openimis/legacy-to-modular\n{head}")).unwrap();
        Mapping::open(Path::new(&path)).map_err(|e| e.to_string())
    }

    #[test]
    fn rules_of_the_pack_stay_or_go_by_name() {
        let all = overlay("").unwrap().rules.len();
        let names = |mapping: Mapping| mapping.rules.into_iter().map(|r| r.name.value).collect::<Vec<_>>();
        assert_eq!(overlay("drop-rules: [accounts, logins]\n").unwrap().rules.len(), all - 2);
        assert_eq!(names(overlay("keep-rules: [logins, users]\n").unwrap()), ["users", "logins"]);
        let cases = [
            ("drop-rules: [acounts]\n", "Did you mean `accounts`"),
            ("keep-rules: [users]\ndrop-rules: [users]\n", "either `keep-rules` or `drop-rules`"),
            ("loosen: { tblClaim: { length: 5 } }\n", "names no column"),
            ("loosen: { tblClaim.ClaimCode: { why: none } }\n", "not loosened at all"),
            ("rules: { claims: { drop-keys: [Adjustor] } }\n", "Did you mean `Adjuster`"),
            ("rules: { claims: { existing: { update: [] } } }\n", "one of `merge`, `keep` and `update`"),
        ];
        for (head, says) in cases {
            let error = overlay(head).unwrap_err();
            assert!(error.contains(says), "{head}: {error}");
        }
        let mapping =
            overlay("rules: { claims: { drop-keys: [adjuster], existing: { update: [ClaimID] } } }\n").unwrap();
        let claims = mapping.rules.iter().find(|r| r.name.value == "claims").unwrap();
        assert!(claims.keys.iter().all(|(name, _)| name.value != "Adjuster"));
        assert_eq!(claims.existing, Existing::Update { by: vec!["ClaimID".into()] });
    }

    #[test]
    fn an_overlay_says_where_it_stands_to_the_migrations() {
        assert_eq!(overlay("").unwrap().migrated, Some(true));
        assert_eq!(overlay("migrated: false\n").unwrap().migrated, Some(false));
        let (first, second) = ("openimis/legacy-to-baseline", "openimis/baseline-to-modular");
        assert_eq!(Mapping::pack(first).unwrap().complete.as_deref(), Some(second));
        assert_eq!(Mapping::pack(second).unwrap().completes.as_deref(), Some(first));
        assert_eq!(Mapping::pack(second).unwrap().complete, None);
    }

    #[test]
    fn only_what_is_tighter_is_loosened() {
        let mapping = overlay(
            "loosen:\n  tblclaim.claimcode: { length: 50 }\n  tblClaim.GuaranteeId: { length: 5 }\n  tblInsuree.FamilyID: { nullable: true }\n",
        )
        .unwrap();
        let before = imis_schemas::release("modular/baseline-upstream").unwrap();
        let after = mapping.loosened(before.clone());
        let column = |catalog: &Catalog, table: &str, column: &str| {
            let column = catalog.table(table).unwrap().column(column).unwrap();
            (column.data_type.clone(), column.nullable)
        };
        assert_eq!(column(&before, "tblClaim", "ClaimCode").0, "character varying(8)");
        assert_eq!(column(&after, "tblClaim", "ClaimCode").0, "character varying(50)");
        assert_eq!(column(&after, "tblClaim", "GuaranteeId"), column(&before, "tblClaim", "GuaranteeId"));
        assert_eq!(
            (column(&before, "tblInsuree", "FamilyID").1, column(&after, "tblInsuree", "FamilyID").1),
            (false, true)
        );
    }
}
