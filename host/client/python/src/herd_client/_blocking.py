"""Blocking client: the one for asyncio, on an event loop in a thread of its own, so that both behave alike."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from ._aio import AsyncHerd, AsyncWatch
from ._options import Options
from ._types import Answer, At, Report

_T = TypeVar("_T")


class Herd:
    """Client of a herd, for any number of threads, whose calls are pipelined on one connection. Methods as those of `AsyncHerd`.

        with Herd(["127.0.0.1:15415", "127.0.0.1:15416"]) as herd:
            at = herd.report(Report("kiwi", 34.06893, -118.445127))
    """

    def __init__(self, nodes: Iterable[str], options: Options | None = None) -> None:
        self._herd = AsyncHerd(nodes, options)
        self._loop = asyncio.new_event_loop()
        # A daemon, so that a program that forgets to close ends all the same.
        self._thread = threading.Thread(target=self._loop.run_forever, name="herd client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. Calls under way in other threads fail. May be called twice."""
        if self._loop.is_closed():
            return
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def node(self) -> str:
        """Address of the node that calls use at present."""
        return self._herd.node

    def report(self, report: Report) -> At:
        """Reports a location and returns how the herd knows it."""
        return self._run(self._herd.report(report))

    def whats_at(self, client: str, radius_km: float = 0, bound: int = 0) -> Answer | None:
        """Asks for the location of a client and places near it. Returns None if the herd does not know the client."""
        return self._run(self._herd.whats_at(client, radius_km, bound))

    def request(self, line: str, *, repeat: bool) -> str:
        """Sends one line to whatever logic the nodes serve, and returns the line of its answer."""
        return self._run(self._herd.request(line, repeat=repeat))

    def watch(self, *clients: str) -> Watch:
        """Subscribes to clients."""
        return Watch(self, self._herd.watch(*clients))

    def _run(self, call: Coroutine[Any, Any, _T]) -> _T:
        if self._loop.is_closed():
            call.close()
            raise RuntimeError("the client is closed")
        running = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return running.result()
        except BaseException:
            # Such as KeyboardInterrupt: nobody waits for it any more.
            running.cancel()
            raise

    async def _end(self) -> None:
        self._herd.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Watch(Iterator[At]):
    """Subscription to clients. See `AsyncWatch`.

        for at in herd.watch("kiwi", "emu"):
            print(at.client, at.latitude, at.longitude)
    """

    def __init__(self, herd: Herd, watch: AsyncWatch) -> None:
        self._herd = herd
        self._watch = watch

    def __next__(self) -> At:
        return self._herd._run(self._watch.next())

    def close(self) -> None:
        """Ends the subscription. May be called twice."""
        # Else the loop has ended, and with it the subscription.
        with contextlib.suppress(RuntimeError):
            self._herd._loop.call_soon_threadsafe(self._watch.close)

    def __del__(self) -> None:
        # Its connection belongs to the thread of the loop.
        self.close()
