"""How `:below`, `:above`, `:in` and `:not-in` of a token are written.

https://hl7.org/fhir/R4/search.html#token. What they mean is looked up by the engine in the definitions that are kept.
"""

import re
from collections.abc import Sequence
from typing import Literal

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.identity import parse_reference
from fhir_server.search.parameters import Parameter
from fhir_server.search.tree import InValueSet, Subsumed
from fhir_server.search.types.escapes import split, unescape

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_SYSTEM_AND_CODE = 2


def by_definitions(
    parameter: Parameter, modifier: Literal["above", "below", "in", "not-in"], alternatives: Sequence[str], base: str
) -> Subsumed | InValueSet:
    """`base`: the server's own address. Raises InvalidRequestError for what names neither a concept nor a ValueSet."""
    code = parameter.definition.code
    if modifier in {"above", "below"}:
        side: Literal["above", "below"] = "above" if modifier == "above" else "below"
        return Subsumed(code, side, tuple(dict.fromkeys(_concept(code, side, each) for each in alternatives)))
    names = dict.fromkeys(_value_set(code, modifier, each, base) for each in alternatives)
    return InValueSet(code, tuple(names), negated=modifier == "not-in")


def _concept(code: str, side: str, text: str) -> tuple[str, str]:
    """A code lies under others only within its system."""
    found = [unescape(part).strip() for part in split(text, "|")]
    if len(found) != _SYSTEM_AND_CODE or not found[1] or not _ABSOLUTE.fullmatch(found[0]):
        raise InvalidRequestError(f"A value of {code}:{side} is system|code, the system an absolute URI.")
    return found[0], found[1]


def _value_set(code: str, modifier: str, text: str, base: str) -> str:
    name = unescape(text).strip()
    name = name.removeprefix(f"{base}/") if base else name
    key = parse_reference(name)
    if key is None and _ABSOLUTE.fullmatch(name):
        return name
    if key is None or key.type != "ValueSet" or "/_history/" in name:
        raise InvalidRequestError(f"A value of {code}:{modifier} is the canonical URL of a ValueSet, or ValueSet/id.")
    return name
