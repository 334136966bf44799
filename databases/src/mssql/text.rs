//! Texts of a server as UTF-8, appended to what is there.

use encoding_rs::{DecoderResult, Encoding, UTF_16LE};

/// Appends UTF-16, little end first.
///
/// # Errors
/// Says why the bytes are no text; what was appended by then is the caller's to take back.
pub(super) fn push_utf16(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    // ASCII, as nearly every text is, needs nothing but its low bytes; a loop without branches, which compilers make wide.
    let mut others = 0;
    out.extend(bytes.chunks_exact(2).map(|pair| {
        let (low, high) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
        others |= (low & 0x80) | high;
        low
    }));
    if !bytes.len().is_multiple_of(2) {
        return Err("the text ends in the middle of a UTF-16 unit".to_owned());
    }
    if others == 0 {
        return Ok(());
    }
    out.truncate(start);
    let mut decoder = UTF_16LE.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len() * 2 + 4);
    out.resize(start + room, 0);
    let to = out.get_mut(start..).unwrap_or_default();
    let (result, _, written) = decoder.decode_to_utf8_without_replacement(bytes, to, true);
    out.truncate(start + written);
    if result == DecoderResult::InputEmpty { Ok(()) } else { Err(why_no_utf16(bytes)) }
}

/// Which half of a surrogate pair stands alone.
fn why_no_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    match char::decode_utf16(units).find_map(Result::err) {
        Some(e) => {
            format!("the text is not valid UTF-16: half a surrogate pair (0x{:04X})", e.unpaired_surrogate())
        }
        None => "the text is not valid UTF-16".to_owned(),
    }
}

/// Appends a text of a code page.
///
/// # Errors
/// Says why the bytes are no text.
pub(super) fn push_page(bytes: &[u8], page: &'static Encoding, out: &mut Vec<u8>) -> Result<(), String> {
    if bytes.is_ascii() {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    match page.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => return Err(format!("the text holds bytes that the code page {} does not have", page.name())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(units: &[u16]) -> Vec<u8> {
        units.iter().flat_map(|u| u.to_le_bytes()).collect()
    }

    #[test]
    fn texts_and_what_is_none() {
        let mut out = b"before ".to_vec();
        push_utf16(&utf16(&[0x928, 0xD83D, 0xDE00]), &mut out).unwrap();
        push_utf16(&[], &mut out).unwrap();
        push_page(b"\xCA\xE1", encoding_rs::WINDOWS_1253, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "before न😀Κα");
        assert!(push_utf16(&utf16(&[0x41, 0xD83D]), &mut Vec::new()).unwrap_err().contains("0xD83D"));
        assert!(push_utf16(b"abc", &mut Vec::new()).is_err());
        assert!(push_page(b"\xFF", encoding_rs::WINDOWS_1253, &mut Vec::new()).unwrap_err().contains("windows-1253"));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(first in "\\PC{0,20}", second in "[ -~]{0,40}") {
            let mut out = Vec::new();
            for text in [&first, &second] {
                push_utf16(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), &mut out).unwrap();
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), first + &second);
        }
    }
}
