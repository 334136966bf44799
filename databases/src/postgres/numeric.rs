//! PostgreSQL's binary `numeric`, to and from scaled 128-bit integers, to the last digit.
//!
//! A numeric is a run of digits in base 10,000 with the weight of the first one, a sign and a display scale.

use bytes::{Buf, BufMut, BytesMut};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const BASE: u128 = 10_000;

/// Writes the value `unscaled / 10^scale`, preceded by its length as a COPY field has it.
pub fn put(out: &mut BytesMut, unscaled: i128, scale: u8) {
    let mut rest = unscaled.unsigned_abs();
    let mut digits = [0u16; 12];
    let mut count = 0;
    // The last base-10,000 digit holds what is left of the scale, shifted to the left to fill four decimal places.
    let partial = u32::from(scale % 4);
    if partial != 0 && rest != 0 {
        let within = 10u128.pow(partial);
        digits[count] = ((rest % within) * 10u128.pow(4 - partial)) as u16;
        rest /= within;
        count += 1;
    }
    while rest != 0 {
        digits[count] = (rest % BASE) as u16;
        rest /= BASE;
        count += 1;
    }
    let fraction_digits = i16::from(scale.div_ceil(4));
    let weight = if count == 0 { 0 } else { count as i16 - fraction_digits - 1 };
    let trailing_zeros = digits[..count].iter().take_while(|d| **d == 0).count();
    let kept = &digits[trailing_zeros..count];
    out.put_i32(8 + 2 * kept.len() as i32);
    out.put_u16(kept.len() as u16);
    out.put_i16(weight);
    out.put_u16(if unscaled < 0 { NEGATIVE } else { POSITIVE });
    out.put_u16(u16::from(scale));
    for digit in kept.iter().rev() {
        out.put_u16(*digit);
    }
}

/// Reads a field without its length into a value scaled to `scale`; `None` when it is not finite, has more digits
/// behind the point than `scale`, or does not fit.
pub fn get(mut field: &[u8], scale: i8) -> Option<i128> {
    if field.len() < 8 {
        return None;
    }
    let count = usize::from(field.get_u16());
    let weight = i32::from(field.get_i16());
    let sign = field.get_u16();
    field.get_u16();
    if field.len() != count * 2 || (sign != POSITIVE && sign != NEGATIVE) {
        return None;
    }
    let mut value: i128 = 0;
    for at in 0..count {
        let digit = i128::from(field.get_u16());
        // This digit counts 10,000^(weight - at), that is 10^power once the scale is taken in.
        let power = (weight - i32::try_from(at).ok()?) * 4 + i32::from(scale);
        let part = if power >= 0 {
            digit.checked_mul(10i128.checked_pow(u32::try_from(power).ok()?)?)?
        } else {
            let divisor = 10i128.checked_pow(power.unsigned_abs())?;
            if digit % divisor != 0 {
                return None;
            }
            digit / divisor
        };
        value = value.checked_add(part)?;
    }
    Some(if sign == NEGATIVE { -value } else { value })
}

/// Reads a decimal text such as `-12.50` into its unscaled value and scale; `None` when it is not one or has more than
/// 38 digits.
pub fn parse(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for c in whole.bytes().chain(fraction.bytes()) {
        if !c.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(c - b'0'))?;
    }
    Some((if negative { -value } else { value }, u8::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

    fn there_and_back(value: i128, scale: u8) -> Option<i128> {
        let mut out = BytesMut::new();
        put(&mut out, value, scale);
        assert_eq!(out.get_i32() as usize, out.len());
        get(&out, i8::try_from(scale).unwrap())
    }

    #[test]
    fn extremes() {
        for scale in [0, 1, 3, 4, 10, 37, 38] {
            for value in [0, 1, -1, 9, 10_000, 99_990_000, LARGEST, -LARGEST] {
                assert_eq!(there_and_back(value, scale), Some(value), "{value} scale {scale}");
            }
        }
        assert_eq!(get(&[0, 0, 0, 0, 0xC0, 0, 0, 0], 2), None, "NaN");
        // 1,230,000 as a numeric(5,-4) has it: places before the point that are always zero.
        let mut out = BytesMut::new();
        put(&mut out, 1_230_000, 0);
        assert_eq!((get(&out[4..], -4), get(&out[4..], -5)), (Some(123), None));
        assert_eq!(parse("-12.50"), Some((-1250, 2)));
        assert_eq!(parse("1e5"), None);
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in -LARGEST..=LARGEST, scale in 0u8..=38) {
            prop_assert_eq!(there_and_back(value, scale), Some(value));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, scale in -38i8..=38) {
            let _ = get(&bytes, scale);
        }
    }
}
