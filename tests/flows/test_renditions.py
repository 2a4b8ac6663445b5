"""Renditions, comparisons, the timeline: what is made of photos has its own key, decision and Provenance."""

from io import BytesIO
from typing import Any

import pytest
from httpx2 import Response
from PIL import Image, ImageStat

from fhir_server.engine.pictured import TAGS
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import (
    COMPARABILITY,
    DERIVED_FROM,
    LIGHTING,
    MASKED,
    RENDITION,
    SERIES,
    SIMULATED,
    TIMEPOINT,
)
from tests.clinics import Caller, InProcess, read
from tests.people import staff
from tests.samples import consent, media, patient
from tests.unit.media import coded
from tests.unit.media.drawn import face, portrait
from tests.unit.media.pictures import png, png_chunk

pytestmark = pytest.mark.anyio

FRONT = {"coding": [{"system": "urn:test", "code": "front"}]}
TRIANGLE = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
SIDE = {"coding": [{"system": "urn:test", "code": "left"}]}


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller(fhir_user="Practitioner/drawing")


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    await doctor.store({"resourceType": "Practitioner", "id": "drawing"})
    stored = await doctor.store(patient())
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


def concept(url: str, code: str) -> Json:
    return {"url": url, "valueCodeableConcept": {"coding": [{"system": "urn:test", "code": code}]}}


async def taken(doctor: Caller, person: str, data: bytes | None = None, **more: Any) -> Json:
    return await doctor.store(media(person, data or face(), view=FRONT, **more))


async def asked(doctor: Caller, photo: Json, *parameters: Json, operation: str = "rendition") -> Response:
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    return await doctor.post(f"/fhir/Media/{photo['id']}/${operation}", body)


def kind(code: str) -> Json:
    return {"name": "kind", "valueCode": code}


def area(**edges: int) -> Json:
    return {"name": "area", "part": [{"name": name, "valueInteger": value} for name, value in edges.items()]}


async def picture(doctor: Caller, photo: Json) -> Image.Image:
    answer = await doctor.get(f"/fhir/{photo['content']['url']}")
    assert answer.status_code == 200
    return Image.open(BytesIO(answer.content))


def extension(photo: Json, url: str) -> list[Any]:
    found = [one for one in photo["extension"] if one["url"] == url]
    return [value for one in found for name, value in one.items() if name != "url"]


@pytest.mark.parametrize(("code", "longest"), [("thumbnail", 256), ("screen", 800)])
async def test_b1_s15_a_rendition_is_a_media_with_its_own_photo(
    doctor: Caller, person: str, code: str, longest: int
) -> None:
    original = await taken(doctor, person, createdDateTime="2026-03-01")

    answer = await asked(doctor, original, kind(code))
    made = read(answer)

    assert answer.status_code == 201
    assert max((await picture(doctor, made)).size) == longest
    assert made["content"]["url"] != original["content"]["url"]
    assert (made["subject"], made["view"], made["createdDateTime"]) == (original["subject"], FRONT, "2026-03-01")
    assert extension(made, RENDITION) == [code]
    assert extension(made, DERIVED_FROM) == [{"reference": f"Media/{original['id']}/_history/1"}]


async def test_m14_a_rendition_has_a_provenance_from_the_same_commit(doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)

    made = read(await asked(doctor, original, kind("thumbnail")))
    found = read(await doctor.get(f"/fhir/Provenance?target=Media/{made['id']}"))

    [provenance] = [entry["resource"] for entry in found["entry"]]
    assert provenance["entity"] == [{"role": "derivation", "what": {"reference": f"Media/{original['id']}/_history/1"}}]
    assert provenance["agent"][0]["who"] == {"reference": "Practitioner/drawing"}


