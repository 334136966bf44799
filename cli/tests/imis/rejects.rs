//! Rows that are rejected: very many of them, rows that no key names, and values that no error shows.

use imis_fixtures::postgres::Cluster;

use crate::harness::Ends;

/// More rejects, and repairs, than go into one answer of a server.
const VERY_MANY: &str = "
    INSERT INTO imis_migration.rejects (run, rule, table_name, row_key, column_name, reason)
        SELECT run, 'words', 'words', '[[\"Id\",\"' || n || '\"]]', 'word', repeat('no row is like another ', 125)
        FROM imis_migration.run, generate_series(1001, 73000) n;
    INSERT INTO imis_migration.repair (run, rule, table_name, row_key, column_name, name, was, became)
        SELECT run, 'words', 'words', '[[\"id\",\"' || n || '\"]]', 'word', 'mended', repeat('was it so? ', 270), NULL
        FROM imis_migration.run, generate_series(1001, 73000) n;
    UPDATE imis_migration.run SET phase = 'finished', account = NULL";

#[tokio::test(flavor = "multi_thread")]
async fn very_many_rejects() {
    let ends = Ends::new(
        "rejects_many",
        "CREATE TABLE dbo.Words (Id int NOT NULL PRIMARY KEY, Word nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.Words (Id, Word) VALUES (1, N'one'), (2, N'much too long'), (3, N'three')",
        "CREATE TABLE words (id int PRIMARY KEY, word varchar(5))",
    )
    .await;
    ends.desk.write(
        "mapping.yaml",
        "mapping: test/many\nfrom: words\nto: words\nrules:\n  words:\n    from: Words\n    to: words\n    columns: { word: { value: Word, too-long: reject } }\n",
    );
    ends.imis(&["migrate"]).failed(3, "rejected", &[]);
    ends.execute(VERY_MANY).await;
    let account = ends.imis(&["migrate", "--resume", "--json"]);
    assert_eq!((account.code, &account.json()["balances"]), (3, &true.into()), "{}", account.stderr);
    let stored = "SELECT length(account)::bigint FROM imis_migration.run";
    assert!(crate::harness::number(&ends.database, stored).await < 10_000);
    let to = Cluster::shared().url(&ends.database);
    let shown = ends.desk.imis(&["rejects", "show", &to, "--limit", "2", "--json"]).done().json();
    assert_eq!(shown["all"], 72_001);
    assert_eq!(ends.desk.imis(&["runs", &to, "--json"]).done().json()[0]["phase"], "accounted");
    let verified = ends.imis(&["verify", "--json"]).done().json();
    assert_eq!(verified["tables"][0]["explained"]["rejected"], 1, "{verified}");
    ends.desk.imis(&["migrate", "--undo", "--to", &to]).done();
}

/// Messages of families, without a key on either side: one is too long, one names no family, one stands there twice.
const MESSAGES: &str = "CREATE TABLE dbo.Families (Id int NOT NULL PRIMARY KEY);
    CREATE TABLE dbo.Messages (Family int NULL, Word nvarchar(20) NULL);\nGO
    INSERT INTO dbo.Families (Id) VALUES (1), (2), (3), (4);\nGO
    INSERT INTO dbo.Messages (Family, Word) VALUES (1, N'one'), (1, N'much too long'), (9, N'nine'), (2, N'two'), (3, N'three'),
        (4, N'four'), (4, N'four')";

