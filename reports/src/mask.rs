//! Which values of a row people may see.
//!
//! Surrogate keys (whole numbers, UUIDs) are shown: support finds the row by them. Everything else is a person's or a
//! country's business and masked unless it was asked for. Secrets are never shown, whatever was asked for.

use std::borrow::Cow;
use std::fmt;

use imis_databases::secret::is_secret_column;

/// What stands in the place of a masked value.
pub const STARS: &str = "***";

/// Whether values that are not surrogate keys were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// They are masked.
    #[default]
    Masked,
    /// They are shown (`--show-values`); secrets are not.
    Shown,
}

/// A value as people may see it. It prints as stars or as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskedOrShown {
    /// Nobody sees it.
    Masked,
    /// The value.
    Shown(String),
}

impl fmt::Display for MaskedOrShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaskedOrShown::Masked => f.write_str(STARS),
            MaskedOrShown::Shown(value) => f.write_str(value),
        }
    }
}

/// Ends of names of columns that hold what people call a thing by. Their values are masked even where they look like a
/// surrogate key: an insurance number is all digits.
const NATURAL: &[&str] = &["chfid", "code", "number", "passport", "phone", "email", "login", "loginname"];

/// Parts of names of columns in which people and free words stand. Their texts are masked even where they are few.
const PERSONAL: &[&str] = &[
    "name",
    "address",
    "phone",
    "mobile",
    "email",
    "mail",
    "passport",
    "birth",
    "photo",
    "picture",
    "signature",
    "remark",
    "comment",
    "note",
    "explan",
    "descri",
    "text",
    "message",
    "json",
    "adjustment",
    "answer",
    "login",
    "user",
    "contact",
    "path",
    "url",
    "title",
    "account",
    "bank",
];

/// Parts of names of columns that say where somebody lives, in numbers or texts.
const PLACES: &[&str] = &["geo", "latitude", "longitude"];

/// How many rows must share a value before it is shown as one of a short list, or as a frequent number or date.
const SHARED: u64 = 5;
/// A value as short as a code is shown even where fewer rows share it.
const CODE: usize = 4;

/// Whether people call a thing by the values of this column, or they are secrets.
pub fn is_natural(column: &str) -> bool {
    let name = column.to_lowercase();
    is_secret_column(column) || NATURAL.iter().any(|end| name.ends_with(end))
}

/// Whether numbers and dates of a column say something about an amount or a time, not who or where somebody is.
fn is_plain(column: &str) -> bool {
    let name = column.to_lowercase();
    !is_natural(column) && !PLACES.iter().any(|part| name.contains(part))
}

/// A value of a short list of codes that so many rows share. A word that only a few rows have may be a person's, and so may any
/// word in a column for names or free words.
pub fn code(column: &str, value: &str, rows: u64, values: Values) -> MaskedOrShown {
    let name = column.to_lowercase();
    let may_be = is_plain(column) && !PERSONAL.iter().any(|part| name.contains(part));
    if may_be && (rows >= SHARED || value.chars().count() <= CODE) {
        return MaskedOrShown::Shown(value.to_owned());
    }
    self::value(column, value, values)
}

/// A number or a date that so many rows share.
pub fn shared(column: &str, value: &str, rows: u64, values: Values) -> MaskedOrShown {
    if rows >= SHARED { bound(column, value, values) } else { self::value(column, value, values) }
}

/// The least or greatest number or date of a column.
pub fn bound(column: &str, value: &str, values: Values) -> MaskedOrShown {
    if is_plain(column) { MaskedOrShown::Shown(value.to_owned()) } else { self::value(column, value, values) }
}

/// A value of any column.
pub fn value(column: &str, value: &str, values: Values) -> MaskedOrShown {
    if !is_secret_column(column) && values == Values::Shown {
        MaskedOrShown::Shown(value.to_owned())
    } else {
        MaskedOrShown::Masked
    }
}

/// A value of a key column.
pub fn key_value(column: &str, value: &str, values: Values) -> MaskedOrShown {
    if Guard::of(column, values).lets(value) { MaskedOrShown::Shown(value.to_owned()) } else { MaskedOrShown::Masked }
}

/// What of a key column people may see, found out once for all of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    All,
    Surrogates,
    Nothing,
}

