//! T-SQL scripts as a source of rows.
//!
//! Scripts are carried out in their order on tables that live here: in memory while they are few, then in files without names. When
//! the last one is done, the rows stand as Parquet in a private folder, and what reads them is what reads a snapshot. So a folder of
//! scripts is checked, compared, snapshotted and migrated like the database that a server would have made of it.
//!
//! What a server makes up is made here so that it is the same whenever the scripts are read: `NEWID()` follows from the script's name and
//! the place in it, `GETDATE()` is when the script was written last.

mod evaluate;
mod files;
#[cfg(test)]
mod fuzz;
mod interpret;
mod moment;
mod query;
mod rows;
mod system;
#[cfg(test)]
mod tests;
mod value;
mod world;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use imis_schemas::script::Place;
use imis_schemas::{Catalog, Column, DataType, Engine, Table};

use self::evaluate::Trouble;
use self::interpret::{Broken, Interpreter, Nothing};
use self::value::Value;
use crate::column;
use crate::consistency::{Consistency, Reading as Told};
use crate::error::{Error, ErrorKind};
use crate::snapshot::{SnapshotSink, SnapshotSource};
use crate::source::{BATCH_BYTES, BATCH_ROWS, ChunkStream, ReadRequest, RefusedRow, Source};

/// How many statements that were not understood are kept one by one; all are counted.
const KEPT: usize = 10_000;

/// A statement that was not understood or could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The script, as it lies below the location.
    pub file: String,
    /// Where the statement begins.
    pub place: Place,
    /// Its first words, without texts and numbers.
    pub words: String,
    /// Why.
    pub why: String,
}

/// What became of the statements of scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many scripts were read.
    pub files: u64,
    /// How many statements there are.
    pub statements: u64,
    /// How many rows were inserted, changed and deleted.
    pub rows: u64,
    /// Rows that an UPDATE changed, each time one did.
    pub updated: u64,
    /// Rows that a DELETE took away.
    pub deleted: u64,
    /// How many statements were not understood, or could not be carried out.
    pub unread: u64,
    /// The first of them.
    pub list: Vec<Unread>,
    /// Statements that leave no trace in tables and rows, by what they are.
    pub nothing: Nothing,
    /// Stretches of bytes that are no characters.
    pub broken: u64,
}

impl Report {
    /// What was done to rows so far.
    fn changes(&self) -> (u64, u64, u64) {
        (self.rows, self.updated, self.deleted)
    }

    fn unread(&mut self, unread: Unread) {
        self.unread += 1;
        if self.list.len() < KEPT {
            self.list.push(unread);
        }
    }
}

/// A file or a folder of T-SQL scripts as a source.
#[derive(Debug)]
pub struct ScriptSource {
    path: PathBuf,
    rows: SnapshotSource,
    catalog: Arc<Catalog>,
    report: Report,
    cut: Vec<(String, String, u64)>,
    /// Goes with the source.
    _folder: tempfile::TempDir,
}

impl ScriptSource {
    /// Reads the scripts. `progress` is told how many bytes are read, and of how many.
    ///
    /// # Errors
    /// When a script cannot be read: it is no text, ends in the middle of something, or has a statement without end.
    pub fn open(path: &Path, progress: &dyn Fn(u64, u64)) -> Result<Self, Error> {
        let files = files::scripts(path)?;
        let size = |file: &PathBuf| file.metadata().map_or(0, |data| data.len());
        let (all, mut done) = (files.iter().map(size).sum(), 0);
        let mut interpreter = Interpreter::new();
        let mut open = Reading { folder: path.is_dir(), ..Reading::default() };
        for file in &files {
            read(&mut interpreter, path, file, &mut open, &|at| progress(done + at, all))?;
            done += size(file);
        }
        progress(all, all);
        Self::finish(path, interpreter)
    }

