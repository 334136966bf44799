//! The 33 views that the migration location.0019 reads, drops and makes again; it stops when one is missing.
//!
//! That migration makes them again in an order of its own, the `tbl` ones first, and without comments. So a placeholder
//! also says in its condition what it is.

use std::collections::BTreeMap;

use imis_schemas::{Engine, TableName, View};
use serde::Deserialize;

use crate::error::Error;

const NOTICE: &str = "placeholder of imis prepare: the columns of the legacy view, and no rows";

/// A view to be made.
pub(super) struct Made {
    /// Its name.
    pub(super) name: String,
    definition: String,
    comment: Option<&'static str>,
}

/// Views of which only the columns are known, by name: each column with its type, in order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    placeholders: BTreeMap<String, Columns>,
}

/// Columns in the order of the file.
struct Columns(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Columns;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("columns with their types")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// All 33, those first that others read.
pub(super) fn all() -> Result<Vec<Made>, Error> {
    let known: Known = serde_yaml::from_str(include_str!("views.yaml"))
        .map_err(|e| Error::failed("views.yaml cannot be read").caused_by(e.to_string()))?;
    let real = [
        level("tblRegions", "R", "Region", None, &["RowId"]),
        level("tblDistricts", "D", "District", Some("Region"), &["RowId"]),
        level("tblWards", "W", "Ward", Some("DistrictId"), &[]),
        level("tblVillages", "V", "Village", Some("WardId"), &POPULATION),
        Made { name: "uvwLocations".into(), definition: LOCATIONS.into(), comment: None },
    ];
    let placeholders = known.placeholders.into_iter().map(|(name, columns)| placeholder(name, &columns));
    Ok(real.into_iter().chain(placeholders).collect())
}

const POPULATION: [&str; 4] = ["MalePopulation", "FemalePopulation", "OtherPopulation", "Families"];

/// The live locations of one level, with the names that the level's table once had. The code's length is left open, since
/// it changes while the migrations run.
fn level(view: &str, kind: &str, noun: &str, parent: Option<&str>, more: &[&str]) -> Made {
    let mut columns = vec![("LocationId".to_owned(), format!("{noun}Id"))];
    columns.extend(parent.map(|p| ("ParentLocationId".to_owned(), p.to_owned())));
    columns.extend([
        ("LocationCode".to_owned(), format!("{noun}Code")),
        ("LocationName".to_owned(), format!("{noun}Name")),
    ]);
    let same = ["ValidityFrom", "ValidityTo", "LegacyID", "AuditUserId"];
    columns.extend(more.iter().chain(&same).map(|c| ((*c).to_owned(), (*c).to_owned())));
    let select: Vec<String> = columns
        .iter()
        .map(|(column, name)| format!("{} AS {}", Engine::Postgres.quote(column), Engine::Postgres.quote(name)))
        .collect();
    let definition = format!(
        "SELECT {} FROM public.\"tblLocations\" WHERE \"LocationType\" = '{kind}' AND \"ValidityTo\" IS NULL",
        select.join(", ")
    );
    Made { name: view.to_owned(), definition, comment: None }
}

/// Every live location with all levels above it, and one for the whole country.
const LOCATIONS: &str = r#"WITH chain AS (
  SELECT r."RegionId" AS place, NULL::integer AS parent, r."RegionId" AS region, NULL::integer AS district,
    NULL::integer AS ward, NULL::integer AS village FROM public."tblRegions" r
  UNION ALL
  SELECT d."DistrictId", d."Region", d."Region", d."DistrictId", NULL, NULL FROM public."tblDistricts" d
  UNION ALL
  SELECT w."WardId", w."DistrictId", d."Region", w."DistrictId", w."WardId", NULL
    FROM public."tblWards" w LEFT JOIN public."tblDistricts" d ON d."DistrictId" = w."DistrictId"
  UNION ALL
  SELECT v."VillageId", v."WardId", d."Region", w."DistrictId", v."WardId", v."VillageId"
    FROM public."tblVillages" v LEFT JOIN public."tblWards" w ON w."WardId" = v."WardId"
    LEFT JOIN public."tblDistricts" d ON d."DistrictId" = w."DistrictId"
  UNION ALL
  SELECT 0, NULL, NULL, NULL, NULL, NULL
)
SELECT c.place AS "LocationId", r."RegionId", r."RegionCode",
  CASE WHEN c.place = 0 THEN 'National' ELSE r."RegionName" END AS "RegionName",
  d."DistrictId", d."DistrictCode", d."DistrictName", w."WardId", w."WardCode", w."WardName",
  v."VillageId", v."VillageCode", v."VillageName", c.parent AS "ParentLocationId"
FROM chain c LEFT JOIN public."tblRegions" r ON r."RegionId" = c.region
  LEFT JOIN public."tblDistricts" d ON d."DistrictId" = c.district
  LEFT JOIN public."tblWards" w ON w."WardId" = c.ward
  LEFT JOIN public."tblVillages" v ON v."VillageId" = c.village"#;

fn placeholder(name: String, columns: &Columns) -> Made {
    let select: Vec<String> = columns
        .0
        .iter()
        .map(|(column, data_type)| format!("NULL::{data_type} AS {}", Engine::Postgres.quote(column)))
        .collect();
    // The condition is never true; it is what is left of the notice after the view was made again.
    let notice = Engine::Postgres.literal(NOTICE);
    let definition = format!("SELECT {} WHERE {notice}::text IS NULL", select.join(", "));
    Made { name, definition, comment: Some(NOTICE) }
}

impl Made {
    /// Whether it has columns and no rows.
    pub(super) fn is_placeholder(&self) -> bool {
        self.comment.is_some()
    }

    /// The statements that make it.
    pub(super) fn statements(&self) -> Vec<String> {
        let name = TableName::new("public", &self.name).sql(Engine::Postgres);
        let mut statements = vec![format!("CREATE VIEW {name} AS\n{}", self.definition)];
        if let Some(comment) = self.comment {
            statements.push(format!("COMMENT ON VIEW {name} IS {}", Engine::Postgres.literal(comment)));
        }
        statements
    }

    /// The view as a catalogue lists it.
    pub(super) fn described(self) -> View {
        View { schema: "public".into(), name: self.name, definition: Some(self.definition) }
    }
}
