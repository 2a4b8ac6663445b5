"""`Patient/$match` over HTTP: a searchset with a score and a grade on each entry.

https://hl7.org/fhir/R4/patient-operation-match.html, https://hl7.org/fhir/R4/extension-match-grade.html
"""

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api.assembled import Pieces, assembled
from fhir_server.api.body import json_body
from fhir_server.api.outgoing import FHIR_JSON
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.engine.likeness import SCORES
from fhir_server.engine.matches import Match, Matches, described
from fhir_server.kernel import json

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 256 * 1024
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


async def match_patient(surface: Surface, request: Request, call: Call) -> Do:
    refuse_conditions(request)
    asked = described(await json_body(request, _MOST_BYTES))

    async def do() -> Response:
        found = await Matches(surface.engine).of(call, asked)
        head = f'{{"resourceType":"Bundle","type":"searchset","total":{len(found)}'.encode()
        entries = [_entry(match, surface.base) for match in found]
        between = [(b"," if place else b',"entry":[', *entry) for place, entry in enumerate(entries)]
        tail = b"]}" if entries else b"}"
        return assembled((head, *chain.from_iterable(between), tail), 200, {}, FHIR_JSON)

    return do


def _entry(match: Match, base: str) -> Pieces:
    grade = json.encode([{"url": _GRADE, "valueCode": match.grade}])
    search = b'{"extension":' + grade + b',"mode":"match","score":' + SCORES[match.grade].encode() + b"}"
    opening = f'{{"fullUrl":"{base}/{match.stored.key}","resource":'.encode()
    return (opening, *match.stored.pieces, b',"search":' + search + b"}")
