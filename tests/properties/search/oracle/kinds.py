"""Does an element of a resource meet one value of a query? R4's text, a kind of parameter at a time."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_server.kernel.json import Json
from tests.properties.search.oracle import moments

RESTFUL = re.compile(r"(?:[a-z][a-z0-9+.\-]*://\S+/)?[A-Z][A-Za-z]{0,63}/[A-Za-z0-9\-.]{1,64}")
"""What looks like a resource on some server."""

NAME_PARTS = ("family", "given", "prefix", "suffix", "text")
ADDRESS_PARTS = ("line", "city", "district", "state", "postalCode", "country", "text")
UNIT_SYSTEM = "http://unitsofmeasure.org"
TO_ONE_UNIT: dict[str, tuple[str, Fraction, Fraction | int]] = {
    "kg": ("g", Fraction(1000), 0),
    "g": ("g", Fraction(1), 0),
    "mg": ("g", Fraction(1, 1000), 0),
    "pg": ("g", Fraction(1, 10**12), 0),
    "[lb_av]": ("g", Fraction("453.59237"), 0),
    "m": ("m", Fraction(1), 0),
    "cm": ("m", Fraction(1, 100), 0),
    "[in_i]": ("m", Fraction("0.0254"), 0),
    "Cel": ("Cel", Fraction(1), 0),
    "K": ("Cel", Fraction(1), Fraction("-273.15")),
    "[degF]": ("Cel", Fraction(5, 9), Fraction(-160, 9)),
    "kPa": ("Pa", Fraction(1000), 0),
    "mm[Hg]": ("Pa", Fraction("133.322"), 0),
    "mg/dL": ("g/L", Fraction(1, 100), 0),
    "g/dL": ("g/L", Fraction(10), 0),
    "g/L": ("g/L", Fraction(1), 0),
    "min": ("s", Fraction(60), 0),
    "h": ("s", Fraction(3600), 0),
    "d": ("s", Fraction(86400), 0),
    "a": ("s", Fraction(31557600), 0),
    "mL": ("L", Fraction(1, 1000), 0),
    "ml": ("L", Fraction(1, 1000), 0),
    "fL": ("L", Fraction(1, 10**15), 0),
    "10*3/uL": ("/L", Fraction(10**9), 0),
    "10*6/uL": ("/L", Fraction(10**12), 0),
    "10*12/L": ("/L", Fraction(10**12), 0),
    "U/L": ("U/L", Fraction(1), 0),
    "kU/L": ("U/L", Fraction(1000), 0),
}
"""What the queries convert; each unit that the data have of the same kind is among them."""

SORTED_AS = {code: (factor, zero) for code, (_, factor, zero) in TO_ONE_UNIT.items()} | {
    "mmol/L": (Fraction(1, 1000), 0),
    "kg/m2": (Fraction(1), 0),
    "%": (Fraction(1, 100), 0),
}
"""In an order each is taken in the first unit of its kind."""

_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ħ": "h"}  # noqa: RUF001  meant
)
_APOSTROPHES, _HYPHENS = (
    dict.fromkeys(map(ord, "\u2019\u2018\u02bc"), "'"),
    dict.fromkeys(map(ord, "\u2010\u2011\u2013"), "-"),
)


def folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(bare.translate(_PLAIN).translate(_APOSTROPHES).translate(_HYPHENS).split())


def texts(item: Any, type: str, owner: str) -> Iterator[tuple[str, bool]]:
    """Each text of an element, and whether it is of a name, whose later words count as well."""
    parts = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(type)
    if parts is None:
        yield str(item), owner == "HumanName"
        return
    for part in parts:
        found = item.get(part)
        for text in found if isinstance(found, list) else [found]:
            if text is not None:
                yield text, type == "HumanName"


def string_holds(item: Any, type: str, owner: str, modifier: str, asked: str) -> bool:
    for text, is_name in texts(item, type, owner):
        if modifier == "exact":
            if text == asked:
                return True
        elif modifier == "contains":
            if folded(asked) in folded(text):
                return True
        else:
            starts = [folded(text)]
            if is_name:
                starts += [folded(text)[each.end() :] for each in re.finditer(r"[\s-]+", folded(text))]
            if any(start and start.startswith(folded(asked)) for start in starts):
                return True
    return False


def digits(text: str) -> str | None:
    """A telephone number without what stands between its digits."""
    bare = re.sub(r"[\s().\-/]", "", text)
    return bare if re.fullmatch(r"\+?[0-9]{3,}", bare) else None


def codes(item: Any, type: str) -> Iterator[tuple[str | None, str]]:
    """System and code of an element; system None where the definition of the element gives it."""
    match type:
        case "CodeableConcept":
            for coding in item.get("coding", []):
                yield coding.get("system", ""), coding.get("code", "")
        case "Coding":
            yield item.get("system", ""), item.get("code", "")
        case "Identifier":
            yield item.get("system", ""), item.get("value", "")
        case "ContactPoint":
            value = item.get("value", "")
            called = item.get("system") in {"phone", "fax", "sms", "pager"}
            yield "", digits(value) or value if called else value
        case "boolean":
            yield None, str(item).lower()
        case "code":
            yield None, item
        case _:
            if isinstance(item, str):
                yield "", item


def token_holds(item: Any, type: str, system: str | None, code: str) -> bool:
    """`system` None: any; "": none. `code` "": any."""
    for found_system, found in codes(item, type):
        if not found and not found_system:
            continue
        wanted = {code.casefold()} | ({digits(code)} if type == "ContactPoint" else set())
        same = not code or (found or "").casefold().strip() in wanted
        if found_system is None:
            same_system = system is None or system == "" or bool(code)
        else:
            same_system = system is None or found_system == system
        if same and same_system:
            return True
    return False


def words(item: Any, type: str) -> Iterator[str]:
    concept = item.get("type", {}) if type == "Identifier" else {"coding": [item]} if type == "Coding" else item
    if isinstance(concept, dict):
        yield from [concept["text"]] if "text" in concept else []
        yield from [coding["display"] for coding in concept.get("coding", []) if "display" in coding]


def text_holds(item: Any, type: str, asked: str) -> bool:
    def bare(text: str) -> list[str]:
        return re.findall(r"\w+", folded(text))

    wanted = bare(asked)
    for text in words(item, type):
        there = bare(text)
        for start in range(len(there)):
            window = there[start : start + len(wanted)]
            if len(window) == len(wanted) and window[:-1] == wanted[:-1] and window[-1].startswith(wanted[-1]):
                return True
    return False


def of_type_holds(item: Any, type: str, system: str, code: str, value: str) -> bool:
    kinds = [
        (each.get("system", ""), each.get("code", "").casefold()) for each in item.get("type", {}).get("coding", [])
    ]
    return (system, code.casefold()) in kinds and item.get("value", "").casefold() == value.casefold()


NUMBER_HOLDS: dict[str, Callable[[Fraction, Fraction, Any, Any], bool]] = {
    "eq": lambda asked, half, low, high: low >= asked - half and high < asked + half,
    "ne": lambda asked, half, low, high: not (low >= asked - half and high < asked + half),
    "gt": lambda asked, _half, _low, high: high > asked,
    "lt": lambda asked, _half, low, _high: low < asked,
    "ge": lambda asked, _half, _low, high: high >= asked,
    "le": lambda asked, _half, low, _high: low <= asked,
    "sa": lambda asked, _half, low, _high: low > asked,
    "eb": lambda asked, _half, _low, high: high < asked,
    "ap": lambda asked, _half, low, high: low <= asked + abs(asked) / 10 and high >= asked - abs(asked) / 10,
}


def precision(text: str) -> Fraction:
    """Half of the last digit that was written."""
    exponent = Decimal(text).as_tuple().exponent
    return Fraction(Decimal((0, (5,), int(exponent) - 1)))


def bounds(item: Any, type: str) -> tuple[Any, Any] | None:
    """The least and the most that it may be."""
    if type == "Range":
        low, high = (item.get(end, {}).get("value") for end in ("low", "high"))
        if low is None and high is None:
            return None
        return (
            Fraction(low) if low is not None else -float("inf"),
            Fraction(high) if high is not None else float("inf"),
        )
    value = item.get("value") if isinstance(item, dict) else item
    if value is None:
        return None
    comparator = item.get("comparator", "") if isinstance(item, dict) else ""
    return (
        -float("inf") if comparator[:1] == "<" else Fraction(value),
        float("inf") if comparator[:1] == ">" else Fraction(value),
    )


def unit_of(item: Any, type: str) -> tuple[str, str, str]:
    if type == "Money":
        return ("urn:iso:std:iso:4217" if item.get("currency") else ""), item.get("currency", ""), ""
    held = item if type != "Range" else item.get("low") or item.get("high") or {}
    return held.get("system", ""), held.get("code", ""), held.get("unit", "")


def quantity_holds(item: Any, type: str, prefix: str, text: str, unit: tuple[str, str] | None) -> bool:
    found = bounds(item, type)
    if found is None:
        return False
    asked, half = Fraction(Decimal(text)), precision(text)
    if unit is None:
        return NUMBER_HOLDS[prefix](asked, half, *found)
    system, code = unit
    own_system, own_code, own_unit = unit_of(item, type)
    if (system == own_system and code == own_code) if system else code in {own_code, own_unit}:
        return NUMBER_HOLDS[prefix](asked, half, *found)
    known, other = TO_ONE_UNIT.get(code), TO_ONE_UNIT.get(own_code)
    if system != UNIT_SYSTEM or own_system != UNIT_SYSTEM or not known or not other or known[0] != other[0]:
        return False
    around = abs(asked) / 10 * known[1]
    low, high = (each if isinstance(each, float) else Fraction(each) * other[1] + other[2] for each in found)
    middle, margin = asked * known[1] + known[2], half * known[1]
    if prefix == "ap":
        return bool(low <= middle + around and high >= middle - around)
    return NUMBER_HOLDS[prefix](middle, margin, low, high)


def date_holds(item: Any, type: str, prefix: str, text: str) -> bool:
    found = moments.of_item(item, type)
    return found is not None and moments.HOLDS[prefix](moments.stretch(text), found)


def referred(item: Any, type: str) -> str:
    """What a reference, a canonical, or a resource that stands in place of one names; "" for what names nothing."""
    if type == "Resource":
        return f"{item['resourceType']}/{item['id']}" if "id" in item else ""
    text = item.get("reference", "") if type == "Reference" else item
    return "" if not isinstance(text, str) or text.startswith("#") else text


def reference_holds(item: Any, type: str, wanted: set[str], url: str, version: str) -> bool:
    """`wanted`: the `Type/id`s that will do; or a URL."""
    text = referred(item, type)
    if not text:
        return False
    bare, _, own_version = text.partition("|")
    if url:
        return bool(bare == url and version in {"", own_version})
    return bool(bare.partition("/_history/")[0] in wanted)


def uri_holds(item: str, modifier: str, asked: str, version: str) -> bool:
    bare, _, own_version = item.strip().partition("|")
    if modifier == "below":
        folder = asked.rstrip("/")
        return bare == folder or bare.startswith(folder + "/")
    if modifier == "above":
        return asked == bare or ("://" in bare and asked.startswith(bare.removesuffix("/") + "/"))
    return bare == asked and version in {"", own_version}


def identifier_of(item: Json) -> Json:
    found: Json = item.get("identifier") or {}
    return found
