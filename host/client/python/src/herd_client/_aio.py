"""Client for asyncio: calls that move to another node when theirs is lost, and subscriptions that do."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from ._connection import Connection, Form, Lines, Loss, Progress, open_streams, unexpected
from ._errors import CallTimeout, Failed, Interrupted, InvalidArgument, NodeError, NoSubscriptions, NotConfirmed
from ._fail_over import FailOver
from ._options import Address, Options
from ._types import Answer, At, Report, check_client, query

_WATCHED_MAX = 64
_LINE_BYTES_MAX = 64 << 10
_DOWN_S = (0.05, 1.0)


class _Node:
    """Node of a client: one connection, or one attempt to connect that all calls share."""

    def __init__(self, address: Address, options: Options) -> None:
        self.address = address
        self._options = options
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._pause_s = _DOWN_S[0]
        self._down: tuple[NodeError, float] | None = None

    async def connection(self) -> Connection:
        """Returns the connection. Raises `Loss` if there is none to be had now."""
        if self._connection and not self._connection.error:
            return self._connection
        now = asyncio.get_running_loop().time()
        if self._down and now < self._down[1]:
            raise Loss(self._down[0], Progress.UNSENT)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name=f"herd {self.address}")
            self._opening.add_done_callback(self._opened)
        try:
            # Shielded: a caller that is cancelled does not take the connection from the others.
            return await asyncio.shield(self._opening)
        except NodeError as error:
            raise Loss(error, Progress.UNSENT) from None

    async def _open(self) -> Connection:
        reader, writer = await open_streams(self.address, self._options)
        return Connection(self.address, self._options, reader, writer)

    def _opened(self, opening: asyncio.Task[Connection]) -> None:
        self._opening = None
        if opening.cancelled():
            return
        error = opening.exception()
        if error is None:
            self._connection, self._down, self._pause_s = opening.result(), None, _DOWN_S[0]
        elif isinstance(error, NodeError):
            self._down = (error, asyncio.get_running_loop().time() + self._pause_s)
            self._pause_s = min(self._pause_s * 2, _DOWN_S[1])

    def close(self) -> None:
        if self._opening:
            self._opening.cancel()
        if self._connection:
            self._connection.close()


class AsyncHerd:
    """Client of a herd, for one event loop.

    Any number of tasks may call at the same time: their lines are pipelined on one connection. All calls use one node, the first that was
    named, until it is lost; then they use the next one, and stay there.

        async with AsyncHerd(["127.0.0.1:15415", "127.0.0.1:15416"]) as herd:
            at = await herd.report(Report("kiwi", 34.06893, -118.445127))
    """

    def __init__(self, nodes: Iterable[str], options: Options | None = None) -> None:
        self._options = options or Options()
        self._nodes = [_Node(Address.parse(node), self._options) for node in nodes]
        if not self._nodes:
            raise InvalidArgument('no node is named; give the address of at least one, such as "127.0.0.1:15415"')
        self._preferred = 0
        self._places = asyncio.Semaphore(self._options.queue_max)
        self._watches: weakref.WeakSet[AsyncWatch] = weakref.WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, also those of subscriptions. Calls under way fail."""
        for watch in self._watches:
            watch.close()
        for node in self._nodes:
            node.close()

    @property
    def node(self) -> str:
        """Address of the node that calls use at present."""
        return str(self._nodes[self._preferred].address)

    async def report(self, report: Report) -> At:
        """Reports a location and returns how the herd knows it. The report is made again, unchanged, at another node if one is lost or does
        not confirm it. Raises a `HerdError`; the report may have been kept all the same, and the same report again is safe."""
        refusals_max = self._options.attempts_max
        answer = await self._call(str(report), Form.AT, True, refusals_max)
        if answer is None:
            raise NotConfirmed(report.client, refusals_max)
        return answer.at

    async def whats_at(self, client: str, radius_km: float = 0, bound: int = 0) -> Answer | None:
        """Asks for the location of a client and at most `bound` places, 0 to 20, within `radius_km` kilometres of it, 0 to 50. Returns None if
        the herd does not know the client."""
        refusals_max = min(self._options.unknown_at, len(self._nodes))
        return await self._call(query(client, radius_km, bound), Form.PLACES, True, refusals_max)

    async def request(self, line: str, *, repeat: bool) -> str:
        """Sends one line to whatever logic the nodes serve, and returns the line of its answer. With `repeat`, it is made again if it was perhaps
        performed; without, that raises `Interrupted`. A command of several lines of answer, or none, must not be sent."""
        if not line.strip() or "\n" in line or len(line.encode()) > _LINE_BYTES_MAX:
            raise InvalidArgument("a request is one line of 1 to 65536 bytes, without a newline")
        return (await self._in_time(FailOver(len(self._nodes), self._options.attempts_max), line, Form.LINE, repeat, 1) or ("", ""))[0]

    def watch(self, *clients: str) -> AsyncWatch:
        """Subscribes to clients, at nodes whose logic has `WATCH`, such as that of guest/examples/watch, over a connection of its own."""
        watch = AsyncWatch([node.address for node in self._nodes], self._preferred, self._options, clients)
        self._watches.add(watch)
        return watch

    async def _call(self, line: str, form: Form, repeat: bool, refusals_max: int) -> Answer | None:
        found = await self._in_time(FailOver(len(self._nodes), self._options.attempts_max), line, form, repeat, refusals_max)
        at = At.parse(found[0]) if found else None
        return Answer(at, found[1]) if found and at else None

    async def _in_time(self, course: FailOver, line: str, form: Form, repeat: bool, refusals_max: int) -> tuple[str, str] | None:
        waited_s = self._options.call_timeout_s
        try:
            async with asyncio.timeout(waited_s), self._places:
                return await self._attempts(course, line, form, repeat, refusals_max)
        except TimeoutError:
            raise CallTimeout(waited_s, course.last) from None

    async def _attempts(self, course: FailOver, line: str, form: Form, repeat: bool, refusals_max: int) -> tuple[str, str] | None:
        """Makes a call at one node after the other until one accepts it. Returns None if it was refused too often."""
        index, refusals = self._preferred, 0
        while True:
            node = self._nodes[index]
            try:
                answer, json = await (await node.connection()).call(line, form)
                if form is Form.LINE or not answer.startswith("? "):
                    if form is not Form.LINE and At.parse(answer) is None:
                        raise Loss(unexpected(str(node.address), answer), Progress.NEXT)
                    return answer, json
                refusals += 1
                if refusals >= refusals_max:
                    return None
                # Only this call goes elsewhere: the refusal may be about its client, and the node is good for others.
                index = (index + 1) % len(self._nodes)
            except Loss as loss:
                if not repeat and loss.progress is not Progress.UNSENT:
                    raise Interrupted(loss.error) from None
                # Only what a node may have failed by counts: a connection with many calls on it must not cost each of them an attempt.
                if loss.progress is Progress.NEXT and not course.count():
                    raise Failed(course.attempts, loss.error) from None
                course.last = loss.error
                # Unless another call has left it already.
                if self._preferred == index:
                    self._preferred = (index + 1) % len(self._nodes)
                index = self._preferred
            await asyncio.sleep(course.pause_s())


