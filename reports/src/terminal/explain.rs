//! What becomes of a column, on a terminal.

use imis_mappings::explain::{Explanation, Side, Way};

use super::{Cell, Style, facts, labelled, table};

/// Where a table or column goes to and comes from, for people.
pub fn explanation(told: &Explanation, style: &Style) -> String {
    let mut pairs = vec![("mapping", told.mapping.clone())];
    pairs.extend(told.release.as_ref().map(|release| ("release", format!("openIMIS {release}"))));
    let mut text = facts(&pairs);
    if let Some(side) = &told.source {
        text += &style.heading(&format!("In the source: {}", title(side)));
        text += &ways(side, "goes to", style);
    }
    if let Some(side) = &told.target {
        text += &style.heading(&format!("In the target: {}", title(side)));
        text += &ways(side, "comes from", style);
    }
    text
}

fn title(side: &Side) -> String {
    match &side.data_type {
        Some(data_type) => format!("{}, {data_type}", side.name),
        None => side.name.clone(),
    }
}

fn ways(side: &Side, heading: &str, style: &Style) -> String {
    let mut text = String::new();
    for (at, way) in side.ways.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text += &one(way, style);
    }
    if let Some(otherwise) = &side.otherwise {
        text += &labelled(&[("", otherwise.clone())], style);
    }
    if !side.columns.is_empty() {
        let rows: Vec<Vec<Cell>> = side
            .columns
            .iter()
            .map(|line| vec![line.column.as_str().into(), line.data_type.as_str().into(), line.what.as_str().into()])
            .collect();
        text.push('\n');
        text += &table(&["column", "type", heading], &rows, style);
    }
    text
}

/// A way as labelled lines.
fn one(way: &Way, style: &Style) -> String {
    let mut lines: Vec<(&str, String)> = vec![("rule", format!("{}  ({})", way.rule, way.place))];
    let how = match &way.expression {
        None => way.how.clone(),
        Some(expression) => {
            format!("{}: {}", way.how, expression.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    };
    lines.push(("from", way.from.clone()));
    lines.push(("to", way.to.clone()));
    lines.push(("how", how));
    if let Some(missing) = &way.when_missing {
        let since = way.since.as_ref().map_or(String::new(), |since| format!(" (added in {since})"));
        lines.push(("if missing", format!("{missing}{since}")));
    } else if let Some(since) = &way.since {
        lines.push(("since", since.clone()));
    }
    lines.extend(way.why.as_ref().map(|why| ("why", why.clone())));
    lines.extend(way.key.as_ref().map(|key| ("key", key.clone())));
    lines.extend(way.notes.iter().map(|note| ("note", note.clone())));
    labelled(&lines, style)
}
