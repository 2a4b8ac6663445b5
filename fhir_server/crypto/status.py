"""What there is to say about the keys of a clinic, for `fhir-server keys status` and for checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.crypto.destroyed import Tally
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.providers.port import RootKeyProvider, RootStatus
from fhir_server.crypto.rows import WrapperKind


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """`unfinished`: is the renewal of some wrapping key still to be finished after a destruction?"""

    root: RootStatus
    buckets: int
    patients: int
    data_keys: Mapping[KeyClass, int]
    destroyed: Tally
    unfinished: bool


async def key_status(store: KeyStore, provider: RootKeyProvider) -> KeyStatus:
    counts = await store.counts()
    due = [await store.due(kind, 1) for kind in WrapperKind]
    return KeyStatus(
        root=await provider.describe(),
        buckets=counts.get(WrapperKind.BUCKET, 0),
        patients=counts.get(WrapperKind.PATIENT, 0),
        data_keys={key_class: counts.get(key_class, 0) for key_class in KeyClass},
        destroyed=await store.tally(),
        unfinished=any(due),
    )
