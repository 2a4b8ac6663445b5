"""Time stamps on checkpoints, from an authority of our own: openssl signs, RFC 3161's own checks decide."""

import base64
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.audit.anchoring import AnchorError, Anchoring
from fhir_server.crypto import timestamps
from fhir_server.crypto.errors import SignatureError
from fhir_server.kernel.clock import SystemClock
from fhir_server.outbound.egress import Fetched
from fhir_server.outbound.timestamping import TimeStamping
from tests.fakes.clock import FakeClock
from tests.fakes.witness import STAMPS, Authority, is_stamp
from tests.unit.audit.test_anchoring import MemoryLog, Sightings, unproven

pytestmark = pytest.mark.anyio
pytest.importorskip("rfc3161_client", reason="the extra `timestamps` is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to be the authority")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def authority(made: Authority) -> Authority:
    made.answer, made.is_away = None, False
    return made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(SystemClock().now())


def stamping(authority: Authority, clock: FakeClock) -> TimeStamping:
    return TimeStamping(authority, STAMPS, timestamps.Authority(authority.roots), clock)


async def test_a_checkpoint_is_stamped_once_an_hour_and_the_stamp_is_verified_again(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    log, kept = MemoryLog(), Sightings()
    shown = Anchoring(log, [stamping(authority, clock)], kept, clock)
    for size in (3, 4):
        log.grow(size)
        await shown.publish()
    assert kept.kept["timestamp"].size == 3, "not for every minute"

    assert await shown.assurance() == "witnessed"
    log.grow(3)
    [found] = await shown.confirmed()
    assert found.words.startswith("3 events, stamped at 20")
    (tmp_path / "data").write_text(found.note)
    (tmp_path / "stamp").write_bytes(base64.b64decode(found.said))
    assert is_stamp(tmp_path / "stamp", tmp_path / "data", authority.roots), "and openssl says so too"


async def test_a_stamp_for_other_bytes_is_no_evidence(authority: Authority, clock: FakeClock) -> None:
    anchor = stamping(authority, clock)
    said = await anchor.vouch("a\n1\n\n", unproven)

    for other in (said[:-8], "?", base64.b64encode(b"0").decode()):
        with pytest.raises(AnchorError, match="none for this checkpoint"):
            anchor.confirmed("a\n1\n\n", other)
    with pytest.raises(AnchorError, match="none for this checkpoint"):
        anchor.confirmed("b\n1\n\n", said)


async def test_an_old_answer_to_another_request_is_refused(authority: Authority, clock: FakeClock) -> None:
    anchor = stamping(authority, clock)
    authority.answer = Fetched(base64.b64decode(await anchor.vouch("note", unproven)), {})

    with pytest.raises(AnchorError, match="no time stamp"):
        await anchor.vouch("note", unproven)


async def test_an_authority_that_no_root_answers_for_is_refused(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with pytest.raises(AnchorError, match="no time stamp"):
        await TimeStamping(authority, STAMPS, timestamps.Authority(other.roots), clock).vouch("note", unproven)


async def test_a_clock_that_goes_wrong_is_no_evidence(authority: Authority, clock: FakeClock) -> None:
    clock.advance(timedelta(minutes=6))
    with pytest.raises(AnchorError, match="five minutes"):
        await stamping(authority, clock).vouch("note", unproven)


@pytest.mark.parametrize("answer", [Fetched(b"", {}, 503), Fetched(b"busy", {})])
async def test_what_is_no_stamp_is_no_evidence(authority: Authority, clock: FakeClock, answer: Fetched) -> None:
    authority.answer = answer
    with pytest.raises(AnchorError):
        await stamping(authority, clock).vouch("note", unproven)


async def test_an_authority_that_is_away_is_asked_again(authority: Authority, clock: FakeClock) -> None:
    authority.is_away = True
    with pytest.raises(AnchorError, match="connection"):
        await stamping(authority, clock).vouch("note", unproven)


def test_roots_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for file in (tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(SignatureError, match="root certificates"):
            timestamps.Authority(file)


def test_without_the_package_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(SignatureError, match="rfc3161-client"):
        timestamps.Authority(tmp_path)
