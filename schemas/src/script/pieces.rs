//! Cuts a script into batches, and batches that are too large to be held into parts that end with a whole statement.
//!
//! A line that says GO ends a batch, unless it stands in a text, a name or a comment. A batch is cut further only where nothing can
//! be open: behind a semicolon, or before an INSERT that follows the values of another, outside all brackets and blocks.

use std::io::{Read, Seek};

use super::text::Text;
use super::{MAX_PIECE, Place, ScriptError};

/// From this many bytes on a batch is cut where that is possible.
const LARGE: usize = 1024 * 1024;
/// How far it must be possible to look ahead, for a word or a line that says GO.
const AHEAD: usize = 4096;
/// Words behind BEGIN that begin no block.
const NO_BLOCKS: [&str; 5] = ["TRAN", "TRANSACTION", "DISTRIBUTED", "DIALOG", "CONVERSATION"];
/// The most repetitions of a batch that are believed.
const MAX_REPEATS: u64 = 10_000;

/// A batch, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text, without the line that says GO.
    pub text: String,
    /// Where it begins.
    pub place: Place,
    /// Whether the batch ends with it.
    pub ends_batch: bool,
    /// How many times the batch runs (`GO 5`). Only told at the end of a batch.
    pub times: u64,
    /// Whether the script ends with it, without a GO.
    pub ends_script: bool,
}

/// What stands in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Statements.
    Piece(Piece),
    /// A line for sqlcmd: `:r other.sql` is `("r", "other.sql")`.
    Directive(String, String, Place),
}

/// What the scanner stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Code,
    Text,
    Quoted,
    Bracket,
    Line,
    Comment(u32),
}

/// What the scanner knows of the batch.
#[derive(Debug, Default)]
struct Batch {
    /// Brackets that are open.
    brackets: u32,
    /// BEGIN and CASE that are open.
    blocks: u32,
    /// Where the first of either was opened.
    opened: Option<(u64, usize)>,
    /// Whether an IF, an ELSE or a WHILE stands since the last semicolon.
    conditional: bool,
    /// Whether the word before was BEGIN, END, SAVE and the like: what comes may change its meaning.
    begins: bool,
    /// Whether the values of an INSERT are the last that was said.
    values: bool,
    /// Whether the batch is a view, a routine or a trigger: all of it is one statement.
    module: Head,
}

impl Batch {
    /// Something was closed: nothing may be open any more.
    fn closed(&mut self) {
        if self.brackets == 0 && self.blocks == 0 {
            self.opened = None;
        }
    }

    /// Whether no bracket and no block is open.
    fn is_free(&self) -> bool {
        self.brackets == 0 && self.blocks == 0 && self.module != Head::Module
    }
}

/// How a batch begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Head {
    #[default]
    Nothing,
    Create,
    Or,
    Module,
    Other,
}

/// The parts of a script, one after the other.
pub struct Pieces<R> {
    text: Text<R>,
    buffer: String,
    ended: bool,
    /// Where the piece begins in the buffer, and in the script.
    from: usize,
    place: Place,
    /// Where the scanner stands.
    at: usize,
    line: u64,
    /// Whether nothing but white space and comments stands on the line so far.
    blank: bool,
    mode: Mode,
    /// Where the text, name or comment begins.
    entered: (u64, usize),
    /// The last character that means something.
    last: u8,
    batch: Batch,
    done: bool,
}

impl<R: Read + Seek> Pieces<R> {
    /// Stands before the first part.
    ///
    /// # Errors
    /// When the input cannot be read or is no text.
    pub fn new(input: R) -> Result<Self, ScriptError> {
        Ok(Pieces {
            text: Text::new(input)?,
            buffer: String::new(),
            ended: false,
            from: 0,
            place: Place::START,
            at: 0,
            line: 1,
            blank: true,
            mode: Mode::Code,
            entered: (1, 0),
            last: 0,
            batch: Batch::default(),
            done: false,
        })
    }

    /// How many stretches of the script were no characters.
    pub fn broken(&self) -> u64 {
        self.text.broken()
    }

