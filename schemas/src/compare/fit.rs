//! How a type of one database stands to a type of another: equal, wider, narrower, or something else.
//!
//! Within one engine types are equal when they are the same. Between engines those are equal that the type table calls
//! counterparts: `datetime` and `timestamptz`, `uniqueidentifier` and `varchar(36)`, `char(1)` and `varchar(1)`.

use serde::{Deserialize, Serialize};

use crate::data_type::{DataType, Length};
use crate::name::Engine;

/// How a type of B stands to the type of A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The same type, or its counterpart.
    Equal,
    /// Another type that takes the same values.
    Alike,
    /// B takes every value of A, and more.
    Wider,
    /// Some values of A do not fit into B, or lose something there.
    Narrower,
    /// The values are of another kind.
    Other,
}

impl Fit {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Equal => "equal",
            Fit::Alike => "alike",
            Fit::Wider => "wider",
            Fit::Narrower => "narrower",
            Fit::Other => "other",
        }
    }
}

/// How two types stand to each other, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// How B stands to A.
    pub fit: Fit,
    /// The reason in words; empty for equal types.
    pub why: String,
}

/// What values a type has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Bit,
    BitString(u32),
    /// The least and the greatest number.
    Whole(i64, i64),
    /// Digits before and behind the point.
    Decimal(i32, i32),
    /// Bits of the mantissa.
    Float(u32),
    Day,
    /// Digits of a second.
    Clock(i32),
    /// Digits of a second (-2 for minutes), and whether it is an instant rather than a wall clock.
    Moment(i32, bool),
    Text {
        limit: Option<u32>,
        unicode: bool,
        padded: bool,
    },
    Xml,
    Json,
    Bytes {
        limit: Option<u32>,
        padded: bool,
    },
    RowVersion,
    Uuid,
    Opaque,
}

impl Room {
    fn of(engine: Engine, data_type: &DataType) -> Room {
        let unicode = engine == Engine::Postgres;
        let text = |limit, unicode, padded| Room::Text { limit, unicode, padded };
        match data_type {
            DataType::Boolean => Room::Bit,
            DataType::BitString(n) => Room::BitString(*n),
            DataType::TinyInt => Room::Whole(0, 255),
            DataType::SmallInt => Room::Whole(i16::MIN.into(), i16::MAX.into()),
            DataType::Int => Room::Whole(i32::MIN.into(), i32::MAX.into()),
            DataType::BigInt => Room::Whole(i64::MIN, i64::MAX),
            DataType::Decimal { precision, scale } => {
                Room::Decimal(i32::from(*precision) - i32::from(*scale), i32::from(*scale))
            }
            DataType::Numeric => Room::Decimal(i32::MAX, i32::MAX),
            DataType::Money => Room::Decimal(15, 4),
            DataType::SmallMoney => Room::Decimal(6, 4),
            DataType::Real => Room::Float(24),
            DataType::Double => Room::Float(53),
            DataType::Date => Room::Day,
            DataType::Time(n) => Room::Clock((*n).into()),
            DataType::DateTime => Room::Moment(3, false),
            DataType::SmallDateTime => Room::Moment(-2, false),
            DataType::Timestamp(n) => Room::Moment((*n).into(), false),
            DataType::DateTimeOffset(n) => Room::Moment((*n).into(), true),
            DataType::TimestampTz => Room::Moment(6, true),
            DataType::Char(n) => text(Some(*n), unicode, true),
            DataType::VarChar(l) => text(l.limit(), unicode, false),
            DataType::Text => text(None, unicode, false),
            DataType::NChar(n) => text(Some(*n), true, true),
            DataType::NVarChar(l) => text(l.limit(), true, false),
            DataType::NText => text(None, true, false),
            DataType::Xml => Room::Xml,
            DataType::Json | DataType::Jsonb => Room::Json,
            DataType::Binary(n) => Room::Bytes { limit: Some(*n), padded: true },
            DataType::VarBinary(l) => Room::Bytes { limit: l.limit(), padded: false },
            DataType::Image => Room::Bytes { limit: None, padded: false },
            DataType::RowVersion => Room::RowVersion,
            DataType::Uuid => Room::Uuid,
            DataType::SqlVariant | DataType::Other(_) => Room::Opaque,
        }
    }

