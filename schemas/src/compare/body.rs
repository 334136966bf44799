//! Texts of views, procedures and functions: whether they say the same, and where they do not, a unified diff.

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::text::{Token, joined, tokens};
use crate::name::Engine;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// A text as it is compared: what it says, and the lines on which it says it.
struct Body<'a> {
    said: Vec<Token>,
    /// The number of the line (from 1), the line, and what it says. Lines that say nothing are left out.
    lines: Vec<(usize, &'a str, String)>,
}

impl<'a> Body<'a> {
    fn new(engine: Engine, text: &'a str) -> Self {
        let mut found = tokens(engine, text);
        while found.last().is_some_and(|(token, _)| *token == Token::Symbol(';')) {
            found.pop();
        }
        let mut lines: Vec<(usize, &str, Vec<Token>)> = Vec::new();
        let mut texts = text.lines().enumerate();
        let mut say = |token: Token, line: usize| match lines.last_mut() {
            Some((number, _, said)) if *number == line + 1 => said.push(token),
            _ => {
                let own = texts.by_ref().find(|(at, _)| *at == line).map_or("", |(_, text)| text.trim_end());
                lines.push((line + 1, own, vec![token]));
            }
        };
        for (token, line) in &found {
            match token {
                // A literal over several lines (a statement to be executed) says something on each of them.
                Token::Text(literal) if literal.contains('\n') => {
                    for (below, piece) in literal.split('\n').enumerate() {
                        say(Token::Text(piece.trim_end_matches('\r').to_owned()), line + below);
                    }
                }
                token => say(token.clone(), *line),
            }
        }
        // The head of a text is another in a script (ALTER, CREATE OR ALTER, PROC) and on a server.
        let head = head(engine, &found.iter().map(|(token, _)| token).collect::<Vec<_>>());
        let mut said = head.said;
        said.extend(found.into_iter().skip(head.tokens).map(|(token, _)| token));
        let mut left = head.tokens;
        let lines = lines.into_iter().map(|(number, text, said)| {
            let of_head = left.min(said.len());
            left -= of_head;
            let rest = joined(said.iter().skip(of_head));
            (number, text, if of_head > 0 { format!("head {rest}") } else { rest })
        });
        Body { said, lines: lines.collect() }
    }
}

struct Head {
    /// How many tokens it takes.
    tokens: usize,
    /// What it says.
    said: Vec<Token>,
}

/// `CREATE OR ALTER PROC [dbo].[name]` says `procedure name`.
fn head(engine: Engine, found: &[&Token]) -> Head {
    let is =
        |at: usize, words: &[&str]| matches!(found.get(at), Some(Token::Word(word)) if words.contains(&word.as_str()));
    let nothing = Head { tokens: 0, said: Vec::new() };
    if !is(0, &["create", "alter"]) {
        return nothing;
    }
    let mut at = if is(1, &["or"]) && is(2, &["alter", "replace"]) { 3 } else { 1 };
    let kind = match found.get(at) {
        Some(Token::Word(word)) if word == "proc" => "procedure".to_owned(),
        Some(Token::Word(word)) => word.clone(),
        _ => return nothing,
    };
    at += 1;
    if is(at, &[engine.default_schema()]) && found.get(at + 1) == Some(&&Token::Symbol('.')) {
        at += 2;
    }
    let mut said = vec![Token::Word(kind)];
    said.extend(found.get(at).map(|token| (*token).clone()));
    Head { tokens: (at + 1).min(found.len()), said }
}

/// Whether two texts of one engine say the same: white space, comments, brackets, the case of names and the way in which
/// the head is written set aside.
pub(super) fn says_the_same(engine: Engine, a: &str, b: &str) -> bool {
    a == b || Body::new(engine, a).said == Body::new(engine, b).said
}

