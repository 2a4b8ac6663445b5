import hmac

import pytest

from fhir_server.crypto import tokens
from fhir_server.crypto.tokens import Tokenizer

KEY = b"t" * 32


def by_hand(parameter: str, keyword: str) -> int:
    parameter_key = hmac.digest(KEY, parameter.encode(), "sha256")
    return int.from_bytes(hmac.digest(parameter_key, keyword.encode(), "sha256")[:8], signed=True)


def test_a_token_is_the_documented_formula() -> None:
    assert Tokenizer(KEY, 1).token("Patient.family", "çelik") == by_hand("Patient.family", "çelik")


def test_every_process_with_the_same_key_makes_the_same_tokens_and_another_epoch_other_ones() -> None:
    again, later = Tokenizer(KEY, 1), Tokenizer(b"u" * 32, 2)

    assert again.token("Patient.family", "smith") == Tokenizer(KEY, 1).token("Patient.family", "smith")
    assert later.token("Patient.family", "smith") != again.token("Patient.family", "smith")
    assert (again.epoch, later.epoch) == (1, 2)


def test_the_same_word_in_two_parameters_makes_two_tokens() -> None:
    tokenizer = Tokenizer(KEY, 1)

    assert tokenizer.token("Patient.family", "rose") != tokenizer.token("Patient.given", "rose")


def test_many_tokens_come_sorted_and_each_once() -> None:
    pairs = [("p", "b"), ("p", "a"), ("q", "a"), ("p", "b")]

    assert Tokenizer(KEY, 1).tokens(pairs) == sorted({by_hand(*pair) for pair in pairs})
    assert Tokenizer(KEY, 1).tokens([]) == []


def test_tokens_fit_a_signed_64_bit_integer() -> None:
    made = Tokenizer(KEY, 1).tokens(("p", str(number)) for number in range(500))

    assert min(made) < 0 < max(made)
    assert all(-(2**63) <= token < 2**63 for token in made)


def test_the_memory_for_words_and_parameters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST_PARAMETERS", 3)
    tokenizer = Tokenizer(KEY, 1, most_words=10)

    for number in range(100):
        assert tokenizer.token(f"p{number}", "x") == by_hand(f"p{number}", "x")

    assert len(tokenizer._words) <= 11
    assert len(tokenizer._parameters) <= 3


def test_a_lone_surrogate_makes_a_token_and_no_fault() -> None:
    assert isinstance(Tokenizer(KEY, 1).token("p", "\ud800"), int)


def test_a_token_key_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokenizer(b"short", 1)
