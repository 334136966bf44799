//! What can be typed. The help of every command stands here, and the manual and the completions are made of it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

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

#[derive(Debug, Subcommand)]
pub(crate) enum MappingCommand {
    Check(MappingCheck),
    Explain(MappingExplain),
    Scaffold(MappingScaffold),
}

/// Holds a mapping against two catalogues and shows every complaint with its line.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis mapping check\n  imis mapping check nepal.yaml --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis"
)]
pub(crate) struct MappingCheck {
    /// A pack's name or a mapping file.
    #[arg(default_value = DEFAULT_PACK)]
    pub(crate) mapping: String,
    /// The source's database or catalogue.
    #[arg(long, value_name = "LOCATION", default_value = "release:legacy/24.04")]
    pub(crate) from: String,
    /// The target's database or catalogue [default: release:modular/1.11, or, for a pack that loads before Django's migrations,
    /// release:modular/baseline-upstream].
    #[arg(long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
}

/// Shows where a table or column goes to and where it comes from: by which rule, through which types, and why.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  imis mapping explain tblInsuree.CurrentVillage\n  imis mapping explain core_User --from release:legacy/1.2.1"
)]
pub(crate) struct MappingExplain {
    /// A table or a column of it, of the source or the target; upper and lower case are alike.
    #[arg(value_name = "TABLE[.COLUMN]")]
    pub(crate) name: String,
    /// A pack's name or a mapping file.
    #[arg(long, value_name = "MAPPING", default_value = DEFAULT_PACK, env = "IMIS_MAPPING")]
    pub(crate) mapping: String,
    /// The source's database or catalogue.
    #[arg(long, value_name = "LOCATION", default_value = "release:legacy/24.04")]
    pub(crate) from: String,
    /// The target's database or catalogue.
    #[arg(long, value_name = "LOCATION", default_value = "release:modular/1.11")]
    pub(crate) to: String,
}

