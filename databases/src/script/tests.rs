//! What becomes of scripts: tables, rows, and what was not understood.

use std::path::Path;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;

use super::*;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn open(path: &Path) -> Result<ScriptSource, Error> {
    ScriptSource::open(path, &|_, _| {})
}

fn of(sql: &str) -> ScriptSource {
    open(folder(&[("a.sql", sql.as_bytes())]).path()).unwrap()
}

/// The rows of a table as texts, in the order of its columns.
fn rows(source: &ScriptSource, table: &str) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let catalog = source.catalog().await.unwrap();
        let mut chunks = source.read(ReadRequest::all(Arc::new(catalog.table(table).unwrap().clone())));
        let (mut out, options) = (Vec::new(), FormatOptions::default().with_null("-"));
        while let Some(chunk) = chunks.next().await {
            let batch = chunk.unwrap().batch;
            let columns: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
            out.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
        }
        out
    })
}

#[track_caller]
fn holds(sql: &str, table: &str, expected: &[&str]) {
    let source = of(sql);
    assert_eq!(source.report().list, [], "{sql}");
    let found: Vec<String> = rows(&source, table).iter().map(|row| row.join("|")).collect();
    assert_eq!(found, expected, "{sql}");
}

#[test]
fn rows_are_what_a_server_would_have() {
    let t =
        "CREATE TABLE t (id int IDENTITY(10,5) PRIMARY KEY, a nvarchar(10) NULL DEFAULT N'none', b decimal(9,2))\nGO\n";
    let cases: &[(&str, &[&str])] = &[
        ("INSERT t (a) VALUES (UPPER(N'x' COLLATE Latin1_General_CS_AS))", &["10|X|-"]),
        (
            "DECLARE @n int, @w nvarchar(9) SELECT @n = COUNT(*), @w = MAX(a) FROM t IF @n = 0 INSERT t (a, b) VALUES (ISNULL(@w, 'first'), @n)",
            &["10|first|0.00"],
        ),
        (
            "GRANT SELECT, INSERT ON t TO somebody INSERT t (a) VALUES ('a') REVOKE ALL ON t FROM somebody DELETE t WHERE a = 'x'",
            &["10|a|-"],
        ),
        (
            "INSERT t (a) VALUES ('a') IF EXISTS (SELECT 1 FROM t) RETURN INSERT t (a) VALUES ('b')\nGO\nINSERT t (a) VALUES ('c')",
            &["10|a|-", "15|c|-"],
        ),
        (
            "INSERT t (a) SELECT 'a' UNION SELECT 'a' UNION ALL SELECT 'a' DELETE t FROM t x WHERE x.id = 10",
            &["15|a|-"],
        ),
        (
            "CREATE TABLE c (x int, y AS (x * 2)) INSERT c VALUES (2), (3) INSERT t (b) SELECT y FROM c WHERE y > 4",
            &["10|none|6.00"],
        ),
        (
            "DBCC CHECKIDENT ('t', RESEED, 100) INSERT t (a) VALUES ('a') DBCC CHECKIDENT ('dbo.t', RESEED, 200) INSERT t (a) VALUES ('b')",
            &["100|a|-", "205|b|-"],
        ),
        (
            "INSERT t (a, b) VALUES (N'x', 1.005), (N'O''Neil', -2) INSERT t (b) SELECT 7 UNION ALL SELECT 8",
            &["10|x|1.01", "15|O'Neil|-2.00", "20|none|7.00", "25|none|8.00"],
        ),
        (
            "SET IDENTITY_INSERT t ON INSERT t (id, a) VALUES (99, NULL) SET IDENTITY_INSERT t OFF INSERT t DEFAULT VALUES",
            &["99|-|-", "104|none|-"],
        ),
        (
            "INSERT INTO [dbo].[t] VALUES ('a', DEFAULT)\ninsert dbo.t values ('b', 2)\nUPDATE t SET a = a + N'!', b = ISNULL(b, 0) + 1 WHERE a <> 'b'",
            &["10|a!|1.00", "15|b|2.00"],
        ),
        ("INSERT t (a) VALUES ('a'), ('b'), ('c') DELETE FROM t WHERE a IN ('A', 'c')", &["15|b|-"]),
        ("INSERT t (a) VALUES ('a') TRUNCATE TABLE t INSERT t (a) VALUES ('b')", &["10|b|-"]),
        ("INSERT t (a) VALUES ('a')\nGO 3", &["10|a|-", "15|a|-", "20|a|-"]),
        ("DECLARE @n int = 2, @w nvarchar(5) SET @w = 'w' INSERT t (a, b) VALUES (@w, @n * 2.5)", &["10|w|5.00"]),
        (
            "INSERT t (a) VALUES ('a')\nIF NOT EXISTS (SELECT 1 FROM t WHERE a = 'A') INSERT t (a) VALUES ('twice') ELSE INSERT t (a) VALUES ('else')",
            &["10|a|-", "15|else|-"],
        ),
        (
            "INSERT t (a, b) VALUES ('a', 1), ('b', 2)\nUPDATE t SET a = N'z' WHERE b = (SELECT MAX(b) FROM t)",
            &["10|a|1.00", "15|z|2.00"],
        ),
        (
            "INSERT t (a, b) VALUES ('a', 1), ('b', 2)\nUPDATE x SET b = y.n FROM t x INNER JOIN (VALUES ('b', 20)) AS y(k, n) ON x.a = y.k",
            &["10|a|1.00", "15|b|20.00"],
        ),
        (
            "DECLARE @r TABLE (k nvarchar(5)) INSERT INTO @r VALUES ('p'), ('q') INSERT t (a) SELECT k FROM @r ORDER BY k DESC",
            &["10|q|-", "15|p|-"],
        ),
        (
            "EXEC ('INSERT t (a) VALUES (N''deep'')') EXEC sp_executesql N'INSERT t (a) VALUES (N''deeper'')'",
            &["10|deep|-", "15|deeper|-"],
        ),
        (
            "INSERT t (a) VALUES ('a') EXEC sp_rename 't.b', 'c', 'COLUMN' ALTER TABLE t ADD d bit NOT NULL DEFAULT 1, e date NULL UPDATE t SET c = 3",
            &["10|a|3.00|true|-"],
        ),
        (
            "INSERT t (a, b) VALUES ('a', 1) ALTER TABLE t DROP COLUMN b ALTER TABLE t ALTER COLUMN a varchar(max) NULL INSERT t (a) VALUES ('a longer text')",
            &["10|a", "15|a longer text"],
        ),
        (
            "BEGIN TRY BEGIN TRAN ALTER TABLE t DROP COLUMN b ALTER TABLE nothing ADD x int COMMIT END TRY BEGIN CATCH PRINT 'no' END CATCH",
            &[],
        ),
    ];
    for (sql, expected) in &cases[..cases.len() - 1] {
        holds(&format!("{t}{sql}"), "t", expected);
    }
    // What a TRY did before it failed stays, unless its CATCH rolls back.
    for (end, columns) in [("PRINT 'no'", 2), ("ROLLBACK", 3)] {
        let sql = cases[cases.len() - 1].0.replace("PRINT 'no'", end);
        let source = of(&format!("{t}{sql}"));
        assert_eq!((source.report().unread, source.catalog.table("t").unwrap().columns.len()), (1, columns), "{end}");
    }
}

