//! What a terminal shows: plans, accounts, catalogues, and the one way in which a table is printed.

mod account;
mod catalog;
mod check_explained;
mod check_list;
mod checks;
mod comparison;
mod explain;
mod identity;
mod plan;
mod profile;
mod table;
mod verification;

pub use account::{account, reasons, rejected_rows};
pub use catalog::catalog;
pub use check_explained::check_explained;
pub use check_list::check_list;
pub use checks::checks;
pub use comparison::comparison;
pub use explain::explanation;
pub use identity::identity;
pub use plan::{hazards, plan, scan};
pub use profile::profile;
pub use table::{Cell, table};
pub use verification::verification;

use crate::escape;
use crate::mask::Values;

/// How a terminal wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are allowed.
    pub color: bool,
    /// Columns of the terminal; `None` where nothing limits a line.
    pub width: Option<u16>,
    /// Whether to show rules and tables without rows, and every place of a hazard.
    pub verbose: bool,
    /// Whether key values that are not surrogate keys were asked for (`--show-values`).
    pub values: Values,
}

/// A tint; nothing where colours are not allowed.
#[derive(Clone, Copy)]
enum Tint {
    Good,
    Warning,
    Bad,
    Heading,
}

impl Style {
    fn tint(&self, tint: Tint, text: &str) -> String {
        let code = match tint {
            Tint::Good => "32",
            Tint::Warning => "33",
            Tint::Bad => "31",
            Tint::Heading => "1",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn heading(&self, text: &str) -> String {
        format!("\n{}\n\n", self.tint(Tint::Heading, text))
    }
}

/// `name  value` lines.
fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs.iter().map(|(name, value)| format!("{name:width$}  {}\n", escape::terminal(value))).collect()
}

/// A text, broken into lines where the terminal ends; lines after the first are indented, a word that is too long is broken.
fn wrapped(text: &str, style: &Style, indent: usize) -> String {
    let width = style.width.map_or(usize::MAX, usize::from).max(20);
    let text = escape::terminal(text).into_owned();
    let lead = text.chars().take_while(|c| *c == ' ').count();
    let (mut lines, mut used, mut fresh) = (" ".repeat(lead), lead, true);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if !fresh && used + 1 + length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            (used, fresh) = (indent, true);
        }
        if !fresh {
            lines.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used == width {
                lines.push('\n');
                lines.push_str(&" ".repeat(indent));
                used = indent;
            }
            lines.push(c);
            used += 1;
        }
        fresh = false;
    }
    lines.push('\n');
    lines
}

/// Labels and texts that go on under themselves where the terminal ends; without a label a text stands at the edge.
fn labelled(lines: &[(&str, String)], style: &Style) -> String {
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    lines.iter().map(|(label, line)| hanging(label, line, width, style)).collect()
}

/// A label and a text that goes on under itself where the terminal ends.
fn hanging(label: &str, text: &str, width: usize, style: &Style) -> String {
    let indent = if width == 0 { 0 } else { width + 2 };
    let room = style.width.map_or(usize::MAX, |columns| usize::from(columns).saturating_sub(indent).max(24));
    let mut lines: Vec<String> = vec![String::new()];
    for word in escape::terminal(text).split_whitespace() {
        let fits =
            lines.last().is_some_and(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= room);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        out += &if indent == 0 { format!("{line}\n") } else { format!("{label:width$}  {line}\n") };
    }
    out
}

