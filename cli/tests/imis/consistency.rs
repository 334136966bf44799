//! What a reader may rely on while somebody works on the source: a writer changes rows in the middle of a run, on each level.

use std::time::{Duration, Instant};

use imis_databases::{Consistency, Location, ReadRequest, Wish};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Fault, FaultKind, Options, SqlServer, Tables};
use imis_schemas::{Catalog, Engine};
use serde_json::Value;

use crate::harness::{Desk, Said, number};

const PASSWORD: &str = "Loopback!1";

const MAPPING: &str = "
mapping: test/consistency
from: rows
to: rows
rules:
  a: { from: A, to: a, leave: { V: 'it has no meaning elsewhere' } }
  b: { from: B, to: b, leave: { V: 'it has no meaning elsewhere' } }
  sums:
    from:
      query: |
        select a.Id as id, a.N + b.N as n from source.A a join source.B b on a.Id = b.Id
        join (select Id, max(N) as n from source.B group by Id) c on c.Id = a.Id
    to: sums
  thrice:
    from:
      query: |
        select x.Id as id, z.N as n from source.B x join source.A y on x.Id = y.Id join source.A z on z.Id = y.Id
    to: thrice
";

const TARGET: &str = "
    CREATE TABLE a (id int PRIMARY KEY, n int, t varchar(200));
    CREATE TABLE b (id int PRIMARY KEY, n int, t varchar(200));
    CREATE TABLE sums (id int PRIMARY KEY, n int);
    CREATE TABLE thrice (id int PRIMARY KEY, n int);";

/// A source of two tables of 600 rows, all with 1, and an empty target.
struct Case {
    desk: Desk,
    server: SqlServer,
    from: String,
    database: String,
}

impl Case {
    async fn new(name: &str, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD);
        change(&mut options);
        let server = SqlServer::start(options).unwrap();
        let mut script = String::new();
        for table in ["A", "B"] {
            script +=
                &format!("CREATE TABLE {table} (Id int NOT NULL PRIMARY KEY, N int, T varchar(200), V rowversion)\n");
            for ids in (0..600).collect::<Vec<_>>().chunks(100) {
                let rows = ids.iter().map(|id| format!("({id}, 1, '{}')", "x".repeat(150))).collect::<Vec<_>>();
                script += &format!("INSERT INTO {table} (Id, N, T) VALUES {}\n", rows.join(", "));
            }
        }
        server.execute_script(&script).unwrap();
        let database = format!("consistency_{name}");
        Cluster::shared().create_database(&database).await.unwrap();
        Cluster::shared().connect(&database).await.unwrap().batch_execute(TARGET).await.unwrap();
        let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
        desk.write("rows.yaml", MAPPING);
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
        Case { desk, server, from, database }
    }

    fn imis(&self, command: &str, more: &[&str]) -> Said {
        let to = Cluster::shared().url(&self.database);
        let mut all = vec![command, "--from", &self.from, "--to", &to, "--mapping", "rows.yaml"];
        if command == "migrate" {
            all.push("--allow-connected");
        }
        self.desk.imis(&[&all, more].concat())
    }

    /// Runs the command, and the script once the rows of A are being read and before those of B are.
    fn while_reading(&self, script: &str, command: &str, more: &[&str]) -> Said {
        let delay = FaultKind::Delay(Duration::from_millis(150));
        self.server.fault(Fault { statement: "[T] FROM [dbo].[A]".into(), kind: delay, times: None });
        self.server.forget_statements();
        let said = std::thread::scope(|scope| {
            let running = scope.spawn(|| self.imis(command, more));
            let begun = Instant::now();
            while !self.server.statements().iter().any(|s| s.contains("[T] FROM [dbo].[A]")) {
                assert!(begun.elapsed() < Duration::from_secs(60) && !running.is_finished(), "A is not read");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(!self.server.statements().iter().any(|s| s.contains("[T] FROM [dbo].[B]")), "B is read already");
            self.server.execute_script(script).unwrap();
            running.join().unwrap()
        });
        self.server.clear_faults();
        said
    }

    async fn target(&self) -> [i64; 6] {
        let mut found = [0; 6];
        let asked = [
            "count(*) FROM a",
            "sum(n) FROM a",
            "count(*) FROM b",
            "sum(n) FROM b",
            "sum(n) FROM sums",
            "sum(n) FROM thrice",
        ];
        for (place, sql) in found.iter_mut().zip(asked) {
            *place = number(&self.database, &format!("SELECT {sql}")).await;
        }
        found
    }
}

