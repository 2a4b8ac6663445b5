"""All that sign-in keeps in one clinic's database, opened together.

Ports of smart.signin.
"""

from dataclasses import dataclass

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.tokens import Tokenizer
from fhir_server.kernel.clock import Clock
from fhir_server.store.attempts import SpentRows, TallyRows
from fhir_server.store.collections import Collections
from fhir_server.store.documents import Documents
from fhir_server.store.recorded_rows import RecordedRows
from fhir_server.store.sign_ins import DeviceRows, SignInRows
from fhir_server.store.users import ResetRequestRows, UserRows

_MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Doorway:
    users: UserRows
    sign_ins: SignInRows
    devices: DeviceRows
    tallies: TallyRows
    spent: SpentRows
    reset_requests: ResetRequestRows
    clock: Clock

    async def sweep(self) -> None:
        """Drop what is over. By our clock, and not by the database's own: one clock decides what is over."""
        now = self.clock.now()
        for rows in (self.sign_ins, self.devices, self.tallies, self.spent):
            await rows.sweep(now)


async def open_doorway(
    collections: Collections, documents: Documents, keyring: Keyring, clock: Clock, recorded: RecordedRows
) -> Doorway:
    """Its tokens are made by a key of their own: names that strangers try share no memory with searches."""
    tokenizer = await door_tokenizer(keyring)
    return Doorway(
        UserRows(collections, documents, keyring, tokenizer, recorded),
        SignInRows(collections, documents, keyring),
        DeviceRows(collections),
        TallyRows(collections, tokenizer),
        SpentRows(collections),
        ResetRequestRows(collections, documents, keyring),
        clock,
    )


async def door_tokenizer(keyring: Keyring) -> Tokenizer:
    return Tokenizer(await keyring.named("sign-in", KeyClass.TOKEN), 1, most_words=_MOST_WORDS)
