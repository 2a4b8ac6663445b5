"""The settings file: the page's own example is accepted, mistakes and open secrets are not."""

import re
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhir_server.kernel import json
from mappers.mapping.faults import UnusableError
from mappers.mapping.signatures import refuse_without_word
from mappers.runtime.commands import main
from mappers.runtime.faults import SetupError
from mappers.runtime.settings import Settings, load
from mappers.runtime.web import Hook
from tests.architecture.files import ROOT

PAGE = (ROOT / "docs/how-to/connect-booking-systems.md").read_text()
SECRETS = ("state-key", "cal-secret", "calendly-secret", "cliniko-key", "nextmotion-secret", "nextmotion-key")


def example() -> Any:
    [block] = re.findall(r"^ *```json\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return json.decode(textwrap.dedent(block).encode())


def settings(folder: Path, mode: int = 0o600, **changed: Any) -> Settings:
    for name in (*SECRETS, "pabau-secret", "pabau-key"):
        (folder / name).write_text("s" * 40 + "\n")
        (folder / name).chmod(0o600)
    (folder / "mappers-key.json").write_text('{"kty": "EC"}')
    (folder / "mappers-key.json").chmod(mode)
    (folder / "settings.json").write_bytes(json.encode({**example(), **changed}))
    return load(folder / "settings.json")


def test_the_example_of_the_page_is_accepted(tmp_path: Path) -> None:
    found = settings(tmp_path)

    assert {source.system for source in found.sources} >= {"calcom", "hl7v2", "csv"}
    assert found.source("cal").secret("secret_file") == "s" * 40
    assert "sssss" not in repr(found)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="may be read by others"):
        settings(tmp_path, mode=0o644)


@pytest.mark.parametrize(
    "changed",
    [
        {"sever": "x"},
        {"sources": [{"name": "a", "system": "fax"}]},
        {"sources": [{"name": "a", "system": "calcom", "secret": "in the open"}]},
        {"sources": [{"name": "a", "system": "csv"}, {"name": "a", "system": "csv"}]},
        {"sources": [{"name": "a", "system": "pabau", "tables": {"zone": "Our/Town"}}]},
        {"sources": [{"system": "csv"}]},
        {"key_file": "nowhere"},
    ],
)
def test_a_mistake_is_refused_and_named(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises((SetupError, UnusableError)):
        settings(tmp_path, **changed)


def test_a_source_that_is_not_there_and_a_pace_without_measure_are_refused(tmp_path: Path) -> None:
    found = settings(tmp_path, sources=[{"name": "a", "system": "cliniko", "every_seconds": 1}])

    for wrong in (lambda: found.source("b"), found.source("a").seconds, lambda: found.source("a").text("app")):
        with pytest.raises(SetupError):
            wrong()


def test_a_path_that_can_be_guessed_is_refused() -> None:
    async def nothing(*given: object) -> None: ...

    with pytest.raises(SetupError):
        Hook("calcom", partial(refuse_without_word, secret="s" * 40), nothing)


def test_the_command_says_what_is_wrong_and_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.json"), "check"]) == 1
    assert capsys.readouterr().err == "none.json cannot be read.\n"


def test_every_command_is_on_the_page() -> None:
    named = set(re.findall(r"add_parser\(\s*\"([a-z]+)\"", (ROOT / "mappers/runtime/commands.py").read_text()))

    assert named >= {"serve", "poll", "deliver", "import", "expire", "check"}
    assert not [name for name in named if f"`{name}" not in PAGE]
