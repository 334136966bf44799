//! The catalogue: tables, columns, keys, indexes, views and routines of one database, in a stable order.
//!
//! A catalogue tells *not there* from *not known*: [`Known::No`] means that nobody could look (a script without keys, a
//! login that may not see them), an empty list means that somebody looked and found none. In YAML and JSON a field
//! that is not known is left out.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data_type::DataType;
use crate::name::{Engine, TableName, same_name};

/// The version of the catalogue's file shape.
pub const FORMAT: u32 = 1;

/// A fact that somebody established, or that nobody could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known<T> {
    /// Nobody could look.
    #[default]
    No,
    /// Somebody looked, and this is what is there.
    Yes(T),
}

impl<T> Known<T> {
    /// The fact, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Known::No => None,
            Known::Yes(fact) => Some(fact),
        }
    }

    /// Whether nobody could look.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Known::No)
    }
}

impl<T> Known<Vec<T>> {
    /// The list, empty when it is not known. For those who only add to what is there.
    pub fn items(&self) -> &[T] {
        self.known().map_or(&[], Vec::as_slice)
    }
}

impl<T: Serialize> Serialize for Known<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Known::No => serializer.serialize_none(),
            Known::Yes(fact) => fact.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Known<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Known::Yes)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn yes() -> bool {
    true
}

fn is_true(flag: &bool) -> bool {
    *flag
}

/// One database, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The version of this file shape, [`FORMAT`].
    pub imis: u32,
    /// The engine whose types and spellings the catalogue uses.
    pub engine: Engine,
    /// What the server says of itself: product and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The database's default collation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Tables, ordered by schema and name.
    pub tables: Vec<Table>,
    /// Views, ordered likewise.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub views: Known<Vec<View>>,
    /// Procedures and functions, ordered likewise.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub routines: Known<Vec<Routine>>,
    /// Types that users defined, ordered likewise.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub types: Known<Vec<UserType>>,
    /// What could not be found out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The schema that holds it.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the table.
    pub columns: Vec<Column>,
    /// Its primary key; `null` when it has none.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub primary_key: Known<Option<Key>>,
    /// Its foreign keys, ordered by name.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub foreign_keys: Known<Vec<ForeignKey>>,
    /// Its unique constraints and unique indexes without a filter, ordered by name; the primary key is not among them.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub uniques: Known<Vec<Unique>>,
    /// Its other indexes, ordered by name.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub indexes: Known<Vec<Index>>,
    /// Its check constraints, ordered by name.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub checks: Known<Vec<Check>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as its engine spells it: `nvarchar(50)`, `timestamp with time zone`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Whether the server numbers it (`IDENTITY`, `GENERATED ... AS IDENTITY`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub identity: bool,
    /// Its default, as the server spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The expression from which the server computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<String>,
    /// Its collation, where it is not the database's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
}

/// A column together with its parsed type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it takes NULL.
    pub nullable: bool,
}

/// A primary key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The constraint's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its columns, in the key's order.
    pub columns: Vec<String>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub references: TableName,
    /// The columns that are referred to, in the same order.
    pub referenced_columns: Vec<String>,
    /// Whether the server vouches for the rows that are there (SQL Server: not `WITH NOCHECK`).
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub trusted: bool,
    /// Whether the server checks new rows.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// Whether PostgreSQL may check it at the end of the transaction.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deferrable: bool,
}

/// A unique constraint or unique index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// An index that is neither the primary key nor a [`Unique`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its key columns, in order; an expression stands as its text.
    pub columns: Vec<String>,
    /// Columns that it only carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Whether it is unique (then it has a filter).
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// The condition of a filtered or partial index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A check constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The condition, as the server spells it; `None` where the server would not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The schema that holds it.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A procedure or function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routine {
    /// The schema that holds it.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `procedure` or `function`.
    pub kind: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A type that a user defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserType {
    /// The schema that holds it.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The type that it is another name of, as its engine spells it: `nvarchar(12)`. None for a table type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The columns of a table type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

impl Catalog {
    /// An empty catalogue of an engine, to be filled.
    pub fn new(engine: Engine) -> Self {
        Catalog {
            imis: FORMAT,
            engine,
            server: None,
            collation: None,
            tables: Vec::new(),
            views: Known::No,
            routines: Known::No,
            types: Known::No,
            notes: Vec::new(),
        }
    }

    /// Puts everything into its stable order: by schema and name, case aside; columns keep the order of the table.
    pub fn sort(&mut self) {
        let by = |schema: &str, name: &str| (schema.to_lowercase(), name.to_lowercase(), name.to_owned());
        self.tables.sort_by_cached_key(|t| by(&t.schema, &t.name));
        if let Known::Yes(views) = &mut self.views {
            views.sort_by_cached_key(|v| by(&v.schema, &v.name));
        }
        if let Known::Yes(routines) = &mut self.routines {
            routines.sort_by_cached_key(|r| by(&r.schema, &r.name));
        }
        if let Known::Yes(types) = &mut self.types {
            types.sort_by_cached_key(|t| by(&t.schema, &t.name));
        }
        for table in &mut self.tables {
            if let Known::Yes(keys) = &mut table.foreign_keys {
                keys.sort_by_cached_key(|k| k.name.to_lowercase());
            }
            if let Known::Yes(uniques) = &mut table.uniques {
                uniques.sort_by_cached_key(|u| u.name.to_lowercase());
            }
            if let Known::Yes(indexes) = &mut table.indexes {
                indexes.sort_by_cached_key(|i| i.name.to_lowercase());
            }
            if let Known::Yes(checks) = &mut table.checks {
                checks.sort_by_cached_key(|c| c.name.to_lowercase());
            }
        }
        self.notes.sort();
    }

    /// The table of this name, case aside; one in the engine's own schema wins over its namesakes elsewhere.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let of_this_name = || self.tables.iter().filter(|t| same_name(&t.name, name));
        of_this_name()
            .find(|t| t.name == name && t.schema == self.engine.default_schema())
            .or_else(|| of_this_name().find(|t| t.schema == self.engine.default_schema()))
            .or_else(|| of_this_name().next())
    }

    /// The tables of this name, where none of them is in the engine's own schema and so none is meant more than the others. Empty
    /// when [`table`](Catalog::table) gives the one that is meant.
    pub fn namesakes(&self, name: &str) -> Vec<&Table> {
        let tables: Vec<&Table> = self.tables.iter().filter(|t| same_name(&t.name, name)).collect();
        match tables.len() < 2 || tables.iter().any(|t| t.schema == self.engine.default_schema()) {
            true => Vec::new(),
            false => tables,
        }
    }

    /// The catalogue as JSON, ended by a line feed.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The catalogue as YAML.
    ///
    /// # Errors
    /// When a text cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, CatalogError> {
        serde_yaml::to_string(self).map_err(|e| CatalogError::Write(e.to_string()))
    }

    /// Reads a catalogue from YAML or JSON (which is YAML, but read faster).
    ///
    /// # Errors
    /// When the text is not a catalogue, or of a later file shape than this program knows.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let mut catalog: Catalog = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| CatalogError::Read(e.to_string()))?
        } else {
            serde_yaml::from_str(text).map_err(|e| CatalogError::Read(e.to_string()))?
        };
        if catalog.imis > FORMAT {
            return Err(CatalogError::Newer { found: catalog.imis });
        }
        catalog.sort();
        Ok(catalog)
    }
}

