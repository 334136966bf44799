//! The tables of the race: one database, six tables, every row a version of an insuree that somebody once wrote down.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, StringArray};
use arrow::array::{Float64Array, Int16Array, Int64Array, UInt8Array};
use arrow::compute;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use imis_fixtures::backend::shared_folder;
use imis_fixtures::country::{Country, CountryParameters};
use imis_fixtures::sqlserver::Tables;
use imis_schemas::{Catalog, Engine};

use crate::Outcome;
use crate::servers::TABLE;

/// A table of the race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Twenty columns that every insuree has.
    Insurees,
    /// The same, ten times as many rows.
    Large,
    /// The same, a hundredth of the rows.
    Hundredth,
    /// Five columns.
    Narrow,
    /// Sixty columns of all sorts, a quarter of the rows.
    Wide,
    /// Four columns, one of them a text of about two thousand characters; a tenth of the rows.
    Texts,
}

/// A column: its name, its type in SQL Server, whether it takes NULL, its type in PostgreSQL.
type Spec = (&'static str, &'static str, bool, &'static str);

/// What every insuree has: keys, texts, days, moments, bits, a uuid.
const INSUREE: [Spec; 20] = [
    ("InsureeID", "int", false, "integer"),
    ("InsureeUUID", "uniqueidentifier", false, "uuid"),
    ("FamilyID", "int", true, "integer"),
    ("CHFID", "nvarchar(50)", true, "varchar(50)"),
    ("LastName", "nvarchar(100)", false, "varchar(100)"),
    ("OtherNames", "nvarchar(100)", false, "varchar(100)"),
    ("DOB", "date", false, "date"),
    ("Gender", "char(1)", true, "varchar(1)"),
    ("IsHead", "bit", false, "boolean"),
    ("PhotoID", "int", true, "integer"),
    ("PhotoDate", "date", true, "date"),
    ("CardIssued", "bit", false, "boolean"),
    ("ValidityFrom", "datetime", false, "timestamp"),
    ("ValidityTo", "datetime", true, "timestamp"),
    ("LegacyID", "int", true, "integer"),
    ("AuditUserID", "int", false, "integer"),
    ("isOffline", "bit", true, "boolean"),
    ("GeoLocation", "nvarchar(250)", true, "varchar(250)"),
    ("CurrentVillage", "int", true, "integer"),
    ("Vulnerability", "bit", false, "boolean"),
];

/// The kinds of the forty columns that a wide table has besides.
const SORTS: [(&str, &str); 8] = [
    ("tinyint", "smallint"),
    ("smallint", "smallint"),
    ("bigint", "bigint"),
    ("decimal(18,2)", "numeric(18,2)"),
    ("float", "double precision"),
    ("varchar(60)", "varchar(60)"),
    ("varbinary(16)", "bytea"),
    ("datetime", "timestamp"),
];
/// How many columns of each kind.
const OF_EACH: usize = 5;

/// A column of a table that is made.
struct Made {
    name: String,
    mssql: &'static str,
    nullable: bool,
    postgres: &'static str,
}

impl Shape {
    pub(crate) const ALL: [Shape; 6] =
        [Shape::Insurees, Shape::Large, Shape::Hundredth, Shape::Narrow, Shape::Wide, Shape::Texts];

    /// The table's name, the same at both ends.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Shape::Insurees => TABLE,
            Shape::Large => "tblInsureeLarge",
            Shape::Hundredth => "tblInsureeHundredth",
            Shape::Narrow => "tblInsureeNarrow",
            Shape::Wide => "tblInsureeWide",
            Shape::Texts => "tblInsureeTexts",
        }
    }

    /// What it is, for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Shape::Insurees | Shape::Large | Shape::Hundredth => "20 columns",
            Shape::Narrow => "narrow: 5 columns",
            Shape::Wide => "wide: 60 columns",
            Shape::Texts => "long texts: 4 columns",
        }
    }

    /// How many rows it is to have when the race has so many.
    fn rows(self, race: u64) -> u64 {
        match self {
            Shape::Insurees | Shape::Narrow => race,
            Shape::Large => race * 10,
            Shape::Hundredth => race / 100,
            Shape::Wide => race / 4,
            Shape::Texts => race / 10,
        }
    }

    fn columns(self) -> Vec<Made> {
        let of = |(name, mssql, nullable, postgres): &Spec| Made {
            name: (*name).to_owned(),
            mssql,
            nullable: *nullable,
            postgres,
        };
        let named = |names: &[&str]| INSUREE.iter().filter(|spec| names.contains(&spec.0)).map(of).collect();
        match self {
            Shape::Insurees | Shape::Large | Shape::Hundredth => INSUREE.iter().map(of).collect(),
            Shape::Narrow => named(&["InsureeID", "FamilyID", "CHFID", "DOB", "IsHead"]),
            Shape::Wide => {
                let sorts = SORTS.iter().cycle().take(SORTS.len() * OF_EACH).enumerate();
                let more = sorts.map(|(at, (mssql, postgres))| Made {
                    name: format!("Extra{:02}", at + 1),
                    mssql,
                    nullable: true,
                    postgres,
                });
                INSUREE.iter().map(of).chain(more).collect()
            }
            Shape::Texts => {
                let mut columns: Vec<Made> = named(&["InsureeID", "CHFID", "ValidityFrom"]);
                columns.push(Made { name: "Notes".into(), mssql: "nvarchar(max)", nullable: true, postgres: "text" });
                columns
            }
        }
    }

    /// The names of its columns.
    pub(crate) fn column_names(self) -> Vec<String> {
        self.columns().into_iter().map(|column| column.name).collect()
    }

    /// The table in PostgreSQL: no key, no index, no constraint.
    pub(crate) fn definition(self) -> String {
        let columns = self.columns();
        let columns = columns.iter().map(|c| format!("{} {}", Engine::Postgres.quote(&c.name), c.postgres));
        let columns: Vec<String> = columns.collect();
        format!("CREATE TABLE {} ({})", Engine::Postgres.quote(self.table()), columns.join(", "))
    }

    fn in_catalog(self) -> serde_json::Value {
        let column = |c: Made| serde_json::json!({"name": c.name, "type": c.mssql, "nullable": c.nullable, "identity": c.name == "InsureeID"});
        serde_json::json!({
            "schema": "dbo", "name": self.table(),
            "columns": self.columns().into_iter().map(column).collect::<Vec<_>>(),
            "primary_key": {"name": format!("PK_{}", self.table()), "columns": ["InsureeID"]},
            "foreign_keys": [], "uniques": [], "indexes": [], "checks": [],
        })
    }

    /// The rows that are repeated, from those of the demo.
    fn first_rows(self, insurees: &RecordBatch) -> Outcome<RecordBatch> {
        let rows = insurees.num_rows();
        let arrays = self.columns().into_iter().enumerate().map(|(at, column)| {
            let array = match insurees.column_by_name(&column.name) {
                Some(array) => Arc::clone(array),
                None => made(&column, at, insurees)?,
            };
            Outcome::Ok((column.name, array))
        });
        let arrays = arrays.collect::<Outcome<Vec<_>>>()?;
        let (names, arrays): (Vec<_>, Vec<_>) = arrays.into_iter().unzip();
        let fields: Vec<_> = names
            .iter()
            .zip(&arrays)
            .map(|(name, array): (&String, &ArrayRef)| {
                arrow::datatypes::Field::new(name, array.data_type().clone(), true)
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), arrays, &options)?)
    }
}

