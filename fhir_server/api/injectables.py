"""Operations on what is injected: lots and recalls, what a treatment lacks for an insurer or a body, evidence.

https://hl7.org/fhir/R4/operations.html
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, query_pairs
from fhir_server.api.given import Given
from fhir_server.api.negotiation import wanted
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.consent.releasing import Ground
from fhir_server.engine.call import Call
from fhir_server.injectables.checking import Checked, Finding
from fhir_server.injectables.evidence import Asked
from fhir_server.injectables.lots import Traced, Use, Wanted
from fhir_server.injectables.policy import GENERAL
from fhir_server.injectables.professional import Judged
from fhir_server.injectables.recall import Notice
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.professions.judging import Finding as ProfessionalFinding

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
PROFESSIONAL_RULE = "urn:aesthetic-fhir-server:professional-rule"
INSURANCE_RULE = "urn:aesthetic-fhir-server:insurance-rule"
_RECIPIENTS = frozenset({"Organization", "Practitioner", "PractitionerRole"})
_ZIP = "application/zip"
_STRING = ("valueString", "valueCode")


async def lot_patients(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Medication/$lot-patients?lot=…[&product=…]`: each use of the lot, with its patient."""
    pairs = query_pairs(request)
    if len(dict(pairs)) != len(pairs) or not dict(pairs).keys() <= {"lot", "product"}:
        raise InvalidRequestError("The operation has the parameters lot and product, each once.")
    lot = Wanted(dict(pairs).get("lot", ""), dict(pairs).get("product", ""))
    asking = _with_request(call, request)

    async def do() -> Response:
        return _answer(_told(await surface.injectables.lots.patients(asking, lot)))

    return do


