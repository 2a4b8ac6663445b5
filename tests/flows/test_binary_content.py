"""A Binary in its own format: stored as it is, given whole, by range, by HEAD, or as the resource that it is.

https://hl7.org/fhir/R4/binary.html#rest; RFC 9110 sections 12 to 14.
"""

import base64
import secrets
from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

PDF = "application/pdf"
SMALL = b"%PDF-1.7 small"
LARGE = b"%PDF-1.7\n" + secrets.token_bytes(1_500_000)


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


def binary(data: bytes, line: int = 0, **more: Any) -> Json:
    text = base64.b64encode(data).decode()
    lines = "\r\n".join(text[at : at + line] for at in range(0, len(text), line)) if line else text
    return {"resourceType": "Binary", "contentType": PDF, "data": lines, **more}


async def stored(doctor: Caller, data: bytes, line: int = 0) -> str:
    return f"/fhir/Binary/{(await doctor.store(binary(data, line)))['id']}"


KINDS = [(SMALL, 0), (SMALL, 8), (LARGE, 0), (LARGE, 76)]


@pytest.mark.parametrize(("data", "line"), KINDS)
async def test_it_is_given_in_its_own_format(doctor: Caller, data: bytes, line: int) -> None:
    path = await stored(doctor, data, line)

    for accept in ("*/*", PDF, "application/*", "image/png", f"{PDF}, {FHIR_JSON};q=0.5"):
        answer = await doctor.get(path, Accept=accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, PDF)
        assert answer.content == data
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize(("data", "line"), KINDS)
async def test_it_is_a_resource_for_whoever_names_fhir(doctor: Caller, data: bytes, line: int) -> None:
    path = await stored(doctor, data, line)

    wanted = [
        await doctor.get(path, Accept=accept)
        for accept in (FHIR_JSON, "application/json", f"{FHIR_JSON}, */*", f"{PDF};q=0.2, {FHIR_JSON};q=0.9")
    ]
    wanted += [await doctor.get(f"{path}?_format=json"), await doctor.get(f"{path}/_history/1")]

    for answer in wanted:
        assert answer.headers["content-type"] == FHIR_JSON
        assert answer.headers.get("vary") == "Accept" or "/_history/" in str(answer.url)
        assert {**read(answer), "id": "", "meta": {}} == {**binary(data, line), "id": "", "meta": {}}


async def test_a_format_of_fhir_that_is_not_spoken_is_refused(doctor: Caller) -> None:
    path = await stored(doctor, SMALL)

    for answer in (await doctor.get(path, Accept="application/fhir+xml"), await doctor.get(f"{path}?_format=xml")):
        assert (answer.status_code, read(answer)["issue"][0]["code"]) == (406, "not-supported")
    assert (await doctor.get(path, Accept="application/fhir+xml, */*;q=0.1")).content == SMALL
    assert (await doctor.get(f"{path}?_format=application/pdf", Accept=FHIR_JSON)).content == SMALL


RANGES = [("0-0", 0, 1), ("5-9", 5, 10), ("-4", -4, None), ("3-", 3, None), ("2-99999999", 2, None)]


@pytest.mark.parametrize(("data", "line"), KINDS)
async def test_a_range_is_that_part_of_it(doctor: Caller, data: bytes, line: int) -> None:
    path = await stored(doctor, data, line)

    for asked, start, stop in [*RANGES, ("700000-700099", 700_000, 700_100), ("262143-262145", 262_143, 262_146)]:
        answer = await doctor.get(path, Range=f"bytes={asked}")
        part = data[start:stop]
        first = start % len(data)
        if start >= len(data):
            assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(data)}")
            continue
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        assert answer.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("data", [SMALL, LARGE])
async def test_a_range_is_ignored_where_it_cannot_be_one(doctor: Caller, data: bytes) -> None:
    path = await stored(doctor, data)

    for asked in ("bytes=0-1,4-5", "bytes=9-3", "items=0-3", "bytes=-", "0-3"):
        assert (await doctor.get(path, Range=asked)).status_code == 200
    as_resource = await doctor.get(path, Range="bytes=0-3", Accept=FHIR_JSON)
    assert (as_resource.status_code, read(as_resource)["resourceType"]) == (200, "Binary")


