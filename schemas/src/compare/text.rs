//! SQL texts in a form in which they can be compared: white space, comments, brackets and the case of names set aside;
//! for defaults and conditions also parentheses, casts and the spellings of one and the same thing.

use crate::data_type::DataType;
use crate::name::Engine;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    /// A name or keyword, in the case that tells it apart.
    Word(String),
    /// A literal without its quotes.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// Any other character.
    Symbol(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own == word)
    }

    fn push(&self, out: &mut String) {
        if !out.is_empty() {
            out.push(' ');
        }
        match self {
            Token::Word(text) | Token::Number(text) => out.push_str(text),
            Token::Text(text) => {
                out.push('\'');
                out.push_str(&text.replace('\'', "''"));
                out.push('\'');
            }
            Token::Symbol(c) => out.push(*c),
        }
    }
}

/// Tokens as one text, a blank between each two.
pub(super) fn joined<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> String {
    let mut out = String::new();
    tokens.into_iter().for_each(|token| token.push(&mut out));
    out
}

/// The tokens of a text with the line (from 0) on which each begins. Comments are left out. Nothing is refused: what is
/// not closed ends with the text.
pub(super) fn tokens(engine: Engine, sql: &str) -> Vec<(Token, usize)> {
    let mut found = Vec::new();
    let mut reader = Reader { rest: sql, line: 0 };
    while let Some(c) = reader.rest.chars().next() {
        let line = reader.line;
        let token = match c {
            _ if reader.rest.starts_with("--") => {
                reader.take_while(|c| c != '\n');
                continue;
            }
            _ if reader.rest.starts_with("/*") => {
                reader.comment();
                continue;
            }
            c if c.is_whitespace() || c == '\u{feff}' => {
                reader.take(c.len_utf8());
                continue;
            }
            '\'' => Token::Text(reader.quoted('\'', false)),
            '[' if engine == Engine::Mssql => Token::Word(reader.quoted(']', false).to_lowercase()),
            '"' => {
                let name = reader.quoted('"', false);
                Token::Word(if engine == Engine::Mssql { name.to_lowercase() } else { name })
            }
            '$' if engine == Engine::Postgres => match reader.dollar() {
                Some(()) => Token::Word("$$".to_owned()),
                None => {
                    reader.take(1);
                    Token::Symbol('$')
                }
            },
            c if c.is_ascii_digit() => Token::Number(reader.number().to_lowercase()),
            c if is_of_word(c) => {
                let word = reader.take_while(is_of_word).to_lowercase();
                // N'..' and E'..' are literals, too.
                match (word.as_str(), reader.rest.starts_with('\'')) {
                    ("n", true) => Token::Text(reader.quoted('\'', false)),
                    ("e", true) if engine == Engine::Postgres => Token::Text(reader.quoted('\'', true)),
                    ("b", true) if engine == Engine::Postgres => Token::Text(reader.quoted('\'', false)),
                    _ => Token::Word(word),
                }
            }
            c => {
                reader.take(c.len_utf8());
                Token::Symbol(c)
            }
        };
        found.push((token, line));
    }
    found
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#')
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (head, tail) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += head.matches('\n').count();
        self.rest = tail;
        head
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len()))
    }

    fn comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                match self.rest.chars().next() {
                    None => return,
                    Some(c) => self.take(c.len_utf8()),
                };
            }
        }
    }

    /// A name or literal up to its closing character, which stands doubled where it is meant.
    fn quoted(&mut self, close: char, escapes: bool) -> String {
        self.take(1);
        let mut out = String::new();
        while let Some(c) = self.rest.chars().next() {
            self.take(c.len_utf8());
            if c == close {
                if !self.rest.starts_with(close) {
                    break;
                }
                self.take(close.len_utf8());
            } else if c == '\\' && escapes {
                if let Some(next) = self.rest.chars().next() {
                    self.take(next.len_utf8());
                    out.push(next);
                }
                continue;
            }
            out.push(c);
        }
        out
    }

    /// `$tag$`, which PostgreSQL puts around the text of a function.
    fn dollar(&mut self) -> Option<()> {
        let tag = self.rest.get(1..)?.find('$')?;
        let name = self.rest.get(1..=tag)?;
        if name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit()) {
            self.take(tag + 2);
            return Some(());
        }
        None
    }

    fn number(&mut self) -> &'a str {
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-')
                && end > 0
                && matches!(bytes.get(end - 1), Some(b'e' | b'E'))
                && !self.rest.starts_with("0x");
            if !(byte.is_ascii_alphanumeric() || *byte == b'.' || sign) {
                break;
            }
            end += 1;
        }
        self.take(end)
    }
}

