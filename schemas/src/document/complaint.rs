//! Complaints about a document: what, where, and what to write instead.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::Place;

/// One complaint about a document: what, where, and what to write instead.
#[derive(Debug, Clone)]
pub struct Complaint<F = ()> {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where.
    pub place: Option<Place>,
    /// What is wrong at the place, in a few words.
    pub label: Option<String>,
    /// What was found beside it, for those who can do something about it.
    pub finding: Option<Box<F>>,
}

impl<F> Complaint<F> {
    /// A complaint about a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Complaint { place: Some(place.clone()), ..Complaint::general(message) }
    }

    /// A complaint about the mapping as a whole.
    pub fn general(message: impl Into<String>) -> Self {
        Complaint { message: message.into(), help: None, place: None, label: None, finding: None }
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

    /// Adds what was found.
    #[must_use]
    pub fn found(mut self, finding: F) -> Self {
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

impl<F> fmt::Display for Complaint<F> {
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

impl<F: fmt::Debug> std::error::Error for Complaint<F> {}

/// All complaints about a document at once.
#[derive(Debug)]
pub struct Complaints<F = ()>(pub Vec<Complaint<F>>);

impl<F> Complaints<F> {
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

impl<F> fmt::Display for Complaints<F> {
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

impl<F: fmt::Debug> std::error::Error for Complaints<F> {}
impl<F: fmt::Debug> Diagnostic for Complaints<F> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        None
    }
}

/// The name that is closest to what was written, if any is close.
pub fn closest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .map(|(_, name)| name)
}
