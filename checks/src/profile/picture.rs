//! What a profile says.

use imis_databases::Consistency;
use imis_schemas::{DataType, TableName};

/// A database, as its values show it. Values are as the database holds them: whoever prints them masks them.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The database, without a password.
    pub location: String,
    /// Its product: `SQL Server`, `PostgreSQL`.
    pub engine: String,
    /// When it began, UTC.
    pub started: jiff::Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What the reader could rely on while others worked.
    pub consistency: Consistency,
    /// How many different values of a column were told apart exactly.
    pub exact: usize,
    /// How many rows a table were looked at, at most; `None` for all.
    pub sample: Option<u64>,
    /// The tables, in the catalogue's order.
    pub tables: Vec<TableProfile>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl Profile {
    /// The columns of all tables that could be read.
    pub fn columns(&self) -> impl Iterator<Item = (&TableProfile, &ColumnProfile)> {
        self.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)))
    }

    /// How many tables could not be read.
    pub fn unread(&self) -> usize {
        self.tables.iter().filter(|table| table.unread.is_some()).count()
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableProfile {
    /// Its name, as the database spells it.
    pub table: TableName,
    /// How many rows the server counts; `None` where it does not say.
    pub rows: Option<u64>,
    /// How many rows were looked at.
    pub read: u64,
    /// Rows that were there and could not be read; the columns say nothing of them.
    pub refused: u64,
    /// Its columns, in the table's order; none where it could not be read.
    pub columns: Vec<ColumnProfile>,
    /// Columns that could not be read, and why.
    pub unread_columns: Vec<(String, String)>,
    /// Why the table could not be read.
    pub unread: Option<String>,
}

impl TableProfile {
    /// Whether only some of its rows were looked at.
    pub fn is_sample(&self) -> bool {
        self.rows.is_some_and(|rows| self.read + self.refused < rows)
    }
}

/// What kind of values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Truth values.
    Truth,
    /// Numbers.
    Number,
    /// Calendar days.
    Day,
    /// Moments: a day and a time.
    Moment,
    /// Times of day.
    Time,
    /// Texts that people wrote.
    Text,
    /// Texts with an inner structure: XML, JSON.
    Document,
    /// UUIDs.
    Uuid,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// The kind of a type.
    pub fn of(data_type: &DataType) -> Kind {
        match data_type {
            DataType::Boolean => Kind::Truth,
            DataType::TinyInt
            | DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::Decimal { .. }
            | DataType::Numeric
            | DataType::Money
            | DataType::SmallMoney
            | DataType::Real
            | DataType::Double => Kind::Number,
            DataType::Date => Kind::Day,
            DataType::DateTime
            | DataType::SmallDateTime
            | DataType::Timestamp(_)
            | DataType::DateTimeOffset(_)
            | DataType::TimestampTz => Kind::Moment,
            DataType::Time(_) => Kind::Time,
            DataType::Xml | DataType::Json | DataType::Jsonb => Kind::Document,
            DataType::Uuid => Kind::Uuid,
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion => Kind::Bytes,
            DataType::BitString(_)
            | DataType::Char(_)
            | DataType::VarChar(_)
            | DataType::Text
            | DataType::NChar(_)
            | DataType::NVarChar(_)
            | DataType::NText
            | DataType::SqlVariant
            | DataType::Other(_) => Kind::Text,
        }
    }

    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Truth => "truth",
            Kind::Number => "number",
            Kind::Day => "day",
            Kind::Moment => "moment",
            Kind::Time => "time",
            Kind::Text => "text",
            Kind::Document => "document",
            Kind::Uuid => "uuid",
            Kind::Bytes => "bytes",
        }
    }
}

/// The part that a column plays in keys, as the catalogue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// It is the primary key.
    Primary,
    /// It belongs to a primary key of several columns.
    PartOfPrimary,
    /// It is unique by a constraint or an index.
    Unique,
    /// It points to this `table.column`.
    Foreign(String),
}

impl KeyRole {
    /// Words for it.
    pub fn words(&self) -> String {
        match self {
            KeyRole::Primary => "primary key".to_owned(),
            KeyRole::PartOfPrimary => "part of the primary key".to_owned(),
            KeyRole::Unique => "unique".to_owned(),
            KeyRole::Foreign(to) => format!("to {to}"),
        }
    }
}

