"""By what a thing of the source is known: fixed systems, references by them, and names inside one Bundle.

RFC 9562 section 5.5 (name-based UUIDs): the same thing has the same fullUrl in every run.
"""

from hashlib import sha256
from urllib.parse import quote
from uuid import UUID, uuid5

from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables

OURS = "urn:aesthetic-fhir-server:mappers"
"""What this project itself defines hangs below this."""

IMPORTED = {"system": "urn:aesthetic-fhir-server:tag", "code": "imported"}
"""No evidence of a consent comes with it."""

_NAMESPACE = UUID("6f2f6a0e-1b8c-5a55-9b7f-6f1f2c1b7c11")


def identifier(system: str, value: str, use: str | None = None) -> Json:
    return {"use": use, "system": system, "value": value} if use else {"system": system, "value": value}


def full_url(type: str, system: str, value: str) -> str:
    return f"urn:uuid:{uuid5(_NAMESPACE, f'{type}|{system}|{value}')}"


def resource_id(*parts: str) -> str:
    """32 hexadecimal digits that say nothing to who does not know the parts, and are no national number."""
    return sha256("|".join(parts).encode()).hexdigest()[:32]


def actor(type: str, system: str, value: str, display: str | None, tables: Tables) -> Json:
    """The one that the clinic's table names, else a reference by identifier: nobody is looked for by name."""
    known = tables.actors.get(f"{system}|{value}")
    named = {"display": display} if display else {}
    if known is not None:
        return {"reference": known, "type": type, "identifier": identifier(system, value), **named}
    return {"type": type, "identifier": identifier(system, value), **named}


def criteria(system: str, value: str) -> str:
    """For a search: commas, bars, dollars and backslashes are escaped, then what a URL does not bear."""
    return f"identifier={_escaped(system)}%7C{_escaped(value)}"


def _escaped(text: str) -> str:
    plain = "".join(f"\\{sign}" if sign in "\\$,|" else sign for sign in text)
    return quote(plain, safe=":/")
