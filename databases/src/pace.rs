//! How long the other side of a line may keep us waiting.
//!
//! Only the time counts in which somebody waits for bytes and none are there: a line that nobody reads from, because the
//! rows before are still being written, is not slow. Whoever sends nothing, or drips, for as long as is allowed is given up.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Bytes a second below which a line drips. The worst modem was faster.
const DRIP: u64 = 100;

/// Why a line is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Not one byte came.
    Silent,
    /// So few came.
    Drips(u64),
}

/// The watch on one direction of a line.
#[derive(Debug)]
pub(crate) struct Pace {
    silence: Duration,
    /// Since when somebody waits.
    since: Option<Instant>,
    /// How long was waited so far since the last judgement.
    waited: Duration,
    /// What came meanwhile.
    bytes: u64,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// A watch that allows so much waiting.
    pub(crate) fn new(silence: Duration) -> Self {
        Pace { silence, since: None, waited: Duration::ZERO, bytes: 0, alarm: None }
    }

    /// How much waiting is allowed.
    pub(crate) fn silence(&self) -> Duration {
        self.silence
    }

    /// Begins anew: something else is waited for now.
    pub(crate) fn begin(&mut self) {
        (self.since, self.waited, self.bytes) = (None, Duration::ZERO, 0);
    }

    /// Bytes came; gives a stall when they were too few for the time.
    pub(crate) fn arrived(&mut self, bytes: usize) -> Option<Stall> {
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.judge()
    }

    /// Nothing is there. Gives a stall once it took too long, and else sees to it that the task looks again in time.
    pub(crate) fn waits(&mut self, cx: &mut Context<'_>) -> Option<Stall> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let due = since + self.silence.saturating_sub(self.waited);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        if alarm.as_mut().poll(cx).is_pending() {
            return None;
        }
        self.waited += since.elapsed();
        self.since = None;
        let stall = self.judge();
        if stall.is_none() {
            // The time is over and it was enough: a new stretch begins, and its alarm has to be set.
            return self.waits(cx);
        }
        stall
    }

    fn judge(&mut self) -> Option<Stall> {
        if self.waited < self.silence {
            return None;
        }
        let bytes = self.bytes;
        self.begin();
        match bytes {
            0 => Some(Stall::Silent),
            few if few < DRIP.saturating_mul(self.silence.as_secs()) => Some(Stall::Drips(few)),
            _ => None,
        }
    }
}

impl Stall {
    /// What the server did: `has sent nothing for 900 s`.
    pub(crate) fn says(self, silence: Duration) -> String {
        let seconds = silence.as_secs();
        match self {
            Stall::Silent => format!("has sent nothing for {seconds} s"),
            Stall::Drips(bytes) => format!("has sent only {bytes} bytes in {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    async fn wait(pace: &mut Pace, limit: Duration) -> Option<Stall> {
        let stall = poll_fn(|cx| match pace.waits(cx) {
            Some(stall) => Poll::Ready(stall),
            None => Poll::Pending,
        });
        tokio::time::timeout(limit, stall).await.ok()
    }

    #[tokio::test]
    async fn silence_and_drips_end_and_a_slow_reader_does_not() {
        let mut pace = Pace::new(Duration::from_secs(1));
        assert_eq!(wait(&mut pace, Duration::from_secs(3)).await, Some(Stall::Silent));

        let tenth = Duration::from_millis(100);
        let mut ended = None;
        for _ in 0..30 {
            ended = ended.or(wait(&mut pace, tenth).await).or(pace.arrived(1));
        }
        assert!(matches!(ended, Some(Stall::Drips(5..=12))), "{ended:?}");

        // Enough bytes, and pauses in which nobody waits.
        pace.begin();
        for _ in 0..12 {
            assert_eq!(wait(&mut pace, tenth).await, None);
            assert_eq!(pace.arrived(20), None);
            tokio::time::sleep(tenth).await;
        }
    }
}
