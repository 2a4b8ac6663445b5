"""The regulator's pack as sections of rows: what each is called, its columns, what stands in it. Pure.

GDPR Art. 5(2), 30, 31; M5. The same rows become JSON, CSV and PDF, so that these cannot say different things.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from fhir_server.consent.terms import WITHDRAWN_AT, WITHDRAWN_BY
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from fhir_server.privacy.breaches.record import INPUTS, breach_of
from fhir_server.privacy.premises import Log, Measure
from fhir_server.privacy.register.compliance import Duty, told
from fhir_server.privacy.register.entries import ACTIVITY, Entry, kinds
from fhir_server.privacy.requests import said_in
from fhir_server.privacy.retention import Pack


@dataclass(frozen=True, slots=True)
class Section:
    """`rows`: column -> text, all of them with the same columns."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


_NOT_OF_A_PROCESSOR = frozenset({"retention", "retention-note", "joint-controller"})
"""GDPR Art. 30(2) does not ask a processor for them."""

_KINDS = {
    "dpia": "Data protection impact assessments (Art. 35)",
    "risk": "Risks and mitigation (Art. 35(7))",
    "officer": "Data protection officer (Art. 37)",
    "supplier": "Suppliers (Art. 28)",
    "hosting": "Certificates of hosting",
    "training": "Training of staff",
    "review": "Reviews",
}


def of_duties(duties: Sequence[Duty]) -> Section:
    columns = ("section", "duty", "basis", "state", "evidence")
    return Section("compliance", "Compliance", columns, tuple(told(duties)))


def of_register(entries: Sequence[Entry]) -> list[Section]:
    """Art. 30(1) and (2), and each other kind of entry."""
    activities = [entry for entry in entries if entry.kind == ACTIVITY]
    controller = [entry for entry in activities if entry.one("role") != "processor"]
    processor = [entry for entry in activities if entry.one("role") == "processor"]
    fields = tuple(kinds()[ACTIVITY])
    fewer = tuple(name for name in fields if name not in _NOT_OF_A_PROCESSOR)
    return [
        _of_entries("register-controller", "Processing activities as controller (Art. 30(1))", fields, controller),
        _of_entries("register-processor", "Processing activities as processor (Art. 30(2))", fewer, processor),
        *(
            _of_entries(kind, title, tuple(kinds()[kind]), [entry for entry in entries if entry.kind == kind])
            for kind, title in _KINDS.items()
        ),
    ]


def _of_entries(name: str, title: str, fields: tuple[str, ...], entries: Iterable[Entry]) -> Section:
    rows = tuple(
        {
            "id": entry.id,
            "confirmed": "yes" if entry.confirmed else "no",
            **{field: "; ".join(_text(value) for value in entry.values.get(field, ())) for field in fields},
        }
        for entry in entries
    )
    return Section(name, title, ("id", "confirmed", *fields), rows)


def of_consents(consents: Sequence[Stored]) -> Section:
    """Consents and withdrawals. Patients by id: who they are is not for this register."""
    columns = ("id", "version", "patient", "status", "type", "purposes", "given", "ends", "withdrawn", "how")
    return Section("consents", "Consents and withdrawals (Art. 7)", columns, tuple(_consent(one) for one in consents))


def _consent(stored: Stored) -> Mapping[str, str]:
    consent, provision = stored.resource, stored.resource.get("provision", {})
    return {
        "id": str(stored.key),
        "version": str(stored.version),
        "patient": str(consent.get("patient", {}).get("reference", "")),
        "status": str(consent.get("status", "")),
        "type": str(provision.get("type", "")),
        "purposes": "; ".join(str(one.get("code", "")) for one in provision.get("purpose", [])),
        "given": str(consent.get("dateTime", "")),
        "ends": str(provision.get("period", {}).get("end", "")),
        "withdrawn": _extension(consent, WITHDRAWN_AT, "valueInstant"),
        "how": _extension(consent, WITHDRAWN_BY, "valueCode"),
    }


def of_breaches(tasks: Sequence[Stored], now: datetime) -> Section:
    columns = ("id", "status", "due", "late", *INPUTS)
    rows = []
    for stored in tasks:
        breach = breach_of(stored.resource)
        rows.append(
            {
                "id": str(stored.key),
                "status": str(stored.resource.get("status", "")),
                "due": instant(breach.due),
                "late": _text(breach.is_late(now)),
                **{name: "; ".join(_text(value) for value in breach.inputs.get(name, ())) for name in INPUTS},
            }
        )
    return Section("breaches", "Breaches (Art. 33(5))", columns, tuple(rows))


def of_rules(pack: Pack) -> Section:
    rows = tuple(
        {
            "rule": rule.id,
            "class": str(rule.record),
            "years": str(rule.years),
            "from": str(rule.start),
            "source": rule.source,
            "verified": _text(rule.verified),
        }
        for rule in pack.rules
    )
    return Section(
        "retention-rules", "Retention (Art. 5(1)(e))", ("rule", "class", "years", "from", "source", "verified"), rows
    )


def of_decisions(erasures: Sequence[Stored]) -> Section:
    rows = tuple(
        {
            "id": str(stored.key),
            "patient": str(stored.resource.get("for", {}).get("reference", "")),
            "status": str(stored.resource.get("status", "")),
            "class": name,
            "decision": decision,
        }
        for stored in erasures
        for name, decision in said_in(stored) or [("", "")]
    )
    columns = ("id", "patient", "status", "class", "decision")
    return Section("retention-decisions", "Erasures and what was kept (Art. 17)", columns, rows)


def of_documents(name: str, title: str, documents: Sequence[Stored]) -> Section:
    rows = tuple(
        {
            "id": str(stored.key),
            "date": str(stored.resource.get("date", "")),
            "patient": str(stored.resource.get("subject", {}).get("reference", "")),
            "says": str(stored.resource.get("description", "")),
        }
        for stored in documents
    )
    return Section(name, title, ("id", "date", "patient", "says"), rows)


def of_security(measures: Sequence[Measure]) -> list[Section]:
    """As configured at this moment; and what of ISO/IEC 27001 the software does its part of."""
    text = files("fhir_server.privacy.register").joinpath("controls.toml").read_text(encoding="utf-8")
    rows = tuple({"measure": one.name, "holds": _text(one.holds), "says": one.says} for one in measures)
    mapped = tuple({"annex-a": id, "says": says} for id, says in tomllib.loads(text)["controls"].items())
    return [
        Section("security", "Security measures in force (Art. 32)", ("measure", "holds", "says"), rows),
        Section("iso-27001", "ISO/IEC 27001:2022, Annex A: the software's part", ("annex-a", "says"), mapped),
    ]


def of_log(log: Log) -> Section:
    rows = ({"assurance": log.assurance, "key": log.key, "checkpoint": log.checkpoint},)
    return Section("audit", "The audit log (Art. 5(2))", ("assurance", "key", "checkpoint"), rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _extension(resource: Json, url: str, name: str) -> str:
    return next((str(one.get(name, "")) for one in resource.get("extension", []) if one.get("url") == url), "")
