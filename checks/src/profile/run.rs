//! Reading tables for a profile: which of them, in which parts, several at once.

use std::sync::Arc;
use std::time::Instant;

use datafusion::error::DataFusionError;
use futures::{StreamExt, stream};
use imis_databases::source::{MAX_CELL, range_column};
use imis_databases::{Error, ErrorKind, KeyRange, Progress, ReadRequest, Source, plan_ranges};
use imis_schemas::compare::is_like;
use imis_schemas::{Catalog, Engine, Table, same_name};
use tokio::sync::Semaphore;

use super::EXACT;
use super::column::{Described, Gatherer};
use super::picture::{KeyRole, Kind, Profile, TableProfile};

/// About how many rows are read as one part, unless it is said otherwise.
const ROWS_A_PART: u64 = 250_000;
/// From how many places of a table the rows of a sample come, where it can be split.
const PLACES: u64 = 10;

/// What is looked at, and how closely.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only these tables, by name or pattern (`tblClaim*`); all where it is empty.
    pub tables: Vec<String>,
    /// Only these columns, by name or pattern, `CHFID` or `tblInsuree.CHFID`; all where it is empty.
    pub columns: Vec<String>,
    /// So many rows of a table at most.
    pub sample: Option<u64>,
    /// How many different values of a column are told apart exactly.
    pub exact: usize,
    /// How many parts are read at once.
    pub jobs: usize,
    /// About how many rows are read as one part.
    pub rows_a_part: u64,
    /// Bytes a cell at most.
    pub max_cell: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tables: Vec::new(),
            columns: Vec::new(),
            sample: None,
            exact: EXACT,
            jobs: 2,
            rows_a_part: ROWS_A_PART,
            max_cell: MAX_CELL,
        }
    }
}

/// A table and those of its columns that are wanted.
struct Wanted {
    table: Arc<Table>,
    columns: Vec<Described>,
    unread_columns: Vec<(String, String)>,
    unread: Option<String>,
}

/// What is read in one stream: a stretch of the key, some columns.
struct Part {
    range: KeyRange,
    /// The places of its columns among those that are wanted.
    columns: Vec<usize>,
    /// So many rows at most.
    rows: u64,
    /// Whether its rows are counted; those of a table that is read column by column are counted once.
    counts: bool,
}

/// What a part gave.
struct Gathered {
    columns: Vec<(usize, Gatherer)>,
    rows: u64,
    refused: u64,
}

/// Looks at every table that is wanted, and goes on where one cannot be read.
///
/// # Errors
/// When the catalogue cannot be read, or a table or column is asked for that nothing is like.
pub async fn profile(
    source: Arc<dyn Source>,
    location: String,
    options: &Options,
    progress: Arc<dyn Progress>,
) -> Result<Profile, Error> {
    let (started, clock) = (jiff::Timestamp::now(), Instant::now());
    let catalog = source.catalog().await?;
    let wanted = wanted(source.as_ref(), &catalog, options).await?;
    let (consistency, reading) = source.reading().await?;
    let reader = Reader {
        source: Arc::clone(&source),
        engine: catalog.engine,
        options: options.clone(),
        turns: Arc::new(Semaphore::new(options.jobs.max(1))),
        progress,
    };
    let tables: Vec<TableProfile> = stream::iter(wanted.into_iter().map(|wanted| reader.table(wanted)))
        .buffered(options.jobs.max(1))
        .collect()
        .await;
    let mut notes = Vec::new();
    if reading.until(source.mark().await).is_disturbed(consistency) {
        notes.push("Somebody wrote to the database while it was read, although it was to stand still.".to_owned());
    }
    let product = match catalog.engine {
        Engine::Mssql => "SQL Server",
        Engine::Postgres => "PostgreSQL",
    };
    Ok(Profile {
        location,
        engine: product.to_owned(),
        started,
        seconds: clock.elapsed().as_secs_f64(),
        consistency,
        exact: options.exact,
        sample: options.sample,
        tables,
        notes,
    })
}

