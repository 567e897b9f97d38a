"""Connection to a node that carries many calls at once.

Owns the order of answers: that of the lines. Bounds: 256 calls under way, lines of 128 KiB, JSON of 4 MiB.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from dataclasses import dataclass

from ._errors import NodeError
from ._options import Address, Options

PIPELINE_MAX = 256
_LINE_BYTES_MAX = 128 << 10
_JSON_BYTES_MAX = 4 << 20
_TOKEN_REFUSED = "? TOKEN"


class Form(enum.Enum):
    """Form of an answer."""

    AT = enum.auto()
    PLACES = enum.auto()
    LINE = enum.auto()


class Progress(enum.Enum):
    """Progress of a call when its node was lost: certainly not sent; behind others; the next to be answered."""

    UNSENT = enum.auto()
    BEHIND = enum.auto()
    NEXT = enum.auto()


class Loss(Exception):
    """Call without an answer."""

    def __init__(self, error: NodeError, progress: Progress) -> None:
        super().__init__(str(error))
        self.error = error
        self.progress = progress


@dataclass(slots=True)
class Call:
    """Line under way and the place for its answer."""

    line: str
    form: Form
    answer: asyncio.Future[tuple[str, str]]

    def is_answered_by(self, answer: str) -> bool:
        """A refusal repeats the line, and a location is that of the client, for a report the reported one. Anything else means that answers
        and lines are no longer in step, or that the node serves other logic."""
        if self.form is Form.LINE or answer == f"? {self.line}":
            return True
        located = answer.split(" ", 3)
        if located[0] != "AT" or len(located) < 4:
            return False
        asked = self.line.split(" ", 1)[1]
        return located[3] == asked if self.form is Form.AT else located[3].split(" ")[0] == asked.split(" ")[0]


async def open_streams(address: Address, options: Options) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects, with TLS if there is a context for it. Raises `NodeError`."""
    name = (options.server_name or address.host) if options.tls else None
    try:
        async with asyncio.timeout(options.connect_timeout_s):
            return await asyncio.open_connection(
                address.host, address.port, ssl=options.tls, server_hostname=name, limit=_JSON_BYTES_MAX, happy_eyeballs_delay=0.25
            )
    except TimeoutError:
        raise NodeError(str(address), f"no connection within {options.connect_timeout_s:g} s") from None
    except OSError as error:
        raise NodeError(str(address), f"cannot connect: {error}") from error


class Lines:
    """Lines of a stream, with their limits. Raises `NodeError`."""

    def __init__(self, reader: asyncio.StreamReader, node: str) -> None:
        self._reader = reader
        self._node = node

    async def line(self) -> str:
        return await self._until(b"\n", _LINE_BYTES_MAX)

    async def json(self) -> str:
        return await self._until(b"\n\n", _JSON_BYTES_MAX)

    async def _until(self, end: bytes, bytes_max: int) -> str:
        try:
            # Cancel safe: what has arrived stays in the buffer.
            found = await self._reader.readuntil(end)
        except asyncio.LimitOverrunError:
            raise NodeError(self._node, f"an answer of more than {bytes_max} bytes; is it a node?") from None
        except (asyncio.IncompleteReadError, ConnectionResetError):
            raise NodeError(self._node, "it closed the connection") from None
        except OSError as error:
            raise NodeError(self._node, f"the connection broke: {error}") from error
        if len(found) - len(end) > bytes_max:
            raise NodeError(self._node, f"an answer of more than {bytes_max} bytes; is it a node?")
        try:
            return found[: -len(end)].decode()
        except UnicodeDecodeError:
            raise unexpected(self._node, found.decode(errors="replace")) from None


def unexpected(node: str, line: str) -> NodeError:
    """An answer that does not fit."""
    return NodeError(node, f"an answer that the default logic does not give: {line[:60]!r}; does the node serve other logic?")


class Connection:
    """Open connection, with the calls under way on it and the task that reads their answers."""

    def __init__(self, address: Address, options: Options, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._node = str(address)
        self._options = options
        self._lines = Lines(reader, self._node)
        self._writer = writer
        self._under_way: deque[Call] = deque()
        self._waiting_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._places = asyncio.Semaphore(PIPELINE_MAX)
        self.error: NodeError | None = None
        if options.token is not None:
            writer.write(f"TOKEN {options.token}\n".encode())
        self._task = asyncio.create_task(self._read(), name=f"herd {self._node}")

    async def call(self, line: str, form: Form) -> tuple[str, str]:
        """Sends a line and returns the first line of its answer and the JSON after it. Raises `Loss`."""
        async with self._places:
            if self.error:
                raise Loss(self.error, Progress.UNSENT)
            loop = asyncio.get_running_loop()
            call = Call(line, form, loop.create_future())
            if not self._under_way:
                self._waiting_since = loop.time()
            # Between here and the end of `write` nothing awaits, so the order of calls is that of lines.
            self._under_way.append(call)
            self._writer.write(f"{line}\n".encode())
            if self._timer is None:
                self._watch()
            # Cancelled callers leave their call under way: its answer will come, and is dropped.
            return await call.answer

    def close(self, reason: str = "the client was closed") -> None:
        """Ends the connection and fails what is under way."""
        self._task.cancel()
        self._lose(NodeError(self._node, reason))

    async def _read(self) -> None:
        try:
            while True:
                line, json = await self._answer()
                call = self._under_way.popleft()
                self._waiting_since = asyncio.get_running_loop().time()
                if not call.answer.done():
                    call.answer.set_result((line, json))
        except NodeError as error:
            self._lose(error)

    async def _answer(self) -> tuple[str, str]:
        line = await self._lines.line()
        if self._options.token is not None and line == _TOKEN_REFUSED:
            raise NodeError(self._node, "it refuses the token")
        if not self._under_way or not self._under_way[0].is_answered_by(line):
            raise unexpected(self._node, line)
        if self._under_way[0].form is not Form.PLACES or line.startswith("? "):
            return line, ""
        return line, await self._lines.json()

    def _watch(self) -> None:
        """Gives the node up if the next answer is overdue, and else looks again when it will be."""
        self._timer = None
        if self.error or not self._under_way:
            return
        loop = asyncio.get_running_loop()
        overdue_at = self._waiting_since + self._options.answer_timeout_s
        if loop.time() >= overdue_at:
            self.close(f"no answer within {self._options.answer_timeout_s:g} s")
        else:
            self._timer = loop.call_at(overdue_at, self._watch)

    def _lose(self, error: NodeError) -> None:
        if self.error:
            return
        self.error = error
        if self._timer:
            self._timer.cancel()
        self._writer.transport.abort()
        for place, call in enumerate(self._under_way):
            if not call.answer.done():
                call.answer.set_exception(Loss(error, Progress.BEHIND if place else Progress.NEXT))
        self._under_way.clear()
