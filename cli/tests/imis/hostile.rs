//! Servers that misbehave, from the first byte to the last row: the command ends with an error that says where, in bounded time and
//! memory, and never with a panic.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use imis_fixtures::hostile::{Hostile, Mischief, utf16};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::{Catalog, Column, Engine, Key, Known, Table};

use crate::harness::{Desk, Target, migrated};

const SECRET: &str = "Secret!7";
/// What a command may take, debug build and a busy machine included. The servers may be silent for two seconds.
const TIME: Duration = Duration::from_secs(150);
const MEMORY: u64 = 300;
/// Failed or unreachable: it depends on the machine which of two limits is met first.
const EITHER: i32 = -1;

/// Since when a server misbehaves, how, the exit code, and what is said.
type Case = (&'static str, &'static [u8], Mischief, i32, &'static str);

/// Runs every case against a relay of its own, four at once.
fn suffer(port: u16, cases: Vec<Case>, arguments: impl Fn(u16) -> Vec<String> + Sync, secrets: &[&str]) {
    let cases = std::sync::Mutex::new(cases);
    let next = || cases.lock().unwrap().pop();
    let suffered = || {
        let mut wrong = Vec::new();
        while let Some((name, word, mischief, code, says)) = next() {
            let hostile = Hostile::before(port, word, mischief).unwrap();
            let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
            let arguments = arguments(hostile.port());
            let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
            let (said, time, memory) = desk.measured(&arguments);
            let all = format!("{}{}", said.stdout, said.stderr);
            let fine = (said.code == code || code == EITHER && [1, 5].contains(&said.code))
                && all.contains(says)
                && all.contains("help:")
                && !all.contains("panicked")
                && !secrets.iter().any(|secret| all.contains(secret))
                && time < TIME
                && memory < MEMORY
                && hostile.met() > 0;
            eprintln!("{name}: {} s, {memory} MiB, code {}", time.as_secs(), said.code);
            if !fine {
                wrong.push(format!(
                    "{name}: {time:?}, {memory} MiB, {} times, {}, not {code} with `{says}`:\n{all}",
                    hostile.met(),
                    said.code
                ));
            }
        }
        wrong
    };
    let wrong = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(suffered));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&[4, 0, length[0], length[1], 0, 0, 1, 0], body].concat()
}

/// COLMETADATA of `Id int, Note nvarchar(max)`.
fn columns() -> Vec<u8> {
    let mut body = vec![0x81, 2, 0];
    body.extend([0, 0, 0, 0, 0, 0, 0x38, 2]);
    body.extend(utf16("Id"));
    body.extend([0, 0, 0, 0, 1, 0, 0xE7, 0xFF, 0xFF, 9, 4, 0xD0, 0, 0x34, 4]);
    body.extend(utf16("Note"));
    body
}

/// A row with this key and NULL.
fn row(key: u64) -> Vec<u8> {
    let mut row = vec![0xD1];
    row.extend(u32::try_from(key & 0x7FFF_FFFF).unwrap().to_le_bytes());
    row.extend([0xFF; 8]);
    row
}

/// A row whose text says of itself that it is of unknown length.
fn endless_text() -> Vec<u8> {
    let mut row = vec![0xD1, 1, 0, 0, 0];
    row.extend(0xFFFF_FFFF_FFFF_FFFE_u64.to_le_bytes());
    row
}

/// What comes first, and then that what the function makes.
fn after(first: Vec<u8>, then: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Mischief {
    Mischief::Endless(Arc::new(move |number| if number == 0 { first.clone() } else { then(number) }))
}

fn info() -> Vec<u8> {
    let text = utf16(&"all is well ".repeat(200));
    let mut body = vec![1, 0, 0, 0, 1, 10];
    body.extend(u16::try_from(text.len() / 2).unwrap().to_le_bytes());
    body.extend(text);
    body.extend([0, 0, 1, 0, 0, 0]);
    let mut token = vec![0xAB];
    token.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    token.extend(body);
    packet(&token)
}

fn words() -> Table {
    let column = |name: &str, data_type: &str, nullable| Column {
        name: name.into(),
        data_type: data_type.into(),
        nullable,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    };
    Table {
        schema: "dbo".into(),
        name: "Word".into(),
        columns: vec![column("Id", "int", false), column("Note", "nvarchar(max)", true)],
        primary_key: Known::Yes(Some(Key { name: Some("PK_Word".into()), columns: vec!["Id".into()] })),
        foreign_keys: Known::Yes(vec![]),
        uniques: Known::Yes(vec![]),
        indexes: Known::Yes(vec![]),
        checks: Known::Yes(vec![]),
    }
}

fn sql_server() -> SqlServer {
    let mut catalog = Catalog::new(Engine::Mssql);
    catalog.tables = vec![words()];
    catalog.views = Known::Yes(vec![]);
    catalog.routines = Known::Yes(vec![]);
    let fields = vec![Field::new("Id", DataType::Int32, false), Field::new("Note", DataType::Utf8, true)];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["one", "two"]))];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let tables = Tables::new(catalog).unwrap().with_batches("Word", vec![rows]).unwrap();
    SqlServer::start(Options::new(tables, SECRET)).unwrap()
}

