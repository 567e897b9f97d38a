//! Replacement of names and positions in what clients sent and guests wrote.
//!
//! Keyed, so that equal names stay equal within a log and, under one key, in several; without the key nobody can compute which name
//! belongs to a replacement. A replacement has the length and the kinds of characters of the original, so lengths and parsers see no
//! difference. What a guest derives from names is not computed here: the guest decides again.
//!
//! In a line of a client, the first field is a command, or a name if no guest knows it. Of the others, a position has the shape of
//! one, such as `+34.07-118.45`; the second field is a name whatever it looks like; a number in a later field stays, everything else is a
//! name. In texts that guests wrote, known names and positions are replaced. In answers of upstreams every value is, but not its kind.
//!
//! Knows no protocol beyond that. Bounds: the names and tokens of a log, in memory; of tokens [`TOKENS_MAX`].

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;

use herd_model::FetchAnswer;
use siphasher::sip::SipHasher24;

/// Replaces names and positions.
pub struct Redactor {
    key: [u8; 16],
    /// Words that stay: commands of guests, and names of nodes.
    words: HashSet<Vec<u8>>,
    /// Replacements of the names seen so far.
    names: HashMap<Vec<u8>, Vec<u8>>,
    /// Replacements in use, so that no two names get one.
    taken: HashSet<Vec<u8>>,
    /// Tokens and fallback replies of fetches, as guests decided them before and after the redaction.
    tokens: HashMap<Vec<u8>, Vec<u8>>,
}

