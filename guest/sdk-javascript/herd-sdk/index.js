/**
 * SDK for protocol logic in JavaScript.
 *
 * A guest is a subclass of `Guest`, and a module exports it:
 *
 *     import { Guest, exported } from "herd-sdk";
 *
 *     class Hello extends Guest {
 *       static description = { name: "hello", version: "1", commands: ["HELLO"] };
 *       line(line, context) { context.reply(`hello ${line}\n`); }
 *     }
 *
 *     export const logic = exported(Hello);
 *
 * `npx herd-build hello.js guest.wasm` builds it into a component. Bytes from a wire are *byte strings*: strings whose characters are one
 * byte each, 0 to 255, so that a name that is not UTF-8 stays a name. `fromUtf8` and `toUtf8` convert. Time, randomness and records come
 * from the context; nothing that a guest remembers from an earlier call may change what it decides.
 */

export { fromUtf8, toUtf8 } from "./bytes.js";
export { Context } from "./context.js";
export { BadSetting, Guest, CLOSED } from "./guest.js";
export { exported } from "./exported.js";
