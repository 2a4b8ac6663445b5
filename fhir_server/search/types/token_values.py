"""What is searched as a token: codings, identifiers, contacts, codes and flags, taken out of a resource.

https://hl7.org/fhir/R4/search.html#token
"""

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from fhir_server.kernel.json import Json
from fhir_server.search.types import ranks
from fhir_server.search.types.kind import Reader, Value
from fhir_server.search.types.token_text import TextValue, texts

_TELEPHONES = frozenset({"phone", "fax", "sms", "pager"})
_BETWEEN_DIGITS = re.compile(r"[\s().\-/]+")
_TELEPHONE = re.compile(r"\+?[0-9]{3,}", re.ASCII)


class TokenValue(NamedTuple):
    """A code, case folded, and its system, "" where there is none.

    `fixed`: the definition of the element gives the system, so it is not stored, and one in a query can only repeat it.
    `kinds`: the codings of an identifier's type.
    """

    system: str
    code: str
    fixed: bool = False
    identifier: bool = False
    kinds: tuple[tuple[str, str], ...] = ()

    def keywords(self) -> Sequence[str]:
        """The code alone, because the system seldom tells two equal codes of one parameter apart.

        Identifiers have their system too, so that one domain's records can be listed.
        """
        if self.identifier and self.system:
            return (self.code, f"{self.system}|") if self.code else (f"{self.system}|",)
        return (self.code,) if self.code else ()

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.text(f"{self.code}\n{self.system}")


def telephone(text: str) -> str | None:
    """A number without the marks that people set between its digits; None for what is no telephone number."""
    bare = _BETWEEN_DIGITS.sub("", text)
    return bare if _TELEPHONE.fullmatch(bare) else None


def identifier(item: Json) -> Sequence[TokenValue]:
    """An Identifier; also the one inside a Reference."""
    system, code = _within(item, "value")
    if not system and not code:
        return ()
    return (TokenValue(system, code, identifier=True, kinds=_kinds(item["type"]) if "type" in item else ()),)


def _within(item: Json, code_name: str) -> tuple[str, str]:
    system, code = item.get("system"), item.get(code_name)
    return system if isinstance(system, str) else "", code.strip().casefold() if isinstance(code, str) else ""


def _kinds(concept: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(concept, dict):
        return ()
    return tuple((value.system, value.code) for value in _codings(concept))


def _codings(concept: Json) -> list[TokenValue]:
    codings = concept.get("coding")
    if not isinstance(codings, list):
        return []
    found = []
    for coding in codings:
        if isinstance(coding, dict):
            system, code = _within(coding, "code")
            if system or code:
                found.append(TokenValue(system, code))
    return found


def _concept(item: Json) -> Sequence[Value]:
    return [*_codings(item), *_described(item)]


def _coding(item: Json) -> Sequence[Value]:
    return [*_codings({"coding": [item]}), *_described({"coding": [item]})]


def _identifier(item: Json) -> Sequence[Value]:
    found = identifier(item)
    kind = item.get("type")
    return [*found, *_described(kind)] if isinstance(kind, dict) else found


def _described(concept: Json) -> Sequence[TextValue]:
    found = texts(concept)
    return (TextValue(found),) if found else ()


def _contact(item: Json) -> Sequence[Value]:
    kind, code = _within(item, "value")
    return (TokenValue("", telephone(code) or code if kind in _TELEPHONES else code),) if code else ()


def _text(item: object) -> Sequence[Value]:
    return (TokenValue("", item.strip().casefold()),) if isinstance(item, str) else ()


def _code(item: object) -> Sequence[Value]:
    return (TokenValue("", item.casefold(), fixed=True),) if isinstance(item, str) else ()


def _flag(item: object) -> Sequence[Value]:
    return (TokenValue("", "true" if item else "false", fixed=True),) if isinstance(item, bool) else ()


READERS: Mapping[str, Reader] = {
    "CodeableConcept": _concept,
    "Coding": _coding,
    "Identifier": _identifier,
    "ContactPoint": _contact,
    "code": _code,
    "boolean": _flag,
    "string": _text,
    "id": _text,
    "uri": _text,
}
