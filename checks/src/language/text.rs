//! The shapes of the YAML, as they are written.

use std::fmt;

use imis_schemas::document::{Ordered, ShortOr};
use serde::Deserialize;
use serde::de::{
    Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer,
};
use serde_yaml::Spanned;

use crate::outcome::{Kahn, Severity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileText {
    pub(super) pack: Option<String>,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) extends: Several,
    #[serde(default)]
    pub(super) files: Vec<String>,
    #[serde(default)]
    pub(super) parameters: Ordered<ParameterText>,
    #[serde(default)]
    pub(super) off: Ordered<String>,
    #[serde(default)]
    pub(super) checks: Vec<Spanned<RuleText>>,
}

/// A check, or a part of one: which of the two says what is looked at when it is understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuleText {
    pub(super) id: Option<Spanned<String>>,
    pub(super) title: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) kahn: Option<Kahn>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) why: Option<String>,
    pub(super) fix: Option<String>,
    pub(super) source: Option<String>,
    pub(super) parts: Option<Vec<Spanned<RuleText>>>,
    pub(super) table: Option<Spanned<String>>,
    pub(super) for_each: Option<Spanned<EachText>>,
    pub(super) r#where: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) lacks: Vec<Spanned<String>>,
    pub(super) column: Option<Spanned<String>>,
    pub(super) not_null: Option<Spanned<ColumnsOr<NotNullText>>>,
    pub(super) unique: Option<Spanned<ColumnsOr<UniqueText>>>,
    pub(super) references: Option<Spanned<ReferencesText>>,
    pub(super) matches: Option<Spanned<MatchesText>>,
    pub(super) one_of: Option<Spanned<OneOfText>>,
    pub(super) between: Option<Spanned<BetweenText>>,
    pub(super) no_overlap: Option<Spanned<NoOverlapText>>,
    pub(super) no_cycle: Option<Spanned<NoCycleText>>,
    pub(super) row: Option<Spanned<String>>,
    pub(super) query: Option<Spanned<String>>,
    pub(super) similar: Option<Spanned<Scalar>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EachText {
    pub(super) tables_with: Option<Vec<String>>,
    pub(super) columns: Option<String>,
    pub(super) columns_of_type: Option<String>,
    pub(super) foreign_keys: Option<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    #[serde(default)]
    pub(super) and_with: Vec<String>,
    #[serde(default)]
    pub(super) parent_with: Vec<String>,
}

/// Whether something is let through.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Allowed {
    Allowed,
    Refused,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SpellingText {
    Exact,
    Folded,
    Differs,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Only {
    DifferingSpelling,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Counted {
    Counted,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ends {
    Included,
    Excluded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotNullText {
    pub(super) columns: Vec<Spanned<String>>,
    pub(super) blank: Option<Allowed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UniqueText {
    pub(super) columns: Vec<Spanned<String>>,
    pub(super) spelling: Option<SpellingText>,
    pub(super) only: Option<Only>,
    pub(super) blank: Option<Counted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferencesText {
    pub(super) column: Spanned<String>,
    pub(super) to: Several,
    pub(super) r#where: Option<Spanned<String>>,
    pub(super) null: Option<Allowed>,
    pub(super) none: Option<Scalar>,
    pub(super) missing: Option<Allowed>,
    pub(super) spelling: Option<SpellingText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchesText {
    pub(super) column: Spanned<String>,
    pub(super) pattern: Spanned<String>,
    pub(super) null: Option<Allowed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneOfText {
    pub(super) column: Spanned<String>,
    pub(super) values: Spanned<ShortOr<Vec<Scalar>>>,
    pub(super) null: Option<Allowed>,
    pub(super) spelling: Option<SpellingText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BetweenText {
    pub(super) column: Spanned<String>,
    pub(super) min: Option<Spanned<Scalar>>,
    pub(super) max: Option<Spanned<Scalar>>,
    pub(super) null: Option<Allowed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoOverlapText {
    pub(super) by: Vec<Spanned<String>>,
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    pub(super) ends: Option<Ends>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoCycleText {
    pub(super) key: Spanned<String>,
    pub(super) parent: Spanned<String>,
}

/// A value as YAML writes it.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Null,
    Truth(bool),
    Number(String),
    Text(String),
    List(Vec<Scalar>),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, a truth value or a list of them")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Truth(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value.to_string()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Scalar::List)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A parameter: its value, or the value with what it is for.
pub(super) struct ParameterText {
    pub(super) value: Scalar,
    pub(super) kind: Option<String>,
    pub(super) why: Option<String>,
}

impl<'de> Deserialize<'de> for ParameterText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            value: Scalar,
            r#type: Option<String>,
            why: Option<String>,
        }
        struct Either;
        fn short(value: Scalar) -> ParameterText {
            ParameterText { value, kind: None, why: None }
        }
        impl<'de> Visitor<'de> for Either {
            type Value = ParameterText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or { value: ..., why: ... }")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(short(Scalar::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(short(Scalar::Truth(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(short(Scalar::Number(value.to_string())))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(short(Scalar::Number(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(short(Scalar::Number(value.to_string())))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(short(Scalar::Text(value.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(|list| short(Scalar::List(list)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Long { value, r#type, why } = Long::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ParameterText { value, kind: r#type, why })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A text or a list of them, with their places.
#[derive(Default)]
pub(super) struct Several(pub(super) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = Spanned::<ShortOr<Vec<Spanned<String>>>>::deserialize(deserializer)?;
        let (referenced, defined) = (said.referenced, said.defined);
        Ok(Several(match said.value {
            ShortOr::Short(value) => vec![Spanned { value, referenced, defined }],
            ShortOr::Long(list) => list,
        }))
    }
}

/// A column, a list of them, or a mapping with more to say.
pub(super) enum ColumnsOr<T> {
    Column(String),
    Columns(Vec<Spanned<String>>),
    Long(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ColumnsOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = ColumnsOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column, a list of columns, or { columns: [...], ... }")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ColumnsOr::Column(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(ColumnsOr::Columns)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(ColumnsOr::Long)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}
