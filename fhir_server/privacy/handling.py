"""`Patient/[id]/$rights-request`, `Task/[id]/$rights-step`: a request is written down, and handled until its answer.

GDPR Art. 12(3): extended within the first month, with reasons; 12(4): refused, with reasons; 12(6): who is it? Row S54.
"""

from dataclasses import dataclass
from datetime import UTC, date, tzinfo

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy import rights
from fhir_server.privacy.clocks import CLARIFICATION, IDENTITY, Rules, extendable_until
from fhir_server.privacy.rights import Request, request_of, timed
from fhir_server.smart.rights import rights_of

STEPS = frozenset({"ask", "answered", "identify", "extend", "refuse"})


@dataclass(frozen=True, slots=True)
class Opening:
    """What is asked for. `received`: None for today. `reason`: what the person said."""

    right: str
    received: date | None
    channel: str
    reason: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of handling it. `about`: what is asked back; `because`: why, or how somebody was recognised."""

    name: str
    about: str
    because: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Handled:
    """The request as it is, or as it would be. `key` is None where nothing was written down."""

    key: ResourceKey | None
    task: Json


class Handling:
    """`zone`: where a day begins."""

    def __init__(self, engine: Engine, rules: Rules, new_id: NewId, zone: tzinfo = UTC) -> None:
        self._engine, self._rules, self._new_id, self._zone = engine, rules, new_id, zone

    async def open(self, call: Call, asked: Opening) -> Handled:
        """Raises UnprocessableError for what was received in the future."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            patient = await self._engine.look(call)
            today = self._today(call)
            if (asked.received or today) > today:
                raise UnprocessableError("A request is not received in the future.", expression="received")
            task = rights.opened(asked.right, patient.key, asked.received or today, asked.channel, asked.reason)
            if who := _signed_in(call):
                task = rights.identified(task, today, who)
                task["status"] = "requested"
            if asked.dry_run:
                attempt.disclosed.append(patient)
                return Handled(None, timed(Request(asked.right, patient.key, task), self._rules, today))
            key = ResourceKey("Task", self._new_id())
            drawn_up = self._engine.drafts.of(key, {**task, "id": key.id}, None, "POST")
            stored = await self._engine.commit_one(attempt, await self._engine.drafts.prepared(call, drawn_up))
        return Handled(key, stored.resource)

    async def step(self, call: Call, step: Step) -> Handled:
        """Raises ConflictError for a step that is not to be taken now."""
        today, seen = self._today(call), {}

        def edit(task: Json) -> Json | None:
            request = open_request(task)
            begun = rights.begun(task) or today
            after = self._taken(request, step, today, begun)
            seen["task"] = timed(Request(request.right, request.patient, after), self._rules, begun)
            return None if step.dry_run else after

        stored = await self._engine.amend(call, edit)
        return Handled(None, seen["task"]) if step.dry_run else Handled(stored.key, stored.resource)

    def _taken(self, request: Request, step: Step, today: date, begun: date) -> Json:
        task = request.task
        match step.name:
            case "ask":
                if rights.waiting(task, step.about):
                    raise ConflictError("That was asked already, and is not answered.")
                return rights.asked_back(task, step.about, today, step.because)
            case "answered":
                if not rights.waiting(task, step.about):
                    raise ConflictError("Nothing of this kind was asked.")
                return rights.answered(task, step.about, today)
            case "identify":
                return rights.identified(task, today, step.because)
            case "extend":
                course = request.course(begun)
                latest = extendable_until(course, self._rules)
                if course.extended or (latest is not None and today > latest):
                    raise ConflictError("A request is extended once, and within the first period (GDPR Art. 12(3)).")
                return rights.extended(task, today, step.because)
            case _:
                return rights.refused(task, step.because)

    def _today(self, call: Call) -> date:
        return call.instant.astimezone(self._zone).date()


def open_request(task: Json) -> Request:
    """Raises UnprocessableError for another Task, ConflictError for one that was answered."""
    request = request_of(task)
    if request is None:
        raise UnprocessableError("The Task is no request for a right of a patient.", expression="Task.code")
    if not request.is_open:
        raise ConflictError("The request was answered.")
    return request


def require_complete(step: Step) -> None:
    """Raises UnprocessableError where a step does not say what it has to."""
    if step.name in {"ask", "answered"} and step.about not in {IDENTITY, CLARIFICATION}:
        raise UnprocessableError(f"about is one of {CLARIFICATION}, {IDENTITY}.", expression="about")
    if step.name != "answered" and not step.because:
        raise UnprocessableError("because says why; of an identity, how it was checked.", expression="because")


def _signed_in(call: Call) -> str:
    """How somebody is known who asks for themselves, or for whom they represent; empty for anybody else."""
    known = rights_of(call.principal)
    if known.person is None or known.person.type not in {"Patient", "RelatedPerson"} or known.own != call.id:
        return ""
    return f"signed in as {known.person.type}"