#[test]
fn what_a_server_refuses_is_refused_as_a_whole() {
    let t = "CREATE TABLE p (id int PRIMARY KEY)\nCREATE TABLE t (id int IDENTITY PRIMARY KEY, a int NOT NULL DEFAULT 1, p int REFERENCES p (id))\nINSERT p VALUES (1)\nINSERT t (p) VALUES (1)\nGO\n";
    for (sql, why) in [
        ("UPDATE t SET a = NULL", "NULL into a column"),
        ("UPDATE t SET id = 5", "cannot be set"),
        ("ALTER TABLE t ADD b int NOT NULL", "would have NULL in b"),
        ("ALTER TABLE t DROP COLUMN p", "a foreign key of t needs the column p"),
        ("ALTER TABLE t ADD b int NULL, p int NULL", "has the column p already"),
        ("TRUNCATE TABLE p", "a foreign key refers to p"),
        ("DROP TABLE p", "a foreign key refers to p"),
        ("EXEC sp_rename 'p', 't'", "t is there already"),
        ("INSERT p VALUES (2), (frobnicate(3))", "the function frobnicate"),
        ("DELETE p WHERE id NOT IN (SELECT 'x')", "cannot be compared"),
        ("INSERT p SELECT id FROM p ORDER BY id OFFSET 1 ROWS", "OFFSET"),
        ("SET ROWCOUNT 1", "would stop after some rows"),
        ("ROLLBACK", "takes back"),
        ("EXEC sp_executesql N'INSERT p VALUES (@x)', N'@x int', 5", "with parameters"),
        ("EXEC ('INSERT p VALUES (7)') AT other", "elsewhere"),
        ("EXEC sp_MSforeachtable 'DELETE FROM ?'", "a procedure is called"),
        ("DELETE p OUTPUT deleted.id INTO t (a)", ""),
        ("IF EXISTS (SELECT a FROM t GROUP BY a HAVING COUNT(*) > 1) DELETE FROM p", "GROUP BY"),
    ] {
        let source = of(&format!("{t}{sql}"));
        let told = &source.report().list;
        assert!(told.len() == 1 && told[0].why.contains(why), "{sql}: {told:?}");
        assert_eq!(
            (rows(&source, "p"), rows(&source, "t")),
            (vec![vec!["1".to_owned()]], vec![vec!["1".to_owned(), "1".to_owned(), "1".to_owned()]]),
            "{sql}"
        );
        assert_eq!(source.catalog.table("t").unwrap().columns.len(), 3, "{sql}");
    }
}