impl Redactor {
    /// Starts with a key and no words.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        let (words, names, taken, tokens) = Default::default();
        Self { key, words, names, taken, tokens }
    }

    /// Adds a word that stays: a command, or the name of a node.
    pub fn keep(&mut self, word: &[u8]) {
        self.words.insert(word.into());
    }

    /// Replaces names and positions in the bytes of a client.
    pub fn input(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut field = 0;
        self.map_fields(bytes, |redactor, text, before| {
            field = if before.contains(&b'\n') || before.is_empty() { 0 } else { field + 1 };
            if is_position(text) {
                redactor.position(text)
            } else if field != 1 && (redactor.words.contains(text) || is_number(text)) {
                text.into()
            } else {
                redactor.name(text)
            }
        })
    }

    /// Replaces a key, of which every field is a name.
    pub fn key(&mut self, key: &[u8]) -> Vec<u8> {
        self.map_fields(key, |redactor, text, _| redactor.name(text))
    }

    /// Replaces known names, and positions, in a text that a guest wrote.
    pub fn text(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.map_fields(bytes, |redactor, text, _| {
            if is_position(text) {
                return redactor.position(text);
            }
            redactor.names.get(text).cloned().unwrap_or_else(|| text.into())
        })
    }

    /// Replaces the values in the answer of an upstream: letters and digits within strings, and digits of numbers. Names of fields and
    /// words in capitals, such as `OK`, stay, because guests decide by them.
    #[must_use]
    pub fn answer(&self, answer: &FetchAnswer) -> FetchAnswer {
        match answer {
            FetchAnswer::Response { status, body } => FetchAnswer::Response { status: *status, body: self.body(body) },
            FetchAnswer::Failed(failure) => FetchAnswer::Failed(*failure),
        }
    }

    /// Notes that a guest decides a token or a fallback reply as another one after the redaction.
    pub fn decided_again(&mut self, before: &[u8], after: &[u8]) {
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.clear();
        }
        self.tokens.insert(before.into(), after.into());
    }

    /// Replaces the token or the fallback reply that comes with an answer.
    pub fn token(&mut self, token: &[u8]) -> Vec<u8> {
        match self.tokens.get(token) {
            Some(token) => token.clone(),
            None => self.text(token),
        }
    }

    /// Number of names replaced so far.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// Replaces a name.
    fn name(&mut self, name: &[u8]) -> Vec<u8> {
        if self.words.contains(name) {
            return name.into();
        }
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let mut attempts = (0..ATTEMPTS_MAX).map(|attempt| self.scrambled(name, attempt));
        let replacement = attempts.find(|candidate| !self.taken.contains(candidate) && !self.words.contains(candidate));
        // Of one letter there are not many: then a longer one.
        let replacement = replacement.unwrap_or_else(|| {
            let number = self.names.len();
            [&*self.scrambled(name, ATTEMPTS_MAX), format!("{number}").as_bytes()].concat()
        });
        self.taken.insert(replacement.clone());
        self.names.insert(name.into(), replacement.clone());
        replacement
    }

    /// Replaces letters and digits, each by one of its kind.
    fn scrambled(&self, text: &[u8], attempt: u64) -> Vec<u8> {
        let mut random = self.stream(text, attempt);
        text.iter().map(|&byte| random.like(byte)).collect()
    }

    /// Replaces a position by one of the same shape. A latitude or longitude that is out of range stays out of range.
    fn position(&self, position: &[u8]) -> Vec<u8> {
        let mut random = self.stream(position, 0);
        let second = position.iter().skip(1).position(|byte| matches!(byte, b'+' | b'-')).map_or(0, |at| at + 1);
        let (latitude, longitude) = position.split_at(second);
        let mut replaced = random.degrees(latitude, 90);
        replaced.extend(random.degrees(longitude, 180));
        replaced
    }

    fn body(&self, body: &[u8]) -> Vec<u8> {
        let mut replaced = body.to_vec();
        let mut at = 0;
        while at < body.len() {
            let end = if body[at] == b'"' { string_end(body, at) } else { at + 1 };
            let value = &body[at..end];
            let is_name = || body[end..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
            let is_word = || value[1..].iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'"'));
            if value[0] != b'"' {
                let end = number_end(body, at);
                if end > at {
                    replaced[at..end].copy_from_slice(&self.number(&body[at..end]));
                    at = end;
                    continue;
                }
            } else if !is_name() && !is_word() {
                replaced[at..end].copy_from_slice(&self.string(value));
            }
            at = end;
        }
        replaced
    }

    /// Replaces the letters and digits of a JSON string, but not its escapes.
    fn string(&self, string: &[u8]) -> Vec<u8> {
        let mut random = self.stream(string, 0);
        let mut escape = 0;
        let replace = |&byte: &u8| {
            if escape > 0 {
                escape = if byte == b'u' { 4 } else { escape - 1 };
                return byte;
            }
            escape = u8::from(byte == b'\\');
            random.like(byte)
        };
        string.iter().map(replace).collect()
    }

    /// Replaces the digits of a number, but not a first zero, of which JSON allows one.
    fn number(&self, number: &[u8]) -> Vec<u8> {
        let mut random = self.stream(number, 0);
        let mut replaced: Vec<u8> = number.iter().map(|&byte| random.like(byte)).collect();
        let first = usize::from(number[0] == b'-');
        if let (Some(digit), Some(before)) = (replaced.get_mut(first), number.get(first)) {
            *digit = if *before == b'0' { b'0' } else { (*digit).max(b'1') };
        }
        replaced
    }

    /// Replaces the fields of a text, which stand between spaces. `replace` gets a field and the spaces before it.
    fn map_fields(&mut self, text: &[u8], mut replace: impl FnMut(&mut Self, &[u8], &[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut replaced = Vec::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
            let (spaces, after) = rest.split_at(rest.iter().position(|byte| !is_space(byte)).unwrap_or(rest.len()));
            let (field, after) = after.split_at(after.iter().position(is_space).unwrap_or(after.len()));
            replaced.extend_from_slice(spaces);
            if !field.is_empty() {
                replaced.extend(replace(self, field, spaces));
            }
            rest = after;
        }
        replaced
    }

    fn stream(&self, text: &[u8], attempt: u64) -> Stream<'_> {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(attempt);
        hasher.write(text);
        Stream { key: &self.key, state: hasher.finish(), left: 0, drawn: 0 }
    }
}

