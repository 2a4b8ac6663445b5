"""`fhir-server users`: what an administrator does at a terminal, on a clinic of its own. Issue "SMART on FHIR"."""

import asyncio
import io
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest
from pymongo import MongoClient

from fhir_server.app import open_clinic
from fhir_server.chosen import THE_SERVER
from fhir_server.cli import asking
from fhir_server.cli.main import main
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.settings import Settings
from fhir_server.smart.signin.users import Password, Totp
from tests.servers import environment

PASSWORD = "seventeen blue herons"


@pytest.fixture(scope="module")
def env(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    database = f"test_users_{secrets.token_hex(4)}"
    folder: Path = tmp_path_factory.mktemp("users")
    yield environment(folder, mongo_uri=mongo_uri, database=database, password_memory=19_456, password_passes=2)
    with MongoClient[Json](mongo_uri) as client:
        for name in (database, f"{database}_keys"):
            client.drop_database(name)


class Terminal:
    """Runs commands; the answers to what they ask come line by line."""

    def __init__(self, env: Mapping[str, str], patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._env, self._patch, self._capture = env, patch, capture

    def run(self, *arguments: str, typed: str = "") -> tuple[object, str, str]:
        umask = os.umask(0o077)
        with self._patch.context() as patched:
            for name, value in self._env.items():
                patched.setenv(name, value)
            patched.setattr(sys, "stdin", io.StringIO(typed))
            try:
                status: object = main(["users", *arguments])
            except SystemExit as ended:
                status = ended.code
            finally:
                os.umask(umask)
        output = self._capture.readouterr()
        return status, output.out, output.err

    def ok(self, *arguments: str, typed: str = "") -> str:
        status, out, err = self.run(*arguments, typed=typed)
        assert status == 0, err
        return out

    def refused(self, *arguments: str, typed: str = "") -> str:
        status, out, err = self.run(*arguments, typed=typed)
        assert status not in {0, None}
        assert out == ""
        return err


@pytest.fixture
def terminal(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(env, monkeypatch, capsys)


def with_factor(env: Mapping[str, str], *usernames: str) -> dict[str, str]:
    """They signed in, chose a password and set up an app: their secrets."""
    settings = Settings.from_environment(env)

    async def enrolled() -> dict[str, str]:
        found = {}
        async with open_clinic(settings) as clinic:
            for username in usernames:
                user = await clinic.door.administration.named(username)
                now, secret = clinic.surface.clock.now(), pyotp.random_base32()
                hash = await clinic.door.proofs.passwords.hash(PASSWORD)
                ready = replace(user, password=Password(hash, now), totp=Totp(secret, now, 0))
                assert await clinic.door.users.replace(ready)
                found[username] = secret
        return found

    return asyncio.run(enrolled())


def row(terminal: Terminal, username: str) -> str:
    return next(line for line in terminal.ok("list").splitlines() if line.startswith(username))


def proof(secret: str) -> str:
    """What an administrator types."""
    return f"{PASSWORD}\n{pyotp.TOTP(secret).now()}\n"


def events(env: Mapping[str, str]) -> list[str]:
    """The operations that the log tells of, in the order in which they were recorded."""
    settings = Settings.from_environment(env)

    async def read() -> list[str]:
        async with open_clinic(settings) as clinic:
            await clinic.store.events.index()
            query = parse("AuditEvent", [("_sort", "_lastUpdated"), ("_count", "200")])
            found = await clinic.store.resources.find(query, None, 200)
            return [
                entity["name"]
                for stored in found.matches
                for entity in stored.resource.get("entity", ())
                if "name" in entity
            ]

    return asyncio.run(read())


def test_users_are_added_listed_disabled_and_enabled(terminal: Terminal, env: Mapping[str, str]) -> None:
    out = terminal.ok("add", "Ana.Lopez", "--role", "nurse", "--role", "clinical-lead", "--name", "Ana López")
    once = out.splitlines()[-1]
    assert re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}", once)
    assert "/auth/sign-in" in out

    assert terminal.ok("list") == "ana.lopez\tnurse,clinical-lead\tactive\tno factor\t-\n"
    terminal.ok("disable", "ANA.LOPEZ")
    assert "\tdisabled\t" in terminal.ok("list")
    terminal.ok("enable", "ana.lopez")
    assert "\tactive\t" in terminal.ok("list")
    again = terminal.ok("reset", "ana.lopez", "--password").splitlines()[-1]
    assert again != once

    told = [name.split()[0] for name in events(env)]
    assert told == [
        *("$users-add", "$users-list", "$users-disable", "$users-list", "$users-enable", "$users-list"),
        "$users-reset-password",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "ana lopez", "--role", "nurse"),
        ("add", "pat", "--role", "patient"),
        ("add", "pat", "--role", "surgeon"),
        ("add", "pat"),
        ("disable", "nobody"),
        ("reset", "nobody", "--password"),
        ("reset", "nobody"),
        ("reset", "nobody", "--factor"),
        ("leave", "nobody"),
        ("leave", "nobody", "--to", "nobody"),
        ("nonsense",),
        (),
    ],
)
def test_a_wrong_use_ends_with_an_error(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert terminal.refused(*arguments).strip()


def test_a_clinical_factor_takes_two_administrators(terminal: Terminal, env: Mapping[str, str]) -> None:
    terminal.ok("add", "bea", "--role", "practitioner", "--fhir-user", "Practitioner/bea")
    for name in ("adam", "agnes"):
        terminal.ok("add", name, "--role", "administrator")
    secret_of = with_factor(env, "bea", "adam", "agnes")

    assert "needs --by" in terminal.refused("reset", "bea", "--factor")
    assert "nothing was given" in terminal.refused("reset", "bea", "--factor", "--by", "adam")
    assert "Not accepted" in terminal.refused("reset", "bea", "--factor", "--by", "adam", typed=f"{PASSWORD}\n000000\n")
    assert "Not accepted" in terminal.refused("reset", "bea", "--factor", "--by", "adam", typed=f"{PASSWORD}\naaaa\n")
    assert "Not accepted" in terminal.refused("reset", "bea", "--factor", "--by", "adam", typed="wrong\n000000\n")
    assert "administrator" in terminal.refused(
        "reset", "adam", "--factor", "--by", "bea", typed=proof(secret_of["bea"])
    )
    asked = terminal.ok("reset", "bea", "--factor", "--by", "adam", typed=proof(secret_of["adam"]))
    assert "Another administrator" in asked
    assert "\tapp\t" in row(terminal, "bea")
    done = terminal.ok("reset", "bea", "--factor", "--by", "agnes", typed=proof(secret_of["agnes"]))

    assert "is gone" in done
    assert "\tno factor\t" in row(terminal, "bea")
    assert [name.split()[0] for name in events(env)].count("$users-reset-factor") == 3
    assert messages(env, "Practitioner/bea") == 2


def messages(env: Mapping[str, str], recipient: str) -> int:
    """How many the record holds for somebody."""
    settings = Settings.from_environment(env)

    async def read() -> int:
        async with open_clinic(settings) as clinic:
            query = parse("Communication", [("recipient", recipient)])
            return len((await clinic.store.resources.find(query, None, 10)).matches)

    return asyncio.run(read())


def test_one_left_alone_with_a_lost_factor_waits_a_day(terminal: Terminal, env: Mapping[str, str]) -> None:
    terminal.ok("disable", "agnes")

    out = terminal.ok("reset", "adam", "--factor", "--by", "adam", typed=f"{PASSWORD}\n")

    assert "There is no other administrator" in out
    assert "\tapp\t" in row(terminal, "adam")


def test_who_leaves_hands_over_care_teams_and_tasks(terminal: Terminal, env: Mapping[str, str]) -> None:
    for name in ("carl", "dora"):
        terminal.ok("add", name, "--role", "practitioner", "--fhir-user", f"Practitioner/{name}")
    settings = Settings.from_environment(env)

    async def fill() -> None:
        async with open_clinic(settings) as clinic:
            for resource in (
                {"resourceType": "Patient", "id": "p1"},
                {
                    "resourceType": "CareTeam",
                    "id": "t1",
                    "subject": {"reference": "Patient/p1"},
                    "participant": [{"member": {"reference": "Practitioner/carl"}}],
                },
                {
                    "resourceType": "Task",
                    "id": "k1",
                    "status": "requested",
                    "intent": "order",
                    "requester": {"reference": "Practitioner/carl"},
                    "owner": {"reference": "Practitioner/carl"},
                },
            ):
                now, type, id = clinic.surface.clock.now(), str(resource["resourceType"]), str(resource["id"])
                await clinic.engine.update(Call(Interaction.UPDATE, THE_SERVER, now, type, id), resource)

    asyncio.run(fill())

    out = terminal.ok("leave", "carl", "--to", "dora")

    assert "1 care team(s) and 1 open task(s)" in out
    team, task = stored(env, "CareTeam", "t1"), stored(env, "Task", "k1")
    assert team["participant"] == [{"member": {"reference": "Practitioner/dora"}}]
    assert task["owner"] == {"reference": "Practitioner/dora"}
    assert task["requester"] == {"reference": "Practitioner/carl"}, "authorship stays"
    assert "\tleft\t" in row(terminal, "carl")
    assert "does not come back" in terminal.refused("enable", "carl")
    assert "0 care team(s)" in terminal.ok("leave", "carl", "--to", "dora"), "safe to run again"


def stored(env: Mapping[str, str], type: str, id: str) -> Json:
    settings = Settings.from_environment(env)

    async def read() -> Json:
        async with open_clinic(settings) as clinic:
            found = await clinic.store.resources.read(ResourceKey(type, id))
            assert found is not None
            return found.resource

    return asyncio.run(read())


def test_an_answer_that_is_typed_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    prompts: list[str] = []

    def shown(prompt: str) -> str:
        prompts.append(prompt)
        return "typed"

    monkeypatch.setattr(sys, "stdin", Tty())
    monkeypatch.setattr("getpass.getpass", shown)

    assert asking.hidden("Password of ana") == "typed"
    assert prompts == ["Password of ana: "]
