//! The whole: `imis` itself, watched from outside.

use crate::Outcome;
use crate::servers::Servers;
use crate::table::Figure;
use crate::watch::{Mark, imis_command, watch};

/// The database into which the migration loads.
pub(crate) const LOADED: &str = "loaded";

/// A migration.
pub(crate) struct Migration {
    pub(crate) whole: Figure,
    /// Its phases, in their order.
    pub(crate) phases: Vec<Figure>,
}

/// What was seen of a run of `imis`.
struct Seen {
    whole: Figure,
    phases: Vec<Figure>,
    stdout: Vec<u8>,
}

/// Migrates everything into a new database.
pub(crate) fn migrate(servers: &Servers) -> Outcome<Migration> {
    servers.empty_database(LOADED)?;
    let (from, to) = (servers.source(), servers.target(LOADED));
    let mut seen = run("migrate", &["migrate", "--json", "--from", &from, "--to", &to], servers)?;
    let summary: serde_json::Value = serde_json::from_slice(&seen.stdout)?;
    let rules = summary["rules"].as_array().ok_or("the summary has no rules")?;
    let sum = |name: &str| rules.iter().filter_map(|rule| rule[name].as_u64()).sum::<u64>();
    // That the account balances and nothing was rejected is in the exit code.
    if sum("loaded") < servers.rows {
        return Err(format!("the migration did not load all rows: {} of {}", sum("loaded"), servers.rows).into());
    }
    seen.whole.rows = Some(sum("read"));
    if let Some(load) = seen.phases.iter_mut().find(|phase| phase.name == "load") {
        load.rows = Some(sum("read"));
    }
    Ok(Migration { whole: seen.whole, phases: seen.phases })
}

/// Verifies what was migrated: every row of all tables, and the totals of both servers.
pub(crate) fn verify(servers: &Servers) -> Outcome<Migration> {
    let (from, to) = (servers.source(), servers.target(LOADED));
    let mut seen = run("verify", &["verify", "--json", "--from", &from, "--to", &to], servers)?;
    let summary: serde_json::Value = serde_json::from_slice(&seen.stdout)?;
    let tables = summary["tables"].as_array().ok_or("the summary has no tables")?;
    let equal: u64 = tables.iter().filter_map(|table| table["equal"].as_u64()).sum();
    // That nothing differs is in the exit code.
    if equal < servers.rows {
        return Err(format!("not all rows were compared: {equal} of {}", servers.rows).into());
    }
    seen.whole.rows = Some(equal);
    let phases = seen.phases.into_iter().map(|phase| {
        let name = format!("verify: {}", phase.name);
        phase.named(&name)
    });
    Ok(Migration { whole: seen.whole, phases: phases.collect() })
}

/// Makes a snapshot of everything.
pub(crate) fn snapshot(servers: &Servers) -> Outcome<Figure> {
    let folder = servers.folder.path().join("snapshot");
    let output = folder.to_string_lossy();
    let mut seen = run("snapshot", &["snapshot", &servers.source(), "-o", &output], servers)?;
    seen.whole.rows = Some(crate::race::parquet_rows(&folder)?);
    Ok(seen.whole)
}

/// Runs `imis` and watches it: time, CPU, peak memory, and when its phases began.
fn run(name: &str, arguments: &[&str], servers: &Servers) -> Outcome<Seen> {
    eprintln!("bench: imis {name}");
    let seen = watch(imis_command(arguments, servers), servers)?;
    if let Some(failure) = seen.failure {
        return Err(format!("imis {name}: {failure}\n{}", seen.messages).into());
    }
    let between = |name: &str, from: &Mark, to: &Mark| Figure {
        name: name.to_owned(),
        rows: None,
        seconds: to.at.duration_since(from.at).as_secs_f64(),
        cpu_seconds: to.own.since(from.own).total(),
        peak_bytes: seen.peak_bytes,
        source_cpu_seconds: to.servers.0.since(from.servers.0).total(),
        target_cpu_seconds: to.servers.1.since(from.servers.1).total(),
    };
    let whole = between(&format!("the whole: imis {name}"), &seen.started, &seen.ended);
    let all: Vec<&Mark> = std::iter::once(&seen.started).chain(&seen.phases).chain([&seen.ended]).collect();
    let phases = all.windows(2).enumerate().filter_map(|(at, pair)| match pair {
        [from, to] => Some(between(if at == 0 { "connect, bind, plan" } else { &from.name }, from, to)),
        _ => None,
    });
    Ok(Seen { whole, phases: phases.collect(), stdout: seen.stdout })
}
