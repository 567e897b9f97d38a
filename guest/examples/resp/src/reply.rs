//! Replies: the encoding of answers.

use std::io::Write;

use herd_sdk::Context;

/// Replies with an error, such as `ERR syntax error`. Line ends in it become blanks, as in redis.
pub(crate) fn error(context: &mut Context<'_>, text: &str) {
    context.reply_with(|out| write_error(out, text.as_bytes()));
}

/// Appends an error.
pub(crate) fn write_error(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'-');
    out.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

/// Appends a string.
pub(crate) fn write_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, b'$', bytes.len() as u64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends the beginning of an array of this length.
pub(crate) fn write_array(out: &mut Vec<u8>, length: usize) {
    write_number(out, b'*', length as u64);
}

/// Appends an integer.
pub(crate) fn write_integer(out: &mut Vec<u8>, number: u64) {
    write_number(out, b':', number);
}

fn write_number(out: &mut Vec<u8>, kind: u8, number: u64) {
    out.push(kind);
    if number < 10 {
        out.push(b'0' + number as u8);
    } else {
        // A vector takes any number of bytes.
        let _ = write!(out, "{number}");
    }
    out.extend_from_slice(b"\r\n");
}

/// No string.
pub(crate) const NULL: &[u8] = b"$-1\r\n";
/// No array.
pub(crate) const NULL_ARRAY: &[u8] = b"*-1\r\n";
/// Success.
pub(crate) const OK: &[u8] = b"+OK\r\n";
/// Reply to a write that the node did not accept, or that was not acknowledged in time.
pub(crate) const NOT_KEPT: &[u8] =
    b"-ERR not stored: the node is full, or its disk or its peers did not confirm the write in time\r\n";
