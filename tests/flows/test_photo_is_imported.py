"""A photo from another system: kept for care and nothing else, until a new consent names it."""

import pytest

from fhir_server.engine.pictured import IMPORTED, TAGS, UNEVIDENCED
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import care_team
from tests.samples import consent, jpeg, media, patient, published
from tests.unit.media.drawn import face

pytestmark = pytest.mark.anyio

TAGGED: Json = {"tag": [{"system": TAGS, "code": IMPORTED}]}


@pytest.fixture(scope="module")
def mapper(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", client="mapper")


@pytest.fixture(scope="module")
def nurse(clinic: InProcess) -> Caller:
    return clinic.caller("user/*.cruds", fhir_user="Practitioner/importing", role="practitioner", client="tablet")


async def somebody(mapper: Caller) -> str:
    ann = str((await mapper.store(patient()))["id"])
    await mapper.store(care_team(ann, "Practitioner/importing"))
    return ann


async def imported(mapper: Caller, ann: str) -> tuple[str, str]:
    """The paths of Media and bytes; who may not see it is not shown what was made of it either."""
    made = await mapper.post("/fhir/Media", media(ann, jpeg(), meta=TAGGED, createdDateTime="2019-03-01"))
    assert made.status_code == 201, made.text
    return f"/fhir/Media/{read(made)['id']}", f"/fhir/{read(made)['content']['url']}"


async def test_d11_it_comes_without_a_consent_and_says_so(mapper: Caller, nurse: Caller) -> None:
    ann = await somebody(mapper)

    path, _ = await imported(mapper, ann)

    kept = read(await nurse.get(path))
    assert {tag["code"] for tag in kept["meta"]["tag"]} == {IMPORTED, UNEVIDENCED}
    [trail] = read(await mapper.get(f"/fhir/Provenance?target={path[6:]}"))["entry"]
    assert trail["resource"]["activity"]["coding"][0]["code"] == "import"
    again = await nurse.put(path, {**kept, "note": [{"text": "left"}]})
    assert again.status_code == 200
    assert len(read(await mapper.get(f"/fhir/Provenance?target={path[6:]}"))["entry"]) == 1


async def test_d11_care_sees_it_and_nobody_else(clinic: InProcess, mapper: Caller, nurse: Caller) -> None:
    ann = await somebody(mapper)
    _, path = await imported(mapper, ann)
    own = clinic.caller("patient/*.rs", patient=ann, fhir_user=f"Patient/{ann}", role="patient")

    assert (await nurse.get(path)).status_code == 200
    assert (await own.get(path)).status_code == 200
    assert (await mapper.get(path)).status_code == 403


async def test_d11_no_consent_releases_it_but_one_that_names_it(mapper: Caller) -> None:
    ann = await somebody(mapper)
    path, _ = await imported(mapper, ann)
    asked = f"/fhir/Consent/$decide?resource={path[6:]}&purpose=photo-marketing&channel=website&patient={ann}"

    await mapper.store(consent(ann, "photo-marketing", **published()))
    assert await decisions(mapper, asked) == {"deny"}

    named = {"data": [{"meaning": "instance", "reference": {"reference": path[6:]}}]}
    await mapper.store(consent(ann, "photo-marketing", **published(), provision=named))
    assert await decisions(mapper, asked) == {"permit"}


async def decisions(mapper: Caller, path: str) -> set[str]:
    said = [part for one in read(await mapper.get(path))["parameter"] for part in one["part"]]
    return {part["valueCode"] for part in said if part["name"] == "decision"}


async def test_d11_a_refusal_stands_above_it(mapper: Caller, nurse: Caller) -> None:
    ann = await somebody(mapper)
    _, path = await imported(mapper, ann)
    await mapper.store(consent(ann, kind="deny"))

    assert (await nurse.get(path)).status_code == 403
    assert (await mapper.post("/fhir/Media", media(ann, jpeg(), meta=TAGGED))).status_code == 403


async def test_d11_the_tag_is_no_way_round_a_consent(mapper: Caller, nurse: Caller) -> None:
    ann = await somebody(mapper)
    assert (await nurse.post("/fhir/Media", media(ann, jpeg(), meta=TAGGED))).status_code == 403

    await mapper.store(consent(ann))
    taken = await mapper.store(media(ann, jpeg()))
    path, _ = await imported(mapper, ann)
    kept = read(await nurse.get(path))
    tagged = {**taken, "meta": {**taken["meta"], **TAGGED}}
    bare = {**kept, "meta": {"security": kept["meta"]["security"]}}

    assert (await mapper.put(f"/fhir/Media/{taken['id']}", tagged)).status_code == 422
    assert (await nurse.put(path, bare)).status_code == 422


async def test_d11_what_is_made_of_it_is_for_care_as_well_and_for_nobody_else(
    clinic: InProcess, mapper: Caller, nurse: Caller
) -> None:
    ann = await somebody(mapper)
    brought = await mapper.post("/fhir/Media", media(ann, face(), meta=TAGGED, createdDateTime="2019-03-01"))
    path = f"/fhir/Media/{read(brought)['id']}"
    asked: Json = {"resourceType": "Parameters", "parameter": [{"name": "kind", "valueCode": "thumbnail"}]}

    small = read(await nurse.post(f"{path}/$rendition", asked))

    assert {tag["code"] for tag in small["meta"]["tag"]} == {IMPORTED, UNEVIDENCED}
    address = f"/fhir/{small['content']['url']}"
    assert (await nurse.get(address)).status_code == 200
    assert (await mapper.get(address)).status_code == 403
    assert (await mapper.post(f"{path}/$rendition", asked)).status_code == 403
    trail = read(await mapper.get(f"/fhir/Provenance?target=Media/{small['id']}"))["entry"]
    assert [one["resource"]["activity"]["coding"][0]["code"] for one in trail] == ["thumbnail"]
    said = f"/fhir/Consent/$decide?resource=Media/{small['id']}&purpose=photo-marketing&channel=website&patient={ann}"
    await mapper.store(consent(ann, "photo-marketing", **published()))
    assert await decisions(mapper, said) == {"deny"}


async def test_d11_a_rendition_takes_no_photo(mapper: Caller, nurse: Caller) -> None:
    """Nor is it older than the consent that was renewed, nor does an end of treatment take the file away."""
    ann = await somebody(mapper)
    await mapper.store(consent(ann, dateTime="2025-01-02"))
    treated = await mapper.store(consent(ann, "treatment", dateTime="2025-01-02"))
    photo = await nurse.store(media(ann, face(), createdDateTime="2025-06-01"))
    await mapper.store(consent(ann, dateTime="2025-09-01"))
    assert (await mapper.post(f"/fhir/Consent/{treated['id']}/$withdraw")).status_code == 200
    asked: Json = {"resourceType": "Parameters", "parameter": [{"name": "kind", "valueCode": "thumbnail"}]}

    assert (await nurse.post(f"/fhir/Media/{photo['id']}/$rendition", asked)).status_code == 201
