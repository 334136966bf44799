//! A check explained, on a terminal: the rule, and the SQL that it becomes.

use super::{Style, Tint, facts, wrapped};
use crate::checks::{ExplainedCheck, ExplainedPart};
use crate::escape;
use crate::number::counted;

/// What a check says and does, for people.
pub fn check_explained(check: &ExplainedCheck, style: &Style) -> String {
    let about = &check.about;
    let title = wrapped(&format!("{}  {}", about.id, about.title), style, 4);
    let mut text = style.tint(Tint::Heading, title.trim_end()) + "\n\n";
    text += &facts(&[
        ("pack", about.pack.clone()),
        ("severity", about.severity.to_string()),
        ("quality", about.kahn.to_string()),
    ]);
    let tags = about.tags.join(", ");
    let parameters: Vec<String> = check.parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let off = check.off.as_deref().unwrap_or_default();
    for (label, said) in [
        ("tags", tags.as_str()),
        ("with", &parameters.join(", ")),
        ("switched off", off),
        ("why", &about.why),
        ("to do", &about.fix),
        ("source", &about.source),
    ] {
        if !said.is_empty() {
            text += &labelled(label, said, style);
        }
    }
    let several = check.parts.len() > 1;
    for (place, of) in check.parts.iter().enumerate() {
        let number = several.then(|| format!("{} of {}", place + 1, counted(check.parts.len() as u64, "part")));
        text += &part(of, number, style);
    }
    text
}

fn labelled(label: &str, said: &str, style: &Style) -> String {
    wrapped(&format!("{label}: {said}"), style, 2)
}

fn part(of: &ExplainedPart, number: Option<String>, style: &Style) -> String {
    let title = match (number, of.what.as_str()) {
        (Some(number), "") => format!("{number}: {}", of.table),
        (Some(number), what) => format!("{number}: {}, {what}", of.table),
        (None, "") => of.table.clone(),
        (None, what) => format!("{}: {what}", of.table),
    };
    let mut text = style.heading(wrapped(&title, style, 2).trim_end());
    for (label, said) in [
        ("what must hold", of.kind.as_str()),
        ("of rows where", of.condition.as_deref().unwrap_or_default()),
        ("severity", of.severity.word()),
        ("not applicable", of.reason.as_deref().unwrap_or_default()),
    ] {
        if !said.is_empty() {
            text += &labelled(label, said, style);
        }
    }
    if !of.sql.is_empty() {
        text += "\n";
        // To be copied: its own lines, which no terminal breaks for us.
        of.sql.lines().for_each(|line| text += &format!("  {}\n", escape::terminal(&line.replace('\t', "    "))));
    }
    if !of.example.is_empty() {
        text += "\n";
        text += &labelled("a row that it gives has", &of.example.join(", "), style);
    }
    text
}
