//! The checks of packs, on a terminal.

use imis_checks::outcome::About;

use super::{Style, Tint};
use crate::escape;
use crate::number::counted;

/// A line a check, under the name of its pack.
pub fn check_list(abouts: &[&About], style: &Style) -> String {
    let wide = abouts.iter().map(|about| about.id.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut pack = "";
    for about in abouts {
        if about.pack != pack {
            pack = &about.pack;
            let count = abouts.iter().filter(|other| other.pack == pack).count();
            let gap = if text.is_empty() { "" } else { "\n" };
            let heading = format!("{}  {}", escape::terminal(pack), counted(count as u64, "check"));
            text += &format!("{gap}{}\n", style.tint(Tint::Heading, &heading));
        }
        let id = format!("{:<wide$}", escape::terminal(&about.id));
        text += &format!("  {id}  {:<8} {}\n", about.severity.word(), escape::terminal(&about.title));
    }
    text
}
