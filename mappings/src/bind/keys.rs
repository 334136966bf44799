//! Keys, uniques and repairs, held against the target: what is tried on a row that breaks one is typed over its table.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use imis_schemas::{Column, Engine, Table, same_name};

use super::{Binder, quoted};
use crate::fit::{Allowed, Fit, Unfit};
use crate::language::{Located, MappingError, Place, Repair, Repeated, Rule, Step, UniqueRule};
use imis_databases::query::expression::{Expression, ExpressionError, columns_used, schema_of};

const PG: Engine = Engine::Postgres;

/// A key that must hold.
#[derive(Clone, Debug)]
pub(crate) struct BoundKey {
    pub(crate) column: String,
    pub(crate) table: Arc<Table>,
    pub(crate) referenced: String,
    /// What is tried on a row whose value names nothing, in order; the last settles it.
    pub(crate) steps: Vec<BoundStep>,
}

impl BoundKey {
    /// Whether nothing is held there.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.steps.as_slice(), [BoundStep::Keep])
    }
}

/// One thing that is tried on a broken row.
#[derive(Clone, Debug)]
pub(crate) enum BoundStep {
    Spelling,
    /// NULL, everywhere or where the condition holds.
    Null(Option<Worked>),
    Reject,
    Keep,
    /// The repair at this place of the mapping's list.
    Repair(usize),
    /// A value, counted under a name.
    Value(Worked, String),
}

/// An expression over rows of the target.
#[derive(Clone, Debug)]
pub(crate) struct Worked {
    /// The columns that it reads, as the target spells them.
    pub(crate) read: Vec<String>,
    /// What it sees: `read`, in lower case.
    pub(crate) schema: SchemaRef,
    pub(crate) expression: Expression,
    /// The way of its value into a column; `None` for a condition.
    pub(crate) fit: Option<Fit>,
}

/// Columns that must be unique together.
#[derive(Clone, Debug)]
pub(crate) struct BoundUnique {
    /// The columns, or expressions of an index, for people.
    pub(crate) columns: Vec<String>,
    /// The same as SQL over the bare table.
    pub(crate) sql: Vec<String>,
    /// The condition of a partial index, as the server spells it.
    pub(crate) filter: Option<String>,
    pub(crate) repeated: BoundRepeated,
    pub(crate) first: Option<Worked>,
}

/// What becomes of rows that repeat the values of another.
#[derive(Clone, Debug)]
pub(crate) enum BoundRepeated {
    Reject,
    Keep,
    /// The repair at this place of the mapping's list.
    Repair(usize),
    /// A value for a column, counted under a name.
    Value(Worked, String),
}

/// A repair, ready to run.
#[derive(Debug)]
pub(crate) struct BoundRepair {
    pub(crate) rule: String,
    pub(crate) name: String,
    pub(crate) table: Arc<Table>,
    pub(crate) column: String,
    pub(crate) sql: String,
    /// The schema of the query's result.
    pub(crate) schema: SchemaRef,
    /// The key's columns, then the value: their expressions over the result and their ways.
    pub(crate) columns: Vec<(Expression, Fit)>,
    /// The target tables that the query reads.
    pub(crate) reads: Vec<String>,
    /// Whether no key and no unique asks for it, so that it runs by itself.
    pub(crate) standing: bool,
}

