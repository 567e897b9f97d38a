"""The `WHATSAT` command: queries the sources of places one after the other and builds the reply.

A fetch carries two values to its answer: the token, from which the next source is queried if this one fails, and the fallback
reply, whose first line is the `AT` line of the moment when the command arrived.
"""

import json
import re

from fields import at_fields, parse_bound, parse_location, parse_radius
from herd_sdk import Failed
from sources import SOURCES, Declined, Query, Unusable, number

_LINE_ENDS = re.compile(r"[\n\r]")
_NO_ANSWER = "no answer in time, or the logic was replaced meanwhile"
_REASONS = {
    "unknown": "not configured",
    "unreachable": "unreachable",
    "timeout": "timeout",
    "too-large": "answer too large",
    "incomplete": "answer broke off",
    "busy": "too many requests under way",
}


def start(guest, client, radius, bound, context):
    """Queries the first source. Returns False if the command is invalid or the client unknown."""
    radius_m, bound = parse_radius(radius), parse_bound(bound)
    if radius_m is None or bound is None:
        return False
    found = context.record(client)
    fields = found and at_fields(found.bytes)
    if not fields:
        return False
    latitude, longitude = parse_location(fields[4])
    fetch(guest, 0, Query(latitude, longitude, radius_m, bound), "", found.bytes, context)
    return True


def fetch(guest, index, query, problem, at_line, context):
    name = guest.sources[index]
    otherwise = compose(at_line, unknown_error(f"{name}: {_NO_ANSWER}"))
    numbers = " ".join(number(part) for part in query[:3])
    # The problem stands last, since it may contain spaces.
    token = f"{index} {numbers} {query.bound} {problem}".encode()
    path, body = SOURCES[name].request(query)
    context.fetch(name, path, token, otherwise, body)


def answer(guest, token, otherwise, outcome, context):
    at_line = otherwise.split(b"\n", 1)[0]
    try:
        index, latitude, longitude, radius_m, bound, problem = token.decode().split(" ", 5)
        query, index = Query(float(latitude), float(longitude), float(radius_m), int(bound)), int(index)
        name = guest.sources[index]
    except (ValueError, IndexError):
        # Only a token of other settings or of another version fails to parse.
        return context.reply(otherwise)
    last = index + 1 >= len(guest.sources)
    try:
        if isinstance(outcome, Failed):
            raise Unusable(_REASONS[outcome.reason])
        text = SOURCES[name].read(outcome.status, outcome.body, query)
        return context.reply(compose(at_line, with_degraded(name, problem, text)))
    except Declined as declined:
        if last:
            return context.reply(compose(at_line, with_degraded(name, problem, declined.text)))
        why = declined.status
    except Unusable as unusable:
        why = str(unusable)
    why = f"{name}: {why}"
    if last:
        return context.reply(compose(at_line, unknown_error(why)))
    # The first failure explains best why the preferred source is missing.
    return fetch(guest, index + 1, query, problem or why, at_line, context)


def with_degraded(name, problem, text):
    """Adds the failure of the first source, and `source` for the one whose text passes through unchanged."""
    text = text.lstrip()
    if not problem or not text.startswith("{"):
        return text
    named = '"source": "google-legacy", ' if name == "google-legacy" else ""
    return f'{{{named}"degraded": {json.dumps(problem, ensure_ascii=False)}, {text[1:].lstrip()}'


def unknown_error(problem):
    message = json.dumps(problem, ensure_ascii=False)
    return f'{{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR","error_message":{message}}}'


def compose(at_line, text):
    """Writes the `AT` line, the JSON without empty lines, and two newlines, which mark the end of the reply."""
    lines = [line for line in _LINE_ENDS.split(text) if line.strip()]
    # JSON may escape half of a surrogate pair, which UTF-8 cannot encode. It is written as that escape again.
    return at_line + b"\n" + "\n".join(lines).encode(errors="backslashreplace") + b"\n\n"
