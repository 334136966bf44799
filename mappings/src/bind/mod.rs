//! Holds a mapping against two catalogues: complete or refused.
//!
//! What comes out is a [`BoundMapping`], which a run can carry out: every expression typed, every value's way into its
//! column known, every source column taken or left with a reason, every hazard named.

mod fit;
mod keys;
mod release;
mod way;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use imis_schemas::document::Complaints;
use imis_schemas::{Catalog, Column, Engine, Identification, Table, same_name};
use uuid::Uuid;

use crate::fit::Fit;
use crate::functions::session;
use crate::hazard::Hazard;
use crate::language::{
    Existing, Finding, Located, Loosened, Mapping, MappingError, MappingErrors, Origin, Rule, TODO, Verdict,
};
use crate::seen::Seen;
use imis_databases::query::expression::Expression;
use imis_databases::query::tables as rows;

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
    release: Option<Identification>,
    /// Which source columns fill which target column, and how.
    pub(crate) flows: Vec<Flow>,
    pub(crate) tells: Vec<BoundTell>,
}

/// A query over the target's rows after the run, of which the report tells how many it found and which.
pub(crate) struct BoundTell {
    pub(crate) rule: String,
    pub(crate) sql: String,
    /// The name of its first column.
    pub(crate) key: String,
    pub(crate) text: String,
}

/// What fills one target column by one rule.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) rule: String,
    /// The source table; `None` for a query.
    pub(crate) from: Option<String>,
    /// The source columns that the expression uses, as the catalogue spells them.
    pub(crate) used: Vec<String>,
    pub(crate) to: String,
    pub(crate) column: String,
    pub(crate) sql: String,
    pub(crate) how: Taken,
    /// The Arrow type in which the values travel.
    pub(crate) travels: String,
}

/// How a target column is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// By the source column of its name, or nothing but another column.
    Named,
    Expression,
    WhenMissing,
    Query,
}

impl BoundMapping {
    /// The target columns that get what `when-missing` says, as `TABLE.COLUMN`, with the expression.
    pub fn when_missing(&self) -> Vec<(String, String)> {
        let older = self.flows.iter().filter(|flow| flow.how == Taken::WhenMissing);
        older.map(|flow| (format!("{}.{}", flow.to, flow.column), flow.sql.clone())).collect()
    }

    /// The legacy release that the source is closest to.
    pub fn release(&self) -> Option<&Identification> {
        self.release.as_ref()
    }

    /// What becomes of the rows that a table of the target had: what the first of its rules says that does not refuse. A rule
    /// that only sets columns has no say where another one fills the table.
    pub(crate) fn existing(&self, table: &Table) -> &Existing {
        let of_table = || self.rules.iter().filter(|rule| rule.target.table_name() == table.table_name());
        let updates = |existing: &Existing| matches!(existing, Existing::Update { .. });
        let only_updates = of_table().all(|rule| updates(&rule.existing));
        let mut said = of_table().map(|rule| &rule.existing).filter(|existing| only_updates || !updates(existing));
        said.find(|existing| **existing != Existing::Refuse).unwrap_or(&Existing::Refuse)
    }

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
    bind_seen(mapping, source, target, namespace, &Seen::default()).await
}

/// The same, with what a live source tells beside its catalogue.
///
/// # Errors
/// As [`bind`]; and what the login may not read, and what the source's release has and the source does not show.
pub async fn bind_seen(
    mapping: &Mapping,
    source: &Catalog,
    target: &Catalog,
    namespace: Uuid,
    seen: &Seen,
) -> Result<BoundMapping, MappingErrors> {
    let mut binder = Binder {
        seen,
        release: release::Release::of(&mapping.from, source),
        mapping,
        source,
        target,
        context: session(namespace),
        errors: Vec::new(),
        hazards: Vec::new(),
        rules: Vec::new(),
        asked: Vec::new(),
        repairs: Vec::new(),
        flows: Vec::new(),
        tells: Vec::new(),
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
    let found = binder.release.as_ref().map(|release| release.found.clone());
    if binder.families() {
        binder.sight();
    }
    if !binder.errors.is_empty() {
        // The wrong database or login: all else would be a list of what is missing.
        return Err(Complaints(binder.errors));
    }
    for rule in &mapping.rules {
        binder.rule(rule).await;
    }
    binder.migrations();
    for (at, repair) in mapping.repairs.iter().enumerate() {
        binder.repair(at, repair).await;
    }
    binder.imply_uniques();
    binder.no_row_comes_twice();
    binder.every_table_is_decided();
    binder.reasons_are_given();
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
            release: found,
            flows: binder.flows,
            tells: binder.tells,
        })
    } else {
        Err(Complaints(binder.errors))
    }
}

