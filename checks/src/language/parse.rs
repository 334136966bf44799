//! From what is written to what is meant, with a complaint for whatever is not understood.

use std::sync::Arc;

use imis_schemas::document::{Located, Place, ShortOr, SourceFile, located, place_of, place_of_text};
use serde_yaml::Spanned;

use super::CheckError;
use super::model::{Check, Each, ForEach, Kind, Part, Scope, Spelling, Target, Values};
use super::parameter::{Parameter, Value};
use super::text::{
    Allowed, ColumnsOr, EachText, Ends, NotNullText, ParameterText, RuleText, Scalar, SpellingText, UniqueText,
};
use crate::outcome::{About, Kahn, Severity};

const KINDS: &str =
    "The kinds are not-null, unique, references, matches, one-of, between, no-overlap, no-cycle, row and query.";

/// SQL or a pattern, placed at its first word rather than at its quote.
fn sql(file: &Arc<SourceFile>, said: &Spanned<String>) -> Located<String> {
    let scalar = place_of(file, said, said.value.len().max(1));
    Located { place: place_of_text(file, scalar, &said.value), value: said.value.trim().to_owned() }
}

impl Scalar {
    pub(super) fn value(&self) -> Value {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Truth(truth) => Value::Truth(*truth),
            Scalar::Number(number) => Value::Number(number.clone()),
            Scalar::Text(text) => Value::Text(text.clone()),
            Scalar::List(list) => Value::List(list.iter().map(Scalar::value).collect()),
        }
    }
}

/// A parameter. A text that looks like a day is one, unless its type is said.
pub(super) fn parameter(
    file: &Arc<SourceFile>,
    name: &Spanned<String>,
    text: &ParameterText,
) -> Result<Parameter, CheckError> {
    let name = located(file, name);
    let value = text.value.value();
    let text_type = text.kind.as_deref();
    let wrong = |what: &str| {
        Err(CheckError::at(&name.place, format!("the parameter `{}` is no {what}", name.value))
            .with_help("Types are text, number, date, truth; without one it is guessed."))
    };
    let day = |text: &str| text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10);
    let value = match (text.kind.as_deref(), value) {
        (_, Value::Null) => Value::Null,
        (Some("text"), Value::Number(text)) => Value::Text(text),
        (Some("text"), value) => value,
        (Some("number"), value @ Value::Number(_)) => value,
        (Some("truth"), value @ Value::Truth(_)) => value,
        (None | Some("date"), Value::Text(text)) => match (day(&text), text_type) {
            (Some(day), _) => Value::Date(day),
            (None, Some(_)) => return wrong("date"),
            (None, None) => Value::Text(text),
        },
        (None, value) => value,
        (Some(kind @ ("number" | "truth" | "date")), _) => return wrong(kind),
        (Some(_), _) => return wrong("type that is known"),
    };
    Ok(Parameter { name, value, why: text.why.clone().unwrap_or_default() })
}

