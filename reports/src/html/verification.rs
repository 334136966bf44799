//! The page of a verification: the verdict, the totals, the tables, what differs and what explains it.

use std::collections::BTreeMap;

use imis_mappings::verify::{Mode, Status, Verification};
use serde::Serialize;

use super::{Figure, Head, LINES, cut, moment, render};
use crate::ReportError;
use crate::consistency;
use crate::mask::Values;
use crate::number::thousands;
use crate::verification::{
    Proof, cells, complaints, figure, figures, group, key, reasons, status, telling, touched, why,
};
use crate::words;

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    head: Head,
    complaints: Vec<String>,
    areas: Vec<AreaLine>,
    totals: Vec<[String; 6]>,
    more_totals: usize,
    equal_totals: String,
    tables: Vec<Line>,
    more_tables: usize,
    differences: Vec<[String; 5]>,
    more_differences: usize,
    explained: Vec<(String, String, &'static str)>,
    left_out: Vec<String>,
    more_left_out: usize,
    notes: Vec<String>,
    more_notes: usize,
    shown: bool,
}

#[derive(Serialize)]
struct AreaLine {
    area: String,
    title: String,
    figures: String,
    from: String,
    to: String,
    status: String,
    differs: bool,
    groups: Vec<[String; 3]>,
    more: usize,
}

#[derive(Serialize)]
struct Line {
    table: String,
    counts: [String; 7],
    reasons: String,
    differs: bool,
}

/// The page of a verification, as one HTML text. Values are masked unless they were asked for.
///
/// # Errors
/// When the page cannot be rendered.
pub fn verification_page(found: &Verification, values: Values) -> Result<String, ReportError> {
    let proof = Proof::of(found);
    let (tone, badge) = match proof {
        Proof::Equal => ("good", "Equal"),
        Proof::Explained => ("good", "Equal but for what is explained"),
        Proof::Disturbed => ("bad", "Did not stand still"),
        Proof::Differs => ("bad", "Differs"),
    };
    let sum = |of: fn(&imis_mappings::verify::TableVerdict) -> u64| found.tables.iter().map(of).sum::<u64>();
    let telling_totals: Vec<_> = found.totals.iter().filter(|total| total.status != Status::Equal).collect();
    let equal_totals = (found.totals.len() - telling_totals.len()) as u64;
    let (totals, more_totals) = cut(
        telling_totals
            .iter()
            .map(|total| {
                [
                    total.table.clone(),
                    total.column.clone(),
                    total.total.clone(),
                    figure(total, total.from.as_deref(), values),
                    figure(total, total.to.as_deref(), values),
                    status(&total.status),
                ]
            })
            .collect(),
        LINES,
    );
    let tables = found.tables.iter().filter(|table| touched(table, false)).map(|t| Line {
        table: if t.sampled { format!("{} (sample)", t.table) } else { t.table.clone() },
        counts: [t.from_rows, t.to_rows, t.equal, t.missing, t.extra, t.changed, t.doubled + t.unreadable]
            .map(thousands),
        reasons: reasons(t),
        differs: t.unexplained() > 0,
    });
    let (tables, more_tables) = cut(tables.collect(), LINES);
    let unexplained: Vec<_> = found.differences.iter().filter(|d| d.explained.is_none()).collect();
    let lines = unexplained
        .iter()
        .map(|d| [d.table.clone(), d.kind.name().to_owned(), key(d, values), cells(d, values), why(d)]);
    let (differences, more_differences) = cut(lines.collect(), LINES);
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    for table in &found.tables {
        for (name, rows) in &table.explained {
            *names.entry(name).or_default() += rows;
        }
        for loss in &table.losses {
            *names.entry(&loss.name).or_default() += loss.values;
        }
    }
    let explained = names.into_iter().map(|(name, rows)| (name.to_owned(), thousands(rows), words::meaning(name)));
    let left_out =
        found.tables.iter().filter(|t| t.from_rows + t.to_rows > 0).flat_map(|table| {
            table.left_out.iter().map(move |out| format!("{}.{}: {}", table.table, out.column, out.why))
        });
    let (left_out, more_left_out) = cut(left_out.collect(), LINES);
    let (notes, more_notes) = cut(found.shape.iter().chain(&found.notes).cloned().collect(), LINES);
    render(
        "verification.html",
        Page {
            head: Head {
                title: match found.mode {
                    Mode::Migration => "Verification of a migration".to_owned(),
                    Mode::SameShape => "Comparison of two databases".to_owned(),
                },
                tone,
                badge,
                headline: match proof {
                    Proof::Differs => "The two sides differ.".to_owned(),
                    Proof::Disturbed => {
                        "Somebody wrote while it was read; what was compared may be of several moments.".to_owned()
                    }
                    _ => proof.sentence(found),
                },
                lead: lead(proof).to_owned(),
                facts: facts(found),
                figures: vec![
                    Figure::new(sum(|t| t.to_rows), "rows compared"),
                    Figure::new(sum(|t| t.equal), "rows equal"),
                    Figure::alarming(found.unexplained(), "rows differ without a reason"),
                    Figure::new(found.explained(), "rows explained by a named rule"),
                    Figure::new(equal_totals, "totals equal"),
                ],
            },
            complaints: if found.holds() { Vec::new() } else { complaints(found) },
            areas: found
                .areas
                .iter()
                .map(|area| {
                    let (groups, more) = cut(
                        area.differing
                            .iter()
                            .map(|of| [group(of, values), figures(&of.from), figures(&of.to)])
                            .collect(),
                        20,
                    );
                    AreaLine {
                        area: area.area.clone(),
                        title: area.title.clone(),
                        figures: area.figures.join(" / "),
                        from: figures(&area.from),
                        to: figures(&area.to),
                        status: status(&area.status),
                        differs: area.status.differs(),
                        groups: if telling(area, false) { groups } else { Vec::new() },
                        more,
                    }
                })
                .collect(),
            totals,
            more_totals,
            equal_totals: thousands(equal_totals),
            tables,
            more_tables,
            differences,
            more_differences,
            explained: explained.collect(),
            left_out,
            more_left_out,
            notes,
            more_notes,
            shown: values == Values::Shown,
        },
    )
}

