"""Who sent a Calendly webhook: `Calendly-Webhook-Signature: t=<unix>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mappers.mapping.faults import RefusedError
from mappers.mapping.signatures import mac, refuse_old, same

HEADER = "calendly-webhook-signature"
WINDOW = timedelta(minutes=3)
_MOST_DIGITS = 12


def verify(headers: Mapping[str, str], raw: bytes, secret: str, now: datetime) -> None:
    """The signature first: a time that nobody signed says nothing."""
    parts = dict(part.split("=", 1) for part in headers.get(HEADER, "").split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _MOST_DIGITS):
        raise RefusedError("The signature is missing or wrong.")
    if not same(parts.get("v1", ""), mac(secret, f"{stamp}.".encode() + raw).hex()):
        raise RefusedError("The signature is missing or wrong.")
    try:
        sent = datetime.fromtimestamp(int(stamp), UTC)
    except (OverflowError, ValueError):
        raise RefusedError("The signature bears no time.") from None
    refuse_old(sent, now, WINDOW)