/// What an overlay or a pack says of one check: all of a new one, or what changes in a known one.
pub(super) fn check(
    file: &Arc<SourceFile>,
    pack: &str,
    said: Spanned<RuleText>,
    known: Option<&Check>,
) -> Result<Check, CheckError> {
    let place = place_of(file, &said, 1);
    let mut text = said.value;
    let Some(id) = text.id.take() else {
        return Err(
            CheckError::at(&place, "a check has no `id`").with_help("Write `id: NAME`, unique among all packs.")
        );
    };
    let id = located(file, &id);
    let lacks = |what: &str| {
        CheckError::at(&id.place, format!("the check {} does not say `{what}`", id.value)).with_label("this one")
    };
    let wording =
        |own: Option<String>, known: Option<&String>| own.map(|t| t.trim().to_owned()).or_else(|| known.cloned());
    let base = known.map(|check| &check.about);
    let about = About {
        id: id.value.clone(),
        pack: base.map_or_else(|| pack.to_owned(), |b| b.pack.clone()),
        title: wording(text.title.take(), base.map(|b| &b.title)).ok_or_else(|| lacks("title"))?,
        severity: text.severity.take().or(base.map(|b| b.severity)).ok_or_else(|| lacks("severity"))?,
        kahn: text.kahn.take().or(base.map(|b| b.kahn)).unwrap_or(Kahn::Conformance),
        why: wording(text.why.take(), base.map(|b| &b.why)).unwrap_or_default(),
        fix: wording(text.fix.take(), base.map(|b| &b.fix)).unwrap_or_default(),
        source: wording(text.source.take(), base.map(|b| &b.source)).unwrap_or_default(),
        tags: text.tags.take().or_else(|| base.map(|b| b.tags.clone())).unwrap_or_default(),
    };
    let parts = match text.parts.take() {
        Some(parts) => {
            if text.table.is_some() || text.for_each.is_some() || kinds(&text) > 0 {
                return Err(CheckError::at(
                    &id.place,
                    format!("the check {} has parts and says more beside them", id.value),
                )
                .with_help("What is looked for stands in the parts: table, where, column and the kind."));
            }
            if parts.is_empty() {
                return Err(lacks("parts"));
            }
            parts.into_iter().map(|said| own_part(file, said)).collect::<Result<Vec<_>, _>>()?
        }
        None => match known {
            // Only words and weight change; or the condition of its only part.
            Some(base) if kinds(&text) == 0 && text.table.is_none() && text.for_each.is_none() => {
                let mut parts = base.parts.clone();
                if let Some(condition) = &text.r#where {
                    let [only] = parts.as_mut_slice() else {
                        return Err(CheckError::at(
                            &id.place,
                            format!("{} has several parts: which `where` is meant?", id.value),
                        )
                        .with_help("Write its `parts` anew."));
                    };
                    only.condition = Some(sql(file, condition));
                }
                // A severity of the check's own beats those of its parts.
                if about.severity != base.about.severity {
                    parts.iter_mut().for_each(|part| part.severity = None);
                }
                parts
            }
            _ => vec![part(file, &id.place, text)?],
        },
    };
    Ok(Check { about, place: id.place, parts })
}

fn own_part(file: &Arc<SourceFile>, said: Spanned<RuleText>) -> Result<Part, CheckError> {
    let place = place_of(file, &said, 1);
    let text = said.value;
    let foreign = [
        ("id", text.id.is_some()),
        ("kahn", text.kahn.is_some()),
        ("tags", text.tags.is_some()),
        ("why", text.why.is_some()),
        ("fix", text.fix.is_some()),
        ("source", text.source.is_some()),
        ("parts", text.parts.is_some()),
    ];
    if let Some((word, _)) = foreign.iter().find(|(_, there)| *there) {
        return Err(CheckError::at(&place, format!("`{word}` belongs to the check, not to a part of it")));
    }
    part(file, &place, text)
}

fn kinds(text: &RuleText) -> usize {
    let there = [
        text.not_null.is_some(),
        text.unique.is_some(),
        text.references.is_some(),
        text.matches.is_some(),
        text.one_of.is_some(),
        text.between.is_some(),
        text.no_overlap.is_some(),
        text.no_cycle.is_some(),
        text.row.is_some(),
        text.query.is_some(),
        text.similar.is_some(),
    ];
    there.iter().filter(|there| **there).count()
}

fn part(file: &Arc<SourceFile>, place: &Place, text: RuleText) -> Result<Part, CheckError> {
    match kinds(&text) {
        1 => {}
        0 => return Err(CheckError::at(place, "nothing says what is looked for").with_help(KINDS)),
        _ => {
            return Err(CheckError::at(place, "two kinds stand side by side")
                .with_help("Each part has one kind; write several under `parts`."));
        }
    }
    let scope = match (&text.table, &text.for_each) {
        (Some(table), None) => Scope::Table(located(file, table)),
        (None, Some(each)) => Scope::ForEach(for_each(place_of(file, each, 1), &each.value)?),
        _ => {
            return Err(CheckError::at(place, "a part looks into one `table`, or `for-each` of several")
                .with_help("Write `table: NAME`."));
        }
    };
    if let (Some(_), Some(condition)) = (&text.query, &text.r#where) {
        let place = place_of(file, condition, condition.value.len());
        return Err(CheckError::at(&place, "a query chooses its rows itself")
            .with_label("would not be looked at")
            .with_help("Write the condition into the query."));
    }
    Ok(Part {
        what: text.title.as_deref().map(str::trim).unwrap_or_default().to_owned(),
        severity: text.severity,
        condition: text.r#where.as_ref().map(|said| sql(file, said)),
        lacks: text.lacks.iter().map(|said| located(file, said)).collect(),
        column: text.column.as_ref().map(|said| located(file, said)),
        kind: kind(file, text)?,
        scope,
        place: place.clone(),
    })
}

