"""How often the authorization server is asked: each client has its own allowance, and failing has a smaller one.

RFC 6749 sections 10.10 and 10.11. In memory of one process: a guard against floods, not an account. Failures count by
client and address together, so that nobody shuts a client out by failing in its name from elsewhere.
"""

import threading
from collections import OrderedDict
from datetime import datetime

from fhir_server.smart.oauth.answer import TooManyRequestsError

_MOST_KEPT = 20_000
_FAILURES, _FAILURES_A_SECOND = 300.0, 10.0
_REQUESTS, _REQUESTS_A_SECOND = 600.0, 60.0


class Limits:
    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, ...], tuple[float, datetime]] = OrderedDict()

    def token(self, client_id: str, now: datetime) -> None:
        """One more token for a client that has proved who it is. Raises TooManyRequestsError."""
        self._take(("token", client_id), 2 * self._rate, self._rate, now)

    def authorization(self, address: str, now: datetime) -> None:
        """One more authorization request from an address, each of which is kept for a while."""
        self._take(("authorize", address), _REQUESTS, _REQUESTS_A_SECOND, now)

    def may_fail(self, client_id: str, address: str, now: datetime) -> None:
        """Raises TooManyRequestsError where this client failed too often from this address."""
        if self._now(("failed", client_id, address), _FAILURES, _FAILURES_A_SECOND, now) < 1:
            raise TooManyRequestsError("Too many failures; try again later.")

    def failed(self, client_id: str, address: str, now: datetime) -> None:
        with self._lock:
            place = ("failed", client_id, address)
            self._put(place, max(0.0, self._filled(place, _FAILURES, _FAILURES_A_SECOND, now) - 1), now)

    def _take(self, place: tuple[str, ...], most: float, a_second: float, now: datetime) -> None:
        with self._lock:
            left = self._filled(place, most, a_second, now)
            if left >= 1:
                self._put(place, left - 1, now)
                return
        raise TooManyRequestsError("Too many requests; try again later.")

    def _now(self, place: tuple[str, ...], most: float, a_second: float, now: datetime) -> float:
        with self._lock:
            return self._filled(place, most, a_second, now)

    def _filled(self, place: tuple[str, ...], most: float, a_second: float, now: datetime) -> float:
        left, since = self._left.get(place, (most, now))
        return min(most, left + max(0.0, (now - since).total_seconds()) * a_second)

    def _put(self, place: tuple[str, ...], left: float, now: datetime) -> None:
        self._left[place] = (left, now)
        self._left.move_to_end(place)
        if len(self._left) > _MOST_KEPT:
            self._left.popitem(last=False)
