//! What servers refuse: each with its message and its code, and no password in any of them.

use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables, Tls, TlsLimit};

use crate::harness::{Desk, Target, migrated};

const SECRET: &str = "hunter2-and-more";

#[tokio::test]
async fn postgresql_that_refuses() {
    let desk = Desk::new().with("PGPASSWORD", SECRET);
    let port = Cluster::shared().port();
    let never = [SECRET];
    desk.imis(&["introspect", "postgres://imis@127.0.0.1:9/openimis"]).failed(5, "cannot be reached", &never);
    desk.imis(&["introspect", &format!("postgres://postgres@127.0.0.1:{port}/postgres")]).failed(
        5,
        "refused the login of `postgres`",
        &never,
    );
    let url = Cluster::shared().url("no_such_database");
    desk.imis(&["introspect", &url]).failed(5, "no database `no_such_database`", &[Cluster::shared().password()]);
    let url = Cluster::shared().url("postgres");
    desk.imis(&["introspect", &format!("{url}?sslmode=require")]).failed(5, "encrypt", &[Cluster::shared().password()]);
}

#[tokio::test]
async fn a_target_that_is_not_ready() {
    let desk = Desk::new();
    desk.imis(&["demo", "--families", "20", "--output", "made"]).done();
    let cluster = Cluster::shared();
    cluster.create_database("not_migrated").await.unwrap();
    let url = cluster.url("not_migrated");
    desk.imis(&["prepare", &url]).done();
    desk.imis(&["prepare", &url]).failed(4, "", &[cluster.password()]);
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(4, "not a migrated openIMIS database", &[]);

    let name = migrated(Target::Wide, "used").await.unwrap();
    let url = cluster.url(&name);
    let client = cluster.connect(&name).await.unwrap();
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(1, "other session", &[cluster.password()]);
    client
        .batch_execute(r#"INSERT INTO "tblPayer" ("PayerUUID", "PayerName", "PayerType", "ValidityFrom", "AuditUserID") VALUES ('u', 'n', 'C', now(), 1)"#)
        .await
        .unwrap();
    drop(client);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let said = desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(3, "tblPayer (1)", &[]);
    assert!(said.stderr.contains("existing: replace"), "{}", said.stderr);
    // Refused before anything was written.
    assert_eq!(
        crate::harness::number(&name, "SELECT count(*) FROM pg_namespace WHERE nspname = 'imis_migration'").await,
        0
    );
}

/// A SQL Server with the legacy tables, all empty.
fn sql_server(change: impl FnOnce(&mut Options)) -> SqlServer {
    let tables = Tables::new(imis_schemas::release("legacy/24.04").unwrap()).unwrap();
    let mut options = Options::new(tables, SECRET);
    change(&mut options);
    SqlServer::start(options).unwrap()
}

#[test]
fn sql_server_that_refuses() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let never = [SECRET];
    let plain = sql_server(|_| {});
    let (port, down) = (plain.port(), "mssql://sa@127.0.0.1:9/IMIS");
    desk.imis(&["introspect", down]).failed(5, "nothing listens at 127.0.0.1:9", &never);
    let location = |user: &str, database: &str| format!("mssql://{user}@127.0.0.1:{port}/{database}?encrypt=off");
    let refused = "refuses the login sa";
    let wrong = Desk::new().with("IMIS_MSSQL_PASSWORD", "not-the-one-1");
    wrong.imis(&["introspect", &location("sa", "IMIS")]).failed(5, refused, &[SECRET, "not-the-one-1"]);
    wrong.imis(&["introspect", &location("sa:in-the-url-2", "IMIS")]).failed(5, refused, &[SECRET, "in-the-url-2"]);
    desk.imis(&["introspect", &location("reader", "IMIS")]).failed(5, "refuses the login reader", &never);
    desk.imis(&["introspect", &location("sa", "IMIS_OLD")]).failed(5, "the database IMIS_OLD of", &never);
    desk.imis(&["introspect", &location("sa", "IMIS")]).done();
}

/// Each message names the option by which the person can go on.
#[test]
fn sql_server_and_encryption_that_do_not_agree() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    type Case = (fn(&mut Options), &'static str, &'static str, &'static str);
    let cases: [Case; 4] = [
        (|_| {}, "", "offers no encryption", "encrypt=off"),
        (|o| o.tls = Tls::LoginOnly, "", "is not trusted", "ca=FILE"),
        (|o| (o.tls, o.tls_limit) = (Tls::LoginOnly, TlsLimit::Tls10), "?trust=any", "no TLS protocol", "tls=old"),
        (|o| o.tls = Tls::Required, "?encrypt=off", "insists on encryption", "Leave encrypt=off out"),
    ];
    for (change, options, says, helps) in cases {
        let server = sql_server(change);
        let location = format!("mssql://sa@127.0.0.1:{}/IMIS{options}", server.port());
        let said = desk.imis(&["introspect", &location]).failed(5, says, &[SECRET]);
        let help = said.stderr.split("help:").nth(1).unwrap_or_default();
        assert!(help.contains(helps), "{}", said.stderr);
    }
}

