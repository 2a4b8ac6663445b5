"""Signing keys: announced, used, kept, gone; the same in every process."""

import asyncio
from datetime import timedelta

import pytest

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.oidc import signing_keys
from fhir_server.smart.oidc.signing_keys import ANNOUNCED, KEPT, LIFE, SigningKeys
from fhir_server.smart.ports import KeyRow
from tests.fakes.authorization import FakeSigningKeyRows
from tests.fakes.clock import FakeClock
from tests.unit.smart.keys import rsa

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """And keys that were made before, for making one takes a while."""
    ready = iter(["ours", "theirs", "third", "fourth", "fifth"])
    monkeypatch.setattr(signing_keys, "_new", lambda: dict(rsa(next(ready)).as_dict(private=True)))
    return FakeClock()


def published(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in keys.published()["keys"]]


async def test_the_first_key_signs_at_once(clock: FakeClock) -> None:
    keys = SigningKeys(FakeSigningKeyRows(), clock)

    await keys.refresh()

    signing = keys.signing(clock.now())
    assert published(keys) == [signing.kid]
    assert keys.find(signing.kid) is not None
    assert keys.find("another") is None
    assert keys.find(None) is None


async def test_only_public_halves_are_published(clock: FakeClock) -> None:
    keys = SigningKeys(FakeSigningKeyRows(), clock)
    await keys.refresh()

    [key] = keys.published()["keys"]

    assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi"}


async def test_two_processes_that_begin_at_once_have_one_key(clock: FakeClock) -> None:
    rows = FakeSigningKeyRows()
    one, other = SigningKeys(rows, clock), SigningKeys(rows, clock)

    await asyncio.gather(one.refresh(), other.refresh())

    assert published(one) == published(other)
    assert len(rows.rows) == 1


async def test_the_next_key_is_announced_then_signs_and_the_old_one_is_kept_and_goes(clock: FakeClock) -> None:
    keys = SigningKeys(FakeSigningKeyRows(), clock)
    await keys.refresh()
    first = keys.signing(clock.now()).kid

    clock.advance(LIFE)
    await keys.refresh()
    assert keys.signing(clock.now()).kid == first
    assert len(published(keys)) == 2

    clock.advance(ANNOUNCED)
    second = keys.signing(clock.now()).kid
    assert second != first
    assert keys.find(first) is not None

    clock.advance(KEPT - SECOND)
    await keys.refresh()
    assert keys.find(first) is not None
    clock.advance(SECOND)
    await keys.refresh()
    assert keys.find(first) is None
    assert published(keys) == [second]


async def test_a_process_knows_a_key_before_another_signs_with_it(clock: FakeClock) -> None:
    rows = FakeSigningKeyRows()
    maker, other = SigningKeys(rows, clock), SigningKeys(rows, clock)
    await maker.refresh()
    await other.refresh()

    await maker.renew()
    clock.advance(timedelta(seconds=60))
    await other.refresh()
    clock.advance(ANNOUNCED)

    assert other.find(maker.signing(clock.now()).kid) is not None


async def test_a_renewal_makes_one_even_while_the_present_one_is_young(clock: FakeClock) -> None:
    keys = SigningKeys(FakeSigningKeyRows(), clock)
    await keys.refresh()
    first = keys.signing(clock.now()).kid

    await keys.renew()
    clock.advance(ANNOUNCED)

    assert keys.signing(clock.now()).kid != first


async def test_they_are_looked_at_again_and_again_also_after_an_outage(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "_LOOK_SECONDS", 0)
    looked = asyncio.Event()

    class Failing(FakeSigningKeyRows):
        times = 0

        async def all(self) -> list[KeyRow]:
            self.times += 1
            if self.times == 4:
                raise UnavailableError
            if self.times == 6:
                looked.set()
            return list(await super().all())

    async with SigningKeys(Failing(), clock).kept_fresh() as keys:
        await asyncio.wait_for(looked.wait(), 10)

        assert len(published(keys)) == 1