/// A column that insurees do not have, from numbers that look like chance.
fn made(column: &Made, at: usize, insurees: &RecordBatch) -> Outcome<ArrayRef> {
    let rows = insurees.num_rows();
    let number = |row: usize| {
        let z = ((row * 64 + at) as u64).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        i64::try_from((z ^ (z >> 29)) >> 2).unwrap_or(0)
    };
    // Every seventh is NULL.
    let numbers = (0..rows).map(|row| (number(row) % 7 > 0).then(|| number(row)));
    let text = |row: usize| {
        let name = insurees.column_by_name("LastName").and_then(|names| names.as_string_opt::<i32>());
        name.map_or("", |names| names.value(row)).to_owned()
    };
    Ok(match column.mssql {
        "tinyint" => Arc::new(numbers.map(|n| n.map(|n| (n % 256) as u8)).collect::<UInt8Array>()),
        "smallint" => Arc::new(numbers.map(|n| n.map(|n| (n % 30_000) as i16)).collect::<Int16Array>()),
        "bigint" => Arc::new(numbers.collect::<Int64Array>()),
        "decimal(18,2)" => {
            let decimals = numbers.map(|n| n.map(|n| i128::from(n % 100_000_000) - 50_000_000));
            Arc::new(decimals.collect::<Decimal128Array>().with_precision_and_scale(18, 2)?)
        }
        "float" => Arc::new(numbers.map(|n| n.map(|n| (n % 1_000_000) as f64 / 8.0)).collect::<Float64Array>()),
        "varbinary(16)" => {
            let bytes: Vec<Option<Vec<u8>>> =
                numbers.map(|n| n.map(|n| n.to_le_bytes().repeat(1 + (n % 2) as usize))).collect();
            Arc::new(BinaryArray::from_iter(bytes))
        }
        "datetime" => {
            // Whole seconds since 2000.
            let moments = numbers.map(|n| n.map(|n| (946_684_800 + n % 700_000_000) * 1_000_000));
            compute::cast(&moments.collect::<Int64Array>(), &timestamp())?
        }
        "varchar(60)" => Arc::new(
            (0..rows).map(|row| Some(format!("{} {}", text(row), number(row) % 1_000_000))).collect::<StringArray>(),
        ),
        // A note that a clerk might write, in French, so that it is not all ASCII.
        _ => {
            let note = |row: usize| {
                let mut note = String::new();
                while note.chars().count() < 1_950 {
                    note += &format!(
                        "Visite n° {} : {} est venu avec sa carte, la photo a été vérifiée et la cotisation encaissée. ",
                        number(row + note.len()) % 10_000,
                        text(row),
                    );
                }
                note
            };
            Arc::new((0..rows).map(|row| Some(note(row))).collect::<StringArray>())
        }
    })
}

