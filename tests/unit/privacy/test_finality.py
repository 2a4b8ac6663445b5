"""Second receipts: filed for whoever can still be told, and for nobody else."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from fhir_server.engine.call import Principal
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.finality import Finality
from fhir_server.privacy.ports import Final, Rotation
from fhir_server.privacy.receipt import Scribe
from tests.fakes.clock import NOW, FakeClock

pytestmark = pytest.mark.anyio


class Rotations:
    def __init__(self, *finals: Final) -> None:
        self.left: list[Rotation] = [Rotation(2, finals)]

    async def untold(self, now: datetime) -> Rotation | None:
        return self.left[0] if self.left else None

    async def told(self, version: int) -> None:
        assert self.left.pop().version == version


class Engine:
    """Rows by reference, with version where it is a cause."""

    def __init__(self, **rows: Json) -> None:
        self.rows, self.filed = rows, dict[ResourceKey, Json]()
        self.store = self.drafts = self

    async def read(self, key: ResourceKey) -> object | None:
        return self.filed.get(key)

    async def read_version(self, key: ResourceKey, version: int) -> object | None:
        found = self.rows.get(f"{key.type}_{version}")
        return SimpleNamespace(resource=found, deleted=not found) if found is not None else None

    def of(self, key: ResourceKey, resource: Json) -> tuple[ResourceKey, Json]:
        return key, resource

    async def commit(self, call: object, change: tuple[ResourceKey, Json]) -> None:
        assert change[0] not in self.filed, "filed once"
        self.filed[change[0]] = change[1]


def finality(engine: Engine, rotations: Rotations) -> Finality:
    scribe = Scribe(lambda payload: payload.decode(), lambda text: text.encode().hex(), "clinic", "It is a file.")
    server: Any = Principal("fhir-server", "fhir-server", "", "")
    given: Any = engine
    told: Any = rotations
    return Finality(given, told, scribe, FakeClock(), server)


def final(cause: str) -> Final:
    return Final(cause, (b"k" * 16,), NOW)


async def test_an_erasure_and_a_withdrawal_each_get_one() -> None:
    engine = Engine(Task_2={"for": {"reference": "Patient/ann"}}, Consent_3={"patient": {"reference": "Patient/bob"}})
    await finality(engine, Rotations(final("Task/1/_history/2"), final("Consent/1/_history/3")))()

    assert [one["subject"]["reference"] for one in engine.filed.values()] == ["Patient/ann", "Patient/bob"]
    assert all("unrecoverable" in one["description"] for one in engine.filed.values())
    assert not any("relatesTo" in one for one in engine.filed.values()), "the first receipt is not there yet"


async def test_what_was_cut_off_is_filed_once() -> None:
    engine = Engine(Task_2={"for": {"reference": "Patient/ann"}})
    for _ in range(2):
        await finality(engine, Rotations(final("Task/1/_history/2")))()

    assert len(engine.filed) == 1


@pytest.mark.parametrize(
    "cause",
    ["never committed", "Task/1", "Task/1/_history/x", "Task/1/_history/9", "Task/1/_history/4", "Task/1/_history/5"],
)
async def test_what_names_nobody_that_is_still_here_is_passed_over(cause: str) -> None:
    engine = Engine(Task_4={}, Task_5={"for": {"reference": "Group/1"}})
    rotations = Rotations(final(cause))
    await finality(engine, rotations)()

    assert (engine.filed, rotations.left) == ({}, [])
