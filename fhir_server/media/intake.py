"""Step: photo bytes leave the JSON before anything is committed, and no update slips another photo in.

Architecture section 9: recognise the bytes, clean the metadata without touching pixels, seal under a fresh key.
"""

import base64
import hashlib

from fhir_server.engine.call import Call
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.pictured import is_of_a_patient
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import ForbiddenError, NoLegalBasisError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.data_urls import refuse_pictures_in_urls
from fhir_server.media.formats import recognise
from fhir_server.media.metadata import clean
from fhir_server.media.photos_within import carries_photo, decoded, hidden_photos, may_hide_photo
from fhir_server.media.ports import LIVE, PENDING, PhotoVault


class Intake(Step):
    def __init__(self, vault: PhotoVault) -> None:
        self._vault = vault

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None:
            return change
        refuse_pictures_in_urls(change.resource)
        if change.key.type == "Media":
            _refuse_moved_photo(change)
            content = change.resource.get("content", {})
            if "data" in content and not _is_sound(content):
                return await self._take_in(change)
        return _only_under_system_scope(call, change)

    async def _take_in(self, change: Change) -> Change:
        resource = dict(change.content)
        content = resource["content"]
        data = decoded(content["data"], "Media.content.data")
        found = recognise(data)
        if found is None or not found.is_photo:
            raise UnprocessableError(
                "The bytes are no image format that is known here.", expression="Media.content.data"
            )
        if not found.cleanable:
            raise UnprocessableError(
                f"{found.media_type} cannot be freed of its metadata yet; send JPEG, PNG, WebP or GIF.",
                expression="Media.content.data",
            )
        if change.basis is None and is_of_a_patient(resource):
            raise NoLegalBasisError("A photo without a legal basis is never stored.")
        cleaned = clean(data, found)
        # Without an owner the key is the clinic's: an image of a practitioner is no patient's photo.
        owners = (change.basis.patient,) if change.basis else ()
        photo = await self._vault.put(cleaned, found.media_type, change.key, owners)
        kept = {name: value for name, value in content.items() if name not in {"data", "_data"}}
        described = {
            **kept,
            "contentType": found.media_type,
            "url": f"Binary/{photo.id}",
            "size": len(cleaned),
            # Attachment.hash is a SHA-1 by definition; what protects the bytes is the seal.
            "hash": base64.b64encode(hashlib.sha1(cleaned, usedforsecurity=False).digest()).decode(),
        }
        return change.with_resource({**resource, "content": described}).moving_blob(BlobMove(photo.id, PENDING, LIVE))


def _is_sound(content: Json) -> bool:
    """R4's Media may be a recording of sound. Bytes that are a picture are one, whatever they are called."""
    if not str(content.get("contentType", "")).casefold().startswith("audio/"):
        return False
    found = recognise(decoded(content["data"], "Media.content.data"))
    return found is None or not found.is_photo


def _refuse_moved_photo(change: Change) -> None:
    """Once taken in, a photo stays with its patient and its Media: no update points it elsewhere."""
    new: Json = change.resource or {}
    old = change.previous.resource if change.previous and not change.previous.deleted else None
    if old is None or not carries_photo(old):
        if carries_photo(new):
            raise UnprocessableError(
                "content.url is given by the server; send the bytes as content.data.", expression="Media.content.url"
            )
        return
    for name in ("url", "hash", "size", "contentType"):
        if new.get("content", {}).get(name) != old["content"].get(name):
            raise UnprocessableError(
                f"content.{name} of a stored photo does not change.", expression=f"Media.content.{name}"
            )
    if "data" in new["content"]:
        raise UnprocessableError("A stored photo is not replaced; create a new Media.", expression="Media.content.data")
    if new.get("subject") != old.get("subject"):
        raise UnprocessableError("The subject of a stored photo does not change.", expression="Media.subject")


def _only_under_system_scope(call: Call, change: Change) -> Change:
    """An image elsewhere than in a Media is sealed with its resource; for now only a back end may bring it."""
    if change.resource is None or any(scope.startswith("system/") for scope in call.principal.scopes):
        return change
    if may_hide_photo(change.resource):
        for path in hidden_photos(change.resource, change.key.type):
            raise ForbiddenError("An image outside a Media is taken under system scope only.", expression=path)
    return change
