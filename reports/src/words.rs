//! Words for readers who do not know the database: business areas, and what a named loss means.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// Where tables go that belong to no area: a country's own, for instance.
pub(crate) const OTHER: &str = "Other tables";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    areas: Vec<Area>,
    meanings: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    title: String,
    tables: Vec<String>,
}

fn words() -> &'static Words {
    static WORDS: OnceLock<Words> = OnceLock::new();
    // The file is part of the program and read by a test; without it a page is poorer, not wrong.
    WORDS.get_or_init(|| serde_yaml::from_str(include_str!("words.yaml")).unwrap_or_default())
}

/// The area of a table, and its place among the areas. Schema and case are ignored.
pub(crate) fn area(table: &str) -> (usize, &'static str) {
    let bare = table.rsplit('.').next().unwrap_or(table);
    let areas = &words().areas;
    let found = areas.iter().enumerate().find(|(_, area)| area.tables.iter().any(|t| t.eq_ignore_ascii_case(bare)));
    found.map_or((areas.len(), OTHER), |(place, area)| (place, area.title.as_str()))
}

/// Items by business area, in the order in which a reader asks for them; `of` says the table of an item, or the title of a
/// group of its own for what belongs to no table.
pub(crate) fn by_area<T>(items: &[T], of: impl Fn(&T) -> Result<&str, &'static str>) -> Vec<(&'static str, Vec<&T>)> {
    let mut groups: BTreeMap<(usize, &'static str), Vec<&T>> = BTreeMap::new();
    for item in items {
        let place = match of(item) {
            Ok(table) => area(table),
            Err(title) => (usize::MAX, title),
        };
        groups.entry(place).or_default().push(item);
    }
    groups.into_iter().map(|((_, title), items)| (title, items)).collect()
}

/// What a hazard or a loss of this name means; empty for a name that only the mapping knows.
pub(crate) fn meaning(name: &str) -> &'static str {
    words().meanings.get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_find_their_area_and_losses_their_meaning() {
        assert_eq!(area("tblClaim").1, "Claims and feedback");
        assert_eq!(area("public.TBLINSUREE").1, "Families and insured people");
        assert_eq!(area("country_extra").1, OTHER);
        assert!(area("country_extra").0 > area("tblGender").0);
        assert!(meaning("time-of-day").contains("day"));
        assert_eq!(meaning("country-made"), "");
    }

    #[test]
    fn no_table_has_two_areas() {
        let mut names: Vec<String> = words().areas.iter().flat_map(|a| &a.tables).map(|t| t.to_lowercase()).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
