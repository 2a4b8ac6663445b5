"""What a contained resource may be: no holder of others, no versioned thing, and named by someone.

https://hl7.org/fhir/R4/domainresource.html#invs (dom-2 to dom-5)
"""

from collections.abc import Iterator

from fhir_server.fhir.faults import Fault, fault, within
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json


def contained_faults(resource: object, _: Json, __: Scope) -> list[Fault] | None:
    held = resource.get("contained") if isinstance(resource, dict) else None
    if not isinstance(held, list):
        return None
    named = set(_fragments(resource))
    found: list[Fault] = []
    for place, each in enumerate(held):
        if isinstance(each, dict):
            found += within(f"contained[{place}]", _faults(each, named))
    return found or None


def _faults(each: Json, named: set[str]) -> Iterator[Fault]:
    if "contained" in each:
        yield from fault("invariant", "dom-2: A contained resource does not contain others.", "contained")
    if f"#{each.get('id')}" not in named and "#" not in _fragments(each):
        yield from fault("invariant", "dom-3: A contained resource is referred to, or refers to what contains it.")
    meta = each.get("meta")
    if isinstance(meta, dict):
        for name, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
            if name in meta:
                yield from fault("invariant", f"{key}: A contained resource has no meta.{name}.", f"meta.{name}")


def _fragments(node: object) -> Iterator[str]:
    """Every `#id` in a reference, canonical, uri or url below."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _fragments(value)
    elif isinstance(node, list):
        for value in node:
            yield from _fragments(value)
    elif isinstance(node, str) and node.startswith("#"):
        yield node
