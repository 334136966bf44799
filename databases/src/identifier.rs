//! Identifiers between their 16 bytes and the text that people know. Every row of openIMIS has one, and each goes this way several
//! times, so it is done many digits at once.

use uuid::Uuid;
use uuid_simd::{AsOut, AsciiCase, UuidExt, format_hyphenated};

/// Writes the text of an identifier: five groups of small letters and digits.
#[inline]
pub(crate) fn write_uuid(id: Uuid, text: &mut [u8; 36]) {
    let _ = format_hyphenated(id.as_bytes(), text.as_out(), AsciiCase::Lower);
}

/// The identifier that a text says, in any of the ways in which identifiers are written; `None` for other texts.
#[inline]
pub fn parse_uuid(text: &[u8]) -> Option<Uuid> {
    // Nearly every text is of the usual form.
    match <Uuid as UuidExt>::parse_hyphenated(text) {
        Ok(id) => Some(id),
        Err(_) => Uuid::try_parse_ascii(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_those_of_the_crate_that_everybody_uses(bytes: [u8; 16]) {
            let id = Uuid::from_bytes(bytes);
            let text = id.hyphenated().to_string();
            let mut written = [0; 36];
            write_uuid(id, &mut written);
            prop_assert_eq!(&written[..], text.as_bytes());
            for way in [text.to_uppercase(), id.simple().to_string(), id.braced().to_string(), id.urn().to_string(), text] {
                prop_assert_eq!(parse_uuid(way.as_bytes()), Some(id));
            }
        }

        /// One character is another one, or there is one more or less.
        #[test]
        fn what_is_none_for_one_is_none_for_the_other(bytes: [u8; 16], at in 0usize..36, other: u8, length in 0usize..40) {
            let mut text = Uuid::from_bytes(bytes).to_string().into_bytes();
            text[at] = other;
            prop_assert_eq!(parse_uuid(&text), Uuid::try_parse_ascii(&text).ok());
            text.resize(length, other);
            prop_assert_eq!(parse_uuid(&text), Uuid::try_parse_ascii(&text).ok());
        }
    }
}