struct Reader {
    source: Arc<dyn Source>,
    engine: Engine,
    options: Options,
    turns: Arc<Semaphore>,
    progress: Arc<dyn Progress>,
}

impl Reader {
    /// A table, read as far as that is possible.
    async fn table(&self, wanted: Wanted) -> TableProfile {
        let mut found = TableProfile {
            table: wanted.table.table_name(),
            rows: None,
            read: 0,
            refused: 0,
            columns: Vec::new(),
            unread_columns: wanted.unread_columns.clone(),
            unread: wanted.unread.clone(),
        };
        if found.unread.is_none()
            && let Err(error) = self.read(&wanted, &mut found).await
        {
            found.columns.clear();
            found.unread = Some(told(&error));
        }
        self.progress.done(&wanted.table.name);
        found
    }

    async fn read(&self, wanted: &Wanted, found: &mut TableProfile) -> Result<(), Error> {
        let counted = {
            let _turn = self.turns.acquire().await.map_err(|_| Error::failed("the profile was broken off"))?;
            self.source.count(&wanted.table).await?
        };
        found.rows = Some(counted);
        self.progress.rule(&wanted.table.name, self.options.sample.map_or(counted, |sample| sample.min(counted)));
        let parts = self.parts(wanted, counted).await?;
        let gathered = stream::iter(parts.into_iter().map(|part| {
            let turns = Arc::clone(&self.turns);
            let gather = gather(
                Arc::clone(&self.source),
                request(wanted, &part, counted, &self.options),
                self.gatherers(wanted, &part),
                part,
                Arc::clone(&self.progress),
            );
            async move {
                let _turn = turns.acquire_owned().await.map_err(|_| Error::failed("the profile was broken off"))?;
                // A task of its own, so that another core can take it.
                tokio::spawn(gather).await.map_err(|_| Error::failed("the profile of a table was broken off"))?
            }
        }));
        let mut gathered = gathered.buffer_unordered(self.options.jobs.max(1));
        let mut columns: Vec<Option<Gatherer>> = wanted.columns.iter().map(|_| None).collect();
        while let Some(part) = gathered.next().await {
            let part = part?;
            found.read += part.rows;
            found.refused += part.refused;
            for (place, gatherer) in part.columns {
                match columns.get_mut(place) {
                    Some(Some(held)) => held.merge(gatherer).map_err(odd)?,
                    Some(empty) => *empty = Some(gatherer),
                    None => {}
                }
            }
        }
        for column in columns.into_iter().flatten() {
            found.columns.push(column.finish().map_err(odd)?);
        }
        Ok(())
    }

    fn gatherers(&self, wanted: &Wanted, part: &Part) -> Vec<(usize, Gatherer)> {
        let columns = part.columns.iter().filter_map(|place| Some((*place, wanted.columns.get(*place)?)));
        columns.map(|(place, described)| (place, Gatherer::new(described.clone(), self.options.exact))).collect()
    }

    /// How a table is read: in stretches of its key where the source can read one without the rest, else in groups of columns.
    async fn parts(&self, wanted: &Wanted, counted: u64) -> Result<Vec<Part>, Error> {
        let every: Vec<usize> = (0..wanted.columns.len()).collect();
        let whole = |columns, rows, counts| Part { range: KeyRange::whole(), columns, rows, counts };
        let splits = self.source.splits() && range_column(&wanted.table, self.engine).is_some();
        match self.options.sample.filter(|sample| *sample < counted) {
            Some(sample) if splits => {
                let places = PLACES.min(sample.max(1));
                let ranges =
                    plan_ranges(self.source.as_ref(), &wanted.table, self.engine, counted, counted.div_ceil(places));
                let ranges = ranges.await?;
                // What does not divide goes to the first ones.
                let (each, more) = (sample / ranges.len().max(1) as u64, sample % ranges.len().max(1) as u64);
                let part = |(place, range)| Part {
                    range,
                    columns: every.clone(),
                    rows: each + u64::from((place as u64) < more),
                    counts: true,
                };
                Ok(ranges.into_iter().enumerate().map(part).collect())
            }
            Some(sample) => Ok(vec![whole(every, sample, true)]),
            None if splits => {
                let ranges =
                    plan_ranges(self.source.as_ref(), &wanted.table, self.engine, counted, self.options.rows_a_part)
                        .await?;
                Ok(ranges
                    .into_iter()
                    .map(|range| Part { range, columns: every.clone(), rows: u64::MAX, counts: true })
                    .collect())
            }
            None if counted > self.options.rows_a_part / 10 && self.options.jobs > 1 && !self.source.splits() => {
                let groups = groups(&wanted.columns, self.options.jobs);
                Ok(groups
                    .into_iter()
                    .enumerate()
                    .map(|(place, columns)| whole(columns, u64::MAX, place == 0))
                    .collect())
            }
            None => Ok(vec![whole(every, u64::MAX, true)]),
        }
    }
}

