"""JSON in and out, within limits.

RFC 8259. Numbers with a fraction keep their digits.
"""

from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from mappers.mapping.faults import UnusableError

Json: TypeAlias = dict[str, Any]

MOST_BYTES = 4 * 1024 * 1024
MOST_DEPTH = 32

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(raw: bytes, most_bytes: int = MOST_BYTES) -> Any:  # noqa: ANN401  JSON is any value
    """UnusableError for what is no JSON, too large or too deep; it never quotes the text."""
    if len(raw) > most_bytes:
        raise UnusableError("The message is too large.")
    try:
        value = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnusableError("The message is not JSON.") from None
    _refuse_depth(value, MOST_DEPTH)
    return value


def decode_object(raw: bytes, most_bytes: int = MOST_BYTES) -> Json:
    value = decode(raw, most_bytes)
    if not isinstance(value, dict):
        raise UnusableError("The message is not a JSON object.")
    return value


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def _refuse_depth(value: object, left: int) -> None:
    if not left:
        raise UnusableError("The message nests too deep.")
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(child, dict | list):
            _refuse_depth(child, left - 1)