impl Table {
    /// The table's name with its schema.
    pub fn table_name(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }

    /// The column of this name; the exact spelling wins over one in another case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name).or_else(|| self.columns.iter().find(|c| same_name(&c.name, name)))
    }

    /// The columns of the primary key, or none when there is no key or none is known.
    pub fn key_columns(&self) -> &[String] {
        match self.primary_key.known() {
            Some(Some(key)) => &key.columns,
            _ => &[],
        }
    }

    /// The columns with their types parsed.
    pub fn typed(&self, engine: Engine) -> Vec<TypedColumn> {
        self.columns.iter().map(|c| c.typed(engine)).collect()
    }
}

impl Column {
    /// The column with its type parsed.
    pub fn typed(&self, engine: Engine) -> TypedColumn {
        TypedColumn { name: self.name.clone(), data_type: self.data_type(engine), nullable: self.nullable }
    }

    /// Its default, where that is a plain literal: `((0))` is 0, `('N')` is N.
    pub fn plain_default(&self) -> Option<String> {
        let mut text = self.default.as_deref()?.trim();
        while let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
            text = inner.trim();
        }
        let quoted = text.strip_prefix('N').filter(|t| t.starts_with('\'')).unwrap_or(text);
        match quoted.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
            Some(literal) => Some(literal.replace("''", "'")),
            None => text.parse::<f64>().is_ok().then(|| text.to_owned()),
        }
    }

    /// The parsed type.
    pub fn data_type(&self, engine: Engine) -> DataType {
        DataType::parse(engine, &self.data_type)
    }
}

/// What can go wrong with a catalogue file.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is not a catalogue.
    #[error("this is not a catalogue that imis can read: {0}")]
    Read(String),
    /// The catalogue could not be written.
    #[error("the catalogue cannot be written: {0}")]
    Write(String),
    /// A later version of the program wrote it.
    #[error("the catalogue has file shape {found}; this version of imis reads up to {FORMAT}. Use a newer imis.")]
    Newer {
        /// The version found in the file.
        found: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"imis": 1, "engine": "mssql", "tables": [
        {"schema": "dbo", "name": "tblB", "columns": [{"name": "Id", "type": "int", "nullable": false, "identity": true}],
         "primary_key": {"columns": ["Id"]}},
        {"schema": "dbo", "name": "tblA", "columns": [], "primary_key": null, "foreign_keys": []}]}"#;

    #[test]
    fn unknown_is_not_absent() {
        let catalog = Catalog::parse(TEXT).unwrap();
        let a = catalog.table("TBLA").unwrap();
        let b = catalog.table("tblb").unwrap();
        assert_eq!(a.primary_key, Known::Yes(None));
        assert_eq!(a.foreign_keys, Known::Yes(vec![]));
        assert!(b.foreign_keys.is_unknown());
        assert!(catalog.views.is_unknown());
        assert_eq!(b.key_columns(), ["Id"]);
    }

    #[test]
    fn json_and_yaml_come_back_as_they_were_in_a_stable_order() {
        let catalog = Catalog::parse(TEXT).unwrap();
        assert_eq!(catalog.tables[0].name, "tblA");
        let again = Catalog::parse(&catalog.to_json()).unwrap();
        assert_eq!(again, catalog);
        let yaml = catalog.to_yaml().unwrap();
        assert_eq!(Catalog::parse(&yaml).unwrap(), catalog);
        assert_eq!(again.to_yaml().unwrap(), yaml);
    }

    #[test]
    fn a_later_file_shape_is_refused() {
        let later = TEXT.replace("\"imis\": 1", "\"imis\": 2");
        assert!(matches!(Catalog::parse(&later), Err(CatalogError::Newer { found: 2 })));
    }
}
