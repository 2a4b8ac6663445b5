"""What is claimed has its tests, and what is not met says why: conformance/claims.toml against the tree."""

import re
import tomllib
from typing import Any

import pytest

from tests.architecture.files import ROOT

CLAIMS: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "conformance/claims.toml").read_text())
REQUIREMENTS = ROOT.parent / "shared/requirements/conformance.md"
LINE = re.compile(r"^- (R-[A-Z]+-\d{3}) \[(\w+)(?:, \w+)?\]", re.MULTILINE)
FAMILIES = {"R-FHIR", "R-SMART", "R-IUA", "R-BULK", "R-PCF", "R-BALP", "R-IPS"}
TEST = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


def names_in(file: str) -> list[str]:
    path = ROOT / file
    return TEST.findall(path.read_text()) if path.is_file() else []


def proves(name: str, line: str) -> bool:
    """Does the name bear the line's number? `test_r_fhir_055_056_…` bears two, `test_t43_r_smart_088_…` one."""
    family, _, number = line.lower().replace("-", "_").rpartition("_")
    return any(number in found.split("_") for found in re.findall(rf"_{family}((?:_\d{{3}})+)(?=_)", name))


@pytest.mark.parametrize("line", CLAIMS)
def test_a_line_is_claimed_with_tests_or_says_why_it_is_not_met(line: str) -> None:
    claim = CLAIMS[line]

    assert claim.keys() <= {"about", "level", "tests", "not_met"}
    assert claim.get("tests") or claim.get("not_met")
    assert claim.get("not_met", "Reason.").endswith(".")


@pytest.mark.parametrize(("line", "file"), [(line, file) for line in CLAIMS for file in CLAIMS[line].get("tests", ())])
def test_a_claimed_file_has_a_test_that_bears_the_number_of_the_line(line: str, file: str) -> None:
    assert any(proves(name, line) for name in names_in(file))


def test_every_line_of_the_requirements_is_claimed_or_not_met_at_its_level() -> None:
    if not REQUIREMENTS.exists():
        pytest.skip("The requirements are not beside this checkout.")
    found = LINE.findall(REQUIREMENTS.read_text())
    lines = {line: level for line, level in found if line.rpartition("-")[0] in FAMILIES}

    assert len(lines) > 140
    assert {line: claim["level"] for line, claim in CLAIMS.items()} == lines


def test_a_number_counts_in_its_own_family_only() -> None:
    name = "test_r_bulk_037_r_smart_053_083_a_scope"

    assert [proves(name, line) for line in ("R-SMART-053", "R-SMART-083", "R-BULK-037")] == [True] * 3
    assert not any(proves(name, line) for line in ("R-SMART-037", "R-BULK-053", "R-FHIR-083", "R-SMART-05"))