/// What the login may not see or read is never taken for something that an older release lacks.
#[test]
fn what_the_login_may_not_have_is_drift() {
    type Case = (&'static str, fn(&mut Options), &'static [&'static str]);
    let cases: [Case; 7] = [
        (
            "a table that it does not see",
            |o| o.hidden_tables = vec!["tblClaimItems".into()],
            &[
                "has the table tblClaimItems, and does not show it",
                "GRANT SELECT ON [dbo].[tblClaimItems] TO [sa]",
                "absent-tables:",
            ],
        ),
        (
            // Releases before 1.6.0 have none, and the pack says so; this is no such release.
            "a table that came late",
            |o| o.hidden_tables = vec!["tblFamilySMS".into()],
            &["openIMIS 24.04", "has the table tblFamilySMS, and does not show it", "GRANT VIEW DEFINITION TO [sa]"],
        ),
        (
            "a table that it may not read",
            |o| o.denied_tables = vec!["tblClaimItems".into()],
            &["may not read the table tblClaimItems", "GRANT SELECT ON [dbo].[tblClaimItems] TO [sa]"],
        ),
        (
            "a column that it may not read",
            |o| o.denied_columns = vec!["tblInsuree.Email".into()],
            &["may not read tblInsuree.Email", "GRANT SELECT ON [dbo].[tblInsuree] ([Email]) TO [sa]"],
        ),
        (
            "no VIEW DEFINITION",
            |o| o.view_definition = false,
            &["the login [sa] has no VIEW DEFINITION", "GRANT VIEW DEFINITION TO [sa]"],
        ),
        (
            "hardly any table",
            |o| o.hidden_tables = o.tables.catalog().tables.iter().skip(9).map(|t| t.name.clone()).collect(),
            &["is no legacy openIMIS: of the", "9 are there", "GRANT SELECT TO [sa]"],
        ),
        (
            "several at once",
            |o| (o.denied_tables, o.hidden_tables) = (vec!["tblHF".into()], vec!["tblGender".into()]),
            &["may not read the table tblHF", "has the table tblGender", "2 complaints"],
        ),
    ];
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let plan = |server: &SqlServer| {
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
        desk.imis(&["plan", "--from", &from, "--to", "release:modular/1.11", "--color", "never"])
    };
    let said = plan(&sql_server(|o| o.sysadmin = false)).done();
    assert!(said.stdout.contains("openIMIS 24.04"), "{}", said.stdout);
    for (what, change, says) in cases {
        let server = sql_server(|o| {
            o.sysadmin = false;
            change(o);
        });
        let said = plan(&server).failed(4, "does not fit", &[SECRET]);
        // The terminal's width breaks lines where it likes.
        let text = said.stderr.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for part in says {
            assert!(text.contains(part), "{what}: `{part}` is missing in:\n{}", said.stderr);
        }
    }
    // A column denied that nobody reads does no harm.
    plan(&sql_server(|o| (o.sysadmin, o.denied_columns) = (false, vec!["tblInsuree.RowID".into()]))).done();
}

/// A column that the country dropped is refused like one that is hidden, until the mapping says that it is gone.
#[test]
fn what_the_country_dropped_is_said_in_the_mapping() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let mut catalog = imis_schemas::release("legacy/24.04").unwrap();
    catalog.tables.retain(|t| t.name != "tblHealthStatus");
    let insurees = catalog.tables.iter_mut().find(|t| t.name == "tblInsuree").unwrap();
    insurees.columns.retain(|c| c.name != "Vulnerability" && c.name != "Email");
    let server = SqlServer::start(Options::new(Tables::new(catalog).unwrap(), SECRET)).unwrap();
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let plan =
        |mapping: &str| desk.imis(&["plan", "--from", &from, "--to", "release:modular/1.11", "--mapping", mapping]);
    let said = plan("openimis/legacy-to-modular").failed(4, "2 complaints", &[]);
    assert!(said.stderr.contains("tblInsuree.Email") && said.stderr.contains("tblHealthStatus"), "{}", said.stderr);
    let overlay = |insurees: &str| {
        format!(
            "mapping: country/x\nextends: openimis/legacy-to-modular\nabsent-tables: {{ tblHealthStatus: never used }}\n\
             rules:\n  insurees:\n    absent: {{ {insurees} }}\n"
        )
    };
    desk.write("x.yaml", &overlay("Email: dropped in 2019, Vulnerability: likewise"));
    plan("x.yaml").done();
    desk.write("x.yaml", &overlay("Email: dropped in 2019, Vulnerability: likewise, Phone: not true"));
    plan("x.yaml").failed(4, "the source has tblInsuree.Phone", &[]);
    desk.write("x.yaml", &overlay("Emial: dropped in 2019"));
    plan("x.yaml").failed(4, "has no column Emial", &[]);
}

/// Django's migrations ran on the SQL Server already: refused, with how far they came.
#[test]
fn a_hybrid_is_named() {
    let mut catalog = imis_schemas::release("legacy/24.04").unwrap();
    let model = catalog.table("tblGender").unwrap().clone();
    let column = |name: &str, data_type: &str| imis_schemas::Column {
        name: name.into(),
        data_type: data_type.into(),
        default: None,
        ..model.columns[1].clone()
    };
    catalog.tables.push(imis_schemas::Table {
        name: "django_migrations".into(),
        columns: vec![column("id", "int"), column("app", "nvarchar(255)"), column("name", "nvarchar(255)")],
        primary_key: imis_schemas::Known::Yes(None),
        ..model
    });
    let server = SqlServer::start(Options::new(Tables::new(catalog).unwrap(), SECRET)).unwrap();
    server
        .execute_script(
            "INSERT INTO dbo.django_migrations (id, app, name) VALUES (1, N'core', N'0001_initial'), (2, N'core', \
             N'0015_missing_roles'), (3, N'auth', N'0012_alter'), (4, N'claim', N'0012_item_service_jsonExt')",
        )
        .unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let said = desk.imis(&["plan", "--from", &from, "--to", "release:modular/1.11"]).failed(4, "hybrid", &[SECRET]);
    let text = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("claim 0012_item_service_jsonExt, core 0015_missing_roles"), "{text}");
}
