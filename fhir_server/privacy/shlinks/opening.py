"""What whoever has a SMART Health Link is given: the manifest for the passcode, and the file that it names.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html. Each time it is decided anew whether
the link still stands, and recorded as a disclosure to whom the request says it is for.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

from fhir_server.crypto.cursor import open_cursor, seal_cursor
from fhir_server.engine.call import Call, Interaction, Release
from fhir_server.engine.change import LegalObligation
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Heads
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, NotFoundError, StaleBasisError, UnauthenticatedError
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.kernel.json import Json
from fhir_server.privacy.shlinks.link import (
    FILE_TYPE,
    TRIES,
    content_of,
    is_named,
    is_ours,
    is_over,
    opens,
    patient_of,
    tries,
    with_tries,
)
from fhir_server.privacy.shlinks.making import Ground

_PURPOSE, _RULE = "PATRQT", "gdpr-20"
_FILE_LIVES = timedelta(minutes=15)
_MOST_EMBEDDED = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a recipient sends. `most`: so long may a file within the manifest be."""

    recipient: str
    passcode: str
    most: int | None = None


class WrongPasscodeError(UnauthenticatedError):
    """`left`: how many more may be wrong."""

    def __init__(self, left: int) -> None:
        super().__init__("The passcode is wrong.")
        self.left = left


class Opening:
    def __init__(self, engine: Engine, heads: Heads, ground: Ground) -> None:
        self._engine, self._heads, self._ground = engine, heads, ground

    async def manifest(self, call: Call, secret: str, asked: Request) -> Json:
        """Raises WrongPasscodeError; and NotFoundError for whatever is no link, or none any more."""
        stored = await self._opened(call, secret, asked.recipient, asked.passcode)
        content = content_of(stored.resource)
        file: Json = {"contentType": FILE_TYPE, "lastUpdated": stored.resource["date"]}
        if len(content) <= min(_MOST_EMBEDDED if asked.most is None else asked.most, _MOST_EMBEDDED):
            return {"status": "finalized", "files": [{**file, "embedded": content}]}
        bound, until = _bound(str(call.id), secret), call.instant + _FILE_LIVES
        ticket = seal_cursor(self._ground.key, asked.recipient.encode(), bound, until)
        location = f"{self._ground.root}/shl/{call.id}/{secret}/{ticket}"
        return {"status": "finalized", "files": [{**file, "location": location}]}

    async def file(self, call: Call, secret: str, ticket: str) -> str:
        """What a manifest named, while that is fresh."""
        try:
            recipient = open_cursor(self._ground.key, ticket, _bound(str(call.id), secret), call.instant)
        except InvalidRequestError:
            raise _gone() from None
        return content_of((await self._opened(call, secret, recipient.decode())).resource)

    async def _opened(self, call: Call, secret: str, recipient: str, passcode: str | None = None) -> Stored:
        call = replace(
            call, interaction=Interaction.OPERATION, principal=self._ground.server, type="DocumentReference",
            operation="health-link", purpose=_PURPOSE,
        )  # fmt: skip
        try:
            async with self._engine.attempt(call) as attempt:
                stored, epoch = await self._standing(call, secret)
                if passcode is not None:
                    await self._require(call, secret, passcode)
                patient = patient_of(stored.resource).id
                digest = hashlib.sha256(content_of(stored.resource).encode()).hexdigest()
                call.trace.release = Release(recipient, _PURPOSE, _RULE, digest)
                call.trace.bases[patient] = LegalObligation(_RULE, patient, epoch)
                attempt.disclosed.append(stored)
        except StaleBasisError:  # a consent changed in that moment
            raise _gone() from None
        return stored

    async def _standing(self, call: Call, secret: str) -> tuple[Stored, int]:
        key = ResourceKey("DocumentReference", str(call.id))
        stored = await self._engine.store.read(key) if is_id(key.id) else None
        if stored is None or not is_ours(stored) or not is_named(stored.resource, secret):
            raise _gone()
        patient = patient_of(stored.resource).id
        head = (await self._heads.heads([patient])).get(patient)
        if head is None or is_over(stored.resource, head.epoch, call.instant):
            raise _gone()
        return await stored.whole(), head.epoch

    async def _require(self, call: Call, secret: str, passcode: str) -> None:
        """Counted before it is looked at, so that those who try at the same time have no more tries than one."""
        left = 0
        right = False

        def spend(document: Json) -> Json | None:
            nonlocal left, right
            left = tries(document) - 1
            right = opens(document, self._ground.key, secret, passcode)
            return with_tries(document, left) if left >= 0 else None

        writing = replace(call, interaction=Interaction.PATCH, operation=None)
        await self._engine.amend(writing, spend)
        if left < 0:
            raise _gone()
        if not right:
            raise WrongPasscodeError(left)
        await self._engine.amend(writing, lambda document: with_tries(document, TRIES))


def _bound(id: str, secret: str) -> bytes:
    return f"health link {id} {secret}".encode("utf-8", "replace")


def _gone() -> NotFoundError:
    return NotFoundError("There is no such link, or not any more.")
