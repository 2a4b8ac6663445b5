"""EHR launch: R-SMART-019, -034 to -036."""

from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.smart.apps import EHR, App, Pkce, answered, parts

pytestmark = pytest.mark.anyio

SCOPE = "launch openid fhirUser patient/*.rs"
CONTEXT = [
    {"reference": "ImagingStudy/7"},
    {"canonical": "http://example.org/Questionnaire/1|2", "role": "https://example.org/role"},
    {"identifier": {"system": "urn:x", "value": "y"}},
    {"reference": "Patient/other", "role": "https://example.org/sibling"},
]


async def post(ehr: App, body: Any, scope: str = "ehr/launch") -> Response:
    token = read(await ehr.credentials(scope))["access_token"]
    return await Caller(ehr.clinic.http, {"Authorization": f"Bearer {token}"}).post(
        "/auth/launch", body, Content_Type="application/json"
    )


async def launched(ehr: App, **more: Any) -> str:
    answer = await post(ehr, {"client_id": "native", "patient": "p1", "encounter": "e1", **more})
    assert answer.status_code == 201, answer.text
    return str(read(answer)["launch"])


def refused(answer: Response) -> dict[str, str]:
    assert answer.status_code == 303
    return answered(answer.headers["location"])


async def test_r_smart_019_the_ehr_gets_a_handle_and_the_exact_base(clinic: InProcess, ehr: App) -> None:
    told = read(await post(ehr, {"client_id": "native", "patient": "p1"}))

    assert told.keys() == {"launch", "iss", "expires_in"}
    assert told["iss"] == clinic.base
    assert len(told["launch"]) >= 43
    assert read(await post(ehr, {"client_id": "native", "patient": "p1"}))["launch"] != told["launch"]


async def test_r_smart_034_036_the_app_gets_the_context_that_the_ehr_gave(ehr: App, native: App) -> None:
    handle = await launched(
        ehr,
        fhirContext=CONTEXT,
        need_patient_banner=False,
        smart_style_url="https://ehr.example/style.json",
        intent="reconcile-medications",
        tenant="north",
    )

    told = await native.tokens(SCOPE, {"launch": handle})

    assert told["scope"] == SCOPE
    assert (told["patient"], told["encounter"]) == ("p1", "e1")
    assert told["fhirContext"] == CONTEXT
    assert told["need_patient_banner"] is False
    assert told["smart_style_url"] == "https://ehr.example/style.json"
    assert (told["intent"], told["tenant"]) == ("reconcile-medications", "north")
    assert parts(told["access_token"])[1]["patient"] == "p1"


async def test_r_smart_036_a_banner_is_needed_and_our_style_is_used_unless_the_ehr_says_otherwise(
    clinic: InProcess, ehr: App, native: App
) -> None:
    told = await native.tokens(SCOPE, {"launch": await launched(ehr)})

    assert told["need_patient_banner"] is True
    style = await clinic.http.get(told["smart_style_url"])
    assert (style.status_code, style.headers["content-type"]) == (200, "application/json")
    assert read(style)["color_background"]


async def test_r_smart_040_the_context_stays_after_a_refresh(ehr: App, native: App) -> None:
    first = await native.tokens(f"{SCOPE} offline_access", {"launch": await launched(ehr, intent="x")})

    told = read(await native.refresh(first["refresh_token"]))

    assert (told["patient"], told["encounter"], told["intent"]) == ("p1", "e1", "x")


async def test_r_smart_073_introspection_tells_the_context(ehr: App, native: App) -> None:
    told = await native.tokens(SCOPE, {"launch": await launched(ehr, intent="x", fhirContext=CONTEXT)})

    found = read(await ehr.post("/auth/introspect", token=told["access_token"]))

    assert (found["patient"], found["encounter"], found["intent"]) == ("p1", "e1", "x")
    assert found["fhirContext"] == CONTEXT
    assert found["need_patient_banner"] is True


async def test_the_pages_learn_who_the_patient_is(ehr: App, native: App) -> None:
    request = native.request(Pkce(), SCOPE, launch=await launched(ehr))

    pending = await native.clinic.clinic.gateway.authorization.pending(await native.waiting(request))

    assert pending is not None
    assert (pending.patient, pending.encounter, pending.needs_patient) == ("p1", "e1", False)


async def test_r_smart_019_a_launch_is_taken_up_once(ehr: App, native: App) -> None:
    handle = await launched(ehr)
    first = await native.waiting(native.request(Pkce(), SCOPE, launch=handle))
    second = await native.waiting(native.request(Pkce(), SCOPE, launch=handle))

    assert "code" in await native.approved(first)
    assert (await native.approved(second))["error"] == "invalid_request"
    assert refused(await native.authorize(native.request(Pkce(), SCOPE, launch=handle)))["error"] == "invalid_request"


async def test_r_smart_019_a_launch_is_for_one_app(ehr: App, web: App) -> None:
    answer = await web.authorize(web.request(Pkce(), SCOPE, launch=await launched(ehr)))

    assert refused(answer)["error"] == "invalid_request"


@pytest.mark.parametrize("launch", ["nonsense", "", "x" * 1500])
async def test_r_smart_019_an_unknown_launch_is_refused(native: App, launch: str) -> None:
    answer = await native.authorize(native.request(Pkce(), SCOPE, launch=launch))

    assert refused(answer)["error"] == "invalid_request"


