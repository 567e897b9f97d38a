"""Reports and answers: lines of the protocol, made and parsed. Knows no connection."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ._errors import InvalidArgument

_NS_PER_S = 1_000_000_000
_UNIX_NS_END = 10**18 * _NS_PER_S
_WHITE = re.compile(r"[ \t\r\n\v\f]")
_DECIMAL = r"[0-9]+(?:\.[0-9]+)?"
_AT = re.compile(
    rf"AT (?P<node>[^ ]+) (?P<skew>[+-]{_DECIMAL}) (?P<client>[^ ]+) (?P<latitude>[+-]{_DECIMAL})(?P<longitude>[+-]{_DECIMAL}) "
    rf"(?P<time>{_DECIMAL})"
)


def check_client(client: str) -> None:
    """Checks the name of a client."""
    # Surrogates stand for bytes that are no text.
    if not 1 <= len(client.encode(errors="surrogatepass")) <= 1024 or _WHITE.search(client) or not client.isascii() and _is_broken(client):
        raise InvalidArgument(f"{client[:60]!r} is no name of a client; write 1 to 1024 bytes without white space")


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _degrees(degrees: float) -> str:
    # As many digits as tell the number from its neighbours, without an exponent. Fifteen decimals are below the size of an atom.
    if abs(degrees) < 1e-15:
        return "+0"
    return format(Decimal(repr(float(degrees))), "+f").removesuffix(".0")


def _ns(text: str) -> int:
    """Seconds with a fraction as whole nanoseconds, exactly."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("+-").partition(".")
    return sign * (int(whole) * _NS_PER_S + int(f"{fraction[:9]:0<9}"))


@dataclass(frozen=True, slots=True)
class Report:
    """Location of a client at a time.

    The same report may be sent any number of times, to any nodes: it counts once. So keep it, and not its fields, to send it again.

    >>> str(Report("kiwi", 34.06893, -118.445127, 1479413884392014450))
    'IAMAT kiwi +34.06893-118.445127 1479413884.392014450'
    """

    client: str
    latitude: float
    """Degrees, north positive."""
    longitude: float
    """Degrees, east positive."""
    unix_ns: int = field(default_factory=time.time_ns)
    """Time of the location in nanoseconds since 1970. Default: now."""

    def __post_init__(self) -> None:
        check_client(self.client)
        for degrees, most in ((self.latitude, 90), (self.longitude, 180)):
            if not (math.isfinite(degrees) and abs(degrees) <= most):
                raise InvalidArgument(
                    f"latitude {self.latitude}, longitude {self.longitude} is no location; write degrees within 90 and 180"
                )
        if not 0 <= self.unix_ns < _UNIX_NS_END:
            raise InvalidArgument(f"{self.unix_ns} ns since 1970 is no time of a report; it has at most 18 digits of seconds")

    def __str__(self) -> str:
        seconds, ns = divmod(self.unix_ns, _NS_PER_S)
        return f"IAMAT {self.client} {_degrees(self.latitude)}{_degrees(self.longitude)} {seconds}.{ns:09}"


@dataclass(frozen=True, slots=True)
class At:
    """Location of a client, with the node that received the report."""

    node: str
    """Name of the node that received the report."""
    skew_ns: int
    """Receipt time minus the client's time, in nanoseconds. Negative if the client's clock is ahead."""
    client: str
    latitude: float
    longitude: float
    unix_ns: int
    """Time of the location by the client's clock, in nanoseconds since 1970."""
    line: str
    """The line, without its end, with the client's own notation of location and time."""

    @classmethod
    def parse(cls, line: str) -> At | None:
        """Parses a line without its end, or returns None if it is no `AT` line.

        >>> At.parse("AT Riley +0.5 kiwi +34-118 1479413884").skew_ns
        500000000
        """
        found = _AT.fullmatch(line)
        if not found:
            return None
        return cls(
            node=found["node"],
            skew_ns=_ns(found["skew"]),
            client=found["client"],
            latitude=float(found["latitude"]),
            longitude=float(found["longitude"]),
            unix_ns=_ns(found["time"]),
            line=line,
        )

    def is_no_news_after(self, other: At) -> bool:
        """Whether neither the client nor the receiving node dates this later than `other`."""
        return self.unix_ns <= other.unix_ns and self.unix_ns + self.skew_ns <= other.unix_ns + other.skew_ns


@dataclass(frozen=True, slots=True)
class Answer:
    """Location of a client and places near it."""

    at: At
    json: str
    """Places as the node sent them: an object of JSON, in the format of a Google Places Nearby Search."""

    def places(self) -> dict[str, Any]:
        """Parses the places: `status`, `results`, and what docs/protocol.md lists. Raises `ValueError` if a source sent no object."""
        parsed = json.loads(self.json)
        if not isinstance(parsed, dict):
            raise ValueError("the places are no object")
        return parsed


def query(client: str, radius_km: float, bound: int) -> str:
    """Writes a `WHATSAT` line."""
    check_client(client)
    if not 0 <= radius_km <= 50:
        raise InvalidArgument(f"{radius_km} is no radius; write kilometres from 0 to 50")
    if not (isinstance(bound, int) and 0 <= bound <= 20):
        raise InvalidArgument(f"{bound} is no number of places; write one from 0 to 20")
    radius = format(Decimal(repr(abs(float(radius_km)))), "f").removesuffix(".0")
    return f"WHATSAT {client} {radius} {bound}"