#[test]
fn a_hostile_sql_server() {
    // The words are those of our own statements: of the login, of the catalogue, and of the reading of rows.
    const LOGIN: &[u8] = b"i\0m\0i\0s\0";
    const CATALOGUE: &[u8] = b"I\0N\0F\0O\0R\0M\0A\0T\0I\0O\0N\0_\0";
    const ROWS: &[u8] = b"[\0N\0o\0t\0e\0]\0 \0F\0R\0O\0M\0";
    let second = Duration::from_secs(1);
    let with = |rest: &[u8]| packet(&[&columns(), rest].concat());
    let (whole, huge) = (with(&row(1)), with(&endless_text()));
    let half = whole[..whole.len() - 3].to_vec();
    let claims = with(&[&endless_text()[..], &0x7FFF_FFF0_u32.to_le_bytes()[..], b"abcd"].concat());
    let chunk = packet(&[&30_000_u32.to_le_bytes()[..], &[65; 30_000]].concat());
    let many = {
        // 65,000 columns are announced, and more come with every packet.
        let mut body = vec![0x81, 0xE8, 0xFD];
        body.extend([0, 0, 0, 0, 0, 0, 0x38, 0].repeat(1_000));
        packet(&body)
    };
    let not_ours = "is not a SQL Server";
    let cases: Vec<Case> = vec![
        ("says nothing", b"", Mischief::Silence, 5, "did not answer within 3 s"),
        ("hangs up", b"", Mischief::Close, 5, "broke off during the greeting"),
        ("is a web server", b"", Mischief::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), 5, not_ours),
        ("greets with a short packet", b"", Mischief::SaysAndWaits(vec![4, 1, 0, 3, 0, 0, 1, 0]), 5, not_ours),
        ("greets with nonsense", b"", Mischief::SaysAndWaits(packet(&[7; 40])), 5, "did not answer within 3 s"),
        ("greets without end", b"", Mischief::again(packet(&[0; 400])), 5, not_ours),
        ("greets drop by drop", b"", Mischief::Drips(vec![4], second), 5, "did not answer within 3 s"),
        ("login: silent", LOGIN, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("login: hangs up", LOGIN, Mischief::Close, 5, "during the login"),
        ("login: nonsense", LOGIN, Mischief::SaysAndWaits(packet(&[0x55; 90])), 5, "during the login"),
        ("login: messages without end", LOGIN, Mischief::again(info()), 5, "sends more than any answer can have"),
        ("login: drop by drop", LOGIN, Mischief::Drips(info(), second), 5, "bytes in 2 s"),
        ("catalogue: silent", CATALOGUE, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("catalogue: half a row", CATALOGUE, Mischief::Says(half.clone()), 5, "broke off"),
        (
            "catalogue: rows without end",
            CATALOGUE,
            after(with(&[]), |n| packet(&row(n).repeat(900))),
            EITHER,
            "reading the catalogue",
        ),
        ("catalogue: results without end", CATALOGUE, Mischief::again(whole.clone()), 5, "while reading the catalogue"),
        (
            "catalogue: empty packets",
            CATALOGUE,
            Mischief::again(packet(&[]).repeat(1_000)),
            5,
            "while reading the catalogue",
        ),
        (
            "catalogue: columns without end",
            CATALOGUE,
            after(many, |_| packet(&[0, 0, 0, 0, 0, 0, 0x38, 0].repeat(1_000))),
            1,
            "cannot be understood",
        ),
        ("rows: silent", ROWS, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("rows: hangs up", ROWS, Mischief::Close, 5, "broke off while reading Word"),
        ("rows: half a packet", ROWS, Mischief::Says(half), 5, "broke off while reading Word"),
        ("rows: a short packet", ROWS, Mischief::SaysAndWaits(vec![4, 1, 0, 3, 0, 0, 1, 0]), 5, "reading Word"),
        (
            "rows: an unknown token",
            ROWS,
            Mischief::SaysAndWaits(packet(&[0x55; 90])),
            1,
            "reading Word failed: the answer of",
        ),
        (
            "rows: a row before its columns",
            ROWS,
            Mischief::SaysAndWaits(packet(&row(1))),
            1,
            "reading Word failed: the answer of",
        ),
        ("rows: a text of 2 GB that does not come", ROWS, Mischief::SaysAndWaits(claims), 5, "bytes in 2 s"),
        (
            "rows: a text without end",
            ROWS,
            after(huge, move |_| chunk.clone()),
            1,
            "sends rows larger than a cell may be",
        ),
        ("rows: messages without end", ROWS, Mischief::again(info()), 5, "sends more than any answer can have"),
        ("rows: drop by drop", ROWS, Mischief::Drips(whole, Duration::from_millis(100)), 5, "bytes in 2 s"),
        ("rows: the same row again and again", ROWS, after(with(&[]), |_| packet(&row(7).repeat(900))), 1, "more than"),
        (
            "rows: rows without end",
            ROWS,
            after(with(&[]), |n| packet(&(0..900).flat_map(|i| row(n * 900 + i)).collect::<Vec<_>>())),
            1,
            "more than",
        ),
    ];
    let server = sql_server();
    let arguments = |port: u16| {
        let url = format!("mssql://sa@127.0.0.1:{port}/IMIS?encrypt=off&timeout=3&silence=2");
        ["snapshot", &url, "-o", "taken", "--max-cell", "8"].map(str::to_owned).to_vec()
    };
    suffer(server.port(), cases, arguments, &[SECRET]);
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// The head of a message that claims to be nearly two gigabytes.
fn claim(tag: u8) -> Vec<u8> {
    vec![tag, 0x7F, 0xFF, 0xFF, 0x00, 0, 1]
}

#[tokio::test]
async fn a_hostile_postgresql() {
    const LOGIN: &[u8] = b"";
    const CATALOGUE: &[u8] = b"FROM pg_class";
    const ROWS: &[u8] = b"COPY (SELECT";
    let second = Duration::from_secs(1);
    let notice = || message(b'N', b"SNOTICE\0C00000\0Mall is well\0\0");
    let binary = || message(b'H', &[1, 0, 2, 0, 1, 0, 1]);
    let header = || message(b'd', b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    let opened = move || [message(b'2', b""), binary(), header()].concat();
    let prepared = || [message(b'1', b""), message(b't', &[0, 0]), message(b'n', b""), message(b'Z', b"I")].concat();
    // The driver prepares the statement first; what comes then answers its execution.
    let copies = move |then: Vec<u8>| {
        Mischief::Endless(Arc::new(move |number| match number {
            0 => prepared(),
            1 => {
                thread::sleep(Duration::from_millis(500));
                [opened(), then.clone()].concat()
            }
            _ => {
                thread::sleep(Duration::from_secs(30));
                Vec::new()
            }
        }))
    };
    let row = |key: u32| message(b'd', &[&[0, 2, 0, 0, 0, 4][..], &key.to_be_bytes(), &[0xFF; 4]].concat());
    let rows = move |number| match number {
        0 => prepared(),
        1 => {
            thread::sleep(Duration::from_millis(500));
            opened()
        }
        n => (0..900).flat_map(|i| row(u32::try_from(n * 900 + i).unwrap())).collect::<Vec<_>>(),
    };
    // A text that says of itself that it has two gigabytes, in messages each of which is small.
    let pieces = move |number| match number {
        0 => prepared(),
        1 => {
            thread::sleep(Duration::from_millis(500));
            let head = [&[0, 2, 0, 0, 0, 4, 0, 0, 0, 1][..], &0x7FFF_FFFF_u32.to_be_bytes()].concat();
            [opened(), message(b'd', &head)].concat()
        }
        _ => message(b'd', &[65; 60_000]),
    };
    // An answer with one column where seven were asked for, of another type.
    let other = move |number| match number {
        0 => {
            let described = [&[0, 1][..], b"n\0", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]];
            [message(b'1', b""), message(b't', &[0, 0]), message(b'T', &described.concat()), message(b'Z', b"I")]
                .concat()
        }
        1 => {
            thread::sleep(Duration::from_millis(500));
            let row = message(b'D', &[0, 1, 0, 0, 0, 4, 0, 0, 0, 1]);
            [message(b'2', b""), row, message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat()
        }
        _ => {
            thread::sleep(Duration::from_secs(30));
            Vec::new()
        }
    };
    let not_ours = "does not log in as a PostgreSQL does";
    let cases: Vec<Case> = vec![
        ("says nothing", LOGIN, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("hangs up", LOGIN, Mischief::Close, 5, "during the login"),
        ("is a web server", LOGIN, Mischief::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), 5, not_ours),
        (
            "asks for an unknown kind of login",
            LOGIN,
            Mischief::SaysAndWaits(message(b'R', &[0, 0, 0, 99])),
            5,
            not_ours,
        ),
        ("asks for two gigabytes of login", LOGIN, Mischief::SaysAndWaits(claim(b'R')), 5, not_ours),
        ("sends notices instead of a login", LOGIN, Mischief::again(notice()), 5, not_ours),
        ("logs in drop by drop", LOGIN, Mischief::Drips(notice(), second), 5, "bytes in 2 s"),
        ("catalogue: silent", CATALOGUE, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("catalogue: hangs up", CATALOGUE, Mischief::Close, 5, "reading the catalogue"),
        (
            "catalogue: a message shorter than its length",
            CATALOGUE,
            Mischief::SaysAndWaits(vec![b'1', 0, 0, 0, 2]),
            5,
            "shorter than its own length",
        ),
        (
            "catalogue: a message of two gigabytes",
            CATALOGUE,
            Mischief::SaysAndWaits(claim(b'D')),
            5,
            "larger than any may be",
        ),
        (
            "catalogue: a description of two gigabytes",
            CATALOGUE,
            Mischief::SaysAndWaits(claim(b'T')),
            5,
            "larger than any may be",
        ),
        ("catalogue: half a message", CATALOGUE, Mischief::Says(notice()[..9].to_vec()), 5, "reading the catalogue"),
        (
            "catalogue: not a message",
            CATALOGUE,
            Mischief::SaysAndWaits(vec![0xEE; 64]),
            5,
            "does not speak as a PostgreSQL does",
        ),
        ("catalogue: notices without end", CATALOGUE, Mischief::again(notice().repeat(50)), 5, "notices without end"),
        (
            "catalogue: rows without end",
            CATALOGUE,
            Mischief::again(message(b'D', &[0, 0]).repeat(900)),
            1,
            "reading the catalogue",
        ),
        (
            "catalogue: drop by drop",
            CATALOGUE,
            Mischief::Drips(notice(), Duration::from_millis(100)),
            5,
            "bytes in 2 s",
        ),
        ("catalogue: another answer", CATALOGUE, Mischief::Endless(Arc::new(other)), 1, "cannot be understood"),
        ("rows: silent", ROWS, Mischief::Silence, 5, "has sent nothing for 2 s"),
        ("rows: hangs up", ROWS, Mischief::Close, 5, "reading Word"),
        ("rows: then silent", ROWS, copies(Vec::new()), 5, "has sent nothing for 2 s"),
        ("rows: of two gigabytes", ROWS, copies(claim(b'd')), 5, "larger than any may be"),
        ("rows: garbled", ROWS, copies(message(b'd', &[9; 90])), 5, "garbled"),
        ("rows: without end", ROWS, Mischief::Endless(Arc::new(rows)), 1, "more than"),
        ("rows: two gigabytes in pieces", ROWS, Mischief::Endless(Arc::new(pieces)), 5, "garbled"),
    ];
    let cluster = Cluster::shared();
    cluster.create_database("hostile").await.unwrap();
    let client = cluster.connect("hostile").await.unwrap();
    client
        .batch_execute(
            r#"CREATE TABLE "Word" ("Id" integer PRIMARY KEY, "Note" text); INSERT INTO "Word" VALUES (1, 'one')"#,
        )
        .await
        .unwrap();
    drop(client);
    let arguments = |port: u16| {
        let url = format!("postgres://postgres@127.0.0.1:{port}/hostile?sslmode=disable&connect_timeout=3&silence=2");
        let url = url.replace("postgres@", &format!("postgres:{}@", cluster.password()));
        ["snapshot", &url, "-o", "taken", "--max-cell", "8"].map(str::to_owned).to_vec()
    };
    suffer(cluster.port(), cases, arguments, &[cluster.password()]);
}

#[tokio::test]
async fn a_target_that_misbehaves_while_it_is_loaded() {
    let made = Desk::new();
    made.imis(&["demo", "--families", "20", "--output", "made"]).done();
    let from = made.path().join("made/legacy").display().to_string();
    let name = migrated(Target::Wide, "hostile").await.unwrap();
    let cluster = Cluster::shared();
    // Each leaves a run behind that is taken up by the next one.
    let cases: Vec<Case> = vec![
        ("COPY is never opened", b"FROM STDIN", Mischief::Silence, 5, "has sent nothing for 10 s"),
        (
            "COPY: not a message",
            b"FROM STDIN",
            Mischief::SaysAndWaits(vec![0xEE; 64]),
            5,
            "does not speak as a PostgreSQL does",
        ),
    ];
    let mut resume = false;
    for case in cases {
        let arguments = |port: u16| {
            let url = cluster.url(&name).replace(&format!(":{}/", cluster.port()), &format!(":{port}/"));
            let to = format!("{url}?sslmode=disable&silence=10");
            let mut arguments = ["migrate", "--from", &from, "--to", &to].map(str::to_owned).to_vec();
            arguments.extend(resume.then(|| "--resume".to_owned()));
            arguments
        };
        suffer(cluster.port(), vec![case], arguments, &[cluster.password()]);
        resume = true;
    }
    let to = cluster.url(&name);
    Desk::new().imis(&["migrate", "--from", &from, "--to", &to, "--resume"]).done();
}
