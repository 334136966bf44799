//! Documents that people write: YAML files that declare something, read with the place of everything they say, so that every complaint
//! shows its line.

mod complaint;
mod shapes;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_yaml::Spanned;

pub use complaint::{Complaint, Complaints, closest};
pub use shapes::{Ordered, Plain, ShortOr};

/// A text, kept for complaints.
#[derive(Debug)]
pub struct SourceFile {
    /// The file's name, as the user knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Where in a text something stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The offset of its first byte.
    pub offset: usize,
    /// Its length in bytes.
    pub length: usize,
}

impl Place {
    /// What stands there.
    pub fn text(&self) -> Option<&str> {
        self.file.text.get(self.offset..self.offset + self.length)
    }

    /// The place of a word within this one, case aside; this one where the word is not found.
    pub fn within(&self, word: &str) -> Place {
        let text = self.file.text.get(self.offset..).unwrap_or_default();
        // A text of several lines goes on behind its first.
        let reach =
            text.char_indices().map(|(at, _)| at).take_while(|at| *at < self.length.max(1) + 2000).last().unwrap_or(0);
        let reach = text.get(..reach).unwrap_or(text).to_ascii_lowercase();
        let word = word.to_ascii_lowercase();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: &usize| {
            let before = reach.get(..*at).and_then(|t| t.chars().next_back()).is_some_and(is_part);
            let after = reach.get(at + word.len()..).and_then(|t| t.chars().next()).is_some_and(is_part);
            !before && !after
        };
        match reach.match_indices(&word).map(|(at, _)| at).find(whole) {
            Some(at) if !word.is_empty() => Place { offset: self.offset + at, length: word.len(), ..self.clone() },
            _ => self.clone(),
        }
    }
}

/// Something with the place where it stands.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The thing.
    pub value: T,
    /// Its place.
    pub place: Place,
}

/// Reads a document, with a complaint about the first thing that is not understood.
///
/// # Errors
/// When the YAML or its shape is wrong; an unknown key comes with the key that was probably meant.
pub fn parse<T: DeserializeOwned, F>(file: &Arc<SourceFile>) -> Result<T, Complaint<F>> {
    // N and Y are codes, not truth values: only true and false are.
    serde_yaml::from_str_with_options(&file.text, serde_yaml::options! { strict_booleans: true }).map_err(|error| {
        let error = error.without_snippet();
        let mut text = error.to_string();
        // The place is shown with the line; the parser's own words end with it too.
        if let Some(at) = text.rfind(" at line ") {
            text.truncate(at);
        }
        let at = error.location().map(|l| place(file, l.line(), l.column(), 1));
        let complaint = Complaint { place: at.map(whole_word), ..Complaint::general(text.clone()) };
        let complaint =
            complaint.with_label(if text.contains("unknown field") { "not known here" } else { "not understood" });
        let written = text.split('`').nth(1);
        let known = text.split_once("expected one of ").or_else(|| text.split_once("expected "));
        match (text.contains("unknown field"), written, known) {
            (true, Some(written), Some((_, known))) => {
                complaint.suggest(written, known.split(", ").map(|name| name.trim_matches('`')))
            }
            _ => complaint,
        }
    })
}

/// The word that begins at a place.
fn whole_word(place: Place) -> Place {
    let rest = place.file.text.get(place.offset..).unwrap_or_default();
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']')).unwrap_or(rest.len());
    Place { length: end.max(1).min(rest.len()), ..place }
}

fn place(file: &Arc<SourceFile>, line: u64, column: u64, length: usize) -> Place {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let start: usize = file.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = file.text.get(start..).unwrap_or_default();
    let within = rest
        .char_indices()
        .nth(usize::try_from(column).unwrap_or(1).saturating_sub(1))
        .map_or(rest.len(), |(at, _)| at);
    let offset = (start + within).min(file.text.len());
    Place { file: Arc::clone(file), offset, length: length.min(file.text.len() - offset) }
}

/// The place of something that the parser has read.
pub fn place_of<T>(file: &Arc<SourceFile>, spanned: &Spanned<T>, length: usize) -> Place {
    place(file, spanned.referenced.line(), spanned.referenced.column(), length)
}

/// A text with its place.
pub fn located(file: &Arc<SourceFile>, spanned: &Spanned<String>) -> Located<String> {
    Located { value: spanned.value.clone(), place: place_of(file, spanned, spanned.value.len()) }
}

/// The place of a text in a scalar that may begin with a quote, or a line above it.
pub fn place_of_text(file: &Arc<SourceFile>, scalar: Place, text: &str) -> Place {
    let first = text.lines().next().unwrap_or_default().trim_end();
    let rest = file.text.get(scalar.offset..).unwrap_or_default();
    // A quote, or the sign of a block with a comment and the indentation: no more lies between.
    match rest.find(first).filter(|at| !first.is_empty() && *at < 200) {
        Some(at) => Place { offset: scalar.offset + at, length: first.len(), ..scalar },
        None => scalar,
    }
}