async def test_t_62_a_thumbnail_is_shown_to_nobody_who_may_not_see_the_photo(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    original = await taken(doctor, person)
    made = read(await asked(doctor, original, kind("thumbnail")))

    for role, status in {"practitioner": 404, "receptionist": 403, "administrator": 403}.items():
        for one in (original, made):
            for path in (f"Media/{one['id']}", one["content"]["url"]):
                assert (await staff(clinic, role).get(f"/fhir/{path}")).status_code == status, (role, path)


async def test_each_rendition_has_a_key_of_its_own(clinic: InProcess, doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)
    made = [read(await asked(doctor, original, kind(code))) for code in ("thumbnail", "screen")]

    rows = clinic.mongo[clinic.database]["photos"]
    ids = [one["content"]["url"].removeprefix("Binary/") for one in (original, *made)]
    keys = {row["key"] async for row in rows.find({"_id": {"$in": ids}})}

    assert len(keys) == 3


async def test_m1_s110_a_withdrawal_closes_every_rendition(clinic: InProcess, doctor: Caller) -> None:
    somebody = (await doctor.store(patient()))["id"]
    agreed = await doctor.store(consent(somebody))
    original = await taken(doctor, somebody)
    made = read(await asked(doctor, original, kind("thumbnail")))
    await doctor.post(f"/fhir/Consent/{agreed['id']}/$withdraw")

    shown = await doctor.get(f"/fhir/{made['content']['url']}")
    again = await asked(doctor, original, kind("thumbnail"))

    assert shown.status_code in {403, 404, 410}
    assert again.status_code in {403, 404, 410}


async def test_m15_what_is_covered_cannot_be_worked_out_again(doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)

    made = read(await asked(doctor, original, kind("anonymised"), area(left=150, top=300, width=300, height=80)))
    shown = await picture(doctor, made)

    assert all(high - low <= 6 for low, high in ImageStat.Stat(shown.crop((158, 308, 442, 372))).extrema)
    assert extension(made, MASKED) == ["150,300,300,80"]


async def test_only_a_practitioner_approves_what_is_covered(clinic: InProcess, doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)
    service = clinic.caller()

    answer = await asked(service, original, kind("anonymised"), area(left=1, top=1, width=9, height=9))

    assert answer.status_code == 403


async def test_a_watermark_is_written_across_the_picture(doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)

    plain = await picture(doctor, read(await asked(doctor, original, kind("screen"))))
    made = read(await asked(doctor, original, kind("watermarked"), {"name": "text", "valueString": "Clinic 7"}))
    marked = await picture(doctor, made)

    assert plain.size == marked.size
    assert plain.tobytes() != marked.tobytes()


async def test_a_service_that_is_no_person_is_named_by_its_token(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    original = await taken(doctor, person)

    made = read(await asked(clinic.caller(client="camera"), original, kind("thumbnail")))
    found = read(await doctor.get(f"/fhir/Provenance?target=Media/{made['id']}"))

    assert found["entry"][0]["resource"]["agent"][0]["who"]["identifier"]["value"] == "camera"


SIMULATION = {"tag": [{"system": TAGS, "code": SIMULATED}]}


async def test_s5_s81_a_simulation_never_passes_for_a_result(doctor: Caller, person: str) -> None:
    simulation = await taken(doctor, person, meta=SIMULATION)
    photo = await taken(doctor, person)

    result = await doctor.post(
        "/fhir/Media", media(person, face(), meta=SIMULATION, extension=[concept(TIMEPOINT, "after")])
    )
    untagged = await doctor.put(
        f"/fhir/Media/{simulation['id']}", {**simulation, "meta": {"security": simulation["meta"]["security"]}}
    )
    compared = await asked(
        doctor,
        photo,
        {"name": "other", "valueReference": {"reference": f"Media/{simulation['id']}"}},
        operation="compare",
    )
    made = read(await asked(doctor, simulation, kind("screen")))

    assert (result.status_code, untagged.status_code, compared.status_code) == (422, 422, 422)
    assert made["meta"]["tag"][0]["code"] == SIMULATED
    assert (await picture(doctor, made)).tobytes() != (await picture(doctor, photo)).tobytes()


async def test_s2_s88_a_photo_is_restricted_and_its_label_is_not_lowered(doctor: Caller, person: str) -> None:
    stored = await taken(doctor, person)
    [label] = stored["meta"]["security"]

    gone = await doctor.put(f"/fhir/Media/{stored['id']}", {**stored, "meta": {}})
    lowered = await doctor.put(
        f"/fhir/Media/{stored['id']}", {**stored, "meta": {"security": [{**label, "code": "N"}]}}
    )
    stricter = await doctor.put(
        f"/fhir/Media/{stored['id']}", {**stored, "meta": {"security": [{**label, "code": "V"}]}}
    )

    assert label["code"] == "R"
    assert (gone.status_code, lowered.status_code, stricter.status_code) == (422, 422, 200)


BAD: dict[str, tuple[list[Json], int]] = {
    "no kind": ([], 422),
    "another kind": ([kind("beautified")], 422),
    "two kinds": ([kind("screen"), kind("thumbnail")], 422),
    "an unknown parameter": ([kind("screen"), {"name": "size", "valueInteger": 9}], 400),
    "no area": ([kind("anonymised")], 422),
    "an area without a width": ([kind("anonymised"), area(left=1, top=1, height=1)], 422),
    "an area in words": ([kind("anonymised"), {"name": "area", "part": [{"name": "left", "valueString": "1"}]}], 422),
    "an area outside": ([kind("anonymised"), area(left=1, top=1, width=9_000, height=9)], 422),
    "an empty area": ([kind("anonymised"), area(left=1, top=1, width=0, height=9)], 422),
    "no text": ([kind("watermarked")], 422),
    "a long text": ([kind("watermarked"), {"name": "text", "valueString": "x" * 61}], 422),
}


@pytest.mark.parametrize("why", BAD)
async def test_a_rendition_that_cannot_be_is_refused(clinic: InProcess, doctor: Caller, person: str, why: str) -> None:
    parameters, status = BAD[why]
    original = await taken(doctor, person)
    before = await clinic.counts()

    answer = await asked(doctor, original, *parameters)

    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert await clinic.counts() == before


async def test_what_cannot_be_drawn_has_no_rendition(doctor: Caller, person: str) -> None:
    model = await doctor.store(media(person, TRIANGLE))
    damaged = await doctor.store(media(person, png(pixels=png_chunk(b"IDAT", b"no zlib"))))
    bare = await doctor.store({**media(person, b""), "status": "preparation", "content": {"title": "to come"}})

    shape = await asked(doctor, model, kind("screen"))

    assert (shape.status_code, shape.json()["issue"][0]["code"]) == (422, "not-supported")
    assert (await asked(doctor, damaged, kind("screen"))).status_code == 422
    assert (await asked(doctor, bare, kind("screen"))).status_code == 404


async def test_parameters_are_parameters(doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)

    assert (await doctor.post(f"/fhir/Media/{original['id']}/$rendition", patient())).status_code == 400
    assert (
        await asked(doctor, original, {"name": "other", "valueString": "Media/1"}, operation="compare")
    ).status_code == 422


async def test_t19_m8_before_and_after_stand_side_by_side_with_a_score(doctor: Caller, person: str) -> None:
    after = await taken(
        doctor, person, face(lines=1), createdDateTime="2026-04-01", extension=[concept(LIGHTING, "ring")]
    )
    before = await taken(doctor, person, createdDateTime="2026-03-01", extension=[concept(LIGHTING, "ring")])

    answer = await asked(
        doctor, after, {"name": "other", "valueReference": {"reference": f"Media/{before['id']}"}}, operation="compare"
    )

    assert answer.status_code == 200, answer.text
    found = {one["name"]: one["resource"] for one in read(answer)["parameter"]}
    shown = await picture(doctor, found["comparison"])
    assert shown.size == (1216, 800)
    assert extension(found["comparison"], RENDITION) == ["comparison"]
    assert [one["reference"] for one in extension(found["comparison"], DERIVED_FROM)] == [
        f"Media/{before['id']}/_history/1",
        f"Media/{after['id']}/_history/1",
    ]
    score = found["comparability"]
    assert score["code"]["coding"][0]["system"] == COMPARABILITY
    assert 80 <= score["valueQuantity"]["value"] <= 100
    assert {one["reference"] for one in score["derivedFrom"]} == {f"Media/{before['id']}", f"Media/{after['id']}"}
    assert read(await doctor.get(f"/fhir/Observation/{score['id']}"))["status"] == "final"


async def test_t10_t16_a_comparison_across_views_sites_or_patients_is_refused(doctor: Caller, person: str) -> None:
    other = (await doctor.store(patient()))["id"]
    await doctor.store(consent(other))
    lip, chin = {"text": "lip"}, {"text": "chin"}
    one = await taken(doctor, person, bodySite=lip)
    others = [
        await doctor.store(media(person, face(), view=SIDE)),
        await doctor.store(media(person, face())),
        await taken(doctor, person, bodySite=chin),
        await taken(doctor, other),
    ]

    for second in others:
        reference = {"name": "other", "valueReference": {"reference": f"Media/{second['id']}"}}
        assert (await asked(doctor, one, reference, operation="compare")).status_code == 422


async def test_t16_t63_the_timeline_has_one_patients_photos_in_their_order(doctor: Caller) -> None:
    somebody = (await doctor.store(patient()))["id"]
    await doctor.store(consent(somebody))
    series = {"url": SERIES, "valueIdentifier": {"system": "urn:test", "value": "s1"}}
    late = await taken(
        doctor, somebody, createdDateTime="2026-04-01T08:00:00+02:00", extension=[concept(TIMEPOINT, "after"), series]
    )
    early = await taken(doctor, somebody, createdDateTime="2026-04-01T07:00:00+03:00")
    undated = await doctor.store(media(somebody, face(), view=SIDE))
    await asked(doctor, late, kind("thumbnail"))

    async def order(**wanted: str) -> list[str]:
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in wanted.items())
        answer = await doctor.get(f"/fhir/Media/$timeline?patient={somebody}&{query}".rstrip("&"))
        assert answer.status_code == 200, answer.text
        return [entry["resource"]["id"] for entry in read(answer).get("entry", [])]

    assert await order() == [early["id"], late["id"], undated["id"]]
    assert await order(view="front") == [early["id"], late["id"]]
    assert await order(timepoint="after") == [late["id"]]
    assert await order(series="s1") == [late["id"]]
    assert await order(body_site="lip") == []
    assert (await doctor.get("/fhir/Media/$timeline")).status_code == 400
    assert (await doctor.get(f"/fhir/Media/$timeline?patient={somebody}&patient=x")).status_code == 400


async def test_t12_a_parameter_of_the_protocol_has_its_kind_of_value(doctor: Caller, person: str) -> None:
    wrong = [
        {"url": TIMEPOINT, "valueString": "before"},
        concept(TIMEPOINT, "someday"),
        {"url": SERIES, "valueString": "s1"},
    ]
    for extension in ([wrong[0]], [wrong[1]], [wrong[2]], [concept(LIGHTING, "a"), concept(LIGHTING, "b")]):
        answer = await doctor.post("/fhir/Media", media(person, face(), extension=extension))
        assert answer.status_code == 422


async def test_an_operation_that_the_role_lacks_is_refused(clinic: InProcess, doctor: Caller, person: str) -> None:
    original = await taken(doctor, person)
    reader = clinic.caller("patient/*.rs", patient=person, role="patient")

    for answer in (
        await asked(reader, original, kind("screen")),
        await asked(
            reader, original, {"name": "other", "valueReference": {"reference": "Media/1"}}, operation="compare"
        ),
    ):
        assert answer.status_code == 403
    assert (await asked(doctor, original, kind("beautified"))).status_code == 422


async def test_a_file_that_is_too_long_to_be_opened_has_no_rendition(
    doctor: Caller, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = await taken(doctor, person)
    monkeypatch.setattr("fhir_server.media.renditions.MOST_BYTES", original["content"]["size"] - 1)

    assert (await asked(doctor, original, kind("thumbnail"))).status_code == 422


@pytest.mark.parametrize("data", [coded.HEIC, coded.VIDEO], ids=["heic", "video"])
async def test_heic_and_video_are_drawn_as_pictures(doctor: Caller, person: str, data: bytes) -> None:
    for library in ("pi_heif", "cv2"):
        pytest.importorskip(library, reason="The extra `pictures` is not installed.")
    original = await doctor.store(media(person, data))

    made = read(await asked(doctor, original, kind("thumbnail")))

    assert made["content"]["contentType"] == "image/jpeg"
    assert (await picture(doctor, made)).size == (64, 48)


async def test_faces_are_proposed_nothing_is_kept_and_a_practitioner_approves_the_area(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    pytest.importorskip("cv2", reason="The extra `pictures` is not installed.")
    original = await taken(doctor, person, portrait())
    before = await clinic.counts()

    proposal = read(await asked(doctor, original, operation="propose-areas"))
    kept = await clinic.counts()
    assert proposal["resourceType"] == "Parameters", proposal
    proposed = proposal["parameter"][0]
    service = await asked(clinic.caller(), original, kind("anonymised"), proposed)
    made = read(await asked(doctor, original, kind("anonymised"), proposed))

    assert kept == before
    assert service.status_code == 403
    edges = [str(part["valueInteger"]) for part in proposed["part"]]
    assert extension(made, MASKED) == [",".join(edges)]


async def test_a_proposal_takes_no_parameters_and_needs_the_same_basis(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    original = await taken(doctor, person)

    unknown = await asked(doctor, original, kind("thumbnail"), operation="propose-areas")
    blind = await clinic.caller("system/Patient.rs").post(f"/fhir/Media/{original['id']}/$propose-areas")

    assert (unknown.status_code, blind.status_code) == (400, 403)