/// The unified diff of two texts. Lines that differ in white space, comments or brackets only stand as unchanged, in A's
/// spelling; empty lines and lines of comments are left out. Line numbers are those of the texts.
pub(super) fn unified(engine: Engine, a: &str, b: &str, names: (&str, &str)) -> String {
    let (from, to) = (Body::new(engine, a).lines, Body::new(engine, b).lines);
    let said = |lines: &[(usize, &str, String)]| lines.iter().map(|(.., said)| said.clone()).collect::<Vec<_>>();
    let ops = capture_diff_slices(Algorithm::Patience, &said(&from), &said(&to));
    let mut text = String::new();
    for hunk in group_diff_ops(ops, CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        if text.is_empty() {
            text = format!("--- a/{}\n+++ b/{}\n", names.0, names.1);
        }
        let start = |lines: &[(usize, &str, String)], at: usize| lines.get(at).map_or(0, |(number, ..)| *number);
        let (old, new) = (first.old_range().start..last.old_range().end, first.new_range().start..last.new_range().end);
        text += &format!("@@ -{},{} +{},{} @@\n", start(&from, old.start), old.len(), start(&to, new.start), new.len());
        for op in hunk {
            let mut lines = |sign: char, lines: &[(usize, &str, String)], range: std::ops::Range<usize>| {
                for (_, line, _) in lines.get(range).unwrap_or_default() {
                    text.push(sign);
                    text.push_str(line);
                    text.push('\n');
                }
            };
            if let DiffOp::Equal { .. } = op {
                lines(' ', &from, op.old_range());
            } else {
                lines('-', &from, op.old_range());
                lines('+', &to, op.new_range());
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_makes_no_difference() {
        let cases = [
            ("CREATE PROCEDURE [dbo].[uspX] @a int AS\n SELECT 1", "alter proc uspX\n@A INT as -- why\nselect 1;"),
            ("CREATE VIEW [dw].[v] AS SELECT [a] FROM [t]", "create or alter view dw.v as /* x */ select a from t"),
        ];
        for (a, b) in cases {
            assert!(says_the_same(Engine::Mssql, a, b), "{a} {b}");
            assert_eq!(unified(Engine::Mssql, a, a, ("v", "v")), "");
        }
        let create = |body: &str| format!("CREATE FUNCTION public.f() RETURNS int AS $function$ {body} $function$");
        assert!(says_the_same(
            Engine::Postgres,
            &create("select 1"),
            &create("SELECT\n 1 -- one\n").replace("$function$", "$x$")
        ));
        assert!(!says_the_same(Engine::Postgres, &create("select \"A\""), &create("select a")));
        assert!(!says_the_same(Engine::Mssql, "select 'a'", "select 'A'"));
        assert!(!says_the_same(Engine::Mssql, "create view v as select 1", "create view w as select 1"));
    }

    #[test]
    fn a_diff_shows_the_lines_that_differ() {
        let a = "CREATE PROCEDURE [dbo].[uspX] AS\nBEGIN\n  -- old\n  SELECT [a]\n  FROM t\n\n  WHERE a = 1\nEND";
        let b = "ALTER PROC uspX AS\nBEGIN\n  SELECT a\n  FROM   t\n  WHERE a = 2\nEND";
        let expected = "--- a/uspX\n+++ b/uspX\n@@ -2,5 +2,5 @@\n BEGIN\n   SELECT [a]\n   FROM t\n-  WHERE a = 1\n+  WHERE a = 2\n END\n";
        assert_eq!(unified(Engine::Mssql, a, b, ("uspX", "uspX")), expected);
        let sql = "set @sql = 'select 1\n  from a\n  where b'";
        let diff = unified(Engine::Mssql, sql, &sql.replace("from a", "from c"), ("s", "s"));
        assert!(
            diff.ends_with("@@ -1,3 +1,3 @@\n set @sql = 'select 1\n-  from a\n+  from c\n   where b'\n"),
            "{diff}"
        );
        assert_eq!(unified(Engine::Mssql, "", "x", ("a", "b")), "--- a/a\n+++ b/b\n@@ -0,0 +1,1 @@\n+x\n");
    }
}
