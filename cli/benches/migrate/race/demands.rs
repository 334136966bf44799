//! What must be true, and whether it is.

use std::ops::{Bound, RangeBounds};

use super::contender::Contender;
use super::shape::Shape;
use super::{Entry, NOT_HERE, Race, Run};
use crate::MEMORY_LIMIT;

/// How many times a peer's rows a second.
const PEERS: [(Contender, f64); 3] =
    [(Contender::Pgloader, 4.5), (Contender::Python, 40.0), (Contender::RustPeer, 2.2)];
/// How many times the time of COPY of a ready file.
const COPY: f64 = 1.8;
/// How much of the rate at a million rows there has to be at ten million.
const LARGE: f64 = 0.9;
/// How many times the time of a mapping without rules one with rules may take.
const RULES: f64 = 1.15;

/// Something that must be true.
pub(crate) struct Demand {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) reached: Reached,
}

/// What a demand came to.
pub(crate) enum Reached {
    Met(f64),
    Missed(f64),
    /// A contender that was here failed, with the reason.
    Failed(String),
    /// Nobody ran whom it is about, with the reason.
    NotAsked(String),
}

impl Demand {
    /// What is to be said of it where it is not met.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Demand { what, wanted, reached } = self;
        match reached {
            Reached::Missed(figure) => Some(format!("missed: {what}: {wanted}, reached {figure:.2}")),
            Reached::Failed(why) => Some(format!("not measured: {what}: {why}")),
            Reached::Met(_) | Reached::NotAsked(_) => None,
        }
    }
}

/// Two figures of which one is held against the other: whose, of which table, and which.
struct Side(Contender, Shape, fn(&Entry) -> Option<f64>);

impl Race {
    /// What the figures have to come to.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        let rate = |contender, shape| Side(contender, shape, Entry::rate);
        let time = |contender| Side(contender, Shape::Insurees, |entry| entry.median(Run::alone));
        let (ours, our_time) = (|| rate(Contender::Imis, Shape::Insurees), || time(Contender::Imis));
        let mut demands = Vec::new();
        for (peer, times) in PEERS {
            let few = if peer == Contender::Python { " (a hundredth of the rows)" } else { "" };
            let what = format!("rows/s of imis migrate to those of {}{few}", peer.title());
            demands.push(self.demand(&what, times.., ours(), rate(peer, Shape::Insurees)));
        }
        let large = rate(Contender::Imis, Shape::Large);
        demands.push(self.demand("rows/s with ten times the rows to those with once the rows", LARGE.., large, ours()));
        for (what, most, of, to) in [
            ("time of imis migrate to that of COPY of a ready file", COPY, our_time(), time(Contender::Copy)),
            ("time with real rules to that without", RULES, time(Contender::Rules), our_time()),
            ("time of imis verify to that of imis migrate", 1.0, time(Contender::Verify), our_time()),
        ] {
            demands.push(self.demand(what, 0.0..=most, of, to));
        }
        let peaks = self.entries.iter().filter(|entry| entry.contender.is_imis()).map(Entry::peak_bytes);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (peak, limit) = (mib(peaks.max().unwrap_or(0)), mib(MEMORY_LIMIT));
        demands.push(Demand {
            what: "peak memory of imis over all shapes and sizes, MiB".to_owned(),
            wanted: format!("at most {limit}"),
            reached: if peak <= limit { Reached::Met(peak) } else { Reached::Missed(peak) },
        });
        demands
    }

    /// Holds one figure against another.
    fn demand(&self, what: &str, allowed: impl RangeBounds<f64>, of: Side, to: Side) -> Demand {
        let wanted = match (allowed.start_bound(), allowed.end_bound()) {
            (_, Bound::Included(most) | Bound::Excluded(most)) => format!("at most {most}"),
            (Bound::Included(least) | Bound::Excluded(least), _) => format!("at least {least}"),
            (Bound::Unbounded, Bound::Unbounded) => String::new(),
        };
        let reached = match (self.side(&of), self.side(&to)) {
            (Ok(of), Ok(to)) => match of / to.max(1e-9) {
                ratio if allowed.contains(&ratio) => Reached::Met(ratio),
                ratio => Reached::Missed(ratio),
            },
            // A failure is worse than an absence.
            (Err(Reached::Failed(why)), _) | (_, Err(Reached::Failed(why))) => Reached::Failed(why),
            (Err(why), _) | (_, Err(why)) => why,
        };
        Demand { what: what.to_owned(), wanted, reached }
    }

    /// A figure, if whoever it is about ran every round.
    fn side(&self, Side(contender, shape, figure): &Side) -> Result<f64, Reached> {
        let title = contender.title();
        let Some(entry) = self.entry(*contender, *shape) else {
            return Err(Reached::NotAsked(format!("{} was left out", shape.table())));
        };
        match &entry.failure {
            Some(why) if why == NOT_HERE => return Err(Reached::NotAsked(format!("{title} is {NOT_HERE}"))),
            Some(why) => return Err(Reached::Failed(format!("{title}: {why}"))),
            None => {}
        }
        figure(entry).ok_or_else(|| Reached::Failed(format!("{title} has no figures")))
    }
}
