//! Holds a mapping against two catalogues: complete or refused.
//!
//! What comes out is a [`BoundMapping`], which a run can carry out: every expression typed, every value's way into its
//! column known, every source column taken or left with a reason, every hazard named.

mod fit;
mod keys;
mod way;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use imis_schemas::{Catalog, Column, Engine, Table, same_name};
use uuid::Uuid;

use crate::expression::{Expression, session};
use crate::fit::Fit;
use crate::hazard::Hazard;
use crate::language::{Existing, Loosened, Mapping, MappingError, MappingErrors, Origin, Rule, Verdict};
use crate::rows;

pub(crate) use keys::{BoundKey, BoundRepair, BoundRepeated, BoundStep, BoundUnique, Worked};

/// A mapping that fits its two catalogues.
pub struct BoundMapping {
    pub(crate) rules: Vec<BoundRule>,
    pub(crate) repairs: Vec<BoundRepair>,
    pub(crate) hazards: Vec<Hazard>,
    pub(crate) unused: Vec<String>,
    /// Whether the target must have Django's migrations behind it, or before it.
    pub(crate) migrated: Option<bool>,
    /// Target columns that are loosened before the first row.
    pub(crate) loosen: Vec<Loosened>,
    pub(crate) fallback: Option<Catalog>,
    pub(crate) context: SessionContext,
}

impl BoundMapping {
    /// What may be lost, as far as the catalogues tell.
    pub fn hazards(&self) -> &[Hazard] {
        &self.hazards
    }
}

/// One rule, ready to run.
pub(crate) struct BoundRule {
    pub(crate) name: String,
    /// The source table that is accounted for, if there is one.
    pub(crate) source: Option<Arc<Table>>,
    pub(crate) target: Arc<Table>,
    pub(crate) way: Way,
    pub(crate) existing: Existing,
    pub(crate) keys: Vec<BoundKey>,
    /// Columns that must be unique together, whether or not the target holds them so.
    pub(crate) uniques: Vec<BoundUnique>,
    /// Whether it runs only when the keys of all other rules hold.
    pub(crate) after_keys: bool,
    /// What the reader of the report must know when the rule brought a row.
    pub(crate) note: Option<String>,
}

/// How a rule makes its rows.
pub(crate) enum Way {
    /// From each row of the source table.
    Rows(RowWay),
    /// From the result of a query.
    Query(QueryWay),
    /// There are none: an older source lacks the table.
    Nothing,
}

/// Row by row: the columns to read, which rows to keep, and what each target column gets.
pub(crate) struct RowWay {
    /// The source columns to read, as the catalogue spells them.
    pub(crate) read: Vec<String>,
    /// The schema that the expressions see: `read`, in lower case.
    pub(crate) schema: SchemaRef,
    pub(crate) filter: Option<(String, Expression)>,
    pub(crate) columns: Vec<(Expression, Fit)>,
    /// Values that stand in for NULL: the condition under which they do, the column and the name under which they are counted.
    pub(crate) stand_ins: Vec<(Expression, String, String)>,
    /// Source columns that the target lacks; values in them that are neither NULL nor the default are a named loss.
    pub(crate) dropped: Vec<Dropped>,
    /// Columns of the source's key, in `read`.
    pub(crate) key: Vec<String>,
    /// Columns of that key and the target columns that take them as they are: whom a rejected row's key names.
    pub(crate) plain: Vec<(String, String)>,
}

/// A source column without a place in the target.
pub(crate) struct Dropped {
    pub(crate) column: String,
    /// Its default as a number or text, where that is a plain literal.
    pub(crate) default: Option<String>,
}

/// From a query: its text, and what becomes of the columns of its result.
pub(crate) struct QueryWay {
    pub(crate) sql: String,
    pub(crate) rows: RowWay,
}