fn lead(proof: Proof) -> &'static str {
    match proof {
        Proof::Equal => {
            "Both servers computed the same totals, and every row of one side has its equal on the other, to the last digit."
        }
        Proof::Explained => {
            "Every row is equal, or differs by a rule that the mapping or the run names. The list below says which rule and how often."
        }
        Proof::Disturbed => {
            "Every row that was read is equal, or differs by a rule that has a name. But a database that was to stand still did not: \
             find out who works in it, and verify again."
        }
        Proof::Differs => {
            "Something differs that no rule names. The list below says where. Do not sign, and find the cause first: a change made \
             by somebody in the meantime, another mapping, or a fault."
        }
    }
}

fn facts(found: &Verification) -> Vec<(&'static str, String)> {
    let mut facts = vec![("From", found.from.clone()), ("To", found.to.clone())];
    facts.extend(found.mapping.iter().map(|mapping| ("Mapping", mapping.clone())));
    facts.extend(found.run.iter().map(|run| ("Run", run.clone())));
    facts.push(("Began", moment(&found.started)));
    facts.push(("Ended", moment(&found.finished)));
    let (from, to) = (found.from_consistency, found.to_consistency);
    facts.push(("While it was read, from was", consistency::vouched(from, &found.from_reading)));
    facts.extend(consistency::changes(from, &found.from_reading).map(|said| ("Changes of from", said)));
    facts.push(("While it was read, to was", consistency::vouched(to, &found.to_reading)));
    facts.extend(consistency::changes(to, &found.to_reading).map(|said| ("Changes of to", said)));
    if found.sample {
        facts.push(("Extent", "a sample: the first, middle and last rows of large tables".to_owned()));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_page_names_what_differs_and_shows_no_value_unless_asked() {
        let found = sample::verification();
        let page = verification_page(&found, Values::Masked).unwrap();
        for text in ["ClaimID 12", "Claims by status and month", "dangling-to-null", "The two sides differ", "1200.51"]
        {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains("b&gt;x") && !page.contains("2001-01-01") && !page.contains("hash-of-a-password"));
        let page = verification_page(&found, Values::Shown).unwrap();
        assert!(page.contains("100.00 -&gt; 100.01") && page.contains("keep this folder to yourself"), "{page}");
        assert!(page.contains("&lt;b&gt;x") && !page.contains("<b>x") && !page.contains("hash-of-a-password"));
    }

    #[test]
    fn a_page_of_equal_sides_says_so() {
        let mut found = sample::verification();
        found.tables.truncate(0);
        found.differences.clear();
        (found.totals, found.areas) = (Vec::new(), Vec::new());
        assert!(verification_page(&found, Values::Masked).unwrap().contains("Both sides are equal."));
        found.shape = vec!["the table x is in --to only".into()];
        assert!(verification_page(&found, Values::Masked).unwrap().contains("do not have one shape"));
    }
}
