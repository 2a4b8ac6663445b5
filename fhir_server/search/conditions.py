"""One parameter of a query, name and value -> the condition that it sets.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from dataclasses import dataclass, replace

from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import is_id
from fhir_server.search import results
from fhir_server.search.language import Language
from fhir_server.search.links import is_link, lineage, link
from fhir_server.search.parameters import Parameter
from fhir_server.search.results import UnknownParameterError, not_supported, shown
from fhir_server.search.terms import by_definitions
from fhir_server.search.tree import Condition, IdIn, Missing, Updated, ValueIn
from fhir_server.search.types import date
from fhir_server.search.types.escapes import split, unescape

MOST_ALTERNATIVES = 100


@dataclass(frozen=True, slots=True)
class Name:
    """`code` or `code:modifier`."""

    code: str
    modifier: str = ""


def condition_of(type_name: str, written: str, value: str, language: Language, depth: int = 0) -> Condition | None:
    """None for an empty value, which has no effect. Raises InvalidRequestError for what cannot be understood.

    `depth`: how many resources the chain in which it stands has led through.
    """
    if is_link(written):
        return link(type_name, written, value, language, depth, condition_of)
    name = _name(type_name, written)
    parameter = language.registry.of(type_name).by_code.get(name.code)
    if parameter is None:
        raise _unknown(type_name, name.code, language)
    _check_modifier(parameter, name)
    alternatives = [each for each in split(value, ",") if each]
    if len(alternatives) > MOST_ALTERNATIVES:
        raise TooCostlyError(f"A search parameter takes at most {MOST_ALTERNATIVES} alternatives.")
    return _condition(parameter, name, alternatives, language) if alternatives else None


def _condition(parameter: Parameter, name: Name, alternatives: list[str], language: Language) -> Condition:
    match name.code, name.modifier:
        case "_id", modifier:
            return IdIn(frozenset(map(_id, alternatives)), negated=modifier == "not")
        case "_lastUpdated", _:
            return Updated(tuple(date.predicate(name.code, unescape(each), language.zone) for each in alternatives))
        case _, "missing":
            return Missing(name.code, _flag(name, alternatives))
        case _, ("above" | "below") as side if "Reference" in parameter.types:
            if len(alternatives) > 1:
                raise not_supported(f"{name.code}:{side} takes one value.")
            return lineage(parameter, side, unescape(alternatives[0]).strip())
        case _, ("above" | "below" | "in" | "not-in") as modifier if parameter.kind.name == "token":
            return by_definitions(parameter, modifier, alternatives, language.base)
        case _:
            return _value_in(parameter, name, alternatives, language)


def _name(type_name: str, written: str) -> Name:
    code, separator, modifier = written.partition(":")
    if code in results.UNSUPPORTED:
        raise not_supported(f"{code} is not supported.")
    if separator and not modifier:
        raise not_supported(f"{shown(code)} is followed by a colon and no modifier.")
    return Name(code, modifier)


def _check_modifier(parameter: Parameter, name: Name) -> None:
    """R4: a modifier that is not supported is an error for lenient clients too."""
    if not name.modifier or name.modifier in parameter.modifiers:
        return
    known = ", ".join(sorted(parameter.modifiers)) or "none"
    raise not_supported(f"{name.code} does not support the modifier {shown(name.modifier)}. It has: {known}.")


def _value_in(parameter: Parameter, name: Name, alternatives: list[str], language: Language) -> ValueIn:
    negated = name.modifier == "not"
    asked = parameter.asked(language.base, language.zone, modifier="" if negated else name.modifier)
    predicates = (parameter.kind.parse(replace(asked, text=each)) for each in alternatives)
    return ValueIn(name.code, tuple(dict.fromkeys(predicates)), negated)


def _id(text: str) -> str:
    if not is_id(text):
        raise InvalidRequestError("The value of _id is no id.")
    return text


def _flag(name: Name, alternatives: list[str]) -> bool:
    if alternatives not in (["true"], ["false"]):
        raise InvalidRequestError(f"The value of {name.code}:missing is true or false.")
    return alternatives == ["true"]


def _unknown(type_name: str, code: str, language: Language) -> UnknownParameterError:
    known = ", ".join(sorted(language.registry.of(type_name).by_code))
    return UnknownParameterError(
        f"{type_name} has no search parameter {shown(code)}. It has: {known}. "
        "What a stored SearchParameter defines takes part once the index was rebuilt (fhir-server reindex)."
    )
