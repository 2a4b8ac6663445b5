"""Lossless JSON: the digits of decimals survive, duplicate keys and hostile nesting do not.

https://hl7.org/fhir/R4/json.html, RFC 8259
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import msgspec

from fhir_server.kernel.errors import MalformedError

Json: TypeAlias = dict[str, Any]

MOST_DEPTH = 64
"""How deep objects and arrays may nest. R4's own examples stay under 20."""


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise MalformedError("A number has an exponent that no decimal can hold.") from None


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(raw: bytes) -> Any:  # noqa: ANN401  JSON is any value
    """Parse one JSON text. Numbers with a fraction or exponent become Decimal.

    Raises MalformedError for what is not JSON, not UTF-8, repeats a key in one object, or nests deeper than MOST_DEPTH.
    """
    try:
        value = _decoder.decode(raw)
        if _encoder.encode(value) != msgspec.json.format(raw, indent=-1):
            _refuse_duplicate_keys(raw)
        _refuse_depth(value)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise MalformedError("The body is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        raise MalformedError(f"The body is not valid JSON: {_without_content(str(error))}.") from None
    return value


def decode_trusted(raw: bytes) -> Any:  # noqa: ANN401  JSON is any value
    """Parse what this server itself encoded and sealed; the checks of `decode` were made on its way in."""
    return _decoder.decode(raw)


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; a Decimal keeps its digits."""
    return _encoder.encode(value)


def pretty(raw: bytes) -> bytes:
    """The same JSON text for a human reader, to the digit and in the same order."""
    return msgspec.json.format(raw, indent=2)


def _refuse_depth(value: object, left: int = MOST_DEPTH) -> None:
    """Looks at the parsed value: brackets in the text may stand in strings."""
    if not left:
        raise _too_deep()
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if child.__class__ is dict or child.__class__ is list:
            _refuse_depth(child, left - 1)


def _too_deep() -> MalformedError:
    return MalformedError(f"The body nests deeper than {MOST_DEPTH} levels.")


def _refuse_duplicate_keys(raw: bytes) -> None:
    """The slow, exact look; the caller comes here only when re-encoding gave other bytes (an escape, or a repeat)."""
    json.loads(raw, object_pairs_hook=_unique, parse_float=str, parse_int=str)  # noqa: TID251  keys only, no values


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("An object repeats one of its keys.")
    return found


def _without_content(message: str) -> str:
    """The decoder names the fault and the byte and never quotes the input; keep it short all the same."""
    return message.removeprefix("JSON is malformed: ")[:100]
