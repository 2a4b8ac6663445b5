"""How a page answers: by showing something, by sending the browser on, or with bytes; and what the browser is to keep.

One type for both, so that nothing but pages.py makes HTTP of it.
"""

import dataclasses
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from fhir_server.smart.approval import Pending

OK, WRONG, TOO_SOON, NOT_FOUND = 200, 422, 429, 404


@dataclass(frozen=True, slots=True)
class Show:
    """`fault` is the key of what went wrong and `field` where, for the summary that is read out first."""

    template: str
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    status: int = OK
    fault: str | None = None
    field: str | None = None
    wait: int | None = None
    set: Mapping[str, str] = dataclasses.field(default_factory=dict)
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """To a path of ours, or to the address of a client that the authorization server gave."""

    address: str
    set: Mapping[str, str] = dataclasses.field(default_factory=dict)
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Give:
    """Bytes that are no page: a photo."""

    media_type: str
    length: int
    parts: AsyncIterator[bytes] = dataclasses.field(repr=False)


Answer: TypeAlias = Show | Go


def path(root: str, page: str, pending: Pending | None = None) -> str:
    """Of a page, with the request that it serves."""
    query = f"?request={quote(pending.id, safe='')}" if pending else ""
    return f"{root}/auth/{page}{query}"


def wrong(template: str, values: Mapping[str, object], fault: str, field: str | None = None) -> Show:
    return Show(template, values, WRONG, fault, field)
