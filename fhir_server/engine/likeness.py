"""How sure it is that two Patients are one person: a grade, of facts that agree or contradict each other.

https://hl7.org/fhir/R4/patient-operation-match.html; nobody is matched on an e-mail address or a telephone alone, which
families share.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fhir_server.kernel.json import Json
from fhir_server.search.types.folding import fold

Grade: TypeAlias = Literal["certain", "probable", "possible", "certainly-not"]

SCORES: dict[Grade, str] = {"certain": "1.0", "probable": "0.8", "possible": "0.5"}
_NOT_DIGITS = re.compile(r"\D")
_TELLING_DIGITS = 9
"""Of a telephone number, from its end: with or without the prefix of a country."""


@dataclass(frozen=True, slots=True)
class Person:
    """What of a Patient tells who it is. `identifiers`: system and value."""

    identifiers: frozenset[tuple[str, str]]
    families: frozenset[str]
    given: frozenset[str]
    birth_date: str
    gender: str
    phones: frozenset[str]
    emails: frozenset[str]


def person(patient: Json) -> Person:
    """Of a Patient that is valid R4; names and addresses as they compare."""
    names, telecom = patient.get("name", []), patient.get("telecom", [])
    return Person(
        frozenset(_identifiers(patient)),
        frozenset(fold(name["family"]) for name in names if name.get("family")),
        frozenset(fold(given) for name in names for given in name.get("given", [])[:1] if given),
        patient.get("birthDate", ""),
        patient.get("gender", ""),
        frozenset(
            _NOT_DIGITS.sub("", one["value"])[-_TELLING_DIGITS:]
            for one in telecom
            if one.get("system") in {"phone", "sms"} and one.get("value")
        ),
        frozenset(one["value"].casefold() for one in telecom if one.get("system") == "email" and one.get("value")),
    )


def _identifiers(patient: Json) -> Iterator[tuple[str, str]]:
    for one in patient.get("identifier", []):
        if one.get("system") and one.get("value"):
            yield one["system"], one["value"].strip().casefold()


def grade(asked: Person, found: Person) -> Grade:
    """A contradiction takes the grade down; what one of the two does not say contradicts nothing."""
    same_birth = asked.birth_date == found.birth_date != ""
    other_birth = asked.birth_date != found.birth_date and asked.birth_date != "" != found.birth_date
    other_gender = {asked.gender, found.gender} == {"male", "female"}
    if asked.identifiers & found.identifiers:
        return "possible" if other_birth or other_gender else "certain"
    if other_birth:
        return "certainly-not"
    same_family = not asked.families.isdisjoint(found.families)
    same_given = not asked.given.isdisjoint(found.given)
    same_address = not (asked.phones.isdisjoint(found.phones) and asked.emails.isdisjoint(found.emails))
    contradicts = other_gender or _other_number(asked, found)
    if same_birth and same_family and same_given:
        return "possible" if contradicts else "probable"
    named = same_family or same_given
    is_like = (same_birth and (named or same_address)) or (same_family and same_given and same_address)
    return "possible" if is_like and not contradicts else "certainly-not"


def _other_number(asked: Person, found: Person) -> bool:
    """Has each a number in a system in which the other has another one?"""
    return not {system for system, _ in asked.identifiers}.isdisjoint({system for system, _ in found.identifiers})
