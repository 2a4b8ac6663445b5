"""The pages of docs/api: their examples, run in order against a demo clinic, print what the pages say."""

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.flows.test_readme_tour import demo, here, said, shell, worker

PAGES = Path(__file__).parents[2] / "docs/api"
ORDER = re.findall(r"\]\(([\w-]+\.md)\)", (PAGES / "README.md").read_text())
"""As the index lists them."""

EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTCOME = re.compile(r"^\| (\d{3}|any) \|(.*?)\|(.*)\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """Page -> what each of its examples prints."""
    if not (shutil.which("sh") and shutil.which("curl")):
        pytest.skip("The examples need sh and curl.")
    data_dir, folder = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("shell")
    with demo(data_dir) as port, worker(data_dir, port), shell(folder, data_dir) as sh:
        [prelude] = BLOCK.findall((PAGES / "README.md").read_text())
        said(sh, here(prelude, port))
        return {
            page: [
                said(sh, here(block, port).replace(".venv/bin/python", sys.executable)).strip()
                for block, _ in EXAMPLE.findall((PAGES / page).read_text())
            ]
            for page in ORDER
        }


@pytest.mark.parametrize("page", ORDER)
def test_an_example_prints_what_its_page_says(printed: Mapping[str, list[str]], page: str) -> None:
    expected = [text.strip() for _, text in EXAMPLE.findall((PAGES / page).read_text())]

    assert expected
    assert printed[page] == expected


def test_every_page_is_listed_once() -> None:
    assert sorted(ORDER) == sorted({path.name for path in PAGES.glob("*.md")} - {"README.md"})


@pytest.mark.parametrize("page", ORDER)
def test_a_page_has_its_sections_and_every_example_is_run(page: str) -> None:
    text = (PAGES / page).read_text()

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Example", "Outcomes", "Not supported"]
    assert len(EXAMPLE.findall(text)) == len(BLOCK.findall(text))


@pytest.mark.parametrize("page", ORDER)
def test_an_outcome_has_a_status_and_a_code_of_the_error_table(page: str) -> None:
    table = re.findall(r"^\| `\w+` \| (\d{3}) \| `([\w-]+)`", (PAGES.parent / "errors.md").read_text(), re.MULTILINE)
    precise = {"structure", "required", "value", "code-invalid", "invariant", "invalid", "not-supported"}
    known = {*table, *(("422", code) for code in precise), ("400", "not-supported"), ("422", "not-found")}

    outcomes = OUTCOME.findall((PAGES / page).read_text())

    assert outcomes
    for status, codes, _ in outcomes:
        assert {(status, code) for code in re.findall(r"`([\w-]+)`", codes)} <= known
