//! Places at which a test ends the process, as a power cut would. In a program that is not built for tests they are nothing.

/// The process has come to a place. With the feature `failpoints`, and the place named in `FAILPOINTS` (`load-copied=2*off->return`:
/// at the third time), it is killed there, by a signal that nothing can catch.
#[cfg(feature = "failpoints")]
pub(super) fn reached(place: &'static str) {
    fail::fail_point!(place, |_| {
        use rustix::process::{Signal, getpid, kill_process};
        if kill_process(getpid(), Signal::KILL).is_err() {
            std::process::abort();
        }
    });
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub(super) fn reached(_: &'static str) {}