    /// What is left when the habits of an engine are set aside: code pages, padding, fractions beyond a microsecond.
    fn neutral(self) -> Room {
        match self {
            Room::Text { limit, .. } => Room::Text { limit, unicode: true, padded: false },
            Room::Bytes { .. } => Room::Bytes { limit: None, padded: false },
            Room::Clock(n) => Room::Clock(n.min(6)),
            Room::Moment(n, zone) => Room::Moment(n.min(6), zone),
            other => other,
        }
    }

    /// Whether every value of this room has a place in another.
    fn goes_into(self, other: Room) -> bool {
        let within = |from: Option<u32>, to: Option<u32>| to.is_none_or(|to| from.is_some_and(|from| from <= to));
        match (self, other) {
            (Room::Whole(least, greatest), Room::Whole(low, high)) => low <= least && greatest <= high,
            (Room::Whole(least, greatest), Room::Decimal(digits, _)) => whole_digits(least, greatest) <= digits,
            (Room::Whole(least, greatest), Room::Float(bits)) => {
                let exact = 1_i64 << bits.min(62);
                -exact <= least && greatest <= exact
            }
            (Room::Bit, Room::Whole(..)) => true,
            (Room::Bit, Room::Decimal(digits, _)) => digits >= 1,
            (Room::Decimal(digits, scale), Room::Decimal(more, finer)) => digits <= more && scale <= finer,
            (Room::Float(bits), Room::Float(more)) => bits <= more,
            (Room::BitString(n), Room::BitString(m)) => n == m,
            (Room::Day, Room::Moment(..)) => true,
            (Room::Clock(n), Room::Clock(m)) => n <= m,
            (Room::Moment(n, zone), Room::Moment(m, other)) => n <= m && zone == other,
            (Room::Text { limit, unicode, padded }, Room::Text { limit: room, unicode: any, padded: fills }) => {
                within(limit, room) && (any || !unicode) && (padded || !fills)
            }
            (Room::Uuid, Room::Text { limit, .. }) => limit.is_none_or(|limit| limit >= UUID_LETTERS),
            (Room::Xml | Room::Json | Room::Opaque, Room::Text { limit: None, .. }) => true,
            (Room::Bytes { limit, padded }, Room::Bytes { limit: room, padded: fills }) => {
                within(limit, room) && (padded || !fills)
            }
            (a, b) => a == b && a != Room::Opaque,
        }
    }

    /// Whether the values are of one kind, so that less room is a narrowing and not another thing.
    fn is_kin(self, other: Room) -> bool {
        let kin = |room: Room| match room {
            Room::Bit | Room::Whole(..) | Room::Decimal(..) | Room::Float(_) => 1,
            Room::Day | Room::Moment(..) => 2,
            Room::Text { .. } | Room::Xml | Room::Json => 3,
            Room::Bytes { .. } => 4,
            Room::Clock(_) => 5,
            Room::BitString(_) => 6,
            Room::Uuid | Room::RowVersion | Room::Opaque => 0,
        };
        kin(self) != 0 && kin(self) == kin(other)
    }
}

/// How many letters a UUID has when it is written out.
const UUID_LETTERS: u32 = 36;

fn whole_digits(least: i64, greatest: i64) -> i32 {
    let digits = |n: u64| n.checked_ilog10().map_or(1, |d| i32::try_from(d).unwrap_or(i32::MAX).saturating_add(1));
    digits(least.unsigned_abs()).max(digits(greatest.unsigned_abs()))
}

/// How the type of B stands to the type of A.
pub fn judge((engine, a): (Engine, &DataType), (other, b): (Engine, &DataType)) -> Ruling {
    let equal = Ruling { fit: Fit::Equal, why: String::new() };
    let (mut from, mut to) = (Room::of(engine, a), Room::of(other, b));
    if engine == other {
        if a == b {
            return equal;
        }
    } else {
        if counterparts((engine, a), (other, b)) {
            return equal;
        }
        (from, to) = (from.neutral(), to.neutral());
    }
    let fit = match (from.goes_into(to), to.goes_into(from)) {
        // Unknown types with different names have nothing in common.
        (true, true) => Fit::Alike,
        (true, false) => Fit::Wider,
        (false, _) if from.is_kin(to) || (to == Room::Uuid && to.goes_into(from)) => Fit::Narrower,
        (false, _) => Fit::Other,
    };
    let why = match fit {
        Fit::Equal => String::new(),
        Fit::Alike => "another type for the same values".to_owned(),
        Fit::Wider => wider(from, to),
        Fit::Narrower => narrower(from, to),
        Fit::Other => different(from, to),
    };
    Ruling { fit, why }
}

