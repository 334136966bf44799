//! The tokens of a piece, without white space and comments, and a cursor over them.

use sqlparser::dialect::MsSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::Place;

/// A name of up to four parts, as it is written: server and database are left aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The schema, where one is said.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectName {
    /// A name from a text such as `[dbo].[tblClaim]` or `dbo.tblClaim`, as stored procedures take it.
    pub fn parse(text: &str) -> Option<Self> {
        let source = Source::new(text, Place::START).ok()?;
        let mut cursor = source.cursor();
        let name = cursor.name()?;
        cursor.is_at_end().then_some(name)
    }

    /// The parts of a text such as `dbo.tblClaim.Claim ID` one by one, for `sp_rename`, which takes names without brackets, too.
    pub(super) fn parts(text: &str) -> Vec<String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let quoted = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
            let quoted = quoted.or_else(|| rest.strip_prefix('"').and_then(|inner| inner.split_once('"')));
            let (part, behind) = match quoted {
                Some((part, behind)) => (part, behind.strip_prefix('.').unwrap_or(behind)),
                None => rest.split_once('.').unwrap_or((rest, "")),
            };
            parts.push(part.trim().to_owned());
            rest = behind;
        }
        parts
    }
}

/// A piece's text with its tokens.
pub(super) struct Source<'a> {
    text: &'a str,
    place: Place,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    tokens: Vec<TokenWithSpan>,
}

impl<'a> Source<'a> {
    /// Takes a text apart. An error says where and why it cannot be.
    pub(super) fn new(text: &'a str, place: Place) -> Result<Self, (Place, String)> {
        // Texts keep their doubled quotes: what is written comes out of a token as it went in.
        let tokens = Tokenizer::new(&MsSqlDialect {}, text).with_unescape(false).tokenize_with_location();
        let mut source = Source { text, place, lines: Vec::new(), tokens: Vec::new() };
        source.lines.push(0);
        source.lines.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1));
        match tokens {
            Ok(tokens) => {
                source.tokens = tokens;
                source.tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
                Ok(source)
            }
            Err(error) => Err((source.place_of(error.location), error.message)),
        }
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { source: self, at: 0, end: self.tokens.len() }
    }

    fn place_of(&self, location: Location) -> Place {
        match location.line {
            0 => self.place,
            1 => Place { line: self.place.line, column: self.place.column + location.column.saturating_sub(1) },
            line => Place { line: self.place.line + line - 1, column: location.column },
        }
    }

    /// The offset of a location in the text.
    fn offset(&self, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.lines.get(line).copied() else { return self.text.len() };
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let rest = self.text.get(start..).unwrap_or_default();
        let within = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        start + within
    }
}

