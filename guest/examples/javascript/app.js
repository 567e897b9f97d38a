/**
 * The default protocol in JavaScript: `IAMAT`, `WHATSAT` with failover between sources, and `WATCH`.
 *
 * `WATCH <client>` replies `OK` and the client's current `AT` line, then sends each new one; `UNWATCH <client>` stops that.
 */

import { BadSetting, CLOSED, Guest, exported, toUtf8 } from "herd-sdk";

import { atFields, fieldsOf, isLocation, parseTime, rank, skew } from "./fields.js";
import { SOURCES } from "./sources.js";
import * as whatsat from "./whatsat.js";

class Watch extends Guest {
  static description = { name: "watch-javascript", version: "1", commands: ["IAMAT", "WHATSAT", "WATCH", "UNWATCH"] };

  constructor(node, settings) {
    super(node, settings);
    this.name = toUtf8(node);
    this.toleranceNs = 60_000_000_000n;
    this.closes = false;
    this.sources = ["embedded"];
    for (const [name, value] of settings) this.set(name, value);
  }

  set(name, value) {
    if (name === "tolerance_s") {
      this.toleranceNs = parseTime(value);
      if (this.toleranceNs === null || this.toleranceNs >= 1n << 64n) {
        throw new BadSetting(name, `\`${value}\` is not a number of seconds with at most nine decimals`);
      }
    } else if (name === "close_after_reply") {
      if (value !== "true" && value !== "false") throw new BadSetting(name, `\`${value}\` is neither true nor false`);
      this.closes = value === "true";
    } else if (name === "places.sources") {
      this.sources = value.split(",");
      const unknown = this.sources.find((source) => !Object.hasOwn(SOURCES, source));
      if (unknown !== undefined) {
        const known = Object.keys(SOURCES).join(", ");
        throw new BadSetting(name, `\`${unknown}\` is not a source of places; choose from ${known}`);
      }
    } else {
      throw new BadSetting(name, "unknown; this logic has `tolerance_s` and `close_after_reply`");
    }
  }

  line(line, context) {
    const answered = this.command(line, context);
    if (!answered || !this.closes) return null;
    context.close();
    return CLOSED;
  }

  /** Decides one line. Returns whether it has a reply: an empty line has none. */
  command(line, context) {
    const fields = fieldsOf(line);
    if (fields.length === 0) return false;
    const known = fields.length <= 4 ? this.known(line, fields, context) : false;
    if (!known) context.reply(`? ${line}\n`);
    return true;
  }

  /** Decides a valid command. Returns false for any other line. */
  known(line, [word, client, second, third], context) {
    if (word === "IAMAT" && third !== undefined) {
      const clientNs = isLocation(second) ? parseTime(third) : null;
      if (clientNs !== null) this.iamat(line, client, second, third, clientNs, context);
      return clientNs !== null;
    }
    if (word === "WHATSAT" && third !== undefined) return whatsat.start(this, client, second, third, context);
    if (word === "WATCH" && client !== undefined && second === undefined) {
      context.subscribe(client);
      const found = context.record(client);
      context.reply(found ? `OK\n${found.bytes}\n` : "OK\n");
      return true;
    }
    if (word === "UNWATCH" && client !== undefined && second === undefined) {
      context.unsubscribe(client);
      context.reply("OK\n");
      return true;
    }
    return false;
  }

  iamat(line, client, location, time, clientNs, context) {
    const now = context.nowNs;
    const at = `AT ${this.name} ${skew(now, clientNs)} ${client} ${location} ${time}`;
    const keep = context.keep(client, rank(clientNs, now, this.toleranceNs, this.name), at);
    context.replyIfKept(keep, `${at}\n`, `? ${line}\n`);
    context.publishIfKept(keep, client, `${at}\n`);
  }

  reports(reports, context) {
    reports.forEach(({ key, bytes, form }, index) => {
      if (form !== 1 || atFields(bytes)?.[3] !== key) context.refuse(index);
      // A refused report is not applied, so its publish does not go out.
      context.publishIfReportKept(index, key, `${bytes}\n`);
    });
  }

  answer(token, otherwise, outcome, context) {
    whatsat.answer(this, token, otherwise, outcome, context);
  }
}

export const logic = exported(Watch);
