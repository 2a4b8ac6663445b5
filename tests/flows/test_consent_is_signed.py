"""A form is signed: all the evidence and one Consent per purpose in one commit, or nothing."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from fhir_server.consent.evidence import BASIC, SIGNED_FORM
from fhir_server.consent.form import forms
from fhir_server.consent.signing import WITHDRAW_LINK
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.signings import CARE, COMMUNICATIONS, MARKETING, Answer, response, signature, signing
from tests.samples import jpeg, media, patient
from tests.unit.audit.profiles import faults

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def nurse(clinic: InProcess) -> Caller:
    return clinic.caller(fhir_user="Practitioner/nurse")


def now(clinic: InProcess) -> datetime:
    return clinic.clinic.surface.clock.now()


async def somebody(nurse: Caller, born: str | None = "1985-04-01") -> str:
    return str((await nurse.store(patient(**({"birthDate": born} if born else {}))))["id"])


def by_type(copy: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for entry in copy["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


@pytest.mark.parametrize(
    ("spoken", "warnings"), [((), 0), (("en-GB",), 0), (("fr", "en"), 0), (("fr-CH",), 1), (("de", "it"), 1)]
)
async def test_t_91_a_form_in_a_language_in_which_the_patient_is_not_addressed_is_warned_of(
    clinic: InProcess, nurse: Caller, spoken: tuple[str, ...], warnings: int
) -> None:
    said = [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": one}], "text": one}} for one in spoken]
    ann = (await nurse.store({**patient(), **({"communication": said} if said else {})}))["id"]

    answer = await nurse.post("/fhir/Consent/$sign", signing(ann, now(clinic), CARE))

    assert answer.status_code == 201, answer.text
    told = by_type(read(answer)).get("OperationOutcome", [])
    assert [one["issue"][0]["severity"] for one in told] == ["warning"] * warnings


async def test_s37_s103_s105_t80_t88_t89_t92_a_signed_form_becomes_the_whole_evidence(
    clinic: InProcess, nurse: Caller
) -> None:
    ann, at = await somebody(nurse), now(clinic)

    answer = await nurse.post("/fhir/Consent/$sign", signing(ann, at, {"treatment": True, "care-photography": False}))

    assert answer.status_code == 201, answer.text
    made = by_type(read(answer))
    assert {type: len(found) for type, found in made.items()} == {
        "QuestionnaireResponse": 1,
        "DocumentReference": 1,
        "Provenance": 1,
        "Consent": 2,
    }
    [paper], [provenance], [filled] = made["DocumentReference"], made["Provenance"], made["QuestionnaireResponse"]
    html = base64.b64decode(paper["content"][0]["attachment"]["data"])
    assert paper["content"][0]["attachment"]["extension"][0]["valueString"] == hashlib.sha256(html).hexdigest()
    assert forms()["care", "en"].sha256 in html.decode()
    assert provenance["signature"][0]["when"] == instant(at)
    assert {one["reference"] for one in provenance["target"]} == {
        f"{one['resourceType']}/{one['id']}" for one in (*made["Consent"], paper, filled)
    }
    assert [one["who"]["reference"] for one in provenance["agent"]] == [f"Patient/{ann}", "Practitioner/nurse"]
    for one in made["Consent"]:
        assert faults(one, BASIC) == []
        assert one["sourceReference"]["reference"] == f"DocumentReference/{paper['id']}"
        assert one["performer"] == [{"reference": f"Patient/{ann}"}]
        [form] = [extension for extension in one["extension"] if extension["url"] == SIGNED_FORM]
        parts = {part["url"]: part for part in form["extension"]}
        assert parts["sha256"]["valueString"] == forms()["care", "en"].sha256
        assert parts["understood"]["valueBoolean"] is True
        assert parts["language"]["valueCode"] == "en"
    kinds = {one["provision"]["purpose"][0]["code"]: one["provision"]["type"] for one in made["Consent"]}
    assert kinds == {"TREAT": "permit", "care-photography": "deny"}
    assert (await nurse.post("/fhir/Media", media(ann, jpeg()))).status_code == 403


async def test_s39_s40_s41_s42_four_forms_make_a_consent_for_each_purpose(clinic: InProcess, nurse: Caller) -> None:
    ann = await somebody(nurse)
    followup: dict[str, Answer] = {"photo-followup": True}
    for code, answers in (
        ("care", CARE),
        ("photo-followup", followup),
        ("marketing", MARKETING),
        ("communications", COMMUNICATIONS),
    ):
        answer = await nurse.post("/fhir/Consent/$sign", signing(ann, now(clinic), answers, code, "fr"))
        assert answer.status_code == 201, answer.text

    found = read(await nurse.get(f"/fhir/Consent?patient={ann}&status=active&_count=50"))["entry"]
    assert len(found) == 2 + 1 + 2 + 4
    marketing = next(
        one["resource"] for one in found if one["resource"]["provision"]["purpose"][0]["code"] == "photo-marketing"
    )
    assert marketing["provision"]["period"]["end"] > marketing["provision"]["period"]["start"]
    assert {one.get("valueCode") for one in marketing["extension"]} >= {"website", "print", "eyes-masked"}
    assert (await nurse.post("/fhir/Media", media(ann, jpeg()))).status_code == 201


async def test_a_newer_signature_ends_the_older_ones(clinic: InProcess, nurse: Caller) -> None:
    ann = await somebody(nurse)
    first = read(await nurse.post("/fhir/Consent/$sign", signing(ann, now(clinic), CARE)))
    photo = await nurse.store(media(ann, jpeg()))

    again = signing(ann, now(clinic), {"treatment": True, "care-photography": False})
    assert (await nurse.post("/fhir/Consent/$sign", again)).status_code == 201

    for one in by_type(first)["Consent"]:
        assert read(await nurse.get(f"/fhir/Consent/{one['id']}"))["status"] == "inactive"
    assert (await nurse.get(f"/fhir/{photo['content']['url']}")).status_code == 403


async def test_the_patient_signs_with_a_token_of_their_own(clinic: InProcess, nurse: Caller) -> None:
    ann, ben = await somebody(nurse), await somebody(nurse)
    own = clinic.caller("patient/Consent.cruds", patient=ann, fhir_user=f"Patient/{ann}", role="patient")

    answer = await own.post("/fhir/Consent/$sign", signing(ann, now(clinic), CARE, changed={"patient": None}))
    assert answer.status_code == 201, answer.text
    refused = await own.post("/fhir/Consent/$sign", signing(ben, now(clinic), CARE))
    assert refused.status_code == 403

    assert read(await nurse.get(f"/fhir/Consent?patient={ben}")).get("entry") is None


def signed_by(**more: Any) -> Any:
    """Makes a signature of ann with something else in it, or without it."""

    def made(ann: str, at: datetime) -> Json:
        found = {**signature(f"Patient/{ann}", at), **more}
        return {"valueSignature": {name: value for name, value in found.items() if value is not None}}

    return made


def at(**delta: float) -> Any:
    return lambda ann, now: {"valueSignature": signature(f"Patient/{ann}", now + timedelta(**delta))}


def saying(answers: dict[str, Answer]) -> Json:
    return {"resource": response("care", "en", answers)}


FORM = "urn:aesthetic-fhir-server:form"
BAD: dict[str, tuple[str, Any, int]] = {
    "silence on a question": ("answers", saying({"treatment": True, "understood": True}), 422),
    "no understanding": ("answers", saying({**CARE, "understood": False}), 422),
    "silence on the understanding": ("answers", saying(CARE), 422),
    "an answer of another kind": ("answers", saying({**CARE, "treatment": 1, "understood": True}), 422),
    "an answer to nothing": ("answers", saying({**CARE, "understood": True, "nothing": True}), 422),
    "an answer to what is no question": ("answers", saying({**CARE, "understood": True, "notice-1": True}), 422),
    "another time": ("signature", at(hours=-1), 409),
    "a time to come": ("signature", at(hours=1), 409),
    "a date without a time": ("signature", signed_by(when="2026-01-05"), 422),
    "no time zone": ("signature", signed_by(when="2026-01-05T10:00:00"), 422),
    "no signature data": ("signature", signed_by(data=None), 422),
    "somebody else's signature": ("signature", signed_by(who={"reference": "Patient/x"}), 422),
    "an old version": ("form", {"valueCanonical": f"{FORM}:care|2020-01"}, 422),
    "no such form": ("form", {"valueCanonical": f"{FORM}:nothing|1"}, 422),
    "a form of others": ("form", {"valueCanonical": "https://x.example/form|1"}, 422),
    "a language that is not there": ("language", {"valueCode": "de"}, 422),
    "no answers": ("answers", None, 422),
    "no form": ("form", None, 422),
    "no signature": ("signature", None, 422),
    "an unknown parameter": ("nothing", {"valueString": "x"}, 400),
    "a patient elsewhere": ("patient", {"valueReference": {"reference": "https://x.example/Patient/1"}}, 422),
    "no patient": ("patient", None, 422),
    "a patient who is not there": ("patient", {"valueReference": {"reference": "Patient/nobody"}}, 422),
}


@pytest.mark.parametrize("name", BAD)
async def test_s38_s104_t90_t93_what_is_not_in_order_leaves_nothing(
    clinic: InProcess, nurse: Caller, name: str
) -> None:
    ann, (parameter, how, status) = await somebody(nurse), BAD[name]
    value = how(ann, now(clinic)) if callable(how) else how
    before = await clinic.counts()

    answer = await nurse.post("/fhir/Consent/$sign", signing(ann, now(clinic), CARE, changed={parameter: value}))

    assert answer.status_code == status, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert await clinic.counts() == before


async def test_marketing_says_where_how_and_for_how_long_where_it_is_permitted_and_only_there(
    clinic: InProcess, nurse: Caller
) -> None:
    ann = await somebody(nurse)
    for answers in (
        {**MARKETING, "photo-marketing.months": 0},
        {**MARKETING, "photo-marketing.months": 121},
        {**MARKETING, "photo-marketing.channel": ("website", "pigeon")},
        {**MARKETING, "photo-marketing.anonymisation": ("eyes-masked", "face-masked")},
        {name: value for name, value in MARKETING.items() if name != "photo-marketing.channel"},
        {**MARKETING, "photo-marketing": False},
    ):
        body = signing(ann, now(clinic), answers, "marketing")
        assert (await nurse.post("/fhir/Consent/$sign", body)).status_code == 422


async def test_a_representative_signs_by_a_dated_document_until_the_patient_is_of_age(
    clinic: InProcess, nurse: Caller
) -> None:
    child = await somebody(nurse, f"{now(clinic).year - 15}-02-28")
    person = {"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{child}"}, "active": True}
    mother = (await nurse.store(person))["id"]
    former = (await nurse.store({**person, "active": False}))["id"]
    paper: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"Patient/{child}"},
        "content": [{"attachment": {"title": "Birth certificate"}}],
    }
    undated = (await nurse.store(paper))["id"]
    dated = (await nurse.store({**paper, "date": "2026-01-05T00:00:00Z"}))["id"]

    async def signed(answers: dict[str, Answer], code: str, who: str, authority: str | None, **more: Json) -> Any:
        changed = {
            "signature": {"valueSignature": signature(who, now(clinic))},
            "authority": {"valueReference": {"reference": f"DocumentReference/{authority}"}} if authority else None,
            **more,
        }
        return await nurse.post("/fhir/Consent/$sign", signing(child, now(clinic), answers, code, changed=changed))

    assert (await signed(CARE, "care", f"Patient/{child}", None)).status_code == 422
    assert (await signed(CARE, "care", f"RelatedPerson/{mother}", None)).status_code == 422
    assert (await signed(CARE, "care", f"RelatedPerson/{mother}", undated)).status_code == 422
    assert (await signed(CARE, "care", f"RelatedPerson/{former}", dated)).status_code == 422
    assert (await signed(CARE, "care", "Practitioner/nurse", dated)).status_code == 422
    assert (await signed(MARKETING, "marketing", f"RelatedPerson/{mother}", dated)).status_code == 422

    answer = await signed(CARE, "care", f"RelatedPerson/{mother}", dated)

    assert answer.status_code == 201, answer.text
    made = by_type(read(answer))
    of_age = now(clinic).year + 3
    assert {one["provision"]["period"]["end"] for one in made["Consent"]} == {f"{of_age}-02-27"}
    [task] = made["Task"]
    assert task["executionPeriod"]["start"] == f"{of_age}-02-28"
    assert task["status"] == "requested"


async def test_the_copy_tells_how_to_withdraw(clinic: InProcess, nurse: Caller) -> None:
    ann = await somebody(nurse)
    made = by_type(read(await nurse.post("/fhir/Consent/$sign", signing(ann, now(clinic), CARE))))
    [paper] = made["DocumentReference"]
    html = base64.b64decode(paper["content"][0]["attachment"]["data"]).decode()
    link = html.partition('href="')[2].partition('"')[0]
    _, _, secret = link.partition(f"?link={paper['id']}.")
    assert len(secret) == 43
    [digest] = [one["valueString"] for one in paper["extension"] if one["url"] == WITHDRAW_LINK]
    assert digest == hashlib.sha256(secret.encode()).hexdigest()
