//! The type table: how a type of SQL Server or PostgreSQL travels as Arrow, and whether a value can move between two.

use std::fmt;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};

use crate::name::Engine;

/// The length of a character or binary type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// At most this many: UTF-16 units (`nvarchar`), bytes (`varchar` of SQL Server, binary), characters (PostgreSQL).
    Limited(u32),
    /// As long as the engine allows.
    Max,
}

impl Length {
    /// The limit, if there is one.
    pub fn limit(self) -> Option<u32> {
        match self {
            Length::Limited(n) => Some(n),
            Length::Max => None,
        }
    }
}

/// A column's type, of either engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `bit` (SQL Server), `boolean` (PostgreSQL).
    Boolean,
    /// PostgreSQL `bit(n)`.
    BitString(u32),
    /// `tinyint`, 0 to 255.
    TinyInt,
    /// `smallint`.
    SmallInt,
    /// `int`, `integer`.
    Int,
    /// `bigint`.
    BigInt,
    /// `decimal(p,s)`, `numeric(p,s)`.
    Decimal {
        /// All digits, 1 to 38 as far as imis carries them.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
    },
    /// PostgreSQL `numeric` without precision.
    Numeric,
    /// `money`: 19 digits, 4 behind the point.
    Money,
    /// `smallmoney`: 10 digits, 4 behind the point.
    SmallMoney,
    /// 4-byte floating point.
    Real,
    /// 8-byte floating point.
    Double,
    /// A calendar day.
    Date,
    /// A time of day with this many digits of a second.
    Time(u8),
    /// `datetime`: thousandths of a second in steps of 1/300 s.
    DateTime,
    /// `smalldatetime`: minutes.
    SmallDateTime,
    /// `datetime2(n)`, `timestamp without time zone`: a wall clock with this many digits of a second.
    Timestamp(u8),
    /// `datetimeoffset(n)`.
    DateTimeOffset(u8),
    /// `timestamp with time zone`: an instant.
    TimestampTz,
    /// `char(n)` of either engine.
    Char(u32),
    /// `varchar(n)`, `varchar(max)`, `character varying`.
    VarChar(Length),
    /// `text` of either engine.
    Text,
    /// `nchar(n)`.
    NChar(u32),
    /// `nvarchar(n)`, `nvarchar(max)`.
    NVarChar(Length),
    /// `ntext`.
    NText,
    /// `xml`.
    Xml,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `binary(n)`.
    Binary(u32),
    /// `varbinary(n)`, `bytea`.
    VarBinary(Length),
    /// `image`.
    Image,
    /// `rowversion`, alias `timestamp`, of SQL Server.
    RowVersion,
    /// `uniqueidentifier`, `uuid`.
    Uuid,
    /// `sql_variant`.
    SqlVariant,
    /// A type that imis carries as text through a CAST of the server: CLR types, `inet`, arrays, whatever comes.
    Other(String),
}

