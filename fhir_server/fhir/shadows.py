"""The check of `_name`: the id and the extensions of the primitive `name`, aligned with its values where it repeats.

https://hl7.org/fhir/R4/json.html#primitive
"""

from fhir_server.fhir.faults import EMPTY, MOST_ISSUES, Check, Fault, fault, within
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json


def shadow_of(name: str, element: Check, *, repeats: bool) -> Check:
    """`element` checks one object as an Element that may have nothing but an id: beside a value that is enough."""

    def check_single(value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        return _unless_empty(element(value, holder, scope), value, holder.get(name))

    def check_aligned(values: object, holder: Json, scope: Scope) -> list[Fault] | None:
        beside = holder.get(name)
        if not isinstance(values, list) or all(value is None for value in values):
            return fault("structure", "This element repeats: an array with at least one object is expected.")
        if isinstance(beside, list) and len(beside) != len(values):
            return fault("structure", "The arrays of values and of their extensions differ in length.")
        found: list[Fault] = []
        for place, value in enumerate(values):
            if value is None and at(beside, place) is not None:
                continue
            if (bad := _unless_empty(element(value, holder, scope), value, at(beside, place))) is not None:
                found += within(f"[{place}]", bad)
                if len(found) >= MOST_ISSUES:
                    break
        return found or None

    return check_aligned if repeats else check_single


def at(values: object, place: int) -> object:
    """What stands at a place of an array; None outside of it, and of what is no array."""
    return values[place] if isinstance(values, list) and place < len(values) else None


def _unless_empty(found: list[Fault] | None, value: object, beside: object) -> list[Fault] | None:
    if found is not None or (value and beside is not None) or (isinstance(value, dict) and "extension" in value):
        return found
    return fault("invariant", EMPTY)
