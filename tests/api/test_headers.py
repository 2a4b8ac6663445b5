"""What headers and general parameters ask for: format, layout, conditions on versions, preferences, methods.

https://hl7.org/fhir/R4/http.html#parameters, #cread, #ops; RFC 9110, RFC 7240
"""

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import patient
from tests.trail import said

pytestmark = pytest.mark.anyio

READS = ("/fhir/Patient/seen", "/fhir/Patient/seen/_history/1")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module", autouse=True)
async def seen(doctor: Caller) -> Json:
    return await doctor.store(patient("Seen", id="seen"))


ACCEPTED = [
    {},
    *({"Accept": one} for one in ("application/fhir+json", "application/json", "text/json", "*/*", "application/*")),
    {"Accept": "application/fhir+json; fhirVersion=4.0"},
    {"Accept": "application/fhir+xml;q=0.9, application/fhir+json;q=0.1"},
    {"Accept": "APPLICATION/FHIR+JSON;charset=utf-8"},
    {"Accept": ""},
]


@pytest.mark.parametrize("headers", ACCEPTED, ids=str)
@pytest.mark.parametrize("path", ["/fhir/Patient/seen", "/fhir/Patient?_id=seen", "/fhir/metadata"])
async def test_r_fhir_002_json_is_answered_under_its_fhir_name(
    clinic: InProcess, path: str, headers: dict[str, str]
) -> None:
    given = {"Authorization": f"Bearer {clinic.token()}", "Accept": "*/*", **headers}

    answer = await clinic.http.get(path, headers=given)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")


REFUSED = [
    *("application/fhir+xml", "application/xml", "text/html", "application/fhir+turtle", "application/json-patch+json"),
    *("application/fhir+json; q=0", "*/*;q=0.0", "application/fhir+json; fhirVersion=5.0", "image/*, text/*"),
    *("application/json;q=x", "application/fhir+json;q="),
]


@pytest.mark.parametrize("accept", REFUSED)
async def test_r_fhir_002_another_format_is_406_on_every_interaction(
    clinic: InProcess, doctor: Caller, accept: str
) -> None:
    for method, path, body in (
        ("GET", "/fhir/Patient/seen", b""),
        ("GET", "/fhir/Patient?_id=seen", b""),
        ("GET", "/fhir/metadata", b""),
        ("POST", "/fhir/Patient", patient()),
        ("DELETE", "/fhir/Patient/seen", b""),
        ("POST", "/fhir", {"resourceType": "Bundle", "type": "batch"}),
    ):
        async with clinic.trail.recording() as recorded:
            answer = await doctor.ask(method, path, body, Accept=accept)
        assert answer.status_code == 406, (method, path)
        assert answer.headers["content-type"] == FHIR_JSON
        assert read(answer)["issue"][0]["code"] == "not-supported"
        assert said(recorded.only)[1] == "4"


@pytest.mark.parametrize(
    "format", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json", "text/json", "JSON"]
)
async def test_r_fhir_002_the_query_beats_the_header(doctor: Caller, format: str) -> None:
    assert (await doctor.get(f"/fhir/Patient/seen?_format={format}", Accept="text/html")).status_code == 200
    searched = await doctor.post(
        "/fhir/Patient/_search", f"_id=seen&_format={format}", Content_Type="application/x-www-form-urlencoded"
    )
    assert searched.status_code == 200


@pytest.mark.parametrize("format", ["xml", "application/fhir%2Bxml", "ttl", "html", "json;fhirVersion=3.0", "ndjson"])
async def test_r_fhir_002_the_query_may_ask_for_what_there_is_not(doctor: Caller, format: str) -> None:
    for path in ("/fhir/Patient/seen", "/fhir/Patient", "/fhir/metadata"):
        assert (await doctor.get(f"{path}?_format={format}", Accept="application/json")).status_code == 406
    searched = await doctor.post(
        "/fhir/Patient/_search", f"_id=seen&_format={format}", Content_Type="application/x-www-form-urlencoded"
    )
    assert searched.status_code == 406


