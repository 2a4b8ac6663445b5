"""An authenticator in software: makes passkeys and signs with them, honestly unless a test says otherwise.

W3C Web Authentication Level 3, sections 6.1 and 6.5.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from fhir_server.kernel import json

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class FakeAuthenticator:
    """Holds one passkey. `verified`: the person showed a finger or a PIN. `counts`: it has a signature counter."""

    origin: str = "http://localhost:8000"
    party: str = "localhost"
    verified: bool = True
    synced: bool = False
    counts: bool = True
    count: int = 0
    user_handle: bytes = b""
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(self, options: str) -> str:
        asked = json.decode(options.encode())
        self.user_handle = _bytes(asked["user"]["id"])
        credential = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(self._public())
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(_ATTESTED) + credential}
        response = {
            "clientDataJSON": self._client_data("webauthn.create", asked["challenge"]),
            "attestationObject": b64(cbor2.dumps(attestation)),
            "transports": ["internal"],
        }
        return self._credential(response)

    def sign(self, options: str) -> str:
        asked = json.decode(options.encode())
        if self.counts:
            self.count += 1
        data, client = self._data(0), self._client_data("webauthn.get", asked["challenge"])
        signed = data + hashlib.sha256(_bytes(client)).digest()
        response = {
            "clientDataJSON": client,
            "authenticatorData": b64(data),
            "signature": b64(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": b64(self.user_handle),
        }
        return self._credential(response)

    def _credential(self, response: Mapping[str, object]) -> str:
        made = {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response}
        return json.encode({**made, "clientExtensionResults": {}}).decode()

    def _data(self, more: int) -> bytes:
        flags = _PRESENT | more | _VERIFIED * self.verified | (_ELIGIBLE | _BACKED_UP) * self.synced
        return hashlib.sha256(self.party.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client_data(self, type: str, challenge: str) -> str:
        return b64(json.encode({"type": type, "challenge": challenge, "origin": self.origin, "crossOrigin": False}))

    def _public(self) -> dict[int, object]:
        """COSE key (RFC 9052): EC2, ES256, P-256."""
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}


def _bytes(text: str) -> bytes:
    from webauthn import base64url_to_bytes

    return base64url_to_bytes(text)
