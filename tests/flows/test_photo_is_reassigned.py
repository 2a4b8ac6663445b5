"""A photo filed under the wrong patient is hidden there, sealed anew where it belongs, and its traces are destroyed."""

from typing import Any

import pytest
from httpx2 import Response

from fhir_server.chosen import THE_SERVER
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.tasks import Task
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.reassigning import FINISH_REASSIGNMENT
from tests.clinics import Caller, InProcess, read
from tests.people import care_team
from tests.samples import consent, media, patient
from tests.unit.media.drawn import face

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def nurse(clinic: InProcess) -> Caller:
    return clinic.caller("user/*.cruds", fhir_user="Practitioner/filing", client="tablet", role="practitioner")


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    """Who writes down whom a patient is treated by."""
    return clinic.caller(client="office")


async def somebody(office: Caller, *, agrees: bool = True) -> str:
    stored = await office.store(patient())
    for person in ("Practitioner/filing", "Practitioner/other"):
        await office.store(care_team(stored["id"], person))
    if agrees:
        await office.store(consent(stored["id"]))
    return str(stored["id"])


async def moved(nurse: Caller, photo: Json, patient_id: str, **more: Any) -> Response:
    parameters = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient_id}"}},
        {"name": "reason", "valueString": "Taken with the wrong file open"},
    ]
    return await nurse.post(
        f"/fhir/Media/{photo['id']}/$reassign", {"resourceType": "Parameters", "parameter": parameters, **more}
    )


async def test_a_photo_moves_with_its_bytes_and_leaves_nothing_behind(
    clinic: InProcess, nurse: Caller, office: Caller
) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face(), note=[{"text": "left side"}]))
    edited = await nurse.put(f"/fhir/Media/{photo['id']}", {**photo, "note": [{"text": "right side"}]})
    address = f"/fhir/{photo['content']['url']}"
    before = (await nurse.get(address)).content
    assert edited.status_code == 200

    answer = await moved(nurse, photo, right)
    new = read(answer)

    assert answer.status_code == 201
    assert (new["subject"]["reference"], new["status"]) == (f"Patient/{right}", "completed")
    assert new["note"] == [{"text": "right side"}]
    assert (await nurse.get(f"/fhir/{new['content']['url']}")).content == before
    assert new["content"]["hash"] == photo["content"]["hash"]
    assert (await nurse.get(f"/fhir/Media/{photo['id']}")).status_code == 410
    assert (await nurse.get(address)).status_code in {404, 410}
    for version in (1, 2, 3):
        assert (await nurse.get(f"/fhir/Media/{photo['id']}/_history/{version}")).status_code == 404
    database = clinic.mongo[clinic.database]
    old = photo["content"]["url"].removeprefix("Binary/")
    row = await database["photos"].find_one({"_id": old})
    assert row is not None
    assert row["state"] == "destroyed"
    assert await database["chunks"].count_documents({"_id": {"$gte": f"{old}/", "$lt": f"{old}0"}}) == 0
    assert await clinic.clinic.keyring.open_keys([row["key"]]) == {}


async def test_the_new_photo_says_where_it_comes_from(nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))

    new = read(await moved(nurse, photo, right))
    found = read(await office.get(f"/fhir/Provenance?target=Media/{new['id']}"))

    [provenance] = [entry["resource"] for entry in found["entry"]]
    assert provenance["reason"] == [{"text": "Taken with the wrong file open"}]
    assert provenance["entity"][0]["what"]["reference"].startswith(f"Media/{photo['id']}/_history/")
    assert wrong not in str(provenance)


async def tasks(office: Caller, patient_id: str) -> list[Json]:
    found = read(await office.get(f"/fhir/Task?patient=Patient/{patient_id}"))
    return [entry["resource"] for entry in found.get("entry", [])]


