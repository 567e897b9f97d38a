"""Fake node for tests: reacts to each line as a function says, and records the lines."""

import asyncio
from collections.abc import Callable
from typing import Self

Reaction = tuple[str, bool]
"""Text to send, and whether the connection is closed then."""


def answer(name: str, line: str) -> str:
    """Answer of the default logic, for which `lost` is an unknown client."""
    command, _, fields = line.partition(" ")
    if command == "IAMAT":
        return f"AT {name} +0.500000000 {fields}\n"
    if command == "WHATSAT" and not fields.startswith("lost "):
        return f'AT {name} +0.5 {fields.split()[0]} +34-118 1.5\n{{"results": [],\n "status": "ZERO_RESULTS"}}\n\n'
    return f"? {line}\n"


class FakeNode:
    """Node on a free port of loopback. `react` has the number of lines before this one, and the line."""

    def __init__(self, react: Callable[[int, str], Reaction]) -> None:
        self._react = react
        self.received: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    def good(cls, name: str) -> Self:
        return cls(lambda _, line: (answer(name, line), False))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while line := (await reader.readline()).decode().rstrip("\n"):
                self.received.append(line)
                text, is_last = self._react(len(self.received) - 1, line)
                writer.write(text.encode())
                if is_last:
                    break
        except (OSError, asyncio.CancelledError):
            pass
        writer.close()
