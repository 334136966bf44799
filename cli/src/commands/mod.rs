//! The commands, one file each.

mod check;
mod consistency;
mod demo;
mod diff;
mod doctor;
mod generate;
mod identify;
mod introspect;
mod manual;
mod mapping;
mod migrate;
mod plan;
mod prepare;
mod runs;
mod snapshot;
mod verify;

use std::io::IsTerminal;

use imis_reports::terminal::Style;

use crate::args::{Command, Global, MappingCommand, RejectsCommand};
use crate::config::Config;
use crate::exit::Failure;
use crate::progress::Bars;
use crate::show;

/// What every command works with: configuration, style, how much to say.
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) style: Style,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) strict: bool,
}

impl Session {
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        Ok(Session {
            config: Config::read(&global.config)?,
            style: show::style(global.color, global.verbose > 0),
            json: global.json,
            quiet: global.quiet,
            strict: global.strict,
        })
    }

    /// Says something on stderr, unless asked to be quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Warns, even when asked to be quiet: a warning is about safety.
    pub(crate) fn warn(&self, text: &str) {
        let (yellow, plain) = if self.style.color { ("\x1b[33;1m", "\x1b[0m") } else { ("", "") };
        eprintln!("{yellow}WARNING:{plain} {text}");
    }

    /// Bars or lines for something long.
    pub(crate) fn bars(&self) -> Bars {
        Bars::new(std::io::stderr().is_terminal(), self.quiet)
    }
}

/// Carries a command out and gives its exit code.
pub(crate) async fn run(command: Command, session: &Session) -> Result<u8, Failure> {
    match command {
        Command::Doctor(args) => doctor::doctor(args, session).await,
        Command::Introspect(args) => introspect::introspect(args, session).await,
        Command::Diff(args) => diff::diff(args, session).await,
        Command::Identify(args) => identify::identify(args, session).await,
        Command::Snapshot(args) => snapshot::snapshot(args, session).await,
        Command::Mapping(MappingCommand::Check(args)) => mapping::check(args, session).await,
        Command::Mapping(MappingCommand::Explain(args)) => mapping::explain(args, session).await,
        Command::Mapping(MappingCommand::Scaffold(args)) => mapping::scaffold(args, session).await,
        Command::Plan(args) => plan::plan(args, session).await,
        Command::Prepare(args) => prepare::prepare(args, session).await,
        Command::Migrate(args) => migrate::migrate(args, session).await,
        Command::Verify(args) => verify::verify(args, session).await,
        Command::Check(args) => check::check(args, session).await,
        Command::Runs(args) => runs::runs(args, session).await,
        Command::Rejects(RejectsCommand::Show(args)) => runs::rejects(args, session).await,
        Command::Generate(args) => generate::generate(args, session).await,
        Command::Demo(args) => demo::demo(args, session).await,
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}
