"""gzip both ways: what is sent packed, and what is answered packed to who asks for it.

RFC 9110 sections 8.4, 12.5.3; issue 3: gzip both ways.
"""

import gzip
import zlib

import pytest
from httpx2 import Response

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

LONG = "long " * 1000


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def stored(doctor: Caller) -> None:
    await doctor.store(patient("Short", id="packed-short"))
    await doctor.store({**observation(), "id": "packed-long"})


def observation() -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "note": [{"text": LONG}]}


async def raw(clinic: InProcess, path: str, accept_encoding: str | None, method: str = "GET") -> tuple[Response, bytes]:
    """The answer, and its bytes as they are on the way."""
    headers = {"Authorization": f"Bearer {clinic.token()}"}
    if accept_encoding is not None:
        headers["Accept-Encoding"] = accept_encoding
    request = clinic.http.build_request(method, path, headers=headers)
    if accept_encoding is None:
        del request.headers["accept-encoding"]
    answer = await clinic.http.send(request, stream=True)
    try:
        return answer, b"".join([part async for part in answer.aiter_raw()])
    finally:
        await answer.aclose()


PATHS = (
    "/fhir/Observation/packed-long",
    "/fhir/Observation/packed-long/_history/1",
    "/fhir/Observation?_id=packed-long",
    "/fhir/Observation/packed-long/_history",
    "/fhir/metadata",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("asked", ["gzip", "x-gzip", "deflate, gzip;q=0.5", "*", "br, *;q=0.1", "GZIP", "gzip; q=1.0"])
async def test_who_asks_for_gzip_gets_it(clinic: InProcess, path: str, asked: str) -> None:
    plain, body = await raw(clinic, path, None)

    answer, packed = await raw(clinic, path, asked)

    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(packed))
    assert len(packed) < len(body) / 2
    assert gzip.decompress(packed) == body
    for name in ("etag", "content-type", "last-modified", "vary"):
        assert answer.headers.get(name) == plain.headers.get(name)
    assert answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "asked", [None, "identity", "", "br, deflate", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzipped"]
)
async def test_who_does_not_gets_it_plain(clinic: InProcess, path: str, asked: str | None) -> None:
    answer, body = await raw(clinic, path, asked)

    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(len(body))
    assert json.decode(body)
    assert answer.headers["vary"] == "accept-encoding"


async def test_what_is_short_or_empty_is_left_as_it_is(clinic: InProcess) -> None:
    for path, status in (("Patient/packed-short", 200), ("Patient/never-was", 404)):
        answer, body = await raw(clinic, f"/fhir/{path}", "gzip")
        assert answer.status_code == status
        assert "content-encoding" not in answer.headers
        assert answer.headers["content-length"] == str(len(body))
    headers = {"Authorization": f"Bearer {clinic.token()}", "Accept-Encoding": "gzip", "If-None-Match": "*"}
    known = await clinic.http.get(PATHS[0], headers=headers)
    assert (known.status_code, known.content, known.headers["vary"]) == (304, b"", "accept-encoding")
    assert "content-encoding" not in known.headers


async def test_what_is_laid_out_is_packed_as_well(clinic: InProcess) -> None:
    answer, packed = await raw(clinic, f"{PATHS[0]}?_pretty=true", "gzip")

    assert answer.headers["content-length"] == str(len(packed))
    assert gzip.decompress(packed).startswith(b'{\n  "resourceType"')


async def test_a_very_long_answer_is_packed_whole(clinic: InProcess, doctor: Caller) -> None:
    await doctor.store({**observation(), "id": "packed-huge", "note": [{"text": "x" * 900_000}]})

    answer, packed = await raw(clinic, "/fhir/Observation/packed-huge", "gzip")

    assert answer.headers["content-length"] == str(len(packed))
    whole = read(await doctor.get("/fhir/Observation/packed-huge"))
    assert whole == json.decode(gzip.decompress(packed))
    pretty = await doctor.get("/fhir/Observation/packed-huge?_pretty=true")
    assert pretty.content.startswith(b'{\n  "resourceType"')
    assert read(pretty) == whole


async def test_a_photo_is_never_packed(clinic: InProcess, doctor: Caller) -> None:
    person = (await doctor.store(patient()))["id"]
    await doctor.store(consent(person))
    picture = jpeg(20_000, plain=True)
    photo = await doctor.store(media(person, picture))
    path = f"/fhir/{photo['content']['url']}"

    answer, body = await raw(clinic, path, "gzip")
    part = await doctor.get(path, Range="bytes=0-1999", Accept_Encoding="gzip")
    as_json = await doctor.get(path, Accept=FHIR_JSON, Accept_Encoding="gzip")
    head = await doctor.ask("HEAD", path, Accept_Encoding="gzip")

    assert body == picture
    assert (part.status_code, len(part.content)) == (206, 2000)
    for one in (answer, part, as_json, head):
        assert "content-encoding" not in one.headers


async def test_a_body_may_come_packed(doctor: Caller) -> None:
    resource = json.encode(observation())

    for coding in ("gzip", "GZIP", "x-gzip", " gzip "):
        made = await doctor.post("/fhir/Observation", gzip.compress(resource), Content_Encoding=coding)
        assert made.status_code == 201, made.text
        assert read(made)["note"] == [{"text": LONG}]
    plain = await doctor.post("/fhir/Observation", resource, Content_Encoding="identity")
    assert plain.status_code == 201


async def test_every_kind_of_body_may(doctor: Caller) -> None:
    form = await doctor.post(
        "/fhir/Patient/_search",
        gzip.compress(b"_id=packed-short"),
        Content_Type="application/x-www-form-urlencoded",
        Content_Encoding="gzip",
    )
    patched = await doctor.ask(
        "PATCH",
        "/fhir/Patient/packed-short",
        gzip.compress(b'[{"op":"add","path":"/gender","value":"male"}]'),
        Content_Type="application/json-patch+json",
        Content_Encoding="gzip",
    )
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient"}}]}
    answered = await doctor.post("/fhir", gzip.compress(json.encode(bundle)), Content_Encoding="gzip")
    nothing = await doctor.post("/fhir/Consent/never-was/$withdraw", Content_Encoding="gzip")

    assert read(form)["total"] == 1
    assert (patched.status_code, read(patched)["gender"]) == (200, "male")
    assert answered.status_code == 200
    assert nothing.status_code == 404


async def test_a_body_in_another_coding_is_told_which_is_taken(doctor: Caller) -> None:
    answer = await doctor.post("/fhir/Patient", zlib.compress(b"{}"), Content_Encoding="deflate")

    assert answer.status_code == 415
    assert read(answer)["issue"][0]["code"] == "not-supported"
    assert answer.headers["accept-encoding"] == "gzip"
