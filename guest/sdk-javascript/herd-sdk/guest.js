/** The base of a guest: what an author overrides. */

/** A setting cannot be used: the node does not start, or the swap is refused, with these words. */
export class BadSetting extends Error {
  constructor(name, problem) {
    super(`${name}: ${problem}`);
    this.setting = name;
    this.problem = problem;
  }
}

/** Returned by `line` after `context.close()`: the rest of the input is dropped. */
export const CLOSED = Symbol("closed");

/** Protocol logic. Override `line` for a protocol of lines, or `input` for any other. */
export class Guest {
  static description = { name: "guest", version: "1", commands: [] };

  /** Takes the name of the node, and the `[logic]` table of the configuration as a Map of texts. Throw `BadSetting` to refuse it. */
  constructor(node, settings) {
    this.node = node;
    this.settings = settings;
  }

  /** Decides one line, without its newline and a carriage return before it. Return `CLOSED` after `context.close()`. */
  line(line, context) {
    throw new Error("a guest overrides `line` or `input`");
  }

  /** Decides on the first bytes of a line over the limit. The host closes the session in any case. */
  overlong(head, context) {
    context.reply(`? ${head.slice(0, 64)}\n`);
    context.close();
  }

  /**
   * Decides what a session brought: `{bytes, mark}`, where the mark is `more`, `end` (a rest without a newline is complete) or
   * `overlong`. Returns the number of bytes consumed: the guest then awaits a newline. `{consumed, awaits}` awaits so many bytes more
   * than are left over.
   */
  input({ bytes, mark }, context) {
    if (mark === "overlong") {
      this.overlong(bytes, context);
      return bytes.length;
    }
    let at = 0;
    for (let end; (end = bytes.indexOf("\n", at)) >= 0; ) {
      const line = bytes.slice(at, end > at && bytes[end - 1] === "\r" ? end - 1 : end);
      at = end + 1;
      if (this.line(line, context) === CLOSED) return bytes.length;
    }
    if (mark === "end" && at < bytes.length) {
      this.line(bytes.slice(at), context);
      at = bytes.length;
    }
    return at;
  }

  /** Decides records that a peer reports, `{key, rank, bytes, origin, form}`. Those that it does not refuse are kept. */
  reports(reports, context) {}

  /**
   * Decides the outcome of a fetch: `{status, body}`, or `{failed}` with `unknown`, `unreachable`, `timeout`, `too-large`, `incomplete` or
   * `busy`.
   */
  answer(token, otherwise, outcome, context) {
    context.reply(otherwise);
  }
}
