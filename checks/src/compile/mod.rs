//! Checks held against the catalogue of a database: what can be carried out, in as few readings as possible, and what is not
//! applicable or wrong.
//!
//! ```text
//! packs, catalogue --each part: scope, names, types--> sets of keys, one scan a table, queries
//! ```

mod expand;
mod names;
mod part;
mod plan;
mod query;
mod sql;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::prelude::SessionContext;
use imis_schemas::{Catalog, Table};
use jiff::civil::Date;

use crate::functions;
use crate::language::{CheckError, Packs, Parameters};
use crate::outcome::Status;
use crate::virtual_tables::VirtualTables;
use names::{Hindrance, Names};
pub(crate) use plan::{Member, Query, Scan, Test, TestKind};
pub use plan::{Plan, PlannedPart};

/// Holds checks against a catalogue. What cannot be carried out is told in its part and, where its author has to look, in [`Plan::errors`].
pub async fn compile(packs: &Packs, catalog: &Catalog, as_of: Date) -> Plan {
    let parameters = Parameters::new(packs.parameters(), as_of);
    let mut compiler = Compiler {
        catalog,
        names: Names::new(catalog),
        parameters: &parameters,
        context: imis_databases::query::session(functions::all()),
        virtuals: VirtualTables::shapes(),
        plan: Plan {
            checks: packs.checks.iter().map(|check| check.about.clone()).collect(),
            parts: Vec::new(),
            sets: Vec::new(),
            scans: Vec::new(),
            queries: Vec::new(),
            errors: Vec::new(),
        },
        scans: HashMap::new(),
    };
    for (at, check) in packs.checks.iter().enumerate() {
        for part in &check.parts {
            compiler.part(at, check, part);
        }
    }
    let ended =
        query::plan_all(&compiler.context, &compiler.names, catalog, compiler.virtuals.catalog(), &mut compiler.plan)
            .await;
    for (part, hindrance) in ended {
        compiler.ends(part, hindrance);
    }
    compiler.finish()
}

/// The plan while it grows.
struct Compiler<'a> {
    catalog: &'a Catalog,
    names: Names<'a>,
    parameters: &'a Parameters,
    context: SessionContext,
    virtuals: VirtualTables,
    plan: Plan,
    /// By schema and table, as the database spells them.
    scans: HashMap<String, usize>,
}

impl Compiler<'_> {
    /// Says in a part why it is not carried out.
    fn ends(&mut self, part: usize, hindrance: Hindrance) {
        let ended = match hindrance {
            Hindrance::Absent(why) => (Status::NotApplicable, why),
            Hindrance::Wrong(error) => {
                let said = (Status::Errored, error.message.clone());
                let known = |other: &CheckError| other.to_string() == error.to_string();
                // A part for each of many tables is wrong once.
                if !self.plan.errors.iter().any(known) {
                    self.plan.errors.push(*error);
                }
                said
            }
        };
        if let Some(part) = self.plan.parts.get_mut(part) {
            part.ended = Some(ended);
        }
    }

    /// The scan of a table.
    fn scan(&mut self, table: &Arc<Table>) -> &mut Scan {
        let known = self.scans.len();
        let at = *self.scans.entry(format!("{}.{}", table.schema, table.name)).or_insert(known);
        if at == known {
            self.plan.scans.push(Scan {
                table: Arc::clone(table),
                columns: Vec::new(),
                schema: Arc::new(Schema::empty()),
                conditions: Vec::new(),
                tests: Vec::new(),
            });
        }
        &mut self.plan.scans[at]
    }

    /// Reads no more columns than are needed.
    fn finish(mut self) -> Plan {
        for scan in &mut self.plan.scans {
            let mut used: Vec<String> = Vec::new();
            used.extend(scan.conditions.iter().flat_map(|(_, condition)| condition.columns()));
            for test in &scan.tests {
                used.extend(test.key.iter().chain(&test.shown).map(|name| name.to_lowercase()));
                match &test.kind {
                    TestKind::Wrong(expression) => used.extend(expression.columns()),
                    TestKind::Unique { columns, .. } => used.extend(columns.iter().map(|c| c.to_lowercase())),
                    TestKind::Member(member) => used.push(member.column.to_lowercase()),
                    TestKind::Cycle { key, parent } => used.extend([key.to_lowercase(), parent.to_lowercase()]),
                }
            }
            scan.keep(&used, self.catalog);
        }
        self.plan
    }
}

impl Scan {
    /// Keeps the columns with these names (lower case), and brings the expressions in line.
    fn keep(&mut self, used: &[String], catalog: &Catalog) {
        let columns = self.table.columns.iter().filter(|c| used.contains(&c.name.to_lowercase()));
        let columns: Vec<_> = columns.collect();
        let field =
            |c: &&imis_schemas::Column| Field::new(c.name.to_lowercase(), c.data_type(catalog.engine).arrow(), true);
        self.schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        self.columns = columns.iter().map(|c| c.name.clone()).collect();
        for (_, condition) in &mut self.conditions {
            if let Ok(own) = condition.over(&self.schema) {
                *condition = own;
            }
        }
        for test in &mut self.tests {
            if let TestKind::Wrong(expression) = &mut test.kind
                && let Ok(own) = expression.over(&self.schema)
            {
                *expression = own;
            }
        }
    }
}
