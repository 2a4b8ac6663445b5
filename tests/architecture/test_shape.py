"""The habits that a linter does not know: small modules, telling names, an owner for each, reasons for exceptions."""

import ast
import re
import statistics
from pathlib import Path

import pytest

from tests.architecture.files import ROOT, name_of, project_files

MODULES = [path for path in project_files(".py") if name_of(path).startswith(("fhir_server/", "mappers/"))]
MOST_LINES = 300
MEDIAN_LINES = 100
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "core", "constants", "types_"}
EXCEPTION = re.compile(r"#\s*(?:noqa\b:?[ A-Z0-9,]*|type:\s*ignore(?:\[[^]]*\])?)(?P<reason>.*)$", re.MULTILINE)
ENVIRONMENT = re.compile(r"\bos\.(environ|getenv)\b")


def lines_of(module: Path) -> int:
    return len(module.read_text().splitlines())


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_fits_in_the_head(module: Path) -> None:
    assert lines_of(module) <= MOST_LINES, "split it by what it owns"


def test_half_of_the_modules_are_short() -> None:
    sizes = [lines for lines in map(lines_of, MODULES) if lines > 3]

    assert statistics.median(sizes) <= MEDIAN_LINES


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_in_its_first_line_what_it_owns(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text())) or ""

    assert docstring.split("\n", maxsplit=1)[0].strip()


def test_no_module_or_package_is_named_after_nothing() -> None:
    named = {name_of(path): {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} for path in MODULES}

    assert not {name for name, parts in named.items() if parts & EMPTY_NAMES}


@pytest.mark.parametrize("path", project_files(".py"), ids=name_of)
def test_a_silenced_check_says_why(path: Path) -> None:
    comments = [found for found in EXCEPTION.finditer(path.read_text()) if not inside_a_pattern(found)]

    assert not [found[0] for found in comments if not re.search(r"[a-z]{2}", found["reason"])]


def inside_a_pattern(found: re.Match[str]) -> bool:
    """A regular expression or a message about such comments, as the one above."""
    return found.string[: found.start()].rsplit("\n", 1)[-1].count('"') % 2 == 1


def test_only_the_composition_root_and_the_commands_see_the_environment() -> None:
    allowed = ("fhir_server/cli/", "fhir_server/app.py", "fhir_server/__main__.py", "mappers/")

    readers = {name_of(module) for module in MODULES if ENVIRONMENT.search(module.read_text())}

    assert not {name for name in readers if not name.startswith(allowed)}