/// How deep parentheses are looked into; what is deeper is compared as it stands.
const DEPTH: usize = 64;

enum Node {
    Atom(Token),
    Group(Vec<Node>),
}

/// The tree of parentheses; `None` where they do not match or are too deep.
fn tree(tokens: Vec<Token>) -> Option<Vec<Node>> {
    let mut stack = vec![Vec::new()];
    for token in tokens {
        match token {
            Token::Symbol('(') => {
                if stack.len() > DEPTH {
                    return None;
                }
                stack.push(Vec::new());
            }
            Token::Symbol(')') => {
                let group = stack.pop()?;
                stack.last_mut()?.push(Node::Group(group));
            }
            other => stack.last_mut()?.push(Node::Atom(other)),
        }
    }
    let whole = stack.pop()?;
    stack.is_empty().then_some(whole)
}

fn word(node: Option<&Node>) -> Option<&str> {
    match node {
        Some(Node::Atom(Token::Word(word))) => Some(word),
        _ => None,
    }
}

fn is_logical(word: &str) -> bool {
    matches!(word, "and" | "or" | "not")
}

/// Takes away parentheses that say nothing, and casts that are calls.
fn plain(nodes: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut rest = nodes.into_iter().peekable();
    while let Some(node) = rest.next() {
        let group = match node {
            Node::Atom(token) => {
                out.push(Node::Atom(token));
                continue;
            }
            Node::Group(group) => group,
        };
        let mut group = plain(group);
        let commas = group.iter().filter(|n| matches!(n, Node::Atom(Token::Symbol(',')))).count();
        match word(out.last()) {
            Some("cast") => {
                if let Some(at) = group.iter().rposition(|n| word(Some(n)) == Some("as")) {
                    group.truncate(at);
                    out.pop();
                }
            }
            Some("convert") if commas == 1 => {
                let at = group.iter().position(|n| matches!(n, Node::Atom(Token::Symbol(','))));
                group = group.split_off(at.map_or(0, |at| at + 1));
                out.pop();
            }
            _ => {}
        }
        // What is left of a group is either needed or melts into what stands around it.
        let before = word(out.last());
        let at_end = rest.peek().is_none();
        let after = word(rest.peek()).filter(|w| is_logical(w));
        let is_call = before.is_some_and(|w| !is_logical(w) && !matches!(w, "between" | "like" | "is"));
        let at_edge = (out.is_empty() || before.is_some_and(is_logical)) && (at_end || after.is_some());
        let logic: Vec<&str> = group.iter().filter_map(|n| word(Some(n))).filter(|w| is_logical(w)).collect();
        let joins = |own: &str| {
            logic.iter().all(|w| *w == own) && before.is_none_or(|w| w == own) && after.is_none_or(|w| w == own)
        };
        let melts = group.len() == 1 || (at_edge && (logic.is_empty() || joins("and") || joins("or")));
        if melts && !is_call {
            out.extend(group);
        } else {
            out.push(Node::Group(group));
        }
    }
    match out.as_mut_slice() {
        [Node::Group(inner)] => std::mem::take(inner),
        _ => out,
    }
}

