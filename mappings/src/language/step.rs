//! Keys, uniques and repairs: from what is written to what is meant.

use std::sync::Arc;

use imis_schemas::document::{Located, Place, Plain, ShortOr, SourceFile, located, place_of};
use serde_yaml::Spanned;

use super::error::MappingError;
use super::model::{KeyRule, Repair, Repeated, Step, UniqueRule};
use super::text::{KeyText, RepeatedText, RuleText, StepText, StepsText, UniqueLong, UniqueText};

const WORDS: [&str; 4] = ["spelling", "null", "reject", "keep"];
const FIELDS: [&str; 4] = ["repair", "value", "name", "null"];
const STEPS: &str = "Steps are spelling, \"null\", reject, keep, { repair: RULE }, { value: ..., name: ... } and { \"null\": CONDITION }.";

/// Where TABLE.COLUMN stands, as its two names.
fn column_of(
    file: &Arc<SourceFile>,
    said: &Spanned<String>,
    field: &str,
) -> Result<Located<(String, String)>, MappingError> {
    let place = place_of(file, said, said.value.len());
    let Some((table, column)) = said.value.rsplit_once('.') else {
        return Err(MappingError::at(&place, format!("`{}` names no column", said.value))
            .with_help(format!("Write `{field}: TABLE.COLUMN`.")));
    };
    Ok(Located { value: (table.to_owned(), column.to_owned()), place })
}

pub(super) fn key(file: &Arc<SourceFile>, text: KeyText) -> Result<KeyRule, MappingError> {
    let to = column_of(file, &text.to, "to")?;
    let place = place_of(file, &text.broken, 1);
    let broken = match text.broken.value {
        StepsText::One(step) => vec![one_step(file, place.clone(), step)?],
        StepsText::Several(steps) => steps
            .into_iter()
            .map(|said| one_step(file, place_of(file, &said, 1), said.value))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if broken.is_empty() {
        return Err(MappingError::at(&place, "nothing is said of a row whose key names nothing").with_help(STEPS));
    }
    Ok(KeyRule { to, broken, why: text.why })
}

fn one_step(file: &Arc<SourceFile>, place: Place, text: StepText) -> Result<Located<Step>, MappingError> {
    let step = match text {
        StepText::Word(word) => match word.as_str() {
            "spelling" => Step::Spelling,
            "null" => Step::Null(None),
            "reject" => Step::Reject,
            "keep" => Step::Keep,
            other => {
                let place = Place { length: other.len(), ..place };
                let unknown =
                    MappingError::at(&place, format!("`{other}` is no step for a broken key")).with_help(STEPS);
                return Err(unknown.suggest(other, WORDS));
            }
        },
        StepText::Long(fields) => {
            let mut said: [Option<String>; 4] = Default::default();
            for (field, Plain(value)) in fields {
                let at = FIELDS.iter().position(|known| *known == field.value);
                match at.and_then(|at| said.get_mut(at)) {
                    Some(slot) => *slot = Some(value),
                    None => {
                        let field = located(file, &field);
                        return Err(MappingError::at(&field.place, format!("a step has no `{}`", field.value))
                            .with_help(STEPS)
                            .suggest(&field.value, FIELDS));
                    }
                }
            }
            match said {
                [Some(rule), None, None, None] => Step::Repair(rule),
                [None, Some(value), Some(name), None] => Step::Value { value, name },
                [None, None, None, Some(condition)] => Step::Null(Some(condition)),
                [None, Some(_), None, None] => {
                    return Err(MappingError::at(
                        &place,
                        "a value that a step gives needs a name, under which it is counted",
                    )
                    .with_help("Write { value: ..., name: NAME }."));
                }
                _ => return Err(MappingError::at(&place, "this is not one step").with_help(STEPS)),
            }
        }
    };
    Ok(Located { value: step, place })
}

pub(super) fn unique(file: &Arc<SourceFile>, said: Spanned<UniqueText>) -> Result<UniqueRule, MappingError> {
    let place = place_of(file, &said, 1);
    let UniqueLong { columns, repeated, first, why } = match said.value {
        UniqueText::Short(columns) => UniqueLong { columns, repeated: None, first: None, why: None },
        UniqueText::Long(long) => *long,
    };
    if columns.is_empty() {
        return Err(MappingError::at(&place, "a unique needs a column"));
    }
    let repeated = match repeated {
        None => Located { value: Repeated::Reject, place },
        Some(said) => {
            let place = place_of(file, &said, 1);
            let value = match said.value {
                ShortOr::Short(word) => match word.as_str() {
                    "reject" => Repeated::Reject,
                    "keep" => Repeated::Keep,
                    other => {
                        let place = Place { length: other.len(), ..place };
                        return Err(MappingError::at(&place, format!("`{other}` is no policy for repeated values"))
                            .with_help("Write reject, keep, { repair: RULE } or { value: ..., name: ... }.")
                            .suggest(other, ["reject", "keep"]));
                    }
                },
                ShortOr::Long(RepeatedText { repair: Some(rule), column: None, value: None, name: None }) => {
                    Repeated::Repair(rule)
                }
                ShortOr::Long(RepeatedText { repair: None, column, value: Some(Plain(value)), name: Some(name) }) => {
                    Repeated::Value { column, value, name }
                }
                ShortOr::Long(_) => {
                    return Err(MappingError::at(&place, "this is no policy for repeated values").with_help(
                        "Write { repair: RULE }, or { value: ..., name: NAME }, with `column` where there are several.",
                    ));
                }
            };
            Located { value, place }
        }
    };
    Ok(UniqueRule {
        columns: columns.iter().map(|name| located(file, name)).collect(),
        repeated,
        first: first.as_ref().map(|condition| located(file, condition)),
        why,
    })
}

pub(super) fn repair(file: &Arc<SourceFile>, rule: Located<String>, text: RuleText) -> Result<Repair, MappingError> {
    let (Some(of), Some(name), Some(query)) = (&text.repair, text.name, &text.query) else {
        return Err(MappingError::at(
            &rule.place,
            format!("repair `{}` says no `repair`, no `name` or no `query`", rule.value),
        )
        .with_help("Write { repair: TABLE.COLUMN, name: NAME, query: ..., why: ... }."));
    };
    if text.from.is_some() || text.to.is_some() {
        return Err(MappingError::at(
            &rule.place,
            format!("rule `{}` is a repair and a rule with `from` or `to` at once", rule.value),
        )
        .with_help("Write two rules."));
    }
    Ok(Repair {
        of: column_of(file, of, "repair")?,
        name,
        query: located(file, query),
        why: text.why,
        of_base: false,
        rule,
    })
}

impl UniqueRule {
    /// Whether it is about the same columns.
    pub(super) fn same_columns(&self, other: &UniqueRule) -> bool {
        let of = |unique: &UniqueRule| {
            let mut names: Vec<String> = unique.columns.iter().map(|c| c.value.to_lowercase()).collect();
            names.sort();
            names
        };
        of(self) == of(other)
    }
}
