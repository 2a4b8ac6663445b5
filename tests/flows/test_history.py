"""Histories over HTTP: of an instance, a type, the system; in windows and pages; to whom they are shown.

R-FHIR-018, R-SMART-066; https://hl7.org/fhir/R4/http.html#history
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.trail import named, said

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]


@dataclass(frozen=True)
class Grown:
    """A patient of three versions and an end, and the instant of each."""

    id: str
    instants: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"/fhir/Patient/{self.id}"


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module")
async def grown(doctor: Caller) -> Grown:
    """Each version lives for some milliseconds, so that a window tells them apart."""
    instants = []
    stored = await doctor.store(patient("V1"))
    instants.append(stored["meta"]["lastUpdated"])
    for family in ("V2", "V3"):
        await asyncio.sleep(0.005)
        stored = await doctor.store({**patient(family), "id": stored["id"]})
        instants.append(stored["meta"]["lastUpdated"])
    await asyncio.sleep(0.005)
    await doctor.delete(f"/fhir/Patient/{stored['id']}")
    [ended, *_] = entries(await doctor.get(f"/fhir/Patient/{stored['id']}/_history"))
    return Grown(stored["id"], (*instants, ended["response"]["lastModified"]))


def entries(answer: Response) -> list[Json]:
    assert answer.status_code == 200, answer.text
    bundle = read(answer)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
    found: list[Json] = bundle.get("entry", [])
    return found


def versions(answer: Response) -> list[str]:
    return [entry["response"]["etag"].strip('W/"') for entry in entries(answer)]


def following(answer: Response) -> str | None:
    links = {link["relation"]: link["url"] for link in read(answer)["link"]}
    return links.get("next")


async def pages(who: Caller, path: str) -> list[Json]:
    """Every entry behind the links to the next page."""
    found: list[Json] = []
    link: str | None = path
    for _ in range(60):
        assert link is not None
        answer = await who.get(link)
        found += entries(answer)
        link = following(answer)
        if link is None:
            return found
    raise AssertionError("the history never ends")


def labels(found: list[Json]) -> list[tuple[str, str]]:
    return [(entry["fullUrl"], entry["response"]["etag"]) for entry in found]


async def test_r_fhir_018_a_history_tells_each_version_newest_first(
    clinic: InProcess, doctor: Caller, grown: Grown
) -> None:
    answer = await doctor.get(f"{grown.path}/_history")

    found = entries(answer)
    assert read(answer)["total"] == 4
    assert [entry["request"]["method"] for entry in found] == ["DELETE", "PUT", "PUT", "POST"]
    assert [entry["response"]["status"] for entry in found] == ["204", "200", "200", "201"]
    assert [entry["response"]["etag"] for entry in found] == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert [entry["request"]["url"] for entry in found] == [*[f"Patient/{grown.id}"] * 3, "Patient"]
    assert {entry["fullUrl"] for entry in found} == {f"{clinic.base}/Patient/{grown.id}"}
    assert "resource" not in found[0], "a deletion is told without a resource"
    assert [entry["resource"]["name"][0]["family"] for entry in found[1:]] == ["V3", "V2", "V1"]
    assert [entry["resource"]["meta"]["lastUpdated"] for entry in found[1:]] == [*reversed(grown.instants[:3])]


async def test_r_fhir_018_since_takes_in_the_instant_that_it_names(doctor: Caller, grown: Grown) -> None:
    for number, instant in enumerate(grown.instants):
        query = urlencode({"_since": instant})
        assert versions(await doctor.get(f"{grown.path}/_history?{query}")) == ["4", "3", "2", "1"][: 4 - number]
    assert versions(await doctor.get(f"{grown.path}/_history?_since=2199-01-01T00:00:00Z")) == []


async def test_r_fhir_018_a_time_zone_is_understood_raw_and_encoded(doctor: Caller, grown: Grown) -> None:
    for written in ("2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00%2B02:00", "2020-01-01T00:00:00Z"):
        assert len(versions(await doctor.get(f"{grown.path}/_history?_since={written}"))) == 4


async def test_r_fhir_018_at_gives_what_was_current_then(doctor: Caller, grown: Grown) -> None:
    for number, instant in enumerate(grown.instants[1:], start=2):
        found = versions(await doctor.get(f"{grown.path}/_history?{urlencode({'_at': instant})}"))
        assert found[0] == str(number)
        assert set(found) <= {str(number), str(number - 1)}, "at most what it took over from in that millisecond"
    assert versions(await doctor.get(f"{grown.path}/_history?_at=2199")) == ["4"]
    assert versions(await doctor.get(f"{grown.path}/_history?_at=2001")) == []
    whole_day = grown.instants[0][:10]
    assert "1" in versions(await doctor.get(f"{grown.path}/_history?_at={whole_day}"))


@pytest.mark.parametrize(
    "query",
    [
        *("_count=0", "_count=-1", "_count=x", "_count=", "_since=2026", "_since=yesterday", "_at=never", "_at="),
        *("_sort=_lastUpdated", "name=x", "_page=forged", "_since=2026-13-45T00:00:00Z", "_count=%D9%A3"),
    ],
)
async def test_r_fhir_018_what_a_history_does_not_take_is_400(
    clinic: InProcess, doctor: Caller, grown: Grown, query: str
) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await doctor.get(f"{grown.path}/_history?{query}", Prefer="handling=lenient")

    assert answer.status_code == 400, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert said(recorded.only)[1] == "4"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
async def test_r_fhir_018_pages_of_any_size_are_the_whole_in_order(doctor: Caller, grown: Grown, size: int) -> None:
    found = await pages(doctor, f"{grown.path}/_history?_count={size}")

    assert [entry["response"]["etag"] for entry in found] == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']


async def test_r_fhir_018_pages_stay_the_same_while_others_write(doctor: Caller) -> None:
    since = (await doctor.store(patient("Begin")))["meta"]["lastUpdated"]
    stored = [await doctor.store({**patient("Paged"), "id": f"paged-{number}"}) for number in range(7)]
    whole = labels(await pages(doctor, f"/fhir/Patient/_history?{urlencode({'_since': since})}"))

    first = await doctor.get(f"/fhir/Patient/_history?{urlencode({'_since': since, '_count': '3'})}")
    await doctor.store({**patient("Later"), "id": stored[0]["id"]})
    await doctor.delete(f"/fhir/Patient/{stored[1]['id']}")
    await doctor.store(patient("New"))
    link = following(first)
    assert link is not None

    assert labels(entries(first)) + labels(await pages(doctor, link)) == whole


async def test_r_fhir_018_the_link_is_sealed_and_good_for_its_caller_alone(
    clinic: InProcess, doctor: Caller, grown: Grown
) -> None:
    link = following(await doctor.get(f"{grown.path}/_history?_count=1"))
    assert link is not None
    [sealed] = parse_qs(urlsplit(link).query)["_page"]
    middle = len(sealed) // 2
    forged = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]

    assert grown.id not in sealed
    assert (await clinic.caller(client="another").get(link)).status_code == 400
    assert (await doctor.get(f"{grown.path}/_history?_page={forged}")).status_code == 400
    assert (await doctor.get(f"/fhir/Patient/_history?_page={sealed}")).status_code == 400
    assert (await doctor.get(f"/fhir/Patient?_page={sealed}")).status_code == 400
    assert (await doctor.get(f"/fhir/Patient/other/_history?_page={sealed}")).status_code == 400


async def test_r_fhir_018_a_type_and_the_system_tell_of_several_resources(doctor: Caller) -> None:
    person = await doctor.store(patient("Told"))
    since = person["meta"]["lastUpdated"]
    seen = await doctor.store(observation(person["id"]))
    await doctor.delete(f"/fhir/Observation/{seen['id']}")
    query = urlencode({"_since": since})

    of_type = entries(await doctor.get(f"/fhir/Observation/_history?{query}"))
    of_all = entries(await doctor.get(f"/fhir/_history?{query}"))

    assert {urlsplit(entry["fullUrl"]).path.split("/")[-2] for entry in of_type} == {"Observation"}
    mine = [entry for entry in of_type if entry["fullUrl"].endswith(seen["id"])]
    assert [entry["request"]["method"] for entry in mine] == ["DELETE", "POST"]
    assert {person["id"], seen["id"]} <= {entry["fullUrl"].rpartition("/")[2] for entry in of_all}
    assert labels(of_type) == [one for one in labels(of_all) if "/Observation/" in one[0]]


async def test_r_fhir_018_what_never_was_is_404(clinic: InProcess, doctor: Caller) -> None:
    for path in ("Patient/never-was", "Nothing/1", "Patient/a b"):
        async with clinic.trail.recording() as recorded:
            answer = await doctor.get(f"/fhir/{path}/_history")
        assert answer.status_code == 404, path
        assert said(recorded.only)[1] == "4"
    assert (await doctor.get("/fhir/Nothing/_history")).status_code == 404


async def test_r_fhir_018_an_empty_window_of_what_is_known_is_no_404(doctor: Caller, grown: Grown) -> None:
    answer = await doctor.get(f"{grown.path}/_history?_since=2199-01-01T00:00:00Z")

    assert entries(answer) == []
    assert read(answer)["total"] == 0


@pytest.mark.parametrize("path", ["{path}/_history", "/fhir/Patient/_history?_count=3", "/fhir/_history?_count=3"])
async def test_a_history_is_recorded_with_the_patients_that_it_showed(
    clinic: InProcess, doctor: Caller, path: str
) -> None:
    stored = await doctor.store(patient("Recorded"))

    async with clinic.trail.recording() as recorded:
        await doctor.get(path.format(path=f"/fhir/Patient/{stored['id']}"))

    assert {said(event)[1] for event in recorded.events} == {"0"}
    assert all("history" in said(event)[0] for event in recorded.events)
    told = {name.split("/_history")[0] for event in recorded.events for name in named(event)}
    assert f"Patient/{stored['id']}" in told


async def test_r_smart_066_a_version_that_named_another_patient_is_hidden(clinic: InProcess, doctor: Caller) -> None:
    """As it was then, and as it is now: whoever is named by one of the two alone sees neither."""
    before, after = [(await doctor.store(patient()))["id"] for _ in range(2)]
    moved = await doctor.store(observation(before))
    await doctor.store({**observation(after), "id": moved["id"]})
    path = f"/fhir/Observation/{moved['id']}/_history"

    assert versions(await doctor.get(path)) == ["2", "1"]
    assert versions(await clinic.caller("patient/*.rs", patient=after).get(path)) == ["2"]
    assert (await clinic.caller("patient/*.rs", patient=before).get(path)).status_code == 404
    for whole in ("/fhir/Observation/_history", "/fhir/_history"):
        assert moved["id"] not in (await clinic.caller("patient/*.rs", patient=before).get(whole)).text


async def test_r_smart_066_a_patient_sees_the_own_file_alone(clinic: InProcess, doctor: Caller) -> None:
    mine, other = [(await doctor.store(patient()))["id"] for _ in range(2)]
    seen = await doctor.store(observation(mine))
    await doctor.delete(f"/fhir/Observation/{seen['id']}")
    await doctor.store(observation(other))
    own = clinic.caller("patient/*.rs", patient=mine)

    found = await pages(own, "/fhir/_history?_count=2")

    told = {tuple(entry["fullUrl"].split("/")[-2:]) for entry in found}
    assert {("Patient", mine), ("Observation", seen["id"])} <= told
    assert other not in str(found)
    assert (await own.get(f"/fhir/Patient/{other}/_history")).status_code == 404


async def test_r_smart_066_the_letters_of_a_scope_decide(clinic: InProcess, grown: Grown) -> None:
    reader, searcher = clinic.caller("system/Patient.r"), clinic.caller("system/Patient.s")

    assert (await reader.get(f"{grown.path}/_history")).status_code == 200
    assert (await reader.get("/fhir/Patient/_history")).status_code == 403
    assert (await searcher.get("/fhir/Patient/_history")).status_code == 200
    assert (await searcher.get(f"{grown.path}/_history")).status_code == 403
    assert (await clinic.caller("system/Observation.rs").get(f"{grown.path}/_history")).status_code == 403
    assert (await clinic.stranger.get(f"{grown.path}/_history")).status_code == 401


async def test_a_photo_without_a_basis_has_no_history_that_is_shown(clinic: InProcess, doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    photo = await doctor.store(media(person, jpeg()))
    own = clinic.caller("patient/*.rs", patient=person)
    whole = ("/fhir/Media/_history", "/fhir/_history")
    assert versions(await own.get(f"/fhir/Media/{photo['id']}/_history")) == ["1"]
    for path in whole:
        assert photo["id"] in (await own.get(path)).text

    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    for path in whole:
        assert f"Media/{photo['id']}" not in str(labels(entries(await own.get(path))))
    answer = await own.get(f"/fhir/Media/{photo['id']}/_history")
    assert answer.status_code in {403, 404}
    assert photo["content"]["url"] not in answer.text


def observation(patient_id: str) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Skin type"},
        "subject": {"reference": f"Patient/{patient_id}"},
    }
