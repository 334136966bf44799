//! Where a statement ends. T-SQL needs no semicolons, so it ends where the next one begins: at a key word that begins statements,
//! outside brackets and CASE, and not one that continues what was begun (the SELECT of an INSERT, the SET of an UPDATE).

use sqlparser::tokenizer::Token;

use super::tokens::Cursor;

/// Words that begin a statement.
const STARTS: &[&str] = &[
    "ALTER",
    "BACKUP",
    "BEGIN",
    "BREAK",
    "BULK",
    "CHECKPOINT",
    "CLOSE",
    "COMMIT",
    "CONTINUE",
    "CREATE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DENY",
    "DISABLE",
    "DROP",
    "ELSE",
    "ENABLE",
    "END",
    "EXEC",
    "EXECUTE",
    "FETCH",
    "GO",
    "GOTO",
    "GRANT",
    "IF",
    "INSERT",
    "KILL",
    "MERGE",
    "OPEN",
    "PRINT",
    "RAISERROR",
    "RECONFIGURE",
    "RESTORE",
    "RETURN",
    "REVERT",
    "REVOKE",
    "ROLLBACK",
    "SAVE",
    "SELECT",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "THROW",
    "TRUNCATE",
    "UPDATE",
    "USE",
    "WAITFOR",
    "WHILE",
    "WITH",
];

/// Where the statement that begins here ends: the index behind its last token.
pub(super) fn end_of(cursor: &Cursor<'_>) -> usize {
    let mut at = *cursor;
    let first = at.word(0).unwrap_or_default().to_ascii_uppercase();
    at.advance();
    let (mut depth, mut cases) = (0_u32, 0_u32);
    // How many more key words may continue it.
    let mut source = matches!(first.as_str(), "INSERT" | "WITH");
    let mut set = matches!(first.as_str(), "UPDATE" | "ALTER" | "MERGE" | "WITH");
    let merge = first == "MERGE";
    let mut joined = false;
    // Rights are named by words that begin statements, up to those who get them.
    let mut granted = false;
    while let Some(token) = at.peek(0) {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon if depth == 0 => return at.index(),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let is = |wanted: &str| word.value.eq_ignore_ascii_case(wanted);
                let after_dot = at.index() > 0 && at.from(at.index() - 1).is_token(&Token::Period);
                if is("CASE") {
                    cases += 1;
                } else if cases > 0 && is("END") {
                    cases -= 1;
                } else if is("VALUES") && first == "INSERT" {
                    source = false;
                } else if !after_dot && STARTS.iter().any(|start| is(start)) && !(cases > 0 && is("ELSE")) {
                    // DROP TABLE IF EXISTS, DROP COLUMN IF EXISTS.
                    let guarded = is("IF") && at.is_word(1, "EXISTS") && at.peek(2) != Some(&Token::LParen);
                    let continues = guarded
                        || match first.as_str() {
                            "GRANT" | "DENY" | "REVOKE" => !granted || is("WITH"),
                            "BULK" => is("INSERT") || is("WITH"),
                            "ENABLE" | "DISABLE" | "BACKUP" | "RESTORE" => false,
                            "CREATE" | "ALTER" => {
                                let second = cursor.word(1).unwrap_or_default().to_ascii_uppercase();
                                match second.as_str() {
                                    "TABLE" => {
                                        is("WITH")
                                        || (first == "ALTER" && (is("ALTER") || is("DROP")) && at.is_one_of(1, &["COLUMN", "CONSTRAINT"]))
                                        || (first == "ALTER" && is("DROP") && !at.is_one_of(1, &["TABLE", "VIEW", "PROC", "PROCEDURE", "FUNCTION", "TYPE", "INDEX", "DATABASE", "SCHEMA", "USER", "ROLE"]))
                                        || (first == "ALTER" && is("SET") && at.peek(1) == Some(&Token::LParen))
                                        || (first == "ALTER" && (is("ENABLE") || is("DISABLE")))
                                        // ON DELETE CASCADE, ON UPDATE SET NULL, PERIOD ... END
                                        || (at.index() > 0 && at.from(at.index() - 1).is_word(0, "ON") && (is("DELETE") || is("UPDATE")))
                                        || (is("SET") && at.is_one_of(1, &["NULL", "DEFAULT"]))
                                        || (is("END") && at.index() > 0 && at.from(at.index() - 1).is_word(0, "ROW"))
                                    }
                                    "DATABASE" | "ROLE" | "USER" | "LOGIN" | "SERVER" => {
                                        (set && is("SET"))
                                            || is("WITH")
                                            || is("ADD")
                                            || (is("DROP") && at.is_word(1, "MEMBER"))
                                    }
                                    _ => is("WITH"),
                                }
                            }
                            _ => {
                                (is("WITH") && (at.peek(1) == Some(&Token::LParen) || first != "SELECT" && !cte(&at)))
                                || (source && (is("SELECT") || (first == "INSERT" && (is("EXEC") || is("EXECUTE")))))
                                || (source && first == "WITH" && (is("INSERT") || is("UPDATE") || is("DELETE") || is("MERGE")))
                                || (joined && is("SELECT"))
                                || (set && is("SET"))
                                || (merge && (is("UPDATE") || is("INSERT") || is("DELETE") || is("SET") || is("SELECT")))
                                // FETCH NEXT n ROWS of a SELECT; SET of an option.
                                || (is("FETCH") && at.is_one_of(1, &["NEXT", "FIRST"]) && at.is_one_of(3, &["ROWS", "ROW", "ONLY"]))
                                || (is("OPEN") && at.is_one_of(1, &["SYMMETRIC"]))
                            }
                        };
                    if !continues {
                        return at.index();
                    }
                    if is("SELECT") || is("EXEC") || is("EXECUTE") || is("INSERT") || is("UPDATE") || is("DELETE") {
                        // WITH x AS (...) INSERT ... SELECT: the INSERT may have a source of its own.
                        source = first == "WITH" && is("INSERT");
                        set = set || is("UPDATE");
                    }
                    if is("SET") && !merge {
                        set = false;
                    }
                }
                granted |= is("TO") || is("FROM");
                joined = is("UNION") || is("EXCEPT") || is("INTERSECT") || (joined && is("ALL"));
            }
            // A label, or a bracketed query behind UNION.
            _ => {}
        }
        at.advance();
    }
    at.index()
}

/// Whether WITH begins a common table expression here: `WITH name [(columns)] AS (`.
fn cte(cursor: &Cursor<'_>) -> bool {
    let mut at = *cursor;
    at.advance();
    at.identifier().is_some() && {
        at.group();
        at.take(&["AS"]) && at.is_token(&Token::LParen)
    }
}

/// A condition ends where a statement begins, outside brackets and CASE.
pub(super) fn condition_end(cursor: &Cursor<'_>) -> usize {
    let mut at = *cursor;
    let (mut depth, mut cases) = (0_u32, 0_u32);
    while let Some(token) = at.peek(0) {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon if depth == 0 => break,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let is = |wanted: &str| word.value.eq_ignore_ascii_case(wanted);
                // `UPDATE(column)` is a function of triggers.
                if is("CASE") {
                    cases += 1;
                } else if is("END") && cases > 0 {
                    cases -= 1;
                } else if cases == 0 && STARTS.iter().any(|start| is(start)) {
                    break;
                }
            }
            _ => {}
        }
        at.advance();
    }
    at.index()
}