    /// The next part, or none.
    ///
    /// # Errors
    /// When the script cannot be read on.
    pub fn read(&mut self) -> Result<Option<Part>, ScriptError> {
        if self.done {
            return Ok(None);
        }
        loop {
            if self.at + AHEAD > self.buffer.len() && !self.ended {
                self.refill()?;
                continue;
            }
            if self.at - self.from > MAX_PIECE {
                return Err(ScriptError::TooLong { place: self.place });
            }
            let Some(byte) = self.byte(0) else { return self.end() };
            if let Some(part) = self.step(byte)? {
                return Ok(Some(part));
            }
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.buffer.as_bytes().get(self.at + ahead).copied()
    }

    fn refill(&mut self) -> Result<(), ScriptError> {
        if self.from > 0 {
            self.buffer.drain(..self.from);
            self.at -= self.from;
            // A line that began before is told from where the buffer begins; only its columns suffer.
            self.entered.1 = self.entered.1.saturating_sub(self.from);
            if let Some((_, at)) = &mut self.batch.opened {
                *at = at.saturating_sub(self.from);
            }
            self.from = 0;
        }
        self.ended = !self.text.read(&mut self.buffer)?;
        Ok(())
    }

    /// A place from its line and its offset in the buffer.
    fn place_of(&self, line: u64, at: usize) -> Place {
        let start = self.buffer.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let column = self.buffer.get(start..at).map_or(0, |before| before.chars().count());
        Place { line, column: column as u64 + 1 }
    }

    fn enter(&mut self, mode: Mode, width: usize) {
        self.mode = mode;
        self.entered = (self.line, self.at);
        self.at += width;
    }

    /// Looks at what stands here, and goes behind it.
    fn step(&mut self, byte: u8) -> Result<Option<Part>, ScriptError> {
        if byte == b'\n' {
            self.line += 1;
            self.blank = true;
        }
        match self.mode {
            Mode::Code => return self.code(byte),
            Mode::Text if byte == b'\'' => self.leave(byte),
            Mode::Quoted if byte == b'"' => self.leave(byte),
            Mode::Bracket if byte == b']' && self.byte(1) == Some(b']') => self.at += 2,
            Mode::Bracket if byte == b']' => self.leave(byte),
            Mode::Line if byte == b'\n' => {
                self.mode = Mode::Code;
                self.at += 1;
            }
            Mode::Comment(depth) if byte == b'*' && self.byte(1) == Some(b'/') => {
                self.mode = if depth > 1 { Mode::Comment(depth - 1) } else { Mode::Code };
                self.at += 2;
            }
            Mode::Comment(depth) if byte == b'/' && self.byte(1) == Some(b'*') => {
                self.mode = Mode::Comment(depth + 1);
                self.at += 2;
            }
            _ => self.skip(),
        }
        Ok(None)
    }

    /// Goes behind everything that means nothing in a text, a name or a comment.
    fn skip(&mut self) {
        let rest = self.buffer.as_bytes().get(self.at + 1..).unwrap_or_default();
        let means = |b: &u8| matches!(b, b'\n' | b'\'' | b'"' | b']' | b'*' | b'/');
        self.at += 1 + rest.iter().position(means).unwrap_or(rest.len());
    }

    fn leave(&mut self, byte: u8) {
        self.mode = Mode::Code;
        self.last = byte;
        self.at += 1;
    }

    fn code(&mut self, byte: u8) -> Result<Option<Part>, ScriptError> {
        match byte {
            b'\'' => self.open(Mode::Text),
            b'"' => self.open(Mode::Quoted),
            b'[' => self.open(Mode::Bracket),
            b'-' if self.byte(1) == Some(b'-') => self.enter(Mode::Line, 2),
            b'/' if self.byte(1) == Some(b'*') => self.enter(Mode::Comment(1), 2),
            b':' if self.blank
                && self.batch.brackets + self.batch.blocks == 0
                && self.byte(1).is_some_and(|b| b.is_ascii_alphabetic()) =>
            {
                return Ok(self.directive());
            }
            b'(' | b')' => {
                self.bracket(byte);
                self.significant(byte);
            }
            b';' => {
                self.significant(byte);
                let free = !self.batch.conditional && self.batch.is_free();
                self.batch.conditional = false;
                self.batch.values = false;
                if free && self.at - self.from >= LARGE {
                    return Ok(Some(self.cut(self.at, false, 1)));
                }
            }
            b if b.is_ascii_whitespace() => self.at += 1,
            b if b.is_ascii_alphabetic() || b == b'_' => return self.word(),
            // A number, a variable or a letter beyond ASCII: the letters behind it are part of it.
            b if b.is_ascii_digit() || matches!(b, b'@' | b'#' | b'$') || b >= 0x80 => {
                let length = self.word_length();
                self.batch.begins = false;
                self.last = b'x';
                self.blank = false;
                self.at += length;
            }
            _ => self.significant(byte),
        }
        Ok(None)
    }

    fn open(&mut self, mode: Mode) {
        self.begin_batch(Head::Other);
        self.blank = false;
        self.batch.begins = false;
        self.enter(mode, 1);
    }

    fn significant(&mut self, byte: u8) {
        self.begin_batch(Head::Other);
        self.blank = false;
        self.batch.begins = false;
        self.last = byte;
        self.at += 1;
    }

    /// A batch that begins with anything but CREATE or ALTER is no module.
    fn begin_batch(&mut self, head: Head) {
        if self.batch.module == Head::Nothing {
            self.batch.module = head;
        }
    }

    fn bracket(&mut self, byte: u8) {
        if byte == b'(' {
            self.batch.opened.get_or_insert((self.line, self.at));
            self.batch.brackets += 1;
        } else {
            self.batch.brackets = self.batch.brackets.saturating_sub(1);
            self.batch.closed();
        }
    }

    fn word_length(&self) -> usize {
        let rest = self.buffer.as_bytes().get(self.at..).unwrap_or_default();
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'#' | b'$') || *b >= 0x80;
        rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len()).max(1)
    }

    fn word(&mut self) -> Result<Option<Part>, ScriptError> {
        let length = self.word_length();
        let word = self.buffer.get(self.at..self.at + length).unwrap_or_default();
        let is = |wanted: &str| word.eq_ignore_ascii_case(wanted);
        if self.blank
            && is("GO")
            && let Some((count, end)) = self.go(self.at + length)
        {
            let times = count.unwrap_or(1);
            if times > MAX_REPEATS {
                return Err(ScriptError::Repeats { count: times, place: self.place_of(self.line, self.at) });
            }
            let piece = self.cut(self.at, true, times);
            // Behind the line: its newline, if there is one, is read as usual.
            self.at = end;
            self.from = end;
            self.place = self.place_of(self.line, end);
            return Ok(Some(piece));
        }
        // Nothing that begins a statement continues an INSERT whose values are closed. What an IF governed is whole then, too.
        let starts = ["INSERT", "IF", "UPDATE", "DELETE", "SET", "DECLARE", "PRINT", "EXEC"];
        if self.batch.values
            && self.at - self.from >= LARGE
            && matches!(self.last, b')' | b';')
            && self.batch.is_free()
            && starts.iter().any(|start| is(start))
        {
            let piece = self.cut(self.at, false, 1);
            return Ok(Some(piece));
        }
        let begins = self.batch.begins;
        self.batch.begins = false;
        let head = match self.batch.module {
            Head::Nothing if is("CREATE") || is("ALTER") => Head::Create,
            Head::Create if is("OR") => Head::Or,
            Head::Or if is("ALTER") => Head::Create,
            Head::Create if is("PROC") || is("PROCEDURE") || is("FUNCTION") || is("VIEW") || is("TRIGGER") => {
                Head::Module
            }
            Head::Module => Head::Module,
            _ => Head::Other,
        };
        self.batch.module = head;
        if is("BEGIN") || is("CASE") {
            self.batch.opened.get_or_insert((self.line, self.at));
            self.batch.blocks += 1;
            self.batch.begins = is("BEGIN");
        } else if is("END") || (begins && NO_BLOCKS.iter().any(|word| is(word))) {
            // A transaction or a dialogue is begun without a block.
            self.batch.blocks = self.batch.blocks.saturating_sub(1);
            self.batch.closed();
        } else if is("IF") || is("ELSE") || is("WHILE") || is("MERGE") {
            self.batch.conditional = true;
        }
        if self.batch.brackets == 0 {
            let statement =
                ["INSERT", "SELECT", "UPDATE", "DELETE", "MERGE", "SET", "IF", "ELSE", "WHILE", "EXEC", "UNION"];
            if is("VALUES") {
                self.batch.values = true;
            } else if statement.iter().any(|s| is(s)) {
                self.batch.values = false;
            }
        }
        self.last = b'x';
        self.blank = false;
        self.at += length;
        Ok(None)
    }

    /// What stands on a line behind GO: a count, a semicolon, a comment, and nothing else. Gives where the line ends.
    fn go(&self, from: usize) -> Option<(Option<u64>, usize)> {
        let rest = self.buffer.get(from..)?;
        let line = rest.split('\n').next().unwrap_or_default();
        let end = from + line.len();
        let mut words = line.trim();
        let digits = words.find(|c: char| !c.is_ascii_digit()).unwrap_or(words.len());
        // `GO2` is a word of its own and was never taken for GO.
        let count = words.get(..digits).filter(|d| !d.is_empty()).map(|d| d.parse().unwrap_or(u64::MAX));
        words = words.get(digits..)?.trim_start().trim_start_matches(';').trim_start();
        let comment = words.is_empty() || words.starts_with("--") || (words.starts_with("/*") && words.ends_with("*/"));
        comment.then_some((count, end))
    }

    /// A line for sqlcmd. What stands before it in the batch comes first.
    fn directive(&mut self) -> Option<Part> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let end = self.at + line.len();
        if !self.buffer.get(self.from..self.at).unwrap_or_default().trim().is_empty() {
            return Some(self.cut(self.at, false, 1));
        }
        let place = self.place_of(self.line, self.at);
        let said = line.trim().trim_start_matches(':');
        let (name, argument) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let part = Part::Directive(name.to_ascii_lowercase(), argument.trim().to_owned(), place);
        self.at = end;
        self.from = end;
        self.place = self.place_of(self.line, end);
        Some(part)
    }

    fn cut(&mut self, to: usize, ends_batch: bool, times: u64) -> Part {
        let text = self.buffer.get(self.from..to).unwrap_or_default().to_owned();
        let piece = Piece { text, place: self.place, ends_batch, times, ends_script: false };
        self.from = to;
        self.place = self.place_of(self.line, to);
        if ends_batch {
            self.batch = Batch::default();
            self.last = 0;
        } else {
            self.batch.values = false;
        }
        Part::Piece(piece)
    }

    /// The end of the script: nothing may be open, and the rest is a piece.
    fn end(&mut self) -> Result<Option<Part>, ScriptError> {
        let what = match self.mode {
            Mode::Text => "a text, which begins with ' here and does not end",
            Mode::Quoted => "a name, which begins with \" here and does not end",
            Mode::Bracket => "a name, which begins with [ here and does not end",
            Mode::Comment(_) => "a comment, which begins with /* here and does not end",
            Mode::Code | Mode::Line => "",
        };
        if !what.is_empty() {
            let (line, at) = self.entered;
            return Err(ScriptError::Ends { what, place: self.place_of(line, at) });
        }
        if let Some((line, at)) = self.batch.opened.filter(|_| self.batch.brackets > 0 || self.batch.blocks > 0) {
            let what = if self.batch.brackets > 0 {
                "brackets, which begin here and are not closed"
            } else {
                "a block (BEGIN or CASE), which begins here and has no END"
            };
            return Err(ScriptError::Ends { what, place: self.place_of(line, at) });
        }
        self.done = true;
        if self.buffer.get(self.from..).unwrap_or_default().trim().trim_end_matches('\u{1a}').is_empty() {
            return Ok(None);
        }
        match self.cut(self.buffer.len(), true, 1) {
            Part::Piece(piece) => Ok(Some(Part::Piece(Piece { ends_script: true, ..piece }))),
            other => Ok(Some(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn parts(text: &str) -> Result<Vec<Part>, ScriptError> {
        let mut pieces = Pieces::new(Cursor::new(text.as_bytes().to_vec()))?;
        let mut out = Vec::new();
        while let Some(part) = pieces.read()? {
            out.push(part);
        }
        Ok(out)
    }

    fn texts(text: &str) -> Vec<(String, u64)> {
        let piece = |part| match part {
            Part::Piece(piece) => (piece.text.trim().to_owned(), piece.times),
            Part::Directive(name, argument, _) => (format!("<{name} {argument}>"), 0),
        };
        parts(text).unwrap().into_iter().map(piece).collect()
    }

    #[test]
    fn go_ends_a_batch_where_it_is_no_part_of_anything() {
        let one = |text: &str| (text.to_owned(), 1);
        assert_eq!(texts("a\ngo\nb\r\n GO 2\r\nc"), [one("a"), ("b".into(), 2), one("c")]);
        assert_eq!(texts("a\nGO -- why\nb\n/* x */ GO;\nc"), [one("a"), one("b\n/* x */"), one("c")]);
        for whole in
            ["a 'x\nGO\ny'", "a [x\nGO\ny]", "a /* x\nGO\n/* */ */", "a\nGO to\nb", "a\nGOAT\nb", "go_on", "a -- 'x\nb"]
        {
            assert_eq!(texts(whole), [one(whole)], "{whole}");
        }
        assert_eq!(
            texts("a\n:r sub\\b.sql\n:setvar x 1\nc"),
            [one("a"), ("<r sub\\b.sql>".into(), 0), ("<setvar x 1>".into(), 0), one("c")]
        );
        assert_eq!(texts("\n\n GO \n"), [("".to_owned(), 1)]);
    }

    #[test]
    fn places_are_those_of_the_script() {
        let parts = parts("a\nGO\n\n  b 'é'\nGO\nc").unwrap();
        let places: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::Piece(piece) => (piece.place.line, piece.place.column),
                Part::Directive(..) => (0, 0),
            })
            .collect();
        assert_eq!(places, [(1, 1), (2, 3), (5, 3)]);
    }

    #[test]
    fn what_is_open_at_the_end_is_told_with_its_place() {
        let cases = [
            ("a\n  b 'x\nGO\n", 2, 5, "text"),
            ("a\n/* x", 2, 1, "comment"),
            ("a [b", 1, 3, "name"),
            ("INSERT t VALUES (1,\n(2", 1, 17, "brackets"),
            ("IF 1 = 1\nBEGIN\nx", 2, 1, "block"),
        ];
        for (text, line, column, word) in cases {
            match parts(text) {
                Err(ScriptError::Ends { what, place }) => {
                    assert_eq!((place.line, place.column), (line, column), "{text}");
                    assert!(what.contains(word), "{what}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(parts("BEGIN TRAN\nSELECT CASE WHEN 1 = 1 THEN 2 END\nCOMMIT").is_ok());
    }

    #[test]
    fn a_large_batch_is_cut_behind_whole_statements_only() {
        let row = "INSERT [dbo].[t] ([a], [b]) VALUES (1, N'; INSERT (')\n";
        let guarded = "IF NOT EXISTS (SELECT 1)\nINSERT [dbo].[t] ([a], [b]) VALUES (1, N'x')\n";
        let text = format!("{}{}{}", row.repeat(30_000), guarded.repeat(30_000), row.repeat(3));
        let pieces = parts(&text).unwrap();
        assert!(pieces.len() > 3, "{}", pieces.len());
        let mut all = String::new();
        for part in &pieces {
            let Part::Piece(piece) = part else { panic!("{part:?}") };
            let start = piece.text.trim_start();
            assert!(
                start.starts_with("INSERT") || start.starts_with("IF NOT"),
                "{}",
                start.chars().take(80).collect::<String>()
            );
            // An INSERT that an IF governs is never cut off from it.
            assert!(!piece.text.trim_end().ends_with("(SELECT 1)"));
            all.push_str(&piece.text);
        }
        assert!(all == text);
        // One endless line of statements is cut as well, one endless statement is refused.
        let line = "INSERT t VALUES (1);".repeat(200_000);
        assert!(parts(&line).unwrap().len() > 2);
        let endless = format!("INSERT t SELECT 1{}", ", 'some text of no use'".repeat(2_000_000));
        assert!(matches!(parts(&endless), Err(ScriptError::TooLong { .. })));
    }
}
