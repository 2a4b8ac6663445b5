"""What `resolve() is Patient` asks, answered from the reference alone: nothing is fetched.

https://hl7.org/fhir/R4/references.html#literal
"""

import re

from fhir_server.kernel.json import Json

_RESTFUL = re.compile(
    r"(?:.*/)?([A-Z][A-Za-z]{0,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII
)
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def reference_type(reference: object, root: Json) -> str | None:
    """The resource type that a Reference (or a bare URL) points to; None when it does not say.

    The URL decides where it can, else `contained`, else `Reference.type`.
    """
    if isinstance(reference, str):
        return _from_text(reference, root)
    if not isinstance(reference, dict):
        return None
    text, stated = reference.get("reference"), reference.get("type")
    found = _from_text(text, root) if isinstance(text, str) else None
    if found is None and isinstance(stated, str):
        return stated.removeprefix(_DEFINITION)
    return found


def _from_text(text: str, root: Json) -> str | None:
    if text.startswith("#"):
        return _contained(text[1:], root)
    found = _RESTFUL.fullmatch(text)
    return found[1] if found else None


def _contained(id: str, root: Json) -> str | None:
    """`#` alone is the resource that holds the reference."""
    inside = root.get("contained")
    for resource in (inside if isinstance(inside, list) else ()) if id else (root,):
        if isinstance(resource, dict) and (not id or resource.get("id") == id):
            found = resource.get("resourceType")
            return found if isinstance(found, str) else None
    return None
