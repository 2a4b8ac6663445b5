"""Who vouches for the log, and what is said where nobody does."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.audit.anchoring import AnchorError, Anchoring, ContradictedError, Evidence, Prove
from fhir_server.audit.judging import require_grown
from fhir_server.audit.ports import LogEntry
from fhir_server.crypto import checkpoint, tree
from fhir_server.crypto.checkpoint import Checkpoint
from fhir_server.crypto.signing import Signer
from fhir_server.crypto.tree import TileId, leaf_hash
from fhir_server.outbound.file_witness import FileWitness
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

SIGNER = Signer(b"l" * 32)


class MemoryLog:
    """A log of so many numbered entries; `lead` is what each of them begins with."""

    def __init__(self, lead: str = "entry", origin: str = "audit.example/log") -> None:
        self._lead, self._origin = lead, origin
        self.size = 0

    def grow(self, size: int) -> None:
        self.size = size

    def _tiles(self) -> dict[TileId, bytes]:
        return tree.appended(0, {}, [leaf_hash(f"{self._lead} {number}".encode()) for number in range(self.size)])

    async def newest(self) -> str | None:
        if not self.size:
            return None
        said = Checkpoint(self._origin, self.size, tree.root(self.size, self._tiles()))
        return checkpoint.signed(said, SIGNER.public, SIGNER.sign)

    async def signed_at(self, size: int) -> str | None:
        return await self.newest() if size == self.size else None

    async def tiles(self, ids: Collection[TileId]) -> Mapping[TileId, bytes]:
        return {id: tile for id, tile in self._tiles().items() if id in ids}

    async def entry(self, id: str) -> LogEntry | None:
        del id
        return None


class Sightings:
    def __init__(self) -> None:
        self.kept: dict[str, Evidence] = {}

    async def last(self, anchor: str) -> Evidence | None:
        return self.kept.get(anchor)

    async def keep(self, anchor: str, evidence: Evidence) -> None:
        self.kept[anchor] = evidence


class FarWitness:
    """One that somebody else runs."""

    name = "far"
    is_independent = True
    every = timedelta()

    def confirmed(self, note: str, said: str) -> str:
        return said

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_away = False

    async def vouch(self, note: str, prove: Prove) -> str:
        if self.is_away:
            raise AnchorError("it does not answer")
        await require_grown(self.seen[-1] if self.seen else None, note, prove)
        self.seen.append(note)
        return "signed"


async def unproven(old: int) -> list[bytes]:
    raise AssertionError(old)


async def test_without_an_anchor_the_log_is_operator_attested() -> None:
    anchoring = Anchoring(MemoryLog(), [], Sightings(), FakeClock())

    await anchoring.publish()

    assert await anchoring.assurance() == "operator-attested"


async def test_a_witness_of_our_own_does_not_count(tmp_path: Path) -> None:
    log = MemoryLog()
    log.grow(3)
    anchoring = Anchoring(log, [FileWitness(tmp_path)], Sightings(), FakeClock())

    await anchoring.publish()

    assert await anchoring.assurance() == "operator-attested"


async def test_an_independent_witness_counts_for_a_day() -> None:
    log, clock, witness = MemoryLog(), FakeClock(), FarWitness()
    log.grow(3)
    anchoring = Anchoring(log, [witness], Sightings(), clock)
    assert await anchoring.assurance() == "operator-attested"

    await anchoring.publish()
    assert await anchoring.assurance() == "witnessed"
    clock.advance(timedelta(hours=24, seconds=1))

    assert await anchoring.assurance() == "operator-attested"


async def test_a_checkpoint_is_shown_once_and_each_new_one_again() -> None:
    log, witness = MemoryLog(), FarWitness()
    anchoring = Anchoring(log, [witness], Sightings(), FakeClock())
    for size in (300, 300, 700):
        log.grow(size)
        await anchoring.publish()

    assert [checkpoint.parsed(note).size for note in witness.seen] == [300, 700]


async def test_a_witness_that_is_away_is_asked_again() -> None:
    log, witness = MemoryLog(), FarWitness()
    log.grow(3)
    anchoring = Anchoring(log, [witness], Sightings(), FakeClock())
    witness.is_away = True
    await anchoring.publish()
    witness.is_away = False
    await anchoring.publish()

    assert await anchoring.assurance() == "witnessed"


@pytest.mark.parametrize(
    ("lead", "origin", "size"), [("entry", "audit.example/log", 4), ("other", "audit.example/log", 8)]
)
async def test_a_log_that_was_rolled_back_or_rewritten_is_contradicted(
    tmp_path: Path, lead: str, origin: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    log, sightings = MemoryLog(), Sightings()
    log.grow(5)
    await Anchoring(log, [FileWitness(tmp_path)], sightings, FakeClock()).publish()

    other = MemoryLog(lead, origin)
    other.grow(size)
    anchoring = Anchoring(other, [FileWitness(tmp_path)], sightings, FakeClock())
    await anchoring.publish()

    assert await anchoring.assurance() == "contradicted"
    assert "contradicts" in caplog.text
    assert (tmp_path / "checkpoints").read_text().count("audit.example/log\n5\n") == 1


async def test_a_log_of_another_name_is_refused() -> None:
    log, other = MemoryLog(), MemoryLog(origin="another")
    log.grow(2)
    other.grow(2)

    with pytest.raises(ContradictedError, match="another name"):
        await require_grown(await log.newest(), str(await other.newest()), unproven)


async def test_a_folder_that_cannot_be_used_is_an_anchor_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = MemoryLog()
    log.grow(2)

    with pytest.raises(AnchorError, match="cannot be used"):
        await FileWitness(tmp_path / "file").vouch(str(await log.newest()), unproven)
