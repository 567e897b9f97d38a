//! Codec for the part of the redis protocol that this node uses: commands are lists of strings, and the first byte of a reply
//! gives its type.

use std::io::Write;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A number.
    Number(i64),
    /// A string, or a status.
    Bytes(Vec<u8>),
    /// No value under this key.
    Nothing,
    /// A list of replies.
    List(Vec<Reply>),
    /// An error message.
    Error(String),
}

/// Begins a command with this number of arguments.
pub(crate) fn begin(out: &mut Vec<u8>, arguments: usize) {
    head(out, b'*', arguments);
}

/// Adds an argument.
pub(crate) fn argument(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn head(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    // Nearly all lengths have one or two digits, and formatting would cost more than copying the argument.
    match u8::try_from(number) {
        Ok(number @ 0..=9) => out.push(b'0' + number),
        Ok(number @ 10..=99) => out.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10]),
        _ => write!(out, "{number}").expect("a vector takes all"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Decodes the first reply of the input and its length; `None` if it is incomplete.
///
/// # Errors
///
/// The input is not the redis protocol.
pub(crate) fn reply(input: &[u8]) -> Result<Option<(Reply, usize)>, &'static str> {
    let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let Some((kind, line)) = input[..end].split_first() else { return Err("an empty line") };
    let behind = end + 2;
    let text = || String::from_utf8_lossy(line).into_owned();
    let number = || text().parse::<i64>().map_err(|_| "no number where one has to be");
    Ok(match kind {
        b'+' => Some((Reply::Bytes(line.to_vec()), behind)),
        b'-' => Some((Reply::Error(text()), behind)),
        b':' => Some((Reply::Number(number()?), behind)),
        b'$' => match usize::try_from(number()?) {
            Ok(length) => {
                let bytes = input.get(behind..behind + length + 2);
                bytes.map(|bytes| (Reply::Bytes(bytes[..length].to_vec()), behind + length + 2))
            }
            Err(_) => Some((Reply::Nothing, behind)),
        },
        b'*' => {
            let (mut replies, mut at) = (vec![], behind);
            for _ in 0..number()? {
                let Some((inner, length)) = reply(&input[at..])? else { return Ok(None) };
                replies.push(inner);
                at += length;
            }
            Some((Reply::List(replies), at))
        }
        _ => return Err("a reply of an unknown kind"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lists_of_strings() {
        let mut out = vec![];
        begin(&mut out, 2);
        argument(&mut out, b"GET");
        argument(&mut out, &[b'x'; 100]);
        assert!(out.starts_with(b"*2\r\n$3\r\nGET\r\n$100\r\nxxx"));
    }

    #[test]
    fn replies_read_back_and_wait_for_their_end() {
        let whole = b"*4\r\n:12\r\n$3\r\na\r\n\r\n$-1\r\n-no\r\n";
        let list = [Reply::Number(12), Reply::Bytes(b"a\r\n".to_vec()), Reply::Nothing, Reply::Error("no".into())];
        assert_eq!(reply(whole), Ok(Some((Reply::List(list.into()), whole.len()))));
        for end in 0..whole.len() {
            assert_eq!(reply(&whole[..end]), Ok(None));
        }
        assert!(reply(b"HTTP/1.1 400\r\n").is_err());
    }
}