fn flat(nodes: Vec<Node>, out: &mut Vec<Token>) {
    for node in nodes {
        match node {
            Node::Atom(token) => out.push(token),
            Node::Group(inner) => {
                out.push(Token::Symbol('('));
                flat(inner, out);
                out.push(Token::Symbol(')'));
            }
        }
    }
}

/// Takes away `::type`, with what may belong to a type.
fn without_casts(tokens: Vec<Token>) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if token == Token::Symbol(':') && rest.peek() == Some(&Token::Symbol(':')) {
            rest.next();
            rest.next_if(|t| matches!(t, Token::Word(_)));
            if rest.next_if_eq(&Token::Symbol('.')).is_some() {
                rest.next_if(|t| matches!(t, Token::Word(_)));
            }
            loop {
                if rest.next_if_eq(&Token::Symbol('(')).is_some() {
                    while rest.next_if(|t| *t != Token::Symbol(')')).is_some() {}
                    rest.next();
                    continue;
                }
                let belongs = rest.next_if(|t| match t {
                    Token::Word(word) => {
                        matches!(word.as_str(), "varying" | "precision" | "with" | "without" | "time" | "zone")
                    }
                    Token::Symbol('[' | ']') => true,
                    _ => false,
                });
                if belongs.is_none() {
                    break;
                }
            }
            continue;
        }
        out.push(token);
    }
    out
}

/// Takes away the schemas that everybody expects: `dbo.`, `public.`.
fn without_home(engine: Engine, tokens: Vec<Token>) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let is_home = token.is(engine.default_schema()) || token.is("pg_catalog");
        if is_home && rest.next_if_eq(&Token::Symbol('.')).is_some() {
            continue;
        }
        out.push(token);
    }
    out
}

/// An expression without what says nothing.
fn expression(engine: Engine, sql: &str) -> Vec<Token> {
    let tokens: Vec<Token> = tokens(engine, sql).into_iter().map(|(token, _)| token).collect();
    let tokens = without_home(engine, without_casts(tokens));
    let Some(nodes) = tree(tokens.clone()) else { return tokens };
    let mut out = Vec::new();
    flat(plain(nodes), &mut out);
    out
}

/// A condition of a check or a filter, as it is compared.
pub(super) fn condition(engine: Engine, sql: &str) -> String {
    let mut tokens = expression(engine, sql);
    if tokens.first().is_some_and(|t| t.is("check")) {
        tokens.remove(0);
        let Some(nodes) = tree(tokens.clone()) else { return joined(&tokens) };
        tokens.clear();
        flat(plain(nodes), &mut tokens);
    }
    let tokens: Vec<Token> = tokens
        .into_iter()
        .map(|token| match token {
            Token::Number(text) => Token::Number(number(&text)),
            // Names in conditions stand for columns, which are compared with case aside.
            Token::Word(word) => Token::Word(word.to_lowercase()),
            other => other,
        })
        .collect();
    joined(&tokens)
}

/// A number without zeros that say nothing.
fn number(text: &str) -> String {
    if text.contains(|c: char| !c.is_ascii_digit() && c != '.') {
        return text.to_owned();
    }
    let text = match text.split_once('.') {
        Some((whole, fraction)) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        None => text.to_owned(),
    };
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() || trimmed.starts_with('.') { format!("0{trimmed}") } else { trimmed.to_owned() }
}

/// What a default gives, as far as it can be told from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Nothing, or NULL.
    Nothing,
    /// The next number of a sequence.
    Sequence,
    /// A value or an expression, as it is compared.
    Value(String),
}

