//! What the benchmarks share: the page that they write, the machine, processes, numbers as people read them.

pub(crate) mod book;
pub(crate) mod machine;
pub(crate) mod process;

use std::error::Error;

/// What may go wrong in a benchmark; nobody handles it.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A number that the environment may name.
pub(crate) fn number(name: &str, usual: u64) -> Outcome<u64> {
    match std::env::var(name) {
        Ok(text) => Ok(text.replace(['_', ','], "").parse().map_err(|_| format!("{name} is not a number"))?),
        Err(_) => Ok(usual),
    }
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
