//! What a check does is what it says: the SQL that `explain` shows finds as many rows as the engine, which never runs it.

use std::sync::{Arc, Mutex};

use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use imis_databases::query::expression::fold_names;
use imis_databases::query::tables::{SourceRows, register};
use imis_databases::query::{Means, session_with};
use imis_databases::snapshot::SnapshotSource;
use imis_databases::{Progress, Source};
use imis_fixtures::country::{Country, CountryParameters};
use jiff::civil::date;

use super::{Options, Run};
use crate::compile::compile;
use crate::functions;
use crate::language::Packs;
use crate::outcome::{Dropped, Status};

struct Silent;

impl Progress for Silent {
    fn phase(&self, _: &str) {}
    fn rule(&self, _: &str, _: u64) {}
    fn rows(&self, _: &str, _: u64) {}
    fn done(&self, _: &str) {}
}

/// One defect of every kind of part.
const DEFECTS: [&str; 16] = [
    "I1=4",
    "I2=2",
    "I9.ancient=3",
    "I11.unknown=2",
    "I18.closed=2",
    "I21.email=3",
    "P5=2",
    "V6=2",
    "V7=2",
    "X5.upper=3",
    "X11.case=2",
    "C2=2",
    "C9.quantity=3",
    "U1=1",
    "L1.type=1",
    "P1.expiry=2",
];

/// How many rows a statement gives.
async fn rows_of(context: &SessionContext, sql: &str) -> Result<u64, DataFusionError> {
    let folded = fold_names(sql).unwrap();
    let plan = context.state().create_logical_plan(&folded).await?;
    let mut rows = context.execute_logical_plan(plan).await?.execute_stream().await?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch?.num_rows() as u64;
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_that_is_explained_finds_what_the_engine_finds() {
    let defects = DEFECTS.map(|defect| defect.parse().unwrap()).to_vec();
    let country = Country::new(CountryParameters { families: 200, seed: 5, defects, ..Default::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    country.write_snapshot(&folder.path().join("country"), 2, &|_| {}).unwrap();
    let source: Arc<dyn Source> = Arc::new(SnapshotSource::open(&folder.path().join("country")).unwrap());
    let catalog = source.catalog().await.unwrap();
    let packs = ["openimis/core", "openimis/migration"].map(str::to_owned);
    let packs = Packs::gather(&packs).unwrap();
    let as_of = date(2026, 1, 31);
    let plan = compile(&packs, &catalog, as_of).await;
    let statements: Vec<_> = plan.parts.iter().map(|part| (part.kind, part.sql.clone(), part.words.clone())).collect();
    let run = Run {
        source: Arc::clone(&source),
        catalog: Arc::clone(&catalog),
        location: "country".into(),
        as_of,
        options: Options::default(),
        progress: Arc::new(Silent),
    };
    let (outcome, errors) = run.carry_out(&packs, plan, Arc::new(Mutex::new(Dropped))).await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    let context = session_with(functions::all(), Means { hash_joins: true, ..Means::FRUGAL });
    register(&context, "public", Arc::new(SourceRows { source, catalog }));
    let parts = outcome.results.iter().flat_map(|result| &result.parts);
    let (mut compared, mut kinds, mut wrong) = (0, std::collections::BTreeSet::new(), Vec::new());
    for (part, (kind, sql, words)) in parts.zip(statements) {
        // A circle is followed by our own code; tables of the catalogue are no tables here.
        if part.status == Status::NotApplicable || kind == "no-cycle" || part.table.starts_with("imis.") {
            continue;
        }
        // Every column of every table with text says the same thing hundreds of times.
        if words.contains("damaged_text") && part.violations == 0 {
            continue;
        }
        let count = match rows_of(&context, &sql).await {
            Ok(count) => count,
            Err(error) => {
                wrong.push(format!("{error}:\n{sql}"));
                continue;
            }
        };
        // A query may give a row more than once; it is told once.
        let same = if kind == "query" { count >= part.violations } else { count == part.violations };
        if !same {
            wrong.push(format!("{count} by SQL, {} by the engine:\n{sql}", part.violations));
        }
        compared += 1;
        if part.violations > 0 {
            kinds.insert(kind);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(compared > 400, "{compared}");
    let all = ["between", "matches", "no-overlap", "not-null", "one-of", "references", "row", "unique"];
    assert!(all.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}