/// Holds a mapping against the catalogues of its source and target.
///
/// # Errors
/// With every complaint at once: a source table or column that is neither mapped nor left, a target column that takes no
/// NULL and gets no value, types that do not convert, losses that are not allowed by name, names that are not there.
pub async fn bind(
    mapping: &Mapping,
    source: &Catalog,
    target: &Catalog,
    namespace: Uuid,
) -> Result<BoundMapping, MappingErrors> {
    let mut binder = Binder {
        mapping,
        source,
        target,
        context: session(namespace),
        errors: Vec::new(),
        hazards: Vec::new(),
        rules: Vec::new(),
        asked: Vec::new(),
        repairs: Vec::new(),
    };
    let fallback = mapping.fallback_source();
    rows::register(
        &binder.context,
        "source",
        Arc::new(rows::OrEmpty::new(Arc::new(rows::NoRows(source.clone())), fallback)),
    );
    for name in ["before", "target"] {
        rows::register(&binder.context, name, Arc::new(rows::NoRows(target.clone())));
    }
    binder.families();
    for rule in &mapping.rules {
        binder.rule(rule).await;
    }
    binder.migrations();
    for (at, repair) in mapping.repairs.iter().enumerate() {
        binder.repair(at, repair).await;
    }
    binder.imply_uniques();
    binder.every_table_is_decided();
    if binder.errors.is_empty() {
        Ok(BoundMapping {
            rules: binder.rules,
            repairs: binder.repairs,
            hazards: binder.hazards,
            migrated: mapping.migrated,
            loosen: mapping.loosen.clone(),
            unused: mapping.unused.iter().map(|name| name.value.clone()).collect(),
            fallback: mapping.fallback_source(),
            context: binder.context,
        })
    } else {
        Err(MappingErrors(binder.errors))
    }
}

struct Binder<'a> {
    mapping: &'a Mapping,
    source: &'a Catalog,
    target: &'a Catalog,
    context: SessionContext,
    errors: Vec<MappingError>,
    hazards: Vec<Hazard>,
    rules: Vec<BoundRule>,
    /// The repairs that keys and uniques ask for, by their place in the mapping.
    asked: Vec<usize>,
    repairs: Vec<BoundRepair>,
}

