"""The operations on consents: $sign, $withdraw, $decide, $consent-periods.

https://hl7.org/fhir/R4/operations.html; architecture section 9.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, optional_json_body, query_pairs
from fhir_server.api.parameters import Parameters
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.preferences import preferences_of
from fhir_server.api.surface import Surface
from fhir_server.consent.form import form_of
from fhir_server.consent.inquiry import Asked, Said
from fhir_server.consent.period import span
from fhir_server.consent.purposes import BY_CODE, of_call
from fhir_server.consent.question import Permit
from fhir_server.consent.signature import Sitting
from fhir_server.consent.terms import CHANNELS
from fhir_server.consent.timeline import Interval
from fhir_server.engine.call import Call
from fhir_server.engine.stored import Stored
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import InvalidRequestError, Issue, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal import BY, withdraw
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_MOST_SIGNED_BYTES = 2 * 1024 * 1024
_SIGN = frozenset(
    {
        *("form", "language", "patient", "answers", "signature", "signer", "authority", "collector", "organization"),
        "treatment",
    }
)


async def withdraw_consent(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Consent/[id]/$withdraw`, with an empty body or Parameters that say how the patient's word came in."""
    refuse_conditions(request)
    view = preferences_of(request).view
    given = Parameters(await optional_json_body(request, _MOST_BYTES), frozenset({"channel", "reason"}))
    channel = given.text("channel", "valueCode", "valueString")
    if channel is not None and channel not in BY:
        raise UnprocessableError(f"channel is one of {', '.join(sorted(BY))}.", expression="Parameters.parameter")

    async def do() -> Response:
        stored = await withdraw(surface.engine, call, channel)
        if may_read(call, stored):
            return outgoing.resource(stored.seen_through(view))
        return Response(status_code=204)

    return do


async def sign(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Consent/$sign`: a form, its answers and the signature, as Parameters."""
    refuse_conditions(request)
    sitting = _sitting(call, Parameters(await json_body(request, _MOST_SIGNED_BYTES), _SIGN))

    async def do() -> Response:
        made = await surface.signing.sign(call, sitting)
        return outgoing.json_answer(_copy(surface, made, await surface.signing.doubts(sitting)), status=201)

    return do


async def decide(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Consent/$decide`: who may, or on a date could, use something of a patient for a purpose, and why."""
    given = _query(request, frozenset({"patient", "resource", "purpose", "at", "channel", "actor"}))
    purpose = given.get("purpose", "TREAT")
    asked = Asked(
        patient=_patient(given["patient"]) if "patient" in given else None,
        resource=_reference(given["resource"]) if "resource" in given else None,
        purpose=purpose if purpose in BY_CODE else of_call(purpose),
        at=_moment(given["at"]) if "at" in given else call.instant,
        channel=given.get("channel"),
        actor=_reference(given["actor"]) if "actor" in given else None,
    )
    if asked.patient is None and asked.resource is None:
        raise InvalidRequestError("$decide takes a resource, or a patient.")
    if asked.channel is not None and asked.channel not in CHANNELS:
        raise InvalidRequestError(f"channel is one of {', '.join(sorted(CHANNELS))}.")

    async def do() -> Response:
        said = await surface.inquiry.decided(call, asked)
        return outgoing.json_answer({"resourceType": "Parameters", "parameter": [_said(one) for one in said]})

    return do


async def periods(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Consent/$consent-periods?patient=`: from when to when which consent had force."""
    given = _query(request, frozenset({"patient"}))
    if "patient" not in given:
        raise InvalidRequestError("$consent-periods takes a patient.")
    patient = _patient(given["patient"])

    async def do() -> Response:
        found = await surface.inquiry.periods(call, patient)
        answer: Json = {"resourceType": "Parameters"}
        return outgoing.json_answer({**answer, "parameter": [_interval(one) for one in found]} if found else answer)

    return do


def _sitting(call: Call, given: Parameters) -> Sitting:
    signature = given.value("signature", "valueSignature")
    who = parse_reference(str(signature.get("who", {}).get("reference", "")))
    patient = given.reference("patient") or _own(call)
    signer = given.reference("signer") or who
    if patient is None or patient.type != "Patient" or signer is None:
        raise UnprocessableError(
            "$sign takes a patient and a signer of this server.", expression="Parameters.parameter"
        )
    form = form_of(
        given.text("form", "valueCanonical", "valueUri", "valueString") or "",
        given.text("language", "valueCode", "valueString") or "",
    )
    return Sitting(
        patient.id,
        form,
        given.resource("answers"),
        signature,
        signer,
        given.reference("authority"),
        given.reference("collector") or _collector(call, signer),
        given.reference("organization"),
        given.text("treatment", "valueCode", "valueString"),
    )


def _own(call: Call) -> ResourceKey | None:
    return ResourceKey("Patient", call.principal.patient) if call.principal.patient else None


def _collector(call: Call, signer: ResourceKey) -> ResourceKey | None:
    """Who took it down is who sends it, where that is not the signer."""
    user = parse_reference(call.principal.fhir_user) if call.principal.fhir_user else None
    return user if user != signer else None


def _copy(surface: Surface, made: tuple[Stored, ...], doubts: tuple[Issue, ...]) -> Json:
    """All that was made: the signer's copy; and an OperationOutcome where there is something to be said of it."""
    entries = [{"fullUrl": f"{surface.base}/{one.key}", "resource": one.resource} for one in made]
    entries += [{"resource": operation_outcome(doubts)}] if doubts else []
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _said(said: Said) -> Json:
    decision = said.decision
    parts: list[Json] = [{"name": "who", "valueString": said.who}]
    if isinstance(decision, Permit):
        parts += [{"name": "decision", "valueCode": "permit"}, {"name": "basis", "valueString": str(decision.basis)}]
    else:
        parts += [
            {"name": "decision", "valueCode": "deny"},
            {"name": "reason", "valueCode": str(decision.reason)},
            {"name": "text", "valueString": decision.text},
        ]
        if decision.consent:
            refusal = f"{decision.consent}/_history/{decision.version}"
            parts.append({"name": "consent", "valueReference": {"reference": refusal}})
    return {"name": "decided", "part": parts}


def _interval(one: Interval) -> Json:
    period = {"start": instant(one.begin), **({"end": instant(one.end)} if one.end else {})}
    return {
        "name": "period",
        "part": [
            {"name": "consent", "valueReference": {"reference": f"{one.consent}/_history/{one.version}"}},
            {"name": "type", "valueCode": one.kind},
            *({"name": "purpose", "valueString": purpose} for purpose in one.purposes),
            *({"name": "channel", "valueCode": channel} for channel in one.channels),
            {"name": "inForce", "valuePeriod": period},
            *([{"name": "ended", "valueCode": one.why}] if one.why else []),
        ],
    }


def _query(request: Request, known: frozenset[str]) -> dict[str, str]:
    pairs = query_pairs(request)
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= known:
        raise InvalidRequestError(f"The operation takes each of {', '.join(sorted(known))} once.")
    return given


def _patient(text: str) -> str:
    key = parse_reference(text if "/" in text else f"Patient/{text}")
    if key is None or key.type != "Patient":
        raise InvalidRequestError("patient is the id of a Patient.")
    return key.id


def _reference(text: str) -> ResourceKey:
    key = parse_reference(text)
    if key is None:
        raise InvalidRequestError("resource and actor are references such as Media/7.")
    return key


def _moment(text: str) -> datetime:
    found = span(text.replace(" ", "+"), UTC)
    if found is None:
        raise InvalidRequestError("at is a dateTime.")
    return found[0]
