"""One invariant as a rule: is it broken by this item?

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fhir_server.fhir.data import read
from fhir_server.fhir.invariants.grammar import compiled
from fhir_server.fhir.invariants.operators import truth
from fhir_server.fhir.scope import Scope

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "ctm-1": "asks what a reference resolves to, and validation reads nothing but the resource",
        "dom-2": "checked in fhir.contained",
        "dom-3": "checked in fhir.contained",
        "dom-4": "checked in fhir.contained",
        "dom-5": "checked in fhir.contained",
        "ele-1": "checked of every object in fhir.shape",
        "ext-1": "checked in fhir.shapes",
        "ig-1": "puts a path where its own expression says the context is another element",
        "ig-2": "puts a path where its own expression says the context is another element",
        "ref-1": "checked in fhir.references",
        "txt-1": "checked in fhir.narrative",
        "txt-2": "checked in fhir.narrative",
    }
)
"""Errors of R4 that are no compiled expression here, and why."""


def invariant(owner: str, key: str) -> tuple[str, Callable[[object, Scope], bool]] | None:
    """What the invariant says, and whether an item breaks it. None for a mere warning and for what is left out.

    Broken is what is definitely false. "Unknown" is not: two dates of which nobody can tell which is the earlier.
    """
    said = read("invariants")[f"{owner} {key}"]
    if said["severity"] != "error" or key in LEFT_OUT:
        return None
    expression = compiled(said["expression"])

    def broken(item: object, scope: Scope) -> bool:
        return truth(expression([item], scope)) is False

    return f"{key}: {said['human']}", broken