@pytest.mark.parametrize(
    ("type", "status"),
    [
        ("application/fhir+json", 201),
        ("application/json;charset=UTF-8", 201),
        ("text/json", 201),
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/json; charset=latin-1", 415),
        ("application/fhir+xml", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_r_fhir_003_a_body_is_json_of_this_version(doctor: Caller, type: str, status: int) -> None:
    answer = await doctor.post("/fhir/Patient", patient(), Content_Type=type)

    assert answer.status_code == status
    if status == 415:
        assert read(answer)["issue"][0]["code"] == "not-supported"


async def test_a_patch_of_another_type_is_told_which_are_taken(doctor: Caller) -> None:
    answer = await doctor.ask("PATCH", "/fhir/Patient/seen", b"{}", Content_Type="application/xml-patch+xml")

    assert answer.status_code == 415
    assert (
        answer.headers["accept-patch"]
        == "application/json-patch+json, application/fhir+json, application/merge-patch+json"
    )


@pytest.mark.parametrize("path", [*READS, "/fhir/Patient?_id=seen", "/fhir/metadata", "/fhir/Patient/never-was"])
async def test_an_answer_is_laid_out_for_a_reader_on_request(doctor: Caller, path: str) -> None:
    mark = "&" if "?" in path else "?"
    plain, pretty = await doctor.get(path), await doctor.get(f"{path}{mark}_pretty=true")

    assert pretty.status_code == plain.status_code
    assert b'{\n  "resourceType"' in pretty.content
    assert b"\n" not in plain.content
    assert (await doctor.get(f"{path}{mark}_pretty=false")).content == plain.content
    if path != "/fhir/Patient/never-was":
        assert read(pretty) == read(plain)


async def test_a_form_asks_for_it_too(doctor: Caller) -> None:
    answer = await doctor.post(
        "/fhir/Patient/_search", "_id=seen&_pretty=true", Content_Type="application/x-www-form-urlencoded"
    )

    assert answer.content.startswith(b'{\n  "resourceType": "Bundle"')
    assert "_pretty" not in read(answer)["link"][0]["url"]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("tag", ['W/"1"', '"1"', '"7", W/"1"', "*", '"7" , W/"1"'])
async def test_r_fhir_023_a_version_that_the_client_has_is_not_sent_again(
    clinic: InProcess, doctor: Caller, path: str, tag: str
) -> None:
    whole = await doctor.get(path)

    async with clinic.trail.recording() as recorded:
        answer = await doctor.get(path, If_None_Match=tag)

    assert (answer.status_code, answer.content) == (304, b"")
    assert {name: answer.headers[name] for name in ("etag", "last-modified")} == {
        name: whole.headers[name] for name in ("etag", "last-modified")
    }
    assert "content-length" not in answer.headers or answer.headers["content-length"] == "0"
    assert said(recorded.only)[1] == "0", "it was told that nothing changed, which is recorded as a read"


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("tag", ['W/"2"', '"x"', "1", "", 'W/"11"', "W/1"])
async def test_r_fhir_023_another_version_is_sent(doctor: Caller, path: str, tag: str) -> None:
    assert (await doctor.get(path, If_None_Match=tag)).status_code == 200


async def test_r_fhir_023_what_did_not_change_since_is_not_sent_again(doctor: Caller) -> None:
    for path in READS:
        whole = await doctor.get(path)
        changed = parsedate_to_datetime(whole.headers["last-modified"])
        for seconds, status in ((-1, 200), (0, 304), (1, 304)):
            since = format_datetime(changed + timedelta(seconds=seconds), usegmt=True)
            answer = await doctor.get(path, If_Modified_Since=since)
            assert (answer.status_code, bool(answer.content)) == (status, status == 200)


@pytest.mark.parametrize("since", ["yesterday", "", "2026-01-01", "Mon, 99 Jan 2026 00:00:00 GMT", "0"])
async def test_a_time_that_is_none_is_ignored(doctor: Caller, since: str) -> None:
    assert (await doctor.get("/fhir/Patient/seen", If_Modified_Since=since)).status_code == 200


async def test_the_tag_is_looked_at_instead_of_the_time(doctor: Caller) -> None:
    later = "Fri, 31 Dec 2199 23:59:59 GMT"
    earlier = "Mon, 31 Dec 2001 23:59:59 GMT"

    for tag, since, status in (('W/"9"', later, 200), ('W/"1"', earlier, 304)):
        answer = await doctor.get("/fhir/Patient/seen", If_None_Match=tag, If_Modified_Since=since)
        assert answer.status_code == status


async def test_a_condition_on_a_read_never_hides_an_error(clinic: InProcess, doctor: Caller) -> None:
    await doctor.store(patient(id="seen-gone"))
    await doctor.delete("/fhir/Patient/seen-gone")
    another = clinic.caller("patient/*.r", patient="another")

    for who, path, status in (
        (doctor, "/fhir/Patient/seen-gone", 410),
        (doctor, "/fhir/Patient/never-was", 404),
        (another, "/fhir/Patient/seen", 404),
        (clinic.stranger, "/fhir/Patient/seen", 401),
    ):
        assert (await who.get(path, If_None_Match="*")).status_code == status


async def test_head_has_the_headers_of_get_wherever_get_is(doctor: Caller) -> None:
    """But for a page link, which is never the same twice."""
    nothing_yet = "/fhir/_history?_since=2199-01-01T00:00:00Z"
    for path in (*READS, "/fhir/Patient?_id=seen", "/fhir/Patient/seen/_history", nothing_yet, "/fhir/metadata"):
        for encoding in ("identity", "gzip"):
            whole = await doctor.get(path, Accept_Encoding=encoding)
            head = await doctor.ask("HEAD", path, Accept_Encoding=encoding)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-length", "content-type", "content-encoding", "etag", "last-modified", "vary"):
                assert head.headers.get(name) == whole.headers.get(name), (path, name)
    assert (await doctor.ask("HEAD", "/fhir/Patient/never-was")).status_code == 404


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/fhir", {"GET", "HEAD", "POST"}),
        ("/fhir/metadata", {"GET", "HEAD"}),
        ("/fhir/Patient", {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}),
        ("/fhir/Patient/seen", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("/fhir/Patient/seen/_history/1", {"GET", "HEAD"}),
        ("/fhir/Patient/_search", {"POST"}),
        ("/fhir/Patient/seen/$validate", {"GET", "HEAD", "POST"}),
    ],
)
async def test_r_fhir_027_an_address_tells_its_methods(
    clinic: InProcess, doctor: Caller, path: str, methods: set[str]
) -> None:
    async with clinic.trail.recording() as recorded:
        asked = await clinic.stranger.ask("OPTIONS", path)
    refused = await doctor.ask("PROPFIND", path)

    assert (asked.status_code, asked.content) == (204, b"")
    assert set(asked.headers["allow"].split(", ")) == methods | {"OPTIONS"}
    assert asked.headers["allow"] == refused.headers["allow"]
    assert refused.status_code == 405
    assert not recorded.events, "nothing of the clinic was asked for"


@pytest.mark.parametrize("path", ["/fhir/Nothing", "/fhir/Nothing/1", "/fhir/no/such/address/here"])
async def test_r_fhir_027_what_is_no_address_has_no_methods(doctor: Caller, path: str) -> None:
    for method in ("OPTIONS", "GET", "POST", "PROPFIND"):
        assert (await doctor.ask(method, path)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fhir/Patient"),
        ("GET", "/fhir/Patient/seen"),
        ("GET", "/fhir/Patient/seen/_history"),
        ("GET", "/fhir/Patient/seen/_history/1"),
        ("GET", "/fhir/metadata"),
        ("POST", "/fhir/Patient/_search"),
        ("POST", "/fhir"),
        ("POST", "/fhir/Patient/$validate"),
    ],
)
async def test_r_fhir_005_a_final_slash_is_no_other_address(doctor: Caller, method: str, path: str) -> None:
    bundle = {"resourceType": "Bundle", "type": "batch"}
    body = bundle if path == "/fhir" else patient() if path.endswith("$validate") else b""

    answers = [await doctor.ask(method, f"{path}{ending}", body) for ending in ("", "/", "/?_pretty=false", "//")]

    assert {answer.status_code for answer in answers} == {200}
    first, *others = ({**read(answer), "link": []} for answer in answers)  # a page link is another each time
    assert all(other == first for other in others)
    assert not any("location" in answer.headers for answer in answers)


async def test_r_fhir_005_bodies_survive_a_final_slash(doctor: Caller) -> None:
    made = await doctor.post("/fhir/Patient/", patient())
    changed = await doctor.put("/fhir/Patient/slashed/", patient(id="slashed"))

    assert (made.status_code, changed.status_code) == (201, 201)
    assert (await doctor.delete("/fhir/Patient/slashed/")).status_code == 204


async def test_r_fhir_040_a_search_by_post_takes_both_url_and_form(doctor: Caller) -> None:
    form = "application/x-www-form-urlencoded"
    by_get = read(await doctor.get("/fhir/Patient?_id=seen&family=Seen"))

    for url, body in (("?_id=seen&family=Seen", ""), ("?_id=seen", "family=Seen"), ("", "_id=seen&family=Seen")):
        found = read(await doctor.post(f"/fhir/Patient/_search{url}", body, Content_Type=form))
        assert (found["total"], found["entry"]) == (by_get["total"], by_get["entry"])


WRITES: dict[str, tuple[str, str, Any]] = {
    "create": ("POST", "/fhir/Patient", patient()),
    "update": ("PUT", "/fhir/Patient/preferred", patient(id="preferred")),
    "conditional update": ("PUT", "/fhir/Patient?_id=preferred", patient(id="preferred")),
    "patch": ("PATCH", "/fhir/Patient/preferred", b'[{"op":"add","path":"/gender","value":"male"}]'),
    "conditional patch": ("PATCH", "/fhir/Patient?_id=preferred", b'[{"op":"add","path":"/active","value":true}]'),
}


async def written(who: Caller, write: str, prefer: str) -> Response:
    method, path, body = WRITES[write]
    type = "application/json-patch+json" if method == "PATCH" else FHIR_JSON
    headers = {"Prefer": prefer} if prefer else {}
    await who.store(patient(id="preferred"))
    return await who.ask(method, path, body, Content_Type=type, **headers)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("prefer", "type"),
    [
        ("", "Patient"),
        ("return=representation", "Patient"),
        ("return=minimal", None),
        ("return=OperationOutcome", "OperationOutcome"),
        ('return="minimal"', None),
        ("RETURN=Minimal", None),
        ("handling=strict, return=minimal", None),
        ("respond-async; return=minimal", None),
        ("return=minimal, return=representation", None),
        ("return=everything", "Patient"),
    ],
)
async def test_r_fhir_017_a_write_answers_what_is_preferred(
    clinic: InProcess, doctor: Caller, write: str, prefer: str, type: str | None
) -> None:
    answer = await written(doctor, write, prefer)

    assert answer.status_code in {200, 201}, answer.text
    assert (read(answer)["resourceType"] if answer.content else None) == type
    assert answer.headers["location"].startswith(f"{clinic.base}/Patient/")
    assert answer.headers["etag"]
    assert answer.headers["last-modified"]


