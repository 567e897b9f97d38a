"""Options of a client, with their defaults, and addresses of nodes."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import NamedTuple

from ._errors import InvalidArgument

_WHITE = re.compile(r"[ \t\r\n\v\f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a client. All times are in seconds."""

    tls: ssl.SSLContext | None = None
    """TLS, if the addresses are those for clients with TLS: `ssl.create_default_context(cafile=...)`."""
    server_name: str | None = None
    """Name that certificates must have. Default: the host as the address has it."""
    token: str | None = None
    """First line of each connection, for nodes that let only some sessions report under some names."""
    connect_timeout_s: float = 3.0
    """Time for the look-up of a node's name, its connection and the handshake together."""
    answer_timeout_s: float = 12.0
    """Longest time without the next answer of a node before it counts as lost. The default is more than a node takes for a query of
    places, or for a report that waits for its confirmation."""
    call_timeout_s: float = 30.0
    """Time of a call with all its attempts."""
    attempts_max: int = 8
    """Attempts that may end with the loss of the node while it was deciding this call, or with a refusal that is worth another
    attempt. Failed connections count only against the time."""
    unknown_at: int = 2
    """Nodes that are asked for a client before it counts as unknown: one that has just started may not have heard of it yet."""
    queue_max: int = 1024
    """Calls that may be under way or wait at one time; further ones wait for a place, in their time."""
    probe_after_s: float = 20.0
    """Time without news after which a subscription asks its node whether it is still there."""

    def __post_init__(self) -> None:
        for name in (
            "connect_timeout_s", "answer_timeout_s", "call_timeout_s", "attempts_max", "unknown_at", "queue_max", "probe_after_s"
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise InvalidArgument(f"{name} is {getattr(self, name)}; it must be more than 0")
        if self.token is not None and (not 1 <= len(self.token.encode()) <= 512 or _WHITE.search(self.token)):
            raise InvalidArgument("a token has 1 to 512 bytes without white space")


class Address(NamedTuple):
    """Host and port of a node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parses `riley.example.net:15415`, `127.0.0.1:15415` or `[2001:db8::1]:15415`."""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
        if not found or not 1 <= int(found[3]) <= 65535:
            raise InvalidArgument(f"{text!r} is no address of a node; write it as \"127.0.0.1:15415\" or \"[2001:db8::1]:15415\"")
        return cls(found[1] or found[2], int(found[3]))
