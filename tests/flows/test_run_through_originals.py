"""S23: whoever opens originals of unusually many patients in an hour is told of, and further on stopped."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import RENDITION
from fhir_server.privacy import originals
from fhir_server.privacy.originals import UNUSUAL, Bounds, Originals
from tests.clinics import Caller, InProcess, read, running
from tests.people import TASK
from tests.samples import consent, jpeg, media, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

TOLD, STOPPED = 2, 3


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("originals")
    bounds = {"originals_told": TOLD, "originals_stopped": STOPPED}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(originals, "_HOUR", 10**9)  # no test sees an hour end
        async with running(mongo_uri, "originals", folder, worker_interval=3600, **bounds) as found:
            yield found


@pytest.fixture(scope="module")
async def photos(clinic: InProcess) -> list[str]:
    """One of each of five patients."""
    doctor, found = clinic.caller(), []
    for number in range(5):
        person = await doctor.store({**patient(f"P{number}"), "id": f"run-{number}"})
        await doctor.store(consent(person["id"]))
        found.append(f"/fhir/{(await doctor.store(media(person['id'], jpeg())))['content']['url']}")
    return found


def person(clinic: InProcess, name: str) -> Caller:
    return clinic.caller(fhir_user=f"Practitioner/{name}")


async def tasks(clinic: InProcess) -> list[Json]:
    found = read(await clinic.caller().get(f"/fhir/Task?code={TASK}|{UNUSUAL}"))
    return [one["resource"] for one in found.get("entry", [])]


async def test_s_23_a_run_is_told_once_and_then_stopped_in_whatever_process(
    clinic: InProcess, photos: list[str]
) -> None:
    runner = person(clinic, "runner")
    statuses = []
    async with clinic.trail.recording() as recorded:
        for photo in photos:
            statuses += [(await runner.get(photo)).status_code for _ in range(2)]

    mine = [one for one in await tasks(clinic) if one["focus"]["reference"] == "Practitioner/runner"]
    assert statuses == [200] * 2 * STOPPED + [429] * (len(statuses) - 2 * STOPPED)
    assert len(mine) == 1
    assert "Originals of 3 patients" in mine[0]["description"]
    assert sum("429" in str(event.get("outcomeDesc")) for event in recorded.events) == 2 * (len(photos) - STOPPED)
    assert any(said(event)[1] == "4" for event in recorded.events)


async def test_s_23_others_a_service_and_who_looks_at_few_are_left_alone(clinic: InProcess, photos: list[str]) -> None:
    for caller, some in ((person(clinic, "other"), photos[:TOLD]), (clinic.caller(), photos)):
        assert {(await caller.get(photo)).status_code for photo in some} == {200}
    assert not [one for one in await tasks(clinic) if one["focus"]["reference"] == "Practitioner/other"]


async def test_s_23_renditions_are_made_to_be_looked_through_and_never_is_never(
    clinic: InProcess, photos: list[str]
) -> None:
    inner = clinic.clinic
    shown = await inner.store.photos.find(photos[0].rpartition("/")[2])
    assert shown is not None
    original = await inner.store.resources.read(shown.owner)
    assert original is not None
    drawn = original.showing({**original.resource, "extension": [{"url": RENDITION, "valueCode": "thumbnail"}]})
    counted = Principal("counted", "tests", inner.settings.base_url, "", fhir_user="Practitioner/counted")
    call = Call(Interaction.READ, counted, inner.surface.clock.now(), "Media", shown.owner.id)

    for bounds, seen in ((Bounds(1, 1), drawn), (Bounds(0, 0), original)):
        watch = Originals(inner.engine, inner.store.openings, bounds, inner.surface.clock, call.principal)
        await watch.opened(call, seen)
        await watch.opened(call, seen)

    assert await inner.store.openings.count("another run", ["one", "two", "one"], 1 << 32) == 2