impl Guard {
    fn of(column: &str, values: Values) -> Self {
        if is_secret_column(column) {
            return Guard::Nothing;
        }
        match values {
            Values::Shown => Guard::All,
            Values::Masked if is_natural(column) => Guard::Nothing,
            Values::Masked => Guard::Surrogates,
        }
    }

    fn lets(self, value: &str) -> bool {
        match self {
            Guard::All => true,
            Guard::Surrogates => is_surrogate(value),
            Guard::Nothing => false,
        }
    }
}

/// Masks the keys of many rows that are written as one text each: the value where the key is one column, else a JSON object.
#[derive(Clone, Debug)]
pub struct KeyMask {
    one: Option<Guard>,
    values: Values,
}

impl KeyMask {
    /// For a key of these columns.
    pub fn new(columns: &[String], values: Values) -> Self {
        let one = match columns {
            [column] => Some(Guard::of(column, values)),
            _ => None,
        };
        KeyMask { one, values }
    }

    /// The key as people may see it; borrowed where nothing had to be masked.
    pub fn key<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.one {
            Some(guard) if guard.lets(text) => Cow::Borrowed(text),
            Some(_) => Cow::Borrowed(STARS),
            None => self.object(text),
        }
    }

    fn object<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Ok(mut pairs) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) else {
            return Cow::Borrowed(STARS);
        };
        let mut masked = false;
        for (column, value) in &mut pairs {
            let shown = match &*value {
                serde_json::Value::Null => true,
                serde_json::Value::String(value) => Guard::of(column, self.values).lets(value),
                other => Guard::of(column, self.values).lets(&other.to_string()),
            };
            if !shown {
                (masked, *value) = (true, STARS.into());
            }
        }
        if masked { Cow::Owned(serde_json::Value::Object(pairs).to_string()) } else { Cow::Borrowed(text) }
    }

    /// Whether of a key that is written so a part is masked: it names no row then.
    pub fn is_masked(text: &str) -> bool {
        text == STARS || (text.starts_with('{') && text.contains(":\"***\""))
    }
}

/// A row's key for people: `ClaimID 12`, `RoleID 3, Code ***`.
pub fn key(key: &[(String, String)], values: Values) -> String {
    let parts: Vec<String> =
        key.iter().map(|(column, value)| format!("{column} {}", key_value(column, value, values))).collect();
    parts.join(", ")
}

