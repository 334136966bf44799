//! The live oracle: one country with every trap goes both routes, through the real migrations, and the two databases must be
//! equal, cell by cell, in every table. docs/two-routes.md tells the reader what this test holds true.

use imis_databases::postgres::baseline::Shape;
use imis_fixtures::backend::Backend;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::SqlServer;
use imis_fixtures::traps;
use serde_json::Value;

use crate::harness::{Desk, Target, assert_same, dump, migrated};
use crate::oracle;

const PASSWORD: &str = "loopback-7Kq";
const COUNTRY: &str = "6f1d8c44-53d4-4f0c-9d5e-0d5b6f3f2a11";
const FIRST: &str = "openimis/legacy-to-baseline";

/// What may differ, and why: table, column (`*` for all), reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("django_migrations", "applied", "the moment at which a migration ran"),
    (
        "claim_ClaimAttachment_ClaimAttachmentType",
        "ValidityFrom",
        "the moment at which migration claim.0028 made its two rows",
    ),
];

/// A country that goes both routes.
struct Case {
    shape: Shape,
    target: Target,
    /// What is planted beside the traps.
    script: &'static str,
    /// The exit code of a migration: rows that are rejected are a finding.
    code: i32,
}

struct Routes {
    desk: Desk,
    server: SqlServer,
    case: Case,
}

impl Routes {
    async fn new(case: Case) -> Self {
        let server = traps::country(PASSWORD, case.script).await.unwrap();
        Routes { desk: Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD), server, case }
    }

    fn from(&self) -> String {
        format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", self.server.port())
    }

    #[track_caller]
    fn migrate(&self, database: &str, more: &[&str], code: i32) -> Value {
        let (from, to) = (self.from(), Cluster::shared().url(database));
        let mut all = vec!["migrate", "--from", &from, "--to", &to, "--country", COUNTRY, "--json"];
        all.extend(["--on-reject", "continue"]);
        all.extend(more);
        let said = self.desk.imis(&all);
        assert_eq!(said.code, code, "{}\n{}", said.stdout, said.stderr);
        let account = said.json();
        assert_eq!(account["balances"], true, "{}\n{}", said.stdout, said.stderr);
        account
    }

    /// Straight into a migrated database.
    async fn direct(&self) -> String {
        let database = migrated(self.case.target, "direct").await.unwrap();
        self.migrate(&database, &[], self.case.code);
        database
    }

    /// Into prepared tables, then the migrations, then the completion.
    async fn through_the_migrations(&self) -> (String, Value) {
        let cluster = Cluster::shared();
        let database = format!("through_{:?}", self.case.target).to_lowercase();
        cluster.create_database(&database).await.unwrap();
        let url = cluster.url(&database);
        self.desk.imis(&["prepare", &url, "--shape", &self.case.shape.to_string()]).done();
        self.migrate(&database, &["--mapping", FIRST], self.case.code);
        Backend::shared().await.migrate(&url).await.unwrap();
        let whole = self.migrate(&database, &["--complete"], self.case.code);
        (database, whole)
    }

    async fn must_end_equal(&self) -> (String, String) {
        let direct = self.direct().await;
        let (through, _) = self.through_the_migrations().await;
        let found = differences(&direct, &through).await;
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
        assert_same(&generators(&through).await, &generators(&direct).await, "the key generators");
        assert_same(&dump(&through, &["--schema-only"]), &dump(&direct, &["--schema-only"]), "the schema");
        (direct, through)
    }
}

/// Every cell that differs between two databases, in every table of either, but for what may.
async fn differences(direct: &str, through: &str) -> Vec<String> {
    let cluster = Cluster::shared();
    let (a, b) = (cluster.connect(direct).await.unwrap(), cluster.connect(through).await.unwrap());
    for client in [&a, &b] {
        client.batch_execute("SET application_name = 'imis'; SET TimeZone = 'UTC'").await.unwrap();
    }
    let tables =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1";
    let names = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>();
    let (of_a, of_b) = (names(a.query(tables, &[]).await.unwrap()), names(b.query(tables, &[]).await.unwrap()));
    assert_eq!(of_a, of_b, "the tables");
    assert!(of_a.len() > 150, "{} tables are not a migrated database", of_a.len());
    let mut found = Vec::new();
    for name in of_a {
        let ((ours, key, numeric), (theirs, ..)) = (oracle::table(&a, &name).await, oracle::table(&b, &name).await);
        for one in oracle::compare(&name, &ours, &theirs, &key, &numeric) {
            let may =
                |(table, column, _): &&(&str, &str, &str)| *table == name && (*column == "*" || *column == one.what);
            if DIFFERENT.iter().find(may).is_none() {
                let row = key.iter().map(|k| if one.ours.is_empty() { one.theirs(k) } else { one.ours(k) });
                let row = row.collect::<Vec<_>>().join(",");
                found.push(format!("{name} {row} {}: {} | {}", one.what, one.ours(&one.what), one.theirs(&one.what)));
            }
        }
    }
    found
}

/// Where the next row of each table would begin.
async fn generators(database: &str) -> String {
    let client = Cluster::shared().connect(database).await.unwrap();
    client.batch_execute("SET application_name = 'imis'").await.unwrap();
    let sql = "SELECT coalesce(string_agg(sequencename || ' ' || coalesce(last_value::text, '-'), E'\\n' ORDER BY sequencename), '') \
               FROM pg_sequences WHERE schemaname = 'public'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn both_routes_end_equal_in_the_shape_wide() {
    let case = Case { shape: Shape::Wide, target: Target::Wide, script: "", code: 0 };
    Routes::new(case).await.must_end_equal().await;
}

#[tokio::test]
async fn both_routes_end_equal_in_the_shape_upstream() {
    let case = Case { shape: Shape::Upstream, target: Target::Upstream, script: "", code: 0 };
    Routes::new(case).await.must_end_equal().await;
}