impl Binder<'_> {
    /// Refuses ends that are plainly not what the mapping is for: swapped ones, and hybrids.
    fn families(&mut self) {
        let django = |catalog: &Catalog| catalog.table("django_migrations").is_some();
        if self.mapping.from == "legacy" && django(self.source) {
            let hybrid = self.source.engine == Engine::Mssql;
            let (what, help) = if hybrid {
                (
                    "the source is a hybrid: a SQL Server database on which Django migrations already ran",
                    "There is no pack for hybrids yet; this one would leave the modular tables behind.",
                )
            } else {
                ("the source is a modular openIMIS database already", "Are --from and --to the right way round?")
            };
            self.errors.push(MappingError::general(what).with_help(help));
        }
    }

    /// The rules that do a migration's work must be there.
    fn migrations(&mut self) {
        let names = || self.mapping.rules.iter().map(|rule| rule.name.value.as_str());
        let mut unknown = Vec::new();
        for row in self.mapping.migrations.iter().filter(|module| !module.of_base).flat_map(|module| &module.rows) {
            let Verdict::Reproduced { by, .. } = &row.verdict else { continue };
            for rule in by.iter().filter(|rule| !names().any(|name| name == rule.value)) {
                let what = format!("no rule is called `{}`", rule.value);
                unknown.push(MappingError::at(&rule.place, what).suggest(&rule.value, names()));
            }
        }
        self.errors.extend(unknown);
    }

    async fn rule(&mut self, rule: &Rule) {
        let Some(target) = self.target.table(&rule.to.value) else {
            if !rule.optional_target {
                self.errors.push(
                    MappingError::at(&rule.to.place, format!("the target has no table {}", rule.to.value))
                        .suggest(&rule.to.value, self.target.tables.iter().map(|t| t.name.as_str())),
                );
            }
            return;
        };
        let target = Arc::new(target.clone());
        let source = rule.source_tables().iter().find_map(|name| self.source.table(&name.value));
        if source.is_none()
            && let Some(first) = rule.source_tables().first()
            && rule.may_be_missing.is_none()
        {
            self.errors.push(
                MappingError::at(&first.place, format!("the source has no table {}", first.value))
                    .suggest(&first.value, self.source.tables.iter().map(|t| t.name.as_str())),
            );
            return;
        }
        let source = source.map(|t| Arc::new(t.clone()));
        let keys = self.keys(rule, &target);
        self.existing(rule, &target);
        let uniques = self.uniques(rule, &target);
        let way = match (&rule.from, &source) {
            (Origin::Table(_), None) => Some(Way::Nothing),
            (Origin::Table(_), Some(source)) => self.rows(rule, source, &target).map(Way::Rows),
            (Origin::TableQuery { query, .. } | Origin::Query(query), _) => {
                if matches!(rule.from, Origin::TableQuery { .. }) && source.is_none() {
                    Some(Way::Nothing)
                } else {
                    self.query(rule, query, &target).await.map(Way::Query)
                }
            }
        };
        // Where the target lacks all its columns, a rule that only sets columns has nothing to do.
        let sets_nothing = |way: &Way| match (&rule.existing, way) {
            (Existing::Update { by }, Way::Rows(way)) => way.columns.len() <= by.len(),
            _ => false,
        };
        if let Some(way) = way.filter(|way| !sets_nothing(way)) {
            self.rules.push(BoundRule {
                name: rule.name.value.clone(),
                source,
                target,
                way,
                existing: rule.existing.clone(),
                keys,
                uniques,
                after_keys: rule.after_keys,
                note: rule.note.clone(),
            });
        }
    }

    fn existing(&mut self, rule: &Rule, target: &Table) {
        let columns: Vec<&String> = match &rule.existing {
            Existing::Merge { by, preserve } => by.iter().chain(preserve).collect(),
            Existing::Keep { by } => by.iter().collect(),
            Existing::Update { by } => {
                if !matches!(rule.from, Origin::Table(_)) {
                    self.errors.push(
                        MappingError::at(
                            &rule.name.place,
                            format!("rule {} updates rows from a query", rule.name.value),
                        )
                        .with_help("`existing: { update: [KEY] }` takes its rows one by one from a source table."),
                    );
                }
                if !rule.keys.is_empty() || !rule.uniques.is_empty() {
                    self.errors.push(
                        MappingError::at(
                            &rule.name.place,
                            format!("rule {} sets columns and holds keys", rule.name.value),
                        )
                        .with_help(
                            "The rule that loads the rows holds their keys; this one only changes what is there.",
                        ),
                    );
                }
                by.iter().collect()
            }
            _ => return,
        };
        for column in columns {
            if target.column(column).is_none() {
                self.unknown_column(&rule.to.place, column, target, "target");
            }
        }
    }

    fn unknown_column(&mut self, place: &crate::language::Place, name: &str, table: &Table, side: &str) {
        self.errors.push(
            MappingError::at(place, format!("the {side}'s {} has no column {name}", table.table_name()))
                .suggest(name, table.columns.iter().map(|c| c.name.as_str())),
        );
    }

    /// Every source table is the source of a rule, read by a query, or left with a reason.
    fn every_table_is_decided(&mut self) {
        if self.mapping.completes.is_some() {
            return;
        }
        for table in &self.source.tables {
            if table.schema != self.source.engine.default_schema() {
                continue;
            }
            let of_a_rule = self
                .mapping
                .rules
                .iter()
                .any(|rule| rule.source_tables().iter().any(|name| same_name(&name.value, &table.name)));
            let left = self.mapping.leave_tables.iter().any(|(name, _)| same_name(&name.value, &table.name));
            if !of_a_rule && !left {
                self.errors.push(
                    MappingError::general(format!("the source table {} goes nowhere", table.table_name())).with_help(
                        format!(
                            "Write a rule for it, or say why it stays behind: `leave-tables: {{ {}: \"reason\" }}`.",
                            table.name
                        ),
                    ),
                );
            }
        }
    }
}

/// A column as an expression.
fn quoted(column: &str) -> String {
    Engine::Postgres.quote(column)
}

/// The source column that an expression is, if it is nothing but a column.
fn plain_column<'a>(sql: &str, source: &'a Table) -> Option<&'a Column> {
    let name = sql.trim();
    let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
    source.column(name)
}

/// A default that is a plain literal: `((0))` is 0, `('N')` is N.
fn plain_default(column: &Column) -> Option<String> {
    let mut text = column.default.as_deref()?.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        text = inner.trim();
    }
    let text = text.strip_prefix('N').filter(|t| t.starts_with('\'')).unwrap_or(text);
    let text = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap_or(text);
    (!text.contains('(')).then(|| text.to_owned())
}
