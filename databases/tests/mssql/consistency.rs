//! What may be relied on while somebody works on the source.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use futures::{StreamExt, TryStreamExt};
use imis_databases::mssql::MssqlSource;
use imis_databases::{Changes, Consistency, ErrorKind, Mark, ReadRequest, Source, Wish};
use imis_fixtures::sqlserver::{Fault, FaultKind, Options, SqlError, SqlServer, Tables};
use imis_schemas::{Catalog, Engine, Table};

use super::{PASSWORD, address};

/// Three tables of 300 rows; the third has no rowversion.
fn server(change: impl FnOnce(&mut Options)) -> SqlServer {
    let mut options = Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD);
    change(&mut options);
    let server = SqlServer::start(options).unwrap();
    let mut script = String::new();
    for (table, more) in [("A", ", V rowversion"), ("B", ", V rowversion"), ("Plain", "")] {
        script += &format!("CREATE TABLE {table} (Id int NOT NULL PRIMARY KEY, N int, T nvarchar(200){more});\n");
        for id in 0..300 {
            script += &format!("INSERT INTO {table} (Id, N, T) VALUES ({id}, 1, N'{}');\n", "x".repeat(100));
        }
    }
    server.execute_script(&script).unwrap();
    server
}

async fn connect(server: &SqlServer, wish: Wish) -> MssqlSource {
    MssqlSource::connect_as(&address(server, "encrypt=off"), wish).await.unwrap()
}

async fn table(source: &MssqlSource, name: &str) -> Arc<Table> {
    Arc::new(source.catalog().await.unwrap().table(name).unwrap().clone())
}

/// Rows of a table and the sum of N.
async fn sum(source: &MssqlSource, name: &str) -> (u64, i64) {
    let chunks: Vec<_> = source.read(ReadRequest::all(table(source, name).await)).try_collect().await.unwrap();
    let of = |batch: &arrow::record_batch::RecordBatch| {
        let numbers = batch.column_by_name("N").unwrap().as_primitive::<Int32Type>().clone();
        numbers.iter().flatten().map(i64::from).sum::<i64>()
    };
    let rows = chunks.iter().map(|c| c.batch.num_rows() as u64).sum();
    (rows, chunks.iter().map(|c| of(&c.batch)).sum())
}

#[tokio::test]
async fn the_level_follows_from_the_server_and_the_wish() {
    use Consistency::{Frozen, Fuzzy, SingleTransaction};
    type Case = (fn(&mut Options), [Option<Consistency>; 4], &'static str);
    let cases: [Case; 8] = [
        (|_| {}, [Some(Fuzzy), Some(Frozen), None, Some(Fuzzy)], "takes writes"),
        (
            |o| o.snapshot_isolation = 1,
            [Some(SingleTransaction), Some(Frozen), Some(SingleTransaction), Some(Fuzzy)],
            "allows such a transaction",
        ),
        // On its way there: a transaction would wait, or fail.
        (|o| o.snapshot_isolation = 3, [Some(Fuzzy), Some(Frozen), None, Some(Fuzzy)], "takes writes"),
        (|o| o.read_only = true, [Some(Frozen); 4], "read-only"),
        (
            |o| (o.source_database, o.other_databases) = (Some("Live".into()), vec!["Live".into()]),
            [Some(Frozen); 4],
            "a database snapshot",
        ),
        // It ends a transaction after errors that SQL Server forgives: only for those who ask for one.
        (
            |o| (o.snapshot_isolation, o.version_text) = (1, Some("Babelfish for PostgreSQL 15.5".into())),
            [Some(Fuzzy), Some(Frozen), Some(SingleTransaction), Some(Fuzzy)],
            "not known",
        ),
        // As Babelfish may be: no column, no count of changes.
        (
            |o| {
                o.missing = vec!["sys.databases.snapshot_isolation_state".into()];
                o.missing_functions = vec!["@@DBTS".into(), "MIN_ACTIVE_ROWVERSION".into()];
            },
            [Some(Fuzzy), Some(Frozen), Some(SingleTransaction), Some(Fuzzy)],
            "takes writes",
        ),
        (
            |o| o.missing = vec!["sys.databases".into()],
            [Some(Fuzzy), Some(Frozen), Some(SingleTransaction), Some(Fuzzy)],
            "",
        ),
    ];
    let wishes = [Wish::Auto, Wish::Frozen, Wish::SingleTransaction, Wish::Fuzzy];
    for (at, (change, expected, because)) in cases.into_iter().enumerate() {
        let mut options = Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD);
        change(&mut options);
        let counts = options.missing_functions.is_empty();
        let server = SqlServer::start(options).unwrap();
        for (wish, expected) in wishes.into_iter().zip(expected) {
            match (MssqlSource::connect_as(&address(&server, "encrypt=off"), wish).await, expected) {
                (Ok(source), Some(level)) => {
                    let (found, reading) = source.reading().await.unwrap();
                    assert_eq!((found, source.consistency().await.unwrap()), (level, level), "{at} {wish:?}");
                    assert_eq!(reading.declared, wish == Wish::Frozen && level == Frozen && !(3..=4).contains(&at));
                    assert_eq!(reading.before.is_some(), counts, "{at} {wish:?}");
                    assert!(wish != Wish::Auto || reading.because.contains(because), "{}", reading.because);
                }
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::Unreachable);
                    let help = error.help().unwrap_or_default();
                    assert!(help.contains("ALTER DATABASE [IMIS] SET ALLOW_SNAPSHOT_ISOLATION ON"), "{error}: {help}");
                }
                (came, expected) => panic!("{at} {wish:?}: {:?} instead of {expected:?}", came.map(|_| ())),
            }
        }
    }
}