/// A row's key as JSON, `{"ClaimID":"12"}`, in the order of its columns.
pub fn key_json(key: &[(String, String)], values: Values) -> String {
    let pairs = key.iter().map(|(column, value)| (column.clone(), key_value(column, value, values).to_string().into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

/// A whole number as a database prints it, or a UUID. A leading zero makes a code.
fn is_surrogate(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let whole = value == "0" || (!digits.starts_with('0') && value.parse::<i64>().is_ok() && !value.starts_with('+'));
    let dash = |place: usize| matches!(place, 8 | 13 | 18 | 23);
    let uuid = value.len() == 36
        && value.bytes().enumerate().all(|(i, b)| if dash(i) { b == b'-' } else { b.is_ascii_hexdigit() });
    whole || uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogate_keys_are_shown_and_the_rest_is_not() {
        let uuid = "3F2504E0-4f89-11d3-9a0c-0305e82c3301";
        for (column, value, masked, shown) in [
            ("ClaimID", "12", "12", "12"),
            ("ClaimID", "-12", "-12", "-12"),
            ("id", "0", "0", "0"),
            ("ClaimUUID", uuid, uuid, uuid),
            ("id", "007", "***", "007"),
            ("id", "+7", "***", "+7"),
            ("id", "1.5", "***", "1.5"),
            ("id", "", "***", ""),
            ("id", "99999999999999999999", "***", "99999999999999999999"),
            ("ClaimUUID", "3f2504e0-4f89-11d3-9a0c-0305e82c330g", "***", "3f2504e0-4f89-11d3-9a0c-0305e82c330g"),
            ("ICDCode", "A00", "***", "A00"),
            ("CHFID", "105000001", "***", "105000001"),
            ("StoredPassword", "12", "***", "***"),
            ("apikey", uuid, "***", "***"),
        ] {
            assert_eq!(key_value(column, value, Values::Masked).to_string(), masked, "{column} {value}");
            assert_eq!(key_value(column, value, Values::Shown).to_string(), shown, "{column} {value}");
        }
        assert_eq!(value("ClaimID", "12", Values::Masked), MaskedOrShown::Masked);
        assert_eq!(value("LastName", "x", Values::Shown), MaskedOrShown::Shown("x".into()));
        assert_eq!(value("PrivateKey", "x", Values::Shown), MaskedOrShown::Masked);
    }

    #[test]
    fn codes_are_shown_and_what_may_be_a_person_is_not() {
        for (column, value, rows, expected) in [
            ("Gender", "M", 1, "M"),
            ("Marital", "N/A", 1, "N/A"),
            ("ClaimStatus", "16", 1, "16"),
            ("Level", "Dispensary", 5, "Dispensary"),
            ("Level", "Dispensary", 4, "***"),
            ("LastName", "Ba", 9_000, "***"),
            ("OtherNames", "Ba", 9_000, "***"),
            ("ICDCode", "A00", 9_000, "***"),
            ("Explanation", "none", 9_000, "***"),
            ("JsonExt", "{}", 9_000, "***"),
            ("StoredPassword", "x", 9_000, "***"),
            ("CHFID", "1", 9_000, "***"),
            ("GeoLocation", "0 0", 9_000, "***"),
        ] {
            assert_eq!(code(column, value, rows, Values::Masked).to_string(), expected, "{column} {value}");
        }
        assert_eq!(code("LastName", "Ba", 1, Values::Shown).to_string(), "Ba");
        assert_eq!(code("password", "Ba", 9_000, Values::Shown).to_string(), "***");
        for (column, masked, shown) in [
            ("DOB", "1950-01-01", "1950-01-01"),
            ("CHFID", "***", "1950-01-01"),
            ("Latitude", "***", "1950-01-01"),
            ("dummyPwd", "***", "***"),
        ] {
            assert_eq!(super::shared(column, "1950-01-01", 5, Values::Masked).to_string(), masked, "{column}");
            assert_eq!(super::shared(column, "1950-01-01", 4, Values::Masked).to_string(), "***", "{column}");
            assert_eq!(bound(column, "1950-01-01", Values::Masked).to_string(), masked, "{column}");
            assert_eq!(bound(column, "1950-01-01", Values::Shown).to_string(), shown, "{column}");
        }
    }

    #[test]
    fn keys_that_are_texts_are_masked_too() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (columns, text, masked, shown) in [
            (names(&["ClaimID"]), "12", "12", "12"),
            (names(&["Code"]), "12", "***", "12"),
            (names(&["Password"]), "12", "***", "***"),
            (
                names(&["RoleID", "Code"]),
                r#"{"RoleID":3,"Code":"A"}"#,
                r#"{"RoleID":3,"Code":"***"}"#,
                r#"{"RoleID":3,"Code":"A"}"#,
            ),
            (names(&["A", "B"]), r#"{"A":"3", "B":null}"#, r#"{"A":"3", "B":null}"#, r#"{"A":"3", "B":null}"#),
            (names(&["A", "Pwd"]), r#"{"A":"3","Pwd":"x"}"#, r#"{"A":"3","Pwd":"***"}"#, r#"{"A":"3","Pwd":"***"}"#),
            (names(&["A", "B"]), "no object", "***", "***"),
            (names(&[]), "", "***", "***"),
        ] {
            for (values, expected) in [(Values::Masked, masked), (Values::Shown, shown)] {
                let key = KeyMask::new(&columns, values).key(text);
                assert_eq!(key, expected, "{columns:?} {text}");
                assert_eq!(KeyMask::is_masked(&key), expected != text, "{columns:?} {text}");
            }
        }
    }

    #[test]
    fn keys_of_several_columns_keep_their_order() {
        let two = [("RoleID".to_owned(), "3".to_owned()), ("Code".to_owned(), "A\"".to_owned())];
        assert_eq!(key(&two, Values::Masked), "RoleID 3, Code ***");
        assert_eq!(key_json(&two, Values::Shown), r#"{"RoleID":"3","Code":"A\""}"#);
    }
}
