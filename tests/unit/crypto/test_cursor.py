import base64
from datetime import datetime, timedelta

import pytest

from fhir_server.crypto.cursor import MOST_PAYLOAD, open_cursor, seal_cursor
from fhir_server.kernel.errors import InvalidRequestError, TooLargeError
from tests.unit.crypto.keys_at_hand import NOW

KEY = b"c" * 32
LATER = NOW + timedelta(minutes=5)
TEXT = seal_cursor(KEY, b"after seq 42", b"practitioner-3", LATER)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def refusal(text: str, *, key: bytes = KEY, bound_to: bytes = b"practitioner-3", now: datetime = NOW) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        open_cursor(key, text, bound_to, now)
    return str(caught.value)


def test_a_page_link_opens_for_whom_it_was_made() -> None:
    assert open_cursor(KEY, TEXT, b"practitioner-3", NOW) == b"after seq 42"
    assert set(TEXT) <= set(ALPHABET)


def test_r_fhir_056_a_page_link_of_somebody_else_or_an_expired_one_is_refused_alike() -> None:
    refusals = {
        refusal(TEXT, bound_to=b"practitioner-4"),
        refusal(TEXT, now=LATER),
        refusal(TEXT, key=b"d" * 32),
        refusal(TEXT[:-1]),
        refusal("x"),
    }

    assert len(refusals) == 1


def test_a_page_link_lives_to_the_last_microsecond() -> None:
    assert open_cursor(KEY, TEXT, b"practitioner-3", LATER - timedelta(microseconds=1))


def test_any_changed_character_is_refused() -> None:
    for at, was in enumerate(TEXT):
        refusal(TEXT[:at] + ALPHABET[ALPHABET.index(was) ^ 1] + TEXT[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A" * 16,
        "A" * 7000,
        "A" * 40_000,
        TEXT + "=",
        TEXT + "A",
        TEXT + "\n",
        " " + TEXT,
        TEXT[:8] + "!" + TEXT[8:],
        TEXT + "é",
    ],
)
def test_what_the_server_never_writes_is_refused(text: str) -> None:
    refusal(text)


def test_spare_bits_of_the_last_character_are_not_ignored() -> None:
    text = seal_cursor(KEY, bytes(200), b"practitioner-3", LATER)
    twin = text[:-1] + ALPHABET[ALPHABET.index(text[-1]) | 1]

    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(text + "==")
    refusal(twin)


def test_short_payloads_make_links_of_one_length() -> None:
    lengths = {len(seal_cursor(KEY, bytes(size), b"", LATER)) for size in range(100)}

    assert len(lengths) == 1


def test_the_longest_payload_opens_and_a_longer_one_is_not_sealed() -> None:
    longest = bytes(MOST_PAYLOAD)

    assert open_cursor(KEY, seal_cursor(KEY, longest, b"", LATER), b"", NOW) == longest
    with pytest.raises(TooLargeError):
        seal_cursor(KEY, bytes(MOST_PAYLOAD + 1), b"", LATER)
