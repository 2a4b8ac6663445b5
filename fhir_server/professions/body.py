"""A professional body as data: by which numbers it knows its members, and its rules, each with its clause and check.

Rows T5 to T7, T28. A file for each body; a clinic adds its own. Which parameters a kind of check needs is fixed here.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from fhir_server.consent.law import Ban, packs

REFUSED, ERROR, WARNING = "refused", "error", "warning"
NUMBER, REGISTERED, EXAMINED = "number", "registered", "examined"
CONSENT, NOTE, AGE, ALWAYS = "consent", "note", "age", "always"
_NEEDED: Mapping[str, frozenset[str]] = {
    NUMBER: frozenset(),
    REGISTERED: frozenset(),
    EXAMINED: frozenset(),
    CONSENT: frozenset({"purpose", "collected_by"}),
    NOTE: frozenset(),
    AGE: frozenset({"ban"}),
    ALWAYS: frozenset({"by"}),
}
_EVERY = frozenset({"id", "source", "clause", "kind", "broken", "text"})
_MECHANISMS: Mapping[str, str] = {
    "photo-consent": "No photograph leaves for anything but care without a consent for that purpose in force.",
}
"""What the server keeps by itself, at every door: nothing of it is left to a check."""
_COLLECTORS = frozenset({"anybody", "performer"})
_LONGEST_NUMBER = 32


class BodyError(ValueError):
    """Why a file is no professional body, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document of a body; what was done before `since` is not judged by it."""

    title: str
    since: date


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken`: what happens then: `refused` at the door, or told as `error` or `warning`. The last four: by kind."""

    id: str
    source: Source
    clause: str
    kind: str
    broken: str
    text: str
    purpose: str = ""
    collected_by: str = ""
    ban: Ban | None = None
    by: str = ""

    @property
    def cited(self) -> str:
        return f"{self.source.title}, {self.clause}"


@dataclass(frozen=True, slots=True)
class Body:
    """`systems`: of the identifiers that it gives. `shared`: other professions get such numbers as well.

    Then a number alone does not say that somebody stands under this body.
    """

    code: str
    name: str
    jurisdiction: str
    systems: frozenset[str]
    form: re.Pattern[str]
    form_says: str
    shared: bool
    rules: tuple[Rule, ...]

    def is_formed(self, number: str) -> bool:
        return len(number) <= _LONGEST_NUMBER and self.form.fullmatch(number) is not None

    def of_kind(self, kind: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.kind == kind)


Bodies = Mapping[str, Body]
"""By code."""


@cache
def bodies(folder: Path | None = None) -> Bodies:
    """Ours, and those of a folder of the clinic's. Raises BodyError for a file that is none."""
    found: Sequence[Traversable] = (
        *files("fhir_server.professions").joinpath("bodies").iterdir(),
        *(sorted(folder.glob("*.toml")) if folder else ()),
    )
    read = [_body(file) for file in found if file.name.endswith(".toml")]
    return {body.code: body for body in sorted(read, key=lambda body: body.code)}


def _body(file: Traversable) -> Body:
    try:
        return read_body(file.read_text(encoding="utf-8"))
    except KeyError as error:
        raise BodyError(f"{file.name} is no professional body: {error} is missing") from None
    except (OSError, TypeError, ValueError, AttributeError, re.error) as error:
        raise BodyError(f"{file.name} is no professional body: {error}") from None


def read_body(text: str) -> Body:
    told = tomllib.loads(text)
    if told["verify_locally"] is not True:
        raise BodyError("it does not say verify_locally: no body has looked at how this server reads its rules")
    sources = {one["id"]: Source(str(one["title"]), _day(one["since"])) for one in told["source"]}
    rules = tuple(_rule(one, sources) for one in told["rule"])
    if len({rule.id for rule in rules}) != len(rules):
        raise BodyError("two rules have one id")
    number = told["number"]
    return Body(
        code=str(told["code"]),
        name=str(told["name"]),
        jurisdiction=str(told["jurisdiction"]),
        systems=frozenset(map(str, number["systems"])),
        form=re.compile(number["form"], re.ASCII),
        form_says=str(number["says"]),
        shared=bool(number["shared"]),
        rules=rules,
    )


def _rule(told: Mapping[str, Any], sources: Mapping[str, Source]) -> Rule:
    needed = _NEEDED.get(told["kind"])
    if needed is None or told.keys() != needed | _EVERY:
        raise BodyError(f"the rule {told.get('id')} is not one of {', '.join(_NEEDED)} with what that needs")
    ways = {REFUSED, ERROR, WARNING} if told["kind"] == NUMBER else {ERROR, WARNING}
    if told["broken"] not in ways:
        raise BodyError(f"the rule {told['id']}, where it is broken, is {' or '.join(sorted(ways))}")
    if told["source"] not in sources:
        raise BodyError(f"the rule {told['id']} has no source")
    if told.get("collected_by", "anybody") not in _COLLECTORS or told.get("by", "photo-consent") not in _MECHANISMS:
        raise BodyError(f"the rule {told['id']} names nobody, or nothing, that is known here")
    ban = {"ban": _ban(told["ban"])} if "ban" in told else {}
    by = {"by": _MECHANISMS[told["by"]]} if "by" in told else {}
    return Rule(**{**told, "source": sources[told["source"]], **ban, **by})


def _day(value: object) -> date:
    if type(value) is not date:
        raise BodyError("a source has no day since when it holds")
    return value


def _ban(named: str) -> Ban:
    """A rule on age points to the ban of a jurisdiction's pack, as `gb:cosmetic-injectables`, and repeats no number."""
    jurisdiction, _, code = named.partition(":")
    pack = packs().get(jurisdiction)
    found = next((ban for ban in pack.bans if ban.code == code), None) if pack else None
    if found is None:
        raise BodyError(f"no jurisdiction has the ban {named}")
    return found
