"""The roles in which a token may act, read from `roles.toml`: what each of them may do with which resources.

Rows S60, S107; GDPR Art. 5(1)(c), 25(2): what a role does not need it does not see.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from fhir_server.fhir.definitions import served_types
from fhir_server.smart.granular import limits

SYSTEM = "system"
"""The role of who acts for nobody. A token without a role is a back end's."""

EMERGENCIES = frozenset({"BTG", "ETREAT"})
"""Purposes that no role has and no client states (R-PCF-013): a person breaks the glass, before one patient."""

LETTERS = "cruds"


class Reach(StrEnum):
    """Which resources of a type a rule is about."""

    ALL = "all"
    OWN = "own"
    TIED = "tied"
    IMPERSONAL = "impersonal"


class Tie(StrEnum):
    """What binds a person to a patient (`smart.ties`)."""

    TREATMENT = "treatment"
    COMPLAINT = "complaint"
    RELATION = "relation"


@dataclass(frozen=True, slots=True)
class Rule:
    """`may`: letters, and operations as `$name`. An empty `only` shows everything that `without` does not take away."""

    types: frozenset[str]
    may: frozenset[str]
    reach: Reach
    where: str = ""
    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    one_patient: bool = False

    @property
    def masks(self) -> bool:
        return bool(self.only or self.without)

    def shows(self, element: str) -> bool:
        return (not self.only or element in self.only or bool(self.inside(element))) and element not in self.without

    def inside(self, element: str) -> frozenset[str]:
        """Which children of an element are shown, as `only` names them (`content.url`); empty for all of it."""
        return frozenset(name.partition(".")[2] for name in self.only if name.startswith(f"{element}."))


@dataclass(frozen=True, slots=True)
class Role:
    """`tie`: what has to hold of a patient for `tied`, and for `own` where it is set.

    `context`: the role is about one patient at a time, the one in context.
    """

    name: str
    title: str
    says: str
    purposes: tuple[str, ...]
    rules: tuple[Rule, ...]
    tie: Tie | None = None
    context: bool = False
    breaks_glass: bool = False
    exports: bool = False

    def on(self, deed: str, type: str) -> tuple[Rule, ...]:
        """The rules for a letter or operation on a type, in the order in which they count."""
        return tuple(rule for rule in self.rules if deed in rule.may and type in rule.types)


@cache
def roles() -> Mapping[str, Role]:
    """By name."""
    return understood(tomllib.loads(files("fhir_server.smart").joinpath("roles.toml").read_text(encoding="utf-8")))


def understood(said: Mapping[str, Any]) -> Mapping[str, Role]:
    """What such a file says. Raises ValueError for what cannot be."""
    groups: Mapping[str, list[str]] = said["groups"]
    return MappingProxyType({name: _role(name, said["roles"], groups) for name in said["roles"]})


def _role(name: str, told: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Role:
    each = told[name]
    rules = told[each["like"]]["rules"] if "like" in each else each["rules"]
    return Role(
        name,
        each["title"],
        each["says"],
        tuple(each["purposes"]),
        tuple(_rule(rule, groups) for rule in rules),
        Tie(each["tie"]) if "tie" in each else None,
        each.get("context", False),
        each.get("breaks_glass", False),
        each.get("exports", False),
    )


def _rule(told: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Rule:
    types = frozenset(_types(told["types"], groups))
    if unknown := types - served_types():
        raise ValueError(f"No such type is served: {sorted(unknown)}.")
    letters = told["may"]
    if not set(letters) <= set(LETTERS):
        raise ValueError(f"Letters are of {LETTERS}.")
    if any("." in name for name in told.get("only", ())) and not set(letters) <= set("rs"):
        raise ValueError("What is shown of an element in part can be read only.")
    where = told.get("where", "")
    if where and not all(limits(type, where) for type in types):
        raise ValueError("`where` is no condition that its types can be searched by.")
    return Rule(
        types,
        frozenset([*letters, *(f"${name}" for name in told.get("operations", ()))]),
        Reach(told["reach"]),
        where,
        frozenset(told.get("only", ())),
        frozenset(told.get("without", ())),
        frozenset(told.get("changes", ())),
        told.get("one_patient", False),
    )


def _types(told: Sequence[str], groups: Mapping[str, list[str]]) -> Iterator[str]:
    for type in told:
        if type == "*":
            yield from served_types()
        elif type.startswith("@"):
            yield from groups[type[1:]]
        else:
            yield type
