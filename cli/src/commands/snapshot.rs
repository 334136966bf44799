//! `imis snapshot`.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::snapshot::SnapshotSink;
use imis_databases::{Consistency, ReadRequest, Sink};
use imis_mappings::run::Progress;

use crate::args::Snapshot;
use crate::commands::Session;
use crate::exit::{DATA, DONE, Failure};

pub(crate) async fn snapshot(args: Snapshot, session: &Session) -> Result<u8, Failure> {
    let location = session.location(&args.location)?;
    let source = session.open_as(&location, session.wish(&args.location, args.consistency)).await?;
    let catalog = source.catalog().await?;
    for wanted in &args.tables {
        if catalog.table(wanted).is_none() {
            return Err(Failure::usage(format!("{} has no table {wanted}", source.describe())));
        }
    }
    let (consistency, reading) = source.reading().await?;
    let sink = SnapshotSink::create(&args.output, Arc::clone(&catalog), location.to_string(), consistency)?;
    let wanted: Vec<_> = catalog
        .tables
        .iter()
        .filter(|t| args.tables.is_empty() || args.tables.iter().any(|w| imis_schemas::same_name(w, &t.name)))
        .collect();
    let bars = session.bars();
    bars.phase("snapshot");
    let (source, sink, progress) = (&source, &sink, &bars);
    let done: Vec<(u64, u64)> = stream::iter(wanted.into_iter().map(|table| async move {
        let counted = source.count(table).await?;
        progress.rule(&table.name, counted);
        let mut request = ReadRequest::all(Arc::new(table.clone())).counted(counted);
        request.max_cell = args.max_cell * 1024 * 1024;
        let mut file = sink.table(table)?;
        let mut rows = source.read(request);
        let mut refused = 0;
        while let Some(chunk) = rows.next().await {
            let chunk = chunk?;
            progress.rows(&table.name, chunk.batch.num_rows() as u64);
            refused += chunk.refused.len() as u64;
            file.write(&chunk.batch)?;
            file.refuse(chunk.refused);
        }
        let written = sink.close(file)?;
        progress.done(&table.name);
        if written + refused != counted {
            // Somebody works on the source; the snapshot says so itself, and so do we.
            return Err(Failure::data(format!(
                "{}: the server counted {counted} rows and {} were read",
                table.table_name(),
                written + refused
            ))
            .with_help("The source changed while it was read. Stop the system, or read from a restored backup."));
        }
        Ok::<_, Failure>((written, refused))
    }))
    .buffer_unordered(args.jobs.max(1))
    .try_collect()
    .await?;
    let reading = reading.until(source.mark().await);
    let disturbed = reading.is_disturbed(consistency);
    // Whoever reads the snapshot later must not take it for something that stood still.
    sink.was_read(if disturbed { Consistency::Fuzzy } else { consistency }, reading);
    sink.finish().await?;
    bars.clear();
    let rows: u64 = done.iter().map(|(rows, _)| rows).sum();
    let refused: u64 = done.iter().map(|(_, refused)| refused).sum();
    session.say(&format!("{} tables, {rows} rows: {}", done.len(), args.output.display()));
    if disturbed {
        return Err(Failure::data(format!(
            "somebody wrote to {location} while it was read, although it was to stand still"
        ))
        .with_help(
            "Tables of the snapshot may not agree; its manifest says fuzzy. Find out who writes, and take another.",
        ));
    }
    if refused > 0 {
        session.say(&format!("{refused} rows could not be read; the manifest names each with its reason"));
        return Ok(DATA);
    }
    Ok(DONE)
}
