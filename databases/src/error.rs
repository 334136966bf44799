//! What goes wrong with a database, told to the person who must act.

use std::fmt;

/// What kind of trouble it is; the command's exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server cannot be reached, refused the login, or broke off. Worth another try.
    Unreachable,
    /// The user asked for something that cannot be.
    Usage,
    /// A schema is not what it has to be.
    Schema,
    /// The data broke a promise (a value that no type takes, a file that was tampered with).
    Data,
    /// Anything else that failed.
    Failed,
}

/// An error of a database, a snapshot or a file: what happened, where, and what to do about it.
///
/// It names tables, columns, types and counts; never a value of a cell and never a password.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    by_server: bool,
    passes: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), help: None, by_server: false, passes: false, source: None }
    }

    /// Shorthand for [`ErrorKind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Failed, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the cause. Its text is shown, so it must hold no cell value and no password.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks it as something that a server said of the rows it was given.
    #[must_use]
    pub fn said_by_server(mut self) -> Self {
        self.by_server = true;
        self
    }

    /// Marks it as something that may be over in a moment: a line that broke, a lock, a server that starts anew.
    #[must_use]
    pub fn passing(self) -> Self {
        self.passing_if(true)
    }

    /// The same, where it is so.
    #[must_use]
    pub fn passing_if(mut self, passes: bool) -> Self {
        self.passes |= passes;
        self
    }

    /// Whether the same may succeed if it is tried again in a moment.
    pub fn is_passing(&self) -> bool {
        self.passes
    }

    /// Whether a server refused rows that it was given: a value, a NULL, a constraint. Finding the row is then worth while.
    pub fn is_refusal(&self) -> bool {
        self.by_server && self.kind == ErrorKind::Data
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do next, where we know.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}
