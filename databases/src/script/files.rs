//! Which scripts a location names, and in which order they are read.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

/// How deep folders may lie in one another.
const DEPTH: usize = 16;

/// The scripts of a file or a folder: those of a folder and all below it by their names, numbers in them by their value, so that
/// `2_views.sql` comes before `10_data.sql`. Files come before folders of the same folder.
///
/// # Errors
/// When something cannot be read, or there is no script.
pub(super) fn scripts(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    gather(path, 0, &mut found)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("{} holds no .sql file", path.display()))
            .with_help("Name a T-SQL script or a folder of them."));
    }
    Ok(found)
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let trouble =
        |e: std::io::Error| Error::new(ErrorKind::Usage, format!("{} cannot be read", folder.display())).caused_by(e);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(trouble)? {
        entries.push(entry.map_err(trouble)?.path());
    }
    entries.sort_by(|a, b| by_name(a, b));
    let is_script = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
    };
    found.extend(entries.iter().filter(|path| is_script(path)).cloned());
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if depth < DEPTH {
        for folder in entries.iter().filter(|path| path.is_dir() && !hidden(path)) {
            gather(folder, depth + 1, found)?;
        }
    }
    Ok(())
}

fn by_name(a: &Path, b: &Path) -> Ordering {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    natural(&name(a), &name(b)).then_with(|| a.cmp(b))
}

/// Compares names with the numbers in them by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (n, m) = (digits(a), digits(b));
        if n > 0 && m > 0 {
            let (x, y) = (a[..n].trim_start_matches('0'), b[..m].trim_start_matches('0'));
            let by_value = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if by_value.is_ne() {
                return by_value;
            }
            (a, b) = (&a[n..], &b[m..]);
            continue;
        }
        let (mut x, mut y) = (a.chars(), b.chars());
        match (x.next(), y.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(c), Some(d)) if c != d => return c.cmp(&d),
            _ => (a, b) = (x.as_str(), y.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_by_the_numbers_in_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["10_data.sql", "2_views.SQL", "1_tables.sql", "readme.txt", "sub/1.sql", ".git/x.sql", "01_first.sql"]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names: Vec<String> = scripts(folder.path())
            .unwrap()
            .iter()
            .map(|p| p.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["01_first.sql", "1_tables.sql", "2_views.SQL", "10_data.sql", "sub/1.sql"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(scripts(empty.path()).is_err());
    }
}
