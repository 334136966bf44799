//! What stands in the way of a load into a PostgreSQL database, or of reading one.

use tokio_postgres::Client;

use super::connect::describe_error;
use crate::error::Error;

/// What is asked, in the order in which it is shown. Each answer is one text.
const QUESTIONS: &[(&str, &str)] = &[
    ("server", "SELECT current_setting('server_version')"),
    ("database", "SELECT current_database()"),
    (
        "encoding and collation",
        "SELECT pg_encoding_to_char(encoding) || ', ' || datcollate FROM pg_database WHERE datname = current_database()",
    ),
    ("role", "SELECT current_user"),
    (
        "encrypted",
        "SELECT coalesce((SELECT CASE WHEN ssl THEN version || ', ' || cipher ELSE 'no' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'not known')",
    ),
    (
        "may make schemas",
        "SELECT CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN 'yes' ELSE 'no: imis_migration cannot be made' END",
    ),
    ("tables in public", "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"),
    (
        "tables that the role does not own",
        "SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = 'public' AND NOT pg_has_role(c.relowner, 'USAGE')",
    ),
    (
        "Django migrations applied",
        "SELECT CASE WHEN to_regclass('public.django_migrations') IS NULL THEN 'none: not a migrated openIMIS database' ELSE (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM public.django_migrations', true, true, '')))[1]::text END",
    ),
    ("size", "SELECT pg_size_pretty(pg_database_size(current_database()))"),
    (
        "other sessions",
        "SELECT count(*)::text || coalesce(': ' || string_agg(DISTINCT nullif(application_name, ''), ', '), '') FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    ),
    ("statement timeout", "SELECT current_setting('statement_timeout')"),
    (
        "runs of imis",
        "SELECT CASE WHEN to_regclass('imis_migration.run') IS NULL THEN 'none' ELSE (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM imis_migration.run', true, true, '')))[1]::text END",
    ),
];

/// Asks every question; one that fails is answered with the reason.
///
/// # Errors
/// When the connection breaks.
pub async fn facts(client: &Client) -> Result<Vec<(String, String)>, Error> {
    let mut facts = Vec::new();
    for (what, sql) in QUESTIONS {
        let answer = match client.query_one(*sql, &[]).await {
            Ok(row) => row.try_get::<_, Option<String>>(0).ok().flatten().unwrap_or_else(|| "not known".to_owned()),
            Err(error) if client.is_closed() => return Err(describe_error(error, "looking at the database")),
            Err(_) => "not known: the server would not say".to_owned(),
        };
        facts.push(((*what).to_owned(), answer));
    }
    Ok(facts)
}