class AsyncWatch:
    """Subscription to clients, which outlives the loss of its node. See `AsyncHerd.watch`.

        async for at in herd.watch("kiwi", "emu"):
            print(at.client, at.latitude, at.longitude)
    """

    def __init__(self, nodes: list[Address], first: int, options: Options, clients: Iterable[str]) -> None:
        self._latest: dict[str, At | None] = dict.fromkeys(clients)
        if not 1 <= len(self._latest) <= _WATCHED_MAX:
            raise InvalidArgument(f"a subscription follows 1 to {_WATCHED_MAX} clients; {len(self._latest)} are named")
        for client in self._latest:
            check_client(client)
        self._nodes = nodes
        self._index = first
        self._options = options
        self._course = FailOver(len(nodes), options.attempts_max)
        self._streams: tuple[Lines, asyncio.StreamWriter] | None = None
        self._confirmations = 0
        self._lost_since: float | None = None
        self._refused_by = 0

    def __aiter__(self) -> AsyncIterator[At]:
        return self

    async def __anext__(self) -> At:
        return await self.next()

    def close(self) -> None:
        """Ends the subscription."""
        if self._streams:
            self._streams[1].transport.abort()
        self._streams = None

    async def next(self) -> At:
        """Waits for the next location of a watched client: first the present ones, then each new one. After the loss of a node it subscribes at
        another one, and of the locations in between returns the last of each client. Raises `CallTimeout` when there was no subscription for
        the time of a call; another `next` tries again."""
        while True:
            if self._streams is None:
                await self._subscribe()
                continue
            try:
                at = self._take(await self._line(*self._streams))
            except NodeError as error:
                self._lose(error)
                continue
            if at:
                return at

    async def _line(self, lines: Lines, writer: asyncio.StreamWriter) -> str:
        """Waits for a line. Subscribes once more when the node was silent: its answer is also the location that a lost push had."""
        while True:
            wait_s = self._options.answer_timeout_s if self._confirmations else self._options.probe_after_s
            try:
                async with asyncio.timeout(wait_s):
                    return await lines.line()
            except TimeoutError:
                if self._confirmations:
                    raise NodeError(str(self._nodes[self._index]), f"no answer within {wait_s:g} s") from None
                writer.write(f"WATCH {next(iter(self._latest))}\n".encode())
                self._confirmations = 1

    def _take(self, line: str) -> At | None:
        node = str(self._nodes[self._index])
        if line == "OK" and self._confirmations:
            self._confirmations -= 1
            if not self._confirmations:
                self._lost_since, self._refused_by = None, 0
                self._course = FailOver(len(self._nodes), self._options.attempts_max)
            return None
        if line.startswith("? WATCH "):
            self._refused_by += 1
        if line == "? TOKEN":
            raise NodeError(node, "it refuses the token")
        at = At.parse(line)
        if at is None or at.client not in self._latest:
            raise unexpected(node, line)
        latest = self._latest[at.client]
        if latest and at.is_no_news_after(latest):
            return None
        self._latest[at.client] = at
        return at

    async def _subscribe(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._lost_since is None:
            self._lost_since = now
        if self._refused_by >= len(self._nodes):
            self._refused_by = 0
            raise NoSubscriptions
        waited_s = self._options.call_timeout_s
        if now - self._lost_since > waited_s:
            self._lost_since = None
            raise CallTimeout(waited_s, self._course.last)
        if self._course.last:
            await asyncio.sleep(self._course.pause_s())
        address = self._nodes[self._index]
        try:
            reader, writer = await open_streams(address, self._options)
        except NodeError as error:
            self._lose(error)
            return
        if self._options.token is not None:
            writer.write(f"TOKEN {self._options.token}\n".encode())
        writer.write("".join(f"WATCH {client}\n" for client in self._latest).encode())
        self._confirmations = len(self._latest)
        self._streams = (Lines(reader, str(address)), writer)

    def _lose(self, error: NodeError) -> None:
        self.close()
        self._course.last = error
        self._index = (self._index + 1) % len(self._nodes)