async def test_r_smart_048_a_preference_opens_nothing(clinic: InProcess) -> None:
    blind = clinic.caller("system/Patient.cu")
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "POST", "url": "Patient"}, "resource": patient()}],
    }

    alone = await blind.post("/fhir/Patient", patient(), Prefer="return=representation")
    within = await blind.post("/fhir", bundle, Prefer="return=representation")

    assert (alone.status_code, alone.content) == (201, b"")
    assert within.status_code == 200
    assert "resource" not in read(within)["entry"][0]


async def test_r_fhir_015_a_delete_can_be_told_of(doctor: Caller) -> None:
    await doctor.store(patient(id="told-gone"))

    told = await doctor.delete("/fhir/Patient/told-gone", Prefer="return=OperationOutcome")
    again = await doctor.delete("/fhir/Patient?_id=told-gone", Prefer="return=OperationOutcome")
    plain = await doctor.delete("/fhir/Patient/told-gone", Prefer="return=representation")

    assert (told.status_code, again.status_code, plain.status_code) == (200, 200, 204)
    assert read(told)["resourceType"] == read(again)["resourceType"] == "OperationOutcome"


CONDITIONS = {
    "POST /fhir/Patient": ("If-Match", "If-None-Match", "If-Unmodified-Since"),
    "PUT /fhir/Patient/seen": ("If-None-Exist", "If-Unmodified-Since"),
    "PUT /fhir/Patient?_id=seen": ("If-None-Exist", "If-None-Match", "If-Unmodified-Since"),
    "PATCH /fhir/Patient/seen": ("If-None-Exist", "If-None-Match"),
    "PATCH /fhir/Patient?_id=seen": ("If-None-Exist", "If-None-Match"),
    "DELETE /fhir/Patient/seen": ("If-None-Exist", "If-None-Match", "If-Unmodified-Since"),
    "DELETE /fhir/Patient?_id=seen": ("If-None-Exist", "If-None-Match", "If-Match"),
    "POST /fhir/Patient/$validate": ("If-Match", "If-None-Match", "If-None-Exist"),
}


