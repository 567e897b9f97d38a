"""What the herds in Python have in common: what a line means, what a node knows, and how places are asked for.

Every one of them decides alike; they differ in how lines come in and how they go to the neighbours.
"""

import asyncio
import re
import sys
from json import JSONDecoder
from time import time_ns

import aiohttp

# In patterns of bytes \s is exactly the six white space characters of the protocol, \S every other byte, \d ASCII.
# The ranges of latitude, longitude, radius and bound are in the patterns: exact, and cheaper than conversions.
CLIENT = rb"(\S+)"
LATITUDE = rb"[+-]0*(?:[0-8]?\d(?:\.\d+)?|90(?:\.0+)?)"
LONGITUDE = rb"[+-]0*(?:(?:1[0-7]\d|\d?\d)(?:\.\d+)?|180(?:\.0+)?)"
TIME = rb"((\d{1,18})(?:\.(\d{1,9}))?)"
RADIUS = rb"\+?(0*(?:[0-4]?\d(?:\.\d+)?|50(?:\.0+)?))"
BOUND = rb"\+?0*(1?\d|20)"
SKEW = rb"([+-])(\d{1,18})(?:\.(\d{1,9}))?"

IAMAT = re.compile(rb"\s*IAMAT\s+%b\s+(%b%b)\s+%b\s*" % (CLIENT, LATITUDE, LONGITUDE, TIME)).fullmatch
WHATSAT = re.compile(rb"\s*WHATSAT\s+%b\s+%b\s+%b\s*" % (CLIENT, RADIUS, BOUND)).fullmatch
AT = re.compile(rb"AT\s+(\S+)\s+%b\s+%b\s+%b%b\s+%b" % (SKEW, CLIENT, LATITUDE, LONGITUDE, TIME)).fullmatch
PLACE = re.compile(rb"([+-][\d.]+)([+-][\d.]+)").fullmatch

SECOND = 10**9  # in nanoseconds, which all times are
TOLERANCE = 60 * SECOND  # a report counts as at most this far ahead of its receipt

LINE_MAX = 64 << 10  # bytes; a longer line ends the session
LINE_SHOWN = 64  # bytes of such a line that are copied
REPLIES_MAX = 64  # replies a session may have waiting for places before it is no longer read
LINK_S = 5  # for a flood message to leave
PLACES_OPEN_MAX = 100  # requests at once
PLACES_S = 5  # for an answer with places
PLACES_BYTES_MAX = 4 << 20


class Node:
    """What a node knows, and what it does with a line."""

    def __init__(self, name, links, places):
        self.name = name
        self.links = links
        self.places = places
        # client -> (effective time, the client's time, AT line without its newline)
        self.clients = {}

    def iamat(self, found, now):
        client, place, text, whole, fraction = found.groups()
        time = nanoseconds(whole, fraction)
        skew = now - time
        seconds, rest = divmod(abs(skew), SECOND)
        sign = b"-" if skew < 0 else b"+"
        line = b"AT %b %b%d.%09d %b %b %b" % (self.name, sign, seconds, rest, client, place, text)
        self.learn(client, min(time, now + TOLERANCE), time, line, self.name)
        return line + b"\n"

    def at(self, found, line):
        origin, sign, seconds, rest, client, _, whole, fraction = found.groups()
        time = nanoseconds(whole, fraction)
        skew = nanoseconds(seconds, rest)
        received = time - skew if sign == b"-" else time + skew
        self.learn(client, min(time, received + TOLERANCE), time, line, origin)

    def learn(self, client, effective, time, line, origin):
        """Keeps and floods what is later than what is known. The neighbour that took the report needs no copy."""
        known = self.clients.get(client)
        if known is not None and (effective < known[0] or effective == known[0] and time <= known[1]):
            return
        self.clients[client] = effective, time, line
        for link in self.links:
            if link.name != origin:
                link.send(client, line)

    def whatsat(self, found):
        """Starts to answer; None if nobody knows the client."""
        client, radius, bound = found.groups()
        known = self.clients.get(client)
        if known is None:
            return None
        line = known[2]
        place = line.rsplit(None, 2)[1]
        return asyncio.get_running_loop().create_task(self.nearby(line, place, float(radius), int(bound)))

    async def nearby(self, line, place, radius_km, bound):
        latitude, longitude = (part.decode().removeprefix("+") for part in PLACE(place).groups())
        return b"%b\n%b\n\n" % (line, await self.places.ask(f"{latitude},{longitude}", radius_km * 1000, bound))


def nanoseconds(whole, fraction):
    return int(whole + fraction.ljust(9, b"0")) if fraction else int(whole) * SECOND


class Places:
    """The legacy Nearby Search. What goes wrong is an answer too, of the same form."""

    def __init__(self, base, key):
        self.url = base.rstrip("/") + "/maps/api/place/nearbysearch/json"
        self.key = key
        self.http = None

    async def __aenter__(self):
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=PLACES_OPEN_MAX),
            timeout=aiohttp.ClientTimeout(total=PLACES_S),
        )
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def ask(self, location, radius_m, bound):
        query = {"location": location, "radius": f"{radius_m:.12g}", "key": self.key}
        try:
            async with self.http.get(self.url, params=query) as response:
                if response.status != 200:
                    return failure(f"status {response.status}")
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > PLACES_BYTES_MAX:
                        return failure("answer too large")
        except TimeoutError:
            return failure("timeout")
        except aiohttp.ClientConnectorError:
            return failure("cannot connect")
        except aiohttp.ClientError:
            return failure("connection broke")
        try:
            text = cut(body.decode(), bound)
        except (ValueError, RecursionError):
            return failure("answer makes no sense")
        return re.sub(r"\n+", "\n", text).strip().encode()


def failure(what):
    what = f"places: {what}".encode()
    return b'{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR","error_message":"%b"}' % what


JSON = JSONDecoder().raw_decode
BLANK = re.compile(r"[ \t\n\r]*").match


def cut(text, bound):
    """Takes the results beyond the bound out of a Nearby Search answer, and leaves every other character as it is."""
    start = BLANK(text).end()
    answer, end = JSON(text, start)
    if BLANK(text, end).end() != len(text) or not isinstance(answer, dict):
        raise ValueError
    if not isinstance(answer.get("results"), list) or not isinstance(answer.get("status"), str):
        raise ValueError
    surplus = len(answer["results"]) - bound
    if surplus <= 0:
        return text
    at = BLANK(text, start + 1).end()
    while True:
        key, at = JSON(text, at)
        at = BLANK(text, BLANK(text, at).end() + 1).end()  # past the colon
        if key == "results":
            break
        _, at = JSON(text, at)
        at = BLANK(text, BLANK(text, at).end() + 1).end()  # past the comma
    keep = end = at + 1
    for index in range(bound + surplus):
        _, end = JSON(text, BLANK(text, end + (index > 0)).end())  # past the comma
        if index == bound - 1:
            keep = end
        at = BLANK(text, end).end()
        end = at
    return text[:keep] + text[at:]


def log(text):
    print(text, file=sys.stderr, flush=True)