impl Binder<'_> {
    pub(super) fn keys(&mut self, rule: &Rule, target: &Arc<Table>) -> Vec<BoundKey> {
        let mut keys = Vec::new();
        for (column, key) in &rule.keys {
            let Some(own) = target.column(&column.value) else {
                self.unknown_column(&column.place, &column.value, target, "target");
                continue;
            };
            let (table, referenced) = &key.to.value;
            let Some(table) = self.target.table(table) else {
                self.errors.push(
                    MappingError::at(&key.to.place, format!("the target has no table {table}"))
                        .with_label("no such table")
                        .suggest(table, self.target.tables.iter().map(|t| t.name.as_str())),
                );
                continue;
            };
            let Some(referenced) = table.column(referenced) else {
                self.unknown_column(&key.to.place, referenced, &table.clone(), "target");
                continue;
            };
            let steps = self.steps(&rule.name.value, target, own, &key.broken);
            keys.push(BoundKey {
                column: own.name.clone(),
                referenced: referenced.name.clone(),
                table: Arc::new(table.clone()),
                steps,
            });
        }
        keys
    }

    fn steps(&mut self, rule: &str, target: &Arc<Table>, own: &Column, steps: &[Located<Step>]) -> Vec<BoundStep> {
        let mut bound = Vec::new();
        let named = format!("{}.{}", target.name, own.name);
        let mut settled: Option<&str> = None;
        for (at, step) in steps.iter().enumerate() {
            let wrong = |text: String| MappingError::at(&step.place, text);
            if let Some(by) = settled {
                self.errors.push(
                    wrong(format!("{named}: this step is never reached: `{by}` before it settles every row"))
                        .with_help("Put it before that step, or take it out."),
                );
                break;
            }
            match &step.value {
                Step::Keep if steps.len() > 1 => self.errors.push(
                    wrong(format!("{named}: `keep` holds nothing, so no other step can stand with it"))
                        .with_help("Write `broken: keep` alone, or another last step."),
                ),
                Step::Keep => {
                    settled = Some("keep");
                    bound.push(BoundStep::Keep);
                }
                Step::Reject => {
                    settled = Some("reject");
                    bound.push(BoundStep::Reject);
                }
                Step::Spelling if !own.data_type(PG).is_text() => self.errors.push(
                    wrong(format!("{named} is {}, and only a text has a spelling", own.data_type))
                        .with_help("Leave `spelling` out."),
                ),
                Step::Spelling => bound.push(BoundStep::Spelling),
                // Targets differ in what takes NULL: with a condition there is a next step for those that do not.
                Step::Null(Some(condition)) if !own.nullable => {
                    self.condition(target, &step.place, condition);
                    self.hazards.push(crate::hazard::Hazard::new(
                        "null-in-not-null",
                        rule,
                        Some(&own.name),
                        "the target's column takes no NULL, so a broken key is not emptied; its next step decides",
                    ));
                }
                Step::Null(None) if !own.nullable => {
                    settled = Some("null");
                    self.errors.push(
                        wrong(format!("{named} takes no NULL"))
                            .with_help("Reject the row, or give a value: { value: ..., name: NAME }."),
                    );
                }
                Step::Null(None) => {
                    settled = Some("null");
                    bound.push(BoundStep::Null(None));
                }
                Step::Null(Some(condition)) => {
                    bound.extend(self.condition(target, &step.place, condition).map(|c| BoundStep::Null(Some(c))));
                }
                Step::Repair(rule) => {
                    let repair = self.repair_of(rule, &step.place, target, std::slice::from_ref(&own.name));
                    bound.extend(repair.map(BoundStep::Repair));
                }
                Step::Value { value, name } => {
                    let worked = self.worked(target, &step.place, value, Some(own));
                    bound.extend(worked.map(|worked| BoundStep::Value(worked, name.clone())));
                }
            }
            if at + 1 == steps.len() && settled.is_none() && !matches!(step.value, Step::Keep) {
                self.errors.push(
                    MappingError::at(
                        &step.place,
                        format!("{named}: this last step leaves rows whose key names nothing"),
                    )
                    .with_help(if own.nullable {
                        "End with `reject` or with `\"null\"`."
                    } else {
                        "End with `reject`."
                    }),
                );
            }
        }
        bound
    }

    /// The place of a repair that is there and is about one of these columns.
    fn repair_of(&mut self, rule: &str, place: &Place, target: &Table, columns: &[String]) -> Option<usize> {
        let Some(at) = self.mapping.repairs.iter().position(|repair| repair.rule.value == rule) else {
            self.errors.push(
                MappingError::at(place, format!("there is no repair called `{rule}`"))
                    .suggest(rule, self.mapping.repairs.iter().map(|repair| repair.rule.value.as_str())),
            );
            return None;
        };
        let (table, column) = self.mapping.repairs.get(at).map(|repair| &repair.of.value)?;
        if !same_name(table, &target.name) || !columns.iter().any(|own| same_name(own, column)) {
            self.errors.push(
                MappingError::at(
                    place,
                    format!("the repair `{rule}` changes {table}.{column}, which is not what is broken here"),
                )
                .with_help(format!("A repair for {}.{} is needed.", target.name, columns.join(" or "))),
            );
            return None;
        }
        if !self.asked.contains(&at) {
            self.asked.push(at);
        }
        Some(at)
    }

    /// Types an expression over a target table, and finds its way into a column of it.
    fn worked(&mut self, target: &Table, place: &Place, sql: &str, column: Option<&Column>) -> Option<Worked> {
        let all: Vec<String> = target.columns.iter().map(|c| c.name.clone()).collect();
        let typed = columns_used(&self.context, sql, &schema_of(target, PG, &all)).and_then(|used| {
            let read: Vec<String> = all.into_iter().filter(|name| used.contains(&name.to_lowercase())).collect();
            let schema = schema_of(target, PG, &read);
            Expression::new(&self.context, sql, &schema).map(|expression| Worked {
                read,
                schema,
                expression,
                fit: None,
            })
        });
        let mut worked = match typed {
            Ok(worked) => worked,
            Err(ExpressionError::UnknownColumn(name)) => {
                self.unknown_column(place, &name, target, "target");
                return None;
            }
            Err(ExpressionError::Wrong(text)) => {
                self.errors.push(MappingError::at(place, text));
                return None;
            }
        };
        if let Some(column) = column {
            worked.fit =
                Some(self.way_into(&format!("{}.{}", target.name, column.name), place, &worked.expression, column)?);
        }
        Some(worked)
    }

    fn way_into(&mut self, named: &str, place: &Place, expression: &Expression, column: &Column) -> Option<Fit> {
        match Fit::new(expression.data_type(), None, &column.typed(PG), Allowed::default()) {
            Ok(fit) => Some(fit),
            Err(Unfit::Types(what) | Unfit::Undecided(what, _)) => {
                self.errors.push(
                    MappingError::at(place, format!("{named}: {what}"))
                        .with_help("Write an expression that gives the column's type."),
                );
                None
            }
        }
    }

    fn condition(&mut self, target: &Table, place: &Place, sql: &str) -> Option<Worked> {
        let worked = self.worked(target, place, sql, None)?;
        if *worked.expression.data_type() != ArrowType::Boolean {
            self.errors.push(
                MappingError::at(place, format!("`{sql}` is {}, not true or false", worked.expression.data_type()))
                    .with_help("Write a condition, as in \"ValidityTo is null\"."),
            );
            return None;
        }
        Some(worked)
    }

    pub(super) fn uniques(&mut self, rule: &Rule, target: &Table) -> Vec<BoundUnique> {
        rule.uniques.iter().filter_map(|unique| self.unique(unique, target)).collect()
    }

    fn unique(&mut self, unique: &UniqueRule, target: &Table) -> Option<BoundUnique> {
        let errors = self.errors.len();
        let mut columns = Vec::new();
        for name in &unique.columns {
            match target.column(&name.value) {
                Some(column) => columns.push(column.name.clone()),
                None => self.unknown_column(&name.place, &name.value, target, "target"),
            }
        }
        let place = &unique.repeated.place;
        let repeated = match &unique.repeated.value {
            Repeated::Reject => Some(BoundRepeated::Reject),
            Repeated::Keep => Some(BoundRepeated::Keep),
            Repeated::Repair(rule) => self.repair_of(rule, place, target, &columns).map(BoundRepeated::Repair),
            Repeated::Value { column, value, name } => {
                let own = match (column, columns.as_slice()) {
                    (Some(column), _) if columns.iter().any(|own| same_name(own, column)) => target.column(column),
                    (None, [only]) => target.column(only),
                    (Some(column), _) => {
                        self.errors.push(
                            MappingError::at(place, format!("`{column}` is no column of this unique"))
                                .suggest(column, columns.iter().map(String::as_str)),
                        );
                        None
                    }
                    (None, _) => {
                        self.errors.push(
                            MappingError::at(place, "the value could go to more than one column")
                                .with_help("Write { column: ..., value: ..., name: ... }."),
                        );
                        None
                    }
                };
                own.and_then(|own| self.worked(target, place, value, Some(own)))
                    .map(|worked| BoundRepeated::Value(worked, name.clone()))
            }
        };
        let first = unique.first.as_ref().and_then(|first| self.condition(target, &first.place, &first.value));
        (self.errors.len() == errors).then_some(())?;
        let sql = columns.iter().map(|c| PG.quote(c)).collect();
        Some(BoundUnique { columns, sql, filter: None, repeated: repeated?, first })
    }

    pub(super) async fn repair(&mut self, at: usize, repair: &Repair) {
        let (table, column) = &repair.of.value;
        let Some(table) = self.target.table(table) else {
            self.errors.push(
                MappingError::at(&repair.of.place, format!("the target has no table {table}"))
                    .with_label("no such table")
                    .suggest(table, self.target.tables.iter().map(|t| t.name.as_str())),
            );
            return;
        };
        let Some(column) = table.column(column) else {
            return self.unknown_column(&repair.of.place, column, table, "target");
        };
        if !self.mapping.rules.iter().any(|rule| same_name(&rule.to.value, &table.name)) {
            self.errors.push(
                MappingError::at(
                    &repair.of.place,
                    format!("no rule fills {}, so there is nothing to repair", table.table_name()),
                )
                .with_help("A repair changes rows that the same mapping brings."),
            );
            return;
        }
        if table.key_columns().is_empty() {
            self.errors.push(MappingError::at(
                &repair.of.place,
                format!("{} has no primary key, so a repair cannot say which row it means", table.table_name()),
            ));
            return;
        }
        let (sql, plan) = match self.planned(&repair.query.value).await {
            Ok(planned) => planned,
            Err(text) => {
                self.errors
                    .push(MappingError::at(&repair.query.place, format!("repair {}: {text}", repair.rule.value)));
                return;
            }
        };
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let wanted: Vec<&Column> =
            table.key_columns().iter().filter_map(|name| table.column(name)).chain([column]).collect();
        let given = |name: &str| schema.fields().iter().any(|field| same_name(field.name(), name));
        let lacking: Vec<&str> = wanted.iter().map(|c| c.name.as_str()).filter(|name| !given(name)).collect();
        if !lacking.is_empty() {
            self.errors.push(
                MappingError::at(
                    &repair.query.place,
                    format!("the query of repair {} does not give {}", repair.rule.value, lacking.join(", ")),
                )
                .with_help(format!(
                    "It must give {}: the key of the rows to change, and their new value.",
                    wanted.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
                )),
            );
            return;
        }
        for field in schema.fields().iter().filter(|f| !wanted.iter().any(|c| same_name(f.name(), &c.name))) {
            self.errors.push(MappingError::at(
                &repair.query.place,
                format!("the query of repair {} gives `{}`, which nothing takes", repair.rule.value, field.name()),
            ));
        }
        let mut columns = Vec::new();
        for own in wanted {
            let named = format!("{}.{}", table.name, own.name);
            match Expression::new(&self.context, &quoted(&own.name), &schema) {
                Ok(expression) => {
                    columns.extend(
                        self.way_into(&named, &repair.query.place, &expression, own).map(|fit| (expression, fit)),
                    );
                }
                Err(ExpressionError::UnknownColumn(text) | ExpressionError::Wrong(text)) => {
                    self.errors.push(MappingError::at(&repair.query.place, text));
                }
            }
        }
        self.repairs.push(BoundRepair {
            rule: repair.rule.value.clone(),
            name: repair.name.clone(),
            table: Arc::new(table.clone()),
            column: column.name.clone(),
            sql,
            schema,
            columns,
            reads: tables_read(&plan),
            standing: !self.asked.contains(&at),
        });
    }

    /// Every unique that the live target holds and no rule mentions is held too: repeats are rejected.
    pub(super) fn imply_uniques(&mut self) {
        for at in 0..self.rules.len() {
            let Some(rule) = self.rules.get(at) else { continue };
            let name = rule.target.table_name();
            let of_table = |other: &&super::BoundRule| other.target.table_name() == name;
            if self.rules.iter().take(at).any(|other| of_table(&other)) {
                continue;
            }
            let said: Vec<Vec<String>> = self
                .rules
                .iter()
                .filter(of_table)
                .flat_map(|other| other.uniques.iter().filter(|u| u.filter.is_none()).map(|u| sorted(&u.columns)))
                .collect();
            let mut implied: Vec<BoundUnique> = Vec::new();
            for unique in held_by_target(&rule.target) {
                let mentioned = unique.filter.is_none() && said.contains(&sorted(&unique.columns));
                let twice = implied.iter().any(|known| known.sql == unique.sql && known.filter == unique.filter);
                if !mentioned && !twice {
                    implied.push(unique);
                }
            }
            if let Some(rule) = self.rules.get_mut(at) {
                rule.uniques.extend(implied);
            }
        }
    }
}

