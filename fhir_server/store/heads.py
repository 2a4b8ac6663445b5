"""Each patient's head row: an epoch, and sealed, the consents in force.

Architecture section 4: a Consent that is hidden or rolled back in the database cannot permit, for the head knows
which version must be there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyClass, KeyRequest
from fhir_server.engine.change import HeadMove, LegalBasis, Unmoved
from fhir_server.engine.ports import Head
from fhir_server.kernel import json
from fhir_server.kernel.errors import StaleBasisError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.lookups import Lookups
from fhir_server.store.row_seals import RowSeal, row_seal

_CLINIC = KeyRequest((), KeyClass.CLINIC)
_MOST_KNOWN = 200_000

Moves: TypeAlias = Sequence[HeadMove | Unmoved | LegalBasis]


class Applied(NamedTuple):
    """`fresh`: the patients to `remember` once the transaction has committed. `seals`: of the rows that it wrote."""

    fresh: Sequence[str] = ()
    seals: Sequence[RowSeal] = ()


class HeadRows:
    """Reads head rows, and writes them inside a commit's transaction."""

    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring) -> None:
        self._rows, self._documents, self._keyring = collections.heads, documents, keyring
        self._known: dict[str, None] = {}
        self._lookups = Lookups(self._rows, None)

    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        """As they were at some instant after the call began."""
        found = await self._lookups.find_many(patients)
        key = await self._key() if found else None
        return {row["_id"]: self._opened(row, key) for row in found} if key else {}

    async def require_unmoved(self, bases: Collection[LegalBasis]) -> None:
        """One look for all: raises StaleBasisError when any epoch is not the one its decision saw."""
        if not bases:
            return
        with seam():
            wanted = {"_id": {"$in": list({basis.patient for basis in bases})}}
            found = await self._rows.find(wanted, {"epoch": 1}).to_list(None)
        epochs = {row["_id"]: row["epoch"] for row in found}
        if any(epochs.get(basis.patient) != basis.epoch for basis in bases):
            raise StaleBasisError("What the disclosure rested on has changed.")

    async def apply(self, patients: Iterable[str], moves: Moves, session: AsyncClientSession) -> Applied:
        """Inside a transaction: make head rows for patients first named here, and move those that a change moves.

        Raises StaleBasisError when an epoch is not the expected one. A row that a decision relied on is written even
        when it stays as it is: a mere read would not conflict with a withdrawal that commits at the same time.
        """
        touched = {move.patient for move in moves}
        fresh = [patient for patient in dict.fromkeys((*patients, *touched)) if patient not in self._known]
        if not fresh and not touched:
            return Applied()
        key = await self._key()
        seals: list[RowSeal] = []
        if fresh:
            first = [self._document(Head(patient, 1, {}), key) for patient in fresh]
            made = await self._rows.bulk_write(
                [_first(patient, row) for patient, row in zip(fresh, first, strict=True)], session=session
            )
            seals += [_seal(fresh[place], first[place]) for place in made.upserted_ids or ()]
        if touched:
            moved = sorted({move.patient for move in moves if isinstance(move, HeadMove)})
            cursor = self._rows.find({"_id": {"$in": moved}}, session=session) if moved else None
            heads = {found["_id"]: self._opened(found, key) async for found in cursor} if cursor else {}
            after = {patient: self._moved(heads[patient], moves, key) for patient in moved}
            updates = [_update(patient, heads[patient].epoch, row) for patient, row in after.items()]
            updates += [_update(patient, _seen(patient, moves)) for patient in sorted(touched - heads.keys())]
            result = await self._rows.bulk_write(updates, session=session)
            if result.matched_count != len(updates):
                raise StaleBasisError("What the change rested on has changed.")
            seals += [_seal(patient, row) for patient, row in after.items()]
        return Applied(fresh, seals)

    def remember(self, patients: Iterable[str]) -> None:
        """These rows exist for good."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(dict.fromkeys(patients))

    async def _key(self) -> DataKey:
        return (await self._keyring.data_keys([_CLINIC]))[_CLINIC]

    def _moved(self, head: Head, moves: Moves, key: DataKey) -> Document:
        """What becomes of one row, valid only from the epoch that was just read."""
        mine = [move for move in moves if move.patient == head.patient]
        expected = {move.epoch for move in mine if not isinstance(move, HeadMove)}
        if expected - {head.epoch}:
            raise StaleBasisError("What the change rested on has changed.")
        consents = dict(head.consents)
        for move in (move for move in mine if isinstance(move, HeadMove)):
            consents.pop(move.consent, None)
            if move.in_force:
                consents[move.consent] = move.version
        return self._document(Head(head.patient, head.epoch + 1, consents), key)

    def _document(self, head: Head, key: DataKey) -> Document:
        plain = json.encode({"consents": {str(consent): version for consent, version in head.consents.items()}})
        sealed = self._documents.seal_bytes(plain, "Head", head.patient, head.epoch, key)
        return {"epoch": head.epoch, "sealed": sealed}

    def _opened(self, found: Document, key: DataKey) -> Head:
        plain = self._documents.open_bytes(found["sealed"], "Head", found["_id"], found["epoch"], key)
        consents: Mapping[str, int] = {} if plain == _NO_CONSENTS else json.decode_trusted(plain)["consents"]
        return Head(
            found["_id"], int(found["epoch"]), {_key_of(consent): version for consent, version in consents.items()}
        )


_NO_CONSENTS = json.encode({"consents": {}})
"""What most heads say; a page of patients opens one each."""


def _first(patient: str, row: Document) -> UpdateOne:
    return UpdateOne({"_id": patient}, {"$setOnInsert": row}, upsert=True)


def _seen(patient: str, moves: Moves) -> int:
    """The epoch that was seen by whatever relies on this row, which stays as it is."""
    epoch, *others = {move.epoch for move in moves if not isinstance(move, HeadMove) and move.patient == patient}
    if others:
        raise StaleBasisError("What the change rested on has changed.")
    return epoch


def _update(patient: str, epoch: int, row: Document | None = None) -> UpdateOne:
    change: Document = {"$set": row} if row else {"$inc": {"relied": 1}}
    return UpdateOne({"_id": patient, "epoch": epoch}, change)


def _seal(patient: str, row: Document) -> RowSeal:
    return row_seal(f"Head/{patient}", row["epoch"], row["sealed"])


def _key_of(reference: str) -> ResourceKey:
    key = parse_reference(reference)
    assert key is not None, "only keys are written into a head row"
    return key