/// Whether the type table calls two types of different engines counterparts.
fn counterparts(a: (Engine, &DataType), b: (Engine, &DataType)) -> bool {
    let (legacy, modular) = if a.0 == Engine::Mssql { (a.1, b.1) } else { (b.1, a.1) };
    let (from, to) = (Room::of(Engine::Mssql, legacy).neutral(), Room::of(Engine::Postgres, modular).neutral());
    match (from, to) {
        // A counter of the server's, of no meaning elsewhere.
        (Room::RowVersion, _) => false,
        // Fractions that PostgreSQL has in addition are nobody's loss.
        (Room::Moment(_, false), Room::Moment(6, _)) | (Room::Moment(_, true), Room::Moment(6, true)) => true,
        (Room::Uuid, Room::Text { limit: Some(UUID_LETTERS), .. }) => true,
        (Room::Opaque, Room::Text { limit: None, .. }) => true,
        (from, to) if from == to && from != Room::Opaque => true,
        _ => legacy != &DataType::RowVersion && legacy.postgres_counterpart() == *modular,
    }
}

fn letters(limit: Option<u32>) -> String {
    limit.map_or("any number of".to_owned(), |n| n.to_string())
}

fn wider(from: Room, to: Room) -> String {
    match (from, to) {
        (Room::Text { limit, .. }, Room::Text { limit: room, .. }) if limit != room => {
            format!("{} to {} characters", letters(limit), letters(room))
        }
        (Room::Text { unicode: false, .. }, Room::Text { unicode: true, .. }) => {
            "all characters, not those of a code page".into()
        }
        (Room::Text { .. }, Room::Text { .. }) | (Room::Bytes { .. }, Room::Bytes { .. }) => "more room".into(),
        (Room::Whole(..), Room::Whole(..)) => "larger numbers".into(),
        (Room::Decimal(..), Room::Decimal(..)) => "more digits".into(),
        (Room::Day, Room::Moment(..)) => "a time of day besides".into(),
        (Room::Moment(..), Room::Moment(..)) | (Room::Clock(_), Room::Clock(_)) => "finer fractions of a second".into(),
        (_, Room::Text { .. }) => "any text".into(),
        _ => "more values".into(),
    }
}

fn narrower(from: Room, to: Room) -> String {
    let shorter = |from: Option<u32>, to: Option<u32>| to.is_some_and(|to| from.is_none_or(|from| from > to));
    match (from, to) {
        (Room::Text { limit, .. }, Room::Text { limit: room, .. }) if shorter(limit, room) => {
            format!("{} to {} characters", letters(limit), letters(room))
        }
        (Room::Text { unicode: true, .. }, Room::Text { unicode: false, .. }) => {
            "only the characters of a code page".into()
        }
        (Room::Text { .. }, Room::Text { .. }) => "shorter texts are filled up with blanks".into(),
        (Room::Text { .. }, Room::Json) => "only texts that are JSON".into(),
        (Room::Text { .. }, Room::Uuid) => "only texts that are UUIDs".into(),
        (Room::Text { .. }, Room::Xml) => "only texts that are XML".into(),
        (Room::Bytes { limit, .. }, Room::Bytes { limit: room, .. }) if shorter(limit, room) => {
            format!("{} to {} bytes", letters(limit), letters(room))
        }
        (Room::Bytes { .. }, Room::Bytes { .. }) => "shorter values are filled up".into(),
        (Room::Whole(..), Room::Whole(least, _)) if least >= 0 => "no negative and no larger numbers".into(),
        (Room::Whole(..), Room::Whole(..)) => "smaller numbers only".into(),
        (Room::Decimal(digits, scale), Room::Decimal(fewer, coarser)) => match (digits > fewer, scale > coarser) {
            (true, true) => "fewer digits before and behind the point".into(),
            (true, false) => "fewer digits before the point".into(),
            _ => "fewer digits behind the point".into(),
        },
        (Room::Decimal(..), Room::Whole(..)) => "digits behind the point are lost".into(),
        (_, Room::Float(_)) => "numbers become approximate".into(),
        (Room::Moment(..), Room::Day) => "the time of day is lost".into(),
        (Room::Moment(_, true), Room::Moment(_, false)) => "the time zone is lost".into(),
        (Room::Moment(_, false), Room::Moment(_, true)) => "a wall clock is taken for an instant".into(),
        (Room::Moment(..), Room::Moment(..)) | (Room::Clock(_), Room::Clock(_)) => {
            "fractions of a second are lost".into()
        }
        _ => "fewer values".into(),
    }
}

