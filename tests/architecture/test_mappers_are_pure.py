"""What reads a message has no clock, no chance, no network and no files: the same message, the same mapping."""

import ast
from pathlib import Path

import pytest

from tests.architecture.files import ROOT, name_of

PURE = sorted(
    path
    for folder in ("booking", "csv_files", "fhir_sync", "hl7v2", "mapping")
    for path in (ROOT / "mappers" / folder).rglob("*.py")
)
IMPURE = {
    "asyncio",
    "http",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
}
CLOCKS = {"now", "utcnow", "today", "uuid1", "uuid4", "open"}


@pytest.mark.parametrize("module", PURE, ids=name_of)
def test_a_mapper_imports_nothing_of_the_world_outside(module: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")

    assert not {name for name in imported if name in IMPURE or name.partition(".")[0] in IMPURE}


@pytest.mark.parametrize("module", PURE, ids=name_of)
def test_a_mapper_asks_no_clock_and_opens_no_file(module: Path) -> None:
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    }

    assert not called & CLOCKS