/// Drafts an overlay for what a country added and the mapping does not know: columns into the target's JSON column, the rest
/// with a reason to be written.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  imis mapping scaffold --from mssql://reader@old-server/IMIS --to postgres://imis@localhost/openimis --name nepal -o nepal.yaml"
)]
pub(crate) struct MappingScaffold {
    /// The source's database or catalogue.
    #[arg(long, value_name = "LOCATION", env = "IMIS_FROM")]
    pub(crate) from: String,
    /// The target's database or catalogue.
    #[arg(long, value_name = "LOCATION", default_value = "release:modular/1.11", env = "IMIS_TO")]
    pub(crate) to: String,
    /// The mapping that the draft extends: a pack's name or a file.
    #[arg(long, value_name = "MAPPING", default_value = DEFAULT_PACK, env = "IMIS_MAPPING")]
    pub(crate) mapping: String,
    /// The country: the name of the draft, and the key of its values in JSON columns.
    #[arg(long, value_name = "NAME", default_value = "country")]
    pub(crate) name: String,
    /// The new file; without it, the draft is printed.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

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
    /// How many ranges are compared at once.
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

/// Makes a legacy country that nobody lives in: any size, any release, with any defect; equal options make equal bytes.
#[derive(Debug, ClapArgs)]
#[command(after_help = GENERATE)]
pub(crate) struct Generate {
    /// Where it goes: a new folder, or a PostgreSQL database that is empty or made by `imis prepare`.
    #[arg(short, long, value_name = "LOCATION", required_unless_present_any = ["list", "pictures"])]
    pub(crate) output: Option<String>,
    /// What a folder holds: Parquet files with a manifest, or T-SQL scripts as Management Studio writes them.
    #[arg(long, value_enum, default_value_t = GenerateFormat::Snapshot)]
    pub(crate) format: GenerateFormat,
    /// How scripts are encoded.
    #[arg(long, value_enum, default_value_t = ScriptEncoding::Utf16)]
    pub(crate) encoding: ScriptEncoding,
    /// How many families are insured, 10 to 2,000,000; a family has four to five members.
    #[arg(long, default_value_t = 1_000, value_parser = number)]
    pub(crate) families: u32,
    /// How many years the scheme has been running, 2 to 20.
    #[arg(long, default_value_t = 4)]
    pub(crate) years: u32,
    /// Claims of an insured person a year, 0 to 365; without it the preset says how many a policy has.
    #[arg(long, value_name = "CLAIMS", allow_negative_numbers = true)]
    pub(crate) claims_per_insuree: Option<f64>,
    /// Which country of this size it is.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The country's today; nothing in it happens later.
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<jiff::civil::Date>,
    /// The legacy release whose tables and columns are made.
    #[arg(long, default_value = "legacy/24.04")]
    pub(crate) release: String,
    /// How people live, insure themselves and fall ill; `--list presets` shows them.
    #[arg(long, default_value = "riverland", conflicts_with = "parameters")]
    pub(crate) preset: String,
    /// The same from a file of your own.
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters: Option<PathBuf>,
    /// A country whose own columns and tables are added; `--list customised` shows them.
    #[arg(long, value_name = "NAME")]
    pub(crate) customised: Option<String>,
    /// What is wrong with it: RULE=RATE (I1=0.01) or RULE=COUNT (I1=12), with commas between; `--list defects` shows them.
    #[arg(long, value_name = "RULE=RATE", value_delimiter = ',')]
    pub(crate) defects: Vec<String>,
    /// The folder for the truth about the defects, where the country goes into a database.
    #[arg(long, value_name = "DIR")]
    pub(crate) truth: Option<PathBuf>,
    /// Draw ages, households, claims and renewals into this folder, as SVG.
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<PathBuf>,
    /// How many threads; as many as there are cores without it. It does not change a byte.
    #[arg(long, env = "IMIS_JOBS")]
    pub(crate) jobs: Option<usize>,
    /// Only list what can be chosen.
    #[arg(long, value_enum)]
    pub(crate) list: Option<GenerateList>,
}

const GENERATE: &str = "\
Examples:
  imis generate -o country
  imis generate -o country --families 100000 --preset coast --claims-per-insuree 0.8 --seed 7
  imis generate -o broken --defects I1=0.01,X8=0.5,C3=12
  imis generate -o scripts --format scripts --customised nepal-hib
  imis generate -o postgres://imis@localhost/legacy --families 5000
  imis generate --list defects
  imis generate --pictures pictures --preset highland

Beside a country with defects lie truth.csv and truth.parquet: rule, defect, table, key and column of each row that is
wrong on purpose.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GenerateFormat {
    /// A snapshot folder.
    Snapshot,
    /// T-SQL scripts.
    Scripts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptEncoding {
    /// UTF-16, little end first, with a byte order mark.
    #[value(name = "utf-16")]
    Utf16,
    /// UTF-8 with a byte order mark.
    #[value(name = "utf-8")]
    Utf8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GenerateList {
    /// What can be wrong with a country, by rule.
    Defects,
    /// Ways to live.
    Presets,
    /// Countries with columns and tables of their own.
    Customised,
    /// Legacy releases.
    Releases,
}

/// A number in which thousands may be told apart: `1_000_000`.
fn number(text: &str) -> Result<u32, String> {
    text.replace(['_', ','], "")
        .parse()
        .map_err(|_| "not a whole number that fits; write 1000000 or 1_000_000".to_owned())
}

/// Shows all of it on a made country: generates it, plans, migrates, accounts, reports. Needs nothing installed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  imis demo\n  imis demo --to postgres://imis@localhost/openimis")]
pub(crate) struct Demo {
    /// The folder for everything that the demo makes.
    #[arg(short, long, value_name = "DIR", default_value = "imis-demo")]
    pub(crate) output: PathBuf,
    /// Migrate into this database instead of a folder.
    #[arg(long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    /// How many families the country has.
    #[arg(long, default_value_t = 200)]
    pub(crate) families: u32,
    /// Which country of this size it is.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Prints completions for a shell.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  imis completions bash > /etc/bash_completion.d/imis")]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Prints the manual page, or writes one a command into a folder.
#[derive(Debug, ClapArgs)]
pub(crate) struct Man {
    /// The folder.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
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
