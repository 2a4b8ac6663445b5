"""The script that makes the data files, on a package of three definitions."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from fhir_server.fhir.data import read
from fhir_server.kernel.json import Json, decode, encode

SCRIPT = Path(__file__).parents[3] / "conformance/definitions/compact_r4.py"
URL = "http://hl7.org/fhir/StructureDefinition/"


def element(path: str, type_name: str, **more: object) -> Json:
    base = {"path": path, "min": 0, "max": "1"}
    return {"path": path, "min": 0, "max": "1", "type": [{"code": type_name}], "base": base, **more}


BOX: Json = {
    "resourceType": "StructureDefinition",
    "id": "Box",
    "url": f"{URL}Box",
    "version": "4.0.1",
    "kind": "resource",
    "type": "Box",
    "abstract": False,
    "baseDefinition": f"{URL}DomainResource",
    "derivation": "specialization",
    "snapshot": {
        "element": [
            {"path": "Box", "min": 0, "max": "*", "base": {"path": "Box"}},
            element("Box.id", "id") | {"base": {"path": "Resource.id"}},
            element("Box.part", "BackboneElement", max="*", constraint=[
                {"key": "box-1", "severity": "error", "human": "Not empty", "expression": "lid.exists()"},
                {"key": "ele-1", "severity": "error", "human": "x", "expression": "x", "source": f"{URL}Element"},
            ]),
            element("Box.part.id", "string") | {"base": {"path": "Element.id"}},
            element("Box.part.lid", "code", min=1, binding={"strength": "required", "valueSet": "urn:lids|4.0.1"}),
        ]
    },
}  # fmt: skip
SIZE: Json = {
    "resourceType": "SearchParameter",
    "id": "box-size",
    "url": "http://hl7.org/fhir/SearchParameter/box-size",
    "code": "size",
    "type": "token",
    "base": ["Bag", "Box"],
    "expression": "Bag.size | (Box.size as code) | Box.part.lid",
}
LIDS: Json = {
    "resourceType": "ValueSet",
    "id": "lids",
    "url": "urn:lids",
    "compose": {"include": [{"system": "urn:codes", "concept": [{"code": "flat"}]}]},
}


def archive(path: Path, resources: list[Json]) -> Path:
    with tarfile.open(path, "w:gz") as package:
        for resource in resources:
            raw = encode(resource)
            info = tarfile.TarInfo(f"package/{resource['resourceType']}-{resource['id']}.json")
            info.size = len(raw)
            package.addfile(info, io.BytesIO(raw))
    return path


def compact(path: Path, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    subprocess.run([sys.executable, SCRIPT, path, folder], check=True, capture_output=True)
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_the_same_definitions_make_the_same_files_in_whatever_order_they_come(tmp_path: Path) -> None:
    one = compact(archive(tmp_path / "one.tgz", [BOX, SIZE, LIDS]), tmp_path / "one")
    two = compact(archive(tmp_path / "two.tgz", [LIDS, SIZE, BOX]), tmp_path / "two")

    assert one == two
    assert decode(one["types.json"]) == {
        "Box": {
            "kind": "resource",
            "base": "DomainResource",
            "elements": {"part": {"type": ["Box.part"], "max": "*"}},
        },
        "Box.part": {
            "kind": "backbone",
            "base": "BackboneElement",
            "invariants": ["box-1"],
            "elements": {"lid": {"type": ["code"], "min": 1, "binding": "urn:lids"}},
        },
    }
    assert decode(one["search_parameters.json"])["Box.size"]["expression"] == "(Box.size as code) | Box.part.lid"
    assert decode(one["value_sets.json"]) == {"urn:lids": {"urn:codes": ["flat"]}}
    assert decode(one["invariants.json"]) == {
        "Box box-1": {"severity": "error", "expression": "lid.exists()", "human": "Not empty"}
    }


def test_the_files_of_the_server_hold_one_definition_a_line_in_order() -> None:
    for name in ("types", "invariants", "search_parameters", "compartments", "value_sets", "refused_types"):
        entries = read(name)
        text = (SCRIPT.parents[2] / f"fhir_server/fhir/data/{name}.json").read_bytes()

        assert list(entries) == sorted(entries)
        assert len(text.splitlines()) == len(entries) + 2
