//! `imis generate`: a legacy country that nobody lives in.

use std::path::Path;

use imis_databases::Location;
use imis_fixtures::country::{
    Country, CountryParameters, DefectError, DefectRequest, Encoding, Made, NoneAs, Place, Society, Written,
    customisation_names, defects, legacy_releases, preset_names,
};

use crate::args::{Generate, GenerateFormat, GenerateList, ScriptEncoding};
use crate::commands::Session;
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) async fn generate(args: Generate, session: &Session) -> Result<u8, Failure> {
    if let Some(list) = args.list {
        show::print(&listing(list))?;
        return Ok(DONE);
    }
    // A folder that is not there yet is no location, so only what looks like a server is asked for its meaning.
    let database = match &args.output {
        Some(output) if output.contains("://") || session.config.named(output)?.is_some() => {
            let Location::Postgres(address) = session.location(output)? else {
                return Err(Failure::usage("a country is written into a folder or a PostgreSQL database")
                    .with_help("Write scripts with --format scripts, and run them on the SQL Server."));
            };
            Some(address)
        }
        _ => None,
    };
    let place = match args.format {
        _ if database.is_some() => Place::Postgres,
        GenerateFormat::Snapshot => Place::Snapshot,
        GenerateFormat::Scripts => Place::Scripts,
    };
    let country = Country::new(parameters(&args, place)?).map_err(|e| Failure::usage(e.to_string()))?;
    if let Some(folder) = &args.pictures {
        pictures(&country, folder, session)?;
    }
    let Some(output) = &args.output else { return Ok(DONE) };
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bars = session.bars();
    let bar = bars.families(country.parameters().families);
    let started = std::time::Instant::now();
    let progress = |made: Made| bar.made(made);
    let written = if let Some(address) = database {
        if args.truth.is_none() && !args.defects.is_empty() {
            return Err(
                Failure::usage("the truth about the defects needs a place").with_help("Name a folder with --truth.")
            );
        }
        country.write_postgres(&address, args.truth.as_deref(), jobs, &progress).await?
    } else {
        let folder = Path::new(output);
        tokio::task::block_in_place(|| match args.format {
            GenerateFormat::Snapshot => country.write_snapshot(folder, jobs, &progress),
            GenerateFormat::Scripts => {
                let encoding = match args.encoding {
                    ScriptEncoding::Utf16 => Encoding::Utf16,
                    ScriptEncoding::Utf8 => Encoding::Utf8,
                };
                country.write_scripts(folder, encoding, jobs, &progress)
            }
        })?
    };
    bar.clear();
    bars.clear();
    tell(&written, output, started.elapsed().as_secs_f64(), session);
    Ok(DONE)
}

fn parameters(args: &Generate, place: Place) -> Result<CountryParameters, Failure> {
    let society = match &args.parameters {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
            Society::parse(&text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?
        }
        None => Society::preset(&args.preset).map_err(|e| Failure::usage(e.to_string()))?,
    };
    let defects = args.defects.iter().filter(|text| !text.trim().is_empty());
    let defects = defects.map(|text| text.parse()).collect::<Result<Vec<DefectRequest>, DefectError>>();
    let release = args.release.trim_start_matches("release:");
    let release = if release.contains('/') { release.to_owned() } else { format!("legacy/{release}") };
    let none_as: NoneAs = society.none_as;
    Ok(CountryParameters {
        families: args.families,
        seed: args.seed,
        years: args.years,
        as_of: args.as_of.unwrap_or(CountryParameters::default().as_of),
        none_as,
        departures: society.departures,
        society,
        claims_per_insuree: args.claims_per_insuree.map(thousandths).transpose()?,
        release,
        customised: args.customised.clone(),
        defects: defects.map_err(|e| Failure::usage(e.to_string()))?,
        place,
        ..CountryParameters::default()
    })
}

/// Claims as whole thousandths; what is above all bounds stays above them.
fn thousandths(claims: f64) -> Result<u32, Failure> {
    if !claims.is_finite() || claims < 0.0 {
        return Err(Failure::usage(format!("{claims} claims of an insuree a year cannot be made; choose 0 to 365")));
    }
    Ok((claims * 1000.0).round().min(f64::from(u32::MAX)) as u32)
}

fn pictures(country: &Country, folder: &Path, session: &Session) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let pictures = country.pictures();
    for (name, svg) in &pictures {
        std::fs::write(folder.join(name), svg)?;
    }
    session.say(&format!("{} pictures: {}", pictures.len(), folder.display()));
    Ok(())
}

fn tell(written: &Written, output: &str, seconds: f64, session: &Session) {
    let rows = written.rows();
    let speed = rows as f64 / seconds.max(1e-9);
    let tables = written.tables.len();
    let place = if output.contains('@') { "the database" } else { output };
    session.say(&format!("{tables} tables, {rows} rows in {seconds:.1} s ({speed:.0} rows a second): {place}"));
    if !written.left_out.is_empty() {
        session.say(&format!("left out, as the tables have no place for it: {}", written.left_out.join(", ")));
    }
    for (defect, rows) in &written.defects {
        session.say(&format!("  {defect}: {rows} rows"));
    }
}

fn listing(list: GenerateList) -> String {
    let lines: Vec<String> = match list {
        GenerateList::Defects => defects()
            .map(|d| {
                let also =
                    if d.also.is_empty() { String::new() } else { format!(" (also breaks {})", d.also.join(", ")) };
                let named = if d.usual { "" } else { " [by name only]" };
                format!("{:<20} {}{also}{named}", d.id(), d.doc)
            })
            .collect(),
        GenerateList::Presets => preset_names()
            .map(|name| format!("{name:<12} {}", Society::preset(name).map(|s| s.title).unwrap_or_default()))
            .collect(),
        GenerateList::Customised => customisation_names().map(str::to_owned).collect(),
        GenerateList::Releases => legacy_releases().map(str::to_owned).collect(),
    };
    lines.join("\n")
}
