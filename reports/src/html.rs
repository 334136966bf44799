//! One page a report: self-contained, without script and network, for readers who do not know the database.
//!
//! Rust decides what stands on a page and how much of it (a page opens at once, whatever the run); the templates decide
//! how it looks. Every value that a template prints goes through [`escape::html`]; no template may switch that off.

mod checks;
mod comparison;
mod identity;
mod migration;
mod plan;
mod profile;
mod verification;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::number::thousands;
use crate::{ReportError, escape};

pub use checks::checks_page;
pub use comparison::comparison_page;
pub use identity::identity_page;
pub use migration::migration_page;
pub use plan::plan_page;
pub use profile::profile_page;
pub use verification::verification_page;

const TEMPLATES: [(&str, &str); 10] = [
    ("page.html", include_str!("templates/page.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("style.css", include_str!("templates/style.css")),
    ("checks.html", include_str!("templates/checks.html")),
    ("comparison.html", include_str!("templates/comparison.html")),
    ("identity.html", include_str!("templates/identity.html")),
    ("migration.html", include_str!("templates/migration.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("profile.html", include_str!("templates/profile.html")),
    ("verification.html", include_str!("templates/verification.html")),
];

/// How many rules, tables of an area, reasons and notes a page shows.
const LINES: usize = 200;
/// How many places of one hazard or loss a page shows.
const PLACES: usize = 40;

/// What stands at the top of every page: see `page.html`.
#[derive(Serialize)]
struct Head {
    title: String,
    tone: &'static str,
    badge: &'static str,
    headline: String,
    lead: String,
    facts: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
}

/// A number under its name, large.
#[derive(Serialize)]
struct Figure {
    number: String,
    label: &'static str,
    tone: &'static str,
}

impl Figure {
    fn new(number: u64, label: &'static str) -> Self {
        Figure { number: thousands(number), label, tone: "" }
    }

    fn alarming(number: u64, label: &'static str) -> Self {
        Figure { tone: if number > 0 { "warning" } else { "" }, ..Figure::new(number, label) }
    }
}

/// What was foreseen or happened under one name.
#[derive(Default, Serialize)]
struct Change {
    name: String,
    meaning: &'static str,
    foreseen: String,
    values: String,
    places: Vec<String>,
    more: usize,
}

/// A list that is cut, and by how many.
fn cut<T>(mut list: Vec<T>, to: usize) -> (Vec<T>, usize) {
    let more = list.len().saturating_sub(to);
    list.truncate(to);
    (list, more)
}

/// `2026-11-22 18:21 UTC`, or the text as it stands.
fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .map_or_else(|_| text.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn render(name: &str, context: impl Serialize) -> Result<String, ReportError> {
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.set_trim_blocks(true);
    pages.set_lstrip_blocks(true);
    pages.set_formatter(|out, _, value| {
        let text = value.to_string();
        // What a macro of ours rendered was escaped there.
        let text = if value.is_safe() { text } else { escape::html(&text).into_owned() };
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    for (name, source) in TEMPLATES {
        pages.add_template(name, source)?;
    }
    Ok(pages.get_template(name)?.render(context)?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use imis_mappings::account::Account;

    use super::*;
    use crate::mask::Values;
    use crate::{sample, sample_checks};

    /// Writes pages where `IMIS_PAGES` says, for a look at them.
    #[test]
    fn pages_can_be_looked_at() {
        let Ok(folder) = std::env::var("IMIS_PAGES") else { return };
        let folder = std::path::Path::new(&folder);
        let mut unbalanced = sample::country(30);
        unbalanced.tables[2].after += 17;
        let clean =
            Account { rejects: Vec::new(), rules: vec![sample::rule("hf", "tblHF", 12, 0, 0)], ..sample::account() };
        for (name, account) in
            [("sample", sample::account()), ("country", sample::country(4)), ("odd", unbalanced), ("clean", clean)]
        {
            let page = migration_page(&account, Some(&sample::plan())).unwrap();
            std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
        }
        let profile = crate::sample_profile::profile();
        std::fs::write(folder.join("profile.html"), profile_page(&profile, crate::mask::Values::Masked).unwrap())
            .unwrap();
        let checked = sample_checks::outcome();
        let mut sound = checked.clone();
        sound.results.retain(|result| result.status == imis_checks::outcome::Status::Passed);
        let compared = sample_checks::comparison();
        for (name, outcome, compared) in [
            ("checks", checked, Some(&compared)),
            ("checks-many", sample_checks::country(3_000, 333), None),
            ("checks-sound", sound, None),
        ] {
            std::fs::write(
                folder.join(format!("{name}.html")),
                checks_page(&outcome, compared, Values::Masked).unwrap(),
            )
            .unwrap();
        }
        std::fs::write(folder.join("plan.html"), plan_page(&sample::plan()).unwrap()).unwrap();
    }

    #[test]
    fn no_markup_from_data_survives() {
        let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}";
        let mut account = sample::account();
        let mut plan = sample::plan();
        for text in [&mut account.run, &mut account.mapping, &mut account.from, &mut account.to, &mut account.started] {
            *text = evil.into();
        }
        account.rules[0].rule = evil.into();
        account.rules[0].counts.losses.insert((evil.into(), evil.into()), 1);
        account.rules[0].counts.read += 1;
        account.tables[0].table = evil.into();
        account.notes.push(evil.into());
        account.rejects.push(sample::reject(evil, evil, (evil, evil), evil, evil));
        plan.hazards[0].what = evil.into();
        plan.hazards[0].rule = evil.into();
        plan.rules[0].rule = evil.into();
        plan.mapping = evil.into();
        for page in [migration_page(&account, Some(&plan)).unwrap(), plan_page(&plan).unwrap()] {
            assert!(page.contains("&lt;script&gt;alert(1)"));
            for bad in ["<script", "<img", "\u{202e}", "\"'>"] {
                assert!(!page.contains(bad), "{bad} in the page");
            }
        }
    }

    #[test]
    fn templates_neither_switch_escaping_off_nor_reach_the_network() {
        for (name, source) in TEMPLATES {
            for bad in ["|safe", "| safe", "autoescape", "http:", "https:", "<script", "src=", "@import", "url("] {
                assert!(!source.contains(bad), "{bad} in {name}");
            }
        }
    }

    #[test]
    fn a_huge_account_is_a_small_page() {
        let begun = Instant::now();
        let page = migration_page(&sample::country(3_000), None).unwrap();
        assert!(page.len() < 600_000, "{} bytes", page.len());
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(page.contains("rejects.parquet") && page.contains("more"));
    }
}
