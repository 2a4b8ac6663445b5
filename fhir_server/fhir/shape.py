"""The check of an object: its properties, what it must have, what it may have once, and the rules of its type.

https://hl7.org/fhir/R4/json.html
"""

from functools import cache

from fhir_server.fhir.faults import EMPTY, MOST_ISSUES, Check, Fault, fault, unsound, within
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json

_REQUIRED = "This element is required."


class Shape:
    """One type. `properties` has a check for each JSON property, `paths` the FHIRPath name of each.

    `may_be_bare`: having nothing but an id is no fault here, as for a resource, or beside the value of a primitive.
    """

    __slots__ = ("choices", "may_be_bare", "name", "paths", "properties", "required", "required_choices", "rules")

    def __init__(self, name: str, *, may_be_bare: bool) -> None:
        self.name = name
        self.may_be_bare = may_be_bare
        self.properties: dict[str, Check] = {}
        self.paths: dict[str, str] = {}
        self.required: list[tuple[str, str]] = []
        self.required_choices: list[tuple[str, frozenset[str]]] = []
        self.choices: list[tuple[str, frozenset[str]]] = []
        self.rules: list[Check] = []

    def __call__(self, value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        if type(value) is not dict:
            return fault("structure", "An object is expected here.")
        if not value and not self.may_be_bare:
            return fault("invariant", EMPTY)
        found = self._properties(value, scope) + self._counts(value)
        if found and unsound(found):
            return found
        for rule in self.rules:
            if (bad := rule(value, holder, scope)) is not None:
                found += bad
        return found or None

    def _properties(self, value: Json, scope: Scope) -> list[Fault]:
        found: list[Fault] = []
        properties = self.properties
        for name, inner in value.items():
            check = properties.get(name)
            if check is None:
                found += self._unknown(name)
            elif (bad := check(inner, value, scope)) is not None:
                found += within(self.paths[name], bad)
            else:
                continue
            if len(found) >= MOST_ISSUES:
                break
        return found

    def _counts(self, value: Json) -> list[Fault]:
        found: list[Fault] = []
        for name, shadow in self.required:
            if name not in value and shadow not in value:
                found += fault("required", _REQUIRED, name)
        for path, names in self.required_choices:
            if names.isdisjoint(value):
                found += fault("required", _REQUIRED, path)
        for path, names in self.choices:
            given = names & value.keys()
            if len(given) > 1 and len({each.removeprefix("_") for each in given}) > 1:
                found += fault("structure", "This element has one value, of one type.", path)
        if not found and len(value) == 1 and not self.may_be_bare and "id" in value:
            found += fault("invariant", EMPTY)
        return found

    def _unknown(self, name: str) -> list[Fault]:
        """Never names the property: a client may have put anything there. One of ours that looks like it is safe."""
        near = _by_lower_case(self).get(name.lower())
        hint = f" Perhaps {near} was meant." if near else ""
        return fault("structure", f"{self.name} has no such element.{hint}")


@cache
def _by_lower_case(shape: Shape) -> dict[str, str]:
    return {name.lower(): name for name in shape.properties}
