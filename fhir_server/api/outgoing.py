"""From what the engine gave to the bytes of an answer; a stored resource goes out as it was sealed.

https://hl7.org/fhir/R4/http.html#versioning, #transaction-response, https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from itertools import chain

from starlette.responses import Response

from fhir_server.api.assembled import Pieces, assembled
from fhir_server.api.doubts import doubts
from fhir_server.api.preferences import Preferences, Return
from fhir_server.engine.answers import Answer
from fhir_server.engine.page import Page
from fhir_server.engine.stored import Stored
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import FhirError, Issue
from fhir_server.kernel.json import Json

FHIR_JSON = "application/fhir+json"
_CREATED, _OK, _NO_CONTENT, _NOT_MODIFIED = 201, 200, 204, 304
_STORED, _DELETED = "The resource was stored.", "The resource is deleted."


def _headers(stored: Stored) -> dict[str, str]:
    return {"ETag": stored.etag, "Last-Modified": format_datetime(stored.last_updated, usegmt=True)}


def location(stored: Stored, base: str) -> str:
    return f"{base}/{stored.key}/_history/{stored.version}"


def resource(stored: Stored) -> Response:
    """200 with the resource."""
    return assembled(stored.pieces, _OK, _headers(stored), FHIR_JSON)


def unmodified(stored: Stored) -> Response:
    """304 for who has that version."""
    return Response(status_code=_NOT_MODIFIED, headers=_headers(stored))


def written(stored: Stored, base: str, asked: Preferences, *, readable: bool) -> Response:
    """201 or 200 after a write, with the resource only if the token may read it (R-SMART-048)."""
    return _told(_CREATED if stored.version == 1 else _OK, stored, base, asked, readable=readable)


def existing(stored: Stored, base: str, asked: Preferences, *, readable: bool) -> Response:
    """200 for what a conditional create found in place."""
    return _told(_OK, stored, base, asked, readable=readable)


def _told(status: int, stored: Stored, base: str, asked: Preferences, *, readable: bool) -> Response:
    headers = {**_headers(stored), "Location": location(stored, base)}
    if asked.returns == "OperationOutcome":
        return Response(json.encode(_stored(stored if readable else None)), status, headers, FHIR_JSON)
    if not readable or asked.returns == "minimal":
        return Response(status_code=status, headers=headers)
    return assembled(stored.seen_through(asked.view).pieces, status, headers, FHIR_JSON)


def deleted(stored: Stored | None, returns: Return | None) -> Response:
    """204, whether there was something to delete or not; 200 with an outcome for who prefers to be told."""
    headers = {"ETag": stored.etag} if stored else {}
    if returns == "OperationOutcome":
        return Response(json.encode(_done(_DELETED)), _OK, headers, FHIR_JSON)
    return Response(status_code=_NO_CONTENT, headers=headers)


def _stored(seen: Stored | None) -> Json:
    """What was written, and what is to be said of it to who may read it."""
    told = Issue("informational", _STORED, severity="information")
    return operation_outcome([told, *(doubts(seen.resource) if seen else ())])


def _done(says: str) -> Json:
    return operation_outcome([Issue("informational", says, severity="information")])


def json_answer(value: Json, status: int = _OK) -> Response:
    return Response(json.encode(value), status, media_type=FHIR_JSON)


def searchset(page: Page, base: str, self_link: str, next_link: str | None, ignored: Sequence[str] = ()) -> Response:
    """A Bundle put together from the bytes of its entries. `ignored`: names of parameters that nobody knew."""
    return assembled(_searchset(page, base, self_link, next_link, ignored), _OK, {}, FHIR_JSON)


def _searchset(page: Page, base: str, self_link: str, next_link: str | None, ignored: Sequence[str] = ()) -> Pieces:
    entries = [_found(stored, base, b"match") for stored in page.matches]
    entries += [_found(stored, base, b"include") for stored in page.included]
    if ignored:
        entries.append((b'{"resource":', json.encode(_ignoring(ignored)), b',"search":{"mode":"outcome"}}'))
    return _page("searchset", page, self_link, next_link, entries)


def _ignoring(names: Sequence[str]) -> Json:
    """R-FHIR-043: a lenient client is told what had no effect."""
    return operation_outcome(
        [
            Issue("not-supported", f"The parameter {name} is not known here; it was ignored.", severity="warning")
            for name in names
        ]
    )


def _found(stored: Stored, base: str, mode: bytes) -> Pieces:
    opening = f'{{"fullUrl":"{base}/{stored.key}","resource":'.encode()
    return (opening, *stored.pieces, b',"search":{"mode":"' + mode + b'"}}')


def history_bundle(page: Page, base: str, self_link: str, next_link: str | None) -> Response:
    """Newest first; a deletion is told without a resource."""
    return assembled(_history(page, base, self_link, next_link), _OK, {}, FHIR_JSON)


def _history(page: Page, base: str, self_link: str, next_link: str | None) -> Pieces:
    return _page("history", page, self_link, next_link, [_version(stored, base) for stored in page.matches])


def _page(kind: str, page: Page, self_link: str, next_link: str | None, entries: Sequence[Pieces]) -> Pieces:
    links = [{"relation": "self", "url": self_link}]
    if next_link:
        links.append({"relation": "next", "url": next_link})
    head = f'{{"resourceType":"Bundle","type":"{kind}",'.encode()
    total = b"" if page.total is None else f'"total":{page.total},'.encode()
    return (head, total, b'"link":', json.encode(links), *_listed(entries))


def _listed(entries: Sequence[Pieces]) -> Pieces:
    """The entries and the end of a Bundle; without any it has no such element."""
    if not entries:
        return (b"}",)
    between = [(b"," if place else b',"entry":[', *entry) for place, entry in enumerate(entries)]
    return (*chain.from_iterable(between), b"]}")


def _version(stored: Stored, base: str) -> Pieces:
    url = stored.key.type if stored.method == "POST" else str(stored.key)
    status = _NO_CONTENT if stored.deleted else _CREATED if stored.version == 1 else _OK
    told = {
        "request": {"method": stored.method, "url": url},
        "response": {"status": str(status), "etag": stored.etag, "lastModified": instant(stored.last_updated)},
    }
    resource = () if stored.deleted else (b'"resource":', *stored.pieces, b",")
    return (f'{{"fullUrl":"{base}/{stored.key}",'.encode(), *resource, json.encode(told)[1:])


def bundle_response(
    kind: str,
    answers: Sequence[Answer],
    base: str,
    readable: Sequence[bool],
    links: Mapping[int, tuple[str, str | None]],
    returns: Return | None,
) -> Response:
    """`transaction-response` or `batch-response`, entries in the order of the request.

    `links`: those of the entries that are searches or histories. Writes are answered without their resource unless it
    is asked for.
    """
    entries = [
        _entry(answer, base, links.get(index, (base, None)), returns, readable=readable[index])
        for index, answer in enumerate(answers)
    ]
    head = f'{{"resourceType":"Bundle","type":"{kind}-response"'.encode()
    return assembled((head, *_listed(entries)), _OK, {}, FHIR_JSON)


def _entry(
    answer: Answer, base: str, links: tuple[str, str | None], returns: Return | None, *, readable: bool
) -> Pieces:
    if answer.failure is not None:
        outcome = operation_outcome(answer.failure.issues)
        return (json.encode({"response": {"status": str(answer.failure.status), "outcome": outcome}}),)
    if answer.listed is not None:
        listing = _history if answer.listed.kind == "history" else _searchset
        shown = (b'"resource":', *listing(answer.listed.page, base, *links), b",") if answer.method != "HEAD" else ()
        return (b"{", *shown, b'"response":{"status":"200"}}')
    stored = answer.stored
    is_told = returns == "OperationOutcome" and answer.method != "GET"
    if stored is None or stored.deleted:
        told = {"status": str(_NO_CONTENT), **({"outcome": _done(_DELETED)} if is_told else {})}
        return (json.encode({"response": told}),)
    status = _CREATED if answer.written and stored.version == 1 else _OK
    response = json.encode(
        {
            "status": str(_NOT_MODIFIED if answer.is_known else status),
            "location": location(stored, base),
            "etag": stored.etag,
            "lastModified": instant(stored.last_updated),
            **({"outcome": _stored(stored if readable else None)} if is_told else {}),
        }
    )
    is_shown = not answer.is_known if answer.method == "GET" else returns == "representation"
    body = (b'"resource":', *stored.pieces, b",") if readable and is_shown else ()
    return (f'{{"fullUrl":"{base}/{stored.key}",'.encode(), *body, b'"response":', response, b"}")


def outcome(error: FhirError, headers: dict[str, str] | None = None) -> Response:
    """A failure as FHIR says it."""
    return Response(json.encode(operation_outcome(error.issues)), error.status, headers, FHIR_JSON)
