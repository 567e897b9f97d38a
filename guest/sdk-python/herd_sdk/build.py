"""Builds a module into a component: `python -m herd_sdk.build MODULE OUTPUT`.

Runs componentize-py, and appends the section in which a guest states its needs: an interpreter takes more memory and time than
the defaults of a node.
"""

import argparse
import pathlib
import subprocess
import sys


def leb128(number: int) -> bytes:
    """Encodes a length."""
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def needs_section(memory_mib: int, deadline_ms: int) -> bytes:
    """Encodes the custom section `herd:needs`."""
    name, text = b"herd:needs", f"memory_mib = {memory_mib}\ndeadline_ms = {deadline_ms}\n".encode()
    content = leb128(len(name)) + name + text
    return b"\0" + leb128(len(content)) + content


def main():
    """Builds what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m herd_sdk.build", description="Builds a guest for a herd.")
    parser.add_argument("module", help="name of the module that exports `Logic`")
    parser.add_argument("output", help="file of the component, such as guest.wasm")
    parser.add_argument("--path", action="append", default=[], help="directory of modules (default: the current one)")
    parser.add_argument("--wit", default="wit", help="directory of the contract (default: wit)")
    parser.add_argument("--memory-mib", type=int, default=64, help="memory that the guest needs (default: 64)")
    parser.add_argument("--deadline-ms", type=int, default=50, help="processor time of a call (default: 50)")
    args = parser.parse_args()
    if min(args.memory_mib, args.deadline_ms) < 1:
        parser.error("--memory-mib and --deadline-ms must be at least 1")
    sdk = pathlib.Path(__file__).resolve().parent.parent
    paths = [argument for path in [*(args.path or ["."]), str(sdk)] for argument in ("-p", path)]
    tool = pathlib.Path(sys.executable).parent / "componentize-py"
    command = [str(tool) if tool.exists() else "componentize-py", "--quiet", "-d", args.wit, "-w", "node-logic"]
    try:
        subprocess.run([*command, "componentize", *paths, args.module, "-o", args.output], check=True)
    except FileNotFoundError:
        sys.exit("componentize-py is not installed; run `pip install -r requirements.txt`")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    with open(args.output, "ab") as component:
        component.write(needs_section(args.memory_mib, args.deadline_ms))


if __name__ == "__main__":
    main()
