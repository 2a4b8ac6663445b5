"""An entry of the register: its kinds as data, how a Basic says it, and what one lacks.

GDPR Art. 30, row B7: R4 has no resource for it, so an entry is a Basic with a code, and extensions for its fields.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Self, TypeAlias

from fhir_server.kernel.json import Json

SYSTEM = "urn:aesthetic-fhir-server:register"
ACTIVITY, DPIA, RISK, OFFICER = "processing-activity", "dpia", "risk", "officer"
SUPPLIER, HOSTING, TRAINING, REVIEW = "supplier", "hosting", "training", "review"

Value: TypeAlias = str | bool
Fault: TypeAlias = tuple[str, str]
"""Where in the resource, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Field:
    """`type`: the value[x] that it has. `single`: at most one."""

    name: str
    type: str
    required: bool
    single: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """`confirmed`: the clinic wrote it; else it is as it came with the server."""

    id: str
    kind: str
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    confirmed: bool = True

    def one(self, name: str) -> str:
        """The first value, as text; empty where there is none."""
        return str(next(iter(self.values.get(name, ())), ""))

    def says(self, name: str) -> bool:
        return True in self.values.get(name, ())

    def with_more(self, name: str, more: Sequence[str]) -> Self:
        """What the server knows beside what was written."""
        known = self.values.get(name, ())
        return replace(self, values={**self.values, name: (*known, *(one for one in more if one not in known))})


@cache
def kinds() -> Mapping[str, Mapping[str, Field]]:
    text = files("fhir_server.privacy.register").joinpath("kinds.toml").read_text(encoding="utf-8")
    return {
        kind: {name: _field(name, said) for name, said in fields.items()}
        for kind, fields in tomllib.loads(text).items()
    }


def _field(name: str, said: str) -> Field:
    often, type = said.split(" ")
    return Field(name, type, often.startswith("1"), often.endswith("1"))


def kind_of(resource: Json) -> str | None:
    """The code of a Basic of the register, known or not; None for any other resource."""
    if resource.get("resourceType") != "Basic":
        return None
    codings = resource.get("code", {}).get("coding", [])
    return next((str(one.get("code", "")) for one in codings if one.get("system") == SYSTEM), None)


def entry_of(id: str, resource: Json) -> Entry:
    """Of a Basic without faults."""
    found: dict[str, tuple[Value, ...]] = {}
    for extension in resource.get("extension", []):
        name = _name(extension)
        if name:
            found[name] = (*found.get(name, ()), _value(extension))
    return Entry(id, str(kind_of(resource)), found)


def basic_of(entry: Entry) -> Json:
    """The Basic that says it, to be written as it is or changed."""
    fields = kinds()[entry.kind]
    return {
        "resourceType": "Basic",
        "id": entry.id,
        "code": {"coding": [{"system": SYSTEM, "code": entry.kind}]},
        "extension": [
            {"url": f"{SYSTEM}:{name}", f"value{fields[name].type}": _written(fields[name], value)}
            for name, values in entry.values.items()
            for value in values
        ],
    }


def faults(resource: Json, rules: frozenset[str]) -> Iterator[Fault]:
    """What keeps a Basic of the register from being an entry. `rules`: the ids of those of retention."""
    fields = kinds().get(str(kind_of(resource)))
    if fields is None:
        yield "Basic.code", f"The register has the kinds {', '.join(kinds())}."
        return
    seen: dict[str, int] = {}
    for place, extension in enumerate(resource.get("extension", [])):
        name = _name(extension)
        if not name:
            continue
        known = fields.get(name)
        where = f"Basic.extension[{place}]"
        if known is None or f"value{known.type}" not in extension:
            yield where, f"{name} is no field of this kind, or has another type of value."
        elif name == "retention" and _value(extension) not in rules:
            yield where, "There is no such rule of retention."
        seen[name] = seen.get(name, 0) + 1
    for name, known in fields.items():
        if known.required and name not in seen:
            yield "Basic.extension", f"{name} is missing."
        if known.single and seen.get(name, 0) > 1:
            yield "Basic.extension", f"{name} is there once."


def _name(extension: Json) -> str:
    url = str(extension.get("url", ""))
    return url.removeprefix(f"{SYSTEM}:") if url.startswith(f"{SYSTEM}:") else ""


def _value(extension: Json) -> Value:
    found = next((value for name, value in extension.items() if name.startswith("value")), "")
    if isinstance(found, dict):
        return str(found.get("reference", ""))
    return found if isinstance(found, bool) else str(found)


def _written(field: Field, value: Value) -> Json | Value:
    return {"reference": value} if field.type == "Reference" else value
