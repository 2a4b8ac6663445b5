"""What the rows of the authorization server promise, in memory and on MongoDB: what happens once, what ends at once."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.grant import REVOKED, Code, Grant
from fhir_server.smart.ports import Clients, Grants, GrantStates, Handles, KeyRow, SigningKeyRows
from tests.contract.clinics import store_on
from tests.fakes.authorization import FakeClients, FakeGrants, FakeHandles, FakeSigningKeyRows

pytestmark = pytest.mark.anyio

NOW = datetime(2126, 3, 14, 9, 26, 53, tzinfo=UTC)
"""Far ahead: the database itself removes rows whose time has passed by its own clock."""
LATER = NOW + timedelta(hours=1)
APP = Client(
    "app",
    Kind.SYMMETRIC,
    "App",
    ("patient/*.rs",),
    ("https://app.example/cb",),
    ("TREAT", "HPAYMT"),
    launch_url="https://app.example/launch",
    secret=bytes(32),
)
SERVICE = Client("service", Kind.BACKEND, "Service", ("system/*.rs",), jwks={"keys": [{"kid": "1"}]})
CODE = Code("https://app.example/cb", "challenge", "nonce", LATER)
GRANT = Grant(
    "g1",
    "app",
    ("patient/*.rs", "offline_access"),
    "user-1",
    ("TREAT",),
    LATER,
    "nurse",
    "Nora Nurse",
    "Practitioner/3",
    "p1",
    "e1",
    "s1",
    NOW,
    ("pwd", "otp"),
    {"need_patient_banner": True},
    CODE,
)
BARE = Grant("g2", "service", ("system/*.rs",), "service", ("TREAT",), LATER)


@dataclass(frozen=True)
class Rows:
    clients: Clients
    grants: Grants
    states: GrantStates
    handles: Handles
    keys: SigningKeyRows


@asynccontextmanager
async def in_memory() -> AsyncIterator[Rows]:
    grants = FakeGrants()
    yield Rows(FakeClients(), grants, grants, FakeHandles(), FakeSigningKeyRows())


@asynccontextmanager
async def on_mongodb(uri: str, database: str, folder: Path) -> AsyncIterator[Rows]:
    async with store_on(uri, database, folder, SystemClock()) as store:
        yield Rows(store.clients, store.grants, store.grant_states, store.handles, store.signing_keys)


@pytest.fixture(params=["memory", "mongodb"])
async def rows(request: pytest.FixtureRequest) -> AsyncIterator[Rows]:
    if request.param == "memory":
        async with in_memory() as opened:
            yield opened
        return
    uri, database = request.getfixturevalue("mongo_uri"), request.getfixturevalue("empty_database")
    async with on_mongodb(uri, database, request.getfixturevalue("contract_folder")) as opened:
        yield opened


def at_once(count: int, do: Callable[[], bool]) -> list[bool]:
    """The same in so many threads."""
    done: list[bool] = []
    threads = [threading.Thread(target=lambda: done.append(do())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


async def test_a_client_comes_back_as_it_was_registered(rows: Rows) -> None:
    assert rows.clients.save(APP)
    assert rows.clients.save(SERVICE)

    assert rows.clients.get("app") == APP
    assert rows.clients.get("app") == APP
    assert rows.clients.all() == [APP, SERVICE]
    assert rows.clients.get("nobody") is None


async def test_an_id_is_registered_once(rows: Rows) -> None:
    assert rows.clients.save(APP)

    assert not rows.clients.save(replace(APP, name="Another"))
    assert rows.clients.get("app") == APP


async def test_a_change_on_top_of_another_is_refused(rows: Rows) -> None:
    rows.clients.save(APP)

    assert rows.clients.save(APP.changed(disabled=True))
    assert not rows.clients.save(APP.changed(name="Another"))
    assert rows.clients.get("app") == replace(APP, disabled=True, revision=2)


@pytest.mark.parametrize("grant", [GRANT, BARE], ids=["a person's", "a back end's"])
async def test_a_grant_comes_back_as_it_was_made(rows: Rows, grant: Grant) -> None:
    rows.grants.add(grant, LATER)

    found = rows.grants.get(grant.id)
    assert found is not None
    assert (found.grant, found.live, found.redeemed) == (grant, True, True)
    assert rows.grants.get("unknown") is None


async def test_a_code_is_redeemed_once_however_many_try(rows: Rows) -> None:
    rows.grants.add(GRANT, LATER, b"h" * 32)
    found = rows.grants.by_code(b"h" * 32)
    assert found is not None
    assert not found.redeemed

    tried = at_once(6, lambda: rows.grants.redeem("g1", LATER))

    assert sorted(tried) == [False] * 5 + [True]
    again = rows.grants.by_code(b"h" * 32)
    assert again is not None
    assert again.redeemed
    assert rows.grants.by_code(b"x" * 32) is None


async def test_what_ended_is_not_redeemed(rows: Rows) -> None:
    rows.grants.add(GRANT, LATER, b"h" * 32)
    rows.grants.end("g1", REVOKED)

    assert not rows.grants.redeem("g1", LATER)
    assert not rows.grants.redeem("unknown", LATER)


async def test_a_grant_ends_once_and_says_why(rows: Rows) -> None:
    rows.grants.add(GRANT, LATER)
    rows.grants.add(BARE, LATER)

    assert await rows.states.ended(["g1", "g2"]) == {}
    assert rows.grants.end("g1", REVOKED)
    assert not rows.grants.end("g1", "again")
    assert not rows.grants.end("unknown", REVOKED)

    assert await rows.states.ended(["g1", "g2", "unknown"]) == {"g1": REVOKED, "unknown": ""}
    assert await rows.states.ended([]) == {}
    found = rows.grants.get("g1")
    assert found is not None
    assert not found.live


async def test_what_hangs_on_a_client_a_person_or_a_sign_in_ends_with_it(rows: Rows) -> None:
    online = replace(GRANT, scopes=("patient/*.rs", "online_access"))
    for id, grant in {"a": GRANT, "b": online, "c": replace(online, subject="user-2"), "d": BARE}.items():
        rows.grants.add(replace(grant, id=id), LATER)

    assert await rows.states.end_all("session/s1", "signed-out") == 2
    assert set(await rows.states.ended("abcd")) == {"b", "c"}
    assert await rows.states.end_all("subject/user-1", "left") == 1
    assert await rows.states.end_all("client/service", "client") == 1
    assert await rows.states.end_all("client/service", "client") == 0
    assert set(await rows.states.ended("abcd")) == {"a", "b", "c", "d"}


async def test_a_refresh_token_is_used_once_however_many_try(rows: Rows) -> None:
    rows.grants.add_refresh(b"r" * 32, "g1", LATER)

    tried = at_once(6, lambda: rows.grants.use_refresh(b"r" * 32))

    assert sorted(tried) == [False] * 5 + [True]
    found = rows.grants.refresh(b"r" * 32)
    assert found is not None
    assert (found.grant, found.used) == ("g1", True)
    assert rows.grants.refresh(b"x" * 32) is None
    assert not rows.grants.use_refresh(b"x" * 32)


async def test_a_handle_opens_once_and_not_after_its_end(rows: Rows) -> None:
    rows.handles.put("launch", "secret", b"content", LATER)

    assert rows.handles.peek("launch", "secret", NOW) == b"content"
    assert rows.handles.peek("launch", "secret", LATER) is None
    assert rows.handles.take("launch", "secret", LATER) is None
    assert rows.handles.take("request", "secret", NOW) is None
    assert rows.handles.take("launch", "secret", NOW) == b"content"
    assert rows.handles.take("launch", "secret", NOW) is None
    assert rows.handles.peek("launch", "secret", NOW) is None


async def test_a_name_is_said_once_however_many_try(rows: Rows) -> None:
    tried = at_once(6, lambda: rows.handles.once("jti", "client/1", LATER))

    assert sorted(tried) == [False] * 5 + [True]
    assert rows.handles.once("jti", "client/2", LATER)
    assert rows.handles.once("other", "client/1", LATER)


async def test_a_signing_key_is_made_once_for_each_number(rows: Rows) -> None:
    first, second = KeyRow(1, NOW, {"kty": "RSA", "d": "one"}), KeyRow(2, LATER, {"kty": "RSA", "d": "two"})

    assert await rows.keys.add(second)
    assert await rows.keys.add(first)
    assert not await rows.keys.add(KeyRow(1, LATER, {}))
    assert await rows.keys.all() == [first, second]
    await rows.keys.remove([1])
    assert await rows.keys.all() == [second]


async def test_nothing_that_opens_anything_stands_in_the_rows(
    mongo_uri: str, empty_database: str, contract_folder: Path
) -> None:
    async with on_mongodb(mongo_uri, empty_database, contract_folder) as rows:
        rows.clients.save(APP)
        rows.grants.add(GRANT, LATER, b"h" * 32)
        rows.handles.put("launch", "opens-it", b"content of it", LATER)
        await rows.keys.add(KeyRow(1, NOW, {"kty": "RSA", "d": "private-half"}))

    with MongoClient[Json](mongo_uri) as mongo:
        names = ("clients", "grants", "refresh_tokens", "handles", "signing_keys")
        written = str([list(mongo[empty_database][name].find({})) for name in names])
    for told in (
        "app.example",
        "Nora",
        "Practitioner/3",
        "challenge",
        "opens-it",
        "content of it",
        "private-half",
        # With its quotes: two letters alone stand in sealed bytes by chance.
        '"p1"',
        "'p1'",
    ):
        assert told not in written, told


async def test_a_row_that_was_altered_does_not_open(mongo_uri: str, empty_database: str, contract_folder: Path) -> None:
    async with on_mongodb(mongo_uri, empty_database, contract_folder) as rows:
        rows.grants.add(GRANT, LATER)
        rows.grants.add(BARE, LATER)
        with MongoClient[Json](mongo_uri) as mongo:
            other = mongo[empty_database]["grants"].find_one({"_id": "g1"})
            assert other is not None
            mongo[empty_database]["grants"].update_one({"_id": "g2"}, {"$set": {"sealed": other["sealed"]}})

        with pytest.raises(UnavailableError):
            rows.grants.get("g2")