/// A sentence, broken into lines where the terminal ends.
fn paragraph(text: &str, style: &Style) -> String {
    let width = style.width.map_or(usize::MAX, usize::from).max(20);
    let (mut lines, mut used) = (String::new(), 0);
    for word in escape::terminal(text).split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, sample_checks};

    const NARROW: Style = Style { color: false, width: Some(80), verbose: false, values: Values::Masked };

    /// Columns that a line takes; the texts here have no wide characters.
    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
    }

    #[test]
    fn an_account_fits_a_narrow_terminal() {
        let text = account(&sample::account(), &NARROW);
        assert!(widest(&text) <= 80, "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_plan_fits_a_narrow_terminal() {
        let text = plan(&sample::plan(), &NARROW);
        assert!(widest(&text) <= 80, "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn verbose_shows_what_is_empty_and_every_place() {
        let verbose = Style { verbose: true, ..NARROW };
        let (short, long) = [NARROW, verbose].map(|style| account(&sample::account(), &style)).into();
        assert!(!short.contains("tblFamilySMS") && long.contains("tblFamilySMS"), "{long}");
        let (short, long) = [NARROW, verbose].map(|style| plan(&sample::plan(), &style)).into();
        assert!(!short.contains("claims.DateTo") && long.contains("claims.DateTo"), "{long}");
        assert!(widest(&long) <= 80, "{long}");
    }

    #[test]
    fn an_account_that_does_not_balance_ends_with_why() {
        let mut odd = sample::account();
        odd.tables[1].after -= 1;
        let text = account(&odd, &Style { color: true, ..NARROW });
        let end = text.lines().rev().take(3).collect::<Vec<_>>().join("\n");
        assert!(end.contains("does not balance") && end.contains("tblInsuree"), "{text}");
        assert!(end.contains("\u{1b}[31m"), "{text}");
    }

    #[test]
    fn names_from_outside_cannot_drive_the_terminal() {
        let mut odd = sample::account();
        odd.rules[0].rule = "\u{1b}[2Jclaims".into();
        odd.tables[0].table = "tbl\u{202e}mialC".into();
        odd.notes = vec!["a\nb\u{7}".into()];
        odd.from = "x\u{9b}31m".into();
        let text = account(&odd, &NARROW);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}', '\u{9b}']), "{text}");
    }

    #[test]
    fn a_verification_fits_a_narrow_terminal() {
        let text = verification(&sample::verification(), &NARROW);
        assert!(widest(&text) <= 80, "{text}");
        assert!(!text.contains("<b>x") && !text.contains("hash-of-a-password"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_comparison_fits_a_narrow_terminal() {
        let text = comparison(&sample::comparison(), &NARROW);
        assert!(widest(&text) <= 80, "{text}");
        insta::assert_snapshot!(text);
        let colored = comparison(&sample::comparison(), &Style { color: true, ..NARROW });
        assert!(colored.contains("\u{1b}[31m-\u{1b}[0m"), "{colored}");
    }

    #[test]
    fn a_run_of_checks_fits_a_narrow_terminal() {
        let (outcome, compared) = (sample_checks::outcome(), sample_checks::comparison());
        let text = super::checks(&outcome, Some(&compared), &NARROW);
        assert!(widest(&text) <= 80, "{text}");
        insta::assert_snapshot!(text);
        let wide = Style { width: Some(120), verbose: true, values: Values::Shown, ..NARROW };
        let text = super::checks(&outcome, None, &wide);
        assert!(widest(&text) <= 120, "{text}");
        insta::assert_snapshot!("a_run_of_checks_on_a_wide_terminal_with_all_it_says", text);
        let colored = super::checks(&outcome, None, &Style { color: true, ..NARROW });
        assert!(colored.contains("\u{1b}[31mX8\u{1b}[0m Feedback"), "{colored}");
    }

    #[test]
    fn many_failed_checks_are_cut_and_the_worst_stay() {
        let outcome = sample_checks::country(3_000, 1);
        let text = super::checks(&outcome, None, &NARROW);
        assert!(text.lines().count() < 400 && text.contains("more checks that failed"), "{}", text.lines().count());
        assert!(text.contains("Blockers: ") && !text.contains("Remarks: "), "{text}");
    }

    #[test]
    fn a_check_is_explained() {
        let text = super::check_explained(&sample_checks::explained(), &NARROW);
        assert!(text.lines().filter(|line| !line.contains("select")).all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_profile_fits_a_terminal() {
        let sample = crate::sample_profile::profile();
        for width in [80, 120] {
            let text = profile(&sample, &Style { width: Some(width), ..NARROW });
            assert!(widest(&text) <= usize::from(width), "{text}");
            insta::assert_snapshot!(format!("a_profile_of_{width}_columns"), text);
        }
    }

    #[test]
    fn long_texts_wrap_and_long_words_break() {
        let narrow = Style { width: Some(20), ..Style::default() };
        assert_eq!(wrapped("  + one two three four five", &narrow, 6), "  + one two three\n      four five\n");
        assert_eq!(wrapped("abcdefghijklmnopqrstuvwxyz", &narrow, 2), "abcdefghijklmnopqrst\n  uvwxyz\n");
        assert_eq!(wrapped("a\u{1b}b", &Style::default(), 0), "a\\u{1b}b\n");
    }

    #[test]
    fn a_catalogue_is_summed_up() {
        let text = r#"{"imis": 1, "engine": "mssql", "collation": "Latin1_General_CI_AS", "tables": [
            {"schema": "dbo", "name": "tblClaim", "columns": [
                {"name": "ClaimID", "type": "int", "nullable": false, "identity": true},
                {"name": "ICDID", "type": "int", "nullable": true}],
             "primary_key": {"columns": ["ClaimID"]}, "foreign_keys": []},
            {"schema": "dbo", "name": "tblExtra", "columns": [{"name": "a", "type": "int", "nullable": true}]}]}"#;
        let found = imis_schemas::Catalog::parse(text).unwrap();
        insta::assert_snapshot!(catalog(&found, &Style { verbose: true, ..NARROW }));
    }

    #[test]
    fn a_release_fits_a_narrow_terminal() {
        let mut found = imis_schemas::release("legacy/1.4.2").unwrap();
        let column =
            imis_schemas::Column { name: "CareType".into(), ..found.table("tblClaim").unwrap().columns[0].clone() };
        let claim = found.tables.iter_mut().find(|t| t.name == "tblClaim").unwrap();
        claim.columns.push(column);
        found.tables.retain(|t| t.name != "tblGender");
        let identity = crate::identity::Identity {
            location: "legacy\u{1b}[2J.yaml".into(),
            found: imis_schemas::identify(&found).unwrap(),
            django: imis_schemas::identify::django_release(&imis_schemas::identify::django_migrations_of("23.04")),
            counts: None,
            notes: Vec::new(),
        };
        let text = super::identity(&identity, &NARROW);
        assert!(widest(&text) <= 80 && !text.contains('\u{1b}'), "{text}");
        insta::assert_snapshot!(text);
    }
}
