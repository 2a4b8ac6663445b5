"""The check of one JSON property: a single value or an array, a primitive, an object or a resource.

https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/terminologies.html#required
"""

import re
from collections.abc import Callable
from functools import cache

from fhir_server.fhir.data import read
from fhir_server.fhir.faults import MOST_ISSUES, Check, Fault, fault, within
from fhir_server.fhir.narrative import narrative_faults
from fhir_server.fhir.primitives import FORMATS
from fhir_server.fhir.scope import Scope
from fhir_server.fhir.shadows import at
from fhir_server.kernel.json import Json

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+(/[A-Za-z0-9!#$&^_.+\-]+( *;.*)?)?")
_SYNTAX = {
    "http://hl7.org/fhir/ValueSet/mimetypes": _MEDIA_TYPE,
    "http://hl7.org/fhir/ValueSet/currencies": re.compile(r"[A-Z]{3}"),
}
"""Bound sets that R4's package does not list: what can be judged is how their codes look."""
_LITERALS = (str, bool, int)


@cache
def primitive(type_name: str, binding: str | None) -> Check:
    """A value of a primitive type, of the codes of a required binding where there is one."""
    if type_name == "xhtml":
        return narrative_faults
    if binding is None:
        return _single(FORMATS[type_name], "value", f"Not a valid {type_name}.")
    return _single(_member_of(binding), "code-invalid", f"Not a code of the required value set {binding}.")


def _member_of(binding: str) -> Callable[[object], bool]:
    listed = read("value_sets")[binding]
    if listed is not None:
        codes = frozenset(code for members in listed.values() for code in members)
        return lambda value: type(value) is str and value in codes
    syntax = _SYNTAX[binding]
    return lambda value: type(value) is str and syntax.fullmatch(value) is not None


def _single(is_valid: Callable[[object], bool], code: str, says: str) -> Check:
    def check(value: object, _: Json, __: Scope) -> list[Fault] | None:
        return None if is_valid(value) else _mismatch(value) or fault(code, says)

    return check


def _mismatch(value: object) -> list[Fault] | None:
    """What is wrong with the JSON itself, before any type is asked."""
    if value is None:
        return fault("structure", "JSON null is no value: leave the property out.")
    if type(value) is list:
        return fault("structure", "This element does not repeat: no array is expected.")
    if type(value) is dict:
        return fault("structure", "This element is a primitive: no object is expected.")
    if value == "":
        return fault("structure", "A string is never empty: leave the property out.")
    return None


def concept(binding: str | None, inner: Check) -> Check:
    """A CodeableConcept that must carry a coding out of a set. Without any content but extensions it says why not."""
    listed = read("value_sets")[binding] if binding is not None else None
    if listed is None:
        return inner
    codings = frozenset((system, code) for system, members in listed.items() for code in members)

    def check(value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        found = inner(value, holder, scope)
        if found is not None or not isinstance(value, dict) or ("coding" not in value and "text" not in value):
            return found
        if any((each.get("system"), each.get("code")) in codings for each in value.get("coding", ())):
            return None
        return fault("code-invalid", f"No coding is of the required value set {binding}.")

    return check


def many(check_one: Check, name: str, *, is_primitive: bool, least: int) -> Check:
    """An array. In one of primitives a null stands where `_name` has an object at the same place."""

    def check(values: object, holder: Json, scope: Scope) -> list[Fault] | None:
        if type(values) is not list:
            return fault("structure", "This element repeats: an array is expected.")
        if not values:
            return fault("structure", "An array is never empty: leave the property out.")
        found: list[Fault] = []
        for place, value in enumerate(values):
            if value is None and is_primitive and isinstance(at(holder.get(shadow), place), dict):
                continue
            if (bad := check_one(value, holder, scope)) is not None:
                found += within(f"[{place}]", bad)
                if len(found) >= MOST_ISSUES:
                    break
        if len(values) < least:
            found += fault("required", f"At least {least} are required.")
        return found or None

    shadow = f"_{name}"
    return check
