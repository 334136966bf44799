//! The openIMIS releases that the program carries with it.

use crate::catalog::{Catalog, CatalogError};

/// Every release by its name, with its catalogue.
const RELEASES: &[(&str, &str)] = &[
    ("legacy/24.04", include_str!("../releases/legacy-24.04.json")),
    ("modular/1.11", include_str!("../releases/modular-1.11.json")),
    ("modular/baseline-upstream", include_str!("../releases/modular-baseline-upstream.json")),
];

/// The names of the releases that [`release`] knows.
pub fn release_names() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|(name, _)| *name)
}

/// The catalogue of a known release, for example `legacy/24.04`. It is parsed when it is asked for.
///
/// # Errors
/// When no release has this name.
pub fn release(name: &str) -> Result<Catalog, ReleaseError> {
    let (_, text) =
        RELEASES.iter().find(|(known, _)| *known == name).ok_or_else(|| ReleaseError::Unknown(name.to_owned()))?;
    Ok(Catalog::parse(text)?)
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
        assert_eq!(sizes[0], ("legacy/24.04", 65, 914));
        assert_eq!(sizes[1].1, 157);
        assert_eq!(sizes[2].1, 65);
        assert!(release("legacy/99").is_err());
    }
}
