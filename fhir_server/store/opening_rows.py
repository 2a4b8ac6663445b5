"""Whose originals were opened within an hour, as rows that all processes share; a row names no person, no patient.

Row S23. They go by themselves some time after the hour.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo import UpdateOne

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam

_RUN, _WHOM = "originals-run", "originals-patient"


class OpeningRows:
    """privacy.ports.Openings on MongoDB."""

    def __init__(self, collections: Collections, tokenizer: Tokenizer) -> None:
        self._rows, self._tokenizer = collections.openings, tokenizer

    async def count(self, run: str, patients: Sequence[str], until: int) -> int:
        front = f"{self._tokenizer.token(_RUN, run)}/"
        ids = [f"{front}{self._tokenizer.token(_WHOM, f'{run} {patient}')}" for patient in patients]
        row = {"$setOnInsert": {"until": datetime.fromtimestamp(until, UTC)}}
        with seam():
            await self._rows.bulk_write([UpdateOne({"_id": id}, row, upsert=True) for id in ids], ordered=False)
            return await self._rows.count_documents({"_id": {"$gt": front, "$lt": f"{front[:-1]}0"}}, hint="_id_")
