//! Rows beside rows: what a database holds, compared with CSV files of what it should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures::TryStreamExt;
use imis_schemas::Engine;
use tokio_postgres::Client;

/// A row as text; `None` is NULL.
pub(crate) type Row = Vec<Option<String>>;

/// Rows of a table under the names of their columns.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Rows {
    /// The table of a CSV text whose first line names the columns.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = records(text).into_iter();
        let columns = lines.next().unwrap_or_default().into_iter().flatten().collect();
        Rows { columns, rows: lines.collect() }
    }

    pub(crate) fn read(path: &Path) -> Self {
        Rows::parse(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    pub(crate) fn at(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))
    }

    /// One column of all rows, NULLs left out.
    pub(crate) fn values(&self, column: &str) -> Vec<&str> {
        let at = self.at(column).unwrap_or_else(|| panic!("no column {column}"));
        self.rows.iter().filter_map(|row| row[at].as_deref()).collect()
    }
}

/// The records of a CSV text. An empty field is NULL and a quoted empty one is the empty text, as PostgreSQL writes them.
fn records(text: &str) -> Vec<Row> {
    let (mut all, mut row, mut cell) = (Vec::new(), Row::new(), String::new());
    let (mut quoted, mut inside) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => {
                inside = !inside;
                quoted = true;
            }
            ',' | '\n' if !inside => {
                row.push(Some(std::mem::take(&mut cell)).filter(|c| quoted || !c.is_empty()));
                quoted = false;
                if char == '\n' {
                    all.push(std::mem::take(&mut row));
                }
            }
            '\r' if !inside => {}
            _ => cell.push(char),
        }
    }
    assert!(!inside, "the CSV ends in the middle of a quoted field");
    if quoted || !cell.is_empty() || !row.is_empty() {
        row.push(Some(cell).filter(|c| quoted || !c.is_empty()));
        all.push(row);
    }
    all
}

/// What makes a row the same row on both sides, where that is not the primary key.
const IDENTITY: &[(&str, &[&str])] = &[("core_User", &["username"]), ("tblRoleRight", &["RoleID", "RightID"])];

/// A difference in one row of one table.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) table: String,
    /// The column; `+` for a row that only we have, `-` for one that only the other side has.
    pub(crate) what: String,
    pub(crate) ours: BTreeMap<String, Option<String>>,
    pub(crate) theirs: BTreeMap<String, Option<String>>,
}

impl Difference {
    pub(crate) fn ours(&self, column: &str) -> &str {
        self.ours.get(column).and_then(Option::as_deref).unwrap_or("NULL")
    }

    pub(crate) fn theirs(&self, column: &str) -> &str {
        self.theirs.get(column).and_then(Option::as_deref).unwrap_or("NULL")
    }
}

/// A table of a database with the names of its key and of its numeric columns.
pub(crate) async fn table(client: &Client, table: &str) -> (Rows, Vec<String>, BTreeSet<String>) {
    let sql = format!("COPY {} TO STDOUT (FORMAT csv, HEADER)", Engine::Postgres.quote(table));
    let chunks: Vec<_> = client.copy_out(&sql).await.unwrap().try_collect().await.unwrap();
    let rows = Rows::parse(&String::from_utf8(chunks.concat()).unwrap());
    let names = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
    let key = "SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) \
               WHERE indisprimary AND indrelid = $1::text::regclass";
    let numeric =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND atttypid = 'numeric'::regtype";
    let quoted = Engine::Postgres.quote(table);
    let key = names(client.query(key, &[&quoted]).await.unwrap());
    let numeric = names(client.query(numeric, &[&quoted]).await.unwrap());
    (rows, key, numeric.into_iter().collect())
}

/// A number without the zeros at its end, which follow from the column's scale and not from the value.
fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Every difference between the tables of a database and a folder with one CSV file a table; and the names of the tables.
pub(crate) async fn differences(client: &Client, folder: &Path) -> (Vec<Difference>, BTreeSet<String>) {
    client.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'").await.unwrap();
    let (mut found, mut tables) = (Vec::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let theirs = Rows::read(&path);
        let (ours, key, numeric) = table(client, &name).await;
        let key = match IDENTITY.iter().find(|(table, _)| *table == name) {
            Some((_, columns)) => columns.iter().map(|c| (*c).to_owned()).collect(),
            None => key,
        };
        found.extend(compare(&name, &ours, &theirs, &key, &numeric));
        tables.insert(name);
    }
    (found, tables)
}

pub(crate) fn compare(
    table: &str,
    ours: &Rows,
    theirs: &Rows,
    key: &[String],
    numeric: &BTreeSet<String>,
) -> Vec<Difference> {
    // Tables without a key have few rows, all different: the whole row is the key.
    let key: Vec<String> = if key.is_empty() { theirs.columns.clone() } else { key.to_vec() };
    let canonical = |rows: &Rows| -> Vec<BTreeMap<String, Option<String>>> {
        let cell = |name: &String, value: &Option<String>| {
            let value = value.as_deref().map(|v| if numeric.contains(name) { plain(v) } else { v }.to_owned());
            (name.clone(), value)
        };
        rows.rows.iter().map(|row| rows.columns.iter().zip(row).map(|(n, v)| cell(n, v)).collect()).collect()
    };
    let by_key = |rows: Vec<BTreeMap<String, Option<String>>>| {
        let mut map: BTreeMap<Vec<Option<String>>, Vec<_>> = BTreeMap::new();
        for row in rows {
            map.entry(key.iter().map(|k| row.get(k).cloned().flatten()).collect()).or_default().push(row);
        }
        map
    };
    let (mut ours, mut theirs) = (by_key(canonical(ours)), by_key(canonical(theirs)));
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
    let mut found = Vec::new();
    for key in keys {
        let (left, right) = (ours.remove(&key).unwrap_or_default(), theirs.remove(&key).unwrap_or_default());
        let (mut left, mut right) = (left.into_iter(), right.into_iter());
        loop {
            let (what, ours, theirs) = match (left.next(), right.next()) {
                (None, None) => break,
                (Some(ours), None) => (vec!["+".to_owned()], ours, BTreeMap::new()),
                (None, Some(theirs)) => (vec!["-".to_owned()], BTreeMap::new(), theirs),
                (Some(ours), Some(theirs)) => {
                    let columns: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
                    let differs = |c: &String| ours.get(c) != theirs.get(c);
                    (columns.into_iter().filter(differs).collect(), ours, theirs)
                }
            };
            for what in what {
                found.push(Difference { table: table.to_owned(), what, ours: ours.clone(), theirs: theirs.clone() });
            }
        }
    }
    found
}
