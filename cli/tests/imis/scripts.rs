//! T-SQL scripts as a location: the database that a server makes of them, without the server.

use imis_fixtures::backend::shared_folder;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use serde_json::Value;

use crate::clean::{PASSWORD, scripted};
use crate::harness::{Desk, Target, migrated};

const COUNTRY: &str = "5b0f5a0e-6a52-4d2f-9a0e-0d7c0a3f5b11";

/// What of an account two sources of the same rows must agree about.
fn essence(account: &Value) -> (Value, Value, Value) {
    let of = |rule: &Value| {
        let counts = ["rule", "from", "to", "read", "loaded", "rejected", "filtered", "kept", "repaired"];
        counts.iter().map(|name| rule[*name].clone()).collect::<Vec<_>>()
    };
    let rules: Vec<_> = account["rules"].as_array().unwrap().iter().map(of).collect();
    (rules.into_iter().flatten().collect(), account["tables"].clone(), account["rejected"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_the_server_that_ran_them() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let make = ["generate", "-o", "scripts", "--format", "scripts", "--families", "40", "--defects", "I1=2,C1=2"];
    desk.imis(&make).done();
    let server = scripted(desk.path().join("scripts")).await;
    let address = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    desk.imis(&["--strict", "snapshot", "scripts", "-o", "frozen"]).done();

    // One catalogue.
    for other in [address.as_str(), "frozen"] {
        for (a, b) in [("scripts", other), (other, "scripts")] {
            let found = desk.imis(&["diff", a, b, "--exit-code", "--json"]).done().json();
            assert_eq!(found["differs"], false, "{found}");
        }
    }
    // The same rows.
    for other in [address.as_str(), "frozen"] {
        desk.imis(&["verify", "--from", "scripts", "--to", other, "--same-shape"]).done();
    }
    // The same migration.
    let mut accounts = Vec::new();
    for (at, from) in ["scripts", &address].into_iter().enumerate() {
        let database = migrated(Target::Wide, &format!("of_scripts_{at}")).await.unwrap();
        let to = Cluster::shared().url(&database);
        let ends = ["--from", from, "--to", &to, "--country", COUNTRY];
        let account = desk.imis(&[&["migrate", "--json", "--on-reject", "continue"], &ends[..]].concat());
        accounts.push(essence(&account.json()));
        desk.imis(&[&["verify"], &ends[..]].concat()).done();
    }
    assert_eq!(accounts[0], accounts[1]);
}

#[test]
fn every_type_of_a_script_is_what_the_server_gives() {
    let Some(shared) = shared_folder() else { return };
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    std::fs::create_dir(desk.path().join("types")).unwrap();
    std::fs::copy(shared.join("facts/every-type.sql"), desk.path().join("types/every-type.sql")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(scripted(desk.path().join("types")));
    let address = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    desk.imis(&["--strict", "verify", "--from", "types", "--to", &address, "--same-shape", "--show-values"]).done();
    desk.imis(&["diff", "types", &address, "--exit-code"]).done();
}

const OBJECTS: &str = "CREATE TYPE dbo.Code FROM nvarchar(12) NOT NULL
CREATE TYPE [dbo].[xCodes] AS TABLE ([Id] [int] NOT NULL, [Code] [nvarchar](12) NULL, PRIMARY KEY ([Id]))
CREATE TABLE dbo.a (Id int IDENTITY(1,1) CONSTRAINT PK_a PRIMARY KEY, c dbo.Code, n decimal(9,2) NULL DEFAULT 1 CHECK (n > 0), at datetime2(3) NULL)
CREATE TABLE dbo.b (Id int NOT NULL CONSTRAINT PK_b PRIMARY KEY, a_id int NULL)
ALTER TABLE dbo.b WITH NOCHECK ADD CONSTRAINT FK_b_a FOREIGN KEY (a_id) REFERENCES dbo.a (Id)
CREATE UNIQUE NONCLUSTERED INDEX ix_a ON dbo.a (c) INCLUDE (at) WHERE ([at] IS NOT NULL)
CREATE INDEX ix_b ON dbo.b (a_id DESC)
GO
CREATE VIEW dbo.v AS SELECT Id FROM dbo.a
GO
CREATE OR ALTER PROCEDURE [dbo].[p] @codes dbo.xCodes READONLY AS BEGIN SELECT * FROM @codes END
GO
CREATE FUNCTION dbo.f (@x int) RETURNS int AS BEGIN RETURN @x + 1 END
GO
";

#[tokio::test(flavor = "multi_thread")]
async fn views_routines_and_types_of_scripts_are_those_of_the_server() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    desk.write("objects.sql", OBJECTS);
    let catalog = desk.imis(&["--strict", "introspect", "objects.sql", "--format", "json"]).done().stdout;
    let catalog = imis_schemas::Catalog::parse(&catalog).unwrap();
    assert_eq!((catalog.types.items().len(), catalog.routines.items().len(), catalog.views.items().len()), (2, 2, 1));
    let server = tokio::task::spawn_blocking(move || {
        SqlServer::start(Options::new(Tables::new(catalog).unwrap(), PASSWORD)).unwrap()
    });
    let server = server.await.unwrap();
    let address = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    for (a, b) in [("objects.sql", address.as_str()), (&address, "objects.sql")] {
        let found = desk.imis(&["diff", a, b, "--exit-code", "--json"]).done().json();
        assert_eq!((&found["differs"], &found["not-compared"]), (&false.into(), &Value::Null), "{found}");
    }
    // One that differs is told.
    desk.write(
        "other.sql",
        &OBJECTS.replace("[Code] [nvarchar](12)", "[Code] [nvarchar](13)").replace("@x + 1", "@x + 2"),
    );
    let told = desk.imis(&["diff", "other.sql", &address]).done().stdout;
    assert!(told.contains("xCodes") && told.contains("@x + 2"), "{told}");
}

#[test]
fn what_is_not_understood_is_told_and_can_be_an_error() {
    let desk = Desk::new();
    desk.write("a.sql", "CREATE TABLE t (a int)\nGO\nINSERT t VALUES (1)\nEXEC uspX N'hidden'\nGO\n");
    let said = desk.imis(&["snapshot", "a.sql", "-o", "out"]).done();
    assert!(
        said.stderr.contains("1 of 3 statements") && said.stderr.contains("a.sql:4:1  EXEC uspX"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains("hidden"));
    desk.imis(&["--strict", "introspect", "a.sql"]).failed(4, "a.sql:4:1  EXEC uspX", &["hidden"]);
    let doctor = desk.imis(&["doctor", "a.sql"]).done();
    assert!(
        doctor.stdout.contains("rows inserted") && doctor.stdout.contains("a procedure is called"),
        "{}",
        doctor.stdout
    );
}

#[test]
fn what_is_no_script_ends_with_a_place() {
    let desk = Desk::new();
    desk.write("quote.sql", "CREATE TABLE t (a int)\nGO\nINSERT t VALUES (N'private\nGO\n");
    desk.imis(&["introspect", "quote.sql"]).failed(3, "quote.sql:3:19: the script ends within a text", &["private"]);
    std::fs::write(desk.path().join("binary.sql"), b"PK\x03\x04\0\0\x08\0").unwrap();
    desk.imis(&["introspect", "binary.sql"]).failed(3, "is 0x00", &[]);
    // A line without end, and nothing that ends a statement on it.
    let line = format!("CREATE TABLE t (a int) INSERT t SELECT 1{}", " + 1234567890".repeat(3_500_000));
    desk.write("line.sql", &line);
    desk.imis(&["introspect", "line.sql"]).failed(3, "line.sql:1:1: more than 32 MiB without the end", &[]);
    desk.imis(&["introspect", "nothing.sql"]).failed(2, "there is no file or folder", &[]);
    std::fs::create_dir(desk.path().join("empty")).unwrap();
    desk.imis(&["introspect", "empty"]).failed(2, "no .sql file", &[]);
}
