//! How much of a comparison goes on at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many places for work, shared by the ranges of all tables. Each place is a connection to either side, and the memory of a range.
pub(crate) struct Turns {
    places: usize,
    free: Semaphore,
}

/// One place, or several that are held together, until it is dropped.
pub(crate) struct Turn<'a>(Option<SemaphorePermit<'a>>);

impl Turns {
    /// At least one.
    pub(crate) fn new(jobs: usize) -> Self {
        let places = jobs.clamp(1, Semaphore::MAX_PERMITS);
        Turns { places, free: Semaphore::new(places) }
    }

    /// All there are, free or not.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    /// Waits for one place, and takes those besides that nobody else has, up to so many in all. Who has a turn asks for no other,
    /// so that nobody waits for ever.
    pub(crate) async fn take(&self, at_most: usize) -> Turn<'_> {
        // It is never closed; were it, work would go on unlimited.
        let Ok(mut turn) = self.free.acquire().await else { return Turn(None) };
        while turn.num_permits() < at_most
            && let Ok(more) = self.free.try_acquire()
        {
            turn.merge(more);
        }
        Turn(Some(turn))
    }
}

impl Turn<'_> {
    /// How many places it has.
    pub(crate) fn places(&self) -> usize {
        self.0.as_ref().map_or(1, SemaphorePermit::num_permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_takes_what_is_free_and_gives_it_back() {
        let turns = Turns::new(3);
        let small = turns.take(1).await;
        let large = turns.take(8).await;
        assert_eq!((small.places(), large.places()), (1, 2));
        let next = turns.take(8);
        drop(small);
        assert_eq!(next.await.places(), 1);
        drop(large);
        assert_eq!(turns.take(8).await.places(), 3);
        assert_eq!(Turns::new(0).take(4).await.places(), 1);
    }
}