#[test]
fn a_try_that_fails_is_over_wherever_it_fails() {
    let sql = "CREATE TABLE t (a int)\nGO\nBEGIN TRY\n IF 1 = 1 BEGIN ALTER TABLE t ADD b int NULL ALTER TABLE nothing ADD x int END\n INSERT t (a) VALUES (1)\nEND TRY\nBEGIN CATCH ROLLBACK END CATCH\nGO\nALTER TABLE t ADD c int NULL\nINSERT t VALUES (2, 3)";
    let source = of(sql);
    assert_eq!(rows(&source, "t"), [["2", "3"]]);
    assert!(
        source.report().list[0].why.ends_with("its TRY was rolled back, as a server does it"),
        "{:?}",
        source.report().list
    );
    // Rows are not taken back, and that is said.
    let source = of(
        "CREATE TABLE t (a int)\nGO\nBEGIN TRY INSERT t VALUES (1) DROP TABLE nothing END TRY BEGIN CATCH ROLLBACK END CATCH",
    );
    assert!(source.report().list[0].why.ends_with("what it did to rows was not"), "{:?}", source.report().list);
}

#[test]
fn long_chains_are_no_trouble() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let chain = format!(
        "CREATE TABLE t (a int)\nGO\nINSERT t SELECT 0{}\nGO\nINSERT t VALUES (0{})",
        " UNION ALL SELECT 1".repeat(20_000),
        " + 1".repeat(10_000)
    );
    let nested = format!(
        "CREATE TABLE u (a int)\nGO\nINSERT u VALUES ({}1{})\nGO\n{}{}",
        "ISNULL(".repeat(5_000),
        ", 2)".repeat(5_000),
        "BEGIN TRY SELECT 1 END TRY BEGIN CATCH ".repeat(40),
        "END CATCH ".repeat(40)
    );
    let folder = folder(&[("a.sql", chain.as_bytes()), ("b.sql", nested.as_bytes())]);
    let source = runtime.block_on(crate::open::scripts(folder.path(), Arc::new(|_, _| {}))).unwrap();
    let count = |name: &str| {
        let catalog = runtime.block_on(source.catalog()).unwrap();
        runtime.block_on(source.count(catalog.table(name).unwrap())).unwrap()
    };
    assert!(count("t") >= 20_001 && count("u") <= 1, "{} {:?}", count("t"), source.scripts().unwrap().list);
}