/// Pseudorandom numbers from key and text.
struct Stream<'k> {
    key: &'k [u8; 16],
    state: u64,
    left: u64,
    drawn: u32,
}

impl Stream<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        if self.drawn.is_multiple_of(DRAWS) {
            let mut hasher = SipHasher24::new_with_key(self.key);
            hasher.write_u64(self.state);
            (self.state, self.left) = (hasher.finish(), hasher.finish().rotate_left(32));
        }
        self.drawn += 1;
        let drawn = self.left % limit;
        self.left /= limit;
        drawn
    }

    /// A character of the same kind. Of letters outside of ASCII, each byte is replaced by a letter.
    fn like(&mut self, byte: u8) -> u8 {
        let mut of = |first: u8, count| first + u8::try_from(self.below(count)).unwrap_or_default();
        match byte {
            b'a'..=b'z' | 0x80.. => of(b'a', 26),
            b'A'..=b'Z' => of(b'A', 26),
            b'0'..=b'9' => of(b'0', 10),
            other => other,
        }
    }

    /// Degrees with a sign, of as many digits before and after the point, and on the same side of the limit.
    fn degrees(&mut self, degrees: &[u8], limit: u64) -> Vec<u8> {
        let Some((_, digits)) = degrees.split_first() else { return vec![] };
        let whole = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
        let value = digits[..whole]
            .iter()
            .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add((digit & 15).into()));
        let mut replaced = vec![if self.below(2) == 0 { b'+' } else { b'-' }];
        if value > limit || whole == 0 {
            replaced.extend_from_slice(&digits[..whole]);
        } else {
            let most = 10_u64.saturating_pow(u32::try_from(whole).unwrap_or(u32::MAX)).min(limit);
            replaced.extend(format!("{:0whole$}", self.below(most)).into_bytes());
        }
        replaced.extend(digits[whole..].iter().map(|&byte| self.like(byte)));
        replaced
    }
}

/// Returns whether a field has the shape of a position: two numbers with signs.
fn is_position(field: &[u8]) -> bool {
    let mut numbers = 0;
    let mut rest = field;
    while let [b'+' | b'-', after @ ..] = rest {
        let end = after.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.')).unwrap_or(after.len());
        if end == 0 {
            return false;
        }
        numbers += 1;
        rest = &after[end..];
    }
    numbers == 2 && rest.is_empty()
}

fn is_number(field: &[u8]) -> bool {
    let digits = field.strip_prefix(b"-").or(field.strip_prefix(b"+")).unwrap_or(field);
    digits.iter().any(u8::is_ascii_digit) && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'))
}

