"""Events: what the host asks a guest to decide."""

from dataclasses import dataclass
from enum import IntEnum


class Mark(IntEnum):
    """Meaning of the end of an input."""

    MORE = 0
    """More bytes may come."""
    END = 1
    """The client has ended its input: a rest without a delimiter is complete."""
    OVERLONG = 2
    """These are the first bytes of a line over the limit. The host closes the session after the replies."""


@dataclass(slots=True)
class Input:
    """Bytes of one session that no earlier call consumed."""

    bytes: bytes
    mark: Mark


@dataclass(slots=True)
class Report:
    """A record that a peer reports. Its rank is higher than that of the current record."""

    key: bytes
    rank: bytes
    bytes: bytes
    origin: bytes
    form: int


@dataclass(slots=True)
class Response:
    """The answer of an upstream to a fetch."""

    status: int
    body: bytes


@dataclass(slots=True)
class Failed:
    """No answer to a fetch."""

    reason: str
    """`unknown`, `unreachable`, `timeout`, `too-large`, `incomplete` or `busy`."""


class BadSetting(Exception):
    """A setting cannot be used: the node does not start, or the swap is refused, with these words."""

    def __init__(self, name: str, problem: str):
        super().__init__(f"{name}: {problem}")
        self.name, self.problem = name, problem
