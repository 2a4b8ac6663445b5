"""Data keys in memory: of many the 32 bytes, of the few used last also what seals with them.

Whatever is remembered may be forgotten at any time. A cipher made ready takes 2.3 kB and 1.2 µs (OpenSSL's key
schedule), a key without it 0.35 kB with its name: so keys of all patients of a clinic fit into memory, and those of the
patients who are looked at now cost nothing to use.
"""

from collections.abc import Collection

from fhir_server.crypto.cache import Recent
from fhir_server.crypto.keys import DataKey, KeyId

_MOST_READY = 10_000


class Remembered:
    """At most `most` keys, by id and by the name of their row."""

    def __init__(self, most: int) -> None:
        self._ids = Recent[str, KeyId](most)
        self._secrets = Recent[KeyId, bytes](most)
        self._ready = Recent[KeyId, DataKey](min(most, _MOST_READY))

    def get(self, key_id: KeyId) -> DataKey | None:
        ready = self._ready.get(key_id)
        if ready is None and (secret := self._secrets.get(key_id)) is not None:
            ready = DataKey(key_id, secret)
            self._ready.put(key_id, ready)
        return ready

    def named(self, name: str) -> DataKey | None:
        key_id = self._ids.get(name)
        return None if key_id is None else self.get(key_id)

    def put(self, name: str, key: DataKey) -> None:
        self._ids.put(name, key.id)
        self._secrets.put(key.id, key.secret)
        self._ready.put(key.id, key)

    def drop(self, key_ids: Collection[KeyId]) -> None:
        self._secrets.drop(key_ids)
        self._ready.drop(key_ids)

    def clear(self) -> None:
        self._secrets.clear()
        self._ready.clear()
