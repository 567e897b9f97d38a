#!/usr/bin/env node
/**
 * Builds a module into a component: `herd-build [--wit DIR] [--memory-mib N] [--deadline-ms N] MODULE OUTPUT`.
 *
 * Runs componentize-qjs, and appends the section in which a guest states its needs: an interpreter takes more memory and time than the
 * defaults of a node.
 */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { componentize } from "componentize-qjs";

/** Contract of a guest in JavaScript: that of every guest, and the clock, from which the sdk takes the exact time. */
const WORLD = `package herd:logic@0.1.0;
world javascript { include node-logic; import wasi:clocks/wall-clock@0.2.0; }
`;
const CLOCKS = `package wasi:clocks@0.2.0;
interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
`;

/** Encodes a length. */
function leb128(number) {
  const bytes = [];
  do {
    const low = number & 0x7f;
    number >>>= 7;
    bytes.push(number ? low | 0x80 : low);
  } while (number);
  return Buffer.from(bytes);
}

/** Encodes the custom section `herd:needs`. */
function needsSection(memoryMib, deadlineMs) {
  const name = Buffer.from("herd:needs");
  const text = Buffer.from(`memory_mib = ${memoryMib}\ndeadline_ms = ${deadlineMs}\n`);
  const content = Buffer.concat([leb128(name.length), name, text]);
  return Buffer.concat([Buffer.from([0]), leb128(content.length), content]);
}

async function build(module, output, { wit, memoryMib, deadlineMs }) {
  const contract = mkdtempSync(join(tmpdir(), "herd-build-"));
  try {
    cpSync(wit, contract, { recursive: true });
    writeFileSync(join(contract, "javascript.wit"), WORLD);
    mkdirSync(join(contract, "deps", "clocks"), { recursive: true });
    writeFileSync(join(contract, "deps", "clocks", "clocks.wit"), CLOCKS);
    const jsPath = resolve(module);
    const jsSource = readFileSync(jsPath, "utf8");
    const moduleRoot = process.cwd();
    const made = await componentize({ witPath: contract, world: "javascript", jsSource, jsPath, moduleRoot, sync: true });
    writeFileSync(output, Buffer.concat([made.component, needsSection(memoryMib, deadlineMs)]));
  } finally {
    rmSync(contract, { recursive: true });
  }
}

const USAGE = "usage: herd-build [--wit DIR] [--memory-mib N] [--deadline-ms N] MODULE OUTPUT";

async function main() {
  const text = (value) => ({ type: "string", default: value });
  const options = { wit: text("wit"), "memory-mib": text("64"), "deadline-ms": text("50") };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [memoryMib, deadlineMs] = [Number(values["memory-mib"]), Number(values["deadline-ms"])];
  const whole = [memoryMib, deadlineMs].every((number) => Number.isInteger(number) && number > 0);
  if (positionals.length !== 2 || !whole) throw new Error(USAGE);
  await build(positionals[0], positionals[1], { wit: values.wit, memoryMib, deadlineMs });
}

main().catch((error) => {
  console.error(`herd-build: ${error.message}`);
  process.exit(1);
});
