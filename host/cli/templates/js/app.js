/**
 * Protocol logic of {{name}}.
 *
 * - `HELLO <name>` replies `hello, <name>` and keeps which node said it last.
 * - `SEEN <name>` replies with that node.
 *
 * Any other line is copied back behind a question mark. Add a command in `App.line`.
 */

import { Guest, exported, toUtf8 } from "herd-sdk";

/** The logic, configured for one node. Nothing that it remembers from an earlier call may change what it decides. */
class App extends Guest {
  static description = { name: "{{name}}", version: "0.1.0", commands: ["HELLO", "SEEN"] };

  line(line, context) {
    const fields = line.match(/[^\t-\r ]+/g) ?? [];
    const [word, name] = fields;
    if (fields.length === 0) return;
    const seen = word === "SEEN" && fields.length === 2 ? context.record(name) : null;
    if (seen) context.reply(`${name} was greeted at ${seen.bytes}\n`);
    else if (word === "HELLO" && fields.length === 2) this.hello(name, line, context);
    else context.reply(`? ${line}\n`);
  }

  hello(name, line, context) {
    const node = toUtf8(this.node);
    // The highest rank wins at every node, compared as bytes: the latest greeting, and of equal times that of one node.
    const rank = (context.nowNs.toString().padStart(20, "0") + node).slice(0, 64);
    const keep = context.keep(name, rank, node);
    context.replyIfKept(keep, `hello, ${name}\n`, `? ${line}\n`);
  }
}

export const logic = exported(App);