/// A place among the tokens.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    source: &'a Source<'a>,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn index(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    /// The same up to an index only.
    pub(super) fn until(&self, end: usize) -> Cursor<'a> {
        Cursor { end: end.min(self.end), ..*self }
    }

    /// The same from an index on.
    pub(super) fn from(&self, at: usize) -> Cursor<'a> {
        Cursor { at, ..*self }
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<&'a Token> {
        let at = self.at + ahead;
        self.source.tokens.get(at).filter(|_| at < self.end).map(|token| &token.token)
    }

    pub(super) fn advance(&mut self) -> Option<&'a Token> {
        let token = self.peek(0)?;
        self.at += 1;
        Some(token)
    }

    /// The tokens from here to an index, for a parser.
    pub(super) fn tokens_to(&self, end: usize) -> Vec<TokenWithSpan> {
        self.source.tokens.get(self.at..end.min(self.end)).unwrap_or_default().to_vec()
    }

    /// Where the next token stands; at the end, where the last one does.
    pub(super) fn place(&self) -> Place {
        let at = self.at.min(self.end.saturating_sub(1));
        self.source.tokens.get(at).map_or(self.source.place, |token| self.source.place_of(token.span.start))
    }

    /// The text from one token up to another, as it was written.
    pub(super) fn text(&self, from: usize, to: usize) -> &'a str {
        let Some(last) = to.checked_sub(1) else { return "" };
        let (Some(first), Some(last)) = (self.source.tokens.get(from), self.source.tokens.get(last)) else { return "" };
        let (start, end) = (self.source.offset(first.span.start), self.source.offset(last.span.end));
        self.source.text.get(start..end).unwrap_or_default()
    }

    /// The text from one token to the end of the piece, comments included.
    pub(super) fn text_from(&self, from: usize) -> &'a str {
        let start = self.source.tokens.get(from).map_or(self.source.text.len(), |t| self.source.offset(t.span.start));
        self.source.text.get(start..).unwrap_or_default()
    }

    /// The first words of a statement, for a list of what was not understood. Texts and numbers are left out: they may be data.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        let mut cursor = *self;
        while words.len() < 7
            && let Some(token) = cursor.advance()
        {
            match token {
                // Between double quotes there may be a text.
                Token::Word(word) if word.quote_style == Some('"') => words.push("…".to_owned()),
                Token::Word(word) => words.push(word.value.clone()),
                Token::Period => words.push(".".to_owned()),
                Token::LParen if words.len() > 2 => break,
                Token::LParen => words.push("(".to_owned()),
                Token::SingleQuotedString(_) | Token::NationalStringLiteral(_) | Token::Number(..) => {
                    words.push("…".to_owned());
                }
                _ => break,
            }
        }
        words.join(" ").replace(" . ", ".").chars().take(80).collect()
    }

    /// The variables that stand up to an index.
    pub(super) fn variables(&self, end: usize) -> Vec<String> {
        let mut at = self.until(end);
        let mut found = Vec::new();
        while let Some(token) = at.advance() {
            if let Token::Word(word) = token
                && word.quote_style.is_none()
                && word.value.starts_with('@')
            {
                found.push(word.value.to_lowercase());
            }
        }
        found
    }

    /// The word that stands here, if it is not quoted.
    pub(super) fn word(&self, ahead: usize) -> Option<&'a str> {
        match self.peek(ahead) {
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        self.word(ahead).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    pub(super) fn is_one_of(&self, ahead: usize, wanted: &[&str]) -> bool {
        self.word(ahead).is_some_and(|word| wanted.iter().any(|w| word.eq_ignore_ascii_case(w)))
    }

    /// Takes these words if they all stand here.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        if there {
            self.at += words.len();
        }
        there
    }

    /// Takes one of these words, and says which.
    pub(super) fn take_one(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().find(|word| self.is_word(0, word))?;
        self.at += 1;
        Some(found)
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let there = self.peek(0) == Some(token);
        if there {
            self.at += 1;
        }
        there
    }

    pub(super) fn is_token(&self, token: &Token) -> bool {
        self.peek(0) == Some(token)
    }

    /// A name without dots.
    pub(super) fn identifier(&mut self) -> Option<String> {
        let name = match self.peek(0)? {
            Token::Word(word) => unquoted(&word.value, word.quote_style),
            // Some tools write names as texts.
            Token::SingleQuotedString(text) => text.replace("''", "'"),
            _ => return None,
        };
        self.at += 1;
        Some(name)
    }

    /// A name with its dots.
    pub(super) fn name(&mut self) -> Option<ObjectName> {
        let mut parts = vec![Some(self.identifier()?)];
        while self.is_token(&Token::Period) {
            self.at += 1;
            // `database..table` leaves the schema out.
            parts.push(if self.is_token(&Token::Period) { None } else { Some(self.identifier()?) });
        }
        let name = parts.pop().flatten()?;
        Some(ObjectName { schema: parts.pop().flatten().filter(|schema| !schema.is_empty()), name })
    }

    /// Goes behind a group in brackets and gives the indexes of its inside. `None` where no bracket opens, or it does not close.
    pub(super) fn group(&mut self) -> Option<(usize, usize)> {
        if !self.is_token(&Token::LParen) {
            return None;
        }
        let (mut depth, start) = (0_u32, self.at + 1);
        let mut cursor = *self;
        while let Some(token) = cursor.advance() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 1 => {
                    self.at = cursor.at;
                    return Some((start, cursor.at - 1));
                }
                Token::RParen => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// Names in brackets: `([a], [b] DESC)`. What stands behind a name up to the comma is left aside.
    pub(super) fn names_in_group(&mut self) -> Option<Vec<String>> {
        let (start, end) = self.group()?;
        let mut inside = self.from(start).until(end);
        let mut names = Vec::new();
        while !inside.is_at_end() {
            names.push(inside.identifier()?);
            while let Some(token) = inside.advance() {
                if *token == Token::Comma {
                    break;
                }
            }
        }
        Some(names)
    }

    /// The inside of a group, cut at its commas.
    pub(super) fn items(&self, start: usize, end: usize) -> Vec<Cursor<'a>> {
        let (mut items, mut from, mut depth) = (Vec::new(), start, 0_u32);
        let mut cursor = self.from(start).until(end);
        while let Some(token) = cursor.advance() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => {
                    items.push(self.from(from).until(cursor.at - 1));
                    from = cursor.at;
                }
                _ => {}
            }
        }
        if from < end {
            items.push(self.from(from).until(end));
        }
        items
    }

    /// A literal text, plain or national.
    pub(super) fn string(&mut self) -> Option<String> {
        let text = literal(self.peek(0)?)?;
        self.at += 1;
        Some(text)
    }
}

/// The text of a literal, its doubled quotes made single.
pub(super) fn literal(token: &Token) -> Option<String> {
    match token {
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => Some(text.replace("''", "'")),
        _ => None,
    }
}

fn unquoted(value: &str, quote: Option<char>) -> String {
    match quote {
        Some('[') => value.replace("]]", "]"),
        Some('"') => value.replace("\"\"", "\""),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        let name = |schema: Option<&str>, name: &str| {
            Some(ObjectName { schema: schema.map(str::to_owned), name: name.to_owned() })
        };
        let cases = [
            ("tblClaim", name(None, "tblClaim")),
            ("[dbo].[tbl Claim]", name(Some("dbo"), "tbl Claim")),
            ("IMIS..[a]]b]", name(None, "a]b")),
            ("[IMIS].[dbo].\"x\"", name(Some("dbo"), "x")),
            ("dbo.", None),
            ("1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ObjectName::parse(text), expected, "{text}");
        }
        assert_eq!(ObjectName::parts("dbo.[tbl.X].a b"), ["dbo", "tbl.X", "a b"]);
    }

    #[test]
    fn texts_come_back_as_they_were_written() {
        let sql = "DEFAULT (N'é''x') ,\n  ( [a] > (0) ) -- end";
        let source = Source::new(sql, Place { line: 10, column: 3 }).unwrap();
        let cursor = source.cursor();
        assert_eq!(cursor.text(1, 4), "(N'é''x')");
        assert_eq!(cursor.text(5, 12), "( [a] > (0) )");
        assert_eq!(
            (cursor.place(), cursor.from(5).place()),
            (Place { line: 10, column: 3 }, Place { line: 11, column: 3 })
        );
        assert_eq!(cursor.items(2, 3).len(), 1);
        assert_eq!(Source::new("a 'b", Place { line: 2, column: 5 }).err().unwrap().0.line, 2);
    }
}
