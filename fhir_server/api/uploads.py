"""Photo bytes as they are: to a Media that waits for them, at once or resumable.

https://hl7.org/fhir/R4/binary.html#rest (X-Security-Context); draft-ietf-httpbis-resumable-upload-09, where the upload
resource is `Media/[id]/$upload`: an upload is of one Media, and a Media has one.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fhir_server.api import instances, outgoing
from fhir_server.api.content_coding import is_packed
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.preferences import preferences_of
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, TooLargeError, UnsupportedMediaTypeError
from fhir_server.kernel.identity import parse_reference
from fhir_server.media.uploads import MOST_UPLOAD_BYTES, Progress
from fhir_server.media.vocabulary import SHA_256
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]

_PARTIAL = "application/partial-upload"
_LEAST_APPENDED = 256 << 10
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_BOOLEANS = {"?0": False, "?1": True}
_FHIR = frozenset({"application/fhir+json", "application/json", "text/json"})


async def create_binary(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Binary`. Where the security context is a Media that waits for its bytes, these are they."""
    context = request.headers.get("x-security-context", "")
    key = parse_reference(context.removeprefix(f"{surface.base}/"))
    declared = _declared(request)
    if key is None or declared in _FHIR or not await surface.photos.uploads.is_awaited(key):
        return await instances.create(surface, request, call)
    upload = replace(call, interaction=Interaction.OPERATION, type=key.type, id=key.id, operation="upload")
    length = _length(request)

    async def do() -> Response:
        stored = await surface.photos.uploads.receive(upload, declared, length, body_of(request))
        headers = {"Location": f"{surface.base}/{stored.resource['content']['url']}", **_digests(stored)}
        return Response(status_code=201, headers=headers)

    return do


async def begin(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Media/[id]/$upload`: the whole at once, or with `Upload-Complete: ?0` the beginning of it."""
    refuse_conditions(request)
    declared, complete = _declared(request), _complete(request, default=True)
    length = _length(request) if complete else _number(request, "upload-length")
    asked = preferences_of(request)
    if not complete and length is None:
        raise InvalidRequestError("An upload that is to be resumed needs an Upload-Length.")

    async def do() -> Response:
        if complete or length is None:
            stored = await surface.photos.uploads.receive(call, declared, length, body_of(request))
            return outgoing.written(stored, surface.base, asked, readable=may_read(call, stored))
        upload = await surface.photos.uploads.begin(call, declared, length)
        if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            grown = await surface.photos.uploads.append(call, 0, body_of(request), complete=False)
            upload = grown if isinstance(grown, Progress) else upload
        return Response(status_code=201, headers={"Location": f"{surface.base}/{call.key}/$upload", **_told(upload)})

    return do


async def state(surface: Surface, request: Request, call: Call) -> Do:
    """`HEAD Media/[id]/$upload`: from where to go on."""
    refuse_conditions(request)

    async def do() -> Response:
        found = await surface.photos.uploads.state(call)
        if isinstance(found, Progress):
            return Response(status_code=204, headers=_told(found))
        where = {"Content-Location": f"{surface.base}/{found.key}", "Upload-Complete": "?1"}
        return Response(status_code=204, headers={**where, **_digests(found)})

    return do


async def append(surface: Surface, request: Request, call: Call) -> Do:
    """`PATCH Media/[id]/$upload`: more bytes; with `Upload-Complete: ?1` the last of them."""
    refuse_conditions(request)
    if _declared(request) != _PARTIAL:
        raise UnsupportedMediaTypeError(f"The Content-Type of further bytes is {_PARTIAL}.")
    complete = _complete(request, default=False)
    offset = _number(request, "upload-offset")
    if offset is None:
        raise InvalidRequestError("Upload-Offset must say where these bytes begin.")
    asked = preferences_of(request)
    _refuse_packed(request)

    async def do() -> Response:
        found = await surface.photos.uploads.append(call, offset, body_of(request), complete=complete)
        if isinstance(found, Progress):
            return Response(status_code=204, headers=_told(found))
        return outgoing.written(found, surface.base, asked, readable=may_read(call, found))

    return do


async def cancel(surface: Surface, request: Request, call: Call) -> Do:
    """`DELETE Media/[id]/$upload`: nothing of it is kept."""
    refuse_conditions(request)

    async def do() -> Response:
        await surface.photos.uploads.cancel(call)
        return Response(status_code=204)

    return do


def _told(upload: Progress) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.received),
        "Upload-Length": str(upload.length),
        "Upload-Complete": "?0",
        "Upload-Limit": f"max-size={MOST_UPLOAD_BYTES}, min-append-size={_LEAST_APPENDED}",
    }


def _digests(media: Stored) -> dict[str, str]:
    """RFC 9530, of what a GET of the bytes gives."""
    extensions = media.resource["content"].get("extension", [])
    found = [one["valueBase64Binary"] for one in extensions if one["url"] == SHA_256]
    return {"Repr-Digest": f"sha-256=:{found[0]}:"} if found else {}


def _declared(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().casefold()


def _refuse_packed(request: Request) -> None:
    """Photos are packed already; their offsets are those of the bytes themselves."""
    if is_packed(request):
        raise UnsupportedMediaTypeError("The bytes of a photo come without Content-Encoding.")


def _complete(request: Request, *, default: bool) -> bool:
    said = request.headers.get("upload-complete")
    if said is None:
        return default
    if said.strip() not in _BOOLEANS:
        raise InvalidRequestError("Upload-Complete is ?0 or ?1.")
    return _BOOLEANS[said.strip()]


def _length(request: Request) -> int | None:
    """As announced: by Upload-Length, else for the whole body by Content-Length."""
    _refuse_packed(request)
    length = _number(request, "upload-length")
    if length is None:
        length = _number(request, "content-length")
    if length is not None and length > MOST_UPLOAD_BYTES:
        raise TooLargeError(f"An upload has at most {MOST_UPLOAD_BYTES} bytes.")
    return length


def _number(request: Request, name: str) -> int | None:
    said = request.headers.get(name)
    if said is None:
        return None
    if not _NUMBER.fullmatch(said.strip()):
        raise InvalidRequestError("A header that counts bytes is a whole number.")
    return int(said)


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Up to where it was cut off: what arrived of an upload counts."""
    try:
        async for part in request.stream():
            if part:
                yield part
    except ClientDisconnect:
        return
