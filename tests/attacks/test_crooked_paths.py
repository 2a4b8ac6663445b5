"""Addresses that try to be another one, headers that try to be two: refused, and never redirected."""

import pytest
from httpx2 import URL

from fhir_server.kernel import json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
async def somebody(clinic: InProcess) -> None:
    await clinic.caller().store(patient(id="somebody"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/fhir//Patient/somebody",
        "//fhir/Patient/somebody",
        "/fhir/Patient//somebody",
        "/fhir/%2e%2e/fhir/Patient/somebody",
        "/fhir/Patient/%2e%2e/Patient/somebody",
        "/fhir/Observation%2f..%2fPatient%2fsomebody",
        "/fhir/Patient%2fsomebody%00",
        "/fhir/Patient/somebody%00",
        "/fhir/Patient/somebody%0d%0aX-Injected:%201",
        "/fhir/Patient/some%20body",
        "/fhir/Patient/some_body",
        "/fhir/Patient/somebod%C3%BF",
        "/fhir/Patient/" + "a" * 65,
        "/fhir/Patient/" + "a" * 20_000,
        "/fhir/Patient/somebody/_history/0",
        "/fhir/Patient/somebody/_history/-1",
        "/fhir/Patient/somebody/_history/+1",
        "/fhir/Patient/somebody/_history/1.0",
        "/fhir/Patient/somebody/_history/%D9%A1",
        "/fhir/Patient/somebody/_history/%EF%BC%91",
        "/fhir/Patient/somebody/_history/1e0",
        "/fhir/Patient/somebody/_history/" + "9" * 30,
        "/fhir/Patient/somebody/_history/1/extra",
        "/fhir/Patient/$everything",
        "/fhir/Patient/somebody/$nothing",
        "/fhir/$exports",
        "/fhir/patient/somebody",
        "/fhir/PATIENT/somebody",
        "/fhir/Patient%20/somebody",
        "/FHIR/Patient/somebody",
        "/fhir;x=1/Patient/somebody",
        "/fhir/Patient;x=1/somebody",
        "/fhir/Resource/somebody",
        "/fhir/DomainResource/somebody",
        "/fhir/Bundle2/somebody",
        "/fhir/resources/somebody",
        "/fhir/constructor/somebody",
        "/fhir/__proto__/somebody",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/metrics",
        "/.git/config",
    ],
)
async def test_a_crooked_path_leads_nowhere(mallory: Caller, clinic: InProcess, watch: Watch, path: str) -> None:
    """As the bytes are on the wire: the client's own tidying is passed by."""
    url = URL(clinic.clinic.settings.base_url).copy_with(raw_path=path.encode())

    answer = await mallory.http.get(url, headers=mallory.headers)

    watch.refused(answer, 404)
    assert "location" not in answer.headers


async def test_a_final_slash_changes_nothing(mallory: Caller) -> None:
    for path in ("/fhir/Patient/somebody", "/fhir/Patient?_id=somebody", "/fhir/metadata"):
        plain, slashed = (
            await mallory.get(path),
            await mallory.get(path.replace("?", "/?") if "?" in path else f"{path}/"),
        )
        assert plain.status_code == slashed.status_code == 200
        assert plain.content == slashed.content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/fhir/Patient/somebody"),
        ("PUT", "/fhir"),
        ("DELETE", "/fhir"),
        ("POST", "/fhir/metadata"),
        ("TRACE", "/fhir/Patient/somebody"),
        ("PROPFIND", "/fhir/Patient"),
        ("GET", "/fhir/Consent/a/$withdraw"),
    ],
)
async def test_a_method_that_is_not_served_is_refused(mallory: Caller, watch: Watch, method: str, path: str) -> None:
    answer = await mallory.ask(method, path)

    watch.refused(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize("claim", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
async def test_a_method_in_a_header_is_not_looked_at(mallory: Caller, claim: str) -> None:
    assert (await mallory.get("/fhir/Patient/somebody", **{claim: "DELETE"})).status_code == 200
    assert (await mallory.get("/fhir/Patient/somebody")).status_code == 200


@pytest.mark.parametrize(
    "given", ["a\r\nX-Injected: 1", "a\nb", "x" * 65, "", "a b", "é", MARK + "<script>", "a\x00b", "${jndi:x}"]
)
async def test_a_request_id_that_is_no_id_is_replaced(clinic: InProcess, given: str, watch: Watch) -> None:
    """Straight at the application, for no HTTP client would send these."""
    answer = await clinic.http.get("/healthz", headers=[(b"X-Request-Id", given.encode("utf-8"))])

    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32
    assert "x-injected" not in answer.headers


async def test_a_request_id_that_is_one_is_kept(clinic: InProcess) -> None:
    answer = await clinic.http.get("/healthz", headers={"X-Request-Id": "order-66.a_b"})

    assert answer.headers["x-request-id"] == "order-66.a_b"


@pytest.mark.parametrize(
    "header", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Rewrite-URL"]
)
async def test_no_header_moves_the_server(mallory: Caller, clinic: InProcess, header: str) -> None:
    answer = await mallory.get("/fhir/Patient?_id=somebody", **{header: "evil.example"})

    assert answer.status_code == 200
    assert "evil.example" not in answer.text + str(answer.headers)
    assert read(answer)["link"][0]["url"].startswith(clinic.base)


async def test_every_answer_forbids_what_a_browser_might_do_with_it(mallory: Caller, clinic: InProcess) -> None:
    for answer in (
        await mallory.get("/fhir/Patient/somebody"),
        await mallory.get("/fhir/Patient/unknown"),
        await clinic.stranger.get("/fhir/Patient/somebody"),
        await mallory.get("/nowhere"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("accepted", ["text/html", "application/fhir+xml", "image/png", "application/fhir+turtle"])
async def test_another_format_is_refused(mallory: Caller, watch: Watch, accepted: str) -> None:
    watch.refused(await mallory.get("/fhir/Patient/somebody", Accept=accepted), 406)


@pytest.mark.parametrize("tag", ['W/"x"', "*", 'W/"1", W/"2"', 'W/"\u0661"', '"' + "9" * 5000 + '"', "W/", 'W/"-1"'])
async def test_a_version_that_is_none_changes_nothing(mallory: Caller, tag: str, watch: Watch) -> None:
    given = {**mallory.headers, "If-Match": tag, "Content-Type": "application/fhir+json"}
    headers = [(name.encode(), value.encode()) for name, value in given.items()]
    resource = patient(id="somebody")
    entry = {"request": {"method": "PUT", "url": "Patient/somebody", "ifMatch": tag}, "resource": resource}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}

    alone = await mallory.http.put("/fhir/Patient/somebody", content=json.encode(resource), headers=headers)
    within = await mallory.post("/fhir", bundle)

    for answer in (alone, within):
        watch.refused(answer, answer.status_code)
        assert answer.status_code in {400, 412}
