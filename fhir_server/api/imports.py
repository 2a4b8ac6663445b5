"""`POST $import`: a file of Bulk Data as the body, and what became of its lines.

Rows S52, S96; https://hl7.org/fhir/uv/bulkdata/STU2/export.html (file format).
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import ndjson_body
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.export.importing import CREATED, REFUSED, UNCHANGED, UPDATED, Taken
from fhir_server.kernel.json import Json

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_LINES = 5_000
_MOST_TOLD = 100


async def take(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request)
    lines = await ndjson_body(request, surface.most_body, _MOST_LINES)

    async def do() -> Response:
        taken = await surface.importing.take(call, lines)
        counted = Counter(one.outcome for one in taken)
        counts = [{"name": name, "valueUnsignedInt": counted[name]} for name in (CREATED, UPDATED, UNCHANGED, REFUSED)]
        refused = [one for one in taken if one.issue is not None][:_MOST_TOLD]
        return outgoing.json_answer(
            {"resourceType": "Parameters", "parameter": [*counts, *(_refusal(one) for one in refused)]}
        )

    return do


def _refusal(taken: Taken) -> Json:
    assert taken.issue is not None
    return {
        "name": "refusal",
        "part": [
            {"name": "line", "valuePositiveInt": taken.line},
            {"name": "code", "valueCode": taken.issue.code},
            {"name": "says", "valueString": taken.issue.diagnostics},
            *([{"name": "expression", "valueString": taken.issue.expression}] if taken.issue.expression else []),
        ],
    }