fn timestamp() -> arrow::datatypes::DataType {
    arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)
}

/// The first rows of insurees, with where they are from: the official demo database, or a made country where that is not there.
fn insurees() -> Outcome<(RecordBatch, &'static str)> {
    let demo: Option<PathBuf> = shared_folder().map(|folder| folder.join(format!("demo/{TABLE}.csv")));
    match demo.filter(|file| file.is_file()) {
        Some(file) => Ok((read_demo(&file)?, "the official demo database")),
        None => {
            let country = Country::new(CountryParameters::default())?;
            let batch = country.batches(TABLE).next().ok_or("the country has no insurees")?;
            Ok((batch, "a made country of 200 families"))
        }
    }
}

/// The columns of [`INSUREE`] from the file; an empty field is NULL.
fn read_demo(file: &std::path::Path) -> Outcome<RecordBatch> {
    let mut reader = csv::Reader::from_path(file)?;
    let head = reader.headers()?.clone();
    let records = reader.records().collect::<Result<Vec<_>, _>>()?;
    let arrays = INSUREE.iter().map(|(name, mssql, _, _)| {
        let at = head.iter().position(|column| column == *name).ok_or_else(|| format!("the demo has no {name}"))?;
        let texts = records.iter().map(|record| record.get(at).filter(|text| !text.is_empty()));
        let data_type = imis_schemas::DataType::parse(Engine::Mssql, mssql).arrow();
        let strict = compute::CastOptions { safe: false, ..Default::default() };
        let array = compute::cast_with_options(&texts.collect::<StringArray>(), &data_type, &strict)?;
        Outcome::Ok((*name, array))
    });
    Ok(RecordBatch::try_from_iter(arrays.collect::<Outcome<Vec<_>>>()?)?)
}

/// All tables, where their rows are from, and how many each has, in the order of [`Shape::ALL`].
pub(crate) fn tables(race: u64) -> Outcome<(Tables, &'static str, Vec<u64>)> {
    let catalog = serde_json::json!({
        "imis": 1, "engine": "mssql", "views": [], "routines": [],
        "tables": Shape::ALL.map(Shape::in_catalog),
    });
    let (first, data) = insurees()?;
    let mut tables = Tables::new(Catalog::parse(&catalog.to_string())?)?;
    let mut counts = Vec::new();
    for shape in Shape::ALL {
        tables = tables.with_batches(shape.table(), vec![shape.first_rows(&first)?])?;
        let times = shape.rows(race).div_ceil(first.num_rows().max(1) as u64).max(1);
        tables = tables.repeat(shape.table(), times)?;
        counts.push(first.num_rows() as u64 * times);
    }
    Ok((tables, data, counts))
}
