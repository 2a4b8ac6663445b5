"""The how-to pages on clients: their blocks, run in order by a shell against a demo clinic."""

import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from fhir_server.kernel import json
from tests.flows.test_readme_tour import PROGRAM, ROOT, demo, here, said, shell

BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES = {
    "connect-a-service": ("key", "add", "token", "used", "reset"),
    "register-an-app": ("add", "list", "reset"),
    "launch-from-an-ehr": ("token", "launch"),
}


@pytest.fixture(scope="module")
def said_there(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], str]:
    """(page, block) -> what it printed."""
    if not (shutil.which("sh") and shutil.which("curl")):
        pytest.skip("The pages need sh and curl.")
    data_dir, folder = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("shell")
    printed: dict[tuple[str, str], str] = {}
    with demo(data_dir) as port, shell(folder, data_dir) as sh:
        for page, names in PAGES.items():
            blocks = BLOCK.findall((ROOT / f"docs/how-to/{page}.md").read_text())
            for name, (_, block) in zip(names, blocks, strict=True):
                written = here(textwrap.dedent(block), port).replace(".venv/bin/python", sys.executable)
                printed[page, name] = said(sh, written.replace(".data/demo.json", str(data_dir / "demo.json")))
    return printed


Said = Mapping[tuple[str, str], str]


def lines(text: str) -> list[dict[str, object]]:
    return [json.decode(line.encode()) for line in text.splitlines() if line]


def test_a_service_is_registered_with_its_public_keys(said_there: Said) -> None:
    [registered] = lines(said_there["connect-a-service", "add"])

    assert (registered["client_id"], registered["kind"]) == ("booking", "backend")
    assert "secret" not in registered
    assert registered["kids"]


def test_its_token_does_what_its_scope_says(said_there: Said) -> None:
    assert said_there["connect-a-service", "used"].split() == ["200", "403"]


def test_new_keys_take_the_place_of_the_old_ones(said_there: Said) -> None:
    [before] = lines(said_there["connect-a-service", "add"])
    [after] = lines(said_there["connect-a-service", "reset"])

    assert after["kids"] != before["kids"]


def test_apps_are_registered_and_a_secret_is_shown_once(said_there: Said) -> None:
    charts, reports = lines(said_there["register-an-app", "add"])

    assert "secret" not in charts
    assert len(str(reports["secret"])) >= 43
    assert str(reports["secret"]) not in said_there["register-an-app", "list"]


def test_all_are_listed(said_there: Said) -> None:
    listed = {str(one["client_id"]): one for one in lines(said_there["register-an-app", "list"])}

    assert {"booking", "charts", "reports", "demo-backend", "demo-public", "demo-ehr"} <= listed.keys()
    assert listed["booking"]["disabled"] is True
    assert listed["charts"]["disabled"] is False


def test_a_secret_is_given_anew(said_there: Said) -> None:
    _, before = lines(said_there["register-an-app", "add"])
    [after] = lines(said_there["register-an-app", "reset"])

    assert after["secret"] != before["secret"]


def test_an_ehr_gets_a_handle(said_there: Said) -> None:
    [answer] = lines(said_there["launch-from-an-ehr", "launch"])

    assert answer.keys() == {"iss", "launch", "launch_url", "expires_in"}
    assert str(answer["iss"]).endswith("/fhir")


def test_every_block_of_the_pages_has_a_name() -> None:
    assert PROGRAM.exists()
    for page, names in PAGES.items():
        assert len(BLOCK.findall(Path(ROOT / f"docs/how-to/{page}.md").read_text())) == len(names)
