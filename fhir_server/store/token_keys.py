"""The keys of search tokens, by epoch: which one a way of indexing searches by, and how an old one ends.

sealed-storage section 2: tokens are not erased by destroying a data key, so the token key has epochs. While rows move
from one to the next they bear tokens of both.
"""

from collections.abc import Collection, Iterable, Sequence

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.tokens import Tokenizer
from fhir_server.kernel.errors import ContendedError
from fhir_server.search.extract import Keyword

_REASON = "token-epoch-ended"


class TokenKeys:
    """Those that this process has met; `open` comes first."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._by_epoch: dict[int, Tokenizer] = {}

    async def open(self, epochs: Iterable[int]) -> None:
        """A key that there never was is made."""
        for epoch in epochs:
            if epoch not in self._by_epoch:
                secret = await self._keyring.named(_name(epoch), KeyClass.TOKEN)
                self._by_epoch[epoch] = Tokenizer(secret, epoch)

    def newest(self, epochs: Sequence[int]) -> Tokenizer:
        """By which rows are looked up that bear tokens of all of these."""
        return self._by_epoch[max(epochs)]

    def each(self, epochs: Sequence[int]) -> Sequence[Tokenizer]:
        return [self._by_epoch[epoch] for epoch in epochs]

    def tokens(self, epochs: Sequence[int], keywords: Sequence[Keyword]) -> list[int]:
        """Of each of these epochs, in ascending order. Raises ContendedError where one of them ended meanwhile."""
        if not self._by_epoch.keys() >= set(epochs):
            raise ContendedError("The search index is laid out anew; try again.")
        if len(epochs) == 1:
            return self.newest(epochs).tokens(keywords)
        return sorted({token for tokenizer in self.each(epochs) for token in tokenizer.tokens(keywords)})

    def forget(self, epochs: Collection[int]) -> None:
        """All but these."""
        for epoch in self._by_epoch.keys() - set(epochs):
            del self._by_epoch[epoch]

    async def end(self, epoch: int) -> None:
        """Destroy its key: what still bears its tokens can be found by nobody, nor be guessed at."""
        key = await self._keyring.known_named(_name(epoch), KeyClass.TOKEN)
        if key is not None:
            await self._keyring.destroy([key], _REASON)


def _name(epoch: int) -> str:
    return f"tokens/{epoch}"