const OF_FAMILIES: &str = "
mapping: test/messages
from: messages
to: messages
rules:
  families: { from: Families, to: families }
  messages:
    from: Messages
    to: messages
    columns: { word: { value: Word, too-long: reject } }
    keys: { family: { to: families.id, broken: reject } }
    uniques: [{ columns: [family], repeated: reject }]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_without_key_explains_one_row_and_no_more() {
    let ends = Ends::new(
        "rejects_nameless",
        MESSAGES,
        "CREATE TABLE families (id int PRIMARY KEY); CREATE TABLE messages (family int, word varchar(5))",
    )
    .await;
    ends.desk.write("mapping.yaml", OF_FAMILIES);
    let account = ends.imis(&["migrate", "--json"]).failed(3, "", &[]).json();
    assert_eq!((&account["balances"], &account["rejected"]), (&true.into(), &3.into()), "{account}");
    let messages = |verified: &serde_json::Value| {
        let all = verified["tables"].as_array().unwrap();
        let table = all.iter().find(|t| t["table"] == "messages").unwrap();
        ["missing", "doubled", "unreadable", "extra", "changed"].map(|kind| table[kind].as_u64().unwrap())
    };
    let verified = ends.imis(&["verify", "--json"]).done().json();
    assert_eq!(messages(&verified), [0; 5], "{verified}");
    // As many rows are gone as before, and one more; then all of them.
    ends.execute("CREATE TABLE public.kept AS TABLE messages; DELETE FROM messages WHERE family = 2").await;
    let verified = ends.imis(&["verify", "--json"]).failed(3, "", &[]).json();
    assert_eq!(messages(&verified), [1, 0, 0, 0, 0], "{verified}");
    ends.execute("DELETE FROM messages").await;
    let verified = ends.imis(&["verify", "--json"]).failed(3, "", &[]).json();
    assert_eq!(messages(&verified).iter().sum::<u64>(), 4, "{verified}");
    // A row that was changed is told as such, whatever was rejected.
    ends.execute("INSERT INTO messages SELECT * FROM kept; UPDATE messages SET word = 'other' WHERE family = 3").await;
    let verified = ends.imis(&["verify", "--json"]).failed(3, "", &[]).json();
    assert_eq!(messages(&verified), [0, 0, 0, 0, 1], "{verified}");

    // What a run rejected explains nothing of the rows that a later run brought into the same table.
    ends.execute("TRUNCATE messages, families").await;
    ends.server.execute_script("DELETE FROM dbo.Messages WHERE Family = 9 OR Word = N'much too long'").unwrap();
    ends.server.execute_script("DELETE FROM dbo.Messages WHERE Family = 4").unwrap();
    ends.imis(&["migrate"]).done();
    ends.imis(&["verify"]).done();
    ends.execute("DELETE FROM messages WHERE family = 2").await;
    let verified = ends.imis(&["verify", "--json"]).failed(3, "", &[]).json();
    assert_eq!(messages(&verified), [1, 0, 0, 0, 0], "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_shows_no_value() {
    const VALUE: &str = "x07070";
    let ends = Ends::new(
        "rejects_values",
        &format!(
            "CREATE TABLE dbo.Words (Id int NOT NULL PRIMARY KEY, Word nvarchar(20) NULL);\nGO\n\
             INSERT INTO dbo.Words (Id, Word) VALUES (1, N'17'), (2, N'{VALUE}')"
        ),
        "CREATE TABLE words (id int PRIMARY KEY, word varchar(20)); CREATE TABLE numbers (id int PRIMARY KEY)",
    )
    .await;
    let query = "leave-tables: { Words: none }\nrules:\n  numbers:\n    \
                 from: { query: 'select cast(w.\"word\" as int) as \"id\" from source.\"words\" w' }\n    to: numbers";
    let tell = "rules:\n  words:\n    from: Words\n    to: words\n    tell:\n      \
                query: select cast(\"word\" as int) as \"id\" from target.\"words\"\n      text: \"{count} numbers\"";
    let write = |rest: &str| {
        ends.desk.write("mapping.yaml", &format!("mapping: test/values\nfrom: words\nto: words\n{rest}\n"));
    };
    for rest in [query, tell] {
        write(rest);
        ends.imis(&["migrate"]).failed(3, "a value cannot be converted", &[VALUE]);
        ends.desk.imis(&["migrate", "--undo", "--to", &Cluster::shared().url(&ends.database)]).done();
    }
    // What is wrong with the query itself is told.
    write(&query.replace("w.\"word\"", "w.\"wrod\""));
    ends.imis(&["migrate"]).failed(4, "wrod", &[VALUE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_row_are_taken_back_in_their_order() {
    let ends = Ends::new(
        "rejects_order",
        "CREATE TABLE dbo.Words (Id int NOT NULL PRIMARY KEY, Word nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.Words (Id, Word) VALUES (1, N'one'), (2, N'two')",
        "CREATE TABLE words (id int PRIMARY KEY, word varchar(20)); INSERT INTO words VALUES (1, 'first'), (2, 'first')",
    )
    .await;
    // The third and the eleventh of twelve rules change row 1, and the others row 2.
    let rules: String = (0..12)
        .map(|n| {
            let row = if [2, 10].contains(&n) { 1 } else { 2 };
            format!(
                "  rule-{n}: {{ from: Words, to: words, columns: {{ id: Id, word: \"'{n}'\" }}, where: {{ keep: \"Id = {row}\", name: one }}, existing: {{ update: [id] }} }}\n"
            )
        })
        .collect();
    ends.desk.write("mapping.yaml", &format!("mapping: test/order\nfrom: words\nto: words\nrules:\n{rules}"));
    ends.imis(&["migrate"]).done();
    let as_before = "SELECT count(*) FROM words WHERE word = 'first'";
    assert_eq!(crate::harness::number(&ends.database, as_before).await, 0);
    ends.desk.imis(&["migrate", "--undo", "--to", &Cluster::shared().url(&ends.database)]).done();
    assert_eq!(crate::harness::number(&ends.database, as_before).await, 2);
}
