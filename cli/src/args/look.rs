//! Commands that look at databases: doctor, introspect, diff, identify, snapshot.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::Level;

/// Connects and tells what could stand in the way: versions, collation, encryption, rights, size, other sessions.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  imis doctor mssql://reader@old-server/IMIS postgres://imis@localhost/openimis")]
pub(crate) struct Doctor {
    /// The databases to look at; without one, those that imis.yaml names.
    #[arg(value_name = "LOCATION")]
    pub(crate) locations: Vec<String>,
}

/// Describes a database: tables, columns, keys, indexes, views, routines.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  imis introspect mssql://reader@old-server/IMIS -o legacy.yaml")]
pub(crate) struct Introspect {
    /// The database.
    pub(crate) location: String,
    /// The format of the catalogue.
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) format: Format,
    /// Write to this file instead of the standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// Compares two schemas, of one engine or of two: tables, columns, keys, indexes, checks, views, routines, types of users.
///
/// Types that are the usual counterparts of each other count as equal, and so do keys and indexes that only have another name. What
/// seems to be renamed is told as a guess. What one side does not know (a script without keys, an old release without defaults) is told as
/// not compared, never as missing.
#[derive(Debug, ClapArgs)]
#[command(after_help = DIFF)]
pub(crate) struct Diff {
    /// The one side: a database, a snapshot, scripts, a catalogue or a release.
    #[arg(value_name = "A")]
    pub(crate) a: String,
    /// The other side.
    #[arg(value_name = "B")]
    pub(crate) b: String,
    /// Look at these only: kinds of things, or patterns of names.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave these out: kinds of things, or patterns of names.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// End with code 4 when anything differs.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Write the report into this folder: page, summary, differences as Parquet and as a unified diff.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

const DIFF: &str = "\
Examples:
  imis diff release:legacy/24.04 release:modular/1.11
  imis diff release:legacy/1.4.2 mssql://reader@old-server/IMIS --report diff
  imis diff last-month.yaml postgres://imis@localhost/openimis --exit-code --ignore indexes
  imis diff old new --only columns,types,'tblClaim*'
  imis diff old new --ignore 'tbl*.RowID',defaults

Kinds: tables, columns, types, nulls, defaults, identity, computed, collations, primary-keys, foreign-keys, uniques (keys: all three),
indexes, checks, views, routines, user-types. Any other word is a pattern, in which * stands for any text and ? for any character: of the
name of a table, view, routine or type, or of TABLE.COLUMN. Upper and lower case are alike. With kinds in --only other kinds are left
out, with patterns in it other names.

In what is printed, - stands before what only A has, + before what only B has, ~ before what is another, > before what is renamed.";

/// Finds the openIMIS release that a database is closest to, and what the country added, changed and removed.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis identify mssql://reader@old-server/IMIS --report which-release\n  imis identify legacy.yaml --json\n  imis identify release:legacy/22.10"
)]
pub(crate) struct Identify {
    /// The database, a snapshot, T-SQL scripts or a catalogue.
    pub(crate) location: String,
    /// Write the page and `summary.json` into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Count the rows of what was added; so it is without being asked.
    #[arg(long, overrides_with = "no_counts")]
    pub(crate) counts: bool,
    /// Do not count rows.
    #[arg(long, overrides_with = "counts")]
    pub(crate) no_counts: bool,
}

/// Writes every table of a database as Parquet, with a manifest (counts, hashes, catalogue, when, from what).
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  imis snapshot mssql://reader@old-server/IMIS -o backup-2026-11-22")]
pub(crate) struct Snapshot {
    /// The database.
    pub(crate) location: String,
    /// The new folder; only its owner may read it.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// What to rely on while others work on the source [default: auto, or what imis.yaml says of it].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
    /// Only these tables.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(crate) tables: Vec<String>,
    /// How many tables are read at once.
    #[arg(long, default_value_t = 2, env = "IMIS_JOBS")]
    pub(crate) jobs: usize,
    /// The largest cell that is read, in MiB.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub(crate) max_cell: usize,
}
