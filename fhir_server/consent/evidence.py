"""The resources that one signed form becomes: answers, Provenance, and a Consent for each purpose.

IHE PCF 1.1 (Basic); GDPR Art. 7(1); requirements B3, B4, D8, T80, T97; legal.md 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fhir_server.consent import terms
from fhir_server.consent.answers import Answers, Decision, Value
from fhir_server.consent.form import OPTION
from fhir_server.consent.purposes import coded
from fhir_server.consent.signature import Sitting
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

BASIC = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"
SIGNED_FORM = "urn:aesthetic-fhir-server:signed-form"
_LOINC = {"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}
_SCOPE = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """`lapses`: when a representative's consent does, at the patient's majority. `policy`: where the text is."""

    organization: Json
    policy: str
    received: datetime
    lapses: date | None


def response(key: ResourceKey, sitting: Sitting, answers: Answers) -> Json:
    """The answers beside the text that they answer."""
    items = [
        {"linkId": link, "text": item["text"], "answer": [_answer(item, value) for value in answers[link]]}
        for link, item in sitting.form.items.items()
        if link in answers
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": key.id,
        "language": sitting.form.language,
        "questionnaire": sitting.form.canonical,
        "status": "completed",
        "subject": {"reference": f"Patient/{sitting.patient}"},
        "authored": sitting.when,
        "author": {"reference": str(sitting.collector or sitting.signer)},
        "source": {"reference": str(sitting.signer)},
        "item": items,
    }


def consent(key: ResourceKey, sitting: Sitting, decision: Decision, document: ResourceKey, facts: Facts) -> Json:
    """What one question was answered with: a permission, or a refusal."""
    ends = _end(sitting, decision, facts.lapses)
    period = {"start": sitting.when, **({"end": ends} if ends and decision.granted else {})}
    return {
        "resourceType": "Consent",
        "id": key.id,
        "meta": {"profile": [BASIC]},
        "language": sitting.form.language,
        "extension": [*_terms(decision), _form(sitting, facts)],
        "status": "active",
        "scope": {"coding": [_SCOPE]},
        "category": [{"coding": [_LOINC]}],
        "patient": {"reference": f"Patient/{sitting.patient}"},
        "dateTime": sitting.when,
        "performer": [{"reference": str(sitting.signer)}],
        "organization": [facts.organization],
        "sourceReference": {"reference": str(document)},
        "policy": [{"uri": facts.policy}],
        "provision": {
            "type": "permit" if decision.granted else "deny",
            "period": period,
            "purpose": [coded(decision.question.purpose)],
        },
    }


def provenance(key: ResourceKey, sitting: Sitting, targets: Sequence[ResourceKey], now: datetime) -> Json:
    """Who signed what, with the signature itself."""
    collector = [_agent("enterer", sitting.collector)] if sitting.collector else []
    paper = [{"role": "source", "what": {"reference": str(sitting.authority)}}] if sitting.authority else []
    return {
        "resourceType": "Provenance",
        "id": key.id,
        "target": [{"reference": str(target)} for target in targets],
        "occurredDateTime": sitting.when,
        "recorded": instant(now),
        "agent": [_agent("author", sitting.signer), *collector],
        **({"entity": paper} if paper else {}),
        "signature": [sitting.signature],
    }


def reminder(key: ResourceKey, sitting: Sitting, on: date, consents: Sequence[ResourceKey], now: datetime) -> Json:
    """What a representative agreed to ends with majority; then the patient is asked."""
    return {
        "resourceType": "Task",
        "id": key.id,
        "status": "requested",
        "intent": "plan",
        "code": {"coding": [{"system": "urn:aesthetic-fhir-server:task", "code": "ask-consent-anew"}]},
        "description": "The patient comes of age: ask them for the consents that a representative gave.",
        "for": {"reference": f"Patient/{sitting.patient}"},
        "authoredOn": instant(now),
        "executionPeriod": {"start": on.isoformat()},
        "focus": {"reference": str(consents[0])},
        "input": [{"type": {"text": "consent"}, "valueReference": {"reference": str(one)}} for one in consents[1:]],
    }


def _terms(decision: Decision) -> list[Json]:
    """Channels limit a refusal too; the rest says only what is permitted."""
    found = [{"url": terms.CHANNEL, "valueCode": channel} for channel in decision.channels]
    if decision.granted and decision.uses:
        found.append({"url": terms.USE, "valueString": ", ".join(decision.uses)})
    if decision.granted and decision.anonymisation:
        found.append({"url": terms.ANONYMISATION, "valueCode": decision.anonymisation})
    return found


def _form(sitting: Sitting, facts: Facts) -> Json:
    """The exact text, its hash and language, when it came in here, and that it was understood."""
    parts: list[Json] = [
        {"url": "form", "valueCanonical": sitting.form.canonical},
        {"url": "sha256", "valueString": sitting.form.sha256},
        {"url": "language", "valueCode": sitting.form.language},
        {"url": "understood", "valueBoolean": True},
        {"url": "received", "valueInstant": instant(facts.received)},
    ]
    if sitting.collector:
        parts.append({"url": "collector", "valueReference": {"reference": str(sitting.collector)}})
    return {"url": SIGNED_FORM, "extension": parts}


def _end(sitting: Sitting, decision: Decision, lapses: date | None) -> str | None:
    """The agreed end, or the day before the patient comes of age, whichever is sooner."""
    ends = [lapses - timedelta(days=1)] if lapses else []
    if decision.months:
        ends.append(_later(date.fromisoformat(sitting.when[:10]), decision.months))
    return min(ends).isoformat() if ends else None


def _later(day: date, months: int) -> date:
    """So many months later; a day that the month does not have is its last."""
    years, month = divmod(day.month - 1 + months, _MONTHS)
    first_after = datetime(day.year + years + (month + 1) // _MONTHS, (month + 1) % _MONTHS + 1, 1, tzinfo=UTC)
    last = (first_after - timedelta(days=1)).day
    return date(day.year + years, month + 1, min(day.day, last))


def _answer(item: Json, value: Value) -> Json:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    options = {one["valueCoding"]["code"]: one["valueCoding"]["display"] for one in item["answerOption"]}
    return {"valueCoding": {"system": OPTION, "code": value, "display": options[value]}}


def _agent(kind: str, who: ResourceKey) -> Json:
    return {"type": {"coding": [{"system": _PARTICIPATION, "code": kind}]}, "who": {"reference": str(who)}}