/// How many different values there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distinct {
    /// How many.
    pub number: u64,
    /// Whether they were counted; otherwise they were estimated, which is off by more than 2.5 percent once in a thousand times.
    pub exact: bool,
}

/// Whether a column tells rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// Every row that was read has a value, and each another one.
    Unique,
    /// All but a few values occur once: so many are there again.
    Almost {
        /// Rows whose value another row had before.
        repeated: u64,
    },
    /// There are so many different values that it may be; they were estimated.
    Perhaps,
    /// It does not.
    No,
}

/// How long values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    /// The shortest: characters of a text, bytes otherwise.
    pub min: u64,
    /// On average.
    pub mean: f64,
    /// The longest.
    pub max: u64,
}

/// What is known of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// How many are 0.
    pub zero: u64,
    /// How many are below 0.
    pub negative: u64,
    /// How many are no numbers (NaN).
    pub not_a_number: u64,
    /// Estimates: a quarter of the values is at most the first, half at most the second, three quarters at most the third.
    pub quartiles: Option<[String; 3]>,
}

/// A shape that values have, see [`shape`](super::shape()).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The shape.
    pub shape: String,
    /// How many values have it.
    pub count: u64,
}

/// A frequent value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequent {
    /// The value, as text; at most [`VALUE_CHARS`](super::VALUE_CHARS) characters, then `…`.
    pub value: String,
    /// How many rows have it, or at least so many (see [`ColumnProfile::counts_off_by`]).
    pub count: u64,
}

/// A column.
#[derive(Clone, Debug)]
pub struct ColumnProfile {
    /// Its name, as the database spells it.
    pub column: String,
    /// Its type, as the database spells it.
    pub data_type: String,
    /// What kind of values that means.
    pub kind: Kind,
    /// Its parts in keys.
    pub roles: Vec<KeyRole>,
    /// How many rows were looked at.
    pub rows: u64,
    /// How many of them have NULL.
    pub nulls: u64,
    /// How many texts are empty or of blanks only; `None` where values are no texts.
    pub blank: Option<u64>,
    /// How many different values there are, NULL aside. Texts are told apart to the letter.
    pub distinct: Distinct,
    /// The least value, as text; `None` where there is none, or nothing is less than another (truth values, bytes).
    pub min: Option<String>,
    /// The greatest value.
    pub max: Option<String>,
    /// How long texts and bytes are.
    pub lengths: Option<Lengths>,
    /// For numbers.
    pub numbers: Option<Numbers>,
    /// How many moments have a time of day that is not midnight; `None` where values are no moments.
    pub with_time: Option<u64>,
    /// The most frequent shapes of texts, the most frequent first.
    pub shapes: Vec<Shape>,
    /// How many shapes there are; at least so many where they were too many to count.
    pub shape_count: u64,
    /// The most frequent values, the most frequent first; empty where each occurs once, and for bytes.
    pub top: Vec<Frequent>,
    /// How many rows have the most frequent value, or at least so many.
    pub most: u64,
    /// How much counts of values may be too low; 0 where they are exact.
    pub counts_off_by: u64,
}

impl ColumnProfile {
    /// How many rows have a value.
    pub fn filled(&self) -> u64 {
        self.rows - self.nulls
    }

    /// Whether it tells rows apart. Two rows at least must have a value before that can be said.
    pub fn uniqueness(&self) -> Uniqueness {
        let (filled, distinct) = (self.filled(), self.distinct.number);
        if filled < 2 {
            return Uniqueness::No;
        }
        if self.distinct.exact {
            let repeated = filled - distinct.min(filled);
            return match repeated {
                0 if self.nulls == 0 => Uniqueness::Unique,
                0 => Uniqueness::Almost { repeated },
                // One of a hundred: a key with a few mistakes in it, not a name that happens to be rare.
                _ if filled >= 100 && repeated * 100 <= filled => Uniqueness::Almost { repeated },
                _ => Uniqueness::No,
            };
        }
        // Three standard errors of the estimate.
        if distinct * 1_000 >= filled * 975 { Uniqueness::Perhaps } else { Uniqueness::No }
    }
}
