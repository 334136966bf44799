//! How results get out: data on stdout, messages on stderr.

use std::io::{IsTerminal, Write};

use imis_reports::terminal::Style;

use crate::args::Color;
use crate::exit::Failure;

/// Decides about colour, width and detail once.
pub(crate) fn style(color: Color, verbose: bool) -> Style {
    let terminal = std::io::stdout().is_terminal();
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    let width = terminal.then(|| console::Term::stdout().size().1);
    Style { color, width, verbose, ..Style::default() }
}

/// Prints a text to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON to stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::failed(e.to_string()))?;
    print(&text)
}