@pytest.mark.parametrize(("what", "header"), [(what, header) for what in CONDITIONS for header in CONDITIONS[what]])
async def test_a_condition_that_a_write_does_not_have_is_refused_and_never_ignored(
    clinic: InProcess, doctor: Caller, what: str, header: str
) -> None:
    method, _, path = what.partition(" ")
    before = await clinic.counts()

    async with clinic.trail.recording() as recorded:
        answer = await doctor.ask(method, path, patient(id="seen"), **{header: '"1"'})

    assert (answer.status_code, read(answer)["issue"][0]["code"]) == (400, "not-supported")
    assert header in read(answer)["issue"][0]["diagnostics"]
    assert said(recorded.only)[1] == "4"
    assert await clinic.counts() == before


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "", '*, "1"', "1"])
async def test_a_version_in_if_none_match_says_nothing_on_an_update(
    clinic: InProcess, doctor: Caller, tag: str
) -> None:
    before = await clinic.counts()

    answer = await doctor.put("/fhir/Patient/seen", patient(id="seen"), If_None_Match=tag)

    assert (answer.status_code, read(answer)["issue"][0]["code"]) == (400, "invalid")
    assert await clinic.counts() == before


async def test_an_update_that_is_to_be_the_first_is_refused_over_another(doctor: Caller) -> None:
    assert (await doctor.put("/fhir/Patient/seen", patient(id="seen"), If_None_Match=" * ")).status_code == 412


