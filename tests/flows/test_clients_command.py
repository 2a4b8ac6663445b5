"""`fhir-server clients`, and the clients that the demo brings along."""

import asyncio
import json as standard
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fhir_server.cli import clients
from fhir_server.cli.demo_clients import demo_clients
from fhir_server.cli.faults import CommandError
from fhir_server.cli.main import main, parser
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.opaque import matches
from tests.clinics import InProcess
from tests.fakes.authorization import FakeClients
from tests.servers import environment

pytestmark = pytest.mark.anyio

KINDS = {
    "demo-backend": "backend",
    "demo-public": "public",
    "demo-symmetric": "confidential-symmetric",
    "demo-asymmetric": "confidential-asymmetric",
    "demo-ehr": "backend",
}


@pytest.fixture
def commanded(clinic: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, str]:
    """The environment of commands that work on the clinic of these tests."""
    settings = clinic.clinic.settings
    given = environment(tmp_path, mongo_uri=settings.mongo_uri, database=settings.database)
    given["FHIR_SERVER_ROOT_KEY_FILE"] = str(settings.root_key_file)
    for name in os.environ:
        if name.startswith("FHIR_SERVER_"):
            monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


async def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Json], str]:
    """Exit status, the lines of its output, its complaint. In a thread: a command has an event loop of its own."""
    umask = os.umask(0o077)
    try:
        status = await asyncio.to_thread(main, arguments)
    finally:
        os.umask(umask)
    output = capsys.readouterr()
    return status, [json.decode(line.encode()) for line in output.out.splitlines()], output.err


ADD = ("clients", "add", "added", "--kind", "confidential-symmetric", "--scope", "openid user/*.rs")
PLACE = ("--redirect-uri", "https://app.example/cb")


