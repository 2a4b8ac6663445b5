"""Page links: all that the next page needs, sealed, bound to the caller, expiring; the server keeps nothing.

https://hl7.org/fhir/R4/http.html#paging; sealed-storage section 2: search values never stand in a URL that we make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_server.crypto.cursor import open_cursor, seal_cursor
from fhir_server.engine.call import Principal
from fhir_server.engine.position import Position
from fhir_server.kernel import json
from fhir_server.kernel.errors import InvalidRequestError

PARAMETER = "_page"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Continued:
    """A search to go on with: its parameters as first asked, and where the last page ended.

    `type` is what stands after the base in its URL: a type, a compartment and what is searched in it, nothing.
    """

    type: str
    pairs: tuple[tuple[str, str], ...]
    after: Position


class Paging:
    def __init__(self, key: bytes, lifetime: timedelta) -> None:
        self._key, self._lifetime = key, lifetime

    def link(self, base: str, continued: Continued, principal: Principal, now: datetime) -> str:
        """The URL of the next page for this principal."""
        state = [continued.type, [list(pair) for pair in continued.pairs], continued.after.seq, continued.after.id]
        state.append(list(continued.after.keys))
        sealed = seal_cursor(self._key, json.encode(state), _bound(principal), now + self._lifetime)
        return f"{base}{'/' if continued.type else ''}{continued.type}?{PARAMETER}={sealed}"

    def resume(self, text: str, type: str, principal: Principal, now: datetime) -> Continued:
        """Raises InvalidRequestError for a link that is not whole, not this caller's, or expired."""
        state = json.decode_trusted(open_cursor(self._key, text, _bound(principal), now))
        if state[0] != type:
            raise InvalidRequestError("The page link is not for this address.")
        pairs = tuple((str(name), str(value)) for name, value in state[1])
        return Continued(type, pairs, Position(state[2], state[3], tuple(state[4])))


def _bound(one: Principal) -> bytes:
    return json.encode([one.issuer, one.subject, one.client_id, one.patient, one.role, one.fhir_user])