struct Binder<'a> {
    mapping: &'a Mapping,
    source: &'a Catalog,
    target: &'a Catalog,
    seen: &'a Seen,
    release: Option<release::Release>,
    context: SessionContext,
    errors: Vec<MappingError>,
    hazards: Vec<Hazard>,
    rules: Vec<BoundRule>,
    /// The repairs that keys and uniques ask for, by their place in the mapping.
    asked: Vec<usize>,
    repairs: Vec<BoundRepair>,
    flows: Vec<Flow>,
    tells: Vec<BoundTell>,
}

impl Binder<'_> {
    /// Refuses ends that are plainly not what the mapping is for: swapped ones, and hybrids.
    fn families(&mut self) -> bool {
        let django = |catalog: &Catalog| catalog.table("django_migrations").is_some();
        if self.mapping.from == "legacy" && django(self.source) {
            let hybrid = self.source.engine == Engine::Mssql;
            let (what, help) = if hybrid {
                let last: Vec<String> = self.seen.django.iter().map(|(app, name)| format!("{app} {name}")).collect();
                let release = self.seen.modular.as_ref().map(|modular| format!(", those of {}", modular.release));
                let release = release.unwrap_or_default();
                let told = if last.is_empty() { String::new() } else { format!(" (last: {})", last.join(", ")) };
                (
                    format!(
                        "the source is a hybrid: a SQL Server database on which Django migrations already ran{release}{told}"
                    ),
                    "Use the pack for hybrids: --mapping openimis/hybrid-to-modular; this one would leave the modular tables behind. An \
                     overlay of your own says `extends: openimis/hybrid-to-modular`.",
                )
            } else {
                let what = "the source is a modular openIMIS database already".to_owned();
                (what, "Are --from and --to the right way round?")
            };
            self.errors.push(MappingError::general(what).with_help(help));
            return false;
        }
        if self.is_hybrid() && !(self.source.engine == Engine::Mssql && django(self.source)) {
            let what = "the source is no hybrid: no SQL Server database on which Django's migrations ran";
            let help = "For a legacy database as it is, use --mapping openimis/legacy-to-modular. If Django's migrations did run, the login may \
                        not see the table django_migrations.";
            self.errors.push(MappingError::general(what).with_help(help));
            return false;
        }
        true
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
                        .with_label("no such table")
                        .suggest(&rule.to.value, self.target.tables.iter().map(|t| t.name.as_str())),
                );
            }
            return;
        };
        let target = Arc::new(target.clone());
        let one_source = |name| ambiguity("source", self.source, name);
        let doubts = ambiguity("target", self.target, &rule.to).into_iter();
        let doubts: Vec<_> = doubts.chain(rule.source_tables().iter().filter_map(one_source)).collect();
        if !doubts.is_empty() {
            self.errors.extend(doubts);
            return;
        }
        let source = rule.source_tables().iter().find_map(|name| self.source.table(&name.value));
        if source.is_none()
            && let Some(first) = rule.source_tables().first()
        {
            let before = self.errors.len();
            if !self.table_may_be_absent(rule) {
                if self.errors.len() == before {
                    self.errors.push(
                        MappingError::at(&first.place, format!("the source has no table {}", first.value))
                            .with_label("no such table")
                            .suggest(&first.value, self.source.tables.iter().map(|t| t.name.as_str())),
                    );
                }
                return;
            }
        }
        let source = source.map(|t| Arc::new(t.clone()));
        if let Some(source) = &source {
            self.columns_are_there(rule, source);
        }
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
        if let Some(tell) = &rule.tell {
            self.tell(rule, tell).await;
        }
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
        let place = &place.within(name);
        // The author's spelling, where the planner folded it.
        let name = place.text().filter(|text| same_name(text, name)).unwrap_or(name);
        self.errors.push(
            MappingError::at(place, format!("the {side}'s {} has no column {name}", table.table_name()))
                .with_label("no such column")
                .suggest(name, table.columns.iter().map(|c| c.name.as_str())),
        );
    }

    /// Two rules that carry all rows of one table to one table would write each of them twice.
    fn no_row_comes_twice(&mut self) {
        let carries = |rule: &&Rule| matches!(rule.from, Origin::Table(_)) && rule.filter.is_none();
        let rules: Vec<&Rule> = self.mapping.rules.iter().filter(carries).collect();
        for (at, rule) in rules.iter().enumerate() {
            let same = |other: &&&Rule| {
                let shares = other
                    .source_tables()
                    .iter()
                    .any(|t| rule.source_tables().iter().any(|own| same_name(&own.value, &t.value)));
                shares && same_name(&other.to.value, &rule.to.value)
            };
            if let Some(other) = rules.iter().take(at).find(same) {
                let from = rule.source_tables().first().map_or("", |t| t.value.as_str());
                let message = format!(
                    "rules {} and {} both bring every row of {from} to {}",
                    other.name.value, rule.name.value, rule.to.value
                );
                self.errors.push(
                    MappingError::at(&rule.name.place, message)
                        .with_label("brings them a second time")
                        .with_help("Give one of them a condition under `where`, or take it out; in an overlay, use the pack's name for the rule."),
                );
            }
        }
    }

    /// A draft is no decision: a reason that nobody wrote is refused.
    fn reasons_are_given(&mut self) {
        let mapping = self.mapping;
        let of_rules = mapping.rules.iter().flat_map(|rule| [&rule.leave, &rule.leave_if_absent, &rule.absent]);
        for (name, why) in of_rules.chain([&mapping.leave_tables, &mapping.absent_tables]).flatten() {
            let why = why.trim_start();
            if why.is_empty() || why.get(..TODO.len()).is_some_and(|start| start.eq_ignore_ascii_case(TODO)) {
                let error =
                    MappingError::at(&name.place, format!("nobody has said yet why {} stays behind", name.value));
                self.errors.push(
                    error
                        .with_label("a reason is missing")
                        .with_help("Write the reason in place of the TODO, or give the values a place in the target."),
                );
            }
        }
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
            if of_a_rule || left {
                continue;
            }
            // Modules that a country never used leave empty tables behind.
            let rows = self.seen.rows(&table.name);
            if self.is_hybrid() && rows == Some(0) {
                self.hazards.push(Hazard::new(
                    "empty-table",
                    &table.name,
                    None,
                    "the mapping does not know the table; it holds no row, so it stays behind",
                ));
                continue;
            }
            let holding = rows.map(|n| format!(", and it holds {n} rows")).unwrap_or_default();
            {
                self.errors.push(
                    MappingError::general(format!("the source table {} goes nowhere{holding}", table.table_name()))
                        .with_help(format!(
                            "Write a rule for it, or say why it stays behind: `leave-tables: {{ {}: \"reason\" }}`. \
                             `imis mapping scaffold` drafts it.",
                            table.name
                        ))
                        .found(Finding::Table { table: table.name.clone() }),
                );
            }
        }
    }
}

/// A column as an expression.
fn quoted(column: &str) -> String {
    Engine::Postgres.quote(column)
}

/// What is wrong with a table's name that several schemas have: which of them is meant would be a guess.
fn ambiguity(end: &str, catalog: &Catalog, name: &Located<String>) -> Option<MappingError> {
    let tables = catalog.namesakes(&name.value);
    let first = tables.first()?;
    let places: Vec<String> = tables.iter().map(|table| table.table_name().to_string()).collect();
    let usual = catalog.engine.default_schema();
    let message = format!("the {end} has {} tables {}: {}", tables.len(), first.name, places.join(", "));
    Some(MappingError::at(&name.place, message).with_label("which of them?").with_help(format!(
        "One in the schema {usual} would be taken. Move the one that is meant there, or keep the others from the login."
    )))
}

/// The source column that an expression is, if it is nothing but a column.
fn plain_column<'a>(sql: &str, source: &'a Table) -> Option<&'a Column> {
    let name = sql.trim();
    let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
    source.column(name)
}