fn different(from: Room, to: Room) -> String {
    match (from, to) {
        (Room::RowVersion, _) | (_, Room::RowVersion) => "a row version means nothing outside its server".into(),
        (Room::Bit, Room::BitString(_)) | (Room::BitString(_), Room::Bit) => {
            "a string of bits, which programs do not take for true and false".into()
        }
        (Room::Uuid, Room::Text { .. }) => format!("a UUID has {UUID_LETTERS} characters"),
        _ => "values of another kind".into(),
    }
}

/// A type that has a length beside its name, for the reader of a difference: whether only the length differs.
pub(crate) fn differs_in_length_only(a: &DataType, b: &DataType) -> bool {
    let bare = |t: &DataType| match t {
        DataType::Char(_) => Some(DataType::Char(0)),
        DataType::NChar(_) => Some(DataType::NChar(0)),
        DataType::Binary(_) => Some(DataType::Binary(0)),
        DataType::VarChar(_) => Some(DataType::VarChar(Length::Max)),
        DataType::NVarChar(_) => Some(DataType::NVarChar(Length::Max)),
        DataType::VarBinary(_) => Some(DataType::VarBinary(Length::Max)),
        _ => None,
    };
    bare(a).is_some() && bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fit(a: (Engine, &str), b: (Engine, &str)) -> Fit {
        judge((a.0, &DataType::parse(a.0, a.1)), (b.0, &DataType::parse(b.0, b.1))).fit
    }

    #[test]
    fn the_type_table_says_who_are_counterparts() {
        let cases = [
            ("bit", "boolean", Fit::Equal),
            ("bit", "bit(1)", Fit::Other),
            ("tinyint", "smallint", Fit::Equal),
            ("int", "integer", Fit::Equal),
            ("int", "bigint", Fit::Wider),
            ("int", "smallint", Fit::Narrower),
            ("decimal(18,2)", "numeric(18,2)", Fit::Equal),
            ("decimal(18,2)", "numeric(18,4)", Fit::Narrower),
            ("decimal(18,2)", "numeric", Fit::Wider),
            ("money", "numeric(19,4)", Fit::Equal),
            ("real", "real", Fit::Equal),
            ("float", "double precision", Fit::Equal),
            ("float", "real", Fit::Narrower),
            ("date", "date", Fit::Equal),
            ("time(7)", "time without time zone", Fit::Equal),
            ("datetime", "timestamp with time zone", Fit::Equal),
            ("smalldatetime", "timestamp without time zone", Fit::Equal),
            ("datetime2(7)", "timestamp without time zone", Fit::Equal),
            ("datetime", "timestamp(0) without time zone", Fit::Narrower),
            ("smalldatetime", "date", Fit::Narrower),
            ("date", "timestamp with time zone", Fit::Wider),
            ("datetimeoffset(7)", "timestamp with time zone", Fit::Equal),
            ("datetimeoffset(7)", "timestamp without time zone", Fit::Narrower),
            ("nvarchar(50)", "character varying(50)", Fit::Equal),
            ("nvarchar(50)", "character varying(12)", Fit::Narrower),
            ("nvarchar(50)", "character varying", Fit::Wider),
            ("varchar(50)", "text", Fit::Wider),
            ("char(1)", "character varying(1)", Fit::Equal),
            ("nchar(1)", "character(1)", Fit::Equal),
            ("nvarchar(max)", "text", Fit::Equal),
            ("ntext", "character varying", Fit::Equal),
            ("nvarchar(max)", "jsonb", Fit::Narrower),
            ("xml", "xml", Fit::Equal),
            ("varbinary(256)", "bytea", Fit::Equal),
            ("image", "bytea", Fit::Equal),
            ("timestamp", "bytea", Fit::Other),
            ("timestamp", "timestamp without time zone", Fit::Other),
            ("uniqueidentifier", "uuid", Fit::Equal),
            ("uniqueidentifier", "character varying(36)", Fit::Equal),
            ("uniqueidentifier", "character varying(50)", Fit::Wider),
            ("uniqueidentifier", "character varying(32)", Fit::Other),
            ("sql_variant", "text", Fit::Equal),
            ("int", "text", Fit::Other),
        ];
        for (legacy, modular, expected) in cases {
            assert_eq!(fit((Engine::Mssql, legacy), (Engine::Postgres, modular)), expected, "{legacy} {modular}");
            let back = fit((Engine::Postgres, modular), (Engine::Mssql, legacy));
            assert_eq!(back == Fit::Equal, expected == Fit::Equal, "{modular} {legacy}");
        }
    }

    #[test]
    fn within_an_engine_a_type_is_what_it_is_called() {
        let cases = [
            (Engine::Mssql, "tinyint", "smallint", Fit::Wider),
            (Engine::Mssql, "nvarchar(12)", "nvarchar(50)", Fit::Wider),
            (Engine::Mssql, "varchar(12)", "nvarchar(12)", Fit::Wider),
            (Engine::Mssql, "nvarchar(12)", "varchar(50)", Fit::Narrower),
            (Engine::Mssql, "ntext", "nvarchar(max)", Fit::Alike),
            (Engine::Mssql, "numeric(9,2)", "decimal(9,2)", Fit::Equal),
            (Engine::Mssql, "rowversion", "timestamp", Fit::Equal),
            (Engine::Mssql, "geography", "geometry", Fit::Other),
            (Engine::Mssql, "char(1)", "varchar(1)", Fit::Wider),
            (Engine::Postgres, "character varying(1)", "character(1)", Fit::Narrower),
            (Engine::Postgres, "character varying", "text", Fit::Alike),
            (Engine::Postgres, "json", "jsonb", Fit::Alike),
            (Engine::Postgres, "timestamp without time zone", "timestamp with time zone", Fit::Narrower),
            (Engine::Postgres, "inet", "inet", Fit::Equal),
            (Engine::Postgres, "character varying(36)", "uuid", Fit::Narrower),
        ];
        for (engine, a, b, expected) in cases {
            assert_eq!(fit((engine, a), (engine, b)), expected, "{a} {b}");
        }
    }

    const TYPES: &[&str] = &[
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "decimal(9,3)",
        "money",
        "real",
        "float",
        "date",
        "time(3)",
        "datetime",
        "smalldatetime",
        "datetime2(7)",
        "datetimeoffset(3)",
        "char(3)",
        "varchar(36)",
        "varchar(max)",
        "nchar(3)",
        "nvarchar(20)",
        "ntext",
        "xml",
        "binary(4)",
        "varbinary(max)",
        "image",
        "timestamp",
        "uniqueidentifier",
        "sql_variant",
        "geography",
        "numeric",
        "jsonb",
        "bytea",
        "text",
        "uuid",
        "timestamp with time zone",
        "boolean",
        "bit(3)",
        "character varying",
    ];

    proptest! {
        #[test]
        fn nobody_is_wider_than_himself_and_wider_there_is_not_wider_back(
            a in proptest::sample::select(TYPES), b in proptest::sample::select(TYPES),
            from in proptest::bool::ANY, to in proptest::bool::ANY,
        ) {
            let engine = |is: bool| if is { Engine::Mssql } else { Engine::Postgres };
            let (from, to) = (engine(from), engine(to));
            prop_assert_eq!(fit((from, a), (from, a)), Fit::Equal);
            let (there, back) = (fit((from, a), (to, b)), fit((to, b), (from, a)));
            prop_assert_eq!(there == Fit::Equal, back == Fit::Equal);
            prop_assert!(there != Fit::Wider || back != Fit::Wider, "{} {}", a, b);
            prop_assert!(there != Fit::Narrower || back != Fit::Equal, "{} {}", a, b);
        }
    }
}