/// What the default of a column gives. `kinds` are the types of the column on both sides, `between` says whether two
/// engines are compared, so that functions of one stand for functions of the other.
pub(super) fn default(engine: Engine, sql: Option<&str>, kinds: [&DataType; 2], between: bool) -> Given {
    let Some(sql) = sql else { return Given::Nothing };
    let tokens = expression(engine, sql);
    let any = |wanted: fn(&DataType) -> bool| kinds.iter().any(|kind| wanted(kind));
    let is_truth = any(|k| matches!(k, DataType::Boolean | DataType::BitString(1)));
    let is_number = any(|k| {
        matches!(
            k,
            DataType::TinyInt
                | DataType::SmallInt
                | DataType::Int
                | DataType::BigInt
                | DataType::Decimal { .. }
                | DataType::Numeric
                | DataType::Money
                | DataType::SmallMoney
                | DataType::Real
                | DataType::Double
        )
    });
    let signed = |text: &str| {
        let (sign, digits) = match text.trim().strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.trim()),
        };
        match number(digits.trim_start_matches('+')) {
            zero if zero == "0" => zero,
            other => format!("{sign}{other}"),
        }
    };
    let value = match tokens.as_slice() {
        [] => return Given::Nothing,
        [only] if only.is("null") => return Given::Nothing,
        [first, ..] if first.is("nextval") => return Given::Sequence,
        [first, second, third, ..] if first.is("next") && second.is("value") && third.is("for") => {
            return Given::Sequence;
        }
        [Token::Word(word)] if word == "true" || (is_truth && word == "yes") => "1".to_owned(),
        [Token::Word(word)] if word == "false" || (is_truth && word == "no") => "0".to_owned(),
        [Token::Text(text)] if is_truth => match text.to_lowercase().as_str() {
            "t" | "true" | "1" => "1".to_owned(),
            "f" | "false" | "0" => "0".to_owned(),
            _ => joined(&tokens),
        },
        [Token::Text(text)] if is_number => signed(text),
        [Token::Number(text)] => signed(text),
        [Token::Symbol('-'), Token::Number(text)] => signed(&format!("-{text}")),
        [Token::Symbol('+'), Token::Number(text)] => signed(text),
        [Token::Word(name), Token::Symbol('('), Token::Symbol(')')] => call(name, between),
        [Token::Word(name)] => call(name, between),
        _ => joined(&tokens),
    };
    // A moment put into a day is the day.
    let day = any(|k| *k == DataType::Date);
    Given::Value(if day && value == NOW { TODAY.to_owned() } else { value })
}

const NOW: &str = "now()";
const TODAY: &str = "today()";

