"""Bulk Data over HTTP: kick-off, status, files, end.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html; R-BULK-001 to -033.
"""

from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from itertools import chain
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api.assembled import Pieces, assembled
from fhir_server.api.body import json_body, query_pairs
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.preferences import is_async, is_lenient
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.export.asked import Level, Reading, asked, pairs_of
from fhir_server.export.job import Job
from fhir_server.export.manifest import IGNORED, deletions, manifest, outcomes
from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError, InvalidRequestError, Issue, NotAcceptableError

Do: TypeAlias = Callable[[], Awaitable[Response]]

NDJSON = "application/fhir+ndjson"
_MOST_BYTES = 256 * 1024
_TAKEN = frozenset({NDJSON, "application/ndjson", "application/*", "*/*"})
_LEVELS: Mapping[str | None, Level] = {"Patient": "patient", "Group": "group", None: "system"}
_ACCEPTED, _POLL_AFTER = 202, "5"


async def kick_off(surface: Surface, request: Request, call: Call) -> Do:
    """`$export` by GET, or by POST with Parameters. 202 with the address of its status."""
    refuse_conditions(request)
    if "accept" not in request.headers:
        raise NotAcceptableError("A kick-off says Accept: application/fhir+json.")
    if not is_async(request):
        raise InvalidRequestError("A kick-off says Prefer: respond-async; an export takes its time.")
    posted = request.method == "POST"
    pairs = query_pairs(request)
    if posted:
        pairs += pairs_of(await json_body(request, _MOST_BYTES))
    reading = Reading(call.instant, is_lenient(request), posted)
    wanted = asked(_LEVELS[call.type], call.id or "", pairs, reading)
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{surface.base}{request.url.path.removeprefix('/fhir')}{query}"

    async def do() -> Response:
        job = await surface.exports.begin(call, wanted, url)
        return Response(status_code=_ACCEPTED, headers={"Content-Location": f"{surface.base}/$export-status/{job.id}"})

    return do


async def status(surface: Surface, request: Request, call: Call) -> Do:
    """202 while it runs; 200 with the manifest; the failure that it ended in."""

    async def do() -> Response:
        job = await surface.exports.status(call, request.path_params["job"])
        if job.state == "active":
            told = {"X-Progress": f"{job.exported} resources", "Retry-After": _POLL_AFTER}
            return Response(status_code=_ACCEPTED, headers=told)
        if job.state == "failed":
            raise _failure(job)
        told = manifest(job, f"{surface.base}/$export-file/{job.id}/")
        expires = {"Expires": format_datetime(job.expires, usegmt=True)}
        return Response(json.encode(told), headers=expires, media_type="application/json")

    return do


async def end(surface: Surface, request: Request, call: Call) -> Do:
    """DELETE of the status: what runs stops, what was made goes."""

    async def do() -> Response:
        await surface.exports.end(call, request.path_params["job"])
        return Response(status_code=_ACCEPTED)

    return do


async def file(surface: Surface, request: Request, call: Call) -> Do:
    """One file, read anew: every line passes the gate at this instant."""
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")]
    if not _TAKEN & set(accepted):
        raise NotAcceptableError(f"A file of an export is {NDJSON}.")
    job, name = request.path_params["job"], request.path_params["file"]

    async def do() -> Response:
        if name == IGNORED:
            return _lines([(json.encode(one),) for one in outcomes(await surface.exports.status(call, job))])
        found = await surface.exports.fetch(call, job, name)
        if found.file.kind == "deleted":
            return _lines([(json.encode(deletions(found.file.type, list(found.ids))),)])
        return _lines([stored.pieces for stored in found.resources])

    return do


def _lines(lines: list[Pieces]) -> Response:
    """One resource on each (R-BULK-029): the JSON of a stored resource has no line feed."""
    return assembled(list(chain.from_iterable((*line, b"\n") for line in lines)) or [b""], 200, {}, NDJSON)


def _failure(job: Job) -> FhirError:
    assert job.failure is not None
    status, code, diagnostics = job.failure
    failure = FhirError(issues=[Issue(code, diagnostics)])
    failure.status = status
    return failure
