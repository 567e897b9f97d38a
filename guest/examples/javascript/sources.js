/** Sources of places: the request to each, and the conversion of its answer to the format of a Google Nearby Search answer. */

import { fromUtf8, toUtf8 } from "herd-sdk";

/** A source failed. The message goes to clients, so it quotes nothing of the answer. */
export class Unusable extends Error {}

/** A source refused the request. Another one may answer it. The message is the status. */
export class Declined extends Error {
  constructor(status, text) {
    super(status);
    this.text = text;
  }
}

/** Writes a number in decimal, without an exponent. */
export function decimal(value) {
  const [mantissa, exponent] = String(value).split("e");
  if (exponent === undefined) return mantissa;
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  const power = Number(exponent);
  return power < 0 ? `${sign}0.${"0".repeat(-power - 1)}${digits}` : sign + digits.padEnd(power + 1, "0");
}

/** Rounds to a whole number, halves to even. */
function rounded(value) {
  const floor = Math.floor(value);
  return decimal(value - floor === 0.5 ? floor + (floor % 2) : Math.round(value));
}

function textOf(body) {
  try {
    return fromUtf8(body);
  } catch {
    throw new Unusable("answer is not UTF-8");
  }
}

function parse(text, problem) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unusable(problem);
  }
}

const quoted = JSON.stringify;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === "string";
/** JSON may hold a number beyond a double, such as 1e999, which is parsed as Infinity. */
const isNumber = Number.isFinite;

/** Writes an answer, one place a line. */
function withPlaces(source, attribution, places) {
  const lines = places.map(({ name, latitude, longitude, types, vicinity, placeId, distanceM }) => {
    const location = `{"lat": ${decimal(latitude)}, "lng": ${decimal(longitude)}}`;
    const kinds = types.map(quoted).join(", ");
    const id = placeId === null ? "" : `, "place_id": ${quoted(placeId)}`;
    const distance = distanceM === null ? "" : `, "distance_m": ${rounded(distanceM)}`;
    return `\n  {"name": ${quoted(name)}, "geometry": {"location": ${location}}, "types": [${kinds}], "vicinity": ${quoted(vicinity)}${id}${distance}}`;
  });
  const end = lines.length > 0 ? "\n ],\n" : "],\n";
  const status = lines.length > 0 ? "OK" : "ZERO_RESULTS";
  const results = lines.join(",") + end;
  return `{"html_attributions": [],\n "results": [${results} "status": "${status}",\n "source": "${source}",\n "attribution": [${quoted(attribution)}]}`;
}

/** Settlements and airports in the host. */
const embedded = {
  request({ latitude, longitude, radiusM, bound }) {
    const path = `?latitude=${decimal(latitude)}&longitude=${decimal(longitude)}&radius_m=${decimal(radiusM)}&limit=${bound}`;
    return { path, body: null };
  },

  read(status, body, { bound }) {
    if (status !== 200) throw new Unusable(`HTTP ${status}`);
    const answer = parse(textOf(body), "answer is not JSON");
    if (!Array.isArray(answer?.places)) throw new Unusable("answer has no places");
    const attribution = isText(answer.attribution) ? answer.attribution : "";
    return withPlaces("embedded", attribution, answer.places.slice(0, bound).flatMap(this.place));
  },

  place(place) {
    const { kind, name, country, latitude, longitude, distance_m: distance } = place ?? {};
    if (![kind, name, country].every(isText) || ![latitude, longitude].every(isNumber)) return [];
    const group = kind === "airport" ? "airport" : "locality";
    const types = kind === group ? [kind] : [kind, group];
    return [{ name, latitude, longitude, types, vicinity: country, placeId: null, distanceM: isNumber(distance) ? distance : null }];
  },
};

