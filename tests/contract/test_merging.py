"""Two records of one person become one, and two again: on the fake and on MongoDB."""

from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import ConditionChangedError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, PENDING
from fhir_server.privacy.merging.finishing import Finishing, finish
from fhir_server.privacy.merging.moving import Move, Moving
from tests.contract.clinics import Opened, observation
from tests.contract.merging import NEW, OLD, PAIR, Desk, desk_on, finished, number, person
from tests.fakes.clinic import BASE
from tests.samples import consent, published

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(clinic: Opened) -> Desk:
    return await desk_on(clinic)


async def test_what_names_the_one_names_the_other_and_is_found_there(desk: Desk) -> None:
    seen = {"url": "urn:x", "valueReference": {"reference": f"{BASE}/Patient/{OLD}"}}
    await desk.put({**observation("one", OLD), "extension": [seen]})
    await desk.put(observation("own", NEW))
    await desk.put(
        {
            "resourceType": "Provenance",
            "id": "trail",
            "recorded": "2026-01-05T10:00:00Z",
            "target": [{"reference": "Observation/one"}],
            "agent": [{"who": {"display": "x"}}],
        }
    )

    outcome = await desk.merge()

    moved = await desk.stored("Observation/one")
    assert sorted(map(str, outcome.moved)) == ["Observation/one", "Provenance/trail"]
    assert moved.resource["subject"]["reference"] == f"Patient/{NEW}"
    assert moved.resource["extension"][0]["valueReference"]["reference"] == f"{BASE}/Patient/{NEW}"
    assert (moved.subjects, moved.access) == ((NEW,), (f"Patient/{NEW}",))
    assert (await desk.stored("Provenance/trail")).subjects == (NEW,)
    assert await desk.found("Observation", patient=f"Patient/{NEW}") == ["one", "own"]
    assert await desk.found("Observation", patient=f"Patient/{OLD}") == []
    assert [one.key.id for one in await desk.at.mentions.of(OLD) if one.key.type != "Provenance"] == [OLD]


async def test_the_one_is_given_up_and_leads_to_the_other(desk: Desk) -> None:
    outcome = await desk.merge()

    old, new = await desk.stored(f"Patient/{OLD}"), await desk.stored(f"Patient/{NEW}")
    assert old.resource["active"] is False
    assert old.resource["link"] == [{"other": {"reference": f"Patient/{NEW}"}, "type": "replaced-by"}]
    assert new.resource["link"] == [{"other": {"reference": f"Patient/{OLD}"}, "type": "replaces"}]
    assert new.resource["identifier"][1] == {"system": "urn:clinic", "value": "1", "use": "old"}
    assert (old.subjects, new.subjects) == ((OLD,), (NEW,)), "each is sealed, and erased, as what it is"
    assert outcome.result.version == new.version
    events = [one for one in (await desk.at.events()).values() if "$merge" in str(one["entity"])]
    told = {what["what"]["reference"] for one in events for what in one["entity"] if "what" in what}
    assert told >= {f"Patient/{OLD}", f"Patient/{NEW}"}
    record = await desk.read(str(outcome.record))
    assert record["activity"]["coding"][0]["code"] == "merged"
    assert f"Patient/{OLD}/_history/{old.version}" in {one["reference"] for one in record["target"]}


async def test_a_photo_is_sealed_anew_and_its_old_bytes_are_destroyed(desk: Desk) -> None:
    photo = await desk.photo("m", OLD)
    letter = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": {"reference": f"Patient/{OLD}"},
        "content": [{"attachment": {"url": f"Binary/{photo}"}}],
    }
    await desk.put(letter)

    await desk.merge()

    url = (await desk.read("Media/m"))["content"]["url"]
    assert url != f"Binary/{photo}"
    assert (await desk.read("DocumentReference/d"))["content"][0]["attachment"]["url"] == url
    assert await desk.bytes_of("Media/m") == b"picture" * 20_000
    old, new = await desk.at.photos.find(photo), await desk.at.photos.find(url.removeprefix("Binary/"))
    assert old is not None
    assert new is not None
    assert (old.state, new.subjects) == (DESTROYED, (NEW,))


async def test_consents_move_with_the_head_rows(desk: Desk) -> None:
    await desk.put({**consent(OLD), "id": "yes"})
    await desk.put({**consent(OLD, "research", "deny"), "id": "no"})
    await desk.put({**consent(NEW, "research"), "id": "research"})

    outcome = await desk.merge()

    assert outcome.ended == (), "a refusal needs no help to win"
    assert await desk.consents(OLD) == {}
    assert await desk.consents(NEW) == {"Consent/no": 2, "Consent/yes": 2, "Consent/research": 1}
    await desk.unmerge()
    assert await desk.consents(OLD) == {"Consent/no": 3, "Consent/yes": 3}
    assert await desk.consents(NEW) == {"Consent/research": 1}


@pytest.mark.parametrize(("gave", "took"), [(OLD, NEW), (NEW, OLD)])
async def test_a_permission_gives_way_to_a_withdrawal_in_the_other_record(desk: Desk, gave: str, took: str) -> None:
    await desk.put({**consent(gave, "marketing", **published()), "id": "gave"})
    taken = {**consent(took, "marketing", **published()), "id": "took"}
    await desk.put(taken)
    await desk.put({**taken, "status": "inactive"})

    outcome = await desk.merge()

    assert [str(one) for one in outcome.ended] == ["Consent/gave"]
    assert (await desk.read("Consent/gave"))["status"] == "inactive"
    assert (await desk.consents(NEW)).keys() == {"Consent/took"}
    await desk.unmerge()
    assert (await desk.read("Consent/gave"))["status"] == "active"
    assert (await desk.read("Consent/gave"))["patient"]["reference"] == f"Patient/{gave}"
    assert {id: (await desk.consents(id)).keys() for id in (gave, took)} == {
        gave: {"Consent/gave"},
        took: {"Consent/took"},
    }


