//! The tables from which the Django migrations of openIMIS start, in an empty database.
//!
//! The migrations alter 65 tables and 33 views that no migration creates. [`prepare`] creates them, in one of two
//! shapes; then `manage.py migrate` runs. The tables follow from the known releases: [`Shape::Upstream`] is
//! `release:modular/baseline-upstream`, [`Shape::Wide`] is derived from it and from `release:legacy/24.04`.
//!
//! Upstream's 56 functions are not made: no migration calls them, and what the modules call by these names they call in
//! T-SQL, which PostgreSQL refuses with or without them.

mod ddl;
mod view;
mod wide;

use std::fmt;
use std::str::FromStr;

use imis_schemas::{Catalog, Known};
use tokio_postgres::{Client, GenericClient};

use crate::error::{Error, ErrorKind};

/// How the tables are shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// As upstream's own script shapes them.
    Upstream,
    /// No column narrower than in the legacy database or in the Django model; columns that no model knows are nullable
    /// or have a default; every key that the legacy server numbers has a generator.
    Wide,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Upstream => "upstream",
            Shape::Wide => "wide",
        })
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "upstream" => Ok(Shape::Upstream),
            "wide" => Ok(Shape::Wide),
            _ => Err(Error::new(ErrorKind::Usage, format!("no shape is called `{text}`"))
                .with_help("The shapes are `upstream` and `wide`.")),
        }
    }
}

/// What [`prepare`] made, counted in the database afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareReport {
    /// The shape of the tables.
    pub shape: Shape,
    /// Tables in `public`.
    pub tables: u64,
    /// Views in `public`, placeholders included.
    pub views: u64,
    /// Sequences in `public`.
    pub sequences: u64,
    /// The views that have columns and no rows.
    pub placeholders: Vec<String>,
}

/// The catalogue of a shape: its tables and views.
///
/// # Errors
/// When the program's own data is damaged.
pub fn catalog(shape: Shape) -> Result<Catalog, Error> {
    let upstream = known_release("modular/baseline-upstream")?;
    let mut catalog = match shape {
        Shape::Upstream => upstream,
        Shape::Wide => wide::derive(upstream, &known_release("legacy/24.04")?)?,
    };
    catalog.views = Known::Yes(view::all()?.into_iter().map(|view| view.described()).collect());
    catalog.sort();
    Ok(catalog)
}

fn known_release(name: &str) -> Result<Catalog, Error> {
    imis_schemas::release(name).map_err(|e| Error::failed(format!("the catalogue {name} cannot be read")).caused_by(e))
}

/// The statements that make a shape, one each, in the order in which they have to run.
///
/// # Errors
/// When the program's own data is damaged.
pub fn statements(shape: Shape) -> Result<Vec<String>, Error> {
    let catalog = catalog(shape)?;
    let mut statements = ddl::tables(&catalog)?;
    statements.extend(view::all()?.iter().flat_map(view::Made::statements));
    Ok(statements)
}

/// Makes the tables and views of a shape in `public`, all of them or none.
///
/// # Errors
/// When `public` already holds a table, a view or a sequence (those of an extension aside), or the server refuses.
pub async fn prepare(client: &mut Client, shape: Shape) -> Result<PrepareReport, Error> {
    let statements = statements(shape)?;
    let transaction = client.transaction().await.map_err(|e| refused("a transaction cannot be begun", e))?;
    let found = Relations::count(&transaction).await?;
    if found != Relations::default() {
        return Err(Error::new(ErrorKind::Schema, format!("the database is not empty: `public` holds {found}"))
            .with_help("Create an empty database and prepare that one."));
    }
    for statement in &statements {
        // The first line names the object.
        let told = || format!("`{} ...` failed", statement.lines().next().unwrap_or_default());
        transaction.batch_execute(statement).await.map_err(|e| refused(told(), e))?;
    }
    let made = Relations::count(&transaction).await?;
    transaction.commit().await.map_err(|e| refused("the transaction cannot be committed", e))?;
    Ok(PrepareReport {
        shape,
        tables: made.tables,
        views: made.views,
        sequences: made.sequences,
        placeholders: view::all()?.into_iter().filter(view::Made::is_placeholder).map(|v| v.name).collect(),
    })
}

fn refused(what: impl Into<String>, cause: tokio_postgres::Error) -> Error {
    let kind = if cause.as_db_error().is_none() { ErrorKind::Unreachable } else { ErrorKind::Failed };
    let what = what.into();
    let message = match cause.as_db_error() {
        Some(db) => format!("{what}: {} ({})", db.message(), db.code().code()),
        None => what,
    };
    Error::new(kind, message).caused_by(cause)
}

/// What stands in `public`, without what belongs to an extension.
#[derive(Debug, Default, PartialEq, Eq)]
struct Relations {
    tables: u64,
    views: u64,
    sequences: u64,
}

impl Relations {
    async fn count(client: &impl GenericClient) -> Result<Self, Error> {
        let row = client
            .query_one(
                "SELECT count(*) FILTER (WHERE relkind IN ('r', 'p', 'f')), count(*) FILTER (WHERE relkind IN ('v', 'm')), \
                 count(*) FILTER (WHERE relkind = 'S') FROM pg_catalog.pg_class c \
                 WHERE relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
                &[],
            )
            .await
            .map_err(|e| refused("the catalogue cannot be read", e))?;
        let count = |at: usize| row.get::<_, i64>(at).unsigned_abs();
        Ok(Relations { tables: count(0), views: count(1), sequences: count(2) })
    }
}