    /// Puts the rows where they are read from.
    fn finish(path: &Path, mut interpreter: Interpreter) -> Result<Self, Error> {
        let mut catalog = interpreter.world.database().catalog();
        let report = &mut interpreter.report;
        if catalog.tables.is_empty()
            && catalog.routines.items().is_empty()
            && catalog.views.items().is_empty()
            && report.unread == 0
        {
            return Err(Error::new(
                ErrorKind::Data,
                format!("{}: no table, no view and no routine is made here", path.display()),
            )
            .with_help(
                "Is it the right file? Scripts are T-SQL, as Management Studio's Generate Scripts writes them.",
            ));
        }
        if report.unread > 0 {
            catalog.notes.push(format!(
                "{} statements of the scripts were not understood or could not be carried out",
                report.unread
            ));
        }
        if report.broken > 0 {
            catalog
                .notes
                .push(format!("{} stretches of the scripts are no characters and stand as U+FFFD", report.broken));
        }
        for (at, table) in interpreter.world.database().tables().iter().enumerate() {
            for column in interpreter.world.not_computed(at) {
                let name = &table.name;
                catalog
                    .notes
                    .push(format!("the computed column {name}.{column} is not understood and NULL in some rows"));
            }
        }
        let catalog = Arc::new(catalog);
        let folder = tempfile::Builder::new().prefix("imis-scripts-").tempdir().map_err(|e| {
            Error::failed("a folder for the rows cannot be made").with_help("TMPDIR names where.").caused_by(e)
        })?;
        let rows = folder.path().join("rows");
        let sink = SnapshotSink::create(&rows, Arc::clone(&catalog), path.display().to_string(), Consistency::Frozen)?;
        let mut cut = Vec::new();
        for table in &catalog.tables {
            write(&mut interpreter, &sink, table, &mut cut)?;
        }
        sink.complete()?;
        let rows = SnapshotSource::open(&rows)?;
        Ok(ScriptSource { path: path.to_owned(), rows, catalog, report: interpreter.report, cut, _folder: folder })
    }

    /// What became of the statements.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Which scripts were read.
#[derive(Default)]
struct Reading {
    /// Whether a folder is read, of which every script has its turn.
    folder: bool,
    /// Those in hand: a script and those that named it.
    now: HashSet<PathBuf>,
    /// Those in hand, and those that are done.
    ever: HashSet<PathBuf>,
}

/// Reads one script, and those that it names.
fn read(
    interpreter: &mut Interpreter,
    root: &Path,
    path: &Path,
    open: &mut Reading,
    tell: &dyn Fn(u64),
) -> Result<(), Error> {
    let name = match path.strip_prefix(root) {
        Ok(below) if below.as_os_str().is_empty() => path.file_name().map(PathBuf::from).unwrap_or_default(),
        Ok(below) => below.to_owned(),
        Err(_) => path.to_owned(),
    };
    let name = name.display().to_string();
    let trouble =
        |e: std::io::Error| Error::new(ErrorKind::Usage, format!("{} cannot be read", path.display())).caused_by(e);
    let known = path.canonicalize().map_err(trouble)?;
    if !open.now.insert(known.clone()) {
        return Err(Error::new(ErrorKind::Usage, format!("{} names itself with :r", path.display())));
    }
    if !open.ever.insert(known.clone()) && open.folder {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{} would be read twice: as a file of the folder, and by a :r of another", path.display()),
        )
        .with_help("Its rows would be there twice. Name the script that has the :r lines, not its folder."));
    }
    let file = File::open(path).map_err(trouble)?;
    let written = file.metadata().and_then(|data| data.modified()).ok();
    let written =
        written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs());
    let written = i64::try_from(written).unwrap_or(0).saturating_mul(10_000_000);
    let mut include = |interpreter: &mut Interpreter, named: &str, place: Place| {
        let named = named.trim().trim_matches('"').replace('\\', "/");
        let beside = path.parent().unwrap_or(Path::new(".")).join(named);
        if !beside.is_file() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{}:{place}: :r names {}, which is not there", path.display(), beside.display()),
            ));
        }
        read(interpreter, root, &beside, open, &|_| {})
    };
    let outcome = interpreter.script(&name, written, Watched { file, at: 0, again: false, tell }, &mut include);
    open.now.remove(&known);
    interpreter.report.files += 1;
    outcome.map_err(|broken| match broken {
        Broken::Failed(error) => error,
        Broken::Script(error) => {
            let at = error.place().map(|place| format!(":{place}")).unwrap_or_default();
            Error::new(ErrorKind::Data, format!("{}{at}: {error}", path.display()))
                .with_help("Is the file whole, and is it a T-SQL script? Nothing was read from it.")
        }
    })
}

/// A file that tells how far it was read, from its second reading on: the first only looks how it is encoded.
struct Watched<'a> {
    file: File,
    at: u64,
    again: bool,
    tell: &'a dyn Fn(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.at += read as u64;
        if self.again {
            (self.tell)(self.at);
        }
        Ok(read)
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = self.file.seek(to)?;
        self.again = true;
        Ok(self.at)
    }
}

