//! The chart: rows a second and CPU for a million rows, as bars that can be read on white and on black.

use std::fmt::Write;

use imis_reports::escape::html;

use super::contender::Contender;
use super::shape::Shape;
use super::{Entry, Race};
use crate::shared::grouped;

const WIDTH: f64 = 860.0;
/// Where bars begin, and how long the longest may be; figures stand behind it.
const LEFT: f64 = 230.0;
const LONGEST: f64 = 470.0;
/// The height of a line and of the bar in it.
const LINE: f64 = 24.0;
const BAR: f64 = 15.0;

/// Colours that have enough contrast with white and with black; the text takes the reader's own.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-weight:600}.us{fill:#2f7ed8}.peer{fill:#c8702a}.limit{fill:#8a8f98}
.other{opacity:.55}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}";

/// A bar, or several behind one another.
struct Bar {
    title: String,
    class: &'static str,
    /// Lengths, each with its class beside the bar's own.
    parts: Vec<(f64, &'static str)>,
    figure: String,
}

/// The whole picture.
pub(crate) fn svg(race: &Race) -> String {
    let ran = |shape: Shape| race.entries.iter().filter(move |entry| entry.shape == shape && !entry.runs.is_empty());
    let main: Vec<&Entry> = ran(Shape::Insurees).chain(ran(Shape::Hundredth)).collect();
    let rates = main.iter().filter_map(|entry| Some(bar(entry, entry.contender.title().to_owned(), entry.rate()?)));
    let cpu = main.iter().filter_map(|entry| {
        let per_million = |of: fn(&super::Run) -> f64| Some(entry.median(of)? / entry.rows as f64 * 1e6);
        let (own, target) = (per_million(|run| run.cpu_seconds)?, per_million(|run| run.target_cpu_seconds)?);
        Some(Bar {
            title: entry.contender.title().to_owned(),
            class: class(entry.contender),
            parts: vec![(own, ""), (target, "other")],
            figure: format!("{own:.2} + {target:.2}"),
        })
    });
    let shapes = [Shape::Narrow, Shape::Wide, Shape::Texts, Shape::Large].into_iter().flat_map(|shape| {
        let short = match shape {
            Shape::Large => "tenfold",
            _ => shape.title().split(':').next().unwrap_or_default(),
        };
        let entries = ran(shape).filter(|entry| entry.contender != Contender::Stream);
        entries.filter_map(move |entry| {
            let title = entry.contender.title().trim_start_matches("limit: ");
            Some(bar(entry, format!("{title} ({short})"), entry.rate()?))
        })
    });
    let parts: [(&str, Vec<Bar>); 3] = [
        ("Rows a second, 20-column insurees (longer is better)", rates.collect()),
        ("CPU seconds for a million of them: the program, and PostgreSQL behind it (shorter is better)", cpu.collect()),
        ("Rows a second, other tables", shapes.collect()),
    ];
    let mut body = String::new();
    let mut y = 8.0;
    for (title, bars) in parts.iter().filter(|(_, bars)| !bars.is_empty()) {
        y += LINE;
        let _ = writeln!(body, r#"<text class="head" x="8" y="{:.0}">{}</text>"#, y - 6.0, html(title));
        // One that is far ahead of all others would leave them no length: its bar ends where theirs do, and says so.
        let mut lengths: Vec<f64> = bars.iter().map(Bar::length).collect();
        lengths.sort_by(f64::total_cmp);
        let longest = match lengths.as_slice() {
            [.., second, first] if *first > second * 3.0 => *second,
            [.., first] => *first,
            [] => 1e-9,
        };
        for bar in bars {
            bar.draw(&mut body, y, longest);
            y += LINE;
        }
        y += LINE / 2.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {y:.0}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n{body}</svg>\n",
        html("Rows a second and CPU of imis, its peers and the limits")
    )
}

fn class(contender: Contender) -> &'static str {
    match contender {
        Contender::Copy | Contender::Stream => "limit",
        of if of.is_imis() => "us",
        _ => "peer",
    }
}

fn bar(entry: &Entry, title: String, rate: f64) -> Bar {
    Bar { title, class: class(entry.contender), parts: vec![(rate, "")], figure: grouped(rate as u64) }
}

impl Bar {
    fn length(&self) -> f64 {
        self.parts.iter().map(|(length, _)| length).sum()
    }

    fn draw(&self, out: &mut String, y: f64, longest: f64) {
        let middle = y + BAR / 2.0 + 4.5;
        let _ = writeln!(
            out,
            r#"<text x="{:.0}" y="{middle:.1}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            html(&self.title)
        );
        let mut x = LEFT;
        for (length, class) in &self.parts {
            let left = LEFT + LONGEST - x;
            let width = (length / longest.max(1e-9) * LONGEST).max(1.0).min(left.max(0.0));
            let _ = writeln!(
                out,
                r#"<rect class="{}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}"/>"#,
                html(format!("{} {class}", self.class).trim())
            );
            x += width;
        }
        let beyond = if self.length() > longest * 1.001 { "» " } else { "" };
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{middle:.1}">{}</text>"#,
            x + 6.0,
            html(&format!("{beyond}{}", self.figure))
        );
    }
}
