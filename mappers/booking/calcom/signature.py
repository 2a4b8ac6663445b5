"""Who sent a Cal.com webhook: HMAC-SHA256 over the body, in hexadecimal, in `X-Cal-Signature-256`.

Cal.com signs no time: the replay window is held against `createdAt` inside what is signed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from mappers.mapping.faults import RefusedError, UnusableError
from mappers.mapping.instants import with_offset
from mappers.mapping.json_text import decode_object
from mappers.mapping.signatures import mac, refuse_old, same

HEADER = "x-cal-signature-256"
WINDOW = timedelta(days=2)
"""Failed deliveries come again for some hours; a message that was taken is known by its key for good."""


def verify(headers: Mapping[str, str], raw: bytes, secret: str, now: datetime) -> None:
    """Where no secret was set, Cal.com sends the words `no-secret-provided`, which is no digest and is refused."""
    if not same(headers.get(HEADER, ""), mac(secret, raw).hex()):
        raise RefusedError("The signature is missing or wrong.")
    try:
        refuse_old(with_offset(str(decode_object(raw).get("createdAt")), "createdAt"), now, WINDOW)
    except UnusableError:
        raise RefusedError("The message does not say when it was made.") from None
