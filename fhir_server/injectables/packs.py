"""`Procedure/[id]/$evidence-pack`: collected, decided for its recipient, signed, recorded as disclosed.

Requirements T17, T51, T52, T58, M9; GDPR Art. 5(2).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.audit.proofs import Proofs
from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction, Principal, Release
from fhir_server.engine.classification import DRILL, RECEIPT_SYSTEM
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.evidence import Asked, Collecting, Evidence
from fhir_server.injectables.packing import File, Pack, encoded, manifest, packed, with_page
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import GoneError, NotFoundError, TooCostlyError
from fhir_server.kernel.identity import NewId
from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import LIVE, PhotoVault
from fhir_server.search.parse import parse

MOST_BYTES = 64 << 20
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/heic": "heic", "video/mp4": "mp4"}


@dataclass(frozen=True, slots=True)
class Issuer:
    """`sign` makes a compact JWS of a payload. `server` looks up what is said of the storage."""

    clinic: str
    sign: Callable[[bytes], str]
    new_id: NewId
    server: Principal


class Packs:
    def __init__(
        self, engine: Engine, collecting: Collecting, vault: PhotoVault, proofs: Proofs, issuer: Issuer,
        most: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        self._engine, self._collecting, self._vault = engine, collecting, vault
        self._proofs, self._issuer, self._most = proofs, issuer, most

    async def make(self, call: Call, asked: Asked) -> Pack:
        """Raises TooCostlyError for more than fits; NoLegalBasisError, UnprocessableError as collecting does."""

        async def once(attempt: Attempt) -> Pack:
            await self._engine.steps.admit(call)
            evidence = await self._collecting.collect(call, asked)
            files = await self._files(evidence)
            statement = await self._statement(call, asked, evidence)
            pack = await asyncio.to_thread(self._sealed, statement, files, call)
            attempt.disclosed.extend(evidence.parts)
            call.trace.release = Release(str(asked.recipient), asked.purpose, asked.ground, pack.digest)
            return pack

        return await disclosing(self._engine.steps, call, once)

    def _sealed(self, statement: Json, files: list[File], call: Call) -> Pack:
        parts = with_page(statement, files)
        return packed(self._issuer.sign(encoded(manifest(statement, parts))), parts, call.instant)

    async def _files(self, evidence: Evidence) -> list[File]:
        files: list[File] = []
        left = self._most
        for one in evidence.parts:
            whole = await one.whole()
            found = [File(f"record/{one.key}.json", "application/fhir+json", whole.wire, _versioned(one))]
            if carries_photo(one.resource):
                found.append(await self._photo(one, left))
            left -= sum(len(file.data) for file in found)
            if left < 0:
                raise _too_large()
            files += found
        return files

    async def _photo(self, media: Stored, most: int) -> File:
        photo = await self._vault.find(photo_id(media.resource))
        if photo is None or photo.state != LIVE:
            raise GoneError("A photo of the treatment was destroyed.")
        if photo.length > most:
            raise _too_large()
        data = b"".join([part async for part in self._vault.stream(photo, 0, photo.length)])
        ending = _ENDINGS.get(photo.media_type, "bin")
        return File(f"photos/{media.key.id}.{ending}", photo.media_type, data, _versioned(media))

    async def _statement(self, call: Call, asked: Asked, evidence: Evidence) -> Json:
        return {
            "id": self._issuer.new_id(),
            "clinic": self._issuer.clinic,
            "issued": instant(call.instant),
            "issuedBy": call.principal.fhir_user or call.principal.client_id,
            "recipient": str(asked.recipient),
            "recipientName": _name(evidence.recipient.resource),
            "purpose": asked.purpose,
            "ground": str(asked.ground),
            "basis": str(evidence.basis),
            "patient": f"Patient/{evidence.patient}",
            "procedures": [f"Procedure/{id}" for id in asked.procedures],
            "withheld": evidence.withheld,
            "products": [
                {"name": one.name, "lot": one.lot, "expires": one.expires, "manufacturer": one.manufacturer}
                for one in evidence.products
            ],
            "storage": {
                "sealed": "AES-256-GCM, a key of its own for each photograph",
                "drill": await self._drill(call),
            },
            "log": await self._log(),
        }

    async def _drill(self, call: Call) -> Json:
        """When a backup was last tried out, and how it did; empty where none was."""
        asking = Call(Interaction.SEARCH_TYPE, self._issuer.server, call.instant, "DocumentReference")
        pairs = [("type", f"{RECEIPT_SYSTEM}|{DRILL}"), ("_sort", "-_lastUpdated"), ("_count", "1")]
        page = await self._engine.found(asking, (parse("DocumentReference", pairs, self._engine.language),))
        return (
            {"at": page.matches[0].resource["date"], "said": page.matches[0].resource["description"]}
            if page.matches
            else {}
        )

    async def _log(self) -> Json:
        """The log as it stood before this was recorded: who keeps it can be shown that the log only grew."""
        try:
            note = await self._proofs.checkpoint()
        except NotFoundError:
            return {}
        return {"checkpoint": note, "key": self._proofs.key, "assurance": await self._proofs.assurance()}


def _versioned(stored: Stored) -> str:
    return f"{stored.key}/_history/{stored.version}"


def _name(resource: Json) -> str:
    name = resource.get("name", "")
    if isinstance(name, str):
        return name
    first = name[0] if name else {}
    return str(first.get("text") or " ".join([*first.get("given", []), first.get("family", "")]).strip())


def _too_large() -> TooCostlyError:
    return TooCostlyError(f"A pack holds at most {MOST_BYTES >> 20} MiB: ask for fewer procedures.")