/// Columns in so many groups that cost about the same: texts are the dear ones.
fn groups(columns: &[Described], jobs: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..columns.len()).collect();
    let is_text = |place: &usize| {
        columns.get(*place).is_some_and(|c| matches!(Kind::of(&c.data_type), Kind::Text | Kind::Document | Kind::Bytes))
    };
    places.sort_by_key(|place| !is_text(place));
    let mut groups = vec![Vec::new(); jobs.min(columns.len()).max(1)];
    let count = groups.len();
    for (turn, place) in places.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(turn % count) {
            group.push(place);
        }
    }
    groups
}

fn request(wanted: &Wanted, part: &Part, counted: u64, options: &Options) -> ReadRequest {
    let names = part.columns.iter().filter_map(|place| wanted.columns.get(*place)).map(|c| c.column.clone()).collect();
    let mut request =
        ReadRequest::all(Arc::clone(&wanted.table)).columns(names).range(part.range.clone()).counted(counted);
    request.max_cell = options.max_cell;
    request
}

/// Reads one part.
async fn gather(
    source: Arc<dyn Source>,
    request: ReadRequest,
    mut columns: Vec<(usize, Gatherer)>,
    part: Part,
    progress: Arc<dyn Progress>,
) -> Result<Gathered, Error> {
    let table = request.table.name.clone();
    let (mut rows, mut refused) = (0, 0);
    let mut chunks = source.read(request);
    while rows < part.rows
        && let Some(chunk) = chunks.next().await
    {
        let chunk = chunk?;
        let left = usize::try_from(part.rows - rows).unwrap_or(usize::MAX);
        let batch = if chunk.batch.num_rows() > left { chunk.batch.slice(0, left) } else { chunk.batch };
        for ((_, gatherer), array) in columns.iter_mut().zip(batch.columns()) {
            gatherer.take(array).map_err(odd)?;
        }
        rows += batch.num_rows() as u64;
        refused += chunk.refused.len() as u64;
        if part.counts {
            progress.rows(&table, batch.num_rows() as u64);
        }
    }
    let (rows, refused) = if part.counts { (rows, refused) } else { (0, 0) };
    Ok(Gathered { columns, rows, refused })
}

/// Something that no database gives. DataFusion's own words may quote a value.
fn odd(error: DataFusionError) -> Error {
    match error {
        DataFusionError::NotImplemented(what) => Error::failed(what),
        _ => Error::failed("the values of a table cannot be counted"),
    }
}

/// An error with its causes, in a line.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = source.source();
    }
    text
}

