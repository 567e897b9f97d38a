/**
 * The `WHATSAT` command: queries the sources of places one after the other and builds the reply.
 *
 * A fetch carries two values to its answer: the token, from which the next source is queried if this one fails, and the fallback
 * reply, whose first line is the `AT` line of the moment when the command arrived.
 */

import { fromUtf8, toUtf8 } from "herd-sdk";

import { atFields, parseBound, parseLocation, parseRadius } from "./fields.js";
import { Declined, SOURCES, Unusable, decimal } from "./sources.js";

const NO_ANSWER = "no answer in time, or the logic was replaced meanwhile";
const REASONS = {
  unknown: "not configured",
  unreachable: "unreachable",
  timeout: "timeout",
  "too-large": "answer too large",
  incomplete: "answer broke off",
  busy: "too many requests under way",
};

/** Queries the first source. Returns false if the command is invalid or the client unknown. */
export function start(guest, client, radius, bound, context) {
  const query = { radiusM: parseRadius(radius), bound: parseBound(bound) };
  if (query.radiusM === null || query.bound === null) return false;
  const found = context.record(client);
  const fields = found && atFields(found.bytes);
  if (!fields) return false;
  [query.latitude, query.longitude] = parseLocation(fields[4]);
  fetch(guest, 0, query, "", found.bytes, context);
  return true;
}

function fetch(guest, index, query, problem, atLine, context) {
  const name = guest.sources[index];
  const otherwise = compose(atLine, unknownError(`${name}: ${NO_ANSWER}`));
  const numbers = [query.latitude, query.longitude, query.radiusM].map(decimal).join(" ");
  // The problem stands last, since it may contain spaces.
  const token = toUtf8(`${index} ${numbers} ${query.bound} ${problem}`);
  const { path, body } = SOURCES[name].request(query);
  context.fetch(name, path, token, otherwise, body);
}

export function answer(guest, token, otherwise, outcome, context) {
  const atLine = otherwise.split("\n", 1)[0];
  const parsed = parseToken(token);
  const name = parsed && guest.sources[parsed.index];
  // Only a token of other settings or of another version fails to parse.
  if (!name) return context.reply(otherwise);
  const { index, query, problem } = parsed;
  const last = index + 1 >= guest.sources.length;
  let why;
  try {
    if (outcome.failed) throw new Unusable(REASONS[outcome.failed]);
    const text = SOURCES[name].read(outcome.status, outcome.body, query);
    return context.reply(compose(atLine, withDegraded(name, problem, text)));
  } catch (error) {
    if (error instanceof Declined && last) {
      return context.reply(compose(atLine, withDegraded(name, problem, error.text)));
    }
    if (!(error instanceof Declined) && !(error instanceof Unusable)) throw error;
    why = `${name}: ${error.message}`;
  }
  if (last) return context.reply(compose(atLine, unknownError(why)));
  // The first failure explains best why the preferred source is missing.
  return fetch(guest, index + 1, query, problem || why, atLine, context);
}

function parseToken(token) {
  const match = /^(\d+) (\S+) (\S+) (\S+) (\d+) (.*)$/s.exec(fromUtf8(token));
  if (!match) return null;
  const [index, latitude, longitude, radiusM, bound] = match.slice(1, 6).map(Number);
  return { index, query: { latitude, longitude, radiusM, bound }, problem: match[6] };
}

/** Adds the failure of the first source, and `source` for the one whose text passes through unchanged. */
function withDegraded(name, problem, text) {
  const json = text.trimStart();
  if (!problem || !json.startsWith("{")) return json;
  const named = name === "google-legacy" ? '"source": "google-legacy", ' : "";
  return `{${named}"degraded": ${JSON.stringify(problem)}, ${json.slice(1).trimStart()}`;
}

function unknownError(problem) {
  const message = JSON.stringify(problem);
  return `{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR","error_message":${message}}`;
}

/** Writes the `AT` line, the JSON without empty lines, and two newlines, which mark the end of the reply. */
function compose(atLine, text) {
  // Split at a string: at a regular expression, a megabyte would take ten times as long.
  const ends = text.includes("\r") ? text.replaceAll("\r", "\n") : text;
  const lines = ends.split("\n").filter((line) => line.trim() !== "");
  return `${atLine}\n${toUtf8(lines.join("\n"))}\n\n`;
}
