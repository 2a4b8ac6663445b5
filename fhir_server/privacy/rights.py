"""A request by which somebody uses a right, as a Task: which rights there are, and what its inputs and outputs say.

GDPR Art. 15 to 18, 20, 21, 12(3) to 12(6); row B6. https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.clocks import Course, Question, Rules, due
from fhir_server.privacy.requests import ERASE, is_open
from fhir_server.smart.tie_sources import TASK_SYSTEM

ACCESS, RECTIFY, RESTRICT, PORT, OBJECT = "access", "rectify", "restrict", "port", "object"
ARTICLES: Mapping[str, str] = {
    ACCESS: "GDPR Art. 15",
    RECTIFY: "GDPR Art. 16",
    ERASE: "GDPR Art. 17",
    RESTRICT: "GDPR Art. 18",
    PORT: "GDPR Art. 20",
    OBJECT: "GDPR Art. 21",
}
"""The codes of the Tasks, and what each is about."""

TOLD_ON = frozenset({RECTIFY, ERASE, RESTRICT})
"""Those of which every recipient is told (Art. 19)."""

CHANNELS = frozenset({"app", "in-person", "phone", "letter", "email", "form"})
"""How a request came in, or an answer went out."""

STATE = "urn:aesthetic-fhir-server:rights"
"""The system of a request's inputs and outputs: the server alone writes them."""

_RECEIVED, _CHANNEL, _REASON = "received", "channel", "reason"
_ASKED, _ANSWERED, _IDENTIFIED = "asked", "answered", "identity-checked"
_EXTENDED = "extended"
_STOPPED = "on-hold"


@dataclass(frozen=True, slots=True)
class Request:
    """A Task that is one, understood. `task` is the resource itself."""

    right: str
    patient: ResourceKey
    task: Json

    @property
    def is_open(self) -> bool:
        return is_open(self.task)

    @property
    def identified(self) -> bool:
        """Did somebody write down how they know who asks?"""
        return bool(_values(self.task, _IDENTIFIED))

    def course(self, otherwise: date) -> Course:
        """`otherwise`: when it was received, where it does not say."""
        received = next((_day(said) for said in _values(self.task, _RECEIVED)), otherwise)
        return Course(received, _questions(self.task), bool(_values(self.task, _EXTENDED)))


def request_of(task: Json) -> Request | None:
    """None for a Task that uses no right, or of nobody who is a patient here."""
    codings = task.get("code", {}).get("coding", [])
    right = next((str(one.get("code")) for one in codings if one.get("system") == TASK_SYSTEM), "")
    patient = parse_reference(str(task.get("for", {}).get("reference", "")))
    if right not in ARTICLES or patient is None or patient.type != "Patient":
        return None
    return Request(right, patient, task)


def opened(right: str, patient: ResourceKey, received: date, channel: str, reason: str) -> Json:
    """A new one."""
    said = [_input(_RECEIVED, {"valueDate": received.isoformat()}), _input(_CHANNEL, {"valueCode": channel})]
    if reason:
        said.append(_input(_REASON, {"valueString": reason}))
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": right, "display": ARTICLES[right]}]},
        "for": {"reference": str(patient)},
        "input": said,
    }


def timed(request: Request, rules: Rules, begun: date) -> Json:
    """With the last day to answer, as long as it is open; without one while the clock stands still.

    `begun`: when it was received, where it does not say.
    """
    if not request.is_open:
        return request.task
    course = request.course(begun)
    period = {"start": course.received.isoformat()}
    if (last := due(course, rules)) is not None:
        period["end"] = last.isoformat()
    restriction = {**request.task.get("restriction", {}), "period": period}
    return {**request.task, "restriction": restriction}


def asked_back(task: Json, about: str, day: date, why: str) -> Json:
    """A question to whoever made the request."""
    return _with(task, _STOPPED, _input(_ASKED, {"valueDate": day.isoformat()}, about), _told(_ASKED, why))


def answered(task: Json, about: str, day: date) -> Json:
    return _with(task, "in-progress", _input(_ANSWERED, {"valueDate": day.isoformat()}, about))


def identified(task: Json, day: date, how: str) -> Json:
    """Who asks was checked; what had been asked back of it is answered with that."""
    waiting = [one for one in _questions(task) if one.about == "identity" and one.answered is None]
    task = answered(task, "identity", day) if waiting else task
    status = task["status"] if task["status"] == _STOPPED else "in-progress"
    return _with(task, status, _input(_IDENTIFIED, {"valueString": how}))


def extended(task: Json, day: date, why: str) -> Json:
    return _with(task, task["status"], _input(_EXTENDED, {"valueDate": day.isoformat()}), _told(_EXTENDED, why))


def refused(task: Json, why: str) -> Json:
    return {**task, "status": "rejected", "statusReason": {"text": why}}


def waiting(task: Json, about: str) -> bool:
    """Was something asked back of this that is not answered?"""
    return any(one.about == about and one.answered is None for one in _questions(task))


def fulfilled(task: Json, outcome: Sequence[tuple[str, str]]) -> Json:
    """`outcome`: what was done, each by a code with a text."""
    said = [{"type": _concept(code), "valueString": text} for code, text in outcome]
    return {**task, "status": "completed", "output": [*task.get("output", []), *said]}


def begun(task: Json) -> date | None:
    """When the server held it for received; None where it did not look at it."""
    start = task.get("restriction", {}).get("period", {}).get("start")
    return _day(start) if request_of(task) and isinstance(start, str) and len(start) == len("2026-01-31") else None


def due_of(task: Json) -> str | None:
    """The last day to answer, as the server wrote it."""
    end = task.get("restriction", {}).get("period", {}).get("end")
    return str(end) if end else None


def state_of(task: Json) -> Sequence[Json]:
    """The inputs and outputs that the server alone writes."""
    return [one for name in ("input", "output") for one in task.get(name, []) if _is_state(one)]


def _with(task: Json, status: str, *inputs: Json) -> Json:
    return {**task, "status": status, "input": [*task.get("input", []), *inputs]}


def _questions(task: Json) -> tuple[Question, ...]:
    """In the order in which they were asked; an answer is to the first of its kind that has none."""
    found: list[Question] = []
    for one in task.get("input", []):
        code, about = _code(one), str(one["type"].get("text", ""))
        if code == _ASKED and "valueDate" in one:
            found.append(Question(about, _day(one["valueDate"])))
        if code == _ANSWERED:
            place = next(i for i, each in enumerate(found) if each.about == about and each.answered is None)
            found[place] = Question(about, found[place].asked, _day(one["valueDate"]))
    return tuple(found)


def _values(task: Json, code: str) -> Sequence[str]:
    """Of each input of that code the value."""
    found = [one for one in task.get("input", []) if _code(one) == code]
    return [next(str(value) for name, value in one.items() if name.startswith("value")) for one in found]


def _code(one: Json) -> str:
    codings = one["type"].get("coding", [])
    return next((str(each.get("code")) for each in codings if each.get("system") == STATE), "")


def _is_state(one: Json) -> bool:
    return bool(_code(one))


def _input(code: str, value: Json, about: str = "") -> Json:
    return {"type": {**_concept(code), **({"text": about} if about else {})}, **value}


def _told(code: str, why: str) -> Json:
    return _input(f"{code}-because", {"valueString": why})


def _concept(code: str) -> Json:
    return {"coding": [{"system": STATE, "code": code}]}


def _day(text: str) -> date:
    return date.fromisoformat(text)