/// The uniques that a table of the target has: its primary key, its unique constraints and all its unique indexes.
fn held_by_target(table: &Table) -> Vec<BoundUnique> {
    let plain = |columns: &[String]| BoundUnique {
        columns: columns.to_vec(),
        sql: columns.iter().map(|c| PG.quote(c)).collect(),
        filter: None,
        repeated: BoundRepeated::Reject,
        first: None,
    };
    let mut uniques = Vec::new();
    uniques.extend(Some(table.key_columns()).filter(|key| !key.is_empty()).map(plain));
    uniques.extend(table.uniques.items().iter().map(|unique| plain(&unique.columns)));
    for index in table.indexes.items().iter().filter(|index| index.unique) {
        let sql = |column: &String| match table.columns.iter().any(|c| c.name == *column) {
            true => PG.quote(column),
            false => format!("({column})"),
        };
        let sql = index.columns.iter().map(sql).collect();
        uniques.push(BoundUnique { sql, filter: index.filter.clone(), ..plain(&index.columns) });
    }
    uniques
}

fn sorted(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = columns.iter().map(|c| c.to_lowercase()).collect();
    names.sort();
    names
}

/// The tables of the target that a query reads.
fn tables_read(plan: &LogicalPlan) -> Vec<String> {
    let mut tables = Vec::new();
    // The visitor never fails.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.schema() == Some("target")
        {
            tables.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables
}

#[cfg(test)]
mod tests {
    use crate::bind::bind;
    use crate::language::Mapping;

    /// What binding says of an overlay over the shipped pack.
    async fn said(rules: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overlay.yaml");
        std::fs::write(&path, format!("mapping: test/x\nextends: openimis/legacy-to-modular\nrules:\n{rules}"))
            .unwrap();
        let mapping = Mapping::open(&path).unwrap();
        let source = imis_schemas::release("legacy/24.04").unwrap();
        let target = imis_schemas::release("modular/1.11").unwrap();
        match bind(&mapping, &source, &target, uuid::Uuid::nil()).await {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    }

    #[tokio::test]
    async fn steps_that_cannot_work_are_refused_together() {
        let rules = r#"
  claims:
    keys:
      ICDID: { to: tblICDCodes.ICDID, broken: "null" }
      ICDID1: { to: tblICDCodes.ICDID, broken: [spelling, "null"] }
      ICDID2: { to: tblICDCodes.ICDID, broken: [reject, "null"] }
      ICDID3: { to: tblICDCodes.ICDID, broken: [{ value: "ClaimCode", name: x }, "null"] }
      ICDID4: { to: tblICDCodes.ICDID, broken: [{ "null": "ClaimID + 1" }, reject] }
      RunID: { to: tblBatchRun.RunID, broken: [{ repair: head }, "null"] }
      Adjuster: { to: tblUsers.id, broken: [{ repair: heads }, "null"] }
      HFID: { to: tblHF.HfID, broken: { value: "1", name: y } }
      InsureeID: { to: tblInsuree.InsureeID, broken: [{ value: "ClaimIDs", name: z }, reject] }
    uniques:
      - { columns: [ClaimCode, HFID], repeated: { value: "'x'", name: x } }
      - { columns: [ClaimCode], repeated: { repair: heads } }
      - { columns: [ClaimID], repeated: reject, first: "ClaimID" }
"#;
        let said = said(rules).await;
        for complaint in [
            "overlay.yaml:7:", // Each has its line.
            "tblClaim.ICDID takes no NULL",
            "tblClaim.ICDID1 is integer, and only a text has a spelling",
            "tblClaim.ICDID2: this step is never reached: `reject` before it",
            "tblClaim.ICDID3: values of type Utf8 do not go into",
            "`ClaimID + 1` is Int64, not true or false",
            "there is no repair called `head` (Did you mean `heads`?)",
            "the repair `heads` changes tblFamilies.InsureeID, which is not what is broken here",
            "tblClaim.HFID: this last step leaves rows whose key names nothing",
            "has no column ClaimIDs (Did you mean `ClaimID`?)",
            "the value could go to more than one column",
            "`ClaimID` is Int32, not true or false",
        ] {
            assert!(said.contains(complaint), "`{complaint}` is missing in:\n{said}");
        }
    }

    #[tokio::test]
    async fn repairs_that_cannot_work_are_refused() {
        for (query, complaint) in [
            ("select 1 as \\\"FamilyID\\\"", "does not give InsureeID"),
            ("select f.Family from target.tblFamilies f", "column"),
            ("select 1 as familyid, 'x' as insureeid", "values of type Utf8 do not go into"),
            ("select 1 as familyid, 2 as insureeid, 3 as more", "gives `more`, which nothing takes"),
        ] {
            let rules = format!("  heads: {{ repair: tblFamilies.InsureeID, name: x, query: \"{query}\" }}\n");
            let said = said(&rules).await;
            assert!(said.contains(complaint), "`{complaint}` is missing in:\n{said}");
        }
        let said = said("  more: { repair: tblFamlies.InsureeID, name: x, query: select 1 }\n").await;
        assert!(said.contains("the target has no table tblFamlies (Did you mean `tblFamilies`?)"), "{said}");
    }
}
