//! The legacy releases, all of them in one compressed file that is opened only when somebody asks.
//!
//! What the public release scripts tell is there: tables, columns with types, routines with fingerprints of their bodies,
//! views, table types. Keys, defaults and indexes are not; of 24.04 there is a full catalogue beside it
//! ([`crate::release()`]). `docs/releases.md` says how the file is made.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Column, Table};
use crate::name::same_name;

/// The releases by name, oldest first, as people write them down.
const NAMES: &str = include_str!("../releases/legacy.tsv");

/// One release a line, as JSON, compressed by Zstandard.
const BUNDLE: &[u8] = include_bytes!("../releases/legacy.zst");

/// Columns that only an upgrade makes: a database may have them from whatever release on, and a fresh one lacks them.
pub(crate) const OF_UPGRADES: &[(&str, &str)] = &[("tblEmailSettings", "SenderDisplayName")];

/// A line of the list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseName {
    /// The name: `1.7.3`.
    pub name: &'static str,
    /// Another name of the same release: `22.10`.
    pub also: Option<&'static str>,
    /// Year and month; none for what was never released.
    pub date: Option<&'static str>,
    /// How the facts call it.
    pub fact: &'static str,
}

/// The legacy releases by name, oldest first.
pub fn legacy_names() -> impl Iterator<Item = ReleaseName> {
    let some = |text: &'static str| (text != "-").then_some(text);
    NAMES.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
        let mut parts = line.split('\t');
        let name = parts.next()?;
        Some(ReleaseName { name, also: some(parts.next()?), date: some(parts.next()?), fact: parts.next()? })
    })
}

/// What is known of a legacy release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegacyRelease {
    /// Its name: `1.4.2`.
    pub name: String,
    /// Tables, columns and types, routines and views by name. Keys, defaults and indexes are not known.
    pub catalog: Catalog,
    /// Fingerprints of the bodies of routines and views, by lower-case name without schema.
    pub fingerprints: BTreeMap<String, String>,
    /// User-defined types.
    pub types: Vec<String>,
}

impl LegacyRelease {
    /// The table of this name, case aside.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.catalog.table(name)
    }

    /// The name under which a Location knows it: `legacy/1.4.2`.
    pub fn location(&self) -> String {
        format!("legacy/{}", self.name)
    }
}

/// All legacy releases, oldest first. The file is opened once, when somebody asks for the first time.
pub fn legacy_releases() -> &'static [LegacyRelease] {
    static RELEASES: OnceLock<Vec<LegacyRelease>> = OnceLock::new();
    // The file is made by our own program and held by a test; one that cannot be read knows no release.
    RELEASES.get_or_init(|| open(BUNDLE).unwrap_or_default())
}

/// The release of this name (`1.7.3`, `22.10`), if there is one.
pub fn legacy_release(name: &str) -> Option<&'static LegacyRelease> {
    let known = legacy_names().find(|known| known.name == name || known.also == Some(name))?;
    legacy_releases().iter().find(|release| release.name == known.name)
}

/// The first release that has a table, or a column of it.
pub fn since(table: &str, column: Option<&str>) -> Option<&'static str> {
    let has = |release: &LegacyRelease| {
        release.table(table).is_some_and(|t| column.is_none_or(|c| t.columns.iter().any(|own| same_name(&own.name, c))))
    };
    legacy_releases().iter().find(|release| has(release)).map(|release| release.name.as_str())
}

/// Reads the releases of a file that [`pack`] made.
///
/// # Errors
/// When it is none.
pub fn open(bundle: &[u8]) -> std::io::Result<Vec<LegacyRelease>> {
    let mut text = String::new();
    zstd::Decoder::new(bundle)?.read_to_string(&mut text)?;
    let mut releases = text
        .lines()
        .map(serde_json::from_str::<LegacyRelease>)
        .collect::<Result<Vec<_>, _>>()
        .map_err(std::io::Error::other)?;
    for release in &mut releases {
        release.catalog.sort();
    }
    Ok(releases)
}

/// Makes the file of these releases, in the order of these names (oldest first); others come last. The same releases give
/// the same bytes.
///
/// # Errors
/// When it cannot be compressed.
pub fn pack(mut releases: Vec<LegacyRelease>, order: &[&str]) -> std::io::Result<Vec<u8>> {
    releases.sort_by_key(|release| order.iter().position(|name| *name == release.name).unwrap_or(usize::MAX));
    let mut text = String::new();
    for release in &mut releases {
        release.catalog.sort();
        text.push_str(&serde_json::to_string(release).map_err(std::io::Error::other)?);
        text.push('\n');
    }
    // One release after the other says almost the same; the strongest level finds it.
    zstd::encode_all(text.as_bytes(), 22)
}

