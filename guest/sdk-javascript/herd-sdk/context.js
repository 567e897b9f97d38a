/**
 * Context of one call: what a guest may read, and the decision that it builds.
 *
 * Owns the encoding of effects, the table in `wit/effects.wit`. The host checks every limit after the call; numbers are checked here,
 * because a number that does not fit its word would otherwise mean something else.
 */

import records from "herd:logic/records@0.1.0";

import { fromArray, toArray, toUtf8 } from "./bytes.js";

const LEVELS = { debug: 0, info: 1, warn: 2 };
const U32 = 0xffffffff;
const U64 = 0xffffffffffffffffn;

/** Returns a number that fits its word, or throws RangeError. */
function u32(number, what) {
  if (!Number.isInteger(number) || number < 0 || number > U32) {
    throw new RangeError(`${what} is ${number}; it must be a whole number from 0 to ${U32}`);
  }
  return number;
}

/** Adds effects to the decision. The host performs them in the same order after the call has returned. */
export class Context {
  #parts = [];
  #length = 0;
  #words = [];
  #keeps = 0;
  #kept = new Map();

  constructor(nowNs, random) {
    /** Time of the call, in nanoseconds since the Unix epoch, as a BigInt. */
    this.nowNs = nowNs;
    /** Two random BigInts, fresh for each input, batch of reports or answer. At least 53 bits of each are random. */
    this.random = random;
  }

  /**
   * Returns the record under a key as `{rank, form, bytes}`, or null. Keeps of this call count as if they were applied already.
   * Each call costs an import, so a path that matters should not need it.
   */
  record(key) {
    const found = records.get([toArray(key)])[0];
    const kept = this.#kept.get(key) ?? null;
    if (!found) return kept;
    const record = { rank: fromArray(found.rank), form: found.form, bytes: fromArray(found.bytes) };
    return kept && wins(kept, record) ? kept : record;
  }

  /** Replies to the session. */
  reply(bytes) {
    this.#words.push(1);
    this.#span(bytes);
  }

  /** Replies with `bytes` if the keep is accepted and acknowledged in time, with `otherwise` if not. */
  replyIfKept(keep, bytes, otherwise) {
    this.#checkKeep(keep);
    this.#words.push(2);
    this.#span(bytes);
    this.#words.push(keep);
    this.#span(otherwise);
  }

  /**
   * Keeps a record if it wins, and then floods it. Returns the number of the keep, to tie replies and publishes to it. The highest
   * (rank, bytes) of a key wins, compared as bytes. With `peers`, names of at most 64 peers, these get it first.
   */
  keep(key, rank, bytes, { form = 1, peers = null } = {}) {
    this.#words.push(peers ? 4 : 3);
    this.#span(key);
    this.#span(rank);
    this.#words.push(u32(form, "form"));
    this.#span(bytes);
    if (peers) this.#span(peers.map((peer) => toUtf8(`${peer}\n`)).join(""));
    const [before, record] = [this.#kept.get(key), { rank, form, bytes }];
    if (!before || wins(record, before)) this.#kept.set(key, record);
    return this.#keeps++;
  }

  /**
   * Asks an upstream: GET, or POST with a body. `token` comes back with the answer in `Guest.answer`. The host replies `otherwise` if no
   * guest can decide the answer, or if the time for the reply runs out.
   */
  fetch(upstream, path, token, otherwise, body = null) {
    this.#words.push(5, body === null ? 0 : 1);
    for (const bytes of [toUtf8(upstream), toUtf8(path), body ?? "", token, otherwise]) this.#span(bytes);
  }

  /** Subscribes the session to a topic. */
  subscribe(topic) {
    this.#words.push(6);
    this.#span(topic);
  }

  /** Unsubscribes the session from a topic. */
  unsubscribe(topic) {
    this.#words.push(7);
    this.#span(topic);
  }

  /** Publishes bytes to every session of this node that subscribed to a topic. */
  publish(topic, bytes) {
    this.#words.push(8);
    this.#span(topic);
    this.#span(bytes);
  }

  /** Publishes bytes to a topic if the keep is applied, that is, if it wins. */
  publishIfKept(keep, topic, bytes) {
    this.#checkKeep(keep);
    this.#publishTied(keep, topic, bytes);
  }

  /** Publishes bytes to a topic if the report of this index is applied. */
  publishIfReportKept(index, topic, bytes) {
    this.#publishTied(u32(index, "index of the report"), topic, bytes);
  }

  /** Ends the session once its replies are out. */
  close() {
    this.#words.push(10);
  }

  /** Writes a line of text to the node's log: `debug`, `info` or `warn`. */
  note(level, text) {
    if (!Object.hasOwn(LEVELS, level)) {
      throw new RangeError(`level is ${level}; it must be one of ${Object.keys(LEVELS).join(", ")}`);
    }
    this.#words.push(11, LEVELS[level]);
    this.#span(toUtf8(text));
  }

  /** Refuses the report of this index: it is kept by rank, but guests do not see it until a later one accepts it. */
  refuse(index) {
    this.#words.push(13, u32(index, "index of the report"));
  }

  /** Ends the effects of one input: the guest awaits so many bytes more, or, if none, the delimiter. `exported` calls it. */
  endInput(consumed, awaitsBytes, delimiter) {
    this.#words.push(12, u32(consumed, "consumed"), awaitsBytes ? 1 : 0);
    this.#words.push(awaitsBytes ? u32(awaitsBytes, "awaited bytes") : delimiter);
    // Two sessions that share a call must not receive the same secret. The step is that of SplitMix64, which is odd.
    this.random = [(this.random[0] + 0x9e3779b97f4a7c15n) & U64, this.random[1]];
  }

  /** Returns the decision as the contract has it. `exported` calls it. */
  decision() {
    return { output: toArray(this.#parts.join("")), effects: this.#words };
  }

  #publishTied(tie, topic, bytes) {
    this.#words.push(9);
    this.#span(topic);
    this.#span(bytes);
    this.#words.push(tie);
  }

  #checkKeep(keep) {
    if (!Number.isInteger(keep) || keep < 0 || keep >= this.#keeps) {
      throw new RangeError(`keep is ${keep}; it must be the number that an earlier keep of this call returned`);
    }
  }

  #span(bytes) {
    if (typeof bytes !== "string") throw new TypeError(`a byte string is needed, not ${typeof bytes}`);
    this.#words.push(this.#length, bytes.length);
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

/** Returns whether a record wins against another one. Byte strings compare like their bytes. */
function wins(record, other) {
  return record.rank > other.rank || (record.rank === other.rank && record.bytes > other.bytes);
}