/// What somebody at work does: one table while it is read, the other before.
const WORK: &str = "UPDATE B SET N = 2; INSERT INTO A (Id, N, T) VALUES (1000, 1, 'new'); DELETE B WHERE Id = 599";
/// The state in which all began: rows and sums of A and B, and sums of the queries over both.
const BEFORE: [i64; 6] = [600, 600, 600, 600, 1200, 600];

#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_brings_the_state_in_which_it_began() {
    let case = Case::new("single", |o| o.snapshot_isolation = 1).await;
    let said = case.while_reading(WORK, "migrate", &["--jobs", "1", "--json", "--report", "report"]).done();
    assert!(said.stderr.contains("single transaction (the database takes writes and allows"), "{}", said.stderr);
    assert_eq!(case.target().await, BEFORE);
    let account = said.json();
    assert_eq!((&account["consistency"], &account["balances"]), (&"single-transaction".into(), &true.into()));
    let (before, after) = (&account["reading"]["before"]["counter"], &account["reading"]["after"]["counter"]);
    assert!(before.as_str() < after.as_str() && before.is_string(), "{account}");
    let page = std::fs::read_to_string(case.desk.path().join("report/index.html")).unwrap();
    assert!(page.contains("the state of one moment, at the beginning") && page.contains("one transaction"), "{page}");

    // Verification sees the state that is there now: what was changed since, and nothing else.
    let found = case.imis("verify", &["--json"]);
    assert_eq!((found.code, &found.json()["from_consistency"]), (3, &"single-transaction".into()), "{}", found.stderr);
    assert_eq!(found.json()["to_consistency"], "single-transaction");
    let plan = case.imis("plan", &["--json", "--consistency", "auto"]);
    assert_eq!(plan.json()["plan"]["consistency"], "single-transaction", "{}", plan.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzy_source_is_told_as_one() {
    let case = Case::new("fuzzy", |_| {}).await;
    let said = case.while_reading(WORK, "migrate", &["--jobs", "1"]);
    let said = said.failed(3, "the source is fuzzy: rows came or went", &[PASSWORD]);
    assert!(
        said.stdout.contains("rows were inserted or updated while the source")
            && said.stdout.contains("fuzzy: the source goes on"),
        "{}",
        said.stdout
    );
    // Rows of two moments.
    let mixed = case.target().await;
    assert_eq!(mixed[..4], [600, 600, 599, 1198], "{mixed:?}");
    let found = case.imis("verify", &["--json"]);
    let missing = |table: &str| {
        let tables = found.json()["tables"].as_array().unwrap().clone();
        tables.iter().find(|t| t["table"] == table).unwrap()["missing"].clone()
    };
    assert_eq!((found.code, missing("a")), (3, Value::from(1)), "{}", found.stderr);
    // Where the database would allow better, the word of the user counts.
    let case = Case::new("fuzzy_by_wish", |o| o.snapshot_isolation = 1).await;
    let account = case.imis("migrate", &["--consistency", "fuzzy", "--json"]).done().json();
    assert_eq!(account["consistency"], "fuzzy");
    assert_eq!(account["reading"]["before"], account["reading"]["after"]);
    assert_eq!(case.target().await, BEFORE);
    case.imis("verify", &[]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_declared_frozen_is_held_against_its_count_of_changes() {
    let case = Case::new("frozen", |_| {}).await;
    let quiet = case.imis("plan", &["--consistency", "frozen", "-o", "plan.json"]).done();
    assert!(quiet.stdout.contains("the user says that nobody works on it"), "{}", quiet.stdout);
    let said =
        case.while_reading("UPDATE B SET N = 2 WHERE Id = 7", "migrate", &["--jobs", "1", "--consistency", "frozen"]);
    let said = said.failed(3, "somebody wrote to the source mssql://127.0.0.1", &[PASSWORD]);
    assert!(said.stdout.contains("but the source did not stand still"), "{}", said.stdout);
    assert!(said.stderr.contains("WARNING: Somebody wrote to the source"), "{}", said.stderr);
    let url = Cluster::shared().url(&case.database);
    case.desk.imis(&["migrate", "--undo", "--to", &url]).done();

    // A plan that was made before somebody wrote is refused before anything is loaded.
    case.imis("migrate", &["--plan", "plan.json"]).failed(3, "somebody wrote to", &[PASSWORD]);
    case.imis("migrate", &["--plan", "plan.json", "--consistency", "fuzzy"]).failed(
        2,
        "made with --consistency frozen",
        &[],
    );
    let account = case.imis("migrate", &["--consistency", "frozen", "--json"]).done().json();
    assert_eq!((&account["disturbed"], &account["reading"]["declared"]), (&false.into(), &true.into()), "{account}");

    // Verification and snapshot, too; imis.yaml and the environment declare as the option does.
    let verified = case.imis("verify", &["--consistency", "frozen", "--json"]).done().json();
    assert_eq!(
        (&verified["from_consistency"], &verified["to_consistency"]),
        (&"frozen".into(), &"single-transaction".into())
    );
    let said =
        case.while_reading("UPDATE A SET N = N WHERE Id = 3", "verify", &["--jobs", "1", "--consistency", "frozen"]);
    let said = said.failed(3, "somebody wrote to the source", &[PASSWORD]);
    assert!(said.stdout.contains("What was compared did not stand still"), "{}", said.stdout);
    let yaml = format!("databases:\n  legacy: {{ location: \"{}\", consistency: frozen }}\n", case.from);
    case.desk.write("imis.yaml", &yaml);
    for (name, more, level) in [("legacy", vec![], "frozen"), ("legacy", vec!["--consistency", "auto"], "fuzzy")] {
        let folder = format!("taken_{level}");
        case.desk.imis(&[&["snapshot", name, "-o", &folder][..], &more].concat()).done();
        let manifest = std::fs::read_to_string(case.desk.path().join(folder).join("manifest.json")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&manifest).unwrap()["consistency"], level, "{manifest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_one_transaction_is_gone_on_with_only_where_nothing_changed() {
    let url = |case: &Case| Cluster::shared().url(&case.database);
    let begin = async |name: &str| {
        let case = Case::new(name, |o| o.snapshot_isolation = 1).await;
        case.server.fault(Fault::once("[T] FROM [dbo].[B]", FaultKind::Cut { after_packets: 1 }));
        let said = case.imis("migrate", &["--consistency", "single-transaction", "--jobs", "1"]);
        let said =
            said.failed(1, "the one transaction in which the source is read was lost while reading B", &[PASSWORD]);
        assert!(said.stderr.contains("broke off while reading B") && said.stderr.contains("--undo"), "{}", said.stderr);
        case
    };
    let case = begin("still").await;
    let account = case.imis("migrate", &["--resume", "--json"]).done().json();
    assert_eq!(case.target().await, BEFORE);
    assert!(account["notes"].to_string().contains("in a second transaction"), "{account}");

    for (name, script, says) in [
        ("moved", "UPDATE A SET N = 3 WHERE Id = 1", "@@DBTS has moved"),
        ("shrunk", "DELETE A WHERE Id = 1", "A had 600 rows then and has 599 now"),
    ] {
        let case = begin(name).await;
        case.server.execute_script(script).unwrap();
        let said = case.imis("migrate", &["--resume"]).failed(3, says, &[PASSWORD]);
        assert!(said.stderr.contains("--undo"), "{}", said.stderr);
        case.desk.imis(&["migrate", "--undo", "--to", &url(&case)]).done();
        case.imis("migrate", &[]).done();
    }
}

/// Four ranges and queries over the same tables at once, over one connection, with a server that takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_one_transaction_get_on() {
    let case = Case::new("readers", |o| o.snapshot_isolation = 1).await;
    let delay = FaultKind::Delay(Duration::from_millis(20));
    case.server.fault(Fault { statement: "FROM [dbo]".into(), kind: delay, times: None });
    let begun = Instant::now();
    case.imis("migrate", &["--jobs", "4", "--consistency", "single-transaction"]).done();
    case.imis("verify", &["--jobs", "4", "--consistency", "single-transaction"]).done();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(case.target().await, BEFORE);
    let statements = case.server.statements();
    assert_eq!(statements.iter().filter(|s| *s == "BEGIN TRANSACTION").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_says_how_it_would_be() {
    let case = Case::new("refused", |_| {}).await;
    let allow = "ALTER DATABASE [IMIS] SET ALLOW_SNAPSHOT_ISOLATION ON";
    for command in ["plan", "migrate", "verify"] {
        case.imis(command, &["--consistency", "single-transaction"]).failed(5, allow, &[PASSWORD]);
    }
    let said = case.desk.imis(&["doctor", &case.from]).done();
    for words in
        ["fuzzy: the database takes writes", allow, "SET READ_ONLY WITH ROLLBACK IMMEDIATE", "AS SNAPSHOT OF", "@@DBTS"]
    {
        assert!(said.stdout.replace('\n', " ").contains(words), "{words}:\n{}", said.stdout);
    }
}

/// All connections to a PostgreSQL see one moment, at full speed; an error costs its statement only.
#[tokio::test(flavor = "multi_thread")]
async fn all_connections_to_a_postgresql_see_one_moment() {
    let cluster = Cluster::shared();
    cluster.create_database("consistency_postgres").await.unwrap();
    let client = cluster.connect("consistency_postgres").await.unwrap();
    client.batch_execute("CREATE TABLE a (n int); CREATE TABLE b (n int)").await.unwrap();
    let location: Location = cluster.url("consistency_postgres").parse().unwrap();
    for (wish, level, rows) in
        [(Wish::Auto, Consistency::SingleTransaction, 5000), (Wish::Fuzzy, Consistency::Fuzzy, 0)]
    {
        let fill = "INSERT INTO a SELECT n FROM generate_series(1, 5000) n; INSERT INTO b TABLE a";
        client.batch_execute(fill).await.unwrap();
        let source = imis_databases::open_as(&location, wish).await.unwrap();
        assert_eq!(source.consistency().await.unwrap(), level);
        let catalog = source.catalog().await.unwrap();
        client.batch_execute("BEGIN; DELETE FROM a; DELETE FROM b; COMMIT").await.unwrap();
        assert!(source.answer("failing", "SELECT 1/0").await.is_err());
        let read = ["a", "b", "a"].map(|name| {
            let table = std::sync::Arc::new(catalog.table(name).unwrap().clone());
            let source = std::sync::Arc::clone(&source);
            async move {
                let chunks: Vec<_> =
                    futures::TryStreamExt::try_collect(source.read(ReadRequest::all(table.clone()))).await.unwrap();
                let read: usize = chunks.iter().map(|c: &imis_databases::Chunk| c.batch.num_rows()).sum();
                (read, source.count(&table).await.unwrap())
            }
        });
        assert_eq!(futures::future::join_all(read).await, [(rows, rows as u64); 3], "{wish:?}");
    }
}
