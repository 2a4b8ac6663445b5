"""Real resources: Synthea's patients and HL7's published examples, read where they lie."""

import gzip
from functools import cache
from pathlib import Path

import pytest

from fhir_server.kernel.json import Json, decode

DATA = Path(__file__).parents[3].parent / "shared/data"


def _lines(name: str) -> list[Json]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"The real input {name} is not beside this checkout.")
    return [decode(line) for line in gzip.open(path)]


@cache
def synthea() -> list[Json]:
    bundles = sorted((DATA / "synthea").glob("*.json.gz"))
    if not bundles:
        pytest.skip("Synthea's patients are not beside this checkout.")
    return [entry["resource"] for path in bundles for entry in decode(gzip.open(path).read())["entry"]]


@cache
def examples() -> dict[str, Json]:
    """HL7's examples by file name."""
    return {each["file"]: each["resource"] for each in _lines("hl7-r4-examples.ndjson.gz")}


@cache
def guide(name: str) -> list[Json]:
    """The resources of an IHE guide."""
    return [each.get("resource", each) for each in _lines(f"{name}.ndjson.gz")]