async def test_a_range_of_another_version_is_the_whole(doctor: Caller) -> None:
    path = await stored(doctor, LARGE)
    first = await doctor.get(path, Range="bytes=0-9")
    await doctor.put(path, binary(SMALL, id=path.rpartition("/")[2]))

    for validator in (first.headers["etag"], 'W/"2"', '"', "Sat, 01 Jan 2000 00:00:00 GMT"):
        answer = await doctor.get(path, Range="bytes=10-", If_Range=validator)
        assert (answer.status_code, answer.content) == (200, SMALL)
    now = await doctor.get(path)
    for validator in (now.headers["etag"], now.headers["last-modified"]):
        assert (await doctor.get(path, Range="bytes=10-", If_Range=validator)).status_code == 206


@pytest.mark.parametrize(("data", "line"), KINDS)
async def test_head_says_what_get_would_give_without_the_bytes(doctor: Caller, data: bytes, line: int) -> None:
    path = await stored(doctor, data, line)

    for headers in ({}, {"Range": "bytes=1-5"}, {"Accept": FHIR_JSON}, {"If_None_Match": '"1"'}):
        get, head = await doctor.get(path, **headers), await doctor.ask("HEAD", path, **headers)
        assert (head.status_code, head.content) == (get.status_code, b"")
        drop = {"x-request-id"}
        assert {n: v for n, v in head.headers.items() if n not in drop} == {
            n: v for n, v in get.headers.items() if n not in drop
        }


async def test_who_has_it_is_not_sent_it_again(doctor: Caller) -> None:
    path = await stored(doctor, LARGE)
    got = await doctor.get(path)

    for headers in (
        {"If_None_Match": got.headers["etag"]},
        {"If_None_Match": f'"7", W/{got.headers["etag"]}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": got.headers["last-modified"]},
    ):
        answer = await doctor.get(path, **headers)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", got.headers["etag"])
    for headers in (
        {"If_None_Match": '"7"'},
        {"If_None_Match": '"7"', "If_Modified_Since": got.headers["last-modified"]},
        {"If_Modified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If_Modified_Since": "yesterday"},
    ):
        assert (await doctor.get(path, **headers)).status_code == 200


@pytest.mark.parametrize("data", [SMALL, LARGE])
async def test_content_is_stored_as_it_is(doctor: Caller, data: bytes) -> None:
    made = await doctor.post("/fhir/Binary", data, Content_Type=PDF)

    assert made.status_code == 201, made.text[:300]
    path = f"/fhir/Binary/{read(made)['id']}"
    assert base64.b64decode(read(made)["data"]) == data
    assert (await doctor.get(path)).content == data

    replaced = await doctor.put(path, b"{}", Content_Type="text/plain; charset=iso-8859-1")
    own = await doctor.put(f"/fhir/Binary/chosen-{secrets.token_hex(4)}", data, Content_Type=PDF)

    assert (replaced.status_code, own.status_code) == (200, 201)
    now = await doctor.get(path)
    assert (now.content, now.headers["content-type"]) == (b"{}", "text/plain; charset=iso-8859-1")
    assert read(await doctor.get(f"{path}/_history/1"))["contentType"] == PDF


async def test_content_that_is_json_is_content_unless_it_is_a_binary(doctor: Caller) -> None:
    """R4: the data is accepted as is, also with a content type of FHIR."""
    other = json.encode(patient("Within"))

    made = await doctor.post("/fhir/Binary", other, Content_Type=FHIR_JSON)

    assert (made.status_code, read(made)["contentType"]) == (201, FHIR_JSON)
    assert base64.b64decode(read(made)["data"]) == other
    assert (await doctor.post("/fhir/Binary", b'{"resourceType":"Bin', Content_Type=FHIR_JSON)).status_code == 400


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {"Content_Type": PDF}, 400),
        (b"x", {"Content_Type": ""}, 415),
        (b"x", {"Content_Type": "two  blanks"}, 422),
        (b"x" * 32_000_001, {"Content_Type": PDF}, 413),
    ],
)
async def test_content_that_cannot_be_stored_is_refused(
    doctor: Caller, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await doctor.post("/fhir/Binary", body, **headers)).status_code == status


async def test_an_image_as_content_comes_in_under_system_scope_alone(clinic: InProcess) -> None:
    doctor, back_end = clinic.caller("user/Binary.cruds"), clinic.caller("system/Binary.cruds")

    assert (await doctor.post("/fhir/Binary", jpeg(1_300_000), Content_Type=PDF)).status_code == 403
    made = await back_end.post("/fhir/Binary", jpeg(1_300_000), Content_Type=PDF)

    assert made.status_code == 201


