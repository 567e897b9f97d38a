#!/usr/bin/env python3
"""A second, deliberately simple implementation of the line protocol (docs/protocol.md), and a comparison of a guest with it.

    tests/reference/line.py [--dialogues 2000] [--seed 1] [--herd target/release/herd]
                            [--guest target/guest/wasm32-wasip2/guest/herd_guest.wasm]

Generates dialogues, writes them as transcripts with the replies that this implementation gives, and runs them with `herd test --replies`.
Covers `IAMAT`, every invalid command, and `WHATSAT` about unknown clients; what a source answers is left to tests/transcripts.
Ends with 0 if every reply is equal. Needs nothing but Python.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

BLANKS = b" \t\r\f\v"
LOCATION = re.compile(rb"([+-])([0-9]+(?:\.[0-9]+)?)([+-])([0-9]+(?:\.[0-9]+)?)")
TIME = re.compile(rb"([0-9]{1,18})(?:\.([0-9]{1,9}))?")


def within(number, limit):
    """Compares as text, because a float would round."""
    whole, _, fraction = number.partition(b".")
    whole = int(whole)
    return whole < limit or (whole == limit and not fraction.strip(b"0"))


def nanoseconds(time):
    match = TIME.fullmatch(time)
    return match and int(match[1]) * 10**9 + int((match[2] or b"").ljust(9, b"0"))


def is_location(text):
    match = LOCATION.fullmatch(text)
    return bool(match) and len(text) <= 128 and within(match[2], 90) and within(match[4], 180)


def skew(received, sent):
    difference = received - sent
    whole, fraction = divmod(abs(difference), 10**9)
    return b"%c%d.%09d" % (b"-+"[difference >= 0], whole, fraction)


class Reference:
    """A node: the whole protocol but for the answers of sources."""

    def __init__(self, node):
        self.node = node
        self.known = set()

    def reply(self, line, now):
        """Returns the reply to a line without its newline, or None."""
        line = line[:-1] if line.endswith(b"\r") else line
        fields = [field for field in re.split(b"[" + BLANKS + b"]+", line) if field]
        if not fields:
            return None
        if len(fields) == 4 and fields[0] == b"IAMAT":
            _, client, location, time = fields
            sent = nanoseconds(time)
            if sent is not None and is_location(location):
                self.known.add(client)
                return b" ".join([b"AT", self.node, skew(now, sent), client, location, time]) + b"\n"
        return b"? " + line + b"\n"


class Dialogues:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self, limit):
        pick = self.random.randrange(8)
        if pick == 0:
            bounds = [f"{limit}", f"{limit}.0", f"{limit}.0000000001"]
            return self.random.choice(["", ".5", "5.", "1e2", "-1", "0x1", "٣", "1.5.5", *bounds, "007"])
        digits = self.random.randrange(0, 12)
        whole = self.random.randrange(0, int(limit * 1.05) + 1)
        return f"{whole}" + (f".{self.random.randrange(10**digits):0{digits}d}" if digits else "")

    def location(self):
        sign = lambda: self.random.choice(["+", "-", "+", "-", ""] if self.random.random() < 0.1 else "+-")
        return sign() + self.number(90) + sign() + self.number(180) + self.random.choice([""] * 20 + ["/", "+1", "0" * 130])

    def time(self):
        if self.random.random() < 0.15:
            return self.random.choice(["", "-1", "+1", "1.", ".1", "1e9", "1.0000000001", "9" * 18, "9" * 19, "0", "1.999999999"])
        return f"{self.random.randrange(1, 10**self.random.randrange(1, 12))}" + self.random.choice(["", f".{self.random.randrange(10**9):09d}", ".5"])

    def blank(self):
        return self.random.choice([" "] * 20 + ["  ", "\t", " \v", "\f", "\r", "\u00a0"])

    def line(self):
        pick = self.random.random()
        client = self.random.choice(["kiwi", "kiwi.cs.ucla.edu", "é", "\u00a0", "\x00", "\x85", "IAMAT"])
        if pick < 0.6:
            words = [self.random.choice(["IAMAT"] * 12 + ["iamat", "IAMAT\u200b"]), client, self.location(), self.time()]
        elif pick < 0.75:
            # No client of this name ever reports.
            words = ["WHATSAT", "nobody-" + client, self.number(50), self.random.choice(["0", "20", "21", "+5", "-1", "x", "5.0"])]
        else:
            words = [self.random.choice(["AT", "?", "", "IAMAT", "WHATSAT", "\x00\x01"]) for _ in range(self.random.randrange(0, 6))]
        if self.random.random() < 0.1:
            words = words[: self.random.randrange(0, 5)] + self.random.choice([[], ["more"]])
        text = "".join(word + self.blank() for word in words)
        data = (text if self.random.random() < 0.05 else text[:-1]).encode()
        if self.random.random() < 0.03:
            data += bytes([self.random.randrange(128, 256)])
        return data.replace(b"\n", b"") + self.random.choice([b"", b"", b"\r", b"\r\r"])


def quoted(data):
    return '"' + "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in data) + '"'


def transcript(dialogues, number):
    """Returns a transcript of one dialogue: lines, cut anywhere, and the replies after each piece."""
    reference = Reference(b"Riley")
    now = dialogues.random.randrange(10**9, 2 * 10**18)
    out = [f"# Dialogue {number}.", "node Riley", "live no: generated", f"now {now // 10**9}.{now % 10**9:09d}"]
    data = b"".join(dialogues.line() + b"\n" for _ in range(dialogues.random.randrange(1, 15)))
    rest = b""
    while data:
        length = dialogues.random.choice([1, 5, 40, 10**6])
        piece, data = data[:length], data[length:]
        out.append(f"input {quoted(piece)}")
        *lines, rest = (rest + piece).split(b"\n")
        replies = b"".join(reply for line in lines if (reply := reference.reply(line, now)) is not None)
        if replies:
            out.append(f"  reply {quoted(replies)}")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--herd", default="target/release/herd")
    parser.add_argument("--guest", default="target/guest/wasm32-wasip2/guest/herd_guest.wasm")
    arguments = parser.parse_args()
    dialogues = Dialogues(arguments.seed)
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for number in range(arguments.dialogues):
            paths.append(os.path.join(directory, f"{number:05}.herd"))
            with open(paths[-1], "w") as file:
                file.write(transcript(dialogues, number))
        for start in range(0, len(paths), 500):
            command = [arguments.herd, "test", "--replies", arguments.guest, *paths[start : start + 500]]
            output = subprocess.run(command, capture_output=True, text=True)
            if output.returncode != 0:
                differs = [line for line in (output.stdout + output.stderr).splitlines() if not line.startswith("ok ")]
                print(f"seed {arguments.seed}:\n" + "\n".join(differs[:40]))
                return 1
    print(f"{arguments.dialogues} dialogues equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
