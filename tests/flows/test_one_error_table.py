"""Every failure has one status and one issue code, whichever way it is met: alone, in a bundle, from an operation.

docs/errors.md is the table; what-users-ask 19 is what happens without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.store.resources import Resources
from tests.architecture.test_adr import rows
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

PATCHING: Json = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "add"},
                {"name": "path", "valueString": "Patient"},
                {"name": "name", "valueString": "gender"},
                {"name": "value", "valueCode": "male"},
            ],
        }
    ],
}
NUMBERED = patient(identifier=[{"system": "urn:table", "value": "twice"}])
SUBSETTED = {
    "tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}],
}


@dataclass(frozen=True)
class Way:
    """One request. `condition` goes into headers when alone and into the entry when in a bundle."""

    method: str
    url: str
    body: Any = None
    condition: Mapping[str, str] = field(default_factory=dict)
    only_alone: bool = False

    @property
    def label(self) -> str:
        return f"{self.method} {self.url} {' '.join(self.condition)}".strip()

    @property
    def headers(self) -> dict[str, str]:
        names = {"ifMatch": "If-Match", "ifNoneExist": "If-None-Exist", "ifNoneMatch": "If-None-Match"}
        return {names[name]: value for name, value in self.condition.items()}

    @property
    def entry(self) -> Json:
        found: Json = {"request": {"method": self.method, "url": self.url, **self.condition}}
        return {**found, "resource": self.body} if self.body is not None else found


def alone(method: str, url: str, body: Any = None) -> Way:
    return Way(method, url, body, only_alone=True)


def all_ways(url: str, type: str = "Patient") -> list[Way]:
    """Whatever can be asked of something that is not there."""
    return [
        Way("GET", url),
        Way("GET", f"{url}/_history/1"),
        Way("PATCH", url, PATCHING),
        alone("GET", f"{url}/_history"),
        alone("GET", f"{url}/$validate"),
        *([alone("POST", f"{url}/$withdraw")] if type == "Consent" else []),
    ]


TABLE: dict[str, tuple[str, list[Way]]] = {
    "an id that nobody knows": (
        "NotFoundError",
        [*all_ways("Patient/unknown"), *all_ways("Consent/unknown", "Consent")],
    ),
    "a type that is none": (
        "NotFoundError",
        [
            *all_ways("Nothing/1"),
            Way("GET", "Nothing?_id=1"),
            Way("POST", "Nothing", patient()),
            Way("DELETE", "Nothing/1"),
        ],
    ),
    "no match for a patch": ("NotFoundError", [Way("PATCH", "Patient?_id=unknown", PATCHING)]),
    "what was deleted": (
        "GoneError",
        [
            Way("GET", "Consent/table-gone"),
            Way("PATCH", "Consent/table-gone", PATCHING),
            alone("GET", "Consent/table-gone/$validate"),
            alone("POST", "Consent/table-gone/$withdraw"),
        ],
    ),
    "a body that breaks the definition": (
        "UnprocessableError code-invalid",
        [
            Way("POST", "Patient", patient(gender="nope")),
            Way("PUT", "Patient/table", patient(gender="nope", id="table")),
            Way("PUT", "Patient?_id=table", patient(gender="nope")),
            Way("POST", "Patient", patient(gender="nope"), {"ifNoneExist": "_id=unknown"}),
        ],
    ),
    "a part of a resource": (
        "UnprocessableError",
        [
            Way("POST", "Patient", patient(meta=SUBSETTED)),
            Way("PUT", "Patient/table", patient(id="table", meta=SUBSETTED)),
        ],
    ),
    "an id that tells": (
        "UnprocessableError",
        [Way("PUT", "Patient/a-12345", patient(id="a-12345", identifier=[{"system": "urn:x", "value": "12345"}]))],
    ),
    "a body of another type": (
        "InvalidRequestError",
        [
            Way("POST", "Patient", {"resourceType": "Group", "type": "person", "actual": True}),
            Way("PUT", "Patient/table", {"resourceType": "Group", "id": "table"}),
        ],
    ),
    "another id in the body": (
        "InvalidRequestError",
        [Way("PUT", "Patient/table", patient(id="other")), Way("PUT", "Patient?_id=table", patient(id="other"))],
    ),
    "a version that is not current": (
        "VersionConflictError",
        [
            Way("PUT", "Patient/table", patient(id="table"), {"ifMatch": 'W/"9"'}),
            Way("PATCH", "Patient/table", PATCHING, {"ifMatch": 'W/"9"'}),
            Way("DELETE", "Patient/table", None, {"ifMatch": 'W/"9"'}),
            Way("PUT", "Patient?_id=table", patient(), {"ifMatch": 'W/"9"'}),
            Way("PUT", "Patient/table", patient(id="table"), {"ifNoneMatch": "*"}),
        ],
    ),
    "a version that is none": (
        "InvalidRequestError",
        [
            Way("PUT", "Patient/table", patient(id="table"), {"ifMatch": "x"}),
            Way("PUT", "Patient/table", patient(id="table"), {"ifNoneMatch": 'W/"1"'}),
            Way("POST", "Patient", patient(), {"ifNoneExist": " "}),
        ],
    ),
    "criteria that several meet": (
        "MultipleMatchesError",
        [
            Way("POST", "Patient", NUMBERED, {"ifNoneExist": "identifier=urn:table|twice"}),
            Way("PUT", "Patient?identifier=urn:table|twice", NUMBERED),
            Way("PATCH", "Patient?identifier=urn:table|twice", PATCHING),
            Way("DELETE", "Patient?identifier=urn:table|twice"),
        ],
    ),
    "criteria that say nothing": (
        "InvalidRequestError",
        [
            Way("POST", "Patient", patient(), {"ifNoneExist": "_count=3"}),
            Way("PUT", "Patient?_count=3", patient()),
            Way("DELETE", "Patient?_count=3"),
        ],
    ),
    "criteria that an existing id does not meet": (
        "ConflictError",
        [Way("PUT", "Patient?identifier=urn:table|nobody", patient(id="table"))],
    ),
    "a parameter that is none": (
        "InvalidRequestError",
        [
            Way("GET", "Patient?colour=red"),
            Way("POST", "Patient", patient(), {"ifNoneExist": "colour=red"}),
            Way("PUT", "Patient?colour=red", patient()),
            Way("PATCH", "Patient?colour=red", PATCHING),
            Way("DELETE", "Patient?colour=red"),
            alone("POST", "Patient/_search?colour=red"),
            Way("GET", "Patient/table?_summary=some"),
            Way("GET", "Patient?_elements=$"),
            alone("GET", "Patient/table/_history?_since=never"),
        ],
    ),
    "a modifier that is none": (
        "InvalidRequestError not-supported",
        [Way("GET", "Patient?name:under=x"), Way("DELETE", "Patient?name:under=x")],
    ),
    "more than can be searched for": (
        "TooCostlyError",
        [
            Way("GET", f"Patient?gender={','.join(['male'] * 101)}"),
            Way("DELETE", f"Patient?gender={','.join(['x'] * 101)}"),
        ],
    ),
    "a change of the log": (
        "MethodNotAllowedError",
        [
            Way("PUT", "AuditEvent/x", {"resourceType": "AuditEvent", "id": "x"}),
            Way("DELETE", "AuditEvent/x"),
        ],
    ),
    "a photo without a basis": (
        "NoLegalBasisError",
        [
            Way("POST", "Media", media("table-without-consent", jpeg())),
            Way("PUT", "Media/table-photo", media("table-without-consent", jpeg(), id="table-photo")),
        ],
    ),
}
CASES = [pytest.param(what, way, id=f"{what}: {way.label[:60]}") for what, (_, ways) in TABLE.items() for way in ways]
KINDS = ("batch", "transaction")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", "system/AuditEvent.cruds")


@pytest.fixture(scope="module", autouse=True)
async def table(doctor: Caller) -> None:
    await doctor.store(patient(id="table"))
    for _ in range(2):
        await doctor.store(NUMBERED)
    await doctor.store(patient(id="table-without-consent"))
    await doctor.store(consent("table", id="table-gone", status="draft"))
    await doctor.delete("/fhir/Consent/table-gone")


def expected(named: str) -> tuple[str, str]:
    """Status and code of the row of docs/errors.md; a more precise code where validation or search gives one."""
    name, _, precise = named.partition(" ")
    [status, code, *_] = rows("docs/errors.md")[name]
    return status, precise or code


async def ask(who: Caller, way: Way) -> Response:
    return await who.ask(way.method, f"/fhir/{way.url}", way.body or b"", **way.headers)


async def in_bundle(who: Caller, way: Way, kind: str) -> Response:
    return await who.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [way.entry]})


def told(answer: Response) -> tuple[str, str]:
    outcome = read(answer)
    assert outcome["resourceType"] == "OperationOutcome", outcome
    return str(answer.status_code), outcome["issue"][0]["code"]


def told_in_entry(answer: Response) -> tuple[str, str]:
    assert answer.status_code == 200, answer.text
    [entry] = read(answer)["entry"]
    return entry["response"]["status"], entry["response"]["outcome"]["issue"][0]["code"]


@pytest.mark.parametrize(("what", "way"), CASES)
async def test_a_failure_is_the_same_alone(doctor: Caller, what: str, way: Way) -> None:
    assert told(await ask(doctor, way)) == expected(TABLE[what][0])


IN_BUNDLES = [case for case in CASES if isinstance(case.values[1], Way) and not case.values[1].only_alone]


@pytest.mark.parametrize(("what", "way"), IN_BUNDLES)
async def test_a_failure_is_the_same_as_an_entry(doctor: Caller, what: str, way: Way) -> None:
    assert told_in_entry(await in_bundle(doctor, way, "batch")) == expected(TABLE[what][0])
    assert told(await in_bundle(doctor, way, "transaction")) == expected(TABLE[what][0])


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "no JSON": ("MalformedError", {"body": b"{"}),
    "no body": ("MalformedError", {"body": b" "}),
    "a key twice": ("MalformedError", {"body": b'{"resourceType":"Patient","resourceType":"Patient"}'}),
    "no resource": ("InvalidRequestError", {"body": b"[]"}),
    "another media type": ("UnsupportedMediaTypeError", {"body": b"{}", "Content_Type": "application/fhir+xml"}),
    "another coding": ("UnsupportedMediaTypeError", {"body": b"{}", "Content_Encoding": "br"}),
    "another format": ("NotAcceptableError", {"body": b"{}", "Accept": "application/fhir+xml"}),
    "a condition that there is not": ("InvalidRequestError not-supported", {"body": b"{}", "If_Unmodified_Since": "x"}),
    "too much": ("TooLargeError", {"body": b" " * 33_000_000}),
}
TAKING_BODIES = ("POST Patient", "PUT Patient/table", "POST ", "POST Patient/$validate", "POST Patient/table/$validate")


@pytest.mark.parametrize("where", TAKING_BODIES)
@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_cannot_be_taken_is_the_same_everywhere(doctor: Caller, what: str, where: str) -> None:
    named, given = BODIES[what]
    method, _, url = where.partition(" ")

    assert told(await doctor.ask(method, f"/fhir/{url}", **given)) == expected(named)


EVERYWHERE = ("GET Patient/table", "GET Patient?_id=table", "GET Patient/table/_history", "GET Patient/table/$validate")


@pytest.mark.parametrize("where", EVERYWHERE)
async def test_who_may_not_is_told_the_same_everywhere(clinic: InProcess, where: str) -> None:
    method, _, url = where.partition(" ")
    blind = clinic.caller("system/Observation.cruds")
    way = Way(method, url)

    assert told(await ask(clinic.stranger, way)) == expected("UnauthenticatedError")
    assert told(await ask(blind, way)) == expected("ForbiddenError")
    assert told(await ask(blind, Way("POST", "Patient", patient()))) == expected("ForbiddenError")
    if "/_history" not in url and "$" not in url:
        assert told_in_entry(await in_bundle(blind, way, "batch")) == expected("ForbiddenError")
        assert told(await in_bundle(blind, way, "transaction")) == expected("ForbiddenError")


@pytest.mark.parametrize("fault", ["UnavailableError", "FhirError"])
@pytest.mark.parametrize("where", ["GET Patient/table", "PUT Patient/table", "DELETE Patient/table"])
async def test_what_is_our_own_fault_is_the_same_everywhere(
    doctor: Caller, monkeypatch: pytest.MonkeyPatch, fault: str, where: str
) -> None:
    """A database that does not answer is 503, never 500; a defect is 500, never a client's error."""

    async def failing(*given: object) -> Any:
        raise UnavailableError("The database does not answer.") if fault == "UnavailableError" else RuntimeError

    monkeypatch.setattr(Resources, "read", failing)
    monkeypatch.setattr(Resources, "read_many", failing)
    method, _, url = where.partition(" ")
    way = Way(method, url, patient(id="table") if method == "PUT" else None)

    answers = [await ask(doctor, way), await in_bundle(doctor, way, "transaction")]
    validated = await ask(doctor, Way("GET", "Patient/table/$validate"))

    for answer in (*answers, validated):
        assert told(answer) == expected(fault)
        assert ("retry-after" in answer.headers) == (fault == "UnavailableError")
    assert told_in_entry(await in_bundle(doctor, way, "batch")) == expected(fault)
