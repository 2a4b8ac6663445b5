"""The request body: its declared type and coding, its size, its JSON; and a search's form.

RFC 9110 sections 8.3, 8.4, 15.5.14; https://hl7.org/fhir/R4/http.html#mime-type
"""

import asyncio
from urllib.parse import parse_qsl

import pybase64
from starlette.requests import ClientDisconnect, Request

from fhir_server.api.content_coding import Unpacking, is_packed
from fhir_server.api.formats import names_this_version
from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Edit
from fhir_server.engine.patch.bodies import BY_TYPE, JSON_PATCH
from fhir_server.engine.patch.fhirpath_patch import fhirpath_patch
from fhir_server.engine.patch.merge_patch import merge_patch
from fhir_server.kernel import json
from fhir_server.kernel.errors import InvalidRequestError, MalformedError, TooLargeError, UnsupportedMediaTypeError

_JSON = frozenset({"application/fhir+json", "application/json", "text/json"})
_NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson"})
_FORM = "application/x-www-form-urlencoded"
_MOST_FORM_FIELDS = 200


async def json_body(request: Request, most: int) -> object:
    """The body as JSON. 415 for another type, 413 over `most` bytes, 400 where it is not JSON."""
    _require_type(request, _JSON)
    raw = await _read(request, most)
    if not raw:
        raise MalformedError("The body is empty; it should be a FHIR resource as JSON.")
    return json.decode(raw)


async def resource_body(request: Request, call: Call, most: int) -> object:
    """A resource as JSON; for a Binary also its content as it is, under its own Content-Type.

    https://hl7.org/fhir/R4/binary.html#rest: whatever is no Binary resource is content. What says it is JSON must be.
    """
    if call.type != "Binary":
        return await json_body(request, most)
    declared, context = request.headers.get("content-type", "").strip(), request.headers.get("x-security-context")
    if not declared:
        raise UnsupportedMediaTypeError("A Binary needs a Content-Type: that of its content, or of FHIR.")
    raw = await _read(request, most)
    if not raw:
        raise MalformedError("The body is empty; it should be a Binary or its content.")
    is_json = declared.partition(";")[0].strip().casefold() in _JSON
    resource = json.decode(raw) if is_json else None
    if isinstance(resource, dict) and resource.get("resourceType") == "Binary":
        if context is not None and resource.get("securityContext") != {"reference": context}:
            raise InvalidRequestError("X-Security-Context and Binary.securityContext disagree.")
        return resource
    return {
        "resourceType": "Binary",
        **({"id": call.id} if call.id else {}),
        "contentType": declared,
        **({"securityContext": {"reference": context}} if context is not None else {}),
        "data": pybase64.b64encode_as_string(raw),
    }


async def patch_body(request: Request, most: int) -> Edit:
    """The edit that a PATCH asks for: by its own media type, or FHIRPath Patch as a Parameters resource.

    Mere JSON that is no Parameters is a merge patch: PyPI's fhirpy sends one so.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if declared in BY_TYPE:
        _require_type(request, frozenset({declared}))
        return BY_TYPE[declared](json.decode(await _read(request, most)))
    body = await json_body(request, most)
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        return fhirpath_patch(body)
    if declared == "application/json":
        return merge_patch(body)
    raise InvalidRequestError(f"A patch is a Parameters resource, or of the type {JSON_PATCH}.")


async def optional_json_body(request: Request, most: int) -> object:
    """The same for an operation that needs no body."""
    raw = await _read(request, most)
    if not raw:
        return None
    _require_type(request, _JSON)
    return json.decode(raw)


async def ndjson_body(request: Request, most: int, most_lines: int) -> list[bytes]:
    """The lines of a file of Bulk Data, each as it came. 413 for more bytes or lines."""
    _require_type(request, _NDJSON)
    lines = [line for line in (await _read(request, most)).split(b"\n") if line.strip()]
    if len(lines) > most_lines:
        raise TooLargeError(f"A file has at most {most_lines} lines.")
    return lines


async def form_body(request: Request, most: int) -> tuple[list[tuple[str, str]], str]:
    """The pairs of a search's form, and the raw text for the sealed audit event. Empty without a body."""
    raw = await _read(request, most)
    if not raw:
        return [], ""
    _require_type(request, frozenset({_FORM}))
    try:
        text = raw.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FORM_FIELDS)
    except UnicodeDecodeError:
        raise MalformedError("The form is not URL-encoded UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"There are at most {_MOST_FORM_FIELDS} parameters.") from None
    return pairs, text


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The URL's parameters in order; 400 where they are not UTF-8 or too many."""
    raw = request.scope["query_string"]
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FORM_FIELDS)
    except UnicodeDecodeError:
        raise MalformedError("The query is not URL-encoded UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"There are at most {_MOST_FORM_FIELDS} parameters.") from None


def _require_type(request: Request, allowed: frozenset[str]) -> None:
    declared = request.headers.get("content-type", "")
    if declared in allowed:
        return
    kind, _, parameters = declared.partition(";")
    charset = [part.partition("=")[2].strip(' "') for part in parameters.split(";") if "charset" in part.casefold()]
    if kind.strip().casefold() not in allowed or any(one.casefold() not in {"utf-8", "utf8"} for one in charset):
        raise UnsupportedMediaTypeError(f"The Content-Type must be {' or '.join(sorted(allowed))}, in UTF-8.")
    if not names_this_version(declared):
        raise UnsupportedMediaTypeError("The fhirVersion in the Content-Type must be 4.0.")


async def _read(request: Request, most: int) -> bytes:
    """At most `most` bytes, unpacked where they come as gzip; 413 for more.

    What is too large is read to its end (within reason) and dropped, so that the answer arrives.
    """
    packing = Unpacking() if is_packed(request) else None
    found: list[bytes] = []
    size = sent = 0
    try:
        async for part in request.stream():
            sent += len(part)
            if sent > 2 * most:
                break
            if size > most:
                continue
            for piece in packing.pieces(part) if packing else (part,):
                size += len(piece)
                if size > most:
                    break
                found.append(piece)
                if packing:
                    await asyncio.sleep(0)
    except ClientDisconnect:
        raise MalformedError("The body ended before its declared length.") from None
    if max(size, sent) > most:
        raise TooLargeError(f"A request body has at most {most} bytes, as it is sent and unpacked.")
    if packing and sent:
        packing.require_end()
    return b"".join(found)