fn for_each(place: Place, text: &EachText) -> Result<ForEach, CheckError> {
    let said = [
        text.tables_with.is_some(),
        text.columns.is_some(),
        text.columns_of_type.is_some(),
        text.foreign_keys.is_some(),
    ];
    let one = "Write one of tables-with, columns, columns-of-type and foreign-keys.";
    if said.iter().filter(|there| **there).count() != 1 {
        return Err(CheckError::at(&place, "`for-each` does not say what there is a part for").with_help(one));
    }
    let each = if let Some(columns) = &text.tables_with {
        Each::TablesWith(columns.clone())
    } else if let Some(pattern) = &text.columns {
        Each::Columns(pattern.clone())
    } else if let Some(data_type) = &text.columns_of_type {
        if data_type != "text" {
            return Err(CheckError::at(
                &place.within(data_type),
                format!("there are no columns of type `{data_type}` to be had"),
            )
            .with_help("Only `columns-of-type: text` is known."));
        }
        Each::TextColumns
    } else {
        match text.foreign_keys.as_deref().unwrap_or_default() {
            "all" => Each::ForeignKeys { untrusted: false },
            "untrusted" => Each::ForeignKeys { untrusted: true },
            other => {
                return Err(CheckError::at(&place.within(other), format!("`{other}` is no choice of foreign keys"))
                    .with_help("Write all or untrusted."));
            }
        }
    };
    Ok(ForEach {
        each,
        except: text.except.clone(),
        and_with: text.and_with.clone(),
        parent_with: text.parent_with.clone(),
        place,
    })
}

