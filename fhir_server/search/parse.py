"""Query string -> tree.

Parameter names go through the list of those that R4 defines for the type, so a name never reaches the database.
https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.fhir.definitions import search_parameters
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import is_id
from fhir_server.search import results
from fhir_server.search.parameters import Parameter, parameters_of
from fhir_server.search.results import Shape, not_supported
from fhir_server.search.tree import Condition, Filter, IdIn, Missing, Query, Updated, ValueIn
from fhir_server.search.types import date
from fhir_server.search.types.escapes import split, unescape

MOST_PAIRS = 64
MOST_ALTERNATIVES = 100
MOST_CHARACTERS = 8_192
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class _Name:
    """`code` or `code:modifier`."""

    code: str
    modifier: str


def parse(type: str, pairs: Sequence[tuple[str, str]], *, lenient: bool = False, base: str = "") -> Query:
    """The query that the pairs of a query string (or form body) ask for.

    `base` is the server's own address, by which absolute references are known as its own. Raises InvalidRequestError
    for an unknown parameter (with `lenient` it is left out and named in `ignored`), for a modifier that the parameter
    does not have, and for a value that is none.
    """
    if len(pairs) > MOST_PAIRS:
        raise TooCostlyError(f"A search has at most {MOST_PAIRS} parameters.")
    base = base.rstrip("/")
    filters: list[Filter] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    shape = Shape()
    for name, value in pairs:
        if name in results.FORMATTING:
            continue
        if len(value) > MOST_CHARACTERS:
            raise TooCostlyError(f"The value of a search parameter has at most {MOST_CHARACTERS} characters.")
        if results.is_result_parameter(name):
            if value:
                shape, understood = results.shaped(shape, name, value)
                used.append((name, understood))
        elif (condition := _condition(type, name, value, base, ignored if lenient else None)) is not None:
            filters.append(Filter(condition, (name, value)))
            used.append((name, value))
    return shape.of(Query(type, tuple(filters), used=tuple(used), ignored=tuple(ignored)))


def _condition(type_name: str, written: str, value: str, base: str, ignored: list[str] | None) -> Condition | None:
    """None for what has no effect: an empty value, or an unknown parameter when `ignored` collects such."""
    name = _name(type_name, written)
    parameter = parameters_of(type_name).by_code.get(name.code)
    if parameter is None:
        if name.code in search_parameters(type_name):
            raise not_supported(f"Searching {type_name} by {name.code} is not supported.")
        if ignored is None:
            raise _unknown(type_name, name.code)
        ignored.append(_shown(name.code))
        return None
    alternatives = [each for each in split(value, ",") if each]
    if len(alternatives) > MOST_ALTERNATIVES:
        raise TooCostlyError(f"A search parameter takes at most {MOST_ALTERNATIVES} alternatives.")
    _check_modifier(parameter, name)
    if not alternatives:
        return None
    if name.code == "_id":
        return IdIn(frozenset(map(_id, alternatives)))
    if name.code == "_lastUpdated":
        return Updated(tuple(date.predicate(name.code, unescape(each)) for each in alternatives))
    if name.modifier == "missing":
        return Missing(name.code, _flag(name, value))
    return _value_in(parameter, name, alternatives, base)


def _name(type_name: str, written: str) -> _Name:
    code, separator, modifier = written.partition(":")
    if code in results.UNSUPPORTED:
        raise not_supported(f"{code} is not supported.")
    if "." in written and code.partition(".")[0] in search_parameters(type_name):
        raise not_supported("Chained parameters are not supported.")
    if separator and not modifier:
        raise not_supported(f"{_shown(code)} is followed by a colon and no modifier.")
    return _Name(code, modifier)


def _check_modifier(parameter: Parameter, name: _Name) -> None:
    """R4: a modifier that is not supported is an error for lenient clients too."""
    modifier = name.modifier
    if not modifier:
        return
    if name.code not in {"_id", "_lastUpdated"}:
        known = parameter.kind.modifiers | {"missing"} | ({"not"} if parameter.kind.negatable else set())
        if modifier in known or (parameter.kind.name == "reference" and modifier in parameter.definition.targets):
            return
    raise not_supported(f"{name.code} does not support the modifier {_shown(modifier)}.")


def _value_in(parameter: Parameter, name: _Name, alternatives: list[str], base: str) -> ValueIn:
    negated = name.modifier == "not"
    asked = parameter.asked(modifier="" if negated else name.modifier, base=base)
    predicates = (parameter.kind.parse(replace(asked, text=each)) for each in alternatives)
    return ValueIn(name.code, tuple(dict.fromkeys(predicates)), negated)


def _id(text: str) -> str:
    if not is_id(text):
        raise InvalidRequestError("The value of _id is no id.")
    return text


def _flag(name: _Name, value: str) -> bool:
    if value not in {"true", "false"}:
        raise InvalidRequestError(f"The value of {name.code}:missing is true or false.")
    return value == "true"


def _unknown(type_name: str, code: str) -> InvalidRequestError:
    known = ", ".join(sorted(parameters_of(type_name).by_code))
    return InvalidRequestError(f"{type_name} has no search parameter {_shown(code)}. It has: {known}.")


def _shown(name: str) -> str:
    """What a client sent as a name, fit to be sent back."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN])
