//! From what was typed to what can be opened: names of `imis.yaml`, passwords, warnings.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use imis_databases::script::Unread;
use imis_databases::{Consistency, Location, Secret, Source, Wish};
use imis_mappings::language::{Mapping, pack_names};
use imis_reports::escape;
use imis_schemas::Catalog;

use crate::args::Level;
use crate::commands::Session;
use crate::exit::Failure;

impl Session {
    /// The location that a text names, with its password, if one can be found or asked for.
    pub(crate) fn location(&self, text: &str) -> Result<Location, Failure> {
        let (text, password, typed) = match self.config.named(text)? {
            Some((location, password)) => (location, password, false),
            None => (text.to_owned(), None, true),
        };
        let mut location: Location = text.parse()?;
        let has_password = match &location {
            Location::Mssql(address) => address.password.is_some(),
            Location::Postgres(address) => address.password.is_some(),
            _ => false,
        };
        if typed && has_password {
            self.warn(&format!(
                "{location}: the password stands in the command line, where others on this machine can read it; set \
                 IMIS_MSSQL_PASSWORD or IMIS_POSTGRES_PASSWORD, or use ~/.pgpass or imis.yaml instead."
            ));
        }
        if let Some(password) = password {
            set_password(&mut location, password);
        }
        for warning in location.warnings() {
            self.warn(&warning);
        }
        let location = location.resolve_password(&|name| std::env::var(name).ok());
        self.prompt(location)
    }

    /// A location to write to: what names nothing yet is a snapshot folder to be made.
    pub(crate) fn target(&self, text: &str) -> Result<Location, Failure> {
        let named = self.config.named(text)?.is_some();
        let path = PathBuf::from(text);
        let plain = !named && !text.contains("://") && !text.contains('=') && !text.contains('\\');
        let empty = path.is_dir() && std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        if plain && (!path.exists() || empty) && path.extension().is_none_or(|e| e != "yaml" && e != "json") {
            return Ok(Location::Snapshot(path));
        }
        self.location(text)
    }

    fn prompt(&self, mut location: Location) -> Result<Location, Failure> {
        let asks = match &location {
            Location::Mssql(address) => address.user.is_some() && address.password.is_none(),
            // PostgreSQL may well let somebody in without a password; it says so when it does not.
            _ => false,
        };
        if asks && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            let password = rpassword::prompt_password(format!("Password for {location}: "))
                .map_err(|e| Failure::failed(format!("the password cannot be read: {e}")))?;
            set_password(&mut location, password);
        }
        Ok(location)
    }

    /// Connects to a location or opens its files.
    pub(crate) async fn open(&self, location: &Location) -> Result<Arc<dyn Source>, Failure> {
        match location {
            Location::Scripts(path) => self.scripts(path).await,
            _ => Ok(imis_databases::open(location).await?),
        }
    }

    /// Reads scripts, and says what of them was not understood.
    async fn scripts(&self, path: &std::path::Path) -> Result<Arc<dyn Source>, Failure> {
        let bar = self.bars().bytes("reading scripts");
        let shown = bar.clone();
        let source = imis_databases::open::scripts(path, Arc::new(move |done, all| shown.at(done, all))).await;
        bar.clear();
        let source = source?;
        let Some(report) = source.scripts().filter(|report| report.unread > 0) else { return Ok(source) };
        let shown = if self.style.verbose { report.list.len() } else { 10 };
        let list: Vec<String> = report.list.iter().take(shown).map(unread).collect();
        let more = report.unread.saturating_sub(list.len() as u64);
        let mut told = list.join("\n");
        if more > 0 {
            told.push_str(&format!("\n  and {more} more; -v shows them, `imis doctor` counts them by reason"));
        }
        let what = format!(
            "{} of {} statements of {} were not understood or could not be carried out",
            report.unread,
            report.statements,
            path.display()
        );
        if self.strict {
            return Err(Failure::schema(format!("{what}:\n{told}"))
                .with_help("Without --strict they are told and left out. Mend the scripts, or name fewer of them."));
        }
        self.warn(&format!("{what}. What they would have made is missing:\n{told}"));
        Ok(source)
    }

    /// The same, with what the reader wants to rely on settled before anything is read, and said.
    pub(crate) async fn open_as(&self, location: &Location, wish: Wish) -> Result<Arc<dyn Source>, Failure> {
        if let Location::Scripts(path) = location {
            return self.scripts(path).await;
        }
        let source = imis_databases::open_as(location, wish).await?;
        if let Location::Mssql(_) = location {
            let (level, reading) = source.reading().await?;
            let level = match level {
                Consistency::Frozen => "frozen",
                Consistency::SingleTransaction => "single transaction",
                Consistency::Fuzzy => "fuzzy",
            };
            self.say(&format!("Consistency of {location}: {level} ({})", reading.because));
        }
        Ok(source)
    }

    /// What to rely on: what was asked for, or what imis.yaml says of the database, or the best.
    pub(crate) fn wish(&self, name: &str, level: Option<Level>) -> Wish {
        let asked = level.map(|level| match level {
            Level::Auto => Wish::Auto,
            Level::Frozen => Wish::Frozen,
            Level::SingleTransaction => Wish::SingleTransaction,
            Level::Fuzzy => Wish::Fuzzy,
        });
        asked.or_else(|| self.config.consistency(name)).unwrap_or_default()
    }

    /// The catalogue of a location, which need not have rows.
    pub(crate) async fn catalog(&self, location: &Location) -> Result<Arc<Catalog>, Failure> {
        match location {
            Location::Catalog(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
                let catalog = Catalog::parse(&text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
                Ok(Arc::new(catalog))
            }
            Location::Release(name) => {
                imis_schemas::release(name).map(Arc::new).map_err(|e| Failure::usage(e.to_string()))
            }
            _ => Ok(self.open(location).await?.catalog().await?),
        }
    }

    /// A pack by its name, or a mapping file.
    pub(crate) fn mapping(&self, name: &str) -> Result<Mapping, Failure> {
        if pack_names().any(|known| known == name) || !std::path::Path::new(name).exists() {
            return Ok(Mapping::pack(name)?);
        }
        Ok(Mapping::open(std::path::Path::new(name))?)
    }
}

/// A statement that was not understood, on a line.
fn unread(unread: &Unread) -> String {
    let Unread { file, place, words, why } = unread;
    escape::terminal(&format!("  {file}:{place}  {words}: {why}")).into_owned()
}

fn set_password(location: &mut Location, password: String) {
    *location = location.with_password(Secret::new(password));
}
