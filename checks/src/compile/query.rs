//! Queries of checks: which tables they read, and whether they can be planned.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use imis_databases::query::expression::{ExpressionError, trouble};
use imis_databases::query::tables::{NoRows, register};
use imis_schemas::{Catalog, Table, same_name};

use super::Plan;
use super::names::{Hindrance, Names};
use crate::language::CheckError;

/// The names of the tables that a statement reads.
pub(super) fn tables_of(context: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let state = context.state();
    let said = |error: &DataFusionError| match trouble(error) {
        ExpressionError::Wrong(why) => why,
        ExpressionError::UnknownColumn(name) => format!("there is no column {name}"),
    };
    let statement = state.sql_to_statement(sql, &datafusion::config::Dialect::Generic).map_err(|error| said(&error))?;
    let tables = state.resolve_table_references(&statement).map_err(|error| said(&error))?;
    Ok(tables
        .iter()
        .map(|table| match table.schema() {
            Some(schema) if schema != "public" => format!("{schema}.{}", table.table()),
            _ => table.table().to_owned(),
        })
        .collect())
}

/// The columns that a query reads of each table.
fn reads(context: &SessionContext, planned: &LogicalPlan, tables: &[Arc<Table>]) -> Vec<(Arc<Table>, Vec<String>)> {
    let optimized = context.state().optimize(planned).unwrap_or_else(|_| planned.clone());
    let mut all: Vec<(Arc<Table>, Vec<String>)> = Vec::new();
    let _ = optimized.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let table = tables.iter().find(|table| same_name(&table.name, scan.table_name.table()));
            let fields = scan.projected_schema.fields().iter();
            let names =
                fields.map(|f| f.name()).chain(scan.filters.iter().flat_map(|f| f.column_refs()).map(|c| &c.name));
            if let Some(table) = table {
                let names: Vec<String> = names.cloned().collect();
                let columns =
                    table.columns.iter().filter(|c| names.contains(&c.name.to_lowercase())).map(|c| c.name.clone());
                let mut columns: Vec<String> = columns.collect();
                // A count reads no column at all; one is kept, so that there are rows.
                if columns.is_empty() {
                    columns.extend(table.columns.first().map(|c| c.name.clone()));
                }
                all.push((Arc::clone(table), columns));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    all
}

/// Plans each query over tables without rows, and says of those that cannot be planned why.
pub(super) async fn plan_all(
    context: &SessionContext,
    names: &Names<'_>,
    catalog: &Catalog,
    virtuals: &Catalog,
    plan: &mut Plan,
) -> Vec<(usize, Hindrance)> {
    register(context, "public", Arc::new(NoRows(catalog.clone())));
    register(context, "imis", Arc::new(NoRows(virtuals.clone())));
    let mut ended = Vec::new();
    for query in &mut plan.queries {
        let hindrance = match context.state().create_logical_plan(&query.sql).await {
            Err(error) => match trouble(&error) {
                ExpressionError::UnknownColumn(name) => {
                    let tables: Vec<&Table> = query.tables.iter().map(Arc::as_ref).collect();
                    names.no_column(&tables, &name, &query.place)
                }
                ExpressionError::Wrong(why) => CheckError::at(&query.place, why).with_label("cannot be planned").into(),
            },
            Ok(planned)
                if SQLOptions::new()
                    .with_allow_ddl(false)
                    .with_allow_dml(false)
                    .with_allow_statements(false)
                    .verify_plan(&planned)
                    .is_err() =>
            {
                CheckError::at(&query.place, "a check only reads: its query must be a SELECT")
                    .with_label("no SELECT")
                    .into()
            }
            Ok(planned) => {
                query.reads = reads(context, &planned, &query.tables);
                let given: Vec<String> = planned.schema().fields().iter().map(|f| f.name().to_lowercase()).collect();
                let wanted = if query.key.is_empty() {
                    vec!["table_name".to_owned(), "column_name".to_owned()]
                } else {
                    query.key.iter().map(|column| column.to_lowercase()).collect()
                };
                let Some(missing) = wanted.iter().find(|name| !given.contains(name)) else { continue };
                let error = CheckError::at(&query.place, format!("the query does not give `{missing}`"));
                error.with_help("It must give the columns of the table's key, by which a row is found again.").into()
            }
        };
        ended.push((query.part, hindrance));
    }
    plan.queries.retain(|query| ended.iter().all(|(part, _)| *part != query.part));
    ended
}
