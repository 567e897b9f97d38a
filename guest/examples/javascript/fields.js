/**
 * Fields of `IAMAT` and `AT` lines: exact decimals, and the order of reports.
 *
 * Doubles and text do not work for times: a double loses up to 240 ns, and text orders `999999999.5` after `1000000000.5`.
 */

const LOCATION = /^[+-](\d+)(?:\.(\d+))?([+-])(\d+)(?:\.(\d+))?$/;
const TIME = /^(\d{1,18})(?:\.(\d{1,9}))?$/;
const DECIMAL = /^\+?(\d+)(?:\.(\d+))?$/;
const NS = 1_000_000_000n;
const LOW_48_BITS = 0xffff_ffff_ffffn;

/** Splits a line at white space: space, tab, carriage return, form feed, vertical tab. `\s` would also split at the byte 0xa0. */
export function fieldsOf(line) {
  return line.match(/[^\t-\r ]+/g) ?? [];
}

/** Returns whether a decimal is at most `limit`. Exact for any number of digits. */
function within(whole, fraction, limit) {
  const number = Number(whole);
  return number < limit || (number === limit && !/[1-9]/.test(fraction ?? ""));
}

export function isLocation(text) {
  const match = text.length <= 128 ? LOCATION.exec(text) : null;
  return match !== null && within(match[1], match[2], 90) && within(match[4], match[5], 180);
}

/** Returns latitude and longitude of a valid location, in degrees. */
export function parseLocation(text) {
  const middle = Math.max(text.indexOf("+", 1), text.indexOf("-", 1));
  // Adding zero turns -0 into 0, because upstreams receive these numbers as text.
  return [Number(text.slice(0, middle)) + 0, Number(text.slice(middle)) + 0];
}

/** Returns nanoseconds since 1970 as a BigInt, or null. */
export function parseTime(text) {
  const match = TIME.exec(text);
  return match && BigInt(match[1]) * NS + BigInt((match[2] ?? "").padEnd(9, "0"));
}

/** Returns metres for 0 to 50 kilometres, or null. The point moves before the conversion, so that 10.1 km are 10100 m. */
export function parseRadius(text) {
  const match = DECIMAL.exec(text);
  if (match === null || !within(match[1], match[2], 50)) return null;
  const fraction = match[2] ?? "";
  return Number(`${match[1]}${fraction.slice(0, 3).padEnd(3, "0")}.${fraction.slice(3)}0`);
}

/** Returns a whole number from 0 to 20, or null. */
export function parseBound(text) {
  const match = DECIMAL.exec(text);
  return match !== null && match[2] === undefined && within(match[1], "", 20) ? Number(match[1]) : null;
}

/** Returns receipt time minus client time in seconds, with a sign and nine decimals. */
export function skew(receivedNs, clientNs) {
  const [sign, ns] = receivedNs >= clientNs ? ["+", receivedNs - clientNs] : ["-", clientNs - receivedNs];
  const digits = ns.toString().padStart(10, "0");
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Returns the rank of a report: effective time, client time, earlier receipt, node. Ranks compare as bytes. */
export function rank(clientNs, receivedNs, toleranceNs, node) {
  const latest = receivedNs + toleranceNs;
  const times = [clientNs < latest ? clientNs : latest, clientNs, (1n << 96n) - 1n - receivedNs];
  return times.map(bigEndian96).join("") + node.slice(0, 28);
}

function bigEndian96(number) {
  return bigEndian48(Number(number >> 48n)) + bigEndian48(Number(number & LOW_48_BITS));
}

function bigEndian48(number) {
  const [high, low] = [Math.floor(number / 0x100_0000), number % 0x100_0000];
  return String.fromCharCode(high >> 16, (high >> 8) & 255, high & 255, low >> 16, (low >> 8) & 255, low & 255);
}

/** Returns the six fields of an `AT` line if all are valid, or null. */
export function atFields(line) {
  const fields = fieldsOf(line);
  if (fields.length !== 6 || fields[0] !== "AT" || !/^[+-]/.test(fields[2])) return null;
  const valid = parseTime(fields[2].slice(1)) !== null && isLocation(fields[4]) && parseTime(fields[5]) !== null;
  return valid ? fields : null;
}
