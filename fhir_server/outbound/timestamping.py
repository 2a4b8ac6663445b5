"""A time stamp authority as an anchor: it vouches that a checkpoint was there at an instant, whoever asks later.

RFC 3161 section 3.4 (by HTTP). It keeps nothing and compares nothing: a log that was rolled back gets a stamp too, but
none of the past.
"""

import asyncio
import base64
import binascii
from datetime import timedelta

from fhir_server.audit.anchoring import AnchorError, Prove
from fhir_server.crypto import checkpoint
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.timestamps import Authority
from fhir_server.kernel.clock import Clock
from fhir_server.outbound.egress import Egress, EgressError

_MOST_BYTES, _SECONDS = 64 * 1024, 10.0
_APART = timedelta(minutes=5)
_HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_OK = 200


class TimeStamping:
    """Once an hour: authorities answer for free, but not for every minute of everybody."""

    name = "timestamp"
    is_independent = True
    every = timedelta(hours=1)

    def __init__(self, egress: Egress, url: str, authority: Authority, clock: Clock) -> None:
        self._egress, self._url, self._authority, self._clock = egress, url, authority, clock

    async def vouch(self, note: str, prove: Prove) -> str:
        """The answer, in base64. A time far from ours is no evidence: one of the two clocks is wrong."""
        asked = self._authority.asked(note.encode())
        try:
            answer = await asyncio.to_thread(
                self._egress.post, self._url, asked.request, _HEADERS, most_bytes=_MOST_BYTES, seconds=_SECONDS
            )
            if answer.status != _OK:
                raise AnchorError(f"it does not answer (HTTP {answer.status})")
            at = self._authority.stamped(answer.body, note.encode(), asked.nonce)
        except (EgressError, SignatureError) as error:
            raise AnchorError(str(error)) from None
        if abs(at - self._clock.now()) > _APART:
            raise AnchorError("its clock and ours are more than five minutes apart")
        return base64.b64encode(answer.body).decode()

    def confirmed(self, note: str, said: str) -> str:
        try:
            at = self._authority.stamped(base64.b64decode(said, validate=True), note.encode())
        except (SignatureError, binascii.Error):
            raise AnchorError("its time stamp is none for this checkpoint") from None
        return f"{checkpoint.parsed(note).size} events, stamped at {at:%Y-%m-%dT%H:%M:%SZ}"
