"""A breach as its Task says it: what happened, what was lost, whom it concerns, and the clock of 72 hours.

GDPR Art. 33, 34; rows S20, S22, S66. https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from fhir_server.smart.tie_sources import TASK_SYSTEM

BREACH = "breach"
SYSTEM = "urn:aesthetic-fhir-server:breach"
NOTICE = timedelta(hours=72)

INPUTS: Mapping[str, str] = {
    "aware": "valueInstant",
    "since": "valueInstant",
    "until": "valueInstant",
    "severity": "valueCode",
    "nature": "valueString",
    "consequences": "valueString",
    "measures": "valueString",
    "high-risk": "valueBoolean",
    "practitioner": "valueReference",
    "lost-client": "valueString",
    "lost-person": "valueReference",
    "lost-patient-key": "valueReference",
    "lost-root-key": "valueBoolean",
    "lost-dump": "valueBoolean",
    "notified": "valueInstant",
    "late-because": "valueString",
    "not-notified-because": "valueString",
}
"""What a Task of this kind is given, each by a coding of SYSTEM, and as which value[x]."""

SEVERITIES = ("low", "medium", "high")
_REQUIRED = ("aware", "severity", "nature")
_TO_CLOSE = ("consequences", "measures")
_INSTANTS = ("aware", "since", "until", "notified")


@dataclass(frozen=True, slots=True)
class Breach:
    """A Task without faults, taken apart. `closed`: its status says that it is over."""

    inputs: Mapping[str, tuple[Any, ...]]
    closed: bool

    def text(self, name: str) -> str:
        return str(next(iter(self.inputs.get(name, ())), ""))

    def says(self, name: str) -> bool:
        return True in self.inputs.get(name, ())

    def moment(self, name: str) -> datetime | None:
        found = self.text(name)
        # A leap second is an instant to FHIR and none to Python.
        return datetime.fromisoformat(found.replace(":60", ":59")) if found else None

    @property
    def aware(self) -> datetime:
        found = self.moment("aware")
        assert found is not None, "the step does not take one without"
        return found

    @property
    def due(self) -> datetime:
        """72 hours after somebody was reasonably certain (Art. 33(1), EDPB 9/2022)."""
        return self.aware + NOTICE

    def is_late(self, now: datetime) -> bool:
        if "not-notified-because" in self.inputs:
            return False
        return (self.moment("notified") or now) > self.due


def is_breach(resource: Json) -> bool:
    if resource["resourceType"] != "Task":
        return False  # whose `code` may be a text, or several concepts
    codings = resource.get("code", {}).get("coding", [])
    return any((one.get("system"), one.get("code")) == (TASK_SYSTEM, BREACH) for one in codings)


def breach_of(task: Json) -> Breach:
    found: dict[str, tuple[Any, ...]] = {}
    for given in task.get("input", []):
        name = _name(given)
        value = given.get(INPUTS.get(name, ""))
        if value is not None:
            found[name] = (*found.get(name, ()), value.get("reference", "") if isinstance(value, dict) else value)
    return Breach(found, task.get("status") == "completed")


def timed(task: Json) -> Json:
    """With the clock that the law sets, whatever was written there."""
    breach = breach_of(task)
    period = {"start": instant(breach.aware), "end": instant(breach.due)}
    return {**task, "restriction": {**task.get("restriction", {}), "period": period}}


def faults(task: Json, before: Json | None, now: datetime) -> Iterator[str]:
    """Why it is not taken. `before`: the version that it replaces."""
    if not is_breach(task):
        yield "A breach stays one: all of them are documented (GDPR Art. 33(5))."
        return
    for given in task.get("input", []):
        name = _name(given)
        if name and INPUTS.get(name, "?") not in given:
            yield f"An input of a breach is not known, or has another type of value than {INPUTS.get(name, 'any')}."
            return
    breach = breach_of(task)
    missing = [name for name in _REQUIRED if name not in breach.inputs]
    if missing:
        yield f"A breach says its {' and '.join(missing)}."
        return
    yield from _wrong(breach, before, now)


def _wrong(breach: Breach, before: Json | None, now: datetime) -> Iterator[str]:
    if breach.text("severity") not in SEVERITIES:
        yield f"The severity is one of {', '.join(SEVERITIES)}."
    if any((breach.moment(name) or now) > now for name in _INSTANTS):
        yield "What happened lies in the past."
    if before is not None and is_breach(before) and breach_of(before).aware != breach.aware:
        yield "The clock runs from when it was first known: `aware` stays."
    if "notified" in breach.inputs and breach.is_late(now) and not breach.text("late-because"):
        yield "Notified later than 72 hours: `late-because` says why (GDPR Art. 33(1))."
    if breach.closed:
        if not {"notified", "not-notified-because"} & breach.inputs.keys():
            yield "It ends notified, or with `not-notified-because`."
        missing = [name for name in _TO_CLOSE if not breach.text(name)]
        if missing:
            yield f"It ends with its {' and '.join(missing)} (GDPR Art. 33(5))."


def _name(given: Json) -> str:
    codings = given.get("type", {}).get("coding", [])
    return next((str(one.get("code", "")) for one in codings if one.get("system") == SYSTEM), "")