async def test_a_time_of_reading_means_nothing_to_a_write(doctor: Caller) -> None:
    """RFC 9110 section 13.1.3."""
    later = "Fri, 31 Dec 2199 23:59:59 GMT"

    assert (await doctor.post("/fhir/Patient", patient(), If_Modified_Since=later)).status_code == 201


async def test_two_versions_in_two_lines_are_refused(clinic: InProcess, doctor: Caller) -> None:
    headers = [*doctor.headers.items(), ("If-Match", 'W/"1"'), ("If-Match", 'W/"2"'), ("Content-Type", FHIR_JSON)]

    body = b'{"resourceType":"Patient","id":"seen"}'

    answer = await clinic.http.put("/fhir/Patient/seen", content=body, headers=headers)

    assert (answer.status_code, "If-Match" in answer.text) == (400, True)


@pytest.mark.parametrize("prefer", ["handling=lenient", "return=minimal, handling=lenient", 'Handling="Lenient"'])
async def test_r_fhir_043_leniency_is_asked_for(doctor: Caller, prefer: str) -> None:
    assert (await doctor.get("/fhir/Patient?colour=red", Prefer=prefer)).status_code == 200


@pytest.mark.parametrize("prefer", ["handling=strict", "mishandling=lenient", "lenient", "handling=lenientish"])
async def test_r_fhir_043_and_by_its_name(doctor: Caller, prefer: str) -> None:
    assert (await doctor.get("/fhir/Patient?colour=red", Prefer=prefer)).status_code == 400


async def test_r_fhir_001_metadata_has_modes(clinic: InProcess) -> None:
    whole, full, normative, terminology = [
        read(await clinic.stranger.get(f"/fhir/metadata{query}"))
        for query in ("", "?mode=full", "?mode=normative", "?mode=terminology")
    ]

    assert whole == full
    assert {**normative, "rest": []} == {**full, "rest": []}
    types = {resource["type"] for resource in normative["rest"][0]["resource"]}
    assert types == {
        *("Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition"),
        *("OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet"),
    } & {resource["type"] for resource in full["rest"][0]["resource"]}
    assert terminology["resourceType"] == "TerminologyCapabilities"
    assert terminology["implementation"] == full["implementation"]
    refused = await clinic.stranger.get("/fhir/metadata?mode=some")
    assert (refused.status_code, read(refused)["issue"][0]["code"]) == (400, "invalid")


async def test_metadata_can_be_shown_in_part(clinic: InProcess) -> None:
    part = read(await clinic.stranger.get("/fhir/metadata?_elements=fhirVersion"))

    assert "rest" not in part
    assert part["fhirVersion"] == "4.0.1"