async def test_the_header_names_the_security_context(doctor: Caller) -> None:
    person = await doctor.store(patient())
    context = f"Patient/{person['id']}"

    made = await doctor.post("/fhir/Binary", LARGE, Content_Type=PDF, X_Security_Context=context)

    answer = await doctor.get(f"/fhir/Binary/{read(made)['id']}")
    assert read(made)["securityContext"] == {"reference": context}
    assert (answer.content, answer.headers["x-security-context"]) == (LARGE, context)
    both = binary(SMALL, securityContext={"reference": context})
    assert (await doctor.post("/fhir/Binary", both, X_Security_Context=context)).status_code == 201
    for disagreeing in ({**both, "securityContext": {"reference": "Patient/other"}}, binary(SMALL)):
        assert (await doctor.post("/fhir/Binary", disagreeing, X_Security_Context=context)).status_code == 400


async def test_a_security_context_decides_who_sees_a_binary(clinic: InProcess, doctor: Caller) -> None:
    person = await doctor.store(patient())
    own = await doctor.store(binary(LARGE, securityContext={"reference": f"Patient/{person['id']}"}))
    through = await doctor.store(binary(SMALL, securityContext={"reference": f"Binary/{own['id']}"}))
    free = await doctor.store(binary(SMALL))
    reader, narrow = clinic.caller("user/Binary.cruds", "user/Patient.r"), clinic.caller("user/Binary.cruds")

    for id in (own["id"], through["id"]):
        path = f"/fhir/Binary/{id}"
        assert (await reader.get(path)).status_code == 200
        for answer in (
            await narrow.get(path),
            await narrow.get(path, Accept=FHIR_JSON),
            await narrow.get(f"{path}/_history/1"),
            await narrow.get(f"{path}/_history"),
            await narrow.put(path, binary(SMALL, id=id)),
        ):
            assert answer.status_code == 404
        assert "entry" not in read(await narrow.get(f"/fhir/Binary?_id={id}"))
        assert (await narrow.delete(path)).status_code == 204
        assert (await reader.get(path)).status_code == 200, "it was not deleted"
    assert (await narrow.get(f"/fhir/Binary/{free['id']}")).status_code == 200


async def test_a_security_context_that_is_not_here_leaves_it_to_back_ends(clinic: InProcess, doctor: Caller) -> None:
    for context in ({"reference": "DocumentReference/not-yet"}, {"identifier": {"value": "x"}}):
        made = await doctor.store(binary(SMALL, securityContext=context))

        assert (await doctor.get(f"/fhir/Binary/{made['id']}")).content == SMALL
        assert (await clinic.caller("user/*.cruds").get(f"/fhir/Binary/{made['id']}")).status_code == 404


async def test_security_contexts_that_go_round_in_a_circle_leave_it_to_back_ends(
    clinic: InProcess, doctor: Caller
) -> None:
    one, two = f"one-{secrets.token_hex(8)}", f"two-{secrets.token_hex(8)}"
    for id, other in ((one, two), (two, one)):
        await doctor.store(binary(SMALL, id=id, securityContext={"reference": f"{clinic.base}/Binary/{other}"}))

    assert (await clinic.caller("user/*.cruds").get(f"/fhir/Binary/{one}")).status_code == 404
    assert (await doctor.get(f"/fhir/Binary/{one}")).content == SMALL
    assert (await doctor.put(f"/fhir/Binary/{one}", binary(SMALL, id=one))).status_code == 200
    assert (await clinic.caller("user/*.cruds").get(f"/fhir/Binary/{two}")).status_code == 200


async def test_a_binary_that_stands_for_a_photo_leaves_on_its_legal_basis_alone(
    clinic: InProcess, doctor: Caller
) -> None:
    person = await doctor.store(patient())
    given = await doctor.store(consent(person["id"]))
    shown = await doctor.store(media(person["id"], jpeg()))
    made = await doctor.store(binary(LARGE, securityContext={"reference": f"Media/{shown['id']}"}))
    path = f"/fhir/Binary/{made['id']}"
    assert (await doctor.get(path)).content == LARGE

    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert (await doctor.get(path)).status_code in {403, 404}
    assert (await doctor.get(path, Range="bytes=0-9")).status_code in {403, 404}