async def test_whoever_saw_it_there_causes_an_assessment(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    for sees, expected in ((False, 0), (True, 1)):
        wrong, right = await somebody(office), await somebody(office)
        photo = await nurse.store(media(wrong, face()))
        await nurse.get(f"/fhir/{photo['content']['url']}")
        if sees:
            other = clinic.caller("user/*.rs", fhir_user="Practitioner/other", client="tablet", role="practitioner")
            assert (await other.get(f"/fhir/{photo['content']['url']}")).status_code == 200

        new = read(await moved(nurse, photo, right))

        found = await tasks(office, right)
        assert len(found) == expected
        assert [one["focus"]["reference"] for one in found] == [f"Media/{new['id']}"] * expected


async def test_a_service_is_another_than_a_person_or_another_service(
    clinic: InProcess, nurse: Caller, office: Caller
) -> None:
    camera = clinic.caller(client="camera")
    for reader, expected in ((camera, 0), (nurse, 1), (clinic.caller(client="other"), 1)):
        wrong, right = await somebody(office), await somebody(office)
        photo = await camera.store(media(wrong, face()))
        await reader.get(f"/fhir/{photo['content']['url']}")

        answer = await moved(camera, photo, right)
        assert answer.status_code == 201, answer.text
        assert len(await tasks(office, right)) == expected


async def test_what_was_made_of_it_goes_with_it(nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office), await somebody(office)
    view = {"text": "front"}
    photo, other = [await nurse.store(media(wrong, face(), view=view)) for _ in range(2)]

    def ask(**more: Any) -> Json:
        return {"resourceType": "Parameters", "parameter": [more]}

    small = read(await nurse.post(f"/fhir/Media/{photo['id']}/$rendition", ask(name="kind", valueCode="thumbnail")))
    kept = read(await nurse.post(f"/fhir/Media/{other['id']}/$rendition", ask(name="kind", valueCode="thumbnail")))
    both = ask(name="other", valueReference={"reference": f"Media/{other['id']}"})
    compared = read(await nurse.post(f"/fhir/Media/{photo['id']}/$compare", both))
    pair, score = (one["resource"] for one in compared["parameter"])

    assert (await moved(nurse, photo, right)).status_code == 201

    for gone in (f"Media/{small['id']}", f"Media/{pair['id']}", f"Observation/{score['id']}"):
        assert (await nurse.get(f"/fhir/{gone}")).status_code == 410
        assert (await nurse.get(f"/fhir/{gone}/_history/1")).status_code == 404
    for stays in (other, kept):
        assert (await nurse.get(f"/fhir/{stays['content']['url']}")).status_code == 200


async def test_without_a_legal_basis_there_it_stays_hidden_here(
    clinic: InProcess, nurse: Caller, office: Caller
) -> None:
    wrong, right = await somebody(office), await somebody(office, agrees=False)
    photo = await nurse.store(media(wrong, face()))
    asked = {"resourceType": "Parameters", "parameter": [{"name": "kind", "valueCode": "thumbnail"}]}
    small = read(await nurse.post(f"/fhir/Media/{photo['id']}/$rendition", asked))

    refused = await moved(nurse, photo, right)
    hidden = await nurse.get(f"/fhir/{photo['content']['url']}")
    hidden_too = await nurse.get(f"/fhir/{small['content']['url']}")
    await office.store(consent(right))
    again = await moved(nurse, photo, right)

    assert (refused.status_code, hidden.status_code, hidden_too.status_code) == (403, 403, 403)
    assert again.status_code == 201


async def test_t99_one_taken_before_the_right_patient_agreed_is_refused_and_stays_hidden(
    nurse: Caller, office: Caller
) -> None:
    """To have been filed elsewhere makes no consent; to be refused here makes no reason to show it there."""
    wrong, right = await somebody(office, agrees=False), await somebody(office)
    await office.store(consent(wrong, dateTime="2025-01-02"))
    photo = await nurse.store(media(wrong, face(), createdDateTime="2025-06-01"))
    assert (await nurse.get(f"/fhir/{photo['content']['url']}")).status_code == 200

    refused = await moved(nurse, photo, right)

    assert refused.status_code == 409
    assert (await nurse.get(f"/fhir/{photo['content']['url']}")).status_code == 403


async def test_s_16_what_counts_is_whether_there_was_a_consent_when_it_was_taken(nurse: Caller, office: Caller) -> None:
    """Renewed since, or at an end: neither makes of it a photo that was taken without a consent."""
    wrong, right = await somebody(office, agrees=False), await somebody(office, agrees=False)
    await office.store(consent(wrong, dateTime="2025-01-02"))
    await office.store(consent(right, dateTime="2025-01-03"))
    treated = await office.store(consent(right, "treatment", dateTime="2025-01-03"))
    photo = await nurse.store(media(wrong, face(), createdDateTime="2025-06-01"))
    await office.store(consent(right, dateTime="2025-09-01"))
    assert (await office.post(f"/fhir/Consent/{treated['id']}/$withdraw")).status_code == 200

    answer = await moved(nurse, photo, right)

    assert answer.status_code == 201, answer.text
    assert (await nurse.get(f"/fhir/{read(answer)['content']['url']}")).status_code == 200


async def test_one_that_was_imported_is_moved_by_whoever_may(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office, agrees=False), await somebody(office)
    await office.store(consent(wrong))
    tag = {"system": "urn:aesthetic-fhir-server:tag", "code": "imported"}
    photo = await office.store(media(wrong, face(), meta={"tag": [tag]}, createdDateTime="2020-06-01"))

    answer = await moved(nurse, photo, right)

    assert answer.status_code == 201, answer.text
    assert "imported" in [one["code"] for one in read(answer)["meta"]["tag"]]


async def test_one_whose_consent_was_withdrawn_can_still_be_moved(
    clinic: InProcess, nurse: Caller, office: Caller
) -> None:
    wrong, right = await somebody(office, agrees=False), await somebody(office)
    agreed = await office.store(consent(wrong))
    photo = await nurse.store(media(wrong, face()))
    await office.put(f"/fhir/Consent/{agreed['id']}", {**agreed, "status": "entered-in-error"})

    answer = await moved(nurse, photo, right)

    assert answer.status_code == 201


async def test_what_cannot_be_moved_is_refused(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))
    bare = await nurse.store({**media(wrong, b""), "status": "preparation", "content": {"title": "to come"}})
    of_the_patient = clinic.caller("patient/*.cruds", patient=wrong)

    assert (await moved(nurse, photo, wrong)).status_code == 422
    assert (await moved(nurse, {"id": "unknown"}, right)).status_code == 404
    assert (await moved(nurse, bare, right)).status_code == 404
    assert (await moved(of_the_patient, photo, right)).status_code == 403
    assert (await nurse.get(f"/fhir/{photo['content']['url']}")).status_code == 200
    assert (await moved(nurse, photo, right)).status_code == 201
    assert (await moved(nurse, photo, right)).status_code in {404, 410}


