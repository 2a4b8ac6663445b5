"""What a Subscription asks for, checked: which resources, where to tell of them, and how much of them.

https://hl7.org/fhir/R4/subscription.html#2.46.5; R4 says rest-hook "PUTs" what has a payload, and POSTs nothing else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import FhirError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

WHOLE = "application/fhir+json"
MOST_HEADERS = 10

_NEVER = frozenset({"AuditEvent", "Binary", "Subscription"})
"""Each notification is an event of the log, and a change of state one of a subscription: they would tell of themselves.
A Binary is what it belongs to."""

_MOST_FIELDS = 64
_LONGEST_URL, _LONGEST_HEADER = 2_000, 4_000
_URL = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HEADER = re.compile(r"([A-Za-z0-9!$%&'*+.^_`|~-]{1,100}): *([\x20-\x7e]*)", re.ASCII)
_OURS = frozenset(
    {
        *("host", "connection", "content-length", "content-type", "transfer-encoding", "te", "trailer", "upgrade"),
        *("expect", "keep-alive", "accept-encoding", "user-agent", "event-number", "event-focus"),
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """`whole`: the resource itself is wanted, not only its id."""

    query: Query
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    whole: bool
    end: datetime | None = None


def asked(resource: Json, language: Language, may: Callable[[str], bool]) -> Asked:
    """Raises UnprocessableError for what is not served. `may`: is this an endpoint to which the server goes?"""
    channel = resource["channel"]
    if channel.get("type") != "rest-hook":
        raise _wrong("The only channel is rest-hook.", "channel.type")
    payload = channel.get("payload")
    if payload not in {None, WHOLE}:
        raise _wrong(f"The payload is {WHOLE}, or there is none and ids are told.", "channel.payload")
    endpoint = channel.get("endpoint", "")
    if len(endpoint) > _LONGEST_URL or not _URL.fullmatch(endpoint) or "#" in endpoint or not may(endpoint):
        raise _wrong("An endpoint is an https URL of a public address, without credentials.", "channel.endpoint")
    if payload and "?" in endpoint:
        raise _wrong("With a payload the endpoint is a base URL, which has no query.", "channel.endpoint")
    wanted = criteria(resource["criteria"], language)
    return Asked(wanted, endpoint, _headers(channel), payload is not None, _end(resource))


def criteria(text: str, language: Language) -> Query:
    type, mark, rest = text.partition("?")
    if type not in served_types() or not mark:
        raise _wrong("The criteria are a search of a served type, as Appointment?status=booked.", "criteria")
    if type in _NEVER:
        raise _wrong(f"Nobody is told of each {type}.", "criteria")
    try:
        query = parse(
            type, parse_qsl(rest, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS), language
        )
    except (ValueError, FhirError) as failure:
        said = failure.issues[0].diagnostics if isinstance(failure, FhirError) else "They are no query in UTF-8."
        raise _wrong(f"The criteria cannot be searched by: {said}", "criteria") from None
    if query.sort or query.includes or query.counting or not query.view.is_whole:
        raise _wrong("The criteria say which resources: nothing of order, of pages or of includes.", "criteria")
    return query


def _end(resource: Json) -> datetime | None:
    try:
        return datetime.fromisoformat(resource["end"].replace(":60", ":59")) if "end" in resource else None
    except ValueError:
        raise _wrong("The end is on a day that no calendar has.", "end") from None


def _headers(channel: Json) -> tuple[tuple[str, str], ...]:
    found = []
    for text in channel.get("header", []):
        one = _HEADER.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST_HEADER else None
        if one is None or one[1].lower() in _OURS or one[1].lower().startswith("proxy-"):
            raise _wrong("A header is `Name: value` in ASCII, and none of the connection's own.", "channel.header")
        found.append((one[1], one[2].strip()))
    if len(found) > MOST_HEADERS:
        raise _wrong(f"There are at most {MOST_HEADERS} headers.", "channel.header")
    return tuple(found)


def _wrong(what: str, where: str) -> UnprocessableError:
    return UnprocessableError(what, expression=f"Subscription.{where}")