/// Chooses tables and columns.
async fn wanted(source: &dyn Source, catalog: &Catalog, options: &Options) -> Result<Vec<Wanted>, Error> {
    let table_words = words(&options.tables);
    let column_words = words(&options.columns);
    let tables: Vec<&Table> = catalog.tables.iter().filter(|table| has_table(table, &table_words)).collect();
    refuse_idle(&table_words, "table", &|word| catalog.tables.iter().any(|table| has_table(table, word)), || {
        catalog.tables.iter().map(|table| table.name.clone()).collect()
    })?;
    refuse_idle(
        &column_words,
        "column",
        &|word| tables.iter().any(|table| table.columns.iter().any(|column| has_column(table, &column.name, word))),
        || tables.iter().flat_map(|table| table.columns.iter().map(|column| column.name.clone())).collect(),
    )?;
    let denied = source.rights().await.denied;
    let mut wanted = Vec::new();
    for table in tables {
        let denied: Vec<_> = denied.iter().filter(|denied| denied.table == table.table_name()).collect();
        let asked = table
            .columns
            .iter()
            .filter(|column| column_words.is_empty() || has_column(table, &column.name, &column_words));
        let (closed, open): (Vec<_>, Vec<_>) = asked.partition(|column| {
            denied.iter().any(|denied| denied.column.as_ref().is_some_and(|name| same_name(name, &column.name)))
        });
        if closed.is_empty() && open.is_empty() {
            continue;
        }
        let may_not = "the login may not read it";
        let is_closed = open.is_empty() || denied.iter().any(|denied| denied.column.is_none());
        wanted.push(Wanted {
            columns: open
                .iter()
                .map(|column| Described {
                    column: column.name.clone(),
                    spelled: column.data_type.clone(),
                    data_type: column.data_type(catalog.engine),
                    roles: roles(catalog, table, &column.name),
                })
                .collect(),
            unread_columns: closed.iter().map(|column| (column.name.clone(), may_not.to_owned())).collect(),
            unread: is_closed.then(|| may_not.to_owned()),
            table: Arc::new(table.clone()),
        });
    }
    Ok(wanted)
}

/// What a column is in keys.
fn roles(catalog: &Catalog, table: &Table, column: &str) -> Vec<KeyRole> {
    let is_it = |columns: &[String]| columns.iter().any(|name| same_name(name, column));
    let mut roles = Vec::new();
    match table.key_columns() {
        [only] if same_name(only, column) => roles.push(KeyRole::Primary),
        several if is_it(several) => roles.push(KeyRole::PartOfPrimary),
        _ => {}
    }
    if table.uniques.items().iter().any(|unique| unique.columns.len() == 1 && is_it(&unique.columns)) {
        roles.push(KeyRole::Unique);
    }
    for key in table.foreign_keys.items() {
        if let ([from], [to]) = (key.columns.as_slice(), key.referenced_columns.as_slice())
            && same_name(from, column)
        {
            // Keys may spell what they refer to as they like; tables say how it is spelled.
            let there = catalog.table(&key.references.name);
            let name = there.map_or(&key.references.name, |there| &there.name);
            let to = there.and_then(|there| there.column(to)).map_or(to, |column| &column.name);
            let to = KeyRole::Foreign(format!("{name}.{to}"));
            if !roles.contains(&to) {
                roles.push(to);
            }
        }
    }
    roles
}

fn words(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

fn has_table(table: &Table, words: &[String]) -> bool {
    let full = format!("{}.{}", table.schema, table.name);
    words.is_empty() || words.iter().any(|word| is_like(&table.name, word) || is_like(&full, word))
}

fn has_column(table: &Table, column: &str, words: &[String]) -> bool {
    let full = format!("{}.{column}", table.name);
    words.iter().any(|word| is_like(column, word) || is_like(&full, word))
}

/// Refuses a word that nothing is like, and says what is near it.
fn refuse_idle(
    words: &[String],
    what: &str,
    is_busy: &dyn Fn(&[String]) -> bool,
    names: impl Fn() -> Vec<String>,
) -> Result<(), Error> {
    let Some(idle) = words.iter().find(|word| !is_busy(std::slice::from_ref(*word))) else { return Ok(()) };
    let error = Error::new(ErrorKind::Usage, format!("there is no {what} {idle}"));
    let bare = idle.rsplit('.').next().unwrap_or(idle);
    let near = names().into_iter().map(|name| (strsim::jaro_winkler(&name.to_lowercase(), bare), name));
    let near = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(nearness, _)| *nearness > 0.8);
    Err(match near {
        Some((_, name)) => error.with_help(format!("Did you mean {name}?")),
        None => error.with_help(format!("`*` stands for any text, so part of a {what}'s name will do: `tblClaim*`.")),
    })
}
