"""Pieces of files encrypted to somebody else's public key, each bound to its place.

RFC 7516 (compact), RFC 7518: ECDH-ES or RSA-OAEP-256, with A256GCM. The protected header says which archive, which
file, which piece of it and whether it is the last one, so that none can be moved, left out at the end or taken for
another's. Any JOSE library opens them with the private key. Who wrote them, it does not say: a signature does.
"""

from collections.abc import Mapping
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from fhir_server.crypto.errors import ArchiveError
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError

PIECE = 1 << 20
"""Bytes of a file that are encrypted together."""

_CONTENT = "A256GCM"
_KINDS: Mapping[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_LEAST_N = "-" * 342
"""The modulus of 2048 bits, in base64url."""

_CURVES = frozenset({"P-256", "P-384", "P-521", "X25519"})
_MOST_KEY = 16 << 10


class _Registry(jwe.JWERegistry):
    """The library's own limit is for tokens."""

    max_ciphertext_length = 2 * PIECE


_REGISTRY = _Registry(algorithms=["ECDH-ES", "RSA-OAEP-256", _CONTENT], strict_check_header=False)


class Recipient:
    """Whoever has the private key of this public one."""

    def __init__(self, key: ECKey | OKPKey | RSAKey) -> None:
        self._key, self._algorithm = key, "RSA-OAEP-256" if isinstance(key, RSAKey) else "ECDH-ES"
        self.thumbprint = key.thumbprint()

    @classmethod
    def of(cls, jwk: str) -> "Recipient":
        """Raises ArchiveError for what is no public key, for a private one, and for one that is too weak."""
        key = _imported(jwk)
        if key.is_private:
            raise ArchiveError("That is a private key: keep it, give the public one, and use another pair.")
        return cls(key)

    def encrypted(self, plain: bytes, archive: str, name: str, number: int, *, final: bool) -> bytes:
        header = {"alg": self._algorithm, "enc": _CONTENT, **_place(archive, name, number, final=final)}
        return jwe.encrypt_compact(header, plain, self._key, registry=_REGISTRY).encode()


class Opener:
    """The private key."""

    def __init__(self, jwk: str) -> None:
        self._key = _imported(jwk)
        if not self._key.is_private:
            raise ArchiveError("That is a public key; the archive opens with the private one.")
        self.thumbprint = self._key.thumbprint()

    def opened(self, sealed: bytes, archive: str, name: str, number: int) -> tuple[bytes, bool]:
        """What was encrypted, and whether it is the file's last piece. Raises ArchiveError for anything else."""
        try:
            found = jwe.decrypt_compact(sealed, self._key, registry=_REGISTRY)
        except (JoseError, ValueError, TypeError):
            raise ArchiveError(f"{name}, piece {number}: it does not open with this key, or was changed.") from None
        header, plain = found.headers(), found.plaintext
        final = header.get("final") is True
        if plain is None or header != {**header, **_place(archive, name, number, final=final)}:
            raise ArchiveError(f"{name}, piece {number}: it belongs elsewhere.")
        return plain, final


def new_pair() -> tuple[str, str]:
    """A private key and its public one, as JWK."""
    key = ECKey.generate_key("P-256")
    return json.encode(key.as_dict(private=True)).decode(), json.encode(key.as_dict(private=False)).decode()


def _place(archive: str, name: str, number: int, *, final: bool) -> Mapping[str, Any]:
    return {"archive": archive, "name": name, "number": number, "final": final}


def _imported(jwk: str) -> ECKey | OKPKey | RSAKey:
    """Raises ArchiveError for what is no key that can be encrypted to."""
    try:
        if len(jwk) > _MOST_KEY:
            raise ArchiveError("The key is too long.")
        said = json.decode(jwk.encode())
        key = _KINDS[said["kty"]].import_key(said) if len(said.get("n", _LEAST_N)) >= len(_LEAST_N) else None
    except (JoseError, MalformedError, ValueError, TypeError, KeyError, AttributeError):
        raise ArchiveError("That is no key as JWK (RFC 7517).") from None
    if isinstance(key, RSAKey) or (key is not None and key.curve_name in _CURVES):
        return key
    raise ArchiveError("The key is RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or X25519.")
