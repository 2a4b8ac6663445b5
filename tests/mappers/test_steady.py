"""What is kept up at a pace: the settings of it, its commands, and that a failure is no end."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, MockTransport, Response

from fhir_server.kernel import json
from fhir_server.smart.clients.key_pair import new_private_jwk
from mappers.fhir_sync.authority import Side
from mappers.runtime import commands
from mappers.runtime.clock import now
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import NotNowError, SetupError
from mappers.runtime.serving import _kept_up
from mappers.runtime.settings import Settings, load
from mappers.runtime.syncing.rounds import Rounds
from mappers.runtime.wiring import Runtime
from tests.architecture.files import ROOT

PAGE = (ROOT / "docs/how-to/keep-in-step.md").read_text()
pytestmark = pytest.mark.anyio
SOURCE = {
    "name": "hospital",
    "system": "fhir",
    "base": "https://ehr.example/fhir/",
    "client_id": "us",
    "scope": "system/Patient.cruds",
    "key_file": "key.json",
    "they_are": ["ehr"],
    "known": {"Organization/1": "Organization/2"},
}


def settings(folder: Path, **more: Any) -> Settings:
    for name, text in (("key.json", json.encode(new_private_jwk("ES384")).decode()), ("word", "x" * 40)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    given = {
        "server": "https://us.example/fhir",
        "client_id": "mappers",
        "scope": "system/Patient.cruds",
        "key_file": "key.json",
        "state_key_file": "word",
        "sources": [{**SOURCE, **more}],
    }
    (folder / "settings.json").write_bytes(json.encode(given))
    return load(folder / "settings.json")


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    http = AsyncClient(transport=MockTransport(lambda _: Response(500)))
    return Runtime(settings(tmp_path), http, now)


def test_the_settings_of_the_page_are_accepted(tmp_path: Path) -> None:
    [block] = re.findall(r"^ *```json\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    given = {**json.decode(block.encode()), "key_file": "key.json"}

    source = settings(tmp_path, **given).source("hospital")
    rounds = Runtime(settings(tmp_path, **given), AsyncClient(), now).steady(source)

    assert isinstance(rounds, Rounds)
    assert rounds.pairs.photos.recipient == "Organization/hospital"
    assert rounds.pairs.authority.types == ("Patient", "Appointment", "Consent", "Media")
    assert (source.seconds(), rounds.beginning) == (60, "2026-01-01T00:00:00Z")
    assert all(f"config settings.json {word} hospital" in PAGE for word in ("poll", "report", "replay"))


def test_what_is_not_named_is_not_kept_in_step(tmp_path: Path) -> None:
    given = settings(tmp_path, types=["Appointment", "Patient"])

    rounds = Runtime(given, AsyncClient(), now).steady(given.source("hospital"))

    assert isinstance(rounds, Rounds)
    assert rounds.pairs.authority.types == ("Patient", "Appointment")


def test_another_server_is_reached_where_the_settings_say(runtime: Runtime) -> None:
    rounds = runtime.steady(runtime.settings.source("hospital"))

    assert isinstance(rounds, Rounds)
    assert (
        rounds.pairs.partners.url({"resourceType": "Patient", "id": "1"}, Side.THEIRS)
        == "https://ehr.example/fhir/Patient/1"
    )
    assert runtime.names(runtime.settings.source("hospital")) == ["hospital"]


@pytest.mark.parametrize(
    "more",
    [
        {"base": "http://ehr.example/fhir"},
        {"they_are": []},
        {"they_are": ["hospital"]},
        {"they_are": "ehr"},
        {"types": ["Patient", "Observation"]},
        {"known": ["Organization/1"]},
        {"key_file": "word"},
    ],
)
def test_settings_that_do_not_fit_are_said(runtime: Runtime, tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(SetupError):
        runtime.steady(settings(tmp_path, **more).source("hospital"))


class Twice:
    """Cannot now, then can."""

    def __init__(self) -> None:
        self.polled = 0

    async def poll(self) -> Counter[Outcome]:
        self.polled += 1
        if self.polled == 1:
            raise NotNowError("It cannot be reached.")
        return Counter({Outcome.WRITTEN: 2})

    async def again(self, *, only_waiting: bool = False) -> Counter[Outcome]:
        return Counter({Outcome.DEAD: 1})


async def test_who_cannot_answer_is_asked_again_at_the_next_turn(capsys: pytest.CaptureFixture[str]) -> None:
    one = Twice()

    keeping = asyncio.create_task(_kept_up("hospital", one, 0))
    for _ in range(200):
        await asyncio.sleep(0)
    keeping.cancel()

    assert one.polled > 2

    assert capsys.readouterr().out == "hospital: It cannot be reached.\n"


async def test_an_operator_asks_for_a_round_and_for_what_was_put_aside(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Twice()
    one.polled = 1
    monkeypatch.setattr(Runtime, "steady", lambda *_: one)

    for words in (["poll", "hospital"], ["replay", "hospital"]):
        given = commands._parser().parse_args(["--config", "settings.json", *words])
        await given.run(runtime, given)

    assert capsys.readouterr().out == "     2 hospital: written\n     1 hospital: dead letter\n"