/// Ten hexadecimal digits that stand for a routine's text, comments, white space, square brackets and case aside.
///
/// The text is taken as it is, and without its head (`CREATE PROCEDURE [dbo].[name]`): what a server keeps begins with the
/// head, and scripts are cut in different places.
pub fn fingerprints(definition: &str) -> Vec<String> {
    let text = bare(definition);
    // A server keeps CREATE where a script said CREATE OR ALTER.
    let or_alter = text.strip_prefix("create").filter(|rest| !rest.starts_with("oralter"));
    let or_alter = or_alter.map(|rest| format!("createoralter{rest}"));
    let mut texts = vec![text.as_str()];
    texts.extend(or_alter.as_deref());
    for head in [
        "createoralterprocedure",
        "createoralterfunction",
        "createoralterview",
        "createprocedure",
        "createproc",
        "createfunction",
        "alterprocedure",
        "alterfunction",
        "createview",
    ] {
        if let Some(rest) = text.strip_prefix(head) {
            texts.push(rest);
            texts.extend(rest.find(['@', '(']).and_then(|at| rest.get(at..)));
            texts.extend(rest.find("as").and_then(|at| rest.get(at..)));
        }
    }
    texts.into_iter().map(|text| sha1_smol::Sha1::from(text).digest().to_string().chars().take(10).collect()).collect()
}

/// A text without comments, white space and square brackets, in lower case.
fn bare(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let end = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else {
            if !c.is_whitespace() && !matches!(c, '[' | ']') {
                out.extend(c.to_lowercase());
            }
            c.len_utf8()
        };
        rest = rest.get(end..).unwrap_or_default();
    }
    out
}

/// Whether a column is one that only an upgrade makes.
pub(crate) fn is_of_upgrades(table: &Table, column: &Column) -> bool {
    OF_UPGRADES.iter().any(|(t, c)| same_name(t, &table.name) && same_name(c, &column.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_the_size_that_its_scripts_have() {
        let sizes: Vec<(&str, usize, usize, usize)> = legacy_releases()
            .iter()
            .map(|r| {
                let columns = r.catalog.tables.iter().map(|t| t.columns.len()).sum();
                (r.name.as_str(), r.catalog.tables.len(), columns, r.fingerprints.len())
            })
            .collect();
        assert_eq!(sizes.len(), legacy_names().count());
        let expected =
            [("18.0.0", 57, 769, 128), ("1.3.0", 61, 802, 139), ("1.6.0", 65, 901, 167), ("24.04", 65, 913, 168)];
        for size in expected {
            assert!(sizes.contains(&size), "{size:?} is not in {sizes:?}");
        }
        assert_eq!(legacy_release("22.10").unwrap().name, "1.7.3");
        assert_eq!(legacy_release("1.7.3").unwrap().location(), "legacy/1.7.3");
        assert!(legacy_release("1.9").is_none());
    }

    #[test]
    fn a_column_is_known_since_a_release() {
        assert_eq!(since("tblClaim", Some("claimuuid")), Some("1.4.0"));
        assert_eq!(since("tblFamilySMS", None), Some("1.6.0"));
        assert_eq!(since("tblClaim", Some("nmcNumber")), None);
    }

    #[test]
    fn the_file_is_made_again_byte_by_byte_and_is_small() {
        let order: Vec<&str> = legacy_names().map(|known| known.name).collect();
        assert_eq!(pack(legacy_releases().to_vec(), &order).unwrap(), BUNDLE);
        assert!(BUNDLE.len() < 64 * 1024, "{}", BUNDLE.len());
    }

    #[test]
    fn a_fingerprint_leaves_aside_what_does_not_matter() {
        let one = fingerprints("CREATE PROCEDURE [dbo].[uspX] @a int AS SELECT 1 -- one\n");
        let other = fingerprints("create procedure dbo.uspX @A INT as /* two */ select 1");
        assert_eq!(one, other);
        assert_ne!(one[0], fingerprints("create procedure dbo.uspX @A int as select 2")[0]);
        assert_eq!(fingerprints("/* no end")[0], fingerprints("")[0]);
    }
}
