/**
 * Exports a guest as the interface `logic` of the contract.
 *
 * Owns the decoding of batches, the tables in `wit/logic.wit`. Knows no protocol.
 */

import clock from "wasi:clocks/wall-clock@0.2.0";

import { fromArray } from "./bytes.js";
import { Context } from "./context.js";
import { BadSetting } from "./guest.js";

const MARKS = ["more", "end", "overlong"];
const NEWLINE = 10;

/** Returns what a module exports under the name `logic`. */
export function exported(GuestClass) {
  let guest = null;
  return {
    describe: () => GuestClass.description,

    configure({ node, table }) {
      try {
        guest = new GuestClass(node, new Map(table.map(({ name, value }) => [name, value])));
      } catch (error) {
        if (error instanceof BadSetting) throw { name: error.setting, problem: error.problem };
        throw error;
      }
    },

    inputs(at, array, words) {
      const context = begin(at);
      const bytes = fromArray(array);
      let start = 0;
      for (let index = 0; index < words.length; index += 2) {
        const end = start + words[index];
        const progress = guest.input({ bytes: bytes.slice(start, end), mark: MARKS[words[index + 1]] }, context);
        start = end;
        const { consumed, awaits = 0 } = typeof progress === "number" ? { consumed: progress } : progress;
        context.endInput(consumed, awaits, NEWLINE);
      }
      return context.decision();
    },

    reports(at, array, words) {
      const context = begin(at);
      const bytes = fromArray(array);
      const reports = [];
      let start = 0;
      const part = (length) => bytes.slice(start, (start += length));
      for (let index = 0; index < words.length; index += 5) {
        const [key, rank, record, origin] = [0, 1, 2, 3].map((offset) => part(words[index + offset]));
        reports.push({ key, rank, bytes: record, origin, form: words[index + 4] });
      }
      guest.reports(reports, context);
      return context.decision();
    },

    answer(at, token, otherwise, outcome) {
      const context = begin(at);
      const { tag, val } = outcome;
      const result = tag === "answered" ? { status: val.status, body: fromArray(val.body) } : { failed: val };
      guest.answer(fromArray(token), fromArray(otherwise), result, context);
      return context.decision();
    },
  };
}

/**
 * Begins a call. Numbers of 64 bits arrive as doubles, which would round the time by up to 128 ns; the clock shows the same time in two
 * parts.
 */
function begin({ random }) {
  const { seconds, nanoseconds } = clock.now();
  const nowNs = BigInt(seconds) * 1000000000n + BigInt(nanoseconds);
  return new Context(nowNs, random.map((part) => BigInt.asUintN(64, BigInt(part))));
}
