"""`POST Patient/[id]/$erase`: Parameters in, and for each class of the patient's data what became of it.

GDPR Art. 17; https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.privacy.erasable import Keep
from fhir_server.privacy.erasure import Part, Plan, asked_of

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024


async def erase(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request)
    asked = asked_of(await json_body(request, _MOST_BYTES))

    async def do() -> Response:
        plan = await surface.rights.erasures.erase(call, asked)
        return Response(json.encode(_parameters(plan)), media_type=outgoing.FHIR_JSON)

    return do


def _parameters(plan: Plan) -> Json:
    receipt: list[Json] = []
    if plan.receipt is not None:
        receipt = [{"name": "receipt", "valueReference": {"reference": str(plan.receipt)}}]
    dry = {"name": "dryRun", "valueBoolean": plan.receipt is None}
    return {"resourceType": "Parameters", "parameter": [dry, *classes(plan), *receipt]}


def classes(plan: Plan) -> Iterator[Json]:
    """What becomes of each class, as a parameter."""
    return map(_part, plan.parts)


def _part(part: Part) -> Json:
    said: list[Json] = [
        {"name": "name", "valueCode": str(part.verdict.record)},
        {"name": "outcome", "valueCode": "keep" if isinstance(part.verdict, Keep) else "erase"},
        {"name": "because", "valueString": part.verdict.because},
        {"name": "resources", "valueUnsignedInt": part.resources},
        {"name": "photos", "valueUnsignedInt": part.photos},
    ]
    if isinstance(part.verdict, Keep) and part.verdict.until is not None:
        said.append({"name": "until", "valueDate": part.verdict.until.isoformat()})
    return {"name": "class", "part": said}
