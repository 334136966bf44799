//! What must be true, and whether it is.

use super::Race;
use super::contender::Contender;
use super::shape::Shape;
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
    pub(crate) reached: String,
    pub(crate) is_met: bool,
}

impl Race {
    /// What the figures have to come to. Nothing is asked where nobody ran.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        let seconds = |contender, shape: Shape| self.entry(contender, shape)?.median(super::Run::alone);
        let rate = |contender, shape: Shape| self.entry(contender, shape)?.rate();
        let ours = rate(Contender::Imis, Shape::Insurees);
        let mut demands = Vec::new();
        let mut at_least = |what: String, least: f64, reached: Option<f64>| {
            demands.extend(reached.map(|reached| Demand {
                what,
                wanted: format!("at least {least}"),
                reached: format!("{reached:.2}"),
                is_met: reached >= least,
            }));
        };
        for (peer, times) in PEERS {
            let reached = ours.zip(rate(peer, Shape::Insurees)).map(|(ours, theirs)| ours / theirs);
            at_least(format!("rows/s of imis migrate to those of {}", peer.title()), times, reached);
        }
        let large = rate(Contender::Imis, Shape::Large).zip(ours).map(|(large, ours)| large / ours);
        at_least("rows/s with ten times the rows to those with once the rows".to_owned(), LARGE, large);
        let mut at_most = |what: &str, most: f64, reached: Option<f64>| {
            demands.extend(reached.map(|reached| Demand {
                what: what.to_owned(),
                wanted: format!("at most {most}"),
                reached: format!("{reached:.2}"),
                is_met: reached <= most,
            }));
        };
        let time = |contender| seconds(contender, Shape::Insurees);
        let to = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b.max(1e-9));
        at_most(
            "time of imis migrate to that of COPY of a ready file",
            COPY,
            to(time(Contender::Imis), time(Contender::Copy)),
        );
        at_most("time with real rules to that without", RULES, to(time(Contender::Rules), time(Contender::Imis)));
        at_most("time of imis verify to that of imis migrate", 1.0, to(time(Contender::Verify), time(Contender::Imis)));
        let peaks = self.entries.iter().filter(|entry| entry.contender.is_imis()).map(super::Entry::peak_bytes);
        let peak = peaks.max().unwrap_or(0) as f64 / f64::from(1 << 20);
        let limit = MEMORY_LIMIT as f64 / f64::from(1 << 20);
        at_most("peak memory of imis over all shapes and sizes, MiB", limit, Some(peak));
        demands
    }
}
