//! The roles of the documentation do what is promised of them, and no more.

use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};

use crate::harness::{Desk, Target, dump, migrated};

const SECRET: &str = "Secret!8";

fn script(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/roles/");
    format!("{folder}{name}")
}

#[tokio::test]
async fn the_loading_role_loads_and_does_nothing_else() {
    let cluster = Cluster::shared();
    let name = migrated(Target::Wide, "role").await.unwrap();
    let superuser = cluster.connect(&name).await.unwrap();
    // As in the field: openIMIS' tables are its own role's, and next to them is something that is nobody's business.
    superuser
        .batch_execute(
            "CREATE ROLE role_test_owner;
             DO $$ DECLARE r record; BEGIN
               FOR r IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
                          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LOOP
                 EXECUTE format('ALTER TABLE %s OWNER TO role_test_owner', r.name);
               END LOOP;
               FOR r IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = 'public' AND c.relkind = 'S' AND pg_get_userbyid(c.relowner) <> 'role_test_owner' LOOP
                 EXECUTE format('ALTER SEQUENCE %s OWNER TO role_test_owner', r.name);
               END LOOP;
             END $$;
             ALTER SCHEMA public OWNER TO role_test_owner;
             CREATE SCHEMA payroll; CREATE TABLE payroll.salary (amount integer)",
        )
        .await
        .unwrap();
    let made = cluster
        .command("psql", &name)
        .args([
            "-X",
            "-q",
            "-v",
            "owner=role_test_owner",
            "-v",
            "role=role_test_loader",
            "-f",
            &script("loading-role.sql"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    superuser.batch_execute(&format!("ALTER ROLE role_test_loader PASSWORD '{SECRET}'")).await.unwrap();
    drop(superuser);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;

    let desk = Desk::new().with("IMIS_POSTGRES_PASSWORD", SECRET);
    let to = format!("postgres://role_test_loader@127.0.0.1:{}/{name}", cluster.port());
    let doctor = desk.imis(&["doctor", &to, "--json"]).done().json();
    let facts = &doctor[0]["facts"];
    assert_eq!((&facts["may make schemas"], &facts["tables that the role does not own"]), (&"yes".into(), &"0".into()));

    let before = dump(&name, &["--schema-only"]);
    desk.imis(&["demo", "--families", "20", "--output", "made"]).done();
    // Somebody else's session is noticed, whoever it belongs to.
    let other = cluster.connect(&name).await.unwrap();
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &to]).failed(1, "other session", &[SECRET]);
    drop(other);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &to]).done();
    assert!(before == dump(&name, &["--schema-only"]), "the schema is another");
    desk.imis(&["migrate", "--undo", "--to", &to]).done();

    for denied in [
        "SELECT * FROM payroll.salary",
        "CREATE TABLE payroll.bonus (amount integer)",
        "SELECT rolpassword FROM pg_authid",
        "CREATE ROLE somebody",
        "CREATE DATABASE something",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY payroll.salary FROM '/etc/hostname'",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "ALTER ROLE role_test_owner SUPERUSER",
    ] {
        let said = cluster
            .command("psql", &name)
            .args(["-X", "-q", "-c", &format!("SET SESSION AUTHORIZATION role_test_loader; {denied}")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(
            !said.status.success() && text.contains("ermission denied") || text.contains("must be superuser"),
            "{denied}: {text}"
        );
    }
}

#[test]
fn the_read_only_login_is_enough_and_only_reads() {
    let tables = Tables::new(imis_schemas::release("legacy/24.04").unwrap()).unwrap();
    let mut options = Options::new(tables, SECRET);
    // What the script gives: db_datareader and VIEW DEFINITION.
    (options.user, options.sysadmin, options.view_definition) = ("imis_reader".into(), false, true);
    let server = SqlServer::start(options).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let from = format!("mssql://imis_reader@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    for command in [vec!["doctor", &from], vec!["introspect", &from], vec!["snapshot", &from, "-o", "taken"]] {
        desk.imis(&command).done();
    }
    // Nothing but questions reaches the server: the DENY of the script is never met.
    let statements = server.statements();
    assert!(statements.len() > 100, "{}", statements.len());
    for statement in statements {
        let words = statement.to_uppercase();
        let first = words.split_whitespace().next().unwrap_or_default();
        assert!(matches!(first, "SELECT" | "SET" | "WITH"), "{statement}");
        for word in ["INSERT ", "UPDATE ", "DELETE ", "MERGE ", "EXEC ", "CREATE ", "ALTER ", "DROP ", " INTO "] {
            assert!(!words.contains(word), "{statement}");
        }
    }
    let text = std::fs::read_to_string(script("read-only-login.sql")).unwrap();
    for line in ["db_datareader", "GRANT VIEW DEFINITION", "db_denydatawriter"] {
        assert!(text.contains(line), "{line}");
    }
}