impl DataType {
    /// Reads a type as its engine spells it. A type that is not in the table becomes [`DataType::Other`].
    pub fn parse(engine: Engine, text: &str) -> DataType {
        let spelled = text.trim().to_lowercase();
        // `timestamp(3) with time zone` has its argument in the middle.
        let (base, arguments) = match (spelled.find('('), spelled.find(')')) {
            (Some(open), Some(close)) if open < close => {
                let base = format!("{}{}", spelled[..open].trim_end(), &spelled[close + 1..]);
                (base, spelled[open + 1..close].split(',').map(|a| a.trim().to_owned()).collect::<Vec<_>>())
            }
            _ => (spelled.clone(), Vec::new()),
        };
        let number = |at: usize| arguments.get(at).and_then(|a| a.parse::<u32>().ok());
        let small = |at: usize| number(at).and_then(|n| u8::try_from(n).ok());
        let is_max = arguments.first().is_some_and(|a| a == "max");
        let length = |unsaid: Length| match number(0) {
            Some(n) => Length::Limited(n),
            None if is_max => Length::Max,
            None => unsaid,
        };
        let one = Length::Limited(1);
        match (engine, base.as_str()) {
            (_, "smallint" | "int2") => DataType::SmallInt,
            (_, "int" | "integer" | "int4") => DataType::Int,
            (_, "bigint" | "int8") => DataType::BigInt,
            (_, "real" | "float4") => DataType::Real,
            (_, "date") => DataType::Date,
            (_, "xml") => DataType::Xml,
            (Engine::Mssql, "decimal" | "numeric" | "dec") => DataType::Decimal {
                precision: small(0).unwrap_or(18),
                scale: small(1).and_then(|s| i8::try_from(s).ok()).unwrap_or(0),
            },
            (Engine::Postgres, "numeric" | "decimal") => match (small(0), arguments.get(1)) {
                (Some(precision), scale) if precision <= 38 => {
                    DataType::Decimal { precision, scale: scale.and_then(|s| s.parse().ok()).unwrap_or(0) }
                }
                _ => DataType::Numeric,
            },
            (Engine::Mssql, "bit") => DataType::Boolean,
            (Engine::Mssql, "tinyint") => DataType::TinyInt,
            (Engine::Mssql, "money") => DataType::Money,
            (Engine::Mssql, "smallmoney") => DataType::SmallMoney,
            (Engine::Mssql, "float") => match number(0) {
                Some(n) if n <= 24 => DataType::Real,
                _ => DataType::Double,
            },
            (Engine::Mssql, "double precision") => DataType::Double,
            (Engine::Mssql, "time") => DataType::Time(small(0).unwrap_or(7)),
            (Engine::Mssql, "datetime") => DataType::DateTime,
            (Engine::Mssql, "smalldatetime") => DataType::SmallDateTime,
            (Engine::Mssql, "datetime2") => DataType::Timestamp(small(0).unwrap_or(7)),
            (Engine::Mssql, "datetimeoffset") => DataType::DateTimeOffset(small(0).unwrap_or(7)),
            (Engine::Mssql, "char") => DataType::Char(number(0).unwrap_or(1)),
            (Engine::Mssql, "varchar") => DataType::VarChar(length(one)),
            (Engine::Mssql, "text") => DataType::Text,
            (Engine::Mssql, "nchar") => DataType::NChar(number(0).unwrap_or(1)),
            (Engine::Mssql, "nvarchar") => DataType::NVarChar(length(one)),
            (Engine::Mssql, "sysname") => DataType::NVarChar(Length::Limited(128)),
            (Engine::Mssql, "ntext") => DataType::NText,
            (Engine::Mssql, "binary") => DataType::Binary(number(0).unwrap_or(1)),
            (Engine::Mssql, "varbinary") => DataType::VarBinary(length(one)),
            (Engine::Mssql, "image") => DataType::Image,
            (Engine::Mssql, "timestamp" | "rowversion") => DataType::RowVersion,
            (Engine::Mssql, "uniqueidentifier") => DataType::Uuid,
            (Engine::Mssql, "sql_variant") => DataType::SqlVariant,
            (Engine::Postgres, "boolean" | "bool") => DataType::Boolean,
            (Engine::Postgres, "bit") => DataType::BitString(number(0).unwrap_or(1)),
            (Engine::Postgres, "double precision" | "float8") => DataType::Double,
            (Engine::Postgres, "time" | "time without time zone") => DataType::Time(small(0).unwrap_or(6)),
            (Engine::Postgres, "timestamp" | "timestamp without time zone") => {
                DataType::Timestamp(small(0).unwrap_or(6))
            }
            (Engine::Postgres, "timestamptz" | "timestamp with time zone") => DataType::TimestampTz,
            (Engine::Postgres, "character" | "char" | "bpchar") => DataType::Char(number(0).unwrap_or(1)),
            (Engine::Postgres, "character varying" | "varchar") => DataType::VarChar(length(Length::Max)),
            (Engine::Postgres, "text") => DataType::Text,
            (Engine::Postgres, "json") => DataType::Json,
            (Engine::Postgres, "jsonb") => DataType::Jsonb,
            (Engine::Postgres, "bytea") => DataType::VarBinary(Length::Max),
            (Engine::Postgres, "uuid") => DataType::Uuid,
            _ => DataType::Other(text.trim().to_owned()),
        }
    }

    /// The Arrow type in which values travel.
    pub fn arrow(&self) -> ArrowType {
        match self {
            DataType::Boolean => ArrowType::Boolean,
            DataType::TinyInt => ArrowType::UInt8,
            DataType::SmallInt => ArrowType::Int16,
            DataType::Int => ArrowType::Int32,
            DataType::BigInt => ArrowType::Int64,
            DataType::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale),
            DataType::Money => ArrowType::Decimal128(19, 4),
            DataType::SmallMoney => ArrowType::Decimal128(10, 4),
            DataType::Real => ArrowType::Float32,
            DataType::Double => ArrowType::Float64,
            DataType::Date => ArrowType::Date32,
            DataType::Time(_) => ArrowType::Time64(TimeUnit::Microsecond),
            DataType::DateTime | DataType::SmallDateTime | DataType::Timestamp(_) => {
                ArrowType::Timestamp(TimeUnit::Microsecond, None)
            }
            DataType::DateTimeOffset(_) | DataType::TimestampTz => {
                ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion => ArrowType::Binary,
            DataType::BitString(_)
            | DataType::Numeric
            | DataType::Char(_)
            | DataType::VarChar(_)
            | DataType::Text
            | DataType::NChar(_)
            | DataType::NVarChar(_)
            | DataType::NText
            | DataType::Xml
            | DataType::Json
            | DataType::Jsonb
            | DataType::Uuid
            | DataType::SqlVariant
            | DataType::Other(_) => ArrowType::Utf8,
        }
    }