async def test_finishing_again_changes_nothing(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))
    new = read(await moved(nurse, photo, right))

    await clinic.clinic.surface.photos.reassigning.finish(Task(FINISH_REASSIGNMENT, wrong, f"Media/{photo['id']}"))
    await clinic.clinic.surface.photos.reassigning.finish(Task(FINISH_REASSIGNMENT, right, f"Media/{new['id']}"))
    await clinic.clinic.surface.photos.reassigning.finish(Task(FINISH_REASSIGNMENT, right, "nothing"))

    assert (await nurse.get(f"/fhir/{new['content']['url']}")).status_code == 200


async def test_one_that_was_destroyed_meanwhile_is_not_there(clinic: InProcess, nurse: Caller, office: Caller) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))
    photos = clinic.mongo[clinic.database]["photos"]
    await photos.update_one({"owner": f"Media/{photo['id']}"}, {"$set": {"state": "condemned"}})

    assert (await moved(nurse, photo, right)).status_code == 404


async def test_one_that_is_deleted_meanwhile_is_not_moved(
    clinic: InProcess, nurse: Caller, office: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))
    pour = clinic.clinic.store.photos.pour

    async def deleting(*arguments: Any) -> Any:
        engine, key = clinic.clinic.engine, ResourceKey("Media", photo["id"])
        asked = Call(Interaction.DELETE, THE_SERVER, clinic.clinic.surface.clock.now(), *key)
        await engine.commit(asked, engine.drafts.of(key, None, await engine.store.read(key)))
        return await pour(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(clinic.clinic.store.photos, "pour", deleting)
        answer = await moved(nurse, photo, right)

    assert answer.status_code == 404


async def test_a_move_that_fails_leaves_no_second_copy(
    clinic: InProcess, nurse: Caller, office: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = await somebody(office), await somebody(office)
    photo = await nurse.store(media(wrong, face()))
    engine = clinic.clinic.engine
    commit = engine.store.commit

    async def failing(changes: Any) -> Any:
        if len(changes) > 1:
            raise UnavailableError
        return await commit(changes)

    with monkeypatch.context() as patched:
        patched.setattr(engine.store, "commit", failing)
        answer = await moved(nurse, photo, right)
    photos = clinic.mongo[clinic.database]["photos"]

    assert answer.status_code == 503
    assert await photos.count_documents({"subjects": right}) == 0
    assert (await moved(nurse, photo, right)).status_code == 201
