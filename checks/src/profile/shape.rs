//! The shape of a text: what kind of character stands where, and no character of it.

use std::fmt::Write;

/// How many characters of a text are looked at; a longer one has a shape that ends with `…`.
const CHARS: usize = 80;
/// How long a shape gets.
const LONGEST: usize = 48;

/// The shape of a text: digits as `9`, letters as `A` and `a` (also those of scripts without cases), what separates as it
/// is, anything else as `¤`; the same several times as `9{5}`. The empty text has the empty shape.
///
/// No letter and no digit of the text is in it: `Anna-9` and `Emil-3` are both `Aa{3}-9`.
pub fn shape(text: &str) -> String {
    let mut out = String::new();
    shape_into(text, &mut out);
    out
}

/// The same into a buffer, which is emptied first.
pub(super) fn shape_into(text: &str, out: &mut String) {
    out.clear();
    let mut run: Option<(char, usize)> = None;
    let mut characters = text.chars();
    for class in characters.by_ref().take(CHARS).map(class) {
        match &mut run {
            Some((same, count)) if *same == class => *count += 1,
            _ => {
                if let Some(run) = run {
                    push(out, run);
                }
                run = Some((class, 1));
            }
        }
        if out.len() > LONGEST {
            break;
        }
    }
    if let Some(run) = run {
        push(out, run);
    }
    if characters.next().is_some() {
        out.push('…');
    }
}

fn push(out: &mut String, (class, count): (char, usize)) {
    out.push(class);
    // Whoever reads `--` sees two of them; digits and letters are always counted.
    if count > 1 && (count > 2 || class.is_alphanumeric()) {
        let _ = write!(out, "{{{count}}}");
    } else if count == 2 {
        out.push(class);
    }
}

/// What a character is drawn as.
fn class(c: char) -> char {
    match c {
        '0'..='9' => '9',
        'a'..='z' => 'a',
        'A'..='Z' => 'A',
        ' '..='~' => c,
        _ if c.is_uppercase() => 'A',
        _ if c.is_numeric() => '9',
        _ if c.is_alphabetic() => 'a',
        _ if c.is_whitespace() && !c.is_control() => ' ',
        // Dashes, quotes, dots of typography.
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' => c,
        // Signs of vowels and the like belong to letters of scripts that write them so.
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5c7}'
        | '\u{610}'..='\u{8ff}'
        | '\u{900}'..='\u{109f}'
        | '\u{135d}'..='\u{135f}'
        | '\u{1780}'..='\u{17d3}'
        | '\u{200c}'
        | '\u{200d}' => 'a',
        _ => '¤',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shape_shows_the_form_only() {
        for (text, expected) in [
            ("", ""),
            ("105000001", "9{9}"),
            ("+999 123-45", "+9{3} 9{3}-9{2}"),
            ("family9@example.org", "a{6}9@a{7}.a{3}"),
            ("Anna-9", "Aa{3}-9"),
            ("N/A", "A/A"),
            ("--", "--"),
            ("-----", "-{5}"),
            ("  x ", "  a "),
            ("Élodie O’Neill", "Aa{5} A’Aa{4}"),
            ("हेम हरि", "a{3} a{3}"),
            ("१२३", "9{3}"),
            ("漢字", "a{2}"),
            ("a\u{7}\u{202e}b", "a¤¤a"),
            ("x😀", "a¤"),
        ] {
            assert_eq!(shape(text), expected, "{text:?}");
        }
        assert_eq!(shape(&"9".repeat(500)), "9{80}…");
        assert!(shape(&"a1".repeat(500)).chars().count() < 60);
    }

    proptest! {
        #[test]
        fn no_letter_and_no_digit_survives(text in ".{0,40}") {
            let shape = shape(&text);
            let drawn = |c: char| matches!(c, '9' | 'a' | 'A');
            // Counts stand in braces; a brace of the text itself is no danger, for its digits are 9.
            let mut depth = 0;
            for c in shape.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth = 0,
                    c if c.is_alphanumeric() && depth == 0 => prop_assert!(drawn(c), "{shape:?} of {text:?}"),
                    _ => {}
                }
            }
        }
    }
}
