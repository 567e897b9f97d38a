"""Sources of places: the request to each, and the conversion of its answer to the format of a Google Nearby Search answer."""

import json
import re
import sys
from typing import NamedTuple


class Query(NamedTuple):
    latitude: float
    longitude: float
    radius_m: float
    bound: int


class Unusable(Exception):
    """A source failed. The text goes to clients, so it quotes nothing of the answer."""


class Declined(Exception):
    """A source refused the request. Another one may answer it."""

    def __init__(self, status, text):
        super().__init__(status)
        self.status, self.text = status, text


def number(value):
    """Writes a number in decimal, without an exponent and a needless fraction."""
    text = repr(float(value))
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, exponent = text.split("e")
    sign, digits = "-" * mantissa.startswith("-"), mantissa.lstrip("-").replace(".", "")
    exponent = int(exponent)
    return f"{sign}0.{'0' * (-exponent - 1)}{digits}" if exponent < 0 else sign + digits.ljust(exponent + 1, "0")


def text_of(body):
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Unusable("answer is not UTF-8") from None


def no_constant(name):
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=no_constant)


def parse(text, problem):
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Unusable(problem) from None


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def is_number(value):
    """Returns whether a value is a finite number of a double: JSON may hold others, such as 1e999."""
    is_numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_numeric and abs(value) <= sys.float_info.max


