"""`Subscription/[id]/$events` over HTTP: Parameters with an `event` for each, and the number to go on from.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import query_pairs
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import InvalidRequestError

Do: TypeAlias = Callable[[], Awaitable[Response]]

_LONGEST = 9


async def since(surface: Surface, request: Request, call: Call) -> Do:
    number = 0
    for name, value in query_pairs(request):
        if name != "since" or not (value.isascii() and value.isdigit() and len(value) <= _LONGEST):
            raise InvalidRequestError("$events has the parameter since, the number of an event.")
        number = int(value)

    async def do() -> Response:
        told = await surface.events.since(call, number)
        events = [
            {
                "name": "event",
                "part": [
                    {"name": "number", "valueInteger": event.number},
                    {"name": "focus", "valueReference": {"reference": str(event.key)}},
                    {"name": "at", "valueInstant": instant(event.at)},
                ],
            }
            for event in told.events
        ]
        last = {"name": "last", "valueInteger": told.last}
        return outgoing.json_answer({"resourceType": "Parameters", "parameter": [*events, last]})

    return do
