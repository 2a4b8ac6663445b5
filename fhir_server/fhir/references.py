"""Whether a Reference is well formed and points to a type that its element allows.

https://hl7.org/fhir/R4/references.html#literal (ref-1)
"""

import re

from fhir_server.fhir.data import read
from fhir_server.fhir.faults import Fault, fault
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

_FRAGMENT = re.compile(r"#[A-Za-z0-9\-.]{0,64}", re.ASCII)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f\x7f]+")
_RESTFUL = re.compile(
    r"https?://[^\s?#]+/(?P<type>[A-Z][A-Za-z]{0,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII
)
_BY_SEARCH = re.compile(r"([A-Z][A-Za-z]{0,63})\?[^\s#]+", re.ASCII)
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_FORMS = "A reference is Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id."


def reference_faults(reference: Json, targets: frozenset[str] | None, scope: Scope) -> list[Fault] | None:
    """`targets` None allows any type. The type is judged wherever it can be told, whether it is there is not asked.

    A urn:, a URL of another form and a reference by identifier alone tell none but the one that they state.
    """
    text, stated = reference.get("reference"), _type_named(reference.get("type"))
    if type(text) is not str:
        return _stated_faults(stated, targets)
    key = parse_reference(text)
    if key is not None:
        if not is_resource_type(key.type):
            return fault("value", "The reference names a type that R4 does not have.", "reference")
        return _type_faults(key.type, stated, targets)
    if text.startswith("#"):
        return _fragment_faults(text, stated, targets, scope)
    restful = _RESTFUL.fullmatch(text)
    named = restful["type"] if restful else searched_type(text) if scope.in_transaction else None
    if named is not None and is_resource_type(named):
        return _type_faults(named, stated, targets)
    return _stated_faults(stated, targets) if _ABSOLUTE.fullmatch(text) else fault("value", _FORMS, "reference")


def _type_faults(actual: str, stated: str | None, targets: frozenset[str] | None) -> list[Fault] | None:
    if targets is not None and actual not in targets:
        return fault("value", f"The reference may name {', '.join(sorted(targets))} only.", "reference")
    if stated is not None and stated != actual:
        return fault("invalid", "Reference.type and the type in the reference differ.", "type")
    return None


def _stated_faults(stated: str | None, targets: frozenset[str] | None) -> list[Fault] | None:
    if stated is None or targets is None or stated in targets:
        return None
    return fault("value", f"The reference may name {', '.join(sorted(targets))} only.", "type")


def _type_named(stated: object) -> str | None:
    """Reference.type where it is one of R4's types: any other URI says nothing that could be judged."""
    name = stated.removeprefix(_DEFINITION) if isinstance(stated, str) else ""
    return name if is_resource_type(name) else None


def _fragment_faults(text: str, stated: str | None, targets: frozenset[str] | None, scope: Scope) -> list[Fault] | None:
    """`#` alone is the resource that contains; any other names one that it contains."""
    if _FRAGMENT.fullmatch(text) is None:
        return fault("value", _FORMS, "reference")
    if text != "#" and text[1:] not in scope.held:
        says = "ref-1: SHALL have a contained resource if a local reference is provided."
        return fault("invariant", says, "reference")
    actual = _type_named(scope.root.get("resourceType") if text == "#" else scope.held[text[1:]])
    return _type_faults(actual, stated, targets) if actual else None


def searched_type(reference: str) -> str | None:
    """Of a reference by search, `Patient?identifier=…`, the type; None for any other."""
    found = _BY_SEARCH.fullmatch(reference)
    return found[1] if found and is_resource_type(found[1]) else None


def is_resource_type(name: str) -> bool:
    definition = read("types").get(name)
    return definition is not None and definition["kind"] == "resource" and "abstract" not in definition
