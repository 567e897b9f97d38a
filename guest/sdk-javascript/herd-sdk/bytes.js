/** Byte strings: their conversion to and from the arrays of the contract and UTF-8. */

/** Bytes up to which the arguments of one call are faster than a detour through base64. */
const SHORT = 1024;

/** Converts an array of bytes to a byte string. */
export function fromArray(array) {
  return array.length <= SHORT ? String.fromCharCode.apply(null, array) : atob(array.toBase64());
}

/** Converts a byte string to an array of bytes. Throws RangeError if a character is above 255: such a text needs toUtf8. */
export function toArray(bytes) {
  // Both functions are native: a loop in JavaScript takes ten times as long for a reply of some kilobytes.
  try {
    return Uint8Array.fromBase64(btoa(bytes));
  } catch (error) {
    if (!/[^\x00-\xff]/.test(bytes)) throw error;
    throw new RangeError("a byte string has a character above 255; convert text with toUtf8");
  }
}

const ASCII = /^[\x00-\x7f]*$/;

/** Decodes UTF-8 to text. Throws URIError if the bytes are not UTF-8. */
export function fromUtf8(bytes) {
  if (ASCII.test(bytes)) return bytes;
  // Both functions are native, which a decoder in JavaScript would not be.
  return decodeURIComponent(escape(bytes));
}

/** Encodes text as UTF-8. */
export function toUtf8(text) {
  return unescape(encodeURIComponent(text.toWellFormed()));
}
