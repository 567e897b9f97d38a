"""The base of a guest: what an author overrides."""

from .context import Context
from .event import Input, Mark, Report

NEWLINE = 10


class Guest:
    """Protocol logic. Override `line` for a protocol of lines, or `input` for any other."""

    name = "guest"
    version = "1"
    commands: list = []

    def __init__(self, node: str, settings: dict):
        """Takes the name of the node, and the `[logic]` table of the configuration as texts. Raise `BadSetting` to refuse it."""
        self.node = node

    def line(self, line: bytes, context: Context):
        """Decides one line, without its newline and a carriage return before it. Return `CLOSED` after `context.close()`."""
        raise NotImplementedError("a guest overrides `line` or `input`")

    def overlong(self, head: bytes, context: Context):
        """Decides on the first bytes of a line over the limit. The host closes the session in any case."""
        context.reply(b"? " + head[:64] + b"\n")
        context.close()

    def input(self, input: Input, context: Context):
        """Decides what a session brought. Returns the number of bytes consumed, and optionally how many more it awaits:
        `consumed` awaits a newline, `(consumed, 5)` five bytes more than are left over."""
        data = input.bytes
        if input.mark == Mark.OVERLONG:
            self.overlong(data, context)
            return len(data)
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            line = data[at : end - 1] if end > at and data[end - 1] == 13 else data[at:end]
            at = end + 1
            if self.line(line, context) is CLOSED:
                return len(data)
        if input.mark == Mark.END and at < len(data):
            self.line(data[at:], context)
            at = len(data)
        return at

    def reports(self, reports: list[Report], context: Context):
        """Decides records that a peer reports. Those that it does not refuse are kept."""

    def answer(self, token: bytes, otherwise: bytes, outcome, context: Context):
        """Decides the outcome of a fetch: a `Response` or `Failed`."""
        context.reply(otherwise)


CLOSED = object()
"""Returned by `line` after `context.close()`: the rest of the input is dropped."""
