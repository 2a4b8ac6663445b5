"""What a withdrawal leaves of a picture that stood in no Media: nothing; and of what carried it: the rest."""

import pytest

from fhir_server.crypto.keys import KeyId
from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import shows_photo
from tests.clinics import Caller, InProcess, read
from tests.flows.test_pictures_elsewhere import LARGE, SMALL, holders, letter, somebody
from tests.flows.withdrawals import statement, until_done
from tests.samples import consent

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def back_end(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", client="archive")


async def receipt(clinic: InProcess, back_end: Caller, ann: str) -> Json:
    answer = read(await back_end.get(f"/fhir/DocumentReference?subject=Patient/{ann}&status=current"))
    found = [entry["resource"] for entry in answer["entry"] if entry["resource"]["id"].startswith("receipt-")]
    return await statement(clinic, found[-1])


KINDS = sorted(holders("x", SMALL))


@pytest.mark.parametrize(
    ("kind", "data"),
    [*((kind, SMALL) for kind in KINDS), ("document", LARGE), ("patient", LARGE)],
    ids=[*KINDS, "large-document", "large-patient"],
)
async def test_s_84_it_is_destroyed_in_every_version_and_the_rest_stays(
    clinic: InProcess, back_end: Caller, kind: str, data: bytes
) -> None:
    ann = await somebody(back_end)
    given = await back_end.store(consent(ann))
    stored = await back_end.store(holders(ann, data)[kind])
    reference = f"{stored['resourceType']}/{stored['id']}"
    version = int(stored["meta"]["versionId"])
    [picture] = await clinic.clinic.store.holdings.pictures(ann)
    assert (str(picture.resource), picture.current) == (reference, True)

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
    await until_done(clinic)

    shown = await back_end.get(f"/fhir/{reference}", Accept="application/fhir+json")
    assert shown.status_code == 200
    assert not await shows_photo(read(shown))
    assert "data-absent-reason" in shown.text
    assert (await back_end.get(f"/fhir/{reference}/_history/{version}")).status_code in {404, 410}
    assert await clinic.clinic.keyring.open_keys([KeyId(picture.key)]) == {}
    assert await clinic.clinic.store.holdings.pictures(ann) == []
    [destroyed] = (await receipt(clinic, back_end, ann))["destroyed"]
    assert (destroyed["photo"], destroyed["carriedBy"]) == ("within", reference)
    assert destroyed["key"] == picture.key.hex()


async def test_s_84_what_a_later_version_left_out_goes_as_well(clinic: InProcess, back_end: Caller) -> None:
    ann = await somebody(back_end)
    given = await back_end.store(consent(ann))
    stored = await back_end.store(letter(ann, SMALL))
    path = f"/fhir/DocumentReference/{stored['id']}"
    await back_end.put(path, {**letter(ann, b"%PDF-1.7" + bytes(99)), "id": stored["id"]})
    [picture] = await clinic.clinic.store.holdings.pictures(ann)
    assert not picture.current
    assert picture.key in {held.key for held in await clinic.clinic.store.holdings.of(ann)}, "an erasure finds it"

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
    await until_done(clinic)

    assert read(await back_end.get(path))["meta"]["versionId"] == "2", "nothing was in it"
    assert (await back_end.get(f"{path}/_history/1")).status_code in {404, 410}
    assert len((await receipt(clinic, back_end, ann))["destroyed"]) == 1


async def test_s_84_a_picture_of_two_goes_with_the_consent_of_one(clinic: InProcess, back_end: Caller) -> None:
    ann, ben = await somebody(back_end), await somebody(back_end)
    given, _ = await back_end.store(consent(ann)), await back_end.store(consent(ben))
    stored = await back_end.store(letter(ann, SMALL, context={"related": [{"reference": f"Patient/{ben}"}]}))

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
    await until_done(clinic)

    assert not await shows_photo(read(await back_end.get(f"/fhir/DocumentReference/{stored['id']}")))
    assert await clinic.clinic.store.holdings.pictures(ben) == []


async def test_s_84_it_stays_where_another_consent_covers_it(clinic: InProcess, back_end: Caller) -> None:
    ann = await somebody(back_end)
    given = await back_end.store(consent(ann))
    kept = await back_end.store({**consent(ann), "dateTime": given["dateTime"]})
    stored = await back_end.store(letter(ann, SMALL))

    await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
    await until_done(clinic)

    said = await receipt(clinic, back_end, ann)
    assert [one["because"].split("/_history/")[0] for one in said["kept"]] == [f"Consent/{kept['id']}"]
    assert await shows_photo(read(await back_end.get(f"/fhir/DocumentReference/{stored['id']}")))