/// End of the JSON string that starts here, behind its quote.
fn string_end(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < body.len() {
        match body[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    body.len()
}

/// End of the number that starts here; the start if none does.
fn number_end(body: &[u8], start: usize) -> usize {
    if !matches!(body[start], b'-' | b'0'..=b'9') {
        return start;
    }
    let digits = body[start + 1..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'));
    digits.map_or(body.len(), |digits| start + 1 + digits)
}

/// Draws from one hash: eight of 26 are below 2^38.
const DRAWS: u32 = 8;
/// Attempts to find a replacement that no other name has.
const ATTEMPTS_MAX: u64 = 64;
/// Fetches whose answers may still come.
const TOKENS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(key: u8) -> Redactor {
        let mut redactor = Redactor::new([key; 16]);
        ["IAMAT", "WHATSAT", "Riley"].iter().for_each(|word| redactor.keep(word.as_bytes()));
        redactor
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn redaction_replaces_names_and_positions_alike_everywhere() {
        let mut redactor = redactor(1);
        let line = text(
            redactor.input(b"IAMAT kiwi.example +34.068930-118.445127 1479413884.39\nWHATSAT kiwi.example 10 5\n"),
        );
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, name, position, time, command, again, radius, bound] = fields[..] else { panic!("{line}") };
        assert_eq!((command, again, radius, bound, time), ("WHATSAT", name, "10", "5", "1479413884.39"));
        assert!(name != "kiwi.example" && name.len() == 12 && name.as_bytes()[4] == b'.', "{name}");
        assert!(position != "+34.068930-118.445127" && position.len() == 21 && is_position(position.as_bytes()));
        let record = text(redactor.text(b"AT Riley +0.26 kiwi.example +34.068930-118.445127 1479413884.39"));
        assert_eq!(record, format!("AT Riley +0.26 {name} {position} 1479413884.39"));
        assert_eq!(text(redactor.key(b"kiwi.example")), name);
        assert_eq!(redactor.names(), 1);
    }

    #[test]
    fn redaction_takes_what_no_guest_knows_for_names() {
        let mut redactor = redactor(1);
        let line = text(redactor.input(b"hunter2 12345 secret\n\nIAMAT 5551234 nowhere +1"));
        assert!(!["hunter2", "12345", "secret", "5551234", "nowhere"].iter().any(|word| line.contains(word)), "{line}");
        assert!(line.ends_with(" +1") && line.contains("\n\nIAMAT "), "{line}");
    }

    #[test]
    fn redaction_depends_on_the_key_and_on_nothing_else() {
        let line = b"IAMAT a-long-name +1.5-2.5 3\n";
        assert_eq!(redactor(1).input(line), redactor(1).input(line));
        assert_ne!(redactor(1).input(line), redactor(2).input(line));
    }

    #[test]
    fn redaction_gives_no_two_names_one_replacement() {
        let mut redactor = redactor(3);
        let names: HashSet<Vec<u8>> =
            (b'a'..=b'z').flat_map(|a| [vec![a], vec![a, b'x']]).map(|name| redactor.key(&name)).collect();
        assert_eq!(names.len(), 52);
    }

    #[test]
    fn redaction_keeps_degrees_in_range_and_out_of_it() {
        for number in 0..200_u32 {
            let redactor = redactor(4);
            let position = format!("+{}.{number}-{}.5", number % 91, number % 181);
            let replaced = text(redactor.position(position.as_bytes()));
            let second = replaced[1..].find(['+', '-']).unwrap() + 1;
            let (latitude, longitude) = replaced.split_at(second);
            let degrees = |text: &str| text.parse::<f64>().unwrap().abs();
            assert!(degrees(latitude) <= 90.0 && degrees(longitude) <= 180.0, "{position} became {replaced}");
            assert_eq!(replaced.len(), position.len());
        }
        assert!(text(redactor(4).position(b"+95.5-1")).trim_start_matches(['+', '-']).starts_with("95."));
    }

    #[test]
    fn redaction_of_answers_keeps_their_structure() {
        let body =
            br#"{"status":"OK","results":[{"name":"Caf\u00e9 \"Kiwi\"","lat":34.068,"lng":-118.4,"open":true,"n":0}]}"#;
        let FetchAnswer::Response { body: replaced, .. } =
            redactor(5).answer(&FetchAnswer::Response { status: 200, body: body.to_vec() })
        else {
            panic!("another answer")
        };
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(body).unwrap(), serde_json::from_slice(&replaced).unwrap());
        assert_eq!(
            (&after["status"], &after["results"][0]["open"], &after["results"][0]["n"]),
            (&"OK".into(), &true.into(), &0.into())
        );
        for field in ["name", "lat", "lng"] {
            assert_ne!(before["results"][0][field], after["results"][0][field], "{field}");
        }
        assert_eq!(replaced.len(), body.len());
    }

    #[test]
    fn redaction_uses_the_token_that_the_guest_decided_again() {
        let mut redactor = redactor(6);
        redactor.decided_again(b"\x01packed", b"\x02other");
        assert_eq!(redactor.token(b"\x01packed"), b"\x02other");
        assert_eq!(redactor.token(b"unknown"), b"unknown");
    }
}
