"""How long each class of a patient's data has to be kept: the rules of a jurisdiction, as data.

Row B8 of the obligations, GDPR Art. 5(1)(e), 17(3)(b). A pack is a file in `packs`; fr.toml tells what a rule says.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.crypto.keys import KeyClass

CLASSES = (KeyClass.RECORD, KeyClass.CONTACT, KeyClass.MARKETING, KeyClass.PROOF, KeyClass.ACCESS)
"""Those of a patient, photos within the class of what carries them."""


class Start(StrEnum):
    """What a period counts from."""

    LAST_CARE = "last-care"
    LAST_ENTRY = "last-entry"


@dataclass(frozen=True, slots=True)
class Age:
    """Who was younger than `under` when the period began keeps their file until that birthday at least."""

    under: int
    until: int


@dataclass(frozen=True, slots=True)
class Rule:
    """`types` and `tag`, where there are any, are what it is about. `most`: years past which nothing is kept.

    `verified`: its source was checked.
    """

    id: str
    record: KeyClass
    source: str
    years: int = 0
    start: Start = Start.LAST_ENTRY
    types: frozenset[str] = frozenset()
    tag: str = ""
    ages: tuple[Age, ...] = ()
    most: int = 0
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Pack:
    """`vectors`: cases with what must be decided in them, for the tests."""

    name: str
    rules: tuple[Rule, ...]
    vectors: tuple[Mapping[str, Any], ...] = ()


@cache
def pack(jurisdiction: str) -> Pack:
    """Raises FileNotFoundError for a jurisdiction that has none."""
    text = files("fhir_server.privacy").joinpath("packs", f"{jurisdiction}.toml").read_text(encoding="utf-8")
    said = tomllib.loads(text)
    rules = tuple(_rule(told) for told in said["rules"])
    if len({rule.id for rule in rules}) < len(rules):
        raise ValueError("Two rules of a pack have the same id.")
    return Pack(jurisdiction, rules, tuple(said.get("vectors", ())))


def _rule(told: Mapping[str, Any]) -> Rule:
    """A misspelt member would silently shorten a period."""
    strangers = told.keys() - {"id", "record", "source", "years", "starts", "types", "tag", "ages", "most", "verified"}
    if strangers:
        raise ValueError(f"A rule does not know {sorted(strangers)}.")
    return Rule(
        told["id"],
        KeyClass(told["record"]),
        told["source"],
        told.get("years", 0),
        Start(told.get("starts", Start.LAST_ENTRY)),
        frozenset(told.get("types", ())),
        told.get("tag", ""),
        tuple(Age(age["under"], age["until"]) for age in told.get("ages", ())),
        told.get("most", 0),
        told.get("verified", False),
    )
