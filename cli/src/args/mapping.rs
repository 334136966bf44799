//! Commands about mappings.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::DEFAULT_PACK;

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