#[test]
fn what_a_server_makes_up_is_the_same_whenever_it_is_read() {
    let sql = "CREATE TABLE t (u uniqueidentifier DEFAULT NEWID(), v uniqueidentifier, at datetime, stamp rowversion)\nGO\n\
        INSERT t (v, at) VALUES (NEWID(), GETDATE())\nGO 2\n";
    let folder = folder(&[("a.sql", sql.as_bytes())]);
    let (one, two) = (rows(&open(folder.path()).unwrap(), "t"), rows(&open(folder.path()).unwrap(), "t"));
    assert_eq!(one, two);
    let ids: HashSet<&String> = one.iter().flat_map(|row| &row[..2]).collect();
    assert_eq!(ids.len(), 4, "{one:?}");
    assert_ne!(one[0][3], one[1][3]);
}

#[test]
fn a_row_that_its_table_does_not_take_is_refused_with_the_reason_and_the_key() {
    let source = of("CREATE TABLE t (id int PRIMARY KEY, a nvarchar(2) NOT NULL, n tinyint NULL)\nGO\n\
        INSERT t VALUES (1, N'ab', 5)\nINSERT t VALUES (2, N'abc', 5)\nINSERT t VALUES (3, NULL, 5)\nINSERT t VALUES (4, N'a', 256)");
    let manifest = source.rows.manifest();
    let refused: Vec<String> = manifest.tables[0]
        .refused
        .iter()
        .map(|r| format!("{}={} {}: {}", r.key[0].0, r.key[0].1, r.column, r.reason))
        .collect();
    assert_eq!(manifest.tables[0].rows, 1);
    assert_eq!(
        refused,
        [
            "id=2 a: it is longer than the column",
            "id=3 a: it is NULL, and the column does not take that",
            "id=4 n: the number is out of range"
        ]
    );
}

#[test]
fn folders_are_read_in_order_and_scripts_may_name_scripts() {
    let folder = folder(&[
        ("10_rows.sql", b"INSERT t VALUES (1)\nGO\n:r sub\\more.sql\n:setvar n 7\nINSERT t VALUES ($(n))"),
        ("2_tables.sql", b"CREATE TABLE t (a int)"),
        (
            "sub/more.sql",
            "INSERT t VALUES (2)".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().as_slice(),
        ),
    ]);
    // In a folder every script has its turn; one that another names as well would come twice.
    let twice = open(folder.path()).unwrap_err();
    assert!(twice.to_string().contains("sub/more.sql would be read twice"), "{twice}");
    let outside = self::folder(&[(
        "all.sql",
        format!(":r {0}/2_tables.sql\n:r {0}/10_rows.sql\n:r \"{0}/sub/more.sql\"", folder.path().display()).as_bytes(),
    )]);
    let source = open(&outside.path().join("all.sql")).unwrap();
    assert_eq!(rows(&source, "t"), [["1"], ["2"], ["7"], ["2"]]);
    assert_eq!(source.report().files, 5);
    // Within a block it is no line for sqlcmd that can be kept apart, and is told.
    let within = self::folder(&[
        ("a.sql", b"CREATE TABLE t (a int)\nGO\nIF 1 = 1\nBEGIN\n:r b.txt\nEND" as &[u8]),
        ("b.txt", b"INSERT t VALUES (1)"),
    ]);
    let source = open(within.path()).unwrap();
    assert!(rows(&source, "t").is_empty() && source.report().unread > 0);
    let circle = self::folder(&[("a.sql", b":r b.sql"), ("b.sql", b":r a.sql")]);
    assert!(open(&circle.path().join("a.sql")).unwrap_err().to_string().contains("names itself"));
    let missing = self::folder(&[("a.sql", b"\n:r b.sql")]);
    assert!(open(missing.path()).unwrap_err().to_string().contains("a.sql:2:1: :r names"));
}

