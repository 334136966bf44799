//! Fuzz targets: mappings, overlays, expressions, plans.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use imis_schemas::{Catalog, Column, Engine, Key, Known, Table};
use uuid::Uuid;

use crate::functions::session;
use crate::language::{Mapping, MappingErrors};
use crate::plan::Plan;
use imis_databases::query::expression::Expression;

const BASE: &str = include_str!("fuzz/base.yaml");

/// A mapping from one text; whatever it extends is the base.
fn read(text: &str) -> Result<Mapping, MappingErrors> {
    let none = |_: &str| Err("no other file".to_owned());
    let base = |_: &_, _: &str| {
        Mapping::read(("base.yaml".to_owned(), BASE.to_owned()), &none, &|_, _| {
            unreachable!("the base extends nothing")
        })
    };
    Mapping::read(("fuzz.yaml".to_owned(), text.to_owned()), &none, &base)
}

/// Every complaint must be able to show its line.
fn show(errors: &MappingErrors) {
    for report in errors.reports() {
        assert!(!format!("{report:?}").is_empty());
    }
}

fn catalog(engine: Engine, types: [&str; 4]) -> Catalog {
    let columns = [("Id", types[0]), ("Name", types[1]), ("Paid", types[2]), ("Since", types[3])];
    let columns = columns.map(|(name, data_type)| Column {
        name: name.into(),
        data_type: data_type.into(),
        nullable: name != "Id",
        identity: false,
        default: None,
        computed: None,
        collation: None,
    });
    let table = |name: &str| Table {
        schema: if engine == Engine::Mssql { "dbo" } else { "public" }.into(),
        name: name.into(),
        columns: columns.to_vec(),
        primary_key: Known::Yes(Some(Key { name: None, columns: vec!["Id".into()] })),
        foreign_keys: Known::Yes(vec![]),
        uniques: Known::Yes(vec![]),
        indexes: Known::Yes(vec![]),
        checks: Known::Yes(vec![]),
    };
    let mut catalog = Catalog::new(engine);
    catalog.tables = vec![table("Person"), table("Payment")];
    catalog
}

#[test]
fn fuzz_mapping() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source = catalog(Engine::Mssql, ["int", "nvarchar(50)", "money", "datetime"]);
    let target = catalog(Engine::Postgres, ["integer", "varchar(20)", "numeric(18,2)", "date"]);
    bolero::check!(name = "mapping").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        match read(text) {
            Err(errors) => show(&errors),
            Ok(mapping) => match runtime.block_on(crate::bind::bind(&mapping, &source, &target, Uuid::nil())) {
                Err(errors) => show(&errors),
                Ok(bound) => assert!(bound.hazards().len() < 10_000),
            },
        }
    });
}

#[test]
fn fuzz_expression() {
    let context = AssertUnwindSafe(session(Uuid::nil()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(i32::MAX), Some(i32::MIN), Some(0), None])),
        Arc::new(StringArray::from(vec![Some("Ωmega"), Some(""), Some("9999-12-31"), None])),
        Arc::new(Decimal128Array::from(vec![Some(i128::from(i64::MAX)), Some(-1), Some(0), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(i64::MAX), Some(i64::MIN), Some(0), None])),
        Arc::new(Date32Array::from(vec![Some(i32::MAX), Some(i32::MIN), Some(0), None])),
    ];
    let fields = ["Id", "Name", "Paid", "Since", "Day"].iter().zip(&columns);
    let fields = fields.map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let batch = AssertUnwindSafe(RecordBatch::try_new(Arc::clone(&schema), columns).unwrap());
    bolero::check!(name = "expression").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(expression) = Expression::new(&context, text, &schema) else { return };
        let mut failed = Vec::new();
        let values = expression.evaluate(&batch, &mut failed);
        assert_eq!(values.len(), batch.num_rows());
        assert!(failed.iter().all(|(row, _)| *row < batch.num_rows()));
    });
}

#[test]
fn fuzz_plan() {
    bolero::check!(name = "plan").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let _ = Plan::parse(text);
        // The seal cannot be guessed, so it is put on.
        let Ok(plan) = serde_json::from_str::<Plan>(text) else { return };
        let plan = plan.resealed();
        let again = Plan::parse(&serde_json::to_string(&plan).unwrap());
        assert!(again.is_err() || again.is_ok_and(|again| again == plan));
    });
}
