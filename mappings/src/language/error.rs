//! Complaints about a mapping: what, where, and what to write instead.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::model::Place;

/// One complaint about a mapping: what, where, and what to write instead.
#[derive(Debug, Clone)]
pub struct MappingError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where.
    pub place: Option<Place>,
    /// What is wrong at the place, in a few words.
    pub label: Option<String>,
    /// What was found about the source, for those who can do something about it.
    pub finding: Option<Box<Finding>>,
}

/// What a mapping that does not fit found about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A column of the source is neither mapped nor left by this rule.
    Column {
        /// The rule that carries the table.
        rule: String,
        /// The table, as the source spells it.
        table: String,
        /// The column, likewise.
        column: String,
        /// How many rows hold something in it, if somebody counted.
        filled: Option<u64>,
    },
    /// A table of the source is neither mapped nor left.
    Table {
        /// The table, as the source spells it.
        table: String,
    },
    /// Something that the source's release has is not there, or may not be read.
    Drift {
        /// The release, with its twins.
        release: String,
        /// The table.
        table: String,
        /// The columns; none for the whole table.
        columns: Vec<String>,
    },
}

impl MappingError {
    /// A complaint about a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        MappingError { place: Some(place.clone()), ..MappingError::general(message) }
    }

    /// A complaint about the mapping as a whole.
    pub fn general(message: impl Into<String>) -> Self {
        MappingError { message: message.into(), help: None, place: None, label: None, finding: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what is wrong at the place.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what was found about the source.
    #[must_use]
    pub fn found(mut self, finding: Finding) -> Self {
        self.finding = Some(Box::new(finding));
        self
    }

    /// Adds "did you mean", when one of the names is close to what was written.
    #[must_use]
    pub fn suggest<'a>(self, written: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(written, names) {
            Some(name) => self.with_help(format!("Did you mean `{name}`?")),
            None => self,
        }
    }

    /// The complaint as a diagnostic that shows the line.
    pub fn diagnostic(&self) -> miette::MietteDiagnostic {
        let mut diagnostic = miette::MietteDiagnostic::new(self.message.clone());
        if let Some(help) = &self.help {
            diagnostic = diagnostic.with_help(help.clone());
        }
        if let Some(place) = &self.place {
            diagnostic = diagnostic.with_label(LabeledSpan::new(self.label.clone(), place.offset, place.length));
        }
        diagnostic
    }

    /// Line and column of the place, counted from 1.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let place = self.place.as_ref()?;
        let before = place.file.text.get(..place.offset)?;
        let line = before.matches('\n').count() + 1;
        Some((line, before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1))
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(place), Some((line, column))) = (&self.place, self.line_and_column()) {
            write!(f, "{}:{line}:{column}: ", place.file.name)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for MappingError {}

/// All complaints about a mapping at once.
#[derive(Debug)]
pub struct MappingErrors(pub Vec<MappingError>);

impl MappingErrors {
    /// The complaints as reports that show their lines.
    pub fn reports(&self) -> Vec<miette::Report> {
        self.0
            .iter()
            .map(|error| {
                let report = miette::Report::new(error.diagnostic());
                match &error.place {
                    Some(place) => report.with_source_code(NamedSource::new(&place.file.name, place.file.text.clone())),
                    None => report,
                }
            })
            .collect()
    }
}

impl fmt::Display for MappingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MappingErrors {}
impl Diagnostic for MappingErrors {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        None
    }
}

/// How a reason begins that nobody has written yet.
pub(crate) const TODO: &str = "TODO";

/// The name that is closest to what was written, if any is close.
pub(crate) fn closest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .map(|(_, name)| name)
}