/// Writes the rows of a table as their columns stand at the end.
fn write(
    interpreter: &mut Interpreter,
    sink: &SnapshotSink,
    table: &Table,
    cut: &mut Vec<(String, String, u64)>,
) -> Result<(), Error> {
    let name = imis_schemas::script::ObjectName { schema: Some(table.schema.clone()), name: table.name.clone() };
    let mut file = sink.table(table)?;
    if let Some(at) = interpreter.world.find(&name) {
        let types: Vec<DataType> = table.columns.iter().map(|c| c.data_type(Engine::Mssql)).collect();
        let mut columns = types
            .iter()
            .map(|t| column::Column::of_told(&t.arrow(), 1024))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::failed("a table cannot be begun").caused_by(e))?;
        let mut digits = vec![0_u64; table.columns.len()];
        let mut refused: Vec<RefusedRow> = interpreter.world.refused(at).to_vec();
        let (mut rows, mut bytes) = (0, 0);
        let world = &interpreter.world;
        world
            .each_computed(at, false, |names, cells| {
                let mut made = Vec::with_capacity(cells.len());
                for (position, value) in cells.iter().enumerate() {
                    let (Some(data_type), Some(column)) = (types.get(position), table.columns.get(position)) else {
                        continue;
                    };
                    match value.clone().convert(data_type, world.order, true) {
                        Ok(value) => made.push(value),
                        Err(misfit) => {
                            refused.push(refusal(table, names, cells, column, misfit.0));
                            return Ok(true);
                        }
                    }
                }
                bytes += made.iter().map(Value::size).sum::<usize>();
                for ((column, value), digits) in columns.iter_mut().zip(&made).zip(&mut digits) {
                    match value::take(column, value) {
                        Ok(short) => *digits += u64::from(short),
                        Err(misfit) => return Err(Trouble::Failed(Error::failed(misfit.0))),
                    }
                }
                rows += 1;
                if rows >= BATCH_ROWS || bytes >= BATCH_BYTES {
                    file.write(&batch(table, &types, &mut columns, rows)?)?;
                    (rows, bytes) = (0, 0);
                }
                Ok(true)
            })
            .map_err(|trouble| match trouble {
                Trouble::Failed(error) => error,
                Trouble::Unknown(why) | Trouble::Refused(why) => Error::failed(why),
            })?;
        if rows > 0 {
            file.write(&batch(table, &types, &mut columns, rows)?)?;
        }
        file.refuse(refused);
        let shortened = table.columns.iter().zip(digits).filter(|(_, digits)| *digits > 0);
        cut.extend(shortened.map(|(column, digits)| (table.name.clone(), column.name.clone(), digits)));
    }
    sink.close(file)?;
    Ok(())
}

fn refusal(table: &Table, names: &[String], cells: &[Value], column: &Column, reason: &str) -> RefusedRow {
    let value = |key: &String| {
        let at = names.iter().position(|name| name == key)?;
        cells.get(at)?.text()
    };
    let key = table.key_columns().iter().map(|key| (key.clone(), value(key).unwrap_or_default())).collect();
    RefusedRow { key, column: column.name.clone(), reason: reason.to_owned() }
}

fn batch(table: &Table, types: &[DataType], columns: &mut [column::Column], rows: usize) -> Result<RecordBatch, Error> {
    let odd = |e| Error::failed(format!("rows of {} do not fit", table.table_name())).caused_by(e);
    let fields = table.columns.iter().zip(types);
    let fields: Vec<_> = fields.map(|(c, t)| arrow::datatypes::Field::new(&c.name, t.arrow(), true)).collect();
    let arrays = columns.iter_mut().map(column::Column::finish).collect::<Result<_, _>>().map_err(odd)?;
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), arrays, &options).map_err(odd)
}

#[async_trait]
impl Source for ScriptSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        Ok(Arc::clone(&self.catalog))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        self.rows.count(table).await
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        self.rows.bounds(table, column).await
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        self.rows.read(request)
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(Consistency::Frozen)
    }

    async fn reading(&self) -> Result<(Consistency, Told), Error> {
        let because = "scripts stand still".to_owned();
        Ok((Consistency::Frozen, Told { because, ..Told::default() }))
    }

    fn splits(&self) -> bool {
        false
    }

    fn cut_digits(&self) -> Vec<(String, String, u64)> {
        self.cut.clone()
    }

    fn scripts(&self) -> Option<&Report> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        format!("T-SQL scripts {}", self.path.display())
    }
}
