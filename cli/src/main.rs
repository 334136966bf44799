//! The `imis` command: arguments, configuration, progress, exit codes. It orchestrates and knows no table.

mod args;
mod commands;
mod config;
mod exit;
mod places;
mod progress;
mod show;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _places = fail::FailScenario::setup();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; anything else is wrong usage.
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let session = match commands::Session::new(args.global) {
        Ok(session) => session,
        Err(error) => return error.report(false),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Failure::failed(format!("imis cannot start: {error}")).report(false),
    };
    std::panic::set_hook(Box::new(exit::remember_panic));
    let work = async {
        tokio::select! {
            result = commands::run(args.command, &session) => result,
            _ = tokio::signal::ctrl_c() => Err(exit::Failure::interrupted()),
        }
    };
    let work = std::panic::AssertUnwindSafe(|| runtime.block_on(work));
    let result = std::panic::catch_unwind(work).unwrap_or_else(|_| Err(exit::Failure::of_panic()));
    // A range in hand is rolled back by its server once the connection is gone; nothing waits for it here.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => error.report(session.style.color),
    }
}
