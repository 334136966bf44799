//! `imis introspect`.

use crate::args::{Format, Introspect};
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn introspect(args: Introspect, session: &Session) -> Result<u8, Failure> {
    let location = session.location(&args.location)?;
    let catalog = session.catalog(&location).await?;
    for note in &catalog.notes {
        session.say(&format!("note: {note}"));
    }
    let format = if session.json { Format::Json } else { args.format };
    let text = match format {
        Format::Json => catalog.to_json(),
        Format::Yaml => catalog.to_yaml().map_err(|e| Failure::failed(e.to_string()))?,
    };
    match args.output {
        None => show::print(&text)?,
        Some(path) => {
            std::fs::write(&path, text)
                .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", path.display())))?;
            let columns: usize = catalog.tables.iter().map(|t| t.columns.len()).sum();
            session.say(&format!("{} tables, {columns} columns: {}", catalog.tables.len(), path.display()));
        }
    }
    Ok(DONE)
}