    /// Whether values are text that people wrote (a UUID, a number carried as text and the like are not).
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            DataType::Char(_)
                | DataType::VarChar(_)
                | DataType::Text
                | DataType::NChar(_)
                | DataType::NVarChar(_)
                | DataType::NText
                | DataType::Xml
        )
    }

    /// Whether the type has no place of its own in the table and travels as text, with a warning in the plan.
    pub fn is_carried_as_text(&self) -> bool {
        matches!(self, DataType::SqlVariant | DataType::Other(_) | DataType::Numeric)
    }

    /// How many characters (PostgreSQL) or units a value may have, where there is a limit.
    pub fn length(&self) -> Option<u32> {
        match self {
            DataType::Char(n) | DataType::NChar(n) | DataType::Binary(n) | DataType::BitString(n) => Some(*n),
            DataType::VarChar(l) | DataType::NVarChar(l) | DataType::VarBinary(l) => l.limit(),
            _ => None,
        }
    }

    /// The type as its engine spells it.
    pub fn sql(&self, engine: Engine) -> String {
        let length = |name: &str, l: &Length, max: &str| match l {
            Length::Limited(n) => format!("{name}({n})"),
            Length::Max => max.to_owned(),
        };
        match (engine, self) {
            (Engine::Mssql, DataType::Boolean) => "bit".into(),
            (Engine::Postgres, DataType::Boolean) => "boolean".into(),
            (_, DataType::BitString(n)) => format!("bit({n})"),
            (_, DataType::TinyInt) => "tinyint".into(),
            (_, DataType::SmallInt) => "smallint".into(),
            (Engine::Mssql, DataType::Int) => "int".into(),
            (Engine::Postgres, DataType::Int) => "integer".into(),
            (_, DataType::BigInt) => "bigint".into(),
            (Engine::Mssql, DataType::Decimal { precision, scale }) => format!("decimal({precision},{scale})"),
            (Engine::Postgres, DataType::Decimal { precision, scale }) => format!("numeric({precision},{scale})"),
            (_, DataType::Numeric) => "numeric".into(),
            (_, DataType::Money) => "money".into(),
            (_, DataType::SmallMoney) => "smallmoney".into(),
            (_, DataType::Real) => "real".into(),
            (Engine::Mssql, DataType::Double) => "float".into(),
            (Engine::Postgres, DataType::Double) => "double precision".into(),
            (_, DataType::Date) => "date".into(),
            (Engine::Mssql, DataType::Time(n)) => format!("time({n})"),
            (Engine::Postgres, DataType::Time(6..)) => "time without time zone".into(),
            (Engine::Postgres, DataType::Time(n)) => format!("time({n}) without time zone"),
            (_, DataType::DateTime) => "datetime".into(),
            (_, DataType::SmallDateTime) => "smalldatetime".into(),
            (Engine::Mssql, DataType::Timestamp(n)) => format!("datetime2({n})"),
            (Engine::Postgres, DataType::Timestamp(6..)) => "timestamp without time zone".into(),
            (Engine::Postgres, DataType::Timestamp(n)) => format!("timestamp({n}) without time zone"),
            (_, DataType::DateTimeOffset(n)) => format!("datetimeoffset({n})"),
            (_, DataType::TimestampTz) => "timestamp with time zone".into(),
            (Engine::Mssql, DataType::Char(n)) => format!("char({n})"),
            (Engine::Postgres, DataType::Char(n)) => format!("character({n})"),
            (Engine::Mssql, DataType::VarChar(l)) => length("varchar", l, "varchar(max)"),
            (Engine::Postgres, DataType::VarChar(l)) => length("character varying", l, "character varying"),
            (_, DataType::Text) => "text".into(),
            (_, DataType::NChar(n)) => format!("nchar({n})"),
            (_, DataType::NVarChar(l)) => length("nvarchar", l, "nvarchar(max)"),
            (_, DataType::NText) => "ntext".into(),
            (_, DataType::Xml) => "xml".into(),
            (_, DataType::Json) => "json".into(),
            (_, DataType::Jsonb) => "jsonb".into(),
            (_, DataType::Binary(n)) => format!("binary({n})"),
            (Engine::Mssql, DataType::VarBinary(l)) => length("varbinary", l, "varbinary(max)"),
            (Engine::Postgres, DataType::VarBinary(_)) => "bytea".into(),
            (_, DataType::Image) => "image".into(),
            (_, DataType::RowVersion) => "timestamp".into(),
            (Engine::Mssql, DataType::Uuid) => "uniqueidentifier".into(),
            (Engine::Postgres, DataType::Uuid) => "uuid".into(),
            (_, DataType::SqlVariant) => "sql_variant".into(),
            (_, DataType::Other(text)) => text.clone(),
        }
    }

    /// The PostgreSQL type that takes every value of this one without a loss beyond those that Arrow already has.
    pub fn postgres_counterpart(&self) -> DataType {
        match self {
            DataType::TinyInt => DataType::SmallInt,
            DataType::Money => DataType::Decimal { precision: 19, scale: 4 },
            DataType::SmallMoney => DataType::Decimal { precision: 10, scale: 4 },
            DataType::Time(n) => DataType::Time((*n).min(6)),
            DataType::Timestamp(_) | DataType::DateTime | DataType::SmallDateTime => DataType::Timestamp(6),
            DataType::DateTimeOffset(_) => DataType::TimestampTz,
            DataType::NChar(n) => DataType::Char(*n),
            DataType::NVarChar(l) => DataType::VarChar(*l),
            DataType::NText | DataType::SqlVariant | DataType::Other(_) => DataType::Text,
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion => {
                DataType::VarBinary(Length::Max)
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for DataType {
    /// The spelling of the engine that has the type; SQL Server's where both have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql(Engine::Mssql))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_type_table() {
        use ArrowType as A;
        let wall = A::Timestamp(TimeUnit::Microsecond, None);
        let instant = A::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let cases = [
            (Engine::Mssql, "bit", A::Boolean),
            (Engine::Mssql, "tinyint", A::UInt8),
            (Engine::Mssql, "smallint", A::Int16),
            (Engine::Mssql, "int", A::Int32),
            (Engine::Mssql, "bigint", A::Int64),
            (Engine::Mssql, "decimal(38,10)", A::Decimal128(38, 10)),
            (Engine::Mssql, "numeric(9,3)", A::Decimal128(9, 3)),
            (Engine::Mssql, "money", A::Decimal128(19, 4)),
            (Engine::Mssql, "smallmoney", A::Decimal128(10, 4)),
            (Engine::Mssql, "real", A::Float32),
            (Engine::Mssql, "float(24)", A::Float32),
            (Engine::Mssql, "float", A::Float64),
            (Engine::Mssql, "date", A::Date32),
            (Engine::Mssql, "time(7)", A::Time64(TimeUnit::Microsecond)),
            (Engine::Mssql, "datetime", wall.clone()),
            (Engine::Mssql, "smalldatetime", wall.clone()),
            (Engine::Mssql, "datetime2(3)", wall.clone()),
            (Engine::Mssql, "datetimeoffset(7)", instant.clone()),
            (Engine::Mssql, "nvarchar(max)", A::Utf8),
            (Engine::Mssql, "xml", A::Utf8),
            (Engine::Mssql, "timestamp", A::Binary),
            (Engine::Mssql, "image", A::Binary),
            (Engine::Mssql, "uniqueidentifier", A::Utf8),
            (Engine::Mssql, "sql_variant", A::Utf8),
            (Engine::Mssql, "geography", A::Utf8),
            (Engine::Postgres, "boolean", A::Boolean),
            (Engine::Postgres, "bit(1)", A::Utf8),
            (Engine::Postgres, "numeric(18,2)", A::Decimal128(18, 2)),
            (Engine::Postgres, "numeric", A::Utf8),
            (Engine::Postgres, "timestamp with time zone", instant),
            (Engine::Postgres, "timestamp without time zone", wall),
            (Engine::Postgres, "character varying(50)", A::Utf8),
            (Engine::Postgres, "jsonb", A::Utf8),
            (Engine::Postgres, "bytea", A::Binary),
            (Engine::Postgres, "inet", A::Utf8),
        ];
        for (engine, text, arrow) in cases {
            assert_eq!(DataType::parse(engine, text).arrow(), arrow, "{text}");
        }
    }

    #[test]
    fn every_spelling_comes_back() {
        let spelled = [
            (Engine::Mssql, "nvarchar(50)"),
            (Engine::Mssql, "varchar(max)"),
            (Engine::Mssql, "decimal(18,2)"),
            (Engine::Mssql, "datetime2(7)"),
            (Engine::Mssql, "timestamp"),
            (Engine::Postgres, "timestamp(3) without time zone"),
            (Engine::Postgres, "timestamp with time zone"),
            (Engine::Postgres, "character varying"),
            (Engine::Postgres, "character(1)"),
            (Engine::Postgres, "numeric(3,1)"),
            (Engine::Postgres, "bit(1)"),
            (Engine::Postgres, "double precision"),
        ];
        for (engine, text) in spelled {
            assert_eq!(DataType::parse(engine, text).sql(engine), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = DataType::parse(Engine::Mssql, &text).arrow();
            let _ = DataType::parse(Engine::Postgres, &text).arrow();
        }
    }
}
