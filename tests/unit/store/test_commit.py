"""Group commit on a transaction that a test can make fail: who gets which answer."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import ConnectionFailure

from fhir_server.engine.change import Change
from fhir_server.engine.ports import AuditRow
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import EndedTokenError, FhirError, UnavailableError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store import commit
from fhir_server.store.commit import Committer
from fhir_server.store.documents import Row
from fhir_server.store.outcomes import OutageError, TransientError, UnknownOutcomeError
from fhir_server.store.transaction import Granted, Transaction
from tests.fakes.authorization import FakeGrants
from tests.fakes.clock import NOW

pytestmark = pytest.mark.anyio


def row(name: str) -> Row:
    return Row(Change(ResourceKey("Patient", name), {"resourceType": "Patient"}), b"{}", (), (), [], {}, 1)


class FakeTransaction:
    """Takes some turns of the loop, then asks `fault` what goes wrong; what it wrote stays in `written`."""

    def __init__(self, fault: Callable[[list[str]], Exception | None] = lambda _: None, turns: int = 3) -> None:
        self.runs: list[list[str]] = []
        self.written: list[str] = []
        self.begun = asyncio.Event()
        self._fault, self._turns = fault, turns

    async def end(self) -> None:
        """Nothing is left to say."""

    async def run(self, rows: Sequence[Row], granted: Granted) -> tuple[Stored, ...]:
        names = [row.change.key.id for row in rows]
        self.runs.append(names)
        self.begun.set()
        for _ in range(self._turns):
            await asyncio.sleep(0)
        if error := self._fault(names):
            raise error
        await granted
        self.written += names
        return tuple(Stored(row.change.key, 1, 1, NOW, row.truth) for row in rows)


async def started(transaction: FakeTransaction) -> Committer:
    committer = Committer(cast("Transaction", transaction), FakeGrants())
    await committer.start()
    return committer


async def all_of(committer: Committer, *units: Sequence[str]) -> list[tuple[Stored, ...] | BaseException]:
    rows = [tuple(row(name) for name in unit) for unit in units]
    return await asyncio.gather(*(committer.commit(each) for each in rows), return_exceptions=True)


def names(outcome: tuple[Stored, ...] | BaseException) -> list[str]:
    assert not isinstance(outcome, BaseException)
    return [stored.key.id for stored in outcome]


async def test_what_arrives_together_is_committed_together_and_each_gets_its_own() -> None:
    transaction = FakeTransaction()
    committer = await started(transaction)

    outcomes = await all_of(committer, ["a", "b"], ["c"], ["d", "e", "f"])
    await committer.stop()

    assert [names(one) for one in outcomes] == [["a", "b"], ["c"], ["d", "e", "f"]]
    assert transaction.runs == [["a", "b", "c", "d", "e", "f"]]


@settings(max_examples=40, deadline=None)
@given(bad=st.lists(st.booleans(), min_size=1, max_size=24))
async def test_the_bad_ones_of_a_group_fail_alone_and_all_good_ones_commit(bad: list[bool]) -> None:
    units = [f"bad{n}" if is_bad else f"good{n}" for n, is_bad in enumerate(bad)]

    def fault(group: list[str]) -> Exception | None:
        culprit = next((name for name in group if name.startswith("bad")), None)
        return VersionConflictError(culprit) if culprit else None

    transaction = FakeTransaction(fault)
    committer = await started(transaction)
    outcomes = await all_of(committer, *([name] for name in units))
    await committer.stop()

    for name, outcome in zip(units, outcomes, strict=True):
        if name.startswith("bad"):
            assert isinstance(outcome, VersionConflictError)
            assert str(outcome) == name, "each is told of its own fault"
        else:
            assert names(outcome) == [name]
    assert sorted(transaction.written) == sorted(name for name in units if name.startswith("good"))


async def test_a_transaction_that_met_another_is_tried_again_whole() -> None:
    faults = [TransientError(), TransientError()]
    transaction = FakeTransaction(lambda _: faults.pop() if faults else None)
    committer = await started(transaction)

    outcomes = await all_of(committer, ["a"], ["b"])
    await committer.stop()

    assert [names(one) for one in outcomes] == [["a"], ["b"]]
    assert transaction.runs == [["a", "b"]] * 3


@dataclass
class Ended:
    """Grants of which some have ended; it answers after some turns of the loop, or with a fault."""

    reasons: Mapping[str, str]
    fault: Exception | None = None
    asked: list[set[str]] = field(default_factory=list)

    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        self.asked.append(set(ids))
        for _ in range(10):
            await asyncio.sleep(0)
        if self.fault:
            raise self.fault
        return {id: reason for id, reason in self.reasons.items() if id in ids}


def granted(name: str, grant: str) -> tuple[Row, ...]:
    entry = cast("AuditRow", SimpleNamespace(grant=grant))
    change = Change(ResourceKey("Patient", name), {"resourceType": "Patient"}, audit=(entry,))
    return (Row(change, b"{}", (), (), [], {}, 1),)


async def under(grants: Ended, transaction: FakeTransaction, *units: tuple[Row, ...]) -> list[Any]:
    committer = Committer(cast("Transaction", transaction), grants)
    await committer.start()
    outcomes = await asyncio.gather(*map(committer.commit, units), return_exceptions=True)
    await committer.stop()
    return outcomes


@pytest.mark.parametrize("turns", [0, 30], ids=["known after it was written", "known before"])
async def test_whose_grant_has_ended_writes_nothing_and_the_others_do(turns: int) -> None:
    transaction, grants = FakeTransaction(turns=turns), Ended({"gone": ""})

    one, other, third = await under(
        grants, transaction, granted("a", "good"), granted("b", "gone"), granted("c", "good")
    )

    assert isinstance(other, EndedTokenError)
    assert (names(one), names(third)) == (["a"], ["c"])
    assert transaction.written == ["a", "c"]
    assert transaction.runs == [["a", "b", "c"], ["a", "c"]]


async def test_whose_grant_has_ended_is_told_that_whatever_else_is_wrong() -> None:
    transaction = FakeTransaction(lambda group: VersionConflictError("b") if "b" in group else None)

    [one, other] = await under(Ended({"gone": ""}), transaction, granted("a", "good"), granted("b", "gone"))

    assert isinstance(other, EndedTokenError)
    assert names(one) == ["a"]


async def test_each_try_asks_for_the_grants_anew() -> None:
    faults = [TransientError(), OutageError("away")]
    grants = Ended({})

    [outcome] = await under(grants, FakeTransaction(lambda _: faults.pop() if faults else None), granted("a", "good"))

    assert names(outcome) == ["a"]
    assert grants.asked == [{"good"}] * 3


async def test_where_it_is_not_known_whether_grants_hold_nothing_is_written_and_nobody_is_tried_alone() -> None:
    lost = UnavailableError("away")
    lost.__cause__ = ConnectionFailure("lost")
    grants, transaction = Ended({}, lost), FakeTransaction()

    outcomes = await under(grants, transaction, granted("a", "good"), granted("b", "good"))

    assert all(isinstance(one, UnavailableError) for one in outcomes)
    assert transaction.written == []
    assert transaction.runs == [["a", "b"]] * 2


async def test_an_unknown_outcome_is_told_to_the_whole_group_and_never_written_again() -> None:
    transaction = FakeTransaction(lambda _: UnknownOutcomeError("unknown"))
    committer = await started(transaction)

    outcomes = await all_of(committer, ["a"], ["b"], ["c"])
    await committer.stop()

    assert all(isinstance(one, UnknownOutcomeError) for one in outcomes)
    assert transaction.runs == [["a", "b", "c"]]


async def test_a_caller_that_goes_away_does_not_take_a_shared_transaction_with_it() -> None:
    transaction = FakeTransaction(turns=20)
    committer = await started(transaction)
    leaving = asyncio.create_task(committer.commit((row("leaving"),)))
    staying = asyncio.create_task(committer.commit((row("staying"),)))
    await transaction.begun.wait()

    leaving.cancel()

    assert names(await staying) == ["staying"]
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    assert sorted(transaction.written) == ["leaving", "staying"]
    assert [names(one) for one in await all_of(committer, ["next"])] == [["next"]]
    await committer.stop()


async def test_a_fault_after_the_caller_went_away_hinders_nobody() -> None:
    transaction = FakeTransaction(lambda group: VersionConflictError() if "leaving" in group else None, turns=20)
    committer = await started(transaction)
    leaving = asyncio.create_task(committer.commit((row("leaving"),)))
    await transaction.begun.wait()
    leaving.cancel()

    assert [names(one) for one in await all_of(committer, ["next"])] == [["next"]]
    await committer.stop()


async def test_an_unexpected_fault_says_nothing_of_what_it_met() -> None:
    transaction = FakeTransaction(lambda _: RuntimeError("Chalmers, 1974-12-25"))
    committer = await started(transaction)

    [outcome] = await all_of(committer, ["a"])
    await committer.stop()

    assert isinstance(outcome, FhirError)
    assert outcome.status == 500
    assert "Chalmers" not in str(outcome)
    assert isinstance(outcome.__cause__, RuntimeError)


async def test_writes_beyond_what_may_wait_are_refused_and_none_is_lost() -> None:
    transaction = FakeTransaction(turns=1)
    committer = await started(transaction)

    outcomes = await all_of(committer, *([f"p{n}"] for n in range(2_100)))
    await committer.stop()

    refused = [one for one in outcomes if isinstance(one, UnavailableError)]
    assert len(refused) == 100
    assert len(transaction.written) == 2_000


async def test_no_rows_are_committed_at_once() -> None:
    committer = Committer(cast("Transaction", FakeTransaction()), FakeGrants())

    assert await committer.commit(()) == ()


async def test_stopping_finishes_what_is_under_way() -> None:
    transaction = FakeTransaction(turns=50)
    committer = await started(transaction)
    committing = asyncio.create_task(committer.commit((row("a"),)))
    await transaction.begun.wait()

    await committer.stop()

    assert names(await asyncio.wait_for(committing, timeout=1)) == ["a"]
    assert transaction.written == ["a"]


async def test_a_database_that_stays_away_is_told_as_unavailable_and_not_as_a_conflict() -> None:
    """A lost connection inside a transaction is a transient error to the driver; a client must not read 412 in it."""
    transaction = FakeTransaction(lambda _: TransientError())
    committer = await started(transaction)

    [outcome] = await all_of(committer, ["a"])
    await committer.stop()

    assert isinstance(outcome, UnavailableError)


async def test_writers_who_keep_coming_share_one_transaction_and_do_not_take_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commit, "_LINGER", 0.5)
    transaction = FakeTransaction(turns=20)
    committer = await started(transaction)

    async def writer(which: int) -> None:
        for number in range(10):
            # Each has something of its own to do between two writes, of another length.
            for _ in range(3 * which):
                await asyncio.sleep(0)
            await committer.commit((row(f"{which}-{number}"),))

    await asyncio.gather(*map(writer, range(8)))
    await committer.stop()

    assert len(transaction.written) == 80
    assert sorted(map(len, transaction.runs))[-9:] == [8] * 9


async def test_a_writer_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "_LINGER", 1000)
    transaction = FakeTransaction()
    committer = await started(transaction)

    async with asyncio.timeout(30):
        for number in range(40):
            await committer.commit((row(str(number)),))
        await committer.stop()

    assert len(transaction.runs) == 40


async def test_who_is_waited_for_in_vain_is_not_waited_for_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commit, "_LINGER", 1000)
    transaction = FakeTransaction()
    committer = await started(transaction)
    await all_of(committer, ["a"], ["b"])

    async with asyncio.timeout(30):
        late = asyncio.create_task(committer.commit((row("c"),)))
        await asyncio.sleep(0)
        await committer.stop()

        assert names(await late) == ["c"]
