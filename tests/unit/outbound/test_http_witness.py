"""A witness that others run: what it is asked, what it may answer, and what counts as its word."""

from datetime import timedelta

import pytest

from fhir_server.audit.anchoring import AnchorError, Anchoring, ContradictedError
from fhir_server.crypto.signing import Signer
from fhir_server.outbound.egress import Egress, Fetched
from fhir_server.outbound.http_witness import HttpWitness
from tests.fakes.clock import FakeClock
from tests.fakes.witness import URL, Witness
from tests.unit.audit.test_anchoring import MemoryLog, Sightings

pytestmark = pytest.mark.anyio


@pytest.fixture
def far() -> Witness:
    return Witness()


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    made.grow(300)
    return made


def anchoring(log: MemoryLog, far: Witness, kept: Sightings | None = None, clock: FakeClock | None = None) -> Anchoring:
    return Anchoring(log, [HttpWitness(far, URL, far.key)], kept or Sightings(), clock or FakeClock())


async def test_a_log_that_grows_is_signed_each_time_with_a_proof_that_it_only_grew(
    far: Witness, log: MemoryLog
) -> None:
    shown = anchoring(log, far)
    for size in (300, 700, 701):
        log.grow(size)
        await shown.publish()

    assert far.asked == ["old 0", "old 300", "old 700"]
    assert await shown.assurance() == "witnessed"
    [found] = await shown.confirmed()
    assert found.words.startswith("701 events, signed by witness.example/1 at ")


async def test_after_a_restart_the_witness_says_what_it_saw_last(far: Witness, log: MemoryLog) -> None:
    await anchoring(log, far).publish()
    log.grow(400)
    again = anchoring(log, far)

    await again.publish()

    assert far.asked == ["old 0", "old 0", "old 300"]
    assert await again.assurance() == "witnessed"


@pytest.mark.parametrize(("lead", "size"), [("entry", 299), ("other", 300), ("other", 400)])
async def test_a_log_that_was_rolled_back_or_rewritten_is_contradicted(
    far: Witness, log: MemoryLog, lead: str, size: int
) -> None:
    await anchoring(log, far).publish()
    other = MemoryLog(lead)
    other.grow(size)
    shown = anchoring(other, far)

    await shown.publish()

    assert await shown.assurance() == "contradicted"
    assert await shown.confirmed() == []


@pytest.mark.parametrize(
    "answer",
    [
        Fetched(b"", {}, 404),
        Fetched(b"", {}, 500),
        Fetched(b"300\n", {}, 409),
        Fetched(b"many\n", {"content-type": "text/x.tlog.size"}, 409),
        Fetched(b"9" * 19, {"content-type": "text/x.tlog.size"}, 409),
        Fetched(b"", {}),
        Fetched("\u2014 witness.example/1 AAAA\n".encode(), {}),
        Fetched(b"\xff\xff", {}),
    ],
)
async def test_an_answer_that_is_no_signature_is_no_evidence(far: Witness, log: MemoryLog, answer: Fetched) -> None:
    far.answer = answer
    shown = anchoring(log, far)

    await shown.publish()

    assert await shown.assurance() == "operator-attested"


async def test_a_witness_that_is_always_behind_is_asked_twice_and_no_more(far: Witness, log: MemoryLog) -> None:
    far.answer = Fetched(b"200\n", {"content-type": "text/x.tlog.size"}, 409)
    note = str(await log.newest())

    async def proof(old: int) -> list[bytes]:
        return [b"\0" * 32] * (old > 0)

    with pytest.raises(AnchorError, match="HTTP 409"):
        await HttpWitness(far, URL, far.key).vouch(note, proof)
    assert far.asked == ["old 0", "old 200"]


async def test_a_signature_with_another_key_is_no_evidence(far: Witness, log: MemoryLog) -> None:
    other = Witness(seed=b"o" * 32)
    shown = Anchoring(log, [HttpWitness(far, URL, other.key)], Sightings(), FakeClock())

    await shown.publish()

    assert await shown.assurance() == "operator-attested"


async def test_a_log_that_the_witness_saw_longer_is_contradicted(far: Witness, log: MemoryLog) -> None:
    far.answer = Fetched(b"301\n", {"content-type": "text/x.tlog.size"}, 409)

    with pytest.raises(ContradictedError, match="it saw 301 events, and there are 300"):
        await HttpWitness(far, URL, far.key).vouch(str(await log.newest()), lambda _: None)  # type: ignore[arg-type, return-value]  # never asked


async def test_a_witness_that_cannot_be_reached_is_asked_again(log: MemoryLog) -> None:
    nowhere = Egress(resolve=lambda *_: ["127.0.0.1"])
    shown = Anchoring(log, [HttpWitness(nowhere, URL, Witness().key)], Sightings(), FakeClock())

    await shown.publish()

    assert await shown.assurance() == "operator-attested"


async def test_evidence_that_was_altered_in_the_database_is_found(far: Witness, log: MemoryLog) -> None:
    kept, clock = Sightings(), FakeClock()
    shown = anchoring(log, far, kept, clock)
    await shown.publish()
    clock.advance(timedelta(hours=1))
    log.grow(301)
    with pytest.raises(AnchorError, match="which is not there"):
        await shown.confirmed()

    other = MemoryLog("other")
    other.grow(300)
    with pytest.raises(AnchorError, match="signature is not there"):
        await anchoring(other, far, kept).confirmed()


def test_the_key_of_a_log_is_none_of_a_witness(log: MemoryLog, far: Witness) -> None:
    from fhir_server.crypto import checkpoint

    wrong = checkpoint.verifier_key("witness.example/1", Signer(b"w" * 32).public)
    with pytest.raises(AnchorError):
        HttpWitness(far, URL, wrong).confirmed("a\n1\n\n", "")