/// A connection that was told to try where nobody could say whether it may.
#[tokio::test]
async fn a_transaction_that_is_not_allowed_says_what_would_help() {
    let server = server(|o| o.missing = vec!["sys.databases.snapshot_isolation_state".into()]);
    let source = connect(&server, Wish::SingleTransaction).await;
    let error = source.count(&*table(&source, "A").await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.help().unwrap_or_default().contains("SET ALLOW_SNAPSHOT_ISOLATION ON"), "{error}");
}

#[tokio::test]
async fn one_transaction_sees_one_moment_and_fuzzy_reading_does_not() {
    let server = server(|o| o.snapshot_isolation = 1);
    let (in_one, fuzzy) = (connect(&server, Wish::Auto).await, connect(&server, Wish::Fuzzy).await);
    for source in [&in_one, &fuzzy] {
        assert_eq!(sum(source, "A").await, (300, 300));
    }
    server.execute_script("UPDATE A SET N = 2; UPDATE B SET N = 2 WHERE Id < 10; DELETE B WHERE Id > 290").unwrap();
    assert_eq!((sum(&in_one, "A").await, sum(&in_one, "B").await), ((300, 300), (300, 300)));
    assert_eq!(in_one.count(&*table(&in_one, "B").await).await.unwrap(), 300);
    assert_eq!(in_one.bounds(&*table(&in_one, "B").await, "Id").await.unwrap(), Some((0, 299)));
    let answer = in_one.answer("adding", "SELECT CAST(SUM(N) AS varchar(20)) AS s FROM B").await.unwrap();
    assert_eq!(answer, Some(vec![vec![Some("300".to_owned())]]));
    assert_eq!((sum(&fuzzy, "A").await, sum(&fuzzy, "B").await), ((300, 600), (291, 301)));
    let statements = server.statements();
    assert_eq!(statements.iter().filter(|s| *s == "BEGIN TRANSACTION").count(), 1);
}

