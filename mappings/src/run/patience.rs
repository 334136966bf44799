//! Trying again what failed for a reason that passes: a line that broke, a server that starts anew, a lock, a deadlock.

use std::time::Duration;

use imis_databases::Error;

use super::Progress;

/// How often the same thing is tried again.
const TRIES: u32 = 8;
/// How long the first pause is; each is twice as long as the one before. All together are about a minute.
const FIRST: Duration = Duration::from_millis(250);

/// What is left of it.
pub(super) struct Patience<'a> {
    progress: &'a dyn Progress,
    tries: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(progress: &'a dyn Progress) -> Self {
        Patience { progress, tries: 0 }
    }

    /// Waits, if it is worth while to try again after this error.
    ///
    /// # Errors
    /// The error itself, when it does not pass or was met too often.
    pub(super) async fn outlast(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_passing() || self.tries == TRIES {
            return Err(error);
        }
        // Ranges that broke off together must not come back together.
        let pause = FIRST * 2_u32.pow(self.tries);
        let jitter = pause.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 1024.0);
        self.tries += 1;
        self.progress.again(&error, pause + jitter);
        tokio::time::sleep(pause + jitter).await;
        Ok(())
    }
}
