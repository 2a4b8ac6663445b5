"""The check of an object: its properties, what it must have, what it may have once, and the rules of its type.

https://hl7.org/fhir/R4/json.html
"""

from difflib import get_close_matches
from typing import Any

from fhir_server.fhir.faults import Check, Fault, fault, within
from fhir_server.kernel.json import Json

_LONGEST_NAME = 64


class Shape:
    """One type. `properties` has a check for each JSON property, `paths` the FHIRPath name of each."""

    __slots__ = ("choices", "is_resource", "name", "paths", "properties", "required", "required_choices", "rules")

    def __init__(self, name: str, *, is_resource: bool) -> None:
        self.name = name
        self.is_resource = is_resource
        self.properties: dict[str, Check] = {}
        self.paths: dict[str, str] = {}
        self.required: list[str] = []
        self.required_choices: list[tuple[str, frozenset[str]]] = []
        self.choices: list[tuple[str, frozenset[str]]] = []
        self.rules: list[Check] = []

    def __call__(self, value: Any, holder: Json) -> list[Fault] | None:  # noqa: ANN401  JSON, not yet checked
        if type(value) is not dict:
            return fault("structure", "An object is expected here.")
        found: list[Fault] = []
        properties = self.properties
        for name, inner in value.items():
            check = properties.get(name)
            if check is None:
                found += self._unknown(name)
            elif (bad := check(inner, value)) is not None:
                found += within(self.paths[name], bad)
        for name in self.required:
            if name not in value and f"_{name}" not in value:
                found += fault("required", "This element is required.", self.paths[name])
        if len(value) <= 1 and not self.is_resource and (not value or "id" in value):
            found += fault("invariant", "ele-1: All FHIR elements must have a @value or children.")
        for path, names in self.required_choices:
            if names.isdisjoint(value):
                found += fault("required", "This element is required.", path)
        for path, names in self.choices:
            if len(names & value.keys()) > 1 and len({each.removeprefix("_") for each in names & value.keys()}) > 1:
                found += fault("structure", "This element has one value, of one type.", path)
        for rule in self.rules:
            if (bad := rule(value, holder)) is not None:
                found += bad
        return found or None

    def _unknown(self, name: str) -> list[Fault]:
        """Never names the property: a client may have put anything there. A known one close to it is safe to name."""
        near = get_close_matches(name, self.properties, 1) if len(name) <= _LONGEST_NAME else []
        hint = f" Perhaps {near[0]} was meant." if near else ""
        return fault("structure", f"{self.name} has no such element.{hint}")
