//! A check explained, on a terminal: the rule, and the SQL that it becomes.

use imis_checks::outcome::Severity;

use super::{Style, Tint, labelled, wrapped};
use crate::checks::{ExplainedCheck, ExplainedPart};
use crate::escape;
use crate::number::counted;

/// What a check says and does, for people.
pub fn check_explained(check: &ExplainedCheck, style: &Style) -> String {
    let about = &check.about;
    let title = wrapped(&format!("{}  {}", about.id, about.title), style, 4);
    let mut text = style.tint(Tint::Heading, title.trim_end()) + "\n\n";
    let parameters: Vec<String> = check.parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    text += &said(
        [
            ("pack", about.pack.as_str()),
            ("severity", about.severity.word()),
            ("quality", about.kahn.word()),
            ("tags", &about.tags.join(", ")),
            ("parameters", &parameters.join(", ")),
            ("switched off", check.off.as_deref().unwrap_or_default()),
            ("why", &about.why),
            ("to do", &about.fix),
            ("source", &about.source),
        ],
        style,
    );
    let several = check.parts.len() > 1;
    for (place, of) in check.parts.iter().enumerate() {
        let number = several.then(|| format!("{} of {}", place + 1, counted(check.parts.len() as u64, "part")));
        text += &part(of, number, about.severity, style);
    }
    text
}

/// Labels and texts; those without a text are left out.
fn said<const N: usize>(lines: [(&str, &str); N], style: &Style) -> String {
    let lines = lines.into_iter().filter(|(_, text)| !text.is_empty()).map(|(label, text)| (label, text.to_owned()));
    labelled(&lines.collect::<Vec<_>>(), style)
}

fn part(of: &ExplainedPart, number: Option<String>, check: Severity, style: &Style) -> String {
    let title = match (number, of.what.as_str()) {
        (Some(number), "") => format!("{number}: {}", of.table),
        (Some(number), what) => format!("{number}: {}, {what}", of.table),
        (None, "") => of.table.clone(),
        (None, what) => format!("{}: {what}", of.table),
    };
    let mut text = style.heading(wrapped(&title, style, 2).trim_end());
    text += &said(
        [
            ("must hold", of.kind.as_str()),
            ("of rows where", of.condition.as_deref().unwrap_or_default()),
            ("severity", if of.severity == check { "" } else { of.severity.word() }),
            ("not applicable", of.reason.as_deref().unwrap_or_default()),
            ("a row tells", &of.example.join(", ")),
        ],
        style,
    );
    if !of.sql.is_empty() {
        text += "\n";
        // To be copied: its own lines, which no terminal breaks for us.
        of.sql.lines().for_each(|line| text += &format!("  {}\n", escape::terminal(&line.replace('\t', "    "))));
    }
    text
}
