//! From the bytes of a script to its characters.

use std::io::{Read, Seek, SeekFrom};

use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::ScriptError;

/// How many bytes are read at once.
const BLOCK: usize = 64 * 1024;

/// How a script is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with a byte order mark or without.
    Utf8,
    /// UTF-16, little end first: what Management Studio writes.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
    /// The code page of Western Europe, for what is no UTF-8.
    Windows1252,
}

impl Encoding {
    /// Finds the encoding of a script and how long its mark is: by the mark, by the zeros of UTF-16, and then by whether
    /// all of it is UTF-8. The input stands at its beginning afterwards.
    ///
    /// # Errors
    /// When it cannot be read, or has zeros that no text has.
    pub fn detect(input: &mut (impl Read + Seek)) -> Result<(Encoding, usize), ScriptError> {
        let mut block = vec![0; BLOCK];
        let read = fill(input, &mut block)?;
        let head = block.get(..read).unwrap_or_default();
        let found = match head {
            [0xef, 0xbb, 0xbf, ..] => Some((Encoding::Utf8, 3)),
            [0xff, 0xfe, ..] => Some((Encoding::Utf16Le, 2)),
            [0xfe, 0xff, ..] => Some((Encoding::Utf16Be, 2)),
            _ => unmarked_utf16(head).map(|encoding| (encoding, 0)),
        };
        let found = match found {
            Some((Encoding::Utf8, mark)) => {
                no_zeros(input, &mut block, read)?;
                (Encoding::Utf8, mark)
            }
            Some(found) => found,
            None => (if no_zeros(input, &mut block, read)? { Encoding::Utf8 } else { Encoding::Windows1252 }, 0),
        };
        input.seek(SeekFrom::Start(0))?;
        Ok(found)
    }
}

/// In UTF-16 of a language of Latin letters every other byte is zero; a script's key words see to that in every language.
fn unmarked_utf16(head: &[u8]) -> Option<Encoding> {
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let many = (head.len() / 5).max(1);
    match (even, odd) {
        (0, odd) if odd > many => Some(Encoding::Utf16Le),
        (even, 0) if even > many => Some(Encoding::Utf16Be),
        _ => None,
    }
}

/// Reads to the end. Gives whether it is UTF-8 as a whole; a zero is an error.
fn no_zeros(input: &mut impl Read, block: &mut [u8], mut length: usize) -> Result<bool, ScriptError> {
    let (mut valid, mut carried, mut offset) = (true, Vec::new(), 0_u64);
    loop {
        let bytes = block.get(..length).unwrap_or_default();
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            return Err(ScriptError::Binary { offset: offset + at as u64, byte: 0 });
        }
        if valid {
            carried.extend_from_slice(bytes);
            match std::str::from_utf8(&carried) {
                Ok(_) => carried.clear(),
                Err(error) if error.error_len().is_none() => {
                    carried.drain(..error.valid_up_to());
                }
                Err(_) => valid = false,
            }
        }
        offset += length as u64;
        length = fill(input, block)?;
        if length == 0 {
            return Ok(valid && carried.is_empty());
        }
    }
}

/// Reads until the block is full or the input ends.
fn fill(input: &mut impl Read, block: &mut [u8]) -> Result<usize, ScriptError> {
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// The characters of a script, read bit by bit.
pub struct Text<R> {
    input: R,
    decoder: Decoder,
    encoding: Encoding,
    block: Vec<u8>,
    ended: bool,
    broken: u64,
    before: u64,
}

impl<R: Read + Seek> Text<R> {
    /// Finds the encoding and stands before the first character.
    ///
    /// # Errors
    /// As [`Encoding::detect`].
    pub fn new(mut input: R) -> Result<Self, ScriptError> {
        let (encoding, mark) = Encoding::detect(&mut input)?;
        input.seek(SeekFrom::Start(mark as u64))?;
        let of = match encoding {
            Encoding::Utf8 => UTF_8,
            Encoding::Utf16Le => UTF_16LE,
            Encoding::Utf16Be => UTF_16BE,
            Encoding::Windows1252 => WINDOWS_1252,
        };
        let decoder = of.new_decoder_without_bom_handling();
        Ok(Text { input, decoder, encoding, block: vec![0; BLOCK], ended: false, broken: 0, before: 0 })
    }

    /// The encoding that was found.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many stretches were no characters and stand as U+FFFD.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Adds some more characters to a text; `false` when there are none.
    ///
    /// # Errors
    /// When the input cannot be read, or is no text after all.
    pub fn read(&mut self, out: &mut String) -> Result<bool, ScriptError> {
        if self.ended {
            return Ok(false);
        }
        let from = out.len();
        let read = fill(&mut self.input, &mut self.block)?;
        self.ended = read < self.block.len();
        let bytes = self.block.get(..read).unwrap_or_default();
        out.reserve(self.decoder.max_utf8_buffer_length(read).unwrap_or(read * 3 + 16));
        let (_, _, broken) = self.decoder.decode_to_string(bytes, out, self.ended);
        self.broken += u64::from(broken);
        let new = out.as_bytes().get(from..).unwrap_or_default();
        if let Some(at) = new.iter().position(|byte| *byte == 0) {
            return Err(ScriptError::Binary { offset: self.before + at as u64, byte: 0 });
        }
        self.before += read as u64;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(bytes: &[u8]) -> Result<(Encoding, String), ScriptError> {
        let mut text = Text::new(Cursor::new(bytes.to_vec()))?;
        let mut out = String::new();
        while text.read(&mut out)? {}
        Ok((text.encoding(), out))
    }

    #[test]
    fn every_encoding_is_found_with_its_mark_and_without() {
        let sql = "INSERT t VALUES (N'Adélaïde, सीता')\r\nGO\r\n".repeat(5_000);
        let little = || sql.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = || sql.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        let cases = [
            (sql.clone().into_bytes(), Encoding::Utf8),
            (marked(b"\xef\xbb\xbf", sql.clone().into_bytes()), Encoding::Utf8),
            (little(), Encoding::Utf16Le),
            (marked(b"\xff\xfe", little()), Encoding::Utf16Le),
            (big(), Encoding::Utf16Be),
            (marked(b"\xfe\xff", big()), Encoding::Utf16Be),
        ];
        for (bytes, encoding) in cases {
            let found = read(&bytes).unwrap();
            assert_eq!(found.0, encoding);
            assert!(found.1 == sql, "{encoding:?}");
        }
        // A single byte of a code page, far behind the first block.
        let mut western = "-- plain\n".repeat(20_000).into_bytes();
        western.extend(b"N'Ad\xe9la\xefde'");
        let found = read(&western).unwrap();
        assert!(found.0 == Encoding::Windows1252 && found.1.ends_with("N'Adélaïde'"));
        assert_eq!(read(b"").unwrap(), (Encoding::Utf8, String::new()));
    }

    #[test]
    fn what_is_no_text_says_where() {
        let mut bytes = b"SELECT 1 -- fine\n".repeat(10_000);
        let at = bytes.len() as u64;
        bytes.extend(b"\0\x01\x02\x03");
        assert!(matches!(read(&bytes), Err(ScriptError::Binary { offset, byte: 0 }) if offset == at));
        assert!(matches!(read(b"PK\x03\x04\0\0\x08\0\0\0"), Err(ScriptError::Binary { .. })));
    }
}
