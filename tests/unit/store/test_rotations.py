"""Which destroyed keys a rotation makes final: those from before its version was made, told once, by cause."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.providers.port import DestructionNote
from fhir_server.crypto.rekeying import Rekeying
from fhir_server.privacy.finality import renew_root, retire_root
from fhir_server.privacy.ports import Final
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import store_on
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(mongo_uri: str, database_name: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[ClinicStore]:
    async with store_on(mongo_uri, database_name, tmp_path, clock) as opened:
        yield opened


async def destroyed(store: ClinicStore, cause: str, *classes: KeyClass) -> tuple[bytes, ...]:
    patient = secrets.token_hex(8)
    keys = await store.keyring.data_keys([((patient,), one) for one in classes])
    ids = [key.id for key in keys.values()]
    await store.keyring.destroy(ids, cause)
    return tuple(sorted(ids))


async def test_only_what_was_destroyed_before_the_version_was_made_is_final(
    store: ClinicStore, clock: FakeClock
) -> None:
    rekeying, rotations = store.keyring.rekeying, store.rotations
    first = await destroyed(store, "Task/1/_history/2", KeyClass.RECORD, KeyClass.CONTACT)
    second = await destroyed(store, "Consent/1/_history/2", KeyClass.RECORD)

    version = await renew_root(rekeying, rotations)
    late = await destroyed(store, "Task/2/_history/2", KeyClass.RECORD)
    assert await rotations.untold(clock.now()) is None, "the old version still opens"
    await retire_root(rekeying, rotations, version, clock.now())

    told = await rotations.untold(clock.now())
    assert told is not None
    assert told.finals == (
        Final("Task/1/_history/2", first, clock.now()),
        Final("Consent/1/_history/2", second, clock.now()),
    )
    await rotations.told(told.version)
    assert await rotations.untold(clock.now()) is None

    await retire_root(rekeying, rotations, await renew_root(rekeying, rotations), clock.now())
    again = await rotations.untold(clock.now())
    assert again is not None
    assert again.finals == (Final("Task/2/_history/2", late, clock.now()),)


async def test_a_rotation_that_was_cut_off_counts_what_was_destroyed_when_it_began(
    store: ClinicStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rekeying, rotations = store.keyring.rekeying, store.rotations
    before = await destroyed(store, "Task/1/_history/2", KeyClass.RECORD)

    async def cut(_: Rekeying) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Rekeying, "rotate_root", cut)
        with pytest.raises(KeyboardInterrupt):
            await renew_root(rekeying, rotations)
    await destroyed(store, "Task/2/_history/2", KeyClass.RECORD)
    await retire_root(rekeying, rotations, await renew_root(rekeying, rotations), clock.now())

    told = await rotations.untold(clock.now())
    assert told is not None
    assert [final.keys for final in told.finals] == [before], "too few, never too many"


async def test_a_keeper_that_names_a_date_is_believed_until_then(store: ClinicStore, clock: FakeClock) -> None:
    rotations = store.rotations
    await destroyed(store, "Task/1/_history/2", KeyClass.RECORD)
    later = clock.now() + timedelta(days=7)

    class Retiring:
        async def retire_root(self, up_to: int) -> DestructionNote:
            return DestructionNote(up_to, later, "in seven days")

    await rotations.begin(2, await rotations.length())
    await retire_root(Retiring(), rotations, 2, clock.now())  # type: ignore[arg-type]  # the one call that is made of it

    assert await rotations.untold(clock.now() + timedelta(days=6)) is None
    told = await rotations.untold(later)
    assert told is not None
    assert [final.since for final in told.finals] == [later]
