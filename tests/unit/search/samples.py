"""Published resources to search in: HL7's examples and synthetic patients."""

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from fhir_server.kernel.json import Json, decode

_DATA = Path(__file__).parents[3].parent / "shared/data"
_MOST_OF_A_TYPE = 12


@cache
def published() -> tuple[Json, ...]:
    """All examples, and the first few of each type and synthetic patient."""
    if not _DATA.is_dir():
        pytest.skip("the published examples are not here")
    return (*_examples(), *_synthetic())


def of_type(name: str) -> tuple[Json, ...]:
    return tuple(resource for resource in published() if resource["resourceType"] == name)


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read()


def _examples() -> Iterator[Json]:
    for line in _unpacked(_DATA / "hl7-r4-examples.ndjson.gz").splitlines():
        yield decode(line)["resource"]


def _synthetic() -> Iterator[Json]:
    seen: dict[str, int] = {}
    for path in sorted((_DATA / "synthea").glob("*.json.gz")):
        for entry in decode(_unpacked(path))["entry"]:
            resource = entry["resource"]
            name = resource["resourceType"]
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= _MOST_OF_A_TYPE:
                yield resource
