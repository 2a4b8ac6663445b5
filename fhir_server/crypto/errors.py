"""What goes wrong with seals and keys. These are faults; no message holds content, a key, or a patient's id.

They are no answers to a client: the edge turns them into 500 or 503.
"""

from fhir_server.kernel.errors import UnavailableError


class CryptoError(Exception):
    """Root of every fault of this package; foreign exceptions end here."""


class OpeningError(CryptoError):
    """Sealed or wrapped bytes do not open: damaged, forged, moved to another address, or under another key."""


class UnknownKeyError(CryptoError):
    """A key id that is neither stored nor on the list of destroyed keys. Never the same as a destroyed key."""


class DestroyedKeyError(CryptoError):
    """The key was destroyed; another is never made in its place."""


class SignatureError(CryptoError):
    """A signature does not belong to these bytes and this public key."""


class ProviderError(CryptoError):
    """The root key provider cannot or may not do what was asked."""


class KeeperAwayError(ProviderError, UnavailableError):
    """The provider gave no answer, or none for now: to a client 503. Its words name no product and no address."""


class NoRootKeyError(ProviderError):
    """The provider was asked and has no root key of that name."""


class WrapperGoneError(OpeningError):
    """The wrapping key that a row names is not among the rows at hand: read again, or the row is an orphan."""


class ArchiveError(CryptoError):
    """A backup is not what was written, or cannot be taken or restored as asked. The message names the first fault."""
