"""A witness on another organisation's machine: it adds its signature to a checkpoint that continues all it saw before.

https://c2sp.org/tlog-witness (`add-checkpoint`), https://c2sp.org/tlog-cosignature
"""

import asyncio
import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fhir_server.audit.anchoring import AnchorError, ContradictedError, Prove
from fhir_server.crypto import checkpoint
from fhir_server.crypto.errors import SignatureError
from fhir_server.outbound.egress import Egress, EgressError, Fetched

_MOST_BYTES, _SECONDS = 16 * 1024, 10.0
_OK, _CONFLICT, _UNPROVEN = 200, 409, 422
_SIZE = "text/x.tlog.size"
_DIGITS = 18


class HttpWitness:
    """`url` is its submission prefix, `key` its verifier key: both are had from whoever runs it."""

    name = "witness"
    is_independent = True
    every = timedelta()

    def __init__(self, egress: Egress, url: str, key: str) -> None:
        self._egress, self._url, self._key = egress, f"{url.rstrip('/')}/add-checkpoint", key.strip()
        self._seen = 0

    async def vouch(self, note: str, prove: Prove) -> str:
        """The lines of its signatures. Where it saw another size last than we know of, it says which."""
        answer = await self._shown(note, prove)
        if answer.status == _CONFLICT:
            self._seen = self._told(answer, checkpoint.parsed(note).size)
            answer = await self._shown(note, prove)
        if answer.status == _CONFLICT and self._told(answer, self._seen) == checkpoint.parsed(note).size:
            raise ContradictedError("it saw another log of this size")
        if answer.status == _UNPROVEN:
            raise ContradictedError(f"the log does not continue the {self._seen} events that it saw")
        if answer.status != _OK:
            raise AnchorError(f"it does not accept the checkpoint (HTTP {answer.status})")
        said = answer.body.decode("utf-8", "replace")
        self.confirmed(note, said)
        self._seen = checkpoint.parsed(note).size
        return said

    def confirmed(self, note: str, said: str) -> str:
        try:
            found = checkpoint.witnessed(note + said, self._key)
            signed = datetime.fromtimestamp(found.seconds, UTC)
        except (SignatureError, ValueError, OverflowError, OSError):
            raise AnchorError("its signature is not there, or of another key") from None
        return f"{checkpoint.parsed(note).size} events, signed by {found.name} at {signed:%Y-%m-%dT%H:%M:%SZ}"

    async def _shown(self, note: str, prove: Prove) -> Fetched:
        path = await prove(self._seen) if self._seen else ()
        try:
            return await asyncio.to_thread(
                self._egress.post,
                self._url,
                _request(self._seen, path, note),
                {"Content-Type": "text/plain; charset=utf-8"},
                most_bytes=_MOST_BYTES,
                seconds=_SECONDS,
            )
        except EgressError as error:
            raise AnchorError(str(error)) from None

    def _told(self, answer: Fetched, most: int) -> int:
        """Raises ContradictedError where it saw more than there is."""
        text = answer.body.decode("ascii", "replace").strip()
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind != _SIZE or not text.isdigit() or len(text) > _DIGITS:
            raise AnchorError("it refuses the checkpoint, and does not say what it saw")
        if int(text) > most:
            raise ContradictedError(f"it saw {int(text)} events, and there are {most}")
        return int(text)


def _request(old: int, path: Sequence[bytes], note: str) -> bytes:
    lines = [f"old {old}", *(base64.b64encode(hashed).decode() for hashed in path)]
    return ("".join(f"{line}\n" for line in lines) + f"\n{note}").encode()
