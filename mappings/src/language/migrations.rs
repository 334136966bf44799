//! What the target's own migrations would have done to rows that come after them: for each the rules that do it instead, or why
//! nothing has to.

use std::sync::Arc;

use imis_schemas::document::{Located, Ordered, SourceFile, located};
use serde::Deserialize;
use serde_yaml::Spanned;

use super::error::MappingError;

/// One Django module.
#[derive(Clone, Debug)]
pub struct ModuleMigrations {
    /// Its name, as `django_migrations.app` has it.
    pub app: String,
    /// The newest of its migrations that was read.
    pub last: String,
    /// Those that change rows which are there already.
    pub rows: Vec<RowMigration>,
    /// Whether the list came with the pack that a mapping extends: that one may have dropped rules.
    pub of_base: bool,
}

impl ModuleMigrations {
    /// Whether a migration of the module came after those that were read. Migrations begin with their number.
    pub fn is_later(&self, migration: &str) -> bool {
        let number = |name: &str| name.split('_').next().and_then(|n| n.parse::<u32>().ok());
        number(migration).zip(number(&self.last)).is_some_and(|(its, last)| its > last)
    }
}

/// A migration that changes rows which are there already.
#[derive(Clone, Debug)]
pub struct RowMigration {
    /// Its name.
    pub name: Located<String>,
    /// Its operations: `RunPython`, `RunSQL`, `AddField tblHF.status`.
    pub does: Vec<String>,
    /// What becomes of them here.
    pub verdict: Verdict,
}

/// What becomes of a migration's effect in rows that are loaded after it ran.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// These rules have the same effect.
    Reproduced {
        /// The rules.
        by: Vec<Located<String>>,
        /// What the migration does, and where the rules do better.
        effect: String,
    },
    /// Nothing has to be done, with the reason.
    NotNeeded(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModuleText {
    last: String,
    #[serde(default)]
    rows: Ordered<RowMigrationText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RowMigrationText {
    does: Vec<String>,
    effect: Option<String>,
    #[serde(default)]
    reproduced: Vec<Spanned<String>>,
    not_needed: Option<String>,
}

/// The modules of a file.
pub(super) fn modules(
    file: &Arc<SourceFile>,
    text: Ordered<ModuleText>,
    errors: &mut Vec<MappingError>,
) -> Vec<ModuleMigrations> {
    let mut modules = Vec::new();
    for (app, module) in text.0 {
        let mut rows = Vec::new();
        for (name, said) in module.rows.0 {
            let name = located(file, &name);
            let verdict = match (said.not_needed, said.reproduced) {
                (Some(reason), by) if by.is_empty() => Verdict::NotNeeded(reason),
                (None, by) if !by.is_empty() => Verdict::Reproduced {
                    by: by.iter().map(|rule| located(file, rule)).collect(),
                    effect: said.effect.unwrap_or_default(),
                },
                _ => {
                    let what = format!("`{}` is either reproduced or not needed", name.value);
                    errors.push(
                        MappingError::at(&name.place, what)
                            .with_help("Write `reproduced: [RULE]` with its `effect`, or `not-needed: REASON`."),
                    );
                    continue;
                }
            };
            rows.push(RowMigration { name, does: said.does, verdict });
        }
        modules.push(ModuleMigrations { app: app.value, last: module.last, rows, of_base: false });
    }
    modules
}
