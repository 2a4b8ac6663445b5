"""The rules of a type or an element beyond its structure: R4's invariants, three of them written by hand.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from fhir_server.fhir.contained import contained_faults
from fhir_server.fhir.data import read
from fhir_server.fhir.faults import Check, Fault, fault, unsound
from fhir_server.fhir.invariants import invariant
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json


@cache
def type_rules(name: str) -> tuple[Check, ...]:
    """What the type itself asks; not what the types ask that it is made from."""
    return (*_BY_HAND.get(name, ()), *invariants(name, read("types")[name]))


def invariants(owner: str, definition: Json) -> tuple[Check, ...]:
    """Those named in the definition of a type, or of an element of the type `owner`."""
    return tuple(_compiled(owner.partition(".")[0], definition.get("invariants", ())))


def with_rules(check: Check, rules: Sequence[Check]) -> Check:
    """A check, and where that finds the structure sound, the rules."""
    if not rules:
        return check

    def ruled(value: object, holder: Json, scope: Scope) -> list[Fault] | None:
        found = check(value, holder, scope) or []
        if found and unsound(found):
            return found
        return found + [each for rule in rules for each in rule(value, holder, scope) or ()] or None

    return ruled


def _compiled(owner: str, keys: Sequence[str]) -> Iterator[Check]:
    for key in keys:
        if (found := invariant(owner, key)) is not None:
            yield _unless_broken(*found)


def _unless_broken(says: str, is_broken: Callable[[object, Scope], bool]) -> Check:
    def check(value: object, _: Json, scope: Scope) -> list[Fault] | None:
        return fault("invariant", says) if is_broken(value, scope) else None

    return check


def _extension(value: object, _: Json, __: Scope) -> list[Fault] | None:
    assert isinstance(value, dict)
    has_value = any(name.startswith(("value", "_value")) for name in value)
    if ("extension" in value) == has_value:
        return fault("invariant", "ext-1: Must have either extensions or value[x], not both.")
    return None


_BY_HAND: dict[str, tuple[Check, ...]] = {"Extension": (_extension,), "DomainResource": (contained_faults,)}
