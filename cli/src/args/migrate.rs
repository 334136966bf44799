//! Commands that move a country, prove that it arrived, and tell what became of a run.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

pub(crate) const DEFAULT_PACK: &str = "openimis/legacy-to-modular";

/// The ends of a migration.
#[derive(Debug, ClapArgs)]
pub(crate) struct Ends {
    /// Where the rows come from.
    #[arg(long, value_name = "LOCATION", env = "IMIS_FROM")]
    pub(crate) from: String,
    /// Where they go: a migrated PostgreSQL database, or a new snapshot folder.
    #[arg(long, value_name = "LOCATION", env = "IMIS_TO")]
    pub(crate) to: String,
    /// A pack's name or a mapping file.
    #[arg(long, value_name = "MAPPING", default_value = DEFAULT_PACK, env = "IMIS_MAPPING")]
    pub(crate) mapping: String,
    /// The country's UUID, from which made UUIDs are derived; without one it follows from the source's name.
    #[arg(long, value_name = "UUID", env = "IMIS_COUNTRY")]
    pub(crate) country: Option<uuid::Uuid>,
    /// What to rely on while others work on the source [default: auto, or what imis.yaml says of it].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
}

/// What to rely on while others work on a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// The best that is there: frozen where the server says so, else one transaction where the database allows it, else fuzzy.
    Auto,
    /// Nobody works on it: your word, held against the server's count of changes (@@DBTS).
    Frozen,
    /// Everything is read in one transaction, over one connection; an error where the database does not allow it.
    SingleTransaction,
    /// The system goes on working, and tables may not agree.
    Fuzzy,
}

/// Says what a migration would do: rows, ranges, hazards, what becomes of existing rows. Writes nothing to either side.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  imis plan --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis -o plan.json"
)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) ends: Ends,
    /// Write the sealed plan to this file, for `imis migrate --plan`.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How much of the data is read and mapped, without being written: rejects and losses are counted.
    #[arg(long, value_enum, default_value_t = Scan::None)]
    pub(crate) scan: Scan,
    /// The largest cell that a scan reads, in MiB; a larger one rejects its row.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub(crate) max_cell: usize,
    /// About how many rows are read and committed together. Fewer lose less when the line breaks and cost more.
    #[arg(long, default_value_t = imis_mappings::plan::ROWS_A_RANGE, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_a_range: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scan {
    /// Every row.
    Full,
    /// The first range of each table.
    Sample,
    /// No row.
    None,
}

/// Makes the legacy-origin tables from which openIMIS' Django migrations start, in an empty database.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  createdb openimis\n  imis prepare postgres://imis@localhost/openimis --shape wide\n  python manage.py migrate"
)]
pub(crate) struct Prepare {
    /// The empty PostgreSQL database.
    pub(crate) location: String,
    /// The shape of the tables.
    #[arg(long, value_enum, default_value_t = Shape::Wide)]
    pub(crate) shape: Shape,
    /// Only print the statements.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// As upstream's own script shapes them.
    Upstream,
    /// No column narrower than in the legacy database or in the Django model.
    Wide,
}