async def lots_of_patient(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Patient/[id]/$lots`: each product that was used on the patient, with its lot."""
    asking = _with_request(call, request)

    async def do() -> Response:
        return _answer(_told(await surface.injectables.lots.of_patient(asking)))

    return do


async def lot_recall(surface: Surface, request: Request, call: Call) -> Do:
    """`lot`, and as that needs it `product`, `language`, `text` and `reason`."""
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), ("lot", "product", "language", "text", "reason"))
    lot = Wanted(given.one("lot", _STRING), given.one("product", _STRING, ""))
    text, reason = given.one("text", _STRING, ""), given.one("reason", _STRING, "")
    notice = Notice(given.one("language", _STRING, "en"), text, reason)

    async def do() -> Response:
        found = await surface.injectables.recalls.recall(call, lot, notice)
        parts: list[Json] = [{"name": "task", "valueReference": {"reference": str(found.task.key)}}]
        parts += [{"name": "notice", "valueReference": {"reference": str(one.key)}} for one in found.notices]
        return _answer([*_told(found.traced), *parts])

    return do


async def insurance_check(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Procedure/[id]/$insurance-check[?policy=…]`: each condition, and an OperationOutcome of what lacks."""
    pairs = query_pairs(request)
    if len(dict(pairs)) != len(pairs) or not dict(pairs).keys() <= {"policy"}:
        raise InvalidRequestError("The operation has the parameter policy, once.")
    policy = dict(pairs).get("policy", GENERAL)

    async def do() -> Response:
        return _answer(_checked(await surface.injectables.checking.check(call, policy)))

    return do


async def professional_check(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Procedure/[id]/$professional-check`: each rule of the bodies of those who treated and prescribed."""
    if query_pairs(request):
        raise InvalidRequestError("The operation has no parameters.")

    async def do() -> Response:
        return _answer(_judged(await surface.injectables.professional.check(call)))

    return do


async def evidence_pack(surface: Surface, request: Request, call: Call) -> Do:
    """`recipient`, `purpose`, `basis`, and any further `procedure`. A ZIP file, or a Binary for who asks for FHIR."""
    refuse_conditions(request)
    asked = wanted(request)
    given = Given(await json_body(request, _MOST_BYTES), ("recipient", "purpose", "basis", "procedure"))
    recipients = given.keys("recipient", _RECIPIENTS, surface.base)
    others = given.keys("procedure", {"Procedure"}, surface.base)
    basis = given.one("basis", _STRING)
    if len(recipients) != 1 or basis not in set(Ground):
        raise UnprocessableError(f"A pack has one recipient, and as its basis {' or '.join(Ground)}.")
    procedures = tuple(dict.fromkeys((str(call.id), *(one.id for one in others))))
    pack_of = Asked(procedures, recipients[0], given.one("purpose", _STRING), Ground(basis))

    async def do() -> Response:
        pack = await surface.injectables.packs.make(call, pack_of)
        if asked.resource_of(_ZIP):
            data = base64.b64encode(pack.data).decode()
            return outgoing.json_answer({"resourceType": "Binary", "contentType": _ZIP, "data": data})
        return Response(pack.data, media_type=_ZIP)

    return do


def _checked(checked: Checked) -> list[Json]:
    policy = f"{checked.policy.code}|{checked.policy.version}"
    issues = [_issue(finding) for finding in checked.findings] or [_NOT_COVERED]
    return [
        {"name": "result", "valueBoolean": checked.passed},
        {"name": "policy", "valueString": policy},
        *(_finding(finding) for finding in checked.findings),
        {"name": "outcome", "resource": {"resourceType": "OperationOutcome", "issue": issues}},
    ]


_NOT_COVERED: Json = {
    "severity": "information",
    "code": "informational",
    "diagnostics": "The policy is not about a treatment like this.",
}


def _finding(finding: Finding) -> Json:
    said = {"missing": finding.missing, "consequence": finding.condition.consequence if finding.missing else ""}
    return {
        "name": "condition",
        "part": [
            {"name": "rule", "valueCode": finding.condition.rule},
            {"name": "met", "valueBoolean": not finding.missing},
            {"name": "severity", "valueCode": finding.severity},
            {"name": "text", "valueString": finding.condition.text},
            *({"name": name, "valueString": value} for name, value in said.items() if value),
            *({"name": "evidence", "valueReference": {"reference": one}} for one in finding.evidence),
        ],
    }


def _issue(finding: Finding) -> Json:
    """Coded by the rule of the insurer."""
    rule = {"system": INSURANCE_RULE, "code": finding.condition.rule}
    text = finding.condition.consequence if finding.missing else finding.condition.text
    return {
        "severity": finding.severity,
        "code": "business-rule" if finding.missing else "informational",
        "details": {"coding": [rule], "text": text},
        "diagnostics": finding.missing or "Met.",
    }


def _judged(judged: Judged) -> list[Json]:
    issues = [_ruled(finding) for finding in judged.findings]
    issues += [{"severity": "information", "code": "incomplete", "diagnostics": one} for one in judged.unjudged]
    return [
        {"name": "result", "valueBoolean": judged.passed},
        *(
            {
                "name": "body",
                "part": [
                    {"name": "practitioner", "valueReference": {"reference": person.reference}},
                    {"name": "code", "valueCode": one.body.code},
                    {"name": "name", "valueString": one.body.name},
                ],
            }
            for person in judged.people
            for one in person.memberships
        ),
        *(_rule(finding) for finding in judged.findings),
        *({"name": "unjudged", "valueString": one} for one in judged.unjudged),
        {"name": "outcome", "resource": {"resourceType": "OperationOutcome", "issue": issues or [_NOBODY]}},
    ]


_NOBODY: Json = {
    "severity": "information",
    "code": "informational",
    "diagnostics": "No rule of a professional body speaks of this treatment.",
}


def _rule(finding: ProfessionalFinding) -> Json:
    rule = finding.rule
    return {
        "name": "rule",
        "part": [
            {"name": "rule", "valueCode": rule.id},
            {"name": "practitioner", "valueReference": {"reference": finding.who}},
            {"name": "met", "valueBoolean": not finding.missing},
            {"name": "severity", "valueCode": finding.severity},
            {"name": "text", "valueString": rule.text},
            {"name": "clause", "valueString": rule.cited},
            *([{"name": "kept", "valueString": rule.by}] if rule.by else []),
            *([{"name": "missing", "valueString": finding.missing}] if finding.missing else []),
            *({"name": "evidence", "valueReference": {"reference": one}} for one in finding.evidence),
        ],
    }


def _ruled(finding: ProfessionalFinding) -> Json:
    """Coded by the rule of the body."""
    return {
        "severity": finding.severity,
        "code": "business-rule" if finding.missing else "informational",
        "details": {"coding": [{"system": PROFESSIONAL_RULE, "code": finding.rule.id}], "text": finding.rule.text},
        "diagnostics": finding.missing or finding.rule.by or "Met.",
    }


def _with_request(call: Call, request: Request) -> Call:
    return replace(call, request=f"{request.method} {request.url.path}?{request.url.query}")


def _answer(parts: list[Json]) -> Response:
    return outgoing.json_answer({"resourceType": "Parameters", "parameter": parts})


def _told(traced: Traced) -> list[Json]:
    return [
        {"name": "complete", "valueBoolean": traced.complete},
        {"name": "withheld", "valueUnsignedInt": traced.withheld},
        {"name": "patients", "valueUnsignedInt": len(traced.patients)},
        *(_use(use) for use in traced.uses),
    ]


def _use(use: Use) -> Json:
    parts: list[Json] = [{"name": "use", "valueReference": {"reference": str(use.stored.key)}}]
    if use.patient:
        parts.append({"name": "patient", "valueReference": {"reference": f"Patient/{use.patient}"}})
    if use.when:
        parts.append({"name": "when", "valueDateTime": use.when})
    parts += [{"name": "performer", "valueReference": {"reference": one}} for one in use.who]
    if use.where:
        parts.append({"name": "location", "valueReference": {"reference": use.where}})
    for product in use.products:
        said = {
            "reference": product.reference,
            "name": product.name,
            "lot": product.lot,
            "expires": product.expires,
            "manufacturer": product.manufacturer,
            "code": ", ".join(sorted(product.codes)),
        }
        told = [{"name": name, "valueString": value} for name, value in said.items() if value]
        parts.append({"name": "product", "part": told})
    return {"name": "given", "part": parts}