fn kind(file: &Arc<SourceFile>, text: RuleText) -> Result<Kind, CheckError> {
    let names = |list: &[Spanned<String>]| list.iter().map(|name| located(file, name)).collect::<Vec<_>>();
    let refused = |said: Option<Allowed>| said == Some(Allowed::Refused);
    if let Some(said) = text.not_null {
        let at = place_of(file, &said, 1);
        return Ok(match said.value {
            ColumnsOr::Column(name) => Kind::NotNull { columns: vec![one(&at, name)], blank: false },
            ColumnsOr::Columns(list) => Kind::NotNull { columns: names(&list), blank: false },
            ColumnsOr::Long(NotNullText { columns, blank }) => {
                Kind::NotNull { columns: names(&columns), blank: refused(blank) }
            }
        });
    }
    if let Some(said) = text.unique {
        let at = place_of(file, &said, 1);
        return Ok(match said.value {
            ColumnsOr::Column(name) => {
                Kind::Unique { columns: vec![one(&at, name)], spelling: Spelling::Exact, blank: false }
            }
            ColumnsOr::Columns(list) => Kind::Unique { columns: names(&list), spelling: Spelling::Exact, blank: false },
            ColumnsOr::Long(UniqueText { columns, spelling, only, blank }) => Kind::Unique {
                columns: names(&columns),
                spelling: if only.is_some() { Spelling::Differs } else { self::spelling(spelling) },
                blank: blank.is_some(),
            },
        });
    }
    if let Some(said) = text.references {
        let at = place_of(file, &said, 1);
        let said = said.value;
        let targets = said.to.0.iter().map(|to| target(file, to)).collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(CheckError::at(&at, "it does not say where the value must be found")
                .with_help("Write `to: TABLE.COLUMN`."));
        }
        return Ok(Kind::References {
            column: located(file, &said.column),
            to: targets,
            condition: said.r#where.as_ref().map(|said| sql(file, said)),
            null_refused: refused(said.null),
            none: said.none.map(|none| none.value()),
            missing_allowed: said.missing == Some(Allowed::Allowed),
            spelling: spelling(said.spelling),
        });
    }
    if let Some(said) = text.matches {
        let said = said.value;
        return Ok(Kind::Matches {
            column: located(file, &said.column),
            pattern: sql(file, &said.pattern),
            null_refused: refused(said.null),
        });
    }
    if let Some(said) = text.one_of {
        let said = said.value;
        let values = match &said.values.value {
            ShortOr::Short(text) => Values::Parameter(Located {
                place: place_of_text(file, place_of(file, &said.values, text.len()), text),
                value: text.clone(),
            }),
            ShortOr::Long(list) => Values::List(list.iter().map(Scalar::value).collect()),
        };
        return Ok(Kind::OneOf {
            column: located(file, &said.column),
            values,
            null_refused: refused(said.null),
            folded: spelling(said.spelling) == Spelling::Folded,
        });
    }
    if let Some(said) = text.between {
        let at = place_of(file, &said, 1);
        let said = said.value;
        let bound = |bound: &Option<Spanned<Scalar>>| {
            bound.as_ref().map(|bound| {
                let text = bound.value.value().to_string();
                let scalar = place_of(file, bound, text.len().max(1));
                Located { place: place_of_text(file, scalar, &text), value: text }
            })
        };
        if said.min.is_none() && said.max.is_none() {
            return Err(CheckError::at(&at, "`between` has neither `min` nor `max`"));
        }
        return Ok(Kind::Between {
            column: located(file, &said.column),
            min: bound(&said.min),
            max: bound(&said.max),
            null_refused: refused(said.null),
        });
    }
    if let Some(said) = text.no_overlap {
        let said = said.value;
        return Ok(Kind::NoOverlap {
            by: names(&said.by),
            from: located(file, &said.from),
            to: located(file, &said.to),
            ends_included: said.ends != Some(Ends::Excluded),
        });
    }
    if let Some(said) = text.no_cycle {
        let said = said.value;
        return Ok(Kind::NoCycle { key: located(file, &said.key), parent: located(file, &said.parent) });
    }
    if let Some(said) = &text.row {
        return Ok(Kind::Row(sql(file, said)));
    }
    if let Some(said) = &text.query {
        return Ok(Kind::Query(sql(file, said)));
    }
    let at = text.similar.as_ref().map(|said| place_of(file, said, 1));
    let error = CheckError::general("checks of the kind `similar` cannot be carried out yet").with_help(KINDS);
    Err(CheckError { place: at, ..error })
}

fn one(place: &Place, name: String) -> Located<String> {
    Located { place: Place { length: name.len(), ..place.clone() }, value: name }
}

fn spelling(said: Option<SpellingText>) -> Spelling {
    match said {
        None | Some(SpellingText::Exact) => Spelling::Exact,
        Some(SpellingText::Folded) => Spelling::Folded,
        Some(SpellingText::Differs) => Spelling::Differs,
    }
}

fn target(file: &Arc<SourceFile>, said: &Spanned<String>) -> Result<Target, CheckError> {
    let place = place_of(file, said, said.value.len());
    match said.value.rsplit_once('.') {
        Some((table, column)) if !table.is_empty() && !column.is_empty() => {
            Ok(Target { table: table.to_owned(), column: column.to_owned(), place })
        }
        _ => {
            Err(CheckError::at(&place, "a value is looked for in a column of a table").with_help("Write TABLE.COLUMN."))
        }
    }
}

/// The severity of a word; used by the command line, too.
impl std::str::FromStr for Severity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Severity::Info, Severity::Warning, Severity::Error, Severity::Blocker];
        all.into_iter().find(|s| s.word() == text).ok_or_else(|| format!("`{text}` is no severity"))
    }
}
