"""Commits on a mongod that loses answers: what was acknowledged is there once, what failed is not there."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhir_server.crypto.draft import Draft
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store import transaction
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.outcomes import UnknownOutcomeError
from fhir_server.store.versions import Keys
from fhir_server.store.writer import Writer
from tests.contract.clinics import Events, Noted, opened_events, patient, store_on, writing
from tests.fakes.clock import FakeClock
from tests.unit.store.clinics import FailingMongo, failing_mongo

pytestmark = pytest.mark.anyio

LOST_ANSWER: dict[str, Any] = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
LOST_CONNECTION: dict[str, Any] = {"closeConnection": True}


@pytest.fixture(scope="module")
def mongo() -> Iterator[FailingMongo]:
    with failing_mongo() as running:
        yield running


@pytest.fixture(scope="module")
def database() -> str:
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture
async def store(mongo: FailingMongo, database: str, folder: Path) -> AsyncIterator[ClinicStore]:
    """A process that has written once, so that it has keys and writers."""
    async with store_on(mongo.uri, database, folder, FakeClock()) as opened:
        await opened.resources.commit([writing(patient(fresh())).recording(Noted("first"))])
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "_COMMIT_TRIES", 3)
    monkeypatch.setattr(transaction, "_COMMIT_PAUSE", 0.01)


def fresh() -> str:
    return secrets.token_hex(8)


async def writers_of(mongo: FailingMongo, database: str, store: ClinicStore, *words: str) -> list[str]:
    """Who recorded each of these words, exactly once each; and that no lane of the log has a gap."""
    events: Events = await opened_events(mongo.uri, database, store)
    for writer in {writer for writer, _ in events}:
        numbers = sorted(number for lane, number in events if lane == writer)
        assert numbers == list(range(1, len(numbers) + 1))
    found = []
    for word in words:
        [writer] = [lane for (lane, _), event in events.items() if event["outcomeDesc"] == word]
        found.append(writer)
    return found


@pytest.mark.parametrize("fault", [LOST_ANSWER, LOST_CONNECTION], ids=["after", "before"])
@pytest.mark.parametrize("times", [1, 3])
async def test_after_an_unknown_result_only_the_commit_is_sent_again(
    mongo: FailingMongo, database: str, store: ClinicStore, fault: dict[str, Any], times: int
) -> None:
    words = [fresh() for _ in range(4)]

    with mongo.failing("commitTransaction", times=times, **fault):
        outcomes = await asyncio.gather(
            *(store.resources.commit([writing(patient(word)).recording(Noted(word))]) for word in words)
        )

    assert [stored.version for [stored] in outcomes] == [1] * 4
    assert len(set(await writers_of(mongo, database, store, *words))) == 1


async def test_a_write_conflict_is_tried_again_from_the_start(
    mongo: FailingMongo, database: str, store: ClinicStore
) -> None:
    word = fresh()
    how: dict[str, Any] = {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}

    with mongo.failing("update", times=2, **how):
        [stored] = await store.resources.commit([writing(patient(word)).recording(Noted(word))])

    assert stored.version == 1
    assert await store.resources.read(stored.key) == stored
    await writers_of(mongo, database, store, word)


async def test_a_connection_lost_inside_a_transaction_leaves_nothing_twice(
    mongo: FailingMongo, database: str, store: ClinicStore
) -> None:
    word = fresh()

    with mongo.failing("update", times=1, **LOST_CONNECTION):
        [stored] = await store.resources.commit([writing(patient(word)).recording(Noted(word))])

    assert stored.version == 1
    await writers_of(mongo, database, store, word)


@pytest.mark.usefixtures("impatient")
async def test_when_it_stays_unknown_it_is_said_and_the_next_numbers_are_another_writers(
    mongo: FailingMongo, database: str, store: ClinicStore
) -> None:
    before, lost, after = fresh(), fresh(), fresh()
    await store.resources.commit([writing(patient(before)).recording(Noted(before))])

    with mongo.failing("commitTransaction", **LOST_ANSWER), pytest.raises(UnknownOutcomeError):
        await store.resources.commit([writing(patient(lost)).recording(Noted(lost))])
    await store.resources.commit([writing(patient(after)).recording(Noted(after))])

    # The answer was lost and the write was not: its event has its number, and nobody else has.
    writers = await writers_of(mongo, database, store, before, lost, after)
    assert writers[0] == writers[1] != writers[2]
    assert await store.resources.read(ResourceKey("Patient", lost)) is not None


@pytest.mark.usefixtures("impatient")
async def test_when_not_even_a_writer_can_be_leased_a_group_is_not_written_a_second_time(
    mongo: FailingMongo, database: str, store: ClinicStore
) -> None:
    """The commit's answer is lost, and then the database is away: a write may be there already."""
    words, after = [fresh() for _ in range(4)], fresh()

    async def refuse(writer: Writer) -> None:
        writer._id = ""  # as the real one, which gives its id up before it asks for another
        raise UnavailableError("away")

    with mongo.failing("commitTransaction", **LOST_ANSWER), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "lease", refuse)
        outcomes = await asyncio.gather(
            *(store.resources.commit([writing(patient(word)).recording(Noted(word))]) for word in words),
            return_exceptions=True,
        )

    assert [type(one) for one in outcomes] == [UnknownOutcomeError] * 4
    await store.resources.commit([writing(patient(after)).recording(Noted(after))])
    await writers_of(mongo, database, store, *words, after)


