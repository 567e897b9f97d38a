"""Context of one call: what a guest may read, and the decision that it builds.

Owns the encoding of effects, the table in `wit/effects.wit`. The host checks every limit after the call; numbers are checked here,
because a number that does not fit its word would otherwise mean something else.
"""

from typing import NamedTuple

_U32 = 0xFFFF_FFFF
_LEVELS = {"debug": 0, "info": 1, "warn": 2}


class Found(NamedTuple):
    """A record as it is kept now."""

    rank: bytes
    form: int
    bytes: bytes


def u32(number, what: str) -> int:
    """Returns a number that fits its word, or raises ValueError."""
    if type(number) is not int or not 0 <= number <= _U32:
        raise ValueError(f"{what} is {number!r}; it must be a whole number from 0 to {_U32}")
    return number


class Context:
    """Adds effects to the decision. The host performs them in the same order after the call has returned."""

    __slots__ = ("now_ns", "random", "_get", "output", "words", "_keeps", "_kept")

    def __init__(self, now_ns: int, random: tuple, get):
        self.now_ns = now_ns
        """Time of the call, in nanoseconds since the Unix epoch."""
        self.random = random
        """128 random bits as two numbers, fresh for each input, batch of reports or answer."""
        self._get = get
        self.output = bytearray()
        self.words = []
        self._keeps = 0
        self._kept = {}

    def record(self, key: bytes):
        """Returns the record under a key as `Found`, or None. Keeps of this call count as if they were applied already.

        Each call costs an import, so a path that matters should not need it.
        """
        found = self._get([key])[0]
        kept = self._kept.get(key)
        if found is None:
            return kept
        found = Found(found.rank, found.form, found.bytes)
        if kept is None or (found.rank, found.bytes) > (kept.rank, kept.bytes):
            return found
        return kept

    def reply(self, data: bytes):
        """Replies to the session."""
        self.words += (1, *self._span(data))

    def reply_if_kept(self, keep: int, data: bytes, otherwise: bytes):
        """Replies with `data` if the keep is accepted and acknowledged in time, with `otherwise` if not."""
        self._check_keep(keep)
        self.words += (2, *self._span(data), keep, *self._span(otherwise))

    def keep(self, key: bytes, rank: bytes, record: bytes, form: int = 1, peers=None) -> int:
        """Keeps a record if it wins, and then floods it. Returns the number of the keep, to tie replies and publishes to it.

        The highest (rank, record) of a key wins, compared as bytes. With `peers`, names of at most 64 peers, these get it first.
        """
        words = (*self._span(key), *self._span(rank), u32(form, "form"), *self._span(record))
        if peers is None:
            self.words += (3, *words)
        else:
            self.words += (4, *words, *self._span(b"".join(peer.encode() + b"\n" for peer in peers)))
        kept = self._kept.get(key)
        if kept is None or (rank, record) > (kept.rank, kept.bytes):
            self._kept[key] = Found(rank, form, record)
        self._keeps += 1
        return self._keeps - 1

    def fetch(self, upstream: str, path: str, token: bytes, otherwise: bytes, body: bytes | None = None):
        """Asks an upstream: GET, or POST with a body. `token` comes back with the answer in `Guest.answer`.

        The host replies `otherwise` if no guest can decide the answer, or if the time for the reply runs out.
        """
        spans = (upstream.encode(), path.encode(), body or b"", token, otherwise)
        self.words += (5, 0 if body is None else 1)
        for data in spans:
            self.words += self._span(data)

    def subscribe(self, topic: bytes):
        """Subscribes the session to a topic."""
        self.words += (6, *self._span(topic))

    def unsubscribe(self, topic: bytes):
        """Unsubscribes the session from a topic."""
        self.words += (7, *self._span(topic))

    def publish(self, topic: bytes, data: bytes):
        """Publishes bytes to every session of this node that subscribed to a topic."""
        self.words += (8, *self._span(topic), *self._span(data))

    def publish_if_kept(self, keep: int, topic: bytes, data: bytes):
        """Publishes bytes to a topic if the keep is applied, that is, if it wins."""
        self._check_keep(keep)
        self.words += (9, *self._span(topic), *self._span(data), keep)

    def publish_if_report_kept(self, index: int, topic: bytes, data: bytes):
        """Publishes bytes to a topic if the report of this index is applied."""
        self.words += (9, *self._span(topic), *self._span(data), u32(index, "index of the report"))

    def close(self):
        """Ends the session once its replies are out."""
        self.words.append(10)

    def note(self, level: str, text: str):
        """Writes a line to the node's log: `debug`, `info` or `warn`."""
        if level not in _LEVELS:
            raise ValueError(f"level is {level!r}; it must be one of {', '.join(_LEVELS)}")
        self.words += (11, _LEVELS[level], *self._span(text.encode()))

    def refuse(self, index: int):
        """Refuses the report of this index: it is kept by rank, but guests do not see it until a later one accepts it."""
        self.words += (13, u32(index, "index of the report"))

    def end_input(self, consumed: int, awaits_bytes: int, delimiter: int):
        """Ends the effects of one input. The exporter calls it."""
        if awaits_bytes:
            self.words += (12, u32(consumed, "consumed"), 1, u32(awaits_bytes, "awaited bytes"))
        else:
            self.words += (12, u32(consumed, "consumed"), 0, u32(delimiter, "delimiter"))
        # Two sessions that share a call must not receive the same secret. The step is that of SplitMix64, which is odd.
        self.random = ((self.random[0] + 0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF_FFFF, self.random[1])

    def _check_keep(self, keep: int):
        if type(keep) is not int or not 0 <= keep < self._keeps:
            raise ValueError(f"keep is {keep!r}; it must be the number that an earlier `keep` of this call returned")

    def _span(self, data: bytes):
        start = len(self.output)
        self.output += data
        return start, len(data)
