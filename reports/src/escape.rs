//! The one place that makes text harmless where it ends: in HTML, XML and JSON, in a CSV cell, on a terminal.
//!
//! Names of tables and columns, reasons, notes and locations come from databases and files of other people. A character
//! that nobody sees (control characters, marks that turn the reading direction, invisible tags) is written as
//! `\u{202e}`, so that a name cannot pretend to be another one.

use std::borrow::Cow;

/// Whether a character does something without being seen: it moves the cursor, turns the direction of reading, or breaks
/// a line behind the reader's back. The joiners U+200C and U+200D are letters' business in Persian and Indic scripts and stay.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_seen(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => out.extend(c.escape_unicode()),
    }
}

/// Text for the content or a quoted attribute of HTML.
pub fn html(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'' | '`') || (is_unseen(c) && c != '\n');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c if special(c) => push_seen(&mut out, c),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The text of a CSV cell, which a spreadsheet must not take for a formula: a leading `=`, `+`, `-`, `@`, TAB or CR gets
/// an apostrophe before it. Quoting is left to whoever writes the CSV.
pub fn csv(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Text for XML, whose writer still escapes markup: what XML 1.0 forbids and what nobody sees is written out, on one line.
pub fn xml(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| is_unseen(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !text.contains(forbidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if forbidden(c) { push_seen(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// JSON in which the characters that nobody sees are written as `\u202e`. They can only stand within its texts, so that nothing is
/// lost: who reads the JSON gets them back.
pub fn json(json: &str) -> Cow<'_, str> {
    let unseen = |c: char| is_unseen(c) && !matches!(c, '\n' | '\r' | '\t');
    if !json.contains(unseen) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Text for a terminal, on one line.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) { push_seen(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_keeps_text_and_disarms_markup() {
        for (text, expected) in [
            ("", ""),
            ("tblHF.LocationId", "tblHF.LocationId"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("it's `so` & so", "it&#39;s &#96;so&#96; &amp; so"),
            ("&lt;", "&amp;lt;"),
            ("a\nb", "a\nb"),
            ("a\u{202e}txt\u{0}", "a\\u{202e}txt\\u{0}"),
            ("سجل می\u{200c}شود", "سجل می\u{200c}شود"),
        ] {
            assert_eq!(html(text), expected, "{text:?}");
        }
    }

    #[test]
    fn csv_cells_are_no_formulas() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("a=b", "a=b"),
            ("'=1", "'=1"),
        ] {
            assert_eq!(csv(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_terminal_shows_what_is_there() {
        for (text, expected) in [
            ("tblClaim", "tblClaim"),
            ("host\\INSTANCE", "host\\INSTANCE"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\r\tc\u{7f}\u{9b}", "a\\nb\\r\\tc\\u{7f}\\u{9b}"),
            ("\u{200f}\u{2066}x\u{2069}\u{61c}", "\\u{200f}\\u{2066}x\\u{2069}\\u{61c}"),
            ("नेपाल é 保険", "नेपाल é 保険"),
        ] {
            assert_eq!(terminal(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn html_leaves_no_markup_and_can_be_undone(text in "[\\PC<>&\"'`\u{202e}]{0,40}") {
            let safe = html(&text);
            let left = safe.contains(['<', '>', '"', '\'', '`', '\u{202e}']);
            prop_assert!(!left, "{safe:?}");
            if !text.contains(is_unseen) {
                let back = safe.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
                prop_assert_eq!(back.replace("&#96;", "`").replace("&amp;", "&"), text);
            }
        }

        #[test]
        fn json_hides_nothing_and_loses_nothing(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let safe = json(&written);
            let hidden = safe.contains(is_unseen);
            prop_assert!(!hidden, "{safe:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }

        #[test]
        fn xml_holds_only_what_it_may(text in "(\\PC|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202e}\u{fffe}\u{ffff}]){0,40}") {
            let forbidden = xml(&text).contains(|c: char| is_unseen(c) || matches!(c, '\u{fffe}' | '\u{ffff}'));
            prop_assert!(!forbidden, "{text:?}");
        }

        #[test]
        fn a_terminal_gets_nothing_unseen(text in any::<String>()) {
            prop_assert!(!terminal(&text).contains(is_unseen), "{text:?}");
        }

        #[test]
        fn no_csv_cell_begins_a_formula(text in "[=+@\t\r-]?.*") {
            let formula = csv(&text).starts_with(['=', '+', '-', '@', '\t', '\r']);
            prop_assert!(!formula, "{text:?}");
        }
    }
}
