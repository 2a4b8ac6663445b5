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
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_FORMS = "A reference is Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id."


def reference_faults(reference: Json, targets: frozenset[str] | None, scope: Scope) -> list[Fault] | None:
    """Judges the literal reference alone; `targets` None allows any type. What another server holds is not judged."""
    text = reference.get("reference")
    if type(text) is not str:
        return None
    key = parse_reference(text)
    if key is not None:
        return _relative_faults(key.type, reference.get("type"), targets)
    if text.startswith("#"):
        return _fragment_faults(text, scope.held)
    return None if _ABSOLUTE.fullmatch(text) else fault("value", _FORMS, "reference")


def _relative_faults(actual: str, stated: object, targets: frozenset[str] | None) -> list[Fault] | None:
    if not is_resource_type(actual):
        return fault("value", "The reference names a type that R4 does not have.", "reference")
    if targets is not None and actual not in targets:
        return fault("value", f"The reference may name {', '.join(sorted(targets))} only.", "reference")
    name = stated.removeprefix(_DEFINITION) if isinstance(stated, str) else actual
    if name != actual and is_resource_type(name):
        return fault("invalid", "Reference.type and the type in the reference differ.", "type")
    return None


def _fragment_faults(text: str, held: frozenset[object]) -> list[Fault] | None:
    """`#` alone is the resource that contains; any other names one that it contains."""
    if _FRAGMENT.fullmatch(text) is None:
        return fault("value", _FORMS, "reference")
    if text == "#" or text[1:] in held:
        return None
    return fault("invariant", "ref-1: SHALL have a contained resource if a local reference is provided.", "reference")


def is_resource_type(name: str) -> bool:
    definition = read("types").get(name)
    return definition is not None and definition["kind"] == "resource" and "abstract" not in definition