async def test_a_client_is_added_listed_reset_and_disabled(
    clinic: InProcess, commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = clinic.clinic.store.clients

    status, [added], _ = await ran(capsys, *ADD, *PLACE, "--purpose", "TREAT", "--purpose", "HPAYMT", "--name", "Added")
    assert (status, added["client_id"], added["name"]) == (0, "added", "Added")
    assert added["purposes"] == ["TREAT", "HPAYMT"]
    first = rows.get("added")
    assert first is not None
    assert first.secret is not None
    assert matches(first.secret, added["secret"])

    status, listed, _ = await ran(capsys, "clients", "list")
    [mine] = [one for one in listed if one["client_id"] == "added"]
    assert (status, mine["disabled"]) == (0, False)
    assert "secret" not in mine

    status, printed, _ = await ran(capsys, "clients", "disable", "added")
    assert (status, printed) == (0, [])
    disabled = rows.get("added")
    assert disabled is not None
    assert disabled.disabled

    status, [reset], _ = await ran(capsys, "clients", "reset", "added")
    again = rows.get("added")
    assert again is not None
    assert not again.disabled
    assert again.secret is not None
    assert matches(again.secret, reset["secret"])
    assert reset["secret"] != added["secret"]


async def test_a_public_client_has_nothing_to_reset_but_what_it_holds(
    commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    await ran(capsys, "clients", "add", "bare", "--kind", "public", "--scope", "openid", *PLACE)

    status, [reset], _ = await ran(capsys, "clients", "reset", "bare")

    assert (status, "secret" in reset) == (0, False)


async def test_keys_are_made_registered_and_changed(
    clinic: InProcess, commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    private, public = tmp_path / "key.json", tmp_path / "jwks.json"
    status, [jwks], _ = await ran(capsys, "clients", "new-key", str(private), "--alg", "RS384")
    public.write_bytes(json.encode(jwks))
    assert status == 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "d" in json.decode(private.read_bytes())
    assert "d" not in jwks["keys"][0]

    add = ("clients", "add", "signer", "--kind", "backend", "--scope", "system/*.rs", "--jwks", str(public))
    status, [added], _ = await ran(capsys, *add)
    assert (status, added["kids"]) == (0, [jwks["keys"][0]["kid"]])

    status, [reset], _ = await ran(capsys, "clients", "reset", "signer", "--jwks-uri", "https://signer.example/jwks")
    assert (status, reset["jwks_uri"], reset["kids"]) == (0, "https://signer.example/jwks", [])

    status, _, complaint = await ran(capsys, "clients", "new-key", str(private))
    assert status == 1, "a key that is there is not written over"
    assert complaint


WRONG = {
    "twice": (*ADD[:2], "there-already", *ADD[3:], *PLACE),
    "no redirect URI": ADD,
    "an unsafe redirect URI": (*ADD, "--redirect-uri", "http://app.example/cb"),
    "a back end's scope": (*ADD[:-1], "system/*.rs", *PLACE),
    "no keys": ("clients", "add", "x1", "--kind", "backend", "--scope", "system/*.rs"),
    "keys that are not there": ("clients", "add", "x1", "--kind", "backend", "--scope", "x", "--jwks", "nowhere.json"),
    "disable nobody": ("clients", "disable", "nobody"),
    "reset nobody": ("clients", "reset", "nobody"),
    "keys for one with a secret": ("clients", "reset", "there-already", "--jwks-uri", "https://x.example/jwks"),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_use_ends_with_a_complaint(
    commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    await ran(capsys, *ADD[:2], "there-already", *ADD[3:], *PLACE)

    status, printed, complaint = await ran(capsys, *arguments)

    assert (status, printed) == (1, [])
    assert complaint.startswith("fhir-server clients:")


@pytest.mark.parametrize("content", [b"nonsense", b"[]", b"\xff"])
def test_a_file_that_is_no_key_set_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)

    with pytest.raises(CommandError):
        clients._read(path)


async def test_a_change_that_somebody_else_overtook_is_said(clinic: InProcess) -> None:
    rows = clinic.clinic.store.clients
    client = Client("overtaken", Kind.PUBLIC, "Overtaken", ("openid",), PLACE[1:])
    rows.save(client)
    rows.save(client.changed(name="Faster"))

    with pytest.raises(CommandError, match="at the same time"):
        clients._save(clinic.clinic, client.changed(name="Slower"))


async def test_the_signing_key_is_renewed_by_command(
    clinic: InProcess, commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ("keys", "renew-signing")) == 0

    before = {key["kid"] for key in clinic.clinic.gateway.keys.published()["keys"]}
    told = set(capsys.readouterr().out.split())
    assert before < told


@pytest.mark.parametrize("command", [("clients",), ("clients", "nonsense"), ("clients", "add")])
def test_the_command_says_how_it_is_used(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(command)

    assert "usage:" in capsys.readouterr().err


async def test_tokens_are_issued_for_the_demo_alone(
    commanded: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ("token", "--scope", "system/*.rs")) == 1

    output = capsys.readouterr()
    assert output.out == ""
    assert "demo alone" in output.err


def told(rows: FakeClients, before: list[Json]) -> dict[str, Json]:
    return {one["client_id"]: one for one in demo_clients(rows, before)}


def test_the_demo_has_a_client_of_each_kind_with_the_fields_that_scripts_know() -> None:
    found = told(FakeClients(), [])

    assert {id: one["kind"] for id, one in found.items()} == KINDS
    for one in found.values():
        assert one.keys() >= {"client_id", "kind", "redirect_uris", "scope"}
        assert isinstance(one["scope"], str)
        assert ("secret" in one) is (one["kind"] == "confidential-symmetric")
        if one["kind"] in {"backend", "confidential-asymmetric"}:
            assert one["private_jwk"].keys() >= {"kty", "kid", "alg", "d"}
    assert {one["private_jwk"]["alg"] for one in found.values() if "private_jwk" in one} == {"RS384", "ES384"}


def test_a_second_start_keeps_the_clients_and_their_credentials() -> None:
    rows = FakeClients()
    first = told(rows, [])

    assert told(rows, plain(list(first.values()))) == first


def test_credentials_that_are_lost_or_spoilt_are_given_anew() -> None:
    rows = FakeClients()
    first = told(rows, [])
    asymmetric = rows.get("demo-asymmetric")
    assert asymmetric is not None
    rows.save(asymmetric.changed(disabled=True))

    second = told(rows, plain([{**first["demo-symmetric"], "secret": "wrong"}, first["demo-asymmetric"]]))

    assert second["demo-symmetric"]["secret"] != first["demo-symmetric"]["secret"]
    assert second["demo-asymmetric"]["private_jwk"] != first["demo-asymmetric"]["private_jwk"]
    assert second["demo-backend"]["private_jwk"] != first["demo-backend"]["private_jwk"]
    client = rows.get("demo-symmetric")
    assert client is not None
    assert client.secret is not None
    assert matches(client.secret, second["demo-symmetric"]["secret"])


def plain(clients: list[Json]) -> Any:
    """As they come back out of the file."""
    return standard.loads(json.encode(clients))  # noqa: TID251  from outside
