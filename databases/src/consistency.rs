//! What a reader may rely on while others work on a source: what the source offers, what is chosen, and what the server's own
//! count of changes says afterwards.
//!
//! - *frozen*: nothing can change. The server says so, or the user does; in either case the count of changes is looked at
//!   before the first read and after the last one;
//! - *single transaction*: every read sees one moment;
//! - *fuzzy*: the system goes on working, and each statement sees the moment at which it began.

use serde::{Deserialize, Serialize};

/// What the reader may rely on while others work on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// Nothing can change: a snapshot, a read-only database, or one of which the user says that nobody works on it.
    Frozen,
    /// All reads see one moment.
    SingleTransaction,
    /// The system goes on working while we read.
    Fuzzy,
}

/// What a user wants to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// The best that is there without more rights.
    #[default]
    Auto,
    /// Nobody works on the source: the user's word, where the server does not say it.
    Frozen,
    /// All reads in one transaction, or no reading.
    SingleTransaction,
    /// Whatever each statement sees.
    Fuzzy,
}

/// What a source offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Why nothing can change, where the server says that nothing can.
    pub frozen: Option<String>,
    /// Whether all reads can see one moment; `None` where that is not known.
    pub single_transaction: Option<bool>,
}

/// A level, and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) level: Consistency,
    pub(crate) because: String,
    pub(crate) declared: bool,
}

impl Offer {
    /// The level for a wish; `None` where a single transaction is wanted and cannot be had.
    ///
    /// *Auto* takes a single transaction where the database allows one, although it reads over one connection: who allowed it
    /// did so on purpose (it is off in a new database), and tables that agree with each other are worth more than speed. What
    /// the server itself says to be frozen is read as that, whatever is wished for: nothing is better.
    pub(crate) fn choose(&self, wish: Wish) -> Option<Choice> {
        let choice = |level, because: &str, declared| Some(Choice { level, because: because.to_owned(), declared });
        if let Some(because) = &self.frozen {
            return choice(Consistency::Frozen, because, false);
        }
        match (wish, self.single_transaction) {
            (Wish::Frozen, _) => {
                choice(Consistency::Frozen, "the user says that nobody works on it; the database takes writes", true)
            }
            (Wish::SingleTransaction, Some(false)) => None,
            (Wish::SingleTransaction, _) => choice(Consistency::SingleTransaction, "the user asked for it", false),
            (Wish::Auto, Some(true)) => {
                choice(Consistency::SingleTransaction, "the database takes writes and allows such a transaction", false)
            }
            (Wish::Auto, None) => {
                let because =
                    "the database takes writes, and it is not known whether one transaction could be relied on";
                choice(Consistency::Fuzzy, because, false)
            }
            (Wish::Auto, Some(false)) => choice(
                Consistency::Fuzzy,
                "the database takes writes and allows no transaction that sees one moment",
                false,
            ),
            (Wish::Fuzzy, Some(true)) => choice(
                Consistency::Fuzzy,
                "the user asked for it; the database would allow a single transaction",
                false,
            ),
            (Wish::Fuzzy, _) => choice(Consistency::Fuzzy, "the database takes writes", false),
        }
    }
}

/// Where a server's count of changes stands. On SQL Server it is `@@DBTS`, which grows with every row that is inserted or
/// updated in a table with a rowversion column. Other tables do not move it, and neither does a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The count, as SQL Server shows it: `0x00000000000007D1`.
    #[serde(with = "as_hex")]
    pub counter: u64,
    /// Whether changes were counted that nobody had committed yet.
    #[serde(default)]
    pub open: bool,
}

/// Who vouches for a level, and the count of changes on either side of the reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Why the level is what it is.
    pub because: String,
    /// Whether it is frozen by the user's word alone.
    #[serde(default)]
    pub declared: bool,
    /// The count before the first read; `None` where there is none.
    pub before: Option<Mark>,
    /// The count after the last read.
    pub after: Option<Mark>,
}

/// What the count of changes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Nothing: there is no count.
    NotKnown,
    /// No row was inserted or updated in a table with a rowversion.
    None,
    /// Some were, or a change that was open as the reading began has been ended.
    Some,
    /// The count stands still, and a change was open all the time.
    Open,
}

impl Reading {
    /// What the count of changes says.
    pub fn changes(&self) -> Changes {
        match (self.before, self.after) {
            (Some(before), Some(after)) if before.counter != after.counter => Changes::Some,
            (Some(before), Some(after)) if before.open && !after.open => Changes::Some,
            (Some(before), Some(_)) if before.open => Changes::Open,
            (Some(_), Some(_)) => Changes::None,
            _ => Changes::NotKnown,
        }
    }

    /// Whether somebody wrote to a source that was to stand still.
    pub fn is_disturbed(&self, level: Consistency) -> bool {
        level == Consistency::Frozen && self.changes() == Changes::Some
    }

    /// The same reading, ended.
    #[must_use]
    pub fn until(mut self, after: Option<Mark>) -> Self {
        self.after = after;
        self
    }
}

/// A count as SQL Server shows it.
mod as_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(counter: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{counter:016X}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_chosen() {
        use Consistency::{Frozen, Fuzzy, SingleTransaction};
        let still = Offer { frozen: Some("it is read-only".into()), single_transaction: Some(true) };
        let of = |single_transaction| Offer { frozen: None, single_transaction };
        let cases = [
            (&still, [Some((Frozen, false)); 4]),
            (
                &of(Some(true)),
                [
                    Some((SingleTransaction, false)),
                    Some((Frozen, true)),
                    Some((SingleTransaction, false)),
                    Some((Fuzzy, false)),
                ],
            ),
            (&of(Some(false)), [Some((Fuzzy, false)), Some((Frozen, true)), None, Some((Fuzzy, false))]),
            (
                &of(None),
                [Some((Fuzzy, false)), Some((Frozen, true)), Some((SingleTransaction, false)), Some((Fuzzy, false))],
            ),
        ];
        for (offer, expected) in cases {
            let wishes = [Wish::Auto, Wish::Frozen, Wish::SingleTransaction, Wish::Fuzzy];
            let found = wishes.map(|wish| offer.choose(wish).map(|choice| (choice.level, choice.declared)));
            assert_eq!(found, expected, "{offer:?}");
        }
    }

    #[test]
    fn the_count_of_changes_says_what_it_can() {
        let mark = |counter, open| Some(Mark { counter, open });
        let cases = [
            (None, mark(1, false), Changes::NotKnown),
            (mark(1, false), None, Changes::NotKnown),
            (mark(7, false), mark(7, false), Changes::None),
            (mark(7, false), mark(8, true), Changes::Some),
            (mark(7, true), mark(7, false), Changes::Some),
            (mark(7, true), mark(7, true), Changes::Open),
        ];
        for (before, after, expected) in cases {
            let reading = Reading { before, ..Reading::default() }.until(after);
            assert_eq!(reading.changes(), expected, "{reading:?}");
            assert_eq!(reading.is_disturbed(Consistency::Frozen), expected == Changes::Some);
            assert!(!reading.is_disturbed(Consistency::Fuzzy));
        }
        let text = serde_json::to_string(&mark(2001, false)).unwrap();
        assert_eq!(text, r#"{"counter":"0x00000000000007D1","open":false}"#);
        assert_eq!(serde_json::from_str::<Option<Mark>>(&text).unwrap(), mark(2001, false));
    }
}
