"""Entries of the register and breaches, as a privacy officer writes them."""

from datetime import datetime, timedelta

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from fhir_server.privacy.breaches.record import INPUTS, SYSTEM
from fhir_server.privacy.register.entries import Entry, Value, basic_of
from tests.people import TASK


def entry(id: str, kind: str, **values: Value | tuple[Value, ...]) -> Json:
    """`data_category=…` is the field data-category."""
    said = {name.replace("_", "-"): value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    return basic_of(Entry(id, kind, said))


def activity(id: str = "activity-patient-files", **values: Value | tuple[Value, ...]) -> Json:
    known: dict[str, Value | tuple[Value, ...]] = {
        "title": "Patient files",
        "role": "controller",
        "purpose": "Care",
        "data_category": "health",
        "subject_category": "patients",
    }
    return entry(id, "processing-activity", **{**known, **values})


def without(basic: Json, *fields: str) -> Json:
    return {**basic, "extension": [one for one in basic["extension"] if one["url"].rpartition(":")[2] not in fields]}


def breach(aware: datetime, id: str = "breach", status: str = "in-progress", **inputs: object) -> Json:
    """`lost_client=…` is the input lost-client."""
    said = {"aware": instant(aware), "severity": "high", "nature": "A phone was stolen", **inputs}
    return {
        "resourceType": "Task",
        "id": id,
        "status": status,
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": "breach"}]},
        "input": [given(name.replace("_", "-"), value) for name, value in said.items()],
    }


def given(name: str, value: object) -> Json:
    type = INPUTS[name]
    said = {"reference": value} if type == "valueReference" else value
    said = instant(said) if isinstance(said, datetime) else said
    return {"type": {"coding": [{"system": SYSTEM, "code": name}]}, type: said}


HOUR = timedelta(hours=1)
