"""Fields of `IAMAT` and `AT` lines: exact decimals, and the order of reports.

Doubles and text do not work for times: a double loses up to 240 ns, and text orders `999999999.5` after `1000000000.5`.
"""

import re

_LOCATION = re.compile(rb"([+-])([0-9]+)(?:\.([0-9]+))?([+-])([0-9]+)(?:\.([0-9]+))?")
_TIME = re.compile(rb"([0-9]{1,18})(?:\.([0-9]{1,9}))?")
_DECIMAL = re.compile(rb"([0-9]+)(?:\.([0-9]+))?")
_NS = 1_000_000_000
_LOW_96_BITS = (1 << 96) - 1


def within(whole, fraction, limit):
    """Returns whether a decimal is at most `limit`. Exact for any number of digits."""
    whole = whole.lstrip(b"0") or b"0"
    if len(whole) > 3:
        return False
    number = int(whole)
    return number < limit or number == limit and not (fraction or b"").strip(b"0")


def parse_location(text):
    """Returns latitude and longitude in degrees, or None."""
    match = _LOCATION.fullmatch(text) if len(text) <= 128 else None
    if match is None:
        return None
    sign, whole, fraction, sign_2, whole_2, fraction_2 = match.groups()
    if not within(whole, fraction, 90) or not within(whole_2, fraction_2, 180):
        return None
    middle = match.start(4)
    # Adding zero turns -0 into 0, because upstreams receive these numbers as text.
    return float(text[:middle]) + 0.0, float(text[middle:]) + 0.0


def parse_time(text):
    """Returns nanoseconds since 1970, or None."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    return int(whole) * _NS + (int(fraction.ljust(9, b"0")) if fraction else 0)


def parse_radius(text):
    """Returns metres for 0 to 50 kilometres, or None. The point moves before the conversion, so that 10.1 km are 10100 m."""
    match = _DECIMAL.fullmatch(text.removeprefix(b"+"))
    if match is None or not within(match[1], match[2], 50):
        return None
    fraction = match[2] or b""
    return float(match[1] + fraction[:3].ljust(3, b"0") + b"." + (fraction[3:] or b"0"))


def parse_bound(text):
    """Returns a whole number from 0 to 20, or None."""
    match = _DECIMAL.fullmatch(text.removeprefix(b"+"))
    if match is None or match[2] is not None or not within(match[1], None, 20):
        return None
    return int(match[1])


def iamat(location, time):
    """Returns the client's time in nanoseconds if both fields are valid, or None."""
    return parse_time(time) if parse_location(location) is not None else None


def skew(received_ns, client_ns):
    """Returns receipt time minus client time in seconds, with a sign and nine decimals."""
    sign, ns = ("+", received_ns - client_ns) if received_ns >= client_ns else ("-", client_ns - received_ns)
    return f"{sign}{ns // _NS}.{ns % _NS:09}".encode()


def rank(client_ns, received_ns, tolerance_ns, node):
    """Returns the rank of a report: effective time, client time, earlier receipt, node. Ranks compare as bytes."""
    times = (min(client_ns, received_ns + tolerance_ns), client_ns, _LOW_96_BITS - received_ns)
    return b"".join(time.to_bytes(12, "big") for time in times) + node[:28]


def at_fields(line):
    """Returns the six fields of an `AT` line if all are valid, or None."""
    fields = line.split()
    if len(fields) != 6 or fields[0] != b"AT" or fields[2][:1] not in (b"+", b"-"):
        return None
    if parse_time(fields[2][1:]) is None or iamat(fields[4], fields[5]) is None:
        return None
    return fields


def at_client(line):
    """Returns the client of an `AT` line, or None if it is none."""
    fields = at_fields(line)
    return fields and fields[3]
