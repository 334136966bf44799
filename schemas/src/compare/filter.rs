//! `--only` and `--ignore`: kinds of things and patterns of names.

use super::Kind;

/// What a comparison looks at. Without words it looks at everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    only: Words,
    ignore: Words,
}

#[derive(Clone, Debug, Default)]
struct Words {
    kinds: Vec<Kind>,
    patterns: Vec<String>,
}

impl Words {
    fn new(words: &[String]) -> Self {
        let mut out = Words::default();
        for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
            match Kind::named(word) {
                [] => out.patterns.push(word.to_lowercase()),
                kinds => out.kinds.extend(kinds),
            }
        }
        out
    }

    fn matches(&self, names: &[String]) -> bool {
        self.patterns.iter().any(|pattern| names.iter().any(|name| is_like(name, pattern)))
    }
}

impl Filter {
    /// A filter of words, each the name of a kind ([`Kind::names`]) or a pattern of names with `*` and `?`.
    ///
    /// With kinds in `only`, things of other kinds are left out; with patterns in it, things of other names. What has a
    /// kind or a name in `ignore` is left out, too.
    pub fn new(only: &[String], ignore: &[String]) -> Self {
        Filter { only: Words::new(only), ignore: Words::new(ignore) }
    }

    /// Whether everything is looked at.
    pub fn is_empty(&self) -> bool {
        [&self.only, &self.ignore].iter().all(|words| words.kinds.is_empty() && words.patterns.is_empty())
    }

    /// Whether things of this kind are looked at.
    pub(super) fn has_kind(&self, kind: Kind) -> bool {
        (self.only.kinds.is_empty() || self.only.kinds.contains(&kind)) && !self.ignore.kinds.contains(&kind)
    }

    /// Whether a thing is looked at that has these names.
    pub(super) fn has(&self, kind: Kind, names: &[String]) -> bool {
        self.has_kind(kind)
            && (self.only.patterns.is_empty() || self.only.matches(names))
            && !self.ignore.matches(names)
    }

    /// The patterns that no name is like.
    pub(super) fn idle(&self, names: &[String]) -> Vec<String> {
        let patterns = self.only.patterns.iter().chain(&self.ignore.patterns);
        patterns.filter(|pattern| !names.iter().any(|name| is_like(name, pattern))).cloned().collect()
    }
}

/// Whether a name is like a pattern in lower case, in which `*` stands for any text and `?` for any character. Case does
/// not matter.
pub fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.to_lowercase().chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(at) {
        match pattern.get(in_pattern) {
            Some('*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(p) if *p == '?' || p == c => {
                at += 1;
                in_pattern += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, in_pattern) = (*taken, *place + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(in_pattern..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_like_names() {
        for (name, pattern, expected) in [
            ("tblClaim", "tblclaim", true),
            ("tblClaimItems", "tblclaim*", true),
            ("tblClaimItems", "*item?", true),
            ("tblClaimItems", "*item", false),
            ("tblClaim.RowID", "*.rowid", true),
            ("", "*", true),
            ("a", "", false),
            ("aaab", "*a*b", true),
            ("tbl", "tbl?", false),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn kinds_and_patterns_narrow_each_for_itself() {
        let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let names = |name: &str| vec![name.to_owned()];
        let filter = Filter::new(&words("columns,Types,tblClaim*"), &words("tblClaimDedRem,nulls"));
        assert!(filter.has(Kind::Types, &names("tblClaim")) && filter.has(Kind::Columns, &names("tblClaimItems")));
        assert!(!filter.has(Kind::Types, &names("tblHF")) && !filter.has(Kind::Indexes, &names("tblClaim")));
        assert!(!filter.has(Kind::Types, &names("tblClaimDedRem")));
        assert!(Filter::new(&[], &words("keys")).has_kind(Kind::Indexes));
        assert!(!Filter::new(&[], &words("keys")).has_kind(Kind::ForeignKeys));
        assert_eq!(filter.idle(&names("tblClaim")), ["tblclaimdedrem"]);
        assert!(Filter::default().is_empty() && !filter.is_empty());
    }
}
