"""One clinic, open: everything that touches its data, and what runs beside its requests.

Architecture section 7. Nothing of it is global: a process may hold several. Part of the composition root.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.api.gateway import Gateway
from fhir_server.api.surface import Surface
from fhir_server.audit.anchoring import Anchoring
from fhir_server.crypto.keyring import Keyring
from fhir_server.engine.interactions import Engine
from fhir_server.privacy.worker import Worker
from fhir_server.settings import Settings
from fhir_server.smart.signin.door import Door
from fhir_server.smart.token import Tokens
from fhir_server.store.clinic import ClinicStore
from fhir_server.subscriptions.notifier import Notifier
from fhir_server.ui.pages import Pages


@dataclass(frozen=True, slots=True)
class Clinic:
    """`receipts` is the public key, as a JWK, with which its receipts can be verified."""

    settings: Settings
    store: ClinicStore
    keyring: Keyring
    engine: Engine
    surface: Surface
    gateway: Gateway
    tokens: Tokens
    worker: Worker
    door: Door
    pages: Pages
    receipts: Mapping[str, str | list[str]]
    notifier: Notifier
    anchoring: Anchoring

    async def background(self) -> None:
        """Queued work, the log's tree and subscriptions, until cancelled: in one process at least."""
        await asyncio.gather(self.worker.run(), self.store.sequencer.run(), self.notifier.run())
