"""Time stamps: what is asked of an authority for some bytes, and whether its answer is one for them.

RFC 3161; the library that reads and verifies answers does no network of its own. It is an extra: imported where used.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from fhir_server.crypto.errors import SignatureError

_DAMAGED = "The answer of the authority is no time stamp."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is sent, and the number by which its answer is known."""

    request: bytes
    nonce: int


class Authority:
    """Time stamps that one of these roots answers for. Raises SignatureError where the file has none."""

    def __init__(self, roots: Path) -> None:
        try:
            import rfc3161_client
        except ImportError:
            raise SignatureError("Time stamps need the package rfc3161-client, which is not here.") from None
        self._library = rfc3161_client
        try:
            self._roots = x509.load_pem_x509_certificates(roots.read_bytes())
        except (OSError, ValueError):
            raise SignatureError("The file with the time stamp authority's root certificates cannot be read.") from None

    def asked(self, message: bytes) -> Asked:
        """For SHA-256 of these bytes, with a fresh nonce, the certificates in the answer."""
        of = self._library.HashAlgorithm.SHA256
        built = self._library.TimestampRequestBuilder().data(message).hash_algorithm(of)
        made = built.nonce(nonce=True).cert_request(cert_request=True).build()
        return Asked(made.as_bytes(), int(made.nonce or 0))

    def stamped(self, answer: bytes, message: bytes, nonce: int | None = None) -> datetime:
        """The instant at which the authority saw the bytes. Raises SignatureError."""
        verifier = self._library.VerifierBuilder(nonce=nonce, roots=list(self._roots)).build()
        try:
            stamp = self._library.decode_timestamp_response(answer)
            verifier.verify_message(stamp, message)
        except (self._library.VerificationError, ValueError):
            raise SignatureError(_DAMAGED) from None
        return stamp.tst_info.gen_time
