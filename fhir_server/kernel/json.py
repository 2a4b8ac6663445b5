"""Lossless JSON: every number comes out as it was written, duplicate keys and hostile nesting do not come in.

https://hl7.org/fhir/R4/json.html, RFC 8259
"""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from fhir_server.kernel.errors import MalformedError

Json: TypeAlias = dict[str, Any]

MOST_DEPTH = 64
"""How deep objects and arrays may nest. R4's own examples stay under 20."""


_NEGATIVE_ZERO = re.compile(rb"(?:^|[\[:,\s])-0(?=[\],}\s]|$)")


class Written(Decimal):
    """A number that Decimal would write with other characters, such as `1E5`, `1.50e-3` or `-0`: it knows its own."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def of(cls, text: str) -> "Written":
        made = cls(text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def _decimal(text: str) -> Decimal:
    try:
        plain = Decimal(text)
    except InvalidOperation:
        raise MalformedError("A number has an exponent that no decimal can hold.") from None
    return plain if str(plain) == text else Written.of(text)


def _whole(text: str) -> int | Decimal:
    """A whole number; `-0` has a sign that no int can keep."""
    return Written.of(text) if text == "-0" else int(text)


def _as_written(value: object) -> msgspec.Raw:
    if isinstance(value, Written):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is no JSON.")


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_as_written)


def decode(raw: bytes) -> Any:  # noqa: ANN401  JSON is any value
    """Parse one JSON text. Numbers with a fraction or exponent, and `-0`, become Decimal.

    Raises MalformedError for what is not JSON, not UTF-8, repeats a key in one object, or nests deeper than MOST_DEPTH.
    """
    try:
        value = _decoder.decode(raw)
        if _encoder.encode(value) != msgspec.json.format(raw, indent=-1):
            _refuse_duplicate_keys(raw)
            value = _with_signs(raw, value)
        if raw.count(b"{") + raw.count(b"[") > MOST_DEPTH:
            # Fewer cannot nest deeper, and most bodies have fewer.
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
    value = _decoder.decode(raw)
    # The encoding is compact, so a few quick looks tell that there is no -0, which has its own, slow way.
    return _with_signs(raw, value) if b":-0" in raw or b"[-0" in raw or b",-0" in raw or raw[:2] == b"-0" else value


def decode_part(raw: bytes, names: frozenset[str]) -> Json:
    """Of an object that this server encoded, the members with these names. What has others is not even looked at."""
    decoder, members = _part_decoder(names)
    part = decoder.decode(raw)
    return {name: decode_trusted(bytes(text)) for field, name in members if (text := getattr(part, field))}


@lru_cache(maxsize=256)
def _part_decoder(names: frozenset[str]) -> tuple[msgspec.json.Decoder[msgspec.Struct], tuple[tuple[str, str], ...]]:
    """And under which field each member is found."""
    written = {f"member{number}": name for number, name in enumerate(sorted(names))}
    fields = [(field, msgspec.Raw, msgspec.Raw()) for field in written]
    return msgspec.json.Decoder(msgspec.defstruct("Part", fields, rename=written)), tuple(written.items())


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; a Decimal that was decoded keeps its digits."""
    return _encoder.encode(value)


def pretty(raw: bytes) -> bytes:
    """The same JSON text for a human reader, to the digit and in the same order."""
    return msgspec.json.format(raw, indent=2)


def _refuse_depth(value: object, left: int = MOST_DEPTH) -> None:
    """Looks at the parsed value: brackets in the text may stand in strings as well."""
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


def _with_signs(raw: bytes, value: Any) -> Any:  # noqa: ANN401  JSON is any value
    """The same value with each `-0` as it was written; the fast decoder drops the sign."""
    if not _NEGATIVE_ZERO.search(raw):
        return value
    return json.loads(raw, parse_float=_decimal, parse_int=_whole)  # noqa: TID251  the one decoder that tells -0


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("An object repeats one of its keys.")
    return found


def _without_content(message: str) -> str:
    """The decoder names the fault and the byte and never quotes the input; keep it short all the same."""
    return message.removeprefix("JSON is malformed: ")[:100]
