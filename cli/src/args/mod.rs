//! What can be typed. The help of every command stands here, and the manual and the completions are made of it.

mod check;
mod look;
mod make;
mod mapping;
mod migrate;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use self::check::{Check, CheckCommand, CheckExplain, CheckList, CheckPacks, CheckProfile, FailOn};
pub(crate) use self::look::{Diff, Doctor, Format, Identify, Introspect, Snapshot};
pub(crate) use self::make::{Completions, Demo, Generate, GenerateFormat, GenerateList, Man, ScriptEncoding};
pub(crate) use self::mapping::{MappingCheck, MappingCommand, MappingExplain, MappingScaffold};
pub(crate) use self::migrate::{
    DEFAULT_PACK, Level, Migrate, OnReject, Plan, Prepare, RejectsCommand, RejectsShow, Runs, Scan, Shape, Verify,
};

/// Moves legacy openIMIS databases (SQL Server) into the modular openIMIS schema (PostgreSQL).
#[derive(Debug, Parser)]
#[command(name = "imis", version, propagate_version = true, max_term_width = 110, after_help = AFTER)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
A LOCATION is a database or a folder:
  mssql://user@host:1433/IMIS      a SQL Server; also an ADO.NET string, or HOST\\INSTANCE/DATABASE
  postgres://user@host/openimis    a PostgreSQL server
  ./snapshot                       a folder made by `imis snapshot`
  dump.sql, ./scripts              a T-SQL script, or a folder of them and of folders, read in the order of their names
  catalog.yaml, release:NAME       a catalogue without rows
  NAME                             a database that imis.yaml names

Passwords come from IMIS_MSSQL_PASSWORD, IMIS_POSTGRES_PASSWORD, PGPASSWORD, ~/.pgpass, imis.yaml or a prompt.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the data failed, 4 schemas or mapping do not fit,
5 a server is unreachable or refused us, 130 broken off.";

/// Options of every command.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "IMIS_COLOR")]
    pub(crate) color: Color,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print JSON where a table would be printed.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Statements of T-SQL scripts that are not understood are an error; without it they are told and left out.
    #[arg(long, global = true, env = "IMIS_STRICT")]
    pub(crate) strict: bool,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", env = "IMIS_CONFIG", default_value = "imis.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Doctor(Doctor),
    Introspect(Introspect),
    Diff(Diff),
    Identify(Identify),
    Snapshot(Snapshot),
    /// Validates and explains mappings, and drafts what a country's own need.
    #[command(subcommand)]
    Mapping(MappingCommand),
    Plan(Plan),
    Prepare(Prepare),
    Migrate(Migrate),
    Verify(Verify),
    Check(Check),
    Runs(Runs),
    /// Shows what a run rejected.
    #[command(subcommand)]
    Rejects(RejectsCommand),
    Generate(Generate),
    Demo(Demo),
    Completions(Completions),
    Man(Man),
}
