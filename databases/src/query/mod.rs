//! SQL over rows, wherever they live: tables of any source as DataFusion's, expressions that are typed before a row moves.
//!
//! Mappings and checks share it. It plans nothing of its own: [`session`] is the place where queries are planned and run.

pub mod expression;
pub mod tables;

use std::sync::Arc;

use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{SessionConfig, SessionContext};

/// How much a query may hold in memory; what is more goes to files in the temporary folder.
const QUERY_MEMORY: usize = 128 * 1024 * 1024;
/// What a sort keeps aside for merging its files. The usual 10 MiB each would use the whole up in a query of many joins.
const MERGE_MEMORY: usize = 512 * 1024;

/// How queries are run.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Bytes that a query may hold in memory.
    pub memory: usize,
    /// Into how many parts work is cut.
    pub partitions: usize,
    /// Whether joins hold one side in memory: fast, and an error where it does not fit, for it cannot be spilled.
    pub hash_joins: bool,
}

impl Means {
    /// As little as possible: joins of sorted rows, which go to files in the temporary folder where memory is short.
    pub const FRUGAL: Means = Means { memory: QUERY_MEMORY, partitions: 1, hash_joins: false };
}

/// The place where expressions and queries are planned and run, with few means.
pub fn session(functions: Vec<ScalarUDF>) -> SessionContext {
    session_with(functions, Means::FRUGAL)
}

/// The place where queries are planned and run.
pub fn session_with(functions: Vec<ScalarUDF>, means: Means) -> SessionContext {
    // With one partition a query's sorts share the memory, and twice as many would each have half.
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_target_partitions(means.partitions.max(1))
        .with_sort_spill_reservation_bytes(MERGE_MEMORY);
    config.options_mut().optimizer.prefer_hash_join = means.hash_joins;
    // Texts stay what they are on the wire; views would only be turned back.
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(means.memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default())
        .build_arc()
        // Nothing of the above can fail before a file is made.
        .unwrap_or_default();
    let context = SessionContext::new_with_config_rt(config, runtime);
    for function in functions {
        context.register_udf(function);
    }
    context
}
