"""Decisions and tables are kept as agreed: numbered pages with the same sections, tables that name all there is."""

import re
import tomllib
from pathlib import Path

import pytest

from fhir_server.kernel import errors, json
from fhir_server.kernel.errors import FhirError
from tests.architecture.files import ROOT, name_of

DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))
SECTIONS = ["Context", "Options", "Decision", "Consequences", "Status"]
ROW = re.compile(r"^\| `([\w.-]+)` \|(.*)$", re.MULTILINE)


def rows(page: str) -> dict[str, list[str]]:
    """First cell, which is code, -> the other cells."""
    return {
        name: [cell.strip(" `") for cell in rest.split("|")[:-1]]
        for name, rest in ROW.findall((ROOT / page).read_text())
    }


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_its_sections_in_order(page: Path) -> None:
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == SECTIONS


def test_decisions_are_numbered_without_a_gap_and_by_their_title() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]

    assert numbers == list(range(1, len(DECISIONS) + 1))
    assert all(page.read_text().startswith(f"# {int(page.name[:4])}. ") for page in DECISIONS)
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name) for page in DECISIONS)


def test_every_failure_has_its_row_with_its_status_and_code() -> None:
    known = {
        found.__name__: [str(found.status), found.code]
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, FhirError)
    }

    written = {name: cells[:2] for name, cells in rows("docs/errors.md").items()}

    assert written == known


def test_every_place_that_raises_an_error_exists() -> None:
    places = {
        place for cells in rows("docs/errors.md").values() for place in re.findall(r"[a-z_/]+/(?:\w+\.py)?", cells[-1])
    }

    assert places
    assert not [place for place in places if not (ROOT / "fhir_server" / place).exists()]


def test_every_direct_dependency_has_its_row_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = (
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    )
    declared = {re.split(r"[\[<>=;! ]", requirement)[0] for group in groups for requirement in group}
    declared |= json.decode((ROOT / "tests/clients/package.json").read_bytes())["dependencies"].keys()

    assert rows("docs/dependencies.md").keys() == declared


def test_what_stays_clear_is_named_in_the_threat_model() -> None:
    """The allow-list is one word long; who lengthens it has to say so there."""
    from fhir_server.engine.classification import CLEAR

    text = (ROOT / "docs/threat-model.md").read_text()

    assert all(f"`{element}`" in text for element in CLEAR)
