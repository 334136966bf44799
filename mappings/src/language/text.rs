//! The shapes of the YAML, as they are written.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer,
};
use serde_yaml::Spanned;

use imis_schemas::document::{Ordered, Plain, ShortOr};

use super::model::Misfit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileText {
    pub(super) mapping: Option<String>,
    pub(super) extends: Option<Spanned<String>>,
    pub(super) title: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
    pub(super) migrated: Option<bool>,
    pub(super) complete: Option<String>,
    pub(super) completes: Option<String>,
    #[serde(default)]
    pub(super) drop_rules: Vec<Spanned<String>>,
    pub(super) keep_rules: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) loosen: Ordered<LoosenText>,
    pub(super) reference: Option<String>,
    #[serde(default)]
    pub(super) unused: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) leave_tables: Ordered<String>,
    #[serde(default)]
    pub(super) migrations: Ordered<super::migrations::ModuleText>,
    #[serde(default)]
    pub(super) absent_tables: Ordered<String>,
    #[serde(default)]
    pub(super) rules: Ordered<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoosenText {
    pub(super) length: Option<u32>,
    #[serde(default)]
    pub(super) nullable: bool,
    #[expect(dead_code, reason = "for the reader of the file")]
    pub(super) why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuleText {
    pub(super) from: Option<Spanned<ShortOr<OriginText>>>,
    pub(super) to: Option<Spanned<String>>,
    pub(super) repair: Option<Spanned<String>>,
    pub(super) name: Option<String>,
    pub(super) query: Option<Spanned<String>>,
    pub(super) after: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) optional_target: bool,
    pub(super) when_missing_table: Option<String>,
    #[serde(default)]
    pub(super) columns: Ordered<Spanned<ShortOr<ColumnText>>>,
    #[serde(default)]
    pub(super) leave: Ordered<String>,
    #[serde(default)]
    pub(super) leave_if_absent: Ordered<String>,
    #[serde(default)]
    pub(super) absent: Ordered<String>,
    pub(super) r#where: Option<FilterText>,
    pub(super) existing: Option<Spanned<ShortOr<ExistingText>>>,
    #[serde(default)]
    pub(super) keys: Ordered<KeyText>,
    #[serde(default)]
    pub(super) drop_keys: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) uniques: Vec<Spanned<UniqueText>>,
    pub(super) note: Option<String>,
    pub(super) tell: Option<TellText>,
    pub(super) why: Option<String>,
}

pub(super) enum OriginText {
    Tables(Vec<String>),
    Query { table: Option<String>, query: String },
}

impl<'de> Deserialize<'de> for OriginText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct QueryText {
            table: Option<String>,
            query: String,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OriginText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, a list of tables, or a query")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let QueryText { table, query } = QueryText::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OriginText::Query { table, query })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OriginText::Tables)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ColumnText {
    pub(super) value: Option<Spanned<Plain>>,
    pub(super) when_missing: Option<Spanned<Plain>>,
    pub(super) when_null: Option<WhenNullText>,
    pub(super) why: Option<String>,
    pub(super) loses: Option<ShortOr<Vec<String>>>,
    pub(super) too_long: Option<Misfit>,
    pub(super) out_of_range: Option<Misfit>,
    pub(super) if_in_target: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenNullText {
    pub(super) value: Plain,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterText {
    pub(super) keep: Spanned<String>,
    pub(super) name: String,
    pub(super) why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TellText {
    pub(super) query: Spanned<String>,
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExistingText {
    pub(super) merge: Option<Vec<String>>,
    #[serde(default)]
    pub(super) preserve: Vec<String>,
    pub(super) keep: Option<Vec<String>>,
    pub(super) update: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyText {
    pub(super) to: Spanned<String>,
    pub(super) broken: Spanned<StepsText>,
    pub(super) why: Option<String>,
}

/// One step, or several in their order.
pub(super) enum StepsText {
    One(StepText),
    Several(Vec<Spanned<StepText>>),
}

/// A step as a word, or with what it needs.
pub(super) enum StepText {
    Word(String),
    Long(Vec<(Spanned<String>, Plain)>),
}

impl<'de> Deserialize<'de> for StepsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Steps;
        impl<'de> Visitor<'de> for Steps {
            type Value = StepsText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step or a list of steps (`\"null\"` needs its quotes)")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StepsText::One(StepText::Word(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ordered::deserialize(MapAccessDeserializer::new(map)).map(|said| StepsText::One(StepText::Long(said.0)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(StepsText::Several)
            }
        }
        deserializer.deserialize_any(Steps)
    }
}

impl<'de> Deserialize<'de> for StepText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Step;
        impl<'de> Visitor<'de> for Step {
            type Value = StepText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step: spelling, \"null\" (with its quotes), reject, keep, { repair: RULE } or { value: ..., name: ... }")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StepText::Word(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ordered::deserialize(MapAccessDeserializer::new(map)).map(|said| StepText::Long(said.0))
            }
        }
        deserializer.deserialize_any(Step)
    }
}

/// A unique as the list of its columns, or with what becomes of repeats.
pub(super) enum UniqueText {
    Short(Vec<Spanned<String>>),
    Long(Box<UniqueLong>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UniqueLong {
    pub(super) columns: Vec<Spanned<String>>,
    pub(super) repeated: Option<Spanned<ShortOr<RepeatedText>>>,
    pub(super) first: Option<Spanned<String>>,
    pub(super) why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepeatedText {
    pub(super) repair: Option<String>,
    pub(super) column: Option<String>,
    pub(super) value: Option<Plain>,
    pub(super) name: Option<String>,
}

impl<'de> Deserialize<'de> for UniqueText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = UniqueText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of columns, or { columns: [...], repeated: ... }")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                UniqueLong::deserialize(MapAccessDeserializer::new(map)).map(|long| UniqueText::Long(Box::new(long)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(UniqueText::Short)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
