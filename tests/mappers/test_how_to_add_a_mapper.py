"""docs/how-to/add-a-mapper.md, followed: its module is imported, its fixture mapped, its words compared."""

import re
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Mapping
from tests.architecture.files import ROOT
from tests.mappers.golden import RECEIVED

PAGE = (ROOT / "docs/how-to/add-a-mapper.md").read_text()
BLOCK = re.compile(r"^( *)```(python|json)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def mapped() -> Mapping:
    blocks = {kind: textwrap.dedent(text) for _, kind, text in BLOCK.findall(PAGE)}
    module = ModuleType("desk")
    exec(compile(blocks["python"], "desk", "exec"), vars(module))  # noqa: S102  the page's own block is what is tested
    body = json.encode(json.decode(blocks["json"].encode())["body"])
    found: Mapping = module.read(Message(body, RECEIVED), Tables())
    return found


def test_the_page_makes_a_mapper_whose_resources_are_r4(mapped: Mapping) -> None:
    types = []
    for entry in mapped.bundle["entry"]:
        validate(entry["resource"], with_models=True)
        types.append(entry["resource"]["resourceType"])

    assert types == ["Patient", "Appointment", "Task", "Provenance"]


def test_what_the_page_says_of_its_fixture_is_so(mapped: Mapping) -> None:
    visit = mapped.bundle["entry"][1]["resource"]

    assert [loss.path for loss in mapped.losses] == ["colour"]
    assert f"`{visit['end']}`" in PAGE


@pytest.mark.parametrize("place", re.findall(r"`((?:mappers|tests)/[\w/.]+)`", PAGE))
def test_every_place_that_the_page_names_exists(place: str) -> None:
    assert (ROOT / Path(place)).exists()
