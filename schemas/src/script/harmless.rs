//! Statements that leave no trace in a catalogue or in rows, and what they are.

use super::Action;
use super::tokens::Cursor;

/// Statements by their first word that leave no trace in a catalogue or in rows.
pub(super) const NOTHING: &[(&str, &str)] = &[
    ("USE", "a change of the database"),
    ("PRINT", "a message"),
    ("GRANT", "a right"),
    ("DENY", "a right"),
    ("REVOKE", "a right"),
    ("COMMIT", "a transaction"),
    ("SAVE", "a transaction"),
    ("CHECKPOINT", "a transaction"),
    ("WAITFOR", "a pause"),
    ("ENABLE", "a trigger"),
    ("DISABLE", "a trigger"),
    ("BACKUP", "a backup"),
    ("RECONFIGURE", "an option of the server"),
    ("REVERT", "a right"),
    ("SETUSER", "a right"),
    ("OPEN", "a cursor or a key"),
    ("CLOSE", "a cursor or a key"),
    ("DEALLOCATE", "a cursor"),
    ("KILL", "a session"),
];

/// Objects that no catalogue has, by the word behind CREATE, ALTER or DROP.
const OTHERS: &[(&str, &str)] = &[
    ("DATABASE", "an option of the database"),
    ("LOGIN", "a right"),
    ("USER", "a right"),
    ("ROLE", "a right"),
    ("APPLICATION", "a right"),
    ("SERVER", "an option of the server"),
    ("AUTHORIZATION", "a right"),
    ("SCHEMA", "a schema"),
    ("PARTITION", "a place of storage"),
    ("STATISTICS", "statistics"),
    ("FULLTEXT", "a full-text index"),
    ("SYNONYM", "a synonym"),
    ("SEQUENCE", "a sequence"),
    ("TRIGGER", "a trigger"),
    ("ASSEMBLY", "an assembly"),
    ("CERTIFICATE", "a key or certificate"),
    ("SYMMETRIC", "a key or certificate"),
    ("ASYMMETRIC", "a key or certificate"),
    ("MASTER", "a key or certificate"),
    ("CREDENTIAL", "a key or certificate"),
    ("XML", "an XML index or schema"),
    ("PRIMARY", "an XML index or schema"),
    ("SPATIAL", "a spatial index"),
    ("SERVICE", "the service broker"),
    ("QUEUE", "the service broker"),
    ("CONTRACT", "the service broker"),
    ("MESSAGE", "the service broker"),
    ("ROUTE", "the service broker"),
    ("BROKER", "the service broker"),
    ("ENDPOINT", "an option of the server"),
    ("EVENT", "an option of the server"),
    ("RESOURCE", "an option of the server"),
    ("RULE", "a rule"),
    ("DEFAULT", "a default of its own"),
    ("AGGREGATE", "an aggregate of an assembly"),
    ("SECURITY", "a right"),
    ("EXTERNAL", "an external source"),
];

/// Procedures of the server that leave no trace in a catalogue or in rows.
pub(super) const RIGHTS: &[&str] = &[
    "sp_addalias",
    "sp_addapprole",
    "sp_addgroup",
    "sp_addlinkedserver",
    "sp_addlinkedsrvlogin",
    "sp_addlogin",
    "sp_addmessage",
    "sp_addrole",
    "sp_addrolemember",
    "sp_addserver",
    "sp_addsrvrolemember",
    "sp_addumpdevice",
    "sp_adduser",
    "sp_changedbowner",
    "sp_changeobjectowner",
    "sp_change_users_login",
    "sp_configure",
    "sp_db_vardecimal_storage_format",
    "sp_dboption",
    "sp_dropalias",
    "sp_dropgroup",
    "sp_droplogin",
    "sp_droprole",
    "sp_droprolemember",
    "sp_dropserver",
    "sp_dropuser",
    "sp_grantdbaccess",
    "sp_grantlogin",
    "sp_help",
    "sp_helptext",
    "sp_recompile",
    "sp_refreshsqlmodule",
    "sp_refreshview",
    "sp_revokedbaccess",
    "sp_settriggerorder",
    "sp_tableoption",
    "sp_updatestats",
];

pub(super) fn other(cursor: &Cursor<'_>) -> Option<Action> {
    let word = cursor.word(1)?.to_ascii_uppercase();
    if word == "SCHEMA" && cursor.is_word(0, "ALTER") {
        return Some(Action::Unknown("a thing moves to another schema".to_owned()));
    }
    OTHERS.iter().find(|(known, _)| *known == word).map(|(_, what)| Action::Nothing(what))
}