def child(value, *keys):
    """Returns a value inside nested objects, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def with_places(source, attribution, places):
    """Writes an answer, one place a line."""
    lines = []
    for name, latitude, longitude, types, vicinity, place_id, distance_m in places:
        line = (
            f'{{"name": {quoted(name)}, "geometry": {{"location": {{"lat": {number(latitude)}, "lng": {number(longitude)}}}}}, '
            f'"types": [{", ".join(map(quoted, types))}], "vicinity": {quoted(vicinity)}'
        )
        if place_id is not None:
            line += f', "place_id": {quoted(place_id)}'
        if distance_m is not None:
            line += f', "distance_m": {distance_m:.0f}'
        lines.append("\n  " + line + "}")
    results = ",".join(lines) + ("\n ],\n" if lines else "],\n")
    status = "OK" if lines else "ZERO_RESULTS"
    return (
        f'{{"html_attributions": [],\n "results": [{results} "status": "{status}",\n "source": "{source}",\n '
        f'"attribution": [{quoted(attribution)}]}}'
    )


class Embedded:
    """Settlements and airports in the host."""

    @staticmethod
    def request(query):
        latitude, longitude, radius = (number(part) for part in query[:3])
        return f"?latitude={latitude}&longitude={longitude}&radius_m={radius}&limit={query.bound}", None

    @staticmethod
    def read(status, body, query):
        if status != 200:
            raise Unusable(f"HTTP {status}")
        answer = parse(text_of(body), "answer is not JSON")
        places = child(answer, "places")
        if not isinstance(places, list):
            raise Unusable("answer has no places")
        attribution = child(answer, "attribution")
        attribution = attribution if isinstance(attribution, str) else ""
        read = (Embedded.place(place) for place in places[: query.bound])
        return with_places("embedded", attribution, [place for place in read if place])

    @staticmethod
    def place(place):
        kind, name, country = child(place, "kind"), child(place, "name"), child(place, "country")
        latitude, longitude, distance = (child(place, key) for key in ("latitude", "longitude", "distance_m"))
        if not all(isinstance(text, str) for text in (kind, name, country)):
            return None
        if not is_number(latitude) or not is_number(longitude):
            return None
        group = "airport" if kind == "airport" else "locality"
        types = [kind] if kind == group else [kind, group]
        return name, latitude, longitude, types, country, None, distance if is_number(distance) else None


class Google:
    """Places API (New), `places:searchNearby`. The host adds the key and the field mask."""

    STATUSES = {
        "INVALID_ARGUMENT": "INVALID_REQUEST",
        "PERMISSION_DENIED": "REQUEST_DENIED",
        "UNAUTHENTICATED": "REQUEST_DENIED",
        "RESOURCE_EXHAUSTED": "OVER_QUERY_LIMIT",
    }

    @staticmethod
    def request(query):
        center = {"latitude": query.latitude, "longitude": query.longitude}
        body = {
            "locationRestriction": {"circle": {"center": center, "radius": query.radius_m}},
            # The API rejects 0; `read` cuts the answer to the bound.
            "maxResultCount": max(query.bound, 1),
            "rankPreference": "DISTANCE",
        }
        return "/v1/places:searchNearby", json.dumps(body, separators=(",", ":"), sort_keys=True).encode()

    @staticmethod
    def read(status, body, query):
        text = text_of(body)
        try:
            answer = parse(text, "answer is not a JSON object")
        except Unusable:
            answer = None
        if not isinstance(answer, dict):
            raise Unusable(f"HTTP {status}" if status != 200 else "answer is not a JSON object")
        error = child(answer, "error", "status")
        declined = Google.STATUSES.get(error) if isinstance(error, str) else None
        if declined:
            message = child(answer, "error", "message")
            message = f',"error_message":{quoted(message)}' if isinstance(message, str) else ""
            raise Declined(
                declined, f'{{"html_attributions":[],"results":[],"status":"{declined}"{message},"source":"google"}}'
            )
        if status != 200:
            raise Unusable(f"HTTP {status}")
        places = child(answer, "places")
        if places is not None and not isinstance(places, list):
            raise Unusable("answer has no list of places")
        read = (Google.place(place) for place in (places or [])[: query.bound])
        return with_places("google", "Google Maps", [place for place in read if place])

    @staticmethod
    def place(place):
        name = child(place, "displayName", "text")
        latitude, longitude = child(place, "location", "latitude"), child(place, "location", "longitude")
        if not isinstance(name, str) or not is_number(latitude) or not is_number(longitude):
            return None
        types, vicinity, place_id = child(place, "types"), child(place, "formattedAddress"), child(place, "id")
        types = [kind for kind in types if isinstance(kind, str)] if isinstance(types, list) else []
        vicinity = vicinity if isinstance(vicinity, str) else ""
        return name, latitude, longitude, types, vicinity, place_id if isinstance(place_id, str) else None, None


class GoogleLegacy:
    """Places API, Nearby Search, whose format is the common one: its text passes through, cut to the bound."""

    STATUS = re.compile(r"[A-Z_]{1,48}")
    SPACE = re.compile(r"[ \t\n\r]*")
    INVALID = "answer is not a Nearby Search answer"

    @staticmethod
    def request(query):
        latitude, longitude, radius = (number(part) for part in query[:3])
        return f"?location={latitude},{longitude}&radius={radius}", None

    @staticmethod
    def read(status, body, query):
        if status != 200:
            raise Unusable(f"HTTP {status}")
        text = text_of(body)
        try:
            answer, results = GoogleLegacy.scan(text)
        except (ValueError, IndexError, RecursionError):
            raise Unusable(GoogleLegacy.INVALID) from None
        status = answer.get("status")
        if not isinstance(status, str) or not GoogleLegacy.STATUS.fullmatch(status):
            raise Unusable(GoogleLegacy.INVALID)
        usable = status in ("OK", "ZERO_RESULTS")
        if results is None and ("results" in answer or usable):
            raise Unusable(GoogleLegacy.INVALID)
        lists = (("html_attributions", '"html_attributions":[],'), ("results", '"results":[],'))
        lacking = "".join(empty for key, empty in lists if key not in answer)
        if results is not None and len(results) - 1 > query.bound:
            # `results` holds the end of the bracket, then the end of each result.
            text = text[: results[query.bound]] + text[results[-1] :]
        if lacking and (stripped := text.lstrip()).startswith("{"):
            text = "{" + lacking + stripped[1:]
        if usable:
            return text
        raise Declined(status, text)

    @staticmethod
    def scan(text):
        """Returns the object, and the ends of its results in the text, so that they can be cut without rewriting the rest."""
        skip, decode = GoogleLegacy.SPACE.match, _DECODER.raw_decode
        answer, results = {}, None
        at = skip(text, 0).end()
        at = expect(text, at, "{")
        while text[at := skip(text, at).end()] != "}":
            if answer:
                at = skip(text, expect(text, at, ",")).end()
            key, at = decode(text, at)
            if not isinstance(key, str):
                raise ValueError(key)
            at = skip(text, expect(text, skip(text, at).end(), ":")).end()
            if key == "results":
                results = None
            if key == "results" and text[at] == "[":
                at, results = at + 1, [at + 1]
                while text[at := skip(text, at).end()] != "]":
                    if len(results) > 1:
                        at = skip(text, expect(text, at, ",")).end()
                    _, at = decode(text, at)
                    results.append(at)
                answer[key], at = None, at + 1
            else:
                answer[key], at = decode(text, at)
        if skip(text, at + 1).end() != len(text):
            raise ValueError("more behind the object")
        return answer, results


def expect(text, at, what):
    if text[at] != what:
        raise ValueError(what)
    return at + 1


SOURCES = {"embedded": Embedded, "google": Google, "google-legacy": GoogleLegacy}
