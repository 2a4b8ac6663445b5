"""`Patient/[id]/$export-my-data` over HTTP: a ZIP file, or with `dryRun` how much it would hold.

GDPR Art. 15(3), 20; https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhir_server.api import outgoing
from fhir_server.api.body import query_pairs
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.privacy.viewer import LANGUAGES

Do: TypeAlias = Callable[[], Awaitable[Response]]

_ZIP = "application/zip"
_KNOWN = frozenset({"language", "dryRun", "_format"})


async def export_my_data(surface: Surface, request: Request, call: Call) -> Do:
    """The archive begins to leave as soon as the first of it is there."""
    refuse_conditions(request)
    pairs = query_pairs(request)
    given = dict(pairs)
    language, dry = given.get("language", LANGUAGES[0]), given.get("dryRun", "false")
    if (
        len(given) < len(pairs)
        or not given.keys() <= _KNOWN
        or language not in LANGUAGES
        or dry not in {"true", "false"}
    ):
        raise InvalidRequestError(f"$export-my-data takes language ({' or '.join(LANGUAGES)}) and dryRun.")

    async def do() -> Response:
        if dry == "true":
            return outgoing.json_answer(_counted(await surface.rights.copies.counted(call)))
        headers = {"Content-Disposition": 'attachment; filename="record.zip"'}
        if request.method == "HEAD":
            await surface.rights.copies.allowed(call)
            return Response(headers=headers, media_type=_ZIP)
        parts = surface.rights.copies.archive(call, language)
        first = await anext(parts)
        return StreamingResponse(_joined(first, parts), headers=headers, media_type=_ZIP)

    return do


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _counted(counts: Mapping[str, int]) -> Json:
    types = [
        {"name": "type", "part": [{"name": "name", "valueCode": name}, {"name": "resources", "valueUnsignedInt": many}]}
        for name, many in counts.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "dryRun", "valueBoolean": True}, *types]}
