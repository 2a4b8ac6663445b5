"""Whether a Reference is well formed and points to a type that its element allows.

https://hl7.org/fhir/R4/references.html#literal
"""

import re
from typing import Any

from fhir_server.fhir.data import read
from fhir_server.fhir.faults import Fault, fault
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

_FRAGMENT = re.compile(r"#[A-Za-z0-9\-.]{0,64}", re.ASCII)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f\x7f]+")
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def reference_faults(reference: Json, targets: frozenset[str] | None) -> list[Fault] | None:
    """Judges the literal reference alone; `targets` None allows any type. What another server holds is not judged."""
    text = reference.get("reference")
    if type(text) is not str:
        return None
    key = parse_reference(text)
    if key is None:
        if _FRAGMENT.fullmatch(text) or _ABSOLUTE.fullmatch(text):
            return None
        return fault("value", "A reference is Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id.", "reference")
    if not is_resource_type(key.type):
        return fault("value", "The reference names a type that R4 does not have.", "reference")
    if targets is not None and key.type not in targets:
        return fault("value", f"The reference may name {', '.join(sorted(targets))} only.", "reference")
    stated = reference.get("type")
    if stated is not None and _contradicts(stated, key.type):
        return fault("invalid", "Reference.type and the type in the reference differ.", "type")
    return None


def is_resource_type(name: str) -> bool:
    definition = read("types").get(name)
    return definition is not None and definition["kind"] == "resource" and "abstract" not in definition


def _contradicts(stated: Any, actual: str) -> bool:  # noqa: ANN401  JSON, not yet checked
    name = stated.removeprefix(_DEFINITION) if type(stated) is str else ""
    return is_resource_type(name) and name != actual