/// Whoever reads many tables at once and in any order gets on, and so do those who stop early.
#[tokio::test]
async fn streams_of_one_transaction_do_not_wait_for_each_other() {
    let server = server(|o| o.snapshot_isolation = 1);
    let source = connect(&server, Wish::Auto).await;
    let tables = [table(&source, "A").await, table(&source, "B").await, table(&source, "Plain").await];
    let work = async {
        for _ in 0..3 {
            let open = |n: usize| ReadRequest { batch_rows: 7, ..ReadRequest::all(Arc::clone(&tables[n % 3])) };
            let mut streams: Vec<_> = (0..40).map(|n| source.read(open(n))).collect();
            // The first chunk of each, the last opened first; then some are dropped, and the rest read in turns.
            for stream in streams.iter_mut().rev() {
                assert_eq!(stream.next().await.unwrap().unwrap().batch.num_rows(), 7);
            }
            streams.truncate(25);
            let mut rows = 7 * streams.len();
            while !streams.is_empty() {
                let mut left = Vec::new();
                for mut stream in streams {
                    if let Some(chunk) = stream.next().await {
                        rows += chunk.unwrap().batch.num_rows();
                        left.push(stream);
                    }
                }
                streams = left;
            }
            assert_eq!(rows, 25 * 300);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.unwrap();
    // A stream that is dropped while the server still sends.
    server.fault(Fault { statement: "[Plain]".into(), kind: FaultKind::Delay(Duration::from_millis(20)), times: None });
    let mut stream = source.read(ReadRequest { batch_rows: 7, ..ReadRequest::all(Arc::clone(&tables[2])) });
    assert!(tokio::time::timeout(Duration::from_millis(30), stream.next()).await.is_err());
    drop(stream);
    assert_eq!(sum(&source, "A").await, (300, 300));
}

#[tokio::test]
async fn a_transaction_that_is_lost_is_not_begun_again() {
    let cut = |_: &str| FaultKind::Cut { after_packets: 0 };
    let rolled_back = |_: &str| FaultKind::Error { after_rows: 3, error: SqlError::new(3966, "Rolled back.") };
    let faults: [&dyn Fn(&str) -> FaultKind; 2] = [&cut, &rolled_back];
    for fault in faults {
        let server = server(|o| o.snapshot_isolation = 1);
        let source = connect(&server, Wish::SingleTransaction).await;
        assert_eq!(sum(&source, "A").await, (300, 300));
        let b = table(&source, "B").await;
        server.fault(Fault::once("[B]", fault("")));
        let error = source.read(ReadRequest::all(Arc::clone(&b))).try_collect::<Vec<_>>().await.unwrap_err();
        // Not worth another try: that would read another state.
        assert_eq!(error.kind(), ErrorKind::Failed);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            error.to_string().contains("was lost while reading B") && cause.contains("reading B"),
            "{error}: {cause}"
        );
        assert!(error.help().unwrap_or_default().contains("--undo"));
        for _ in 0..2 {
            assert!(source.count(&b).await.unwrap_err().to_string().contains("was lost"));
        }
        assert_eq!(server.statements().iter().filter(|s| *s == "BEGIN TRANSACTION").count(), 1);
    }
}

/// What nobody waited for is stepped over by whoever comes next, and is no row of a table.
#[tokio::test]
async fn an_answer_that_was_left_is_not_taken_for_rows() {
    let server = server(|o| o.snapshot_isolation = 1);
    let source = connect(&server, Wish::SingleTransaction).await;
    let (a, plain) = (table(&source, "A").await, table(&source, "Plain").await);
    let slow = FaultKind::Delay(Duration::from_millis(100));
    for _ in 0..2 {
        server.fault(Fault { statement: "AS left_behind".into(), kind: slow.clone(), times: None });
        let left = source.answer("asking", "SELECT CAST(Id AS varchar(20)) AS left_behind FROM B");
        assert!(tokio::time::timeout(Duration::from_millis(30), left).await.is_err());
        server.clear_faults();
        let rows: Vec<_> = source.read(ReadRequest::all(Arc::clone(&plain))).try_collect().await.unwrap();
        assert_eq!(rows.iter().map(|chunk| chunk.batch.num_rows()).sum::<usize>(), 300);
        assert_eq!((sum(&source, "A").await, source.count(&a).await.unwrap()), ((300, 300), 300));
    }
    assert_eq!(server.statements().iter().filter(|s| *s == "BEGIN TRANSACTION").count(), 1);
}

/// An error that the transaction outlives costs its statement only.
#[tokio::test]
async fn a_statement_that_fails_leaves_the_transaction_there() {
    let server = server(|o| (o.snapshot_isolation, o.denied_tables) = (1, vec!["Plain".into()]));
    let source = connect(&server, Wish::SingleTransaction).await;
    assert_eq!(sum(&source, "A").await, (300, 300));
    server.execute_script("UPDATE B SET N = 5").unwrap();
    assert!(source.count(&*table(&source, "Plain").await).await.is_err());
    assert!(source.answer("asking", "SELECT nothing FROM nowhere").await.is_err());
    assert_eq!(sum(&source, "B").await, (300, 300));
}

#[tokio::test]
async fn the_count_of_changes_moves_with_rowversions_only() {
    let server = server(|_| {});
    type Case = (&'static str, Changes);
    let cases: [Case; 5] = [
        ("", Changes::None),
        ("UPDATE Plain SET N = 3; INSERT INTO Plain (Id) VALUES (1000); DELETE A WHERE Id = 1", Changes::None),
        ("UPDATE A SET N = 3 WHERE Id = -1", Changes::None),
        ("UPDATE A SET N = N WHERE Id = 7", Changes::Some),
        ("INSERT INTO B (Id) VALUES (1001)", Changes::Some),
    ];
    for (script, expected) in cases {
        let source = connect(&server, Wish::Frozen).await;
        let (level, reading) = source.reading().await.unwrap();
        server.execute_script(script).unwrap();
        let reading = reading.until(source.mark().await);
        assert_eq!(reading.changes(), expected, "{script}");
        assert_eq!(reading.is_disturbed(level), expected == Changes::Some);
    }
    let open = self::server(|o| o.open_change = true);
    let source = connect(&open, Wish::Auto).await;
    let (_, reading) = source.reading().await.unwrap();
    assert!(matches!(reading.before, Some(Mark { open: true, counter }) if counter > 2_000), "{reading:?}");
    assert_eq!(reading.until(source.mark().await).changes(), Changes::Open);
}
