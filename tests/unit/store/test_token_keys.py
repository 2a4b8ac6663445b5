"""Tokens of two epochs side by side, and of one that ended."""

import pytest

from fhir_server.crypto.keys import KeyClass
from fhir_server.kernel.errors import ContendedError
from fhir_server.store.token_keys import TokenKeys
from tests.fakes.key_store import FakeKeyStore, FakeRootKeys
from tests.unit.crypto.keys_at_hand import done, keyring

WORDS = [("Patient.family", "çelik"), ("Patient.gender", "female")]


def opened(store: FakeKeyStore, *epochs: int) -> TokenKeys:
    keys = TokenKeys(keyring(store, _ROOT))
    done(keys.open(epochs))
    return keys


_ROOT = FakeRootKeys()


def test_rows_between_two_epochs_bear_the_tokens_of_both_and_are_looked_up_by_the_newer() -> None:
    store = FakeKeyStore()
    keys = opened(store, 1, 2)
    old, new = keys.tokens((1,), WORDS), keys.tokens((2,), WORDS)

    assert not set(old) & set(new)
    assert keys.tokens((1, 2), WORDS) == sorted([*old, *new])
    assert keys.newest((1, 2)).tokens(WORDS) == new
    assert opened(store, 2).tokens((2,), WORDS) == new, "in every process"


def test_an_epoch_that_ended_makes_no_tokens_any_more() -> None:
    store = FakeKeyStore()
    keys = opened(store, 1, 2)
    keys.forget((2,))

    with pytest.raises(ContendedError):
        keys.tokens((1, 2), WORDS)

    done(keys.end(1))
    done(keys.end(1))  # whoever was killed in between does it again
    assert [each.reason for each in store.list] == ["token-epoch-ended"]
    assert done(keyring(store, _ROOT).known_named("tokens/1", KeyClass.TOKEN)) is None
    assert keys.tokens((2,), WORDS)
