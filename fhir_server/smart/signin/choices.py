"""What a client asks for, taken apart so that a person can grant some of it; and put together again as scopes.

SMART App Launch 2.2, scopes; R-SMART-024 (single types can be denied, a type narrowed to categories), -032 (granted is
never more than asked), -033 (v1 asked, v1 granted).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.fhir.definitions import compartments, served_types
from fhir_server.smart.rights import SHARED_WITH_PATIENTS
from fhir_server.smart.scopes import NOT_UNDER_STAR

_DATA = re.compile(r"(patient|user)/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?|read|write|\*)(\?.+)?")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_READING, _WRITING = "rs", "cud"
_LAB = "http://terminology.hl7.org/CodeSystem/observation-category"
_CONDITIONS = "http://terminology.hl7.org/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Observation": (
        f"{_LAB}|laboratory",
        f"{_LAB}|vital-signs",
        f"{_LAB}|social-history",
        f"{_LAB}|survey",
        f"{_LAB}|exam",
        f"{_US_CORE}/us-core-category|sdoh",
    ),
    "Condition": (
        f"{_CONDITIONS}|encounter-diagnosis",
        f"{_CONDITIONS}|problem-list-item",
        f"{_US_CORE}/condition-category|health-concern",
    ),
}
"""R-SMART-061: the sub-scopes that can be chosen where a whole type was asked for."""

_GIVEN = frozenset({"launch", "launch/patient", "launch/encounter"})
"""Not a permission but the request to be told what is chosen: nothing to be refused."""


@dataclass(frozen=True, slots=True)
class DataOffer:
    """A scope on resources. `place` is its place in the request and names its fields in the form.

    `types` are the ones that `*` stands for, `categories` those to which a type can be narrowed; `query` narrows it
    already.
    """

    place: int
    scope: str
    context: str
    type: str
    letters: str
    v1: bool
    query: str
    types: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def reading(self) -> str:
        return "".join(letter for letter in self.letters if letter in _READING)

    @property
    def writing(self) -> str:
        return "".join(letter for letter in self.letters if letter in _WRITING)


@dataclass(frozen=True, slots=True)
class PlainOffer:
    """Any other scope: granted or not. `given`: not asked about."""

    place: int
    scope: str
    given: bool


Offer = DataOffer | PlainOffer


@dataclass(frozen=True, slots=True)
class Choice:
    """What was ticked, by place: reading, writing, plain scopes; and of the lists, which types and categories."""

    reading: Collection[int]
    writing: Collection[int]
    plain: Collection[int]
    types: Mapping[int, Collection[str]]
    categories: Mapping[int, Collection[str]]


def offers(scopes: Sequence[str]) -> tuple[Offer, ...]:
    return tuple(_offer(place, scope) for place, scope in enumerate(scopes))


def everything(offered: Sequence[Offer]) -> Choice:
    """All that was asked."""
    data = [offer for offer in offered if isinstance(offer, DataOffer)]
    return Choice(
        reading={offer.place for offer in data if offer.reading},
        writing={offer.place for offer in data if offer.writing},
        plain={offer.place for offer in offered if isinstance(offer, PlainOffer)},
        types={offer.place: offer.types for offer in data},
        categories={offer.place: offer.categories for offer in data},
    )


def granted(offered: Sequence[Offer], choice: Choice) -> tuple[str, ...]:
    """Scopes, in the order of the request, each once."""
    found: list[str] = []
    for offer in offered:
        if isinstance(offer, DataOffer):
            found += _data(offer, choice)
        elif offer.given or offer.place in choice.plain:
            found.append(offer.scope)
    return tuple(dict.fromkeys(found))


def grants_something(scopes: Collection[str]) -> bool:
    """More than to be told what is chosen."""
    return bool(set(scopes) - _GIVEN)


def _offer(place: int, scope: str) -> Offer:
    found = _DATA.fullmatch(scope)
    if not found or not found[3]:
        return PlainOffer(place, scope, scope in _GIVEN)
    context, type, letters, query = found[1], found[2], found[3], found[4] or ""
    v1 = letters in _V1
    return DataOffer(
        place,
        scope,
        context,
        type,
        _V1.get(letters, letters),
        v1,
        query,
        _under_star(context) if type == "*" and not query else (),
        CATEGORIES.get(type, ()) if not v1 and not query else (),
    )


@lru_cache(maxsize=2)
def _under_star(context: str) -> tuple[str, ...]:
    types = sorted(served_types() - NOT_UNDER_STAR)
    if context == "patient":
        types = [type for type in types if "Patient" in compartments(type) or type in SHARED_WITH_PATIENTS]
    return tuple(types)


def _data(offer: DataOffer, choice: Choice) -> list[str]:
    reading = offer.reading if offer.place in choice.reading else ""
    writing = offer.writing if offer.place in choice.writing else ""
    types = _narrowed(offer.types, choice.types.get(offer.place, ()), offer.type)
    categories = _narrowed(offer.categories, choice.categories.get(offer.place, ()), "")
    if categories == [""]:
        return [_written(offer, type, reading, writing) for type in types if reading or writing]
    found = [f"{_written(offer, offer.type, reading, '')}?category={one}" for one in categories if reading]
    return [*found, *([_written(offer, offer.type, "", writing)] if writing else [])]


def _narrowed(offered: Sequence[str], ticked: Collection[str], whole: str) -> list[str]:
    """The whole where all of it was ticked, or nothing was to be chosen; else what was, of what was offered."""
    kept = [one for one in offered if one in ticked]
    return [whole] if len(kept) == len(offered) else kept


def _written(offer: DataOffer, type: str, reading: str, writing: str) -> str:
    """In the spelling of the request."""
    if offer.v1:
        word = "*" if reading and writing else "read" if reading else "write"
        return f"{offer.context}/{type}.{word}{offer.query}"
    letters = "".join(letter for letter in "cruds" if letter in reading + writing)
    return f"{offer.context}/{type}.{letters}{offer.query}"