impl fmt::Display for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tables, {} views and {} sequences", self.tables, self.views, self.sequences)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn each_shape_has_its_objects() {
        for (shape, tables, sequences, indexes, keys) in
            [(Shape::Upstream, 65, 40, 99, 85), (Shape::Wide, 65, 49, 99, 85)]
        {
            let statements = statements(shape).unwrap();
            let starting = |with: &str| statements.iter().filter(|s| s.starts_with(with)).count();
            assert_eq!(starting("CREATE TABLE"), tables, "{shape}");
            assert_eq!(starting("CREATE SEQUENCE"), sequences, "{shape}");
            assert_eq!(starting("CREATE INDEX"), indexes, "{shape}");
            assert_eq!(statements.iter().filter(|s| s.contains(" FOREIGN KEY ")).count(), keys, "{shape}");
            assert_eq!(starting("CREATE VIEW"), 33, "{shape}");
        }
    }

    /// The exceptions must name columns that are there, or one that is mistyped does nothing.
    #[test]
    fn wide_is_what_it_says() {
        let catalog = catalog(Shape::Wide).unwrap();
        let of = |table: &str, column: &str| {
            let column = catalog.table(table).unwrap().column(column).unwrap();
            (column.data_type.clone(), column.nullable, column.default.clone())
        };
        let text = |n: u32| format!("character varying({n})");
        for (table, column, data_type, nullable, default) in [
            ("tblClaim", "ClaimCode", text(50), false, None),
            ("tblClaim", "DateFrom", "date".to_owned(), false, None),
            ("tblOfficer", "Code", text(50), false, None),
            ("tblFromPhone", "CHFID", text(50), true, None),
            ("tblPolicy", "SelfRenewed", "boolean".to_owned(), true, Some("false")),
            ("tblPolicy", "RenewalOrder", "integer".to_owned(), true, None),
            ("tblInsuree", "Vulnerability", "boolean".to_owned(), true, None),
            ("tblInsuree", "FamilyID", "integer".to_owned(), true, None),
            ("tblReporting", "CammissionRate", "numeric(18,2)".to_owned(), true, None),
            ("tblEmailSettings", "EnableSSL", "boolean".to_owned(), false, None),
            ("tblProduct", "MemberCount", "integer".to_owned(), false, None),
            ("tblPremium", "CreatedDate", "timestamp with time zone".to_owned(), false, Some("CURRENT_TIMESTAMP")),
            ("tblFeedback", "ClaimID", "integer".to_owned(), true, None),
        ] {
            assert_eq!(of(table, column), (data_type, nullable, default.map(str::to_owned)), "{table}.{column}");
        }
        assert_eq!(catalog.table("tblPayerType").unwrap().key_columns(), ["Code"]);
        assert!(catalog.table("tblPremium").unwrap().column("ReportingCommissionID").is_none());
    }

    /// The facts hold the definitions as a server printed them.
    #[test]
    fn upstream_indexes_are_those_of_the_facts() {
        let Some(facts) = facts("modular-baseline.json") else { return };
        let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
        let plain = |text: &str| text.replace('"', "").replace("public.", "").replace(" USING btree", "");
        let made: BTreeSet<String> = statements(Shape::Upstream)
            .unwrap()
            .iter()
            .filter(|s| s.starts_with("CREATE INDEX"))
            .map(|s| plain(s))
            .collect();
        let wanted: BTreeSet<String> = facts["tables"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|table| table["indexes"].as_array().unwrap())
            .filter_map(|index| index["def"].as_str())
            .filter(|definition| definition.starts_with("CREATE INDEX"))
            .map(plain)
            .collect();
        assert_eq!(made, wanted);
    }

    /// No text of `wide` is shorter, no whole number smaller than in the legacy database or in the model.
    #[test]
    fn wide_is_nowhere_narrower() {
        let Some(facts) = facts("legacy_vs_modular_columns.tsv") else { return };
        let catalog = catalog(Shape::Wide).unwrap();
        let mut lines = facts.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let header: BTreeMap<&str, usize> =
            lines.next().unwrap().into_iter().enumerate().map(|(i, n)| (n, i)).collect();
        let mut compared = 0;
        for line in lines {
            let cell = |name: &str| line.get(header[name]).copied().unwrap_or_default();
            let Some(column) = catalog.table(cell("table")).and_then(|t| t.column(cell("column"))) else { continue };
            for other in [cell("legacy_type"), cell("model_type")] {
                if let (Some(ours), Some(theirs)) = (width(&column.data_type), width(other)) {
                    compared += 1;
                    let renamed = column.name == "UserID" && theirs == 8;
                    assert!(
                        ours >= theirs || renamed,
                        "{}.{}: {} < {other}",
                        cell("table"),
                        column.name,
                        column.data_type
                    );
                }
            }
        }
        assert!(compared > 900, "{compared}");
    }

    /// Characters of a text, bytes of a whole number; one value a kind, so that only like is compared with like.
    fn width(data_type: &str) -> Option<u64> {
        let lower = data_type.to_lowercase();
        match lower.as_str() {
            "smallint" | "tinyint" => return Some(2),
            "int" | "integer" => return Some(4),
            "bigint" => return Some(8),
            "text" | "character varying" | "nvarchar(max)" | "ntext" => return Some(u64::from(u32::MAX)),
            _ => {}
        }
        let text = ["character varying(", "varchar(", "nvarchar(", "char(", "nchar(", "character("];
        let inner = text.iter().find_map(|prefix| lower.strip_prefix(prefix))?;
        inner.trim_end_matches(')').parse().ok()
    }

    fn facts(name: &str) -> Option<String> {
        let shared =
            std::env::var("IMIS_SHARED").unwrap_or_else(|_| format!("{}/../../shared", env!("CARGO_MANIFEST_DIR")));
        let path = std::path::Path::new(&shared).join("facts").join(name);
        std::fs::read_to_string(&path).map_err(|_| eprintln!("skipped: {} is not there", path.display())).ok()
    }
}
