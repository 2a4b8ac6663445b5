import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.data import read
from fhir_server.fhir.primitives import FORMATS, MOST_CHARACTERS

VALID: dict[str, list[object]] = {
    "base64Binary": ["QQ==", "QUJD\n REVG", "AAAA"],
    "boolean": [True, False],
    "code": ["final", "entered-in-error", "two words", "CHEST\u00a0"],
    "date": ["2024", "2024-02", "2024-02-29", "0001-01-01"],
    "dateTime": ["2024", "2024-02", "2024-12-31", "2024-12-31T23:59:60Z", "2015-02-07T13:28:17.239+02:00"],
    "decimal": [0, -3, Decimal("1.50"), Decimal("1E-22"), Decimal("-1.000000000000000000E+245"), 10**50],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2015-02-07T13:28:17Z", "2015-02-07T13:28:17.2391234+14:00"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["# Title\n\ntext", "  "],
    "oid": ["urn:oid:1.2.3.40"],
    "positiveInt": [1],
    "string": ["a", " a\tb\r\n", "Zoë 👩\u200d⚕️", "\u00a0a", " ", "\n\t", "\x7f", "\u00a0"],
    "time": ["13:28:17", "23:59:60.5"],
    "unsignedInt": [0],
    "uri": ["http://a/b?c#d", "urn:x", "Patient/1"],
    "url": ["mailto:a@b"],
    "canonical": ["http://a|1.0#x"],
    "uuid": ["urn:uuid:c757873d-ec9a-1326-a141-556f43239520"],
}
INVALID: dict[str, list[object]] = {
    "base64Binary": ["", "QQ", "QQ=", "Q===", "QQ==QQ==", " ", "é", "QQ-_", 5],
    "boolean": ["true", 1, 0, None],
    "code": ["", " a", "a ", "a  b", "a\tb", "a\x00", 5],
    "date": ["2023-02-29", "2024-13", "2024-00-01", "24", "2024-1-1", "2024-01-01T00:00:00Z", "0000", 2024, "2024\n"],
    "dateTime": ["2024-12-31T23:59Z", "2024-12-31T23:59:59", "2024-12-31T24:00:00Z", "2023-02-30T00:00:00Z", ""],
    "decimal": ["1.5", True, 1.5, None, Decimal("1E+401"), Decimal("1E-401"), 10**101],
    "id": ["", "a_b", "x" * 65, "a/b", "a\n", 1],
    "instant": ["2015-02-07", "2015-02-07T13:28:17", "2015-02-29T13:28:17Z"],
    "integer": [2**31, -(2**31) - 1, Decimal("1.0"), True, "1"],
    "markdown": ["", "\x00"],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1.02"],
    "positiveInt": [0, -1],
    "string": ["", "a\x00", "a\x1f", "\x0b", 1, "x" * (MOST_CHARACTERS + 1)],
    "time": ["13:28", "24:00:00", "13:28:17Z"],
    "unsignedInt": [-1],
    "uri": ["", "a b", "a\n", "\x01", 5],
    "url": ["a b"],
    "canonical": ["a b"],
    "uuid": ["urn:uuid:C757873D-EC9A-1326-A141-556F43239520", "c757873d-ec9a-1326-a141-556f43239520"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALID.items() for value in values])
def test_a_valid_value_is_accepted(name: str, value: object) -> None:
    assert FORMATS[name](value)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in INVALID.items() for value in values])
def test_an_invalid_value_is_refused(name: str, value: object) -> None:
    assert not FORMATS[name](value)


def test_every_primitive_type_of_r4_has_a_check() -> None:
    primitives = {name for name, each in read("types").items() if each["kind"] == "primitive-type"}

    assert primitives - FORMATS.keys() == {"xhtml"}
    assert VALID.keys() == INVALID.keys() == FORMATS.keys()


_TEXTS = st.one_of(
    st.text(alphabet="0123456789-:.TZ+", max_size=30),
    st.from_regex(r"\A[0-9]{4}(-[01][0-9](-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](Z|[+-]1[0-5]:00))?)?)?\Z"),
    st.text(max_size=12),
    st.from_regex(r"\A[A-Za-z0-9+/=\s]{0,12}\Z"),
    st.sampled_from(["urn:oid:1.2", "urn:oid:9", "a b", "a  b"]),
)


@settings(max_examples=150, deadline=None)
@given(_TEXTS)
def test_nothing_is_accepted_that_the_regular_expressions_of_r4_refuse(text: str) -> None:
    for name, check in FORMATS.items():
        pattern = read("types")[name].get("pattern", "")
        if name not in {"boolean", "integer", "decimal", "unsignedInt", "positiveInt"} and check(text):
            assert re.fullmatch(pattern, text, re.ASCII)


@settings(max_examples=150, deadline=None)
@given(_TEXTS)
def test_dates_and_times_are_refused_only_where_r4_or_the_calendar_refuses(text: str) -> None:
    for name in ("date", "dateTime", "instant", "time"):
        if re.fullmatch(read("types")[name]["pattern"], text) and not FORMATS[name](text):
            assert text[8:10] in {"29", "30", "31"}
