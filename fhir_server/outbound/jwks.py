"""Public keys of clients that registered a URL for them: fetched when needed, kept no longer than their server allows.

RFC 7517, RFC 9111 section 5.2; SMART App Launch 2.2 "Registering a client". R-SMART-082. Who names a client makes us
fetch before a signature can be checked, so each URL is asked seldom, and few are waited for at once.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import FhirError
from fhir_server.outbound.egress import Egress, EgressError
from fhir_server.smart.clients.public_keys import PrivateKeyError, PublicKey, public_keys

_MOST_BYTES, _SECONDS = 64 * 1024, 5.0
_USUAL, _LONGEST = timedelta(minutes=5), timedelta(hours=1)
_BETWEEN, _BETWEEN_FOR_A_KID = timedelta(seconds=5), timedelta(seconds=30)
_AT_ONCE = 2
_MOST_KEPT = 1000
_MAX_AGE = re.compile(r"max-age=\"?([0-9]{1,9})", re.IGNORECASE)
_NEVER = re.compile(r"no-store|no-cache", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Sequence[PublicKey]
    fetched: datetime
    fresh_until: datetime


class RemoteKeySets:
    """From any thread."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress, self._clock = egress, clock
        self._known: dict[str, _Known] = {}
        self._fetching = threading.BoundedSemaphore(_AT_ONCE)

    def keys(self, url: str, *, wanted: str) -> Sequence[PublicKey]:
        now, known = self._clock.now(), self._known.get(url)
        if known is not None:
            fresh = now < known.fresh_until
            between = _BETWEEN if not fresh else _BETWEEN_FOR_A_KID
            if (fresh and any(key.kid == wanted for key in known.keys)) or now < known.fetched + between:
                return known.keys
        if not self._fetching.acquire(blocking=False):
            return ()
        try:
            found = self._fetched(url, now)
        finally:
            self._fetching.release()
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[url] = found
        return found.keys

    def _fetched(self, url: str, now: datetime) -> _Known:
        """Without keys where it failed; then it is tried again before long."""
        try:
            answer = self._egress.get(url, most_bytes=_MOST_BYTES, seconds=_SECONDS)
            keys = public_keys(json.decode(answer.body))
        except (EgressError, FhirError, PrivateKeyError):
            return _Known((), now, now)
        return _Known(keys, now, now + _freshness(answer.headers))


def _freshness(headers: Mapping[str, str]) -> timedelta:
    stated = headers.get("cache-control", "")
    if _NEVER.search(stated):
        return timedelta()
    found = _MAX_AGE.search(stated)
    return min(timedelta(seconds=int(found[1])), _LONGEST) if found else _USUAL
