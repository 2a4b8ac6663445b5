"""A photograph on its way to the other server: asked whether it may, each time, and with its bytes where it may."""

from base64 import b64encode
from dataclasses import dataclass

from mappers.fhir_sync.photographs import PURPOSE, permits
from mappers.mapping.json_text import Json
from mappers.runtime.clock import Clock
from mappers.runtime.faults import RejectedError
from mappers.runtime.remote import Remote

_DESCRIBED = frozenset({"contentType", "language", "title", "creation"})


@dataclass(frozen=True, slots=True)
class Photos:
    """`recipient`: what the other server is called in Consents here; without one no photograph goes."""

    here: Remote
    recipient: str | None
    clock: Clock

    async def may_go(self, media: Json) -> bool:
        if self.recipient is None:
            return False
        asked = f"resource=Media/{media['id']}&purpose={PURPOSE}&actor={self.recipient}"
        try:
            decided = await self.here.read(f"Consent/$decide?{asked}")
        except RejectedError:
            return False
        patient = media.get("subject", {}).get("reference")
        consents = await self.here.search(f"Consent?patient={patient}&status=active&_count=200")
        return decided is not None and permits(decided, consents, self.recipient, self.clock())

    async def with_bytes(self, media: Json) -> Json:
        content = media["content"]
        data = await self.here.content(content["url"])
        described = {name: value for name, value in content.items() if name in _DESCRIBED}
        return {**media, "content": {**described, "data": b64encode(data).decode()}}
