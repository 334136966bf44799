//! JSON as `jsonb` means it: keys in order, the last of two equal keys, numbers by value to the last digit.

use std::collections::BTreeMap;

/// How deep JSON may nest; deeper is compared as text.
const DEPTH: usize = 128;

/// The canonical bytes of a JSON text; `None` for what is none.
pub(super) fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: text, depth: 0 };
    let mut out = Vec::with_capacity(text.len());
    reader.value(&mut out)?;
    reader.blank();
    reader.rest.is_empty().then_some(out)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn takes(&mut self, mark: char) -> bool {
        self.blank();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        self.blank();
        match self.rest.as_bytes().first()? {
            b'{' => self.object(out)?,
            b'[' => self.array(out)?,
            b'"' => {
                let text = self.string()?;
                out.extend(serde_json::to_vec(&text).ok()?);
            }
            b'-' | b'0'..=b'9' => self.number(out)?,
            _ => {
                let word = ["true", "false", "null"].into_iter().find(|word| self.rest.starts_with(word))?;
                self.rest = self.rest.get(word.len()..)?;
                out.extend(word.as_bytes());
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn object(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.takes('{');
        let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        if !self.takes('}') {
            loop {
                self.blank();
                let key = self.string()?;
                if !self.takes(':') {
                    return None;
                }
                let mut value = Vec::new();
                self.value(&mut value)?;
                members.insert(key, value);
                if self.takes('}') {
                    break;
                }
                if !self.takes(',') {
                    return None;
                }
            }
        }
        out.push(b'{');
        for (key, value) in members {
            out.extend(serde_json::to_vec(&key).ok()?);
            out.push(b':');
            out.extend(value);
            out.push(b',');
        }
        out.push(b'}');
        Some(())
    }

    fn array(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.takes('[');
        out.push(b'[');
        if !self.takes(']') {
            loop {
                self.value(out)?;
                out.push(b',');
                if self.takes(']') {
                    break;
                }
                if !self.takes(',') {
                    return None;
                }
            }
        }
        out.push(b']');
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return None;
        }
        let mut at = 1;
        loop {
            match bytes.get(at)? {
                b'\\' => at += 2,
                b'"' => break,
                _ => at += 1,
            }
        }
        let (token, rest) = self.rest.split_at_checked(at + 1)?;
        self.rest = rest;
        serde_json::from_str(token).ok()
    }

    /// A number as digits and a power of ten, neither end of the digits a zero.
    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        serde_json::from_str::<serde::de::IgnoredAny>(token).ok()?;
        self.rest = rest;
        let (mantissa, power) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let joined = format!("{whole}{fraction}");
        let power = power.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let digits = joined.trim_start_matches('0');
        let short = digits.trim_end_matches('0');
        let power = power.checked_add(i64::try_from(digits.len() - short.len()).ok()?)?;
        match short {
            "" => out.push(b'0'),
            short => {
                let sign = if negative { "-" } else { "" };
                out.extend(format!("{sign}{short}e{power}").as_bytes());
            }
        }
        Some(())
    }
}
