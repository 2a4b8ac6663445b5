import base64
import json

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.jws import public_jwk, sign_jws, stated_payload, verify_jws
from fhir_server.crypto.signing import SIGNATURE_BYTES, Signer, public_pem, verify

SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
SIGNER = Signer(SECRET)
RECEIPT = b'{"destroyed":["a1"]}'
TYPE = "receipt+jws"
TEXT = sign_jws(RECEIPT, SECRET, SIGNER.public, "receipts-1", TYPE)


def test_the_first_vector_of_rfc_8032_comes_out() -> None:
    assert SIGNER.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert SIGNER.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_a_signature_is_good_for_its_bytes_and_key_only() -> None:
    signature = SIGNER.sign(RECEIPT)

    verify(SIGNER.public, signature, RECEIPT)

    assert len(signature) == SIGNATURE_BYTES
    for public, sign, message in (
        (SIGNER.public, signature, RECEIPT + b" "),
        (SIGNER.public, signature[:-1], RECEIPT),
        (SIGNER.public, bytes(64), RECEIPT),
        (Signer(b"x" * 32).public, signature, RECEIPT),
        (b"no key", signature, RECEIPT),
    ):
        with pytest.raises(SignatureError):
            verify(public, sign, message)


def test_a_private_key_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(b"short")


def test_the_public_key_is_given_out_as_pem() -> None:
    assert public_pem(SIGNER.public).startswith(b"-----BEGIN PUBLIC KEY-----")


def test_m17_a_receipt_comes_back_when_its_signature_is_good() -> None:
    assert verify_jws(TEXT, SIGNER.public, TYPE) == RECEIPT


def test_a_receipt_verifies_with_nothing_but_the_published_key() -> None:
    key = OKPKey.import_key(public_jwk(SIGNER.public, "receipts-1"))

    found = jws.deserialize_compact(TEXT, key, algorithms=["Ed25519"])

    assert found.headers() == {"alg": "Ed25519", "kid": "receipts-1", "typ": TYPE}


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


HEADER, PAYLOAD, SIGNATURE = TEXT.split(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        ".",
        "..",
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}.{PAYLOAD}.",
        f"{HEADER}..{SIGNATURE}",
        f"{HEADER}.{segment({'destroyed': []})}.{SIGNATURE}",
        f"{segment({'alg': 'none'})}.{PAYLOAD}.",
        f"{segment({'alg': 'HS256'})}.{PAYLOAD}.{SIGNATURE}",
        f"{segment({'alg': 'Ed25519', 'typ': 'other'})}.{PAYLOAD}.{SIGNATURE}",
        f"{segment({})}.{PAYLOAD}.{SIGNATURE}",
        f"{segment([])}.{PAYLOAD}.{SIGNATURE}",
        f"{segment(None)}.{PAYLOAD}.{SIGNATURE}",
        f"{segment('text')}.{PAYLOAD}.{SIGNATURE}",
        f"{segment({'alg': ['Ed25519']})}.{PAYLOAD}.{SIGNATURE}",
        f"{segment({'alg': 'Ed25519', 'crit': ['x'], 'x': 1})}.{PAYLOAD}.{SIGNATURE}",
        f"é.{PAYLOAD}.{SIGNATURE}",
        "x" * (1 << 20) + "x",
    ],
)
def test_a_forged_or_broken_receipt_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        verify_jws(text, SIGNER.public, TYPE)


def test_a_receipt_of_another_type_or_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify_jws(TEXT, SIGNER.public, "checkpoint+jws")
    with pytest.raises(SignatureError):
        verify_jws(TEXT, Signer(b"x" * 32).public, TYPE)


def test_what_a_text_states_is_read_unverified_and_only_of_a_signed_text() -> None:
    assert stated_payload(TEXT) == RECEIPT
    for text in ("", "no dots", "a.b\u00e9"):
        with pytest.raises(SignatureError, match="no signed text"):
            stated_payload(text)
