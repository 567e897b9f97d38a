//! Lexer of case files: words, and strings with names in braces. Knows neither steps nor expectations.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Values of the names in strings.
pub(super) type Values = BTreeMap<String, Vec<u8>>;

/// A string with names to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Part>);

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Literal bytes.
    Bytes(Vec<u8>),
    /// A name, replaced by its value.
    Name(String),
}

/// Words of a line, followed by its strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) bare: Vec<String>,
    pub(super) texts: Vec<Text>,
}

impl Words {
    /// Adds the words of a line.
    ///
    /// # Errors
    ///
    /// An unterminated string, an unknown escape, or a word after a string.
    pub(super) fn add(&mut self, line: &str) -> Result<(), String> {
        let mut rest = line.chars().peekable();
        loop {
            while rest.next_if(|next| *next == ' ').is_some() {}
            match rest.next() {
                None => return Ok(()),
                Some('"') => self.texts.push(Text::read(&mut rest)?),
                Some(first) => {
                    let mut word = String::from(first);
                    while let Some(next) = rest.next_if(|next| *next != ' ') {
                        word.push(next);
                    }
                    self.word(word, &mut rest)?;
                }
            }
        }
    }

    /// All strings joined, if there are any.
    pub(super) fn text(&self) -> Option<Text> {
        let parts = self.texts.iter().flat_map(|text| text.0.iter().cloned());
        (!self.texts.is_empty()).then(|| Text(parts.collect()))
    }

    fn word(&mut self, word: String, rest: &mut Peekable<Chars>) -> Result<(), String> {
        let Some(last) = self.texts.last_mut() else {
            self.bare.push(word);
            return Ok(());
        };
        let times: String = rest.by_ref().skip_while(|next| *next == ' ').take_while(|next| *next != ' ').collect();
        match (&*word, times.parse()) {
            ("x", Ok(times)) => *last = last.repeated(times),
            _ => return Err(format!("`{word} {times}` behind a string")),
        }
        Ok(())
    }
}

impl Text {
    /// Names in the string.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Bytes(_) => None,
        })
    }

    /// Bytes of the string with names filled in. An undefined name becomes empty; the parser has rejected those.
    pub(super) fn filled(&self, values: &Values) -> Vec<u8> {
        let bytes = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::Name(name) => values.get(name).cloned().unwrap_or_default(),
        };
        self.0.iter().flat_map(bytes).collect()
    }

    fn repeated(&self, times: usize) -> Self {
        Self(self.0.iter().cycle().take(self.0.len() * times).cloned().collect())
    }

    /// Reads a string after its opening quote, up to and including the closing one.
    fn read(rest: &mut Peekable<Chars>) -> Result<Self, String> {
        let (mut parts, mut bytes) = (vec![], vec![]);
        loop {
            match rest.next().ok_or("a string does not end")? {
                '"' => break,
                '\\' => escaped(rest, &mut bytes)?,
                '{' => match name(rest) {
                    Some(name) => parts.extend([Part::Bytes(std::mem::take(&mut bytes)), Part::Name(name)]),
                    None => bytes.push(b'{'),
                },
                other => push(other, &mut bytes),
            }
        }
        parts.push(Part::Bytes(bytes));
        Ok(Self(parts))
    }
}

/// Reads a name and its closing brace after an opening brace; takes nothing if no name follows.
fn name(rest: &mut Peekable<Chars>) -> Option<String> {
    let ahead: String = rest.clone().take_while(|next| *next != '}').collect();
    let closes = rest.clone().nth(ahead.chars().count()).is_some();
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let found = closes && ahead.starts_with(|first: char| first.is_ascii_lowercase()) && ahead.chars().all(is_name);
    found.then(|| rest.nth(ahead.len())).map(|_| ahead)
}

fn escaped(rest: &mut Peekable<Chars>, bytes: &mut Vec<u8>) -> Result<(), String> {
    let next = rest.next().ok_or("a string does not end")?;
    match next {
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'f' => bytes.push(0x0c),
        'v' => bytes.push(0x0b),
        '0' => bytes.push(0),
        '\\' | '"' => push(next, bytes),
        'x' => {
            let digits: String = rest.by_ref().take(2).collect();
            bytes.push(u8::from_str_radix(&digits, 16).map_err(|_| format!("`\\x{digits}` is no byte"))?);
        }
        'u' => {
            let digits: String = rest.by_ref().skip(1).take_while(|next| *next != '}').collect();
            let character = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            push(character.ok_or_else(|| format!("`\\u{{{digits}}}` is no character"))?, bytes);
        }
        other => return Err(format!("there is no escape `\\{other}`")),
    }
    Ok(())
}

fn push(character: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Words, String> {
        let mut words = Words::default();
        words.add(line).map(|()| words)
    }

    #[test]
    fn strings_hold_bytes_characters_and_names() {
        let words = words(r#"send a "\x00\u{e9}\"{client}{}[]{x y}{" "Z" x 3"#).unwrap();
        assert_eq!(words.bare, ["send", "a"]);
        let values = Values::from([("client".into(), b"kiwi".to_vec())]);
        assert_eq!(words.text().unwrap().filled(&values), "\0é\"kiwi{}[]{x y}{ZZZ".as_bytes());
    }

    #[test]
    fn strings_with_errors_are_refused_with_the_reason() {
        assert_eq!(words(r#"ask "a"#).unwrap_err(), "a string does not end");
        assert_eq!(words(r#"ask "\q""#).unwrap_err(), r"there is no escape `\q`");
        assert_eq!(words(r#"ask "\xfg""#).unwrap_err(), r"`\xfg` is no byte");
        assert_eq!(words(r#"ask "a" now"#).unwrap_err(), "`now ` behind a string");
    }
}