/// A function without arguments, by the name that its like share.
fn call(name: &str, between: bool) -> String {
    match name {
        "getdate" | "current_timestamp" | "now" | "transaction_timestamp" => NOW.to_owned(),
        "sysdatetime" | "localtimestamp" | "statement_timestamp" | "clock_timestamp" if between => NOW.to_owned(),
        "current_date" => TODAY.to_owned(),
        "newid" | "gen_random_uuid" | "uuid_generate_v4" => "uuid()".to_owned(),
        "newsequentialid" if between => "uuid()".to_owned(),
        "current_user" | "session_user" | "user" | "system_user" | "suser_sname" if between => "user()".to_owned(),
        other => format!("{other}()"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conditions_are_equal_whatever_their_parentheses() {
        let equal: &[(Engine, &str, Engine, &str)] = &[
            (Engine::Mssql, "([a]>(0))", Engine::Mssql, "a > 0"),
            (Engine::Mssql, "([a]>(0) AND [b]=N'x')", Engine::Mssql, "(a > 0) and (b = 'x') -- why"),
            (
                Engine::Mssql,
                "([DocType]='C' OR [DocType]='F')",
                Engine::Postgres,
                "CHECK (((\"DocType\")::bpchar = 'C'::bpchar) OR ((\"DocType\")::bpchar = 'F'::bpchar))",
            ),
            (Engine::Mssql, "([a]>=(0))", Engine::Postgres, "CHECK ((a >= 0))"),
            (Engine::Mssql, "(a IN (1, 2))", Engine::Mssql, "[a] in ((1),(2))"),
            (Engine::Mssql, "CONVERT([int],[a])=CAST(1 AS int)", Engine::Mssql, "a = 1"),
        ];
        for (one, a, other, b) in equal {
            assert_eq!(condition(*one, a), condition(*other, b), "{a} {b}");
        }
        let different = [
            ("a > 0", "a > 1"),
            ("a = 'x'", "a = 'X'"),
            ("a = 1 and (b = 1 or c = 1)", "a = 1 and b = 1 or c = 1"),
            ("(a + b) * 2 > 0", "a + b * 2 > 0"),
            ("not (a = 1 and b = 1)", "not a = 1 and b = 1"),
            ("len(a) > 0", "a > 0"),
        ];
        for (a, b) in different {
            assert_ne!(condition(Engine::Mssql, a), condition(Engine::Mssql, b), "{a} {b}");
        }
    }

    #[test]
    fn defaults_are_what_they_give() {
        let int = DataType::Int;
        let bit = DataType::Boolean;
        let text = DataType::Text;
        let date = DataType::Date;
        let moment = DataType::DateTime;
        let equal: &[(&str, &str, &DataType)] = &[
            ("((0))", "0", &int),
            ("((-1))", "'-1'::integer", &int),
            ("(-(1))", "(-1)", &int),
            ("((0))", "false", &bit),
            ("((1))", "true", &bit),
            ("((0))", "'0'::\"bit\"", &bit),
            ("((0))", "B'0'::\"bit\"", &bit),
            ("((100.00))", "100", &int),
            ("((0.00))", "0.0", &int),
            ("(N'N')", "'N'::character varying", &text),
            ("('it''s')", "'it''s'::text", &text),
            ("(getdate())", "CURRENT_TIMESTAMP", &moment),
            ("GETDATE()", "now()", &moment),
            ("(getdate())", "CURRENT_DATE", &date),
            ("(newid())", "gen_random_uuid()", &text),
            ("(CONVERT([bit],(0)))", "false", &bit),
            ("([dbo].[udfDefault]())", "public.udfdefault()", &text),
            ("(NULL)", "NULL::character varying", &text),
        ];
        for (legacy, modular, kind) in equal {
            let a = default(Engine::Mssql, Some(legacy), [kind, kind], true);
            let b = default(Engine::Postgres, Some(modular), [kind, kind], true);
            assert_eq!(a, b, "{legacy} {modular}");
        }
        let sequence = default(Engine::Postgres, Some("nextval('\"a_seq\"'::regclass)"), [&int, &int], true);
        assert_eq!(sequence, Given::Sequence);
        for (a, b) in [("((0))", "1"), ("('a')", "'A'::text"), ("(getdate())", "CURRENT_DATE"), ("(f(1))", "f(2)")] {
            let a = default(Engine::Mssql, Some(a), [&text, &text], true);
            assert_ne!(a, default(Engine::Postgres, Some(b), [&text, &text], true), "{b}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c0-9.eEnN'\"\\[\\]()$/*:, \nandor]{0,60}|.{0,40}") {
            for engine in [Engine::Mssql, Engine::Postgres] {
                let once = condition(engine, &text);
                prop_assert_eq!(&once, &condition(engine, &text));
                let _ = default(engine, Some(&text), [&DataType::Int, &DataType::Boolean], true);
            }
        }

        #[test]
        fn white_space_and_comments_say_nothing(words in proptest::collection::vec("[a-z]{1,4}|'[a-z ]{0,4}'|[0-9]{1,3}|[=<>,]", 1..12)) {
            let tight = words.join(" ");
            let loose = words.join("\n\t/* x /* y */ */ -- z\n ");
            let of = |text: &str| tokens(Engine::Mssql, text).into_iter().map(|(t, _)| t).collect::<Vec<_>>();
            prop_assert_eq!(of(&tight), of(&loose));
        }
    }
}
