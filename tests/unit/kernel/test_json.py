"""JSON in and out: every digit kept, nothing ambiguous or hostile let in."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError
from fhir_server.kernel.json import Json

ELEMENTS = ("resourceType", "class", "_birthDate", "name", "valueQuantity")
keys = st.text(max_size=8)
numbers = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-10, max_value=10),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=20,
)


def exactly(value: object) -> object:
    """Decimal("1.0") == 1, so compare the digits as well."""
    if isinstance(value, dict):
        return {name: exactly(child) for name, child in value.items()}
    if isinstance(value, list):
        return [exactly(child) for child in value]
    return (type(value).__name__, str(value))


@settings(max_examples=200, deadline=None)
@given(value=values)
def test_r_fhir_025_what_is_decoded_and_encoded_decodes_to_the_same(value: object) -> None:
    once = json.decode(json.encode(value))

    assert exactly(json.decode(json.encode(once))) == exactly(once)
    assert json.encode(json.decode(json.encode(once))) == json.encode(once)
    assert exactly(json.decode_trusted(json.encode(once))) == exactly(once)


@pytest.mark.parametrize(
    "digits",
    [
        *("1.0", "1.00", "0.10", "100", "12345678901234567890123", "0.1000000000000000055511151231257827"),
        *("-0", "-0.0", "-0e1", "0E-0", "1E+2", "1E2", "1e2", "1E5", "1.50e-3", "100E-2", "1e05", "0.0000001", "1e400"),
    ],
)
@pytest.mark.parametrize("text", ['{{"value":{}}}', '[{{"value":[{},{}]}}]', "{}"])
def test_r_fhir_025_digits_come_out_as_they_went_in(digits: str, text: str) -> None:
    raw = text.format(digits, digits).encode()

    assert json.encode(json.decode(raw)) == raw
    assert json.encode(json.decode_trusted(raw)) == raw


@settings(max_examples=200, deadline=None)
@given(members=st.dictionaries(st.sampled_from(ELEMENTS), values), names=st.frozensets(st.sampled_from(ELEMENTS)))
def test_r_fhir_025_some_members_are_those_of_the_whole(members: Json, names: frozenset[str]) -> None:
    raw = json.encode(json.decode(json.encode(members)))
    whole = json.decode_trusted(raw)

    part = json.decode_part(raw, names)

    assert exactly(part) == exactly({name: value for name, value in whole.items() if name in names})


def test_members_whose_names_are_words_of_python_are_found_too() -> None:
    assert json.decode_part(b'{"class":{"code":"AMB"},"from":-0,"id":"1"}', frozenset({"class", "from", "_id"})) == {
        "class": {"code": "AMB"},
        "from": 0,
    }


written = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
texts = st.recursive(
    st.one_of(written, st.text(max_size=8).map(lambda text: json.encode(text).decode())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda members: f"[{','.join(members)}]"),
        st.dictionaries(keys, inner, max_size=4).map(
            lambda members: (
                f"{{{','.join(f'{json.encode(name).decode()}:{value}' for name, value in members.items())}}}"
            )
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_r_fhir_025_any_text_comes_out_as_it_went_in(text: str) -> None:
    assert json.encode(json.decode(text.encode())) == text.encode()
    assert json.encode(json.decode_trusted(text.encode())) == text.encode()


@pytest.mark.parametrize("text", ["-0", "1E5", "1.50e-3", "0.0000001"])
def test_a_number_that_knows_its_text_is_the_number(text: str) -> None:
    number = json.decode(text.encode())

    assert number == Decimal(text)
    assert hash(number) == hash(Decimal(text))
    assert str(number) == text
    assert number + 1 == Decimal(text) + 1


@pytest.mark.parametrize("text", ['"-0,"', '"a:-0"', '{"a":"[-0]","b":"x,-0}"}', '["2020-01-05"]', '[" -0 "]'])
def test_a_minus_and_a_nought_in_a_string_are_no_number(text: str) -> None:
    assert json.encode(json.decode(text.encode())) == text.encode()
    assert json.encode(json.decode_trusted(text.encode())) == text.encode()


def test_more_digits_than_a_number_can_have_are_refused() -> None:
    for beside in (b"[", b"[-0,"):
        with pytest.raises(MalformedError):
            json.decode(beside + b"7" * 10_000 + b"]")


def test_only_json_is_encoded() -> None:
    with pytest.raises(TypeError):
        json.encode(object())


def test_numbers_with_a_fraction_are_decimals_and_others_integers() -> None:
    assert json.decode(b'{"a":1,"b":1.5,"c":1e2}') == {"a": 1, "b": Decimal("1.5"), "c": Decimal(100)}
    assert isinstance(json.decode(b"1.0"), Decimal)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1,}',
        b"[1] [2]",
        b'"\xff"',
        b'{"a":"\xc3"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'"\\ud800"',
        b'{"a":"\x00"}',
        b'{"a":1e999999999999999999999}',
        b"nul",
    ],
)
def test_what_is_not_json_is_refused_without_being_quoted(text: bytes) -> None:
    with pytest.raises(MalformedError) as refusal:
        json.decode(text)

    assert refusal.value.status == 400


def test_a_refusal_does_not_quote_what_was_sent() -> None:
    with pytest.raises(MalformedError) as refusal:
        json.decode(b'{"family":"Chalmers" "given":1}')

    assert "Chalmers" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":[{"b":{"a":null,"a":null}}]}',
        b'{"":1,"":2}',
        b'{"url":"\\/","a":1,"a":2}',
    ],
)
def test_a_key_that_is_repeated_is_refused_wherever_it_stands(text: bytes) -> None:
    with pytest.raises(MalformedError, match="repeats"):
        json.decode(text)


def test_the_same_key_in_two_objects_is_no_repetition() -> None:
    assert json.decode(b'[{"a":"\\u0061"},{"a":{"a":1}}]') == [{"a": "a"}, {"a": {"a": 1}}]


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from(["a", "b", "c", "\u00e9", "d"]), st.integers(0, 3)), max_size=5))
def test_an_object_is_taken_exactly_if_its_keys_differ(pairs: list[tuple[str, int]]) -> None:
    text = ("{" + ",".join(f'"{name}" : {value}' for name, value in pairs) + "}").encode()

    if len({name for name, _ in pairs}) == len(pairs):
        assert json.decode(text) == dict(pairs)
    else:
        with pytest.raises(MalformedError):
            json.decode(text)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_ends_at_a_depth(opening: bytes, closing: bytes) -> None:
    within = opening * json.MOST_DEPTH + b"1" + closing * json.MOST_DEPTH
    assert json.encode(json.decode(within)) == within

    for depth in (json.MOST_DEPTH + 1, 2_000, 60_000):
        with pytest.raises(MalformedError, match="nests deeper"):
            json.decode(opening * depth + b"1" + closing * depth)


def test_brackets_that_never_close_are_refused() -> None:
    with pytest.raises(MalformedError):
        json.decode(b"[" * 60_000)


def test_a_wide_text_is_not_a_deep_one() -> None:
    assert len(json.decode(b"[" + b",".join([b'{"a":[1]}'] * 5_000) + b"]")) == 5_000
