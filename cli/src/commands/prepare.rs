//! `imis prepare`.

use imis_databases::Location;
use imis_databases::postgres::{baseline, connect};

use crate::args::{Prepare, Shape};
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn prepare(args: Prepare, session: &Session) -> Result<u8, Failure> {
    let shape = match args.shape {
        Shape::Upstream => baseline::Shape::Upstream,
        Shape::Wide => baseline::Shape::Wide,
    };
    if args.print {
        let statements = baseline::statements(shape)?;
        show::print(&format!("{};", statements.join(";\n")))?;
        return Ok(DONE);
    }
    let Location::Postgres(address) = session.location(&args.location)? else {
        return Err(Failure::usage("imis prepare works on a PostgreSQL database"));
    };
    let mut client = connect(&address).await?;
    let report = baseline::prepare(&mut client, shape).await?;
    session.say(&format!(
        "{} tables, {} views, {} sequences in the shape `{}`.",
        report.tables, report.views, report.sequences, report.shape
    ));
    if !report.placeholders.is_empty() {
        session.say(&format!(
            "{} views are placeholders without rows (their comments say so): {}",
            report.placeholders.len(),
            report.placeholders.join(", ")
        ));
    }
    session.say("Now run the Django migrations: python manage.py migrate");
    Ok(DONE)
}
