"""The four calls that any keeper of a root key can answer: a file, an HSM, Vault or OpenBao transit, AWS KMS.

NIST SP 800-57 part 1, section 5.3 (cryptoperiods): the root key has versions; the newest wraps, old ones are destroyed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

MOST_WRAPPED = 1024
"""What a provider must be able to wrap at once."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    version: int
    blob: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RootStatus:
    """`oldest` is the oldest version that still opens; `note` is the honest sentence for an operator."""

    provider: str
    version: int
    oldest: int
    note: str


@dataclass(frozen=True, slots=True)
class DestructionNote:
    """What the provider vouches for: versions up to this one are gone, at once or (`effective`) on its named date."""

    destroyed_up_to: int
    effective: datetime | None
    note: str


class RootKeyProvider(Protocol):
    """Every call raises ProviderError, and nothing else, when it cannot be done. Safe in several processes at once."""

    async def wrap(self, plain: bytes) -> Wrapped:
        """Under the newest version there is, also when another process made it."""
        ...

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        """Raises ProviderError for a destroyed or unknown version and for altered bytes."""
        ...

    async def new_version(self) -> int:
        """Make a further version and wrap with it from now on."""
        ...

    async def destroy_up_to(self, version: int) -> DestructionNote:
        """Destroy this version and all before it; never the newest. Again is no fault."""
        ...

    async def describe(self) -> RootStatus:
        """Cheap: asked for whenever a key is made."""
        ...
