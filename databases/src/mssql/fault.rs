//! How a statement fails, whoever reads its answer.

use std::fmt;
use std::io;

/// An error of the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerError {
    /// Its number.
    pub(super) code: u32,
    /// Its severity.
    pub(super) class: u8,
    /// Its text. It may hold a cell's value.
    pub(super) message: String,
}

/// What went wrong with a statement.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server says that it failed.
    Server(ServerError),
    /// The line broke off, or was given up; with what the line says.
    Line(String),
    /// The answer is none. The text quotes no values: it speaks of lengths, tokens and encodings.
    Protocol(String),
}

impl Fault {
    /// The answer is none.
    pub(super) fn protocol(why: impl Into<String>) -> Self {
        Fault::Protocol(why.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Server(error) => write!(f, "error {}", error.code),
            Fault::Line(said) | Fault::Protocol(said) => f.write_str(said),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Line(error.to_string())
    }
}

impl From<tiberius::error::Error> for Fault {
    fn from(error: tiberius::error::Error) -> Self {
        match &error {
            tiberius::error::Error::Server(token) => {
                let message = token.message().to_owned();
                Fault::Server(ServerError { code: token.code(), class: token.class(), message })
            }
            tiberius::error::Error::Io { .. } => {
                // tiberius wraps what the line says once or twice, always with the same words.
                let text = error.to_string();
                Fault::Line(text.rsplit("performing I/O: ").next().unwrap_or(&text).to_owned())
            }
            other => Fault::Protocol(other.to_string()),
        }
    }
}