#[test]
fn what_is_not_understood_is_listed_with_its_place_and_without_its_texts() {
    let source = of("CREATE TABLE t (a int)\nGO\nEXEC uspSecret N'password'\nINSERT t SELECT a FROM elsewhere\n\
        IF dbo.fn(N'secret') = 1 DROP TABLE t\nMERGE t USING (SELECT 1 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a);\n\
        GRANT SELECT ON t TO somebody");
    let told: Vec<String> =
        source.report().list.iter().map(|u| format!("{}:{} {} ({})", u.file, u.place, u.words, u.why)).collect();
    let begins = [
        "a.sql:3:1 EXEC uspSecret",
        "a.sql:4:1 INSERT t SELECT a FROM elsewhere",
        "a.sql:5:1 IF dbo.fn",
        "a.sql:6:1 MERGE t USING",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin) && !told.to_lowercase().contains("password"), "{told}");
    }
    assert_eq!(source.report().nothing.get("a right"), Some(&1));
    assert_eq!(source.catalog.notes.len(), 1);
}

#[test]
fn what_is_no_whole_script_says_where() {
    let cases: [(&[u8], &str); 6] = [
        (
            b"CREATE TABLE t (a int)\nGO\nINSERT t VALUES (N'never ends)\nGO\n",
            "a.sql:3:19: the script ends within a text",
        ),
        (b"CREATE TABLE t (a int, b nvarchar(5),\n", "a.sql:1:16: the script ends within brackets"),
        (
            b"CREATE TABLE t (a int)\nINSERT INTO [dbo].[t] ([a])  VALUES",
            "a.sql:2:1: the script ends within a statement",
        ),
        (b"IF 1 = 1\nBEGIN\n  CREATE TABLE t (a int)", "a.sql:2:1: the script ends within a block"),
        (b"/* no end\nCREATE TABLE t (a int)", "a.sql:1:1: the script ends within a comment"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff", "is 0x00"),
    ];
    for (bytes, expected) in cases {
        let error = open(folder(&[("a.sql", bytes)]).path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::Data);
    }
    // What is text and no T-SQL is listed; what makes nothing is an error.
    let source = of("nothing of the kind");
    assert!(source.report().unread > 0 && source.catalog.tables.is_empty());
    let nothing = open(folder(&[("a.sql", b"-- only words\nPRINT 'x'")]).path()).unwrap_err();
    assert!(nothing.to_string().contains("no table, no view and no routine"), "{nothing}");
}

#[test]
fn many_rows_go_through_files() {
    let mut sql = String::from("CREATE TABLE t (id int PRIMARY KEY, a nvarchar(max))\nGO\n");
    let text = "x".repeat(900);
    for n in 0..60_000 {
        sql.push_str(&format!("INSERT t VALUES ({n}, N'{text}')\n"));
    }
    sql.push_str("GO\nUPDATE t SET a = N'changed' WHERE id = 59999\nDELETE FROM t WHERE id < 10\n");
    let source = of(&sql);
    assert_eq!((source.rows.manifest().tables[0].rows, source.report().unread), (59_990, 0));
    let rows = rows(&source, "t");
    assert_eq!((rows[0][0].as_str(), rows[rows.len() - 1][1].as_str()), ("10", "changed"));
}
