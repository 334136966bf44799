//! Commands that check what is in a database.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{DEFAULT_PACK, Level};

/// Finds what is wrong with the data: on either side of a migration, on a server, in scripts or in a snapshot.
///
/// Every check names the rows that break it by their keys and says why it matters and what to do. Checks come in packs; a country changes
/// them in a file of its own, which extends them.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = CHECK)]
pub(crate) struct Check {
    #[command(subcommand)]
    pub(crate) what: Option<CheckCommand>,
    /// The database, a snapshot or T-SQL scripts.
    #[arg(required = true)]
    pub(crate) location: Option<String>,
    #[command(flatten)]
    pub(crate) packs: CheckPacks,
    /// Check also what a migration to this database would demand, by the mapping: what would be rejected or lost.
    #[arg(long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    /// The mapping of that migration: a pack's name or a mapping file.
    #[arg(long, value_name = "MAPPING", default_value = DEFAULT_PACK, env = "IMIS_MAPPING")]
    pub(crate) mapping: String,
    /// Compare with an earlier run: its report folder. Tells what is new, gone, and still there.
    #[arg(long, value_name = "DIR")]
    pub(crate) compare: Option<PathBuf>,
    /// End with code 3 when a check of this severity or a worse one fails.
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,
    /// Write the report into this folder: page, summary, all violations as Parquet, JUnit, SARIF.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Show natural keys and values of rows; secrets never are.
    #[arg(long)]
    pub(crate) show_values: bool,
    /// What to rely on while others work on the database [default: auto, or what imis.yaml says of it].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
    /// How many parts of a table are read at once [default: the number of cores].
    #[arg(long, env = "IMIS_JOBS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: Option<u16>,
    /// How much a query may hold in memory, in MiB; what is more goes to files in the temporary folder.
    #[arg(long, default_value_t = 512, value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..))]
    pub(crate) memory: u64,
}

/// Which checks, as of when.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct CheckPacks {
    /// Packs by name, or files [default: openimis/core and openimis/migration; with --only, all that the program carries].
    #[arg(long = "pack", value_name = "PACK", value_delimiter = ',', env = "IMIS_PACK")]
    pub(crate) packs: Vec<String>,
    /// Only the checks with these ids or tags.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Not the checks with these ids or tags.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
    /// The day that counts as today [default: today, UTC].
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<jiff::civil::Date>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    Profile(CheckProfile),
    Explain(CheckExplain),
    List(CheckList),
}

const CHECK: &str = "\
Examples:
  imis check mssql://reader@old-server/IMIS --report checked
  imis check ./snapshot --only I1,I5,claims
  imis check postgres://imis@localhost/openimis --pack openimis/fhir-r4 --fail-on never
  imis check IMIS --pack nepal.yaml --report november --compare october
  imis check profile IMIS --report picture
  imis check mssql://reader@old-server/IMIS --pack openimis/migration --to postgres://imis@localhost/openimis
  imis check explain I5
  imis check list --pack openimis/core

Packs: openimis/core, openimis/migration, openimis/fhir-r4, openimis/dci. A file is a pack, too, and may extend others.
Severities: blocker, error, warning, info.
A LOCATION that is called profile, explain or list is written ./profile.";

/// Shows what a check looks for, why it matters, what to do, and the SQL that gives the rows.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis check explain I5\n  imis check explain V7 --of postgres://imis@localhost/openimis"
)]
pub(crate) struct CheckExplain {
    /// The check's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Packs by name, or files [default: all that the program carries].
    #[arg(long = "pack", value_name = "PACK", value_delimiter = ',', env = "IMIS_PACK")]
    pub(crate) packs: Vec<String>,
    /// The database or catalogue whose tables the SQL is for.
    #[arg(long, value_name = "LOCATION", default_value = "release:legacy/24.04")]
    pub(crate) of: String,
    /// The day that counts as today [default: today, UTC].
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<jiff::civil::Date>,
}

/// Lists the checks of packs, and validates them against a catalogue.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis check list\n  imis check list --pack nepal.yaml --of mssql://reader@old-server/IMIS"
)]
pub(crate) struct CheckList {
    #[command(flatten)]
    pub(crate) packs: CheckPacks,
    /// The database or catalogue that they are held against.
    #[arg(long, value_name = "LOCATION", default_value = "release:legacy/24.04")]
    pub(crate) of: String,
}

/// From which severity on a check that fails fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Blocker,
    Error,
    Warning,
    Info,
    Never,
}

/// Draws the first picture of an unknown database: what each column holds, how much of it, from where to where, in which shapes.
///
/// Every table is read once. Texts, names and natural keys are masked; numbers, dates, short lists of codes and the shapes of texts are
/// shown, for they give nobody away. Ends with 3 when a table could not be read; the rest is told all the same.
#[derive(Debug, ClapArgs)]
#[command(after_help = CHECK_PROFILE)]
pub(crate) struct CheckProfile {
    /// The database: a server, a snapshot or scripts.
    pub(crate) location: String,
    /// Only these tables: names or patterns (`tblClaim*`).
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(crate) tables: Vec<String>,
    /// Only these columns: names or patterns, `CHFID` or `tblInsuree.CHFID`.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// So many rows of a table at most, from all over it where it has a key of whole numbers.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// How many different values of a column are told apart exactly; above it is an estimate. A value costs about 20 bytes.
    #[arg(long, value_name = "VALUES", default_value_t = imis_checks::profile::EXACT)]
    pub(crate) exact: usize,
    /// Write the report into this folder: page, summary, and a row a column as Parquet.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Show values; secrets are never shown.
    #[arg(long)]
    pub(crate) show_values: bool,
    /// What to rely on while others work on the database [default: auto, or what imis.yaml says of it].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
    /// How many parts of tables are read at once.
    #[arg(long, default_value_t = 2, env = "IMIS_JOBS")]
    pub(crate) jobs: usize,
    /// The largest cell that is read, in MiB.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub(crate) max_cell: usize,
}

const CHECK_PROFILE: &str = "\
Examples:
  imis check profile mssql://reader@old-server/IMIS --report picture
  imis check profile backup-2026-11-22 --tables 'tblClaim*' --sample 100000
  imis check profile postgres://imis@localhost/openimis --columns CHFID,Phone,Email
  imis check profile dump.sql --json";
