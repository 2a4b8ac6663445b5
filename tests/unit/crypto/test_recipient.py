"""Pieces for a recipient: they open with the private key, at their own place, and nowhere else. RFC 7516."""

import warnings

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.recipient import Opener, Recipient, new_pair
from fhir_server.kernel import json

PRIVATE, PUBLIC = new_pair()
KEYS = [RSAKey.generate_key(2048), OKPKey.generate_key("X25519"), ECKey.generate_key("P-521")]


def text(key: ECKey | OKPKey | RSAKey | OctKey, *, private: bool) -> str:
    return json.encode(key.as_dict(private=private)).decode()


@pytest.mark.parametrize("key", KEYS)
def test_whoever_has_the_private_key_opens_it(key: ECKey | OKPKey | RSAKey) -> None:
    recipient, opener = Recipient.of(text(key, private=False)), Opener(text(key, private=True))

    sealed = recipient.encrypted(b"first", "archive", "photos/000001", 1, final=False)

    assert opener.opened(sealed, "archive", "photos/000001", 1) == (b"first", False)
    assert recipient.thumbprint == opener.thumbprint


def test_a_piece_opens_at_its_own_place_alone() -> None:
    opener = Opener(PRIVATE)
    sealed = Recipient.of(PUBLIC).encrypted(b"one", "archive", "a", 1, final=True)

    assert opener.opened(sealed, "archive", "a", 1) == (b"one", True)
    for place in (("other", "a", 1), ("archive", "b", 1), ("archive", "a", 2)):
        with pytest.raises(ArchiveError, match="belongs elsewhere"):
            opener.opened(sealed, *place)


def test_a_flipped_bit_another_key_and_no_jwe_are_refused() -> None:
    sealed = Recipient.of(PUBLIC).encrypted(b"one", "archive", "a", 1, final=True)
    flipped = sealed[:-30] + bytes([sealed[-30] ^ 1]) + sealed[-29:]

    for bad, opener in (
        *((flipped, Opener(PRIVATE)), (b"no.jwe", Opener(PRIVATE)), (b"\xff", Opener(PRIVATE))),
        (sealed, Opener(new_pair()[0])),
    ):
        with pytest.raises(ArchiveError, match="does not open"):
            opener.opened(bad, "archive", "a", 1)


def test_a_key_is_public_strong_and_for_encryption() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = text(RSAKey.generate_key(1024), private=False)
    shared, signing = text(OctKey.generate_key(256), private=True), text(OKPKey.generate_key("Ed25519"), private=False)

    for bad in (*("", "{}", "[]", '"a"', '{"kty": ["EC"]}', '{"kty": "RSA", "n": 3}'), weak, shared, signing, PRIVATE):
        with pytest.raises(ArchiveError):
            Recipient.of(bad)
    for bad in (PUBLIC, " " * 20_000):
        with pytest.raises(ArchiveError):
            Opener(bad)
