"""What the documents say is so: links lead somewhere, settings exist, and nothing speaks of one machine."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from fhir_server.settings import VARIABLES
from fhir_server.variables import PREFIX
from tests.architecture.files import ROOT, name_of, project_files

PAGES = project_files(".md")
LINK = re.compile(r"\[[^\]\n]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.IGNORECASE)
MACHINE = re.compile(
    rb"(?<![\w.])/(?:" + b"|".join((b"work", b"root", b"farm")) + rb")/|index[-_]url\b|trusted[-_]host\b"
)
SETTING = re.compile(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b")
FRAGMENT = re.compile(r"\d{4}\.(security|privacy|added|changed|fixed)\.md")


def links_of(page: Path) -> list[str]:
    text = CODE.sub("", FENCE.sub("", page.read_text()))
    return [target for target in LINK.findall(text) if not ELSEWHERE.match(target)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_project_leads_to_a_file(page: Path) -> None:
    targets = {target: page.parent / unquote(target.split("#")[0]) for target in links_of(page)}

    assert not [target for target, path in targets.items() if not path.exists()]


def test_every_setting_that_is_mentioned_exists() -> None:
    known = {variable.name for variable in VARIABLES}
    files = [f for f in project_files(".md", ".py", ".yml", ".yaml", ".toml", ".sh", "") if "tests" not in f.parts]

    mentioned = {(name_of(file), name) for file in files for name in SETTING.findall(file.read_text(errors="ignore"))}

    assert not {(file, name) for file, name in mentioned if name not in known}


@pytest.mark.parametrize("path", project_files(), ids=name_of)
def test_no_file_speaks_of_the_machine_it_was_written_on(path: Path) -> None:
    found = MACHINE.search(path.read_bytes())

    assert found is None


@pytest.mark.parametrize("target", ["run", "test", "check"])
def test_make_has_its_three_words(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_a_changelog_fragment_is_one_sentence_under_a_number_and_a_kind() -> None:
    fragments = [path for path in project_files(".md") if path.parent == ROOT / "changelog.d"]

    for fragment in fragments:
        assert FRAGMENT.fullmatch(fragment.name), fragment.name
        assert fragment.read_text().strip().endswith("."), fragment.name
