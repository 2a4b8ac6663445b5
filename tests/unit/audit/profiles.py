"""A small checker for the profiles of IHE BALP and PCF: cardinality, patterns, slices by type, own value sets.

It reads the published snapshots, so a profile is never written down twice. What it does not know (FHIRPath constraints,
value sets of others) is checked by fhir.resources, or in the tests one by one.
"""

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json

DATA = Path(__file__).parents[3].parent / "shared/data"
SOURCES = (DATA / "ihe-balp.ndjson.gz", DATA / "ihe-pcf.ndjson.gz")


@cache
def published() -> dict[str, Json]:
    """Everything that BALP and PCF publish, by canonical URL, and their examples by `Type/id`."""
    found: dict[str, Json] = {}
    for source in SOURCES:
        if not source.exists():
            pytest.skip("the IHE profiles are not beside this checkout")
        with gzip.open(source) as lines:
            resources = [json.decode(line)["resource"] for line in lines]
        found |= {
            resource.get("url", f"{resource['resourceType']}/{resource['id']}"): resource for resource in resources
        }
    return found


@cache
def elements(profile: str) -> dict[str, Json]:
    return {element["id"]: element for element in published()[profile]["snapshot"]["element"]}


def faults(resource: Json, profile: str) -> list[str]:
    """What of this resource breaks the profile; empty when it conforms."""
    return list(_of_children(resource, resource["resourceType"], elements(profile)))


def _of_children(value: Json, parent: str, known: dict[str, Json]) -> Iterator[str]:
    depth = parent.count(".") + 1
    for id, element in known.items():
        if id.startswith(f"{parent}.") and id.count(".") == depth and ":" not in id.rpartition(".")[2]:
            name = id.rpartition(".")[2]
            if not name.endswith("[x]"):
                yield from _of_element(_listed(value.get(name)), id, element, known)


def _of_element(values: list[Any], id: str, element: Json, known: dict[str, Json]) -> Iterator[str]:
    yield from _of_values(values, id, element, known)
    slices = [one for one in known if one.startswith(f"{id}:") and "." not in one[len(id) :]]
    for slice_id in slices:
        own = [value for value in values if _in_slice(value, slice_id, known)]
        yield from _of_values(own, slice_id, known[slice_id], known)
    if element.get("slicing", {}).get("rules") == "closed":
        for value in values:
            if not any(_in_slice(value, slice_id, known) for slice_id in slices):
                yield f"{id}: one is of no slice, and the slices are closed"


def _of_values(values: list[Any], id: str, element: Json, known: dict[str, Json]) -> Iterator[str]:
    least, most = element["min"], element["max"]
    if len(values) < least or (most != "*" and len(values) > int(most)):
        yield f"{id}: {len(values)} of {least}..{most}"
    for value in values:
        if not _fits(value, element):
            yield f"{id}: not as the profile fixes it"
        if isinstance(value, dict):
            yield from _of_children(value, id, known)


def _in_slice(value: Any, slice_id: str, known: dict[str, Json]) -> bool:
    """Each slice is told by its `type`, or by the value itself."""
    by_type = known.get(f"{slice_id}.type")
    if by_type is None:
        return _fits(value, known[slice_id])
    return isinstance(value, dict) and "type" in value and _fits(value["type"], by_type)


def _fits(value: Any, element: Json) -> bool:
    fixed = [wanted for name, wanted in element.items() if name.startswith(("pattern", "fixed"))]
    binding = element.get("binding", {})
    bound = published().get(binding.get("valueSet")) if binding.get("strength") == "required" else None
    return all(_contains(value, wanted) for wanted in fixed) and (bound is None or _is_member(value, bound))


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(_contains(value.get(name), part) for name, part in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(_contains(one, part) for one in value) for part in wanted)
    return bool(value == wanted)


def _is_member(value: Json, value_set: Json) -> bool:
    codings = value.get("coding", [value])
    return any(
        coding.get("system") == included["system"] and coding.get("code") in _codes(included)
        for coding in codings
        for included in value_set["compose"]["include"]
    )


def _codes(included: Json) -> set[str]:
    concepts = included.get("concept") or published()[included["system"]]["concept"]
    return {concept["code"] for concept in concepts}


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
