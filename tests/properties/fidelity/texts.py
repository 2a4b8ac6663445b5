"""JSON texts as clients may write them, and what such a text says: told by another parser than ours."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from fhir_server.kernel.identity import ResourceKey

_SPACE = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n"])
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "/": "\\/"}
_DEEPEST = 40


@st.composite
def _characters(draw: st.DrawFn, longest: int) -> str:
    """A JSON string: each character as itself or escaped, as a pair of surrogates above U+FFFF."""
    text = draw(
        st.one_of(
            st.text(max_size=longest),
            st.sampled_from(
                ["-0", ":-0,", "[-0]", '{"a":1}', "\u2028", "\ufeff", "\U0001f469\u200d\u2695", "$where", ""]
            ),
        )
    )
    how = draw(st.sampled_from(["as it is", "short", "by number"]))
    return f'"{"".join(_spelt(character, how) for character in text)}"'


def _spelt(character: str, how: str) -> str:
    must = character in '"\\' or character < " "
    if how == "as it is" and not must:
        return character
    if how != "by number" and character in _SHORT:
        return _SHORT[character]
    if how == "short" and not must:
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["-0", "0.0", "1e2", "1E+02", "0.0000001", "18446744073709551616", "9007199254740993", "-0e-0"]),
    st.integers(min_value=-(10**60), max_value=10**60).map(str),
)
_LEAVES = st.one_of(NUMBERS, _characters(12), st.sampled_from(["true", "false", "null"]))


@st.composite
def _array(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(inner, max_size=4))
    return "[" + ",".join(draw(_SPACE) + each + draw(_SPACE) for each in members) + draw(_SPACE) + "]"


@st.composite
def _object(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(_characters(6), max_size=4, unique_by=json.loads))  # noqa: TID251  the other parser
    members = (f"{draw(_SPACE)}{name}{draw(_SPACE)}:{draw(_SPACE)}{draw(inner)}{draw(_SPACE)}" for name in names)
    return "{" + ",".join(members) + draw(_SPACE) + "}"


VALUES = st.one_of(
    st.recursive(_LEAVES, lambda inner: st.one_of(_array(inner), _object(inner)), max_leaves=25),
    st.builds(lambda depth, leaf: "[" * depth + leaf + "]" * depth, st.integers(1, _DEEPEST), _LEAVES),
    st.builds(lambda times, leaf: "[" + ",".join([leaf] * times) + "]", st.integers(1, 300), _LEAVES),
    st.builds(
        lambda times, text: f'"{text * times}"',
        st.integers(1, 20_000),
        st.sampled_from(["x", "ü", "\U0001f469", "\\n"]),
    ),
)


@st.composite
def resources(draw: st.DrawFn, key: ResourceKey) -> str:
    """A resource that holds anything, elements of any order among them."""
    members = [f'"resourceType":"{key.type}"', f'"id":"{key.id}"', f'"payload":{draw(VALUES)}']
    if draw(st.booleans()):
        members.append(f'"meta":{{"versionId":"7","extra":{draw(VALUES)},"lastUpdated":"2000-01-01T00:00:00Z"}}')
    return "{" + ",".join(draw(_SPACE) + each + draw(_SPACE) for each in draw(st.permutations(members))) + "}"


class Number(str):
    """The characters of a number, apart from a string of the same."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def says(text: str | bytes, without: Sequence[str] = ()) -> Any:
    """White space and the order of keys do not count, an escape is its character, a number is its very characters."""
    found = json.loads(text, parse_int=Number, parse_float=Number)  # noqa: TID251  the other parser
    if without:
        found = {**found, "meta": {name: each for name, each in found.get("meta", {}).items() if name not in without}}
    return found
