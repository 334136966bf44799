//! Progress by table on a terminal, and a line a phase elsewhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use imis_databases::Error;
use imis_fixtures::country::Made;
use imis_mappings::run::Progress;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// Shows what a run does.
pub(crate) struct Bars {
    bars: Option<MultiProgress>,
    quiet: bool,
    rules: Mutex<HashMap<String, ProgressBar>>,
    total: ProgressBar,
}

impl Bars {
    /// Bars if stderr is a terminal, lines otherwise, nothing if quiet.
    pub(crate) fn new(terminal: bool, quiet: bool) -> Self {
        let bars = (terminal && !quiet).then(MultiProgress::new);
        let total = ProgressBar::new(0)
            .with_style(style("{spinner} {prefix:<28} {bar:24} {human_pos:>12} rows  {rate:>12}  {eta} left"));
        let total = match &bars {
            Some(bars) => bars.add(total),
            None => ProgressBar::hidden(),
        };
        Bars { bars, quiet, rules: Mutex::default(), total }
    }

    /// Shows how many families of a country have been made, and with them how many rows.
    pub(crate) fn families(&self, families: u32) -> FamilyBar {
        let bar = ProgressBar::new(families.into()).with_style(style(
            "{spinner} making the country {bar:24} {human_pos} of {human_len} families  {msg} rows  {eta} left",
        ));
        let bar = match &self.bars {
            Some(bars) => bars.add(bar),
            None => ProgressBar::hidden(),
        };
        FamilyBar { bar, rows: AtomicU64::new(0) }
    }

    /// Shows how many bytes of something are read.
    pub(crate) fn bytes(&self, what: &'static str) -> ByteBar {
        let bar = ProgressBar::new(0)
            .with_style(style("{spinner} {prefix:<28} {bar:24} {bytes:>12} of {total_bytes}  {eta} left"))
            .with_prefix(what);
        ByteBar(match &self.bars {
            Some(bars) => bars.add(bar),
            None => ProgressBar::hidden(),
        })
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }
}

/// A bar for something that is read.
#[derive(Clone)]
pub(crate) struct ByteBar(ProgressBar);

impl ByteBar {
    /// So many bytes are read, and there are so many.
    pub(crate) fn at(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// A bar for a country in the making.
pub(crate) struct FamilyBar {
    bar: ProgressBar,
    rows: AtomicU64,
}

impl FamilyBar {
    /// Moves on.
    pub(crate) fn made(&self, made: Made) {
        let rows = self.rows.fetch_add(made.rows, Ordering::Relaxed) + made.rows;
        if !self.bar.is_hidden() {
            self.bar.set_message(HumanCount(rows).to_string());
            self.bar.inc(made.families);
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
        })
        .progress_chars("━╸ ")
}

impl Progress for Bars {
    fn phase(&self, name: &str) {
        self.total.set_prefix(name.to_owned());
        if self.bars.is_some() {
            self.total.enable_steady_tick(Duration::from_millis(200));
        }
        if self.bars.is_none() && !self.quiet {
            eprintln!("imis: {name}");
        }
    }

    fn rule(&self, rule: &str, rows: u64) {
        self.total.inc_length(rows);
        let Some(bars) = &self.bars else { return };
        // A bar for a handful of rows would be gone before anybody saw it.
        if rows >= 20_000 {
            let bar = ProgressBar::new(rows)
                .with_prefix(rule.to_owned())
                .with_style(style("  {prefix:<28} {bar:24} {human_pos:>12} rows  {rate:>12}  {eta} left"));
            self.rules.lock().unwrap_or_else(PoisonError::into_inner).insert(rule.to_owned(), bars.add(bar));
        }
    }

    fn rows(&self, rule: &str, more: u64) {
        self.total.inc(more);
        if let Some(bar) = self.rules.lock().unwrap_or_else(PoisonError::into_inner).get(rule) {
            bar.inc(more);
        }
    }

    fn again(&self, error: &Error, pause: Duration) {
        let said = format!("imis: {error}; trying again in {:.1} s", pause.as_secs_f64());
        match &self.bars {
            Some(bars) => {
                let _ = bars.println(said);
            }
            None => eprintln!("{said}"),
        }
    }

    fn done(&self, rule: &str) {
        if let Some(bar) = self.rules.lock().unwrap_or_else(PoisonError::into_inner).remove(rule) {
            bar.finish_and_clear();
        }
    }
}
