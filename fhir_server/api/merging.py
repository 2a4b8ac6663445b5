"""`POST Patient/$merge` and `Patient/$unmerge`: Parameters in, and what moved, what ended and what stayed.

R4 has neither; https://hl7.org/fhir/R5/patient-operation-merge.html is the model of both.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body
from fhir_server.api.given import Given
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.attempting import Asked, Outcome
from fhir_server.privacy.merging.record import Pair

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 256 * 1024
_PAIR = frozenset({"source-patient", "target-patient", "preview"})


async def merge(surface: Surface, request: Request, call: Call) -> Do:
    asked = await _asked(surface, request, _PAIR | {"result-patient"})

    async def do() -> Response:
        return _answer(await surface.rights.merging.merge(call, asked), asked, "merged")

    return do


async def unmerge(surface: Surface, request: Request, call: Call) -> Do:
    asked = await _asked(surface, request, _PAIR)

    async def do() -> Response:
        return _answer(await surface.rights.unmerging.unmerge(call, asked), asked, "given back")

    return do


async def _asked(surface: Surface, request: Request, known: frozenset[str]) -> Asked:
    refuse_conditions(request)
    body = await json_body(request, _MOST_BYTES)
    given = Given(body, known)
    pair = Pair(*(given.reference(name, "Patient", surface.base) for name in ("source-patient", "target-patient")))
    return Asked(pair, given.resource("result-patient", "Patient"), given.flag("preview"))


def _answer(outcome: Outcome, asked: Asked, done: str) -> Response:
    return Response(json.encode(_parameters(outcome, asked, done)), media_type=outgoing.FHIR_JSON)


def _parameters(outcome: Outcome, asked: Asked, done: str) -> Json:
    said = f"{len(outcome.moved)} resources {'would be' if asked.preview else 'were'} {done}."
    issue = {"severity": "information", "code": "informational", "diagnostics": said}
    record = [{"name": "record", "valueReference": {"reference": str(outcome.record)}}] if outcome.record else []
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "preview", "valueBoolean": asked.preview},
            {"name": "outcome", "resource": {"resourceType": "OperationOutcome", "issue": [issue]}},
            {"name": "result", "resource": outcome.result.resource},
            *_counted(outcome),
            *_named("ended", outcome.ended),
            *_named("stayed", outcome.stayed),
            *record,
        ],
    }


def _counted(outcome: Outcome) -> Iterator[Json]:
    """How many of each type: what they say is not for whoever merges to see."""
    for type, number in sorted(Counter(key.type for key in outcome.moved).items()):
        parts = [{"name": "type", "valueCode": type}, {"name": "resources", "valueUnsignedInt": number}]
        yield {"name": "moved", "part": parts}


def _named(name: str, keys: tuple[ResourceKey, ...]) -> Iterator[Json]:
    return ({"name": name, "valueReference": {"reference": str(key)}} for key in keys)
