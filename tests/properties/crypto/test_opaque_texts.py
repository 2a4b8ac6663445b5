"""Tokens, page links and receipts: the same always comes out, and nothing else is believed."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.cursor import open_cursor, seal_cursor
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.jws import sign_jws, verify_jws
from fhir_server.crypto.signing import Signer
from fhir_server.crypto.tokens import Tokenizer
from fhir_server.kernel.errors import InvalidRequestError

KEYS = st.binary(min_size=32, max_size=32)
NOW = datetime(2026, 3, 14, tzinfo=UTC)
PAIRS = st.lists(st.tuples(st.sampled_from(["Patient.family", "Patient.given", "é"]), st.text(max_size=6)), max_size=20)
SIGNER = Signer(b"s" * 32)
RECEIPT = sign_jws(b'{"a":1}', b"s" * 32, SIGNER.public, "k", "receipt+jws")


@given(KEYS, PAIRS, st.integers(1, 5))
def test_tokens_are_the_formula_in_any_order_with_any_memory(
    key: bytes, pairs: list[tuple[str, str]], most_words: int
) -> None:
    tokenizer = Tokenizer(key, 1, most_words=most_words)

    oracle = set()
    for parameter, keyword in pairs:
        parameter_key = hmac.digest(key, parameter.encode(), "sha256")
        digest = hmac.digest(parameter_key, keyword.encode(), "sha256")
        oracle.add(int.from_bytes(digest[:8], signed=True))
    assert tokenizer.tokens(pairs) == tokenizer.tokens(reversed(pairs)) == sorted(oracle)


@given(KEYS, st.binary(max_size=500), st.binary(max_size=50), st.integers(1, 10**9))
def test_a_page_link_opens_until_it_expires(key: bytes, payload: bytes, bound_to: bytes, seconds: int) -> None:
    expires = NOW + timedelta(seconds=seconds)
    text = seal_cursor(key, payload, bound_to, expires)

    assert open_cursor(key, text, bound_to, NOW) == payload
    for late in (expires, expires + timedelta(days=1)):
        with pytest.raises(InvalidRequestError):
            open_cursor(key, text, bound_to, late)
    with pytest.raises(InvalidRequestError):
        open_cursor(key, text, bound_to + b"\0", NOW)


@given(st.binary(max_size=200), st.integers(0), st.text("ABCxyz-_=. \n", max_size=2), st.integers(0, 2))
def test_any_edit_of_a_page_link_is_refused(payload: bytes, where: int, inserted: str, dropped: int) -> None:
    text = seal_cursor(b"k" * 32, payload, b"me", NOW + timedelta(days=1))
    at = where % len(text)
    edited = text[:at] + inserted + text[at + dropped :]

    if edited != text:
        with pytest.raises(InvalidRequestError):
            open_cursor(b"k" * 32, edited, b"me", NOW)


@given(st.text(max_size=200))
def test_no_text_from_outside_is_a_page_link(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        open_cursor(b"k" * 32, text, b"me", NOW)


@given(
    st.text(max_size=50) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
    st.integers(0),
    st.integers(0, 3),
)
def test_any_edit_of_a_receipt_is_refused(inserted: str, where: int, dropped: int) -> None:
    at = where % len(RECEIPT)
    edited = RECEIPT[:at] + inserted + RECEIPT[at + dropped :]

    for text in (inserted, edited):
        if text != RECEIPT:
            with pytest.raises(SignatureError):
                verify_jws(text, SIGNER.public, "receipt+jws")