async def test_a_consent_that_no_head_row_lists_gets_no_force_by_moving(desk: Desk) -> None:
    hidden = {**consent(OLD), "id": "hidden"}
    await desk.at.resources.commit([desk.engine.drafts.of(ResourceKey("Consent", "hidden"), hidden)])

    await desk.merge()

    assert (await desk.read("Consent/hidden"))["patient"]["reference"] == f"Patient/{NEW}"
    assert await desk.consents(NEW) == {}


async def test_what_came_goes_back_and_what_was_written_since_stays_and_is_told(desk: Desk) -> None:
    before = person(OLD, **number("1"))
    for id in ("kept", "edited", "gone"):
        await desk.put(observation(id, OLD))
    await desk.put(observation("own", NEW))
    both = [{"actor": {"reference": f"Patient/{id}"}, "status": "accepted"} for id in (OLD, NEW)]
    await desk.put({"resourceType": "Appointment", "id": "visit", "status": "proposed", "participant": both})
    await desk.photo("m", OLD)
    await desk.merge()
    await desk.put({**await desk.read("Observation/edited"), "note": [{"text": "later"}]})
    await desk.put({**await desk.read("Appointment/visit"), "comment": "later"})
    await desk.put({**await desk.read("Observation/own"), "status": "amended"})
    await desk.engine.delete(desk.call(Interaction.DELETE, "Observation", "gone"))
    await desk.put(observation("new", NEW))
    await desk.put({**observation("new", NEW), "status": "amended"})

    told = await desk.unmerge(preview=True)
    assert told.record is None
    outcome = await desk.unmerge()

    back = ["Appointment/visit", "Media/m", "Observation/edited", "Observation/kept"]
    assert sorted(map(str, outcome.moved)) == sorted(map(str, told.moved)) == back
    assert [str(one) for one in outcome.stayed] == ["Observation/new"]
    edited = await desk.read("Observation/edited")
    assert (edited["subject"]["reference"], edited["note"]) == (f"Patient/{OLD}", [{"text": "later"}])
    visit = await desk.read("Appointment/visit")
    assert (visit["participant"], visit["comment"]) == (both, "later")
    assert (await desk.stored("Observation/kept")).subjects == (OLD,)
    assert await desk.found("Observation", patient=f"Patient/{NEW}") == ["new", "own"]
    assert await desk.bytes_of("Media/m") == b"picture" * 20_000
    assert [one.state for one in await desk.at.photos.of_patient(NEW, {LIVE, CONDEMNED, DESTROYED})] == [DESTROYED]
    old = await desk.read(f"Patient/{OLD}")
    assert {name: value for name, value in old.items() if name != "meta"} == before
    new = await desk.read(f"Patient/{NEW}")
    assert ("link" in new, new["identifier"]) == (False, number("2")["identifier"])


async def test_an_interrupted_merge_is_finished_by_the_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = await desk.photo("m", OLD)

    async def killed(finishing: Finishing, task: Task) -> None:
        raise UnavailableError("The process ends here.")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Finishing, "__call__", killed)
        outcome = await desk.merge()
    await desk.put(observation("late", OLD))
    assert [one.id for one in await desk.at.photos.of_patient(OLD, {CONDEMNED})] == [photo]

    await finished(desk)

    assert (await desk.read("Observation/late"))["subject"]["reference"] == f"Patient/{NEW}"
    assert [one.state for one in await desk.at.photos.of_patient(OLD, {LIVE, CONDEMNED, DESTROYED})] == [DESTROYED]
    assert await desk.bytes_of("Media/m")
    await desk.finishing(finish(PAIR, outcome.record or ResourceKey("", "")))
    told = await desk.unmerge()
    assert sorted(map(str, told.moved)) == ["Media/m", "Observation/late"], "what came late goes back with the others"


async def test_what_an_undoing_gives_back_is_not_taken_again_by_a_worker_that_comes_late(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.put(observation("one", OLD))
    outcome = await desk.merge()
    late, real = finish(PAIR, outcome.record or ResourceKey("", "")), Moving.of

    async def overtaken(moving: Moving, source: str, target: str) -> Sequence[Move]:
        monkeypatch.setattr(Moving, "of", real)
        await desk.unmerge()
        return await moving.of(source, target)

    monkeypatch.setattr(Moving, "of", overtaken)
    with pytest.raises(ConditionChangedError):
        await desk.finishing(late)
    await desk.finishing(late)

    assert (await desk.stored("Observation/one")).subjects == (OLD,)


async def test_one_that_fails_before_its_commit_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = await desk.photo("m", OLD)

    async def failing(changes: Sequence[Any]) -> tuple[Stored, ...]:
        raise UnavailableError("Not now.")

    for step, of in ((desk.merge, OLD), (desk.unmerge, NEW)):
        with monkeypatch.context() as patched:
            patched.setattr(desk.at.resources, "commit", failing)
            with pytest.raises(UnavailableError):
                await step()
        assert await desk.at.photos.of_patient(NEW if of == OLD else OLD, {PENDING, LIVE, CONDEMNED}) == []
        await step()
    assert (await desk.at.photos.find(photo) or photo) is not None