async def test_r_smart_019_the_launch_goes_with_its_scope(ehr: App, native: App) -> None:
    answer = await native.authorize(native.request(Pkce(), "patient/*.rs", launch=await launched(ehr)))

    assert refused(answer)["error"] == "invalid_request"


async def test_the_scope_launch_without_a_launch_is_left_out(native: App) -> None:
    told = await native.tokens("launch launch/patient patient/*.rs", patient="p2")

    assert told["scope"] == "launch/patient patient/*.rs"
    assert "need_patient_banner" not in told


async def test_r_smart_019_another_user_does_not_take_it_up(ehr: App, native: App) -> None:
    for user, taken in (("Practitioner/somebody", False), ("Practitioner/nora", True)):
        id = await native.waiting(native.request(Pkce(), SCOPE, launch=await launched(ehr, user=user)))

        told = await native.approved(id)

        assert ("code" in told) is taken
        assert told.get("error", "access_denied") == "access_denied"


async def test_who_refuses_the_launch_context_shares_it_not(ehr: App, native: App) -> None:
    told = await native.tokens(SCOPE, {"launch": await launched(ehr, intent="x")}, scopes=("openid", "fhirUser"))

    assert told["scope"] == "openid fhirUser"
    assert not told.keys() & {"patient", "encounter", "intent", "need_patient_banner"}


async def test_without_a_patient_the_launch_gives_none(ehr: App, native: App) -> None:
    answer = await post(ehr, {"client_id": "native"})
    told = await native.tokens(SCOPE, {"launch": read(answer)["launch"]}, patient=None)

    assert told["scope"] == "launch openid fhirUser"
    assert "patient" not in told


BAD: dict[str, Any] = {
    "no object": [],
    "an unknown member": {"client_id": "native", "nonsense": 1},
    "no app": {"patient": "p1"},
    "an app that is a number": {"client_id": 7},
    "an app that is not there": {"client_id": "nobody"},
    "a service": {"client_id": "service"},
    "a patient with its type": {"client_id": "native", "patient": "Patient/p1"},
    "a patient that is a number": {"client_id": "native", "patient": 7},
    "an encounter that is none": {"client_id": "native", "encounter": "e 1"},
    "a banner that is text": {"client_id": "native", "need_patient_banner": "true"},
    "a style that is relative": {"client_id": "native", "smart_style_url": "/style.json"},
    "a style without TLS": {"client_id": "native", "smart_style_url": "http://ehr.example/style.json"},
    "a style that is a script": {"client_id": "native", "smart_style_url": "javascript:alert(1)"},
    "an intent that is empty": {"client_id": "native", "intent": ""},
    "an endless intent": {"client_id": "native", "intent": "x" * 501},
    "a tenant that is a number": {"client_id": "native", "tenant": 7},
    "a user that is a name": {"client_id": "native", "user": "nora"},
    "a user that is an Observation": {"client_id": "native", "user": "Observation/1"},
    "a context that is no list": {"client_id": "native", "fhirContext": {"reference": "ImagingStudy/7"}},
    "a context of texts": {"client_id": "native", "fhirContext": ["ImagingStudy/7"]},
    "a context that names nothing": {"client_id": "native", "fhirContext": [{"role": "x"}]},
    "an empty role": {"client_id": "native", "fhirContext": [{"reference": "ImagingStudy/7", "role": ""}]},
    "an absolute reference": {"client_id": "native", "fhirContext": [{"reference": "https://x.example/Patient/7"}]},
    "the patient as context": {"client_id": "native", "fhirContext": [{"reference": "Patient/p1"}]},
    "the encounter in the role launch": {
        "client_id": "native",
        "fhirContext": [{"reference": "Encounter/e1", "role": "launch"}],
    },
    "too many": {"client_id": "native", "fhirContext": [{"reference": "ImagingStudy/7"}] * 21},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_r_smart_035_a_launch_that_makes_no_sense_is_refused(ehr: App, body: Any) -> None:
    token = read(await ehr.credentials("ehr/launch"))["access_token"]

    answer = await ehr.clinic.http.post("/auth/launch", json=body, headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[" * 50_000, b'{"a":1,"a":2}', b"x" * 40_000])
async def test_a_launch_that_is_no_json_is_refused(ehr: App, body: bytes) -> None:
    token = read(await ehr.credentials("ehr/launch"))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    answer = await ehr.clinic.http.post("/auth/launch", content=body, headers=headers)

    assert (answer.status_code, read(answer)["error"]) == (400, "invalid_request")


async def test_only_an_ehr_makes_launches(clinic: InProcess, ehr: App, native: App) -> None:
    body: Json = {"client_id": "native", "patient": "p1"}
    of_person = (await native.tokens("launch/patient patient/*.rs", patient="p1"))["access_token"]

    unscoped = await post(ehr, body, "system/*.rs")
    person = await Caller(clinic.http, {"Authorization": f"Bearer {of_person}"}).post("/auth/launch", body)
    nobody = await clinic.http.post("/auth/launch", json=body)

    assert [one.status_code for one in (unscoped, person, nobody)] == [403, 403, 401]
    assert "ehr/launch" in EHR.scopes
