//! Exit codes, which are a contract, and errors told to the person who must act.

use std::backtrace::Backtrace;
use std::error::Error as _;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::OnceLock;

use imis_checks::language::CheckErrors;
use imis_databases::{Error, ErrorKind, LocationError};
use imis_mappings::language::MappingErrors;

/// Done.
pub(crate) const DONE: u8 = 0;
/// Something failed.
pub(crate) const FAILED: u8 = 1;
/// The command was used wrongly.
pub(crate) const USAGE: u8 = 2;
/// The data failed: rejects, an account that does not balance, a key that does not hold.
pub(crate) const DATA: u8 = 3;
/// Schemas or mapping do not fit.
pub(crate) const SCHEMA: u8 = 4;
/// A server is unreachable or refused us; worth another try.
pub(crate) const UNREACHABLE: u8 = 5;
/// Broken off with Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// An expected failure: it knows its exit code and how to print itself.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    causes: Vec<String>,
    help: Option<String>,
    /// Complaints that show their lines.
    reports: Vec<miette::Report>,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), causes: Vec::new(), help: None, reports: Vec::new() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure::new(FAILED, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(USAGE, message)
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Failure::new(DATA, message)
    }

    pub(crate) fn schema(message: impl Into<String>) -> Self {
        Failure::new(SCHEMA, message)
    }

    pub(crate) fn interrupted() -> Self {
        Failure::new(INTERRUPTED, "broken off").with_help(
            "Ranges that were not committed are rolled back. Go on with --resume, or take it back with --undo.",
        )
    }

    /// A place that nobody should come to: a mistake of ours, or an answer that no server gives.
    pub(crate) fn of_panic() -> Self {
        let place = PANIC.get().map_or("an unknown place", String::as_str);
        Failure::failed(format!("imis met something that cannot be, at {place}")).with_help(
            "Nothing that was not committed stays; a migration goes on with --resume. Please report it with the command and \
             `imis doctor`; RUST_BACKTRACE=1 says more, but may show values.",
        )
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Prints the failure to stderr and gives its code. A reader that went away is no failure.
    pub(crate) fn report(&self, color: bool) -> ExitCode {
        let (red, bold, plain) = if color { ("\x1b[31;1m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = String::new();
        for report in &self.reports {
            text.push_str(&render(report, color));
        }
        text.push_str(&format!("{red}error:{plain} {}\n", self.message));
        for cause in &self.causes {
            text.push_str(&format!("  caused by: {cause}\n"));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  {bold}help:{plain} {help}\n"));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.code)
    }
}

/// Where the first panic was.
static PANIC: OnceLock<String> = OnceLock::new();

/// Keeps where a panic was. Its text is not shown unless a backtrace is asked for: it may quote a value.
pub(crate) fn remember_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line()));
    let _ = PANIC.set(place.unwrap_or_else(|| "an unknown place".to_owned()));
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        let _ = writeln!(std::io::stderr(), "{panic}\n{}", Backtrace::capture());
    }
}

fn render(report: &miette::Report, color: bool) -> String {
    let theme = if color { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false);
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_) => format!("{report}\n"),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Unreachable => UNREACHABLE,
            ErrorKind::Usage => USAGE,
            ErrorKind::Schema => SCHEMA,
            ErrorKind::Data => DATA,
            ErrorKind::Failed => FAILED,
        };
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        Failure { code, message: error.to_string(), causes, help: error.help().map(str::to_owned), reports: Vec::new() }
    }
}

impl From<LocationError> for Failure {
    fn from(error: LocationError) -> Self {
        let failure = Failure::usage(error.message);
        match error.help {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}

impl From<CheckErrors> for Failure {
    fn from(errors: CheckErrors) -> Self {
        let count = errors.0.len();
        let noun = if count == 1 { "complaint" } else { "complaints" };
        Failure {
            reports: errors.reports(),
            ..Failure::schema(format!("not all checks can be carried out: {count} {noun}"))
        }
    }
}

impl From<MappingErrors> for Failure {
    fn from(errors: MappingErrors) -> Self {
        let count = errors.0.len();
        let noun = if count == 1 { "complaint" } else { "complaints" };
        Failure { reports: errors.reports(), ..Failure::schema(format!("the mapping does not fit: {count} {noun}")) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(i32::from(DONE));
        }
        Failure::failed(error.to_string())
    }
}