/** Places API (New), `places:searchNearby`. The host adds the key and the field mask. */
const google = {
  statuses: {
    INVALID_ARGUMENT: "INVALID_REQUEST",
    PERMISSION_DENIED: "REQUEST_DENIED",
    UNAUTHENTICATED: "REQUEST_DENIED",
    RESOURCE_EXHAUSTED: "OVER_QUERY_LIMIT",
  },

  request({ latitude, longitude, radiusM, bound }) {
    const circle = { center: { latitude, longitude }, radius: radiusM };
    // The API rejects 0; `read` cuts the answer to the bound.
    const body = { locationRestriction: { circle }, maxResultCount: Math.max(bound, 1), rankPreference: "DISTANCE" };
    return { path: "/v1/places:searchNearby", body: toUtf8(JSON.stringify(body)) };
  },

  read(status, body, { bound }) {
    const text = textOf(body);
    let answer = null;
    try {
      answer = JSON.parse(text);
    } catch {
      // Handled like an answer of another type.
    }
    if (!isObject(answer)) throw new Unusable(status !== 200 ? `HTTP ${status}` : "answer is not a JSON object");
    const error = answer.error?.status;
    if (isText(error) && Object.hasOwn(this.statuses, error)) {
      const [declined, message] = [this.statuses[error], answer.error.message];
      const shown = isText(message) ? `,"error_message":${quoted(message)}` : "";
      throw new Declined(declined, `{"html_attributions":[],"results":[],"status":"${declined}"${shown},"source":"google"}`);
    }
    if (status !== 200) throw new Unusable(`HTTP ${status}`);
    const places = answer.places ?? [];
    if (!Array.isArray(places)) throw new Unusable("answer has no list of places");
    return withPlaces("google", "Google Maps", places.slice(0, bound).flatMap(this.place));
  },

  place(place) {
    const { displayName, location, types, formattedAddress, id } = place ?? {};
    const [name, latitude, longitude] = [displayName?.text, location?.latitude, location?.longitude];
    if (!isText(name) || !isNumber(latitude) || !isNumber(longitude)) return [];
    const kinds = Array.isArray(types) ? types.filter(isText) : [];
    const vicinity = isText(formattedAddress) ? formattedAddress : "";
    return [{ name, latitude, longitude, types: kinds, vicinity, placeId: isText(id) ? id : null, distanceM: null }];
  },
};

const INVALID = "answer is not a Nearby Search answer";

/** Places API, Nearby Search, whose format is the common one: its text passes through, cut to the bound. */
const googleLegacy = {
  request({ latitude, longitude, radiusM }) {
    return { path: `?location=${decimal(latitude)},${decimal(longitude)}&radius=${decimal(radiusM)}`, body: null };
  },

  read(status, body, { bound }) {
    if (status !== 200) throw new Unusable(`HTTP ${status}`);
    let text = textOf(body);
    const answer = parse(text, INVALID);
    if (!isObject(answer) || !isText(answer.status) || !/^[A-Z_]{1,48}$/.test(answer.status)) throw new Unusable(INVALID);
    const usable = answer.status === "OK" || answer.status === "ZERO_RESULTS";
    const hasResults = Object.hasOwn(answer, "results");
    if (!Array.isArray(answer.results) && (hasResults || usable)) throw new Unusable(INVALID);
    if (hasResults && answer.results.length > bound) text = cut(text, bound);
    const attributions = Object.hasOwn(answer, "html_attributions") ? "" : '"html_attributions":[],';
    const lacking = attributions + (hasResults ? "" : '"results":[],');
    if (lacking !== "") text = `{${lacking}${text.trimStart().slice(1)}`;
    if (usable) return text;
    throw new Declined(answer.status, text);
  },
};

/** Removes the results beyond the bound from the text of a valid answer, without rewriting the rest. */
function cut(text, bound) {
  const ends = resultEnds(text);
  return text.slice(0, ends[bound]) + text.slice(ends.at(-1));
}

/** Returns the end of the bracket before the results, then the end of each result. */
function resultEnds(text) {
  const token = /["[\]{},]/g;
  const colon = /[ \t\n\r]*:/y;
  let [depth, inResults, ends] = [0, false, []];
  for (let match; (match = token.exec(text)); ) {
    const first = match[0];
    if (first === '"') {
      const after = endOfText(text, match.index + 1);
      token.lastIndex = after;
      colon.lastIndex = after;
      // A key may contain escapes, so it is compared once they are decoded.
      if (depth === 1 && colon.test(text)) inResults = JSON.parse(text.slice(match.index, after)) === "results";
    } else if (first === "[" || first === "{") {
      depth += 1;
      if (depth === 2 && inResults) ends = [match.index + 1];
    } else {
      if (depth === 2 && inResults) ends.push(endBefore(text, match.index));
      if (first !== ",") depth -= 1;
    }
  }
  return ends;
}

/** Returns the end of a JSON text whose content begins at `at`: behind the first quote that is not escaped. */
function endOfText(text, at) {
  for (;;) {
    const quote = text.indexOf('"', at);
    let escapes = 0;
    while (text[quote - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** Returns the end of the last token before a comma or bracket: between them is only white space. */
function endBefore(text, at) {
  while (" \t\n\r".includes(text[at - 1])) at -= 1;
  return at;
}

export const SOURCES = { embedded, google, "google-legacy": googleLegacy };