/// Loads a legacy database into a migrated one and accounts for every row.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis migrate --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis --report report\n  imis migrate --to postgres://imis@localhost/openimis --from ... --resume\n  imis migrate --to postgres://imis@localhost/openimis --undo\n\nThe second route, in which Django's migrations run on the loaded rows:\n  imis prepare postgres://imis@localhost/openimis\n  imis migrate --mapping openimis/legacy-to-baseline --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis\n  python manage.py migrate\n  imis migrate --complete --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis --report report"
)]
pub(crate) struct Migrate {
    /// Where the rows come from.
    #[arg(long, value_name = "LOCATION", env = "IMIS_FROM", required_unless_present = "undo")]
    pub(crate) from: Option<String>,
    /// Where they go: a migrated PostgreSQL database, or a new snapshot folder.
    #[arg(long, value_name = "LOCATION", env = "IMIS_TO")]
    pub(crate) to: String,
    /// A pack's name or a mapping file [default: openimis/legacy-to-modular; with --complete the pack that the first run names].
    #[arg(long, value_name = "MAPPING", env = "IMIS_MAPPING")]
    pub(crate) mapping: Option<String>,
    /// The country's UUID, from which made UUIDs are derived.
    #[arg(long, value_name = "UUID", env = "IMIS_COUNTRY")]
    pub(crate) country: Option<uuid::Uuid>,
    /// What to rely on while others work on the source [default: auto, or what imis.yaml or the plan says of it].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
    /// Carry out this plan; refused when either side has changed since it was made.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "undo", "complete"])]
    pub(crate) plan: Option<PathBuf>,
    /// What a row does that cannot be loaded.
    #[arg(long, value_enum, default_value_t = OnReject::Stop)]
    pub(crate) on_reject: OnReject,
    /// Go on with the latest run of the target.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) resume: bool,
    /// Take the latest run of the target back.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Give back, once Django's migrations have run, what the first run held back for them, and account for the whole.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) complete: bool,
    /// Write the report into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// How many ranges are read and written at once.
    #[arg(long, default_value_t = 2, env = "IMIS_JOBS")]
    pub(crate) jobs: usize,
    /// About how many rows are read and committed together. Fewer lose less when the line breaks and cost more.
    #[arg(long, default_value_t = imis_mappings::plan::ROWS_A_RANGE, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_a_range: u64,
    /// The largest cell that is read, in MiB; a larger one rejects its row.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub(crate) max_cell: usize,
    /// Go on although others are connected to the target.
    #[arg(long)]
    pub(crate) allow_connected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnReject {
    /// The run stops at the first one.
    Stop,
    /// The row is kept aside with its reason, and the rest goes on.
    Continue,
}

/// Proves that two databases hold the same: totals by both servers, then row by row.
///
/// A SQL Server (or a snapshot of one) against PostgreSQL is a migration: the source goes through the mapping once more, and what the
/// mapping and the run name (rejects, repairs, rows that stay) is told as explained. Any other two are compared as they are, tables and
/// columns by name. Ends with 0 when nothing differs or all of it is explained, with 3 when something differs.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis verify --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis --report proof\n  imis verify --from backup-2026-11-22 --to mssql://reader@old-server/IMIS\n  imis verify --from postgres://a/openimis --to postgres://b/openimis --tables tblClaim,tblClaimItems --show-values"
)]
pub(crate) struct Verify {
    /// One side: the source of a migration.
    #[arg(long, value_name = "LOCATION", env = "IMIS_FROM")]
    pub(crate) from: String,
    /// The other side: its target.
    #[arg(long, value_name = "LOCATION", env = "IMIS_TO")]
    pub(crate) to: String,
    /// What to rely on while others work on --from, and on --to where that is a SQL Server [default: auto, or what imis.yaml says of them].
    #[arg(long, value_enum, value_name = "LEVEL", env = "IMIS_CONSISTENCY")]
    pub(crate) consistency: Option<Level>,
    /// The mapping of the migration: a pack's name or a file. Without it, the pack where a SQL Server stands against PostgreSQL.
    #[arg(long, value_name = "MAPPING", env = "IMIS_MAPPING")]
    pub(crate) mapping: Option<String>,
    /// Compare table with table of the same name, even where a SQL Server stands against PostgreSQL.
    #[arg(long, conflicts_with = "mapping")]
    pub(crate) same_shape: bool,
    /// Only these tables, named as --to has them.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(crate) tables: Vec<String>,
    /// Write the report into this folder: page, summary, rows that differ as Parquet and as a diff.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Show values of rows that differ; secrets are never shown.
    #[arg(long)]
    pub(crate) show_values: bool,
    /// Compare totals in full, but only the first, middle and last rows of large tables.
    #[arg(long)]
    pub(crate) sample: bool,
    /// How many differences of a table are kept for the report; all are counted.
    #[arg(long, default_value_t = 1000, value_name = "ROWS")]
    pub(crate) limit: usize,
    /// The country's UUID, from which made UUIDs are derived; without it the one that the run remembers.
    #[arg(long, value_name = "UUID", env = "IMIS_COUNTRY")]
    pub(crate) country: Option<uuid::Uuid>,
    /// How many ranges are compared at once, over all tables: each is a connection to either side.
    #[arg(long, default_value_t = 2, env = "IMIS_JOBS")]
    pub(crate) jobs: usize,
    /// The largest cell that is read, in MiB.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub(crate) max_cell: usize,
}

/// Lists the runs of a target and where they stand.
#[derive(Debug, ClapArgs)]
pub(crate) struct Runs {
    /// The target.
    pub(crate) location: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RejectsCommand {
    Show(RejectsShow),
}

/// Shows the rows that a run rejected: the reasons and what they took along, then the rows with key, column and reason.
#[derive(Debug, ClapArgs)]
pub(crate) struct RejectsShow {
    /// The target.
    pub(crate) location: String,
    /// The run; the latest without it.
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Only rows of this table.
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// How many rows are shown one by one.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Show keys that are texts; without it they are masked, since a code or a name is a person's or a country's business.
    #[arg(long)]
    pub(crate) show_values: bool,
}