async def test_what_was_sealed_with_a_key_that_does_not_stand_is_sealed_anew(
    mongo: FailingMongo, database: str, store: ClinicStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else was faster, or destroyed it: seen while it is being written."""
    word, confirm, drafts = fresh(), Keyring.confirm, []
    await store.keyring.data_keys([((word,), KeyClass.RECORD)])

    async def late(keyring: Keyring, draft: Draft) -> Keys:
        drafts.append(draft)
        standing = await confirm(keyring, draft)
        return standing if len(drafts) > 1 else {request: replace(key, version=7) for request, key in standing.items()}

    monkeypatch.setattr(Keyring, "confirm", late)
    [stored] = await store.resources.commit([writing(patient(word)).recording(Noted(word))])

    assert len(drafts) == 2
    assert await store.resources.read(stored.key) == stored
    await writers_of(mongo, database, store, word)


async def test_where_a_key_cannot_be_stored_nothing_that_it_sealed_is_kept(
    mongo: FailingMongo, database: str, store: ClinicStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, after = fresh(), fresh()
    await store.keyring.data_keys([((lost,), KeyClass.RECORD)])

    async def refuse(keyring: Keyring, draft: Draft) -> Keys:
        assert draft.asked
        assert keyring is store.keyring
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "confirm", refuse)
        with pytest.raises(UnavailableError):
            await store.resources.commit([writing(patient(lost)).recording(Noted(lost))])
    await store.resources.commit([writing(patient(after)).recording(Noted(after))])

    assert await store.resources.read(ResourceKey("Patient", lost)) is None
    await writers_of(mongo, database, store, after)


async def test_events_of_which_it_is_unknown_whether_they_were_written_leave_no_gap(
    mongo: FailingMongo, database: str, store: ClinicStore
) -> None:
    words = fresh(), fresh()

    with mongo.failing("insert", times=2, **LOST_CONNECTION), pytest.raises(UnavailableError):
        await store.audit.append([Noted("unanswered")])
    for word in words:
        await store.audit.append([Noted(word)])

    assert len(set(await writers_of(mongo, database, store, *words))) == 1


async def test_a_failing_read_is_told_as_unavailable_and_quotes_nothing(
    mongo: FailingMongo, store: ClinicStore
) -> None:
    with mongo.failing("find", errorCode=13), pytest.raises(UnavailableError) as refusal:
        await store.resources.read(ResourceKey("Patient", "chalmers"))

    assert "chalmers" not in str(refusal.value)
