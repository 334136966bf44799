//! The page that the benchmarks write, section by section; what no benchmark writes stays as it is.

use std::path::{Path, PathBuf};

use super::Outcome;

/// A file of the book.
fn file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(name)
}

/// Whether figures shall be written: `IMIS_BENCH_WRITE=1`.
fn is_wanted() -> bool {
    std::env::var_os("IMIS_BENCH_WRITE").is_some_and(|value| value == "1")
}

/// Writes a file of the book, when that is wanted.
pub(crate) fn write(name: &str, text: &str) -> Outcome<()> {
    if is_wanted() {
        std::fs::write(file(name), text)?;
        eprintln!("bench: written to docs/{name}");
    }
    Ok(())
}

/// Puts a section, which begins with its heading (`## ...`), into benchmarks.md in place of the one with the same heading, when
/// that is wanted.
pub(crate) fn put(section: &str) -> Outcome<()> {
    if is_wanted() {
        let page = std::fs::read_to_string(file("benchmarks.md"))?;
        write("benchmarks.md", &replaced(&page, section))?;
    }
    Ok(())
}

/// The page with a section replaced, or added at its end.
fn replaced(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut parts = vec![String::new()];
    for line in page.lines() {
        if line.starts_with("## ") {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    let section = format!("{}\n\n", section.trim_end());
    match parts.iter_mut().find(|part| part.lines().next() == Some(heading)) {
        Some(part) => *part = section,
        None => parts.push(format!("\n{section}")),
    }
    format!("{}\n", parts.concat().trim_end())
}
