//! The openIMIS releases that the program carries with it.

use std::sync::OnceLock;

use crate::catalog::{Catalog, CatalogError};
use crate::legacy::{legacy_names, legacy_release};

/// The releases whose whole catalogue is known: with keys, indexes and defaults. A name here wins over the same in
/// [`crate::legacy`], which knows the others by tables and columns.
const RELEASES: &[(&str, &str)] = &[
    ("legacy/24.04", include_str!("../releases/legacy-24.04.json")),
    ("modular/1.11", include_str!("../releases/modular-1.11.json")),
    ("modular/baseline-upstream", include_str!("../releases/modular-baseline-upstream.json")),
];

/// The names of the releases that [`release`] knows, the legacy ones first and oldest first; twins and second names are
/// among them.
pub fn release_names() -> impl Iterator<Item = &'static str> {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let legacy = legacy_names().flat_map(|known| [Some(known.name), known.also]).flatten();
        let legacy = legacy.map(|name| format!("legacy/{name}"));
        let modular = RELEASES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !name.starts_with("legacy/"));
        legacy.chain(modular).collect()
    });
    names.iter().map(String::as_str)
}

/// The catalogue of a known release, for example `legacy/24.04`. It is parsed when it is asked for.
///
/// # Errors
/// When no release has this name.
pub fn release(name: &str) -> Result<Catalog, ReleaseError> {
    if let Some((_, text)) = RELEASES.iter().find(|(known, _)| *known == name) {
        return Ok(Catalog::parse(text)?);
    }
    let legacy = name.strip_prefix("legacy/").and_then(legacy_release);
    legacy.map(|release| release.catalog.clone()).ok_or_else(|| ReleaseError::Unknown(name.to_owned()))
}

/// Why a release cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// No release has this name.
    #[error("no known release is called `{0}`; known are {known}", known = release_names().collect::<Vec<_>>().join(", "))]
    Unknown(String),
    /// Its catalogue cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_can_be_read() {
        let sizes: Vec<_> = release_names()
            .map(|name| {
                let catalog = release(name).unwrap();
                (name, catalog.tables.len(), catalog.tables.iter().map(|t| t.columns.len()).sum::<usize>())
            })
            .collect();
        assert_eq!(sizes.len(), 25);
        assert_eq!(sizes[0], ("legacy/18.0.0", 57, 769));
        let size = |name: &str| sizes.iter().find(|(known, ..)| *known == name).unwrap();
        assert_eq!(*size("legacy/24.04"), ("legacy/24.04", 65, 914));
        assert_eq!((size("modular/1.11").1, size("modular/baseline-upstream").1), (157, 65));
        assert_eq!(release("legacy/22.10").unwrap(), release("legacy/1.7.3").unwrap());
        assert!(!release("legacy/24.04").unwrap().table("tblClaim").unwrap().key_columns().is_empty());
        assert!(release("legacy/99").is_err());
    }
}
