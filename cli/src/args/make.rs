//! Commands that make something of nothing: a country, a demonstration, completions, the manual.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

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
