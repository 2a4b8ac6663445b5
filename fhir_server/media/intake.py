"""Step: photo bytes leave the JSON before anything is committed, and no update slips another photo in.

Architecture section 9: recognise the bytes, clean the metadata without touching pixels, seal under a fresh key.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.pictured import is_of_a_patient
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import ForbiddenError, NoLegalBasisError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.consumer_clouds import refuse_consumer_clouds
from fhir_server.media.data_urls import refuse_pictures_in_urls
from fhir_server.media.formats import recognise
from fhir_server.media.labels import labelled
from fhir_server.media.photos_within import carries_photo, decoded, hidden_photos, may_hide_photo, photo_id, told
from fhir_server.media.ports import LIVE, PENDING
from fhir_server.media.protocol import require_protocol
from fhir_server.media.source import Held
from fhir_server.media.taking import Taking
from fhir_server.media.vocabulary import SHA_256


class Intake(Step):
    def __init__(self, taking: Taking) -> None:
        self._taking = taking

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None:
            return change
        raw = told(change.resource)
        refuse_pictures_in_urls(change.resource, raw)
        refuse_consumer_clouds(change.resource, raw)
        if change.key.type == "Media":
            _refuse_moved_photo(change)
            content = change.resource.get("content", {})
            brings = "data" in content and not _is_sound(content)
            if brings or carries_photo(change.resource):
                before = change.previous.resource if change.previous and not change.previous.deleted else None
                require_protocol(change.resource)
                if is_of_a_patient(change.resource):
                    change = change.with_resource(labelled(change.resource, before))
            if brings:
                return await self._take_in(change)
        return _only_under_system_scope(call, change)

    async def _take_in(self, change: Change) -> Change:
        content = change.content["content"]
        owners = owners_of(change)
        source = Held(decoded(content["data"], "Media.content.data"))
        declared = str(content.get("contentType", ""))
        taken = await self._taking.take(source, declared, change.key, owners)
        described = taken.described_in(dict(change.content), self._taking.zone)
        return change.with_resource(described).moving_blob(BlobMove(taken.photo.id, PENDING, LIVE))


def owners_of(change: Change) -> tuple[str, ...]:
    """Whose key seals the photo. Without an owner it is the clinic's: an image of a practitioner is no patient's."""
    if change.basis is None and is_of_a_patient(change.content):
        raise NoLegalBasisError("A photo without a legal basis is never stored.")
    return (change.basis.patient,) if change.basis else ()


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
        if carries_photo(new) and not _brings(change, photo_id(new)):
            raise UnprocessableError(
                "content.url is given by the server; send the bytes as content.data.", expression="Media.content.url"
            )
        return
    for name in ("url", "hash", "size", "contentType"):
        if new.get("content", {}).get(name) != old["content"].get(name):
            raise UnprocessableError(
                f"content.{name} of a stored photo does not change.", expression=f"Media.content.{name}"
            )
    if _digest(new) != _digest(old):
        raise UnprocessableError("The digest of a stored photo does not change.", expression="Media.content.extension")
    if "data" in new["content"]:
        raise UnprocessableError("A stored photo is not replaced; create a new Media.", expression="Media.content.data")
    if new.get("subject") != old.get("subject"):
        raise UnprocessableError("The subject of a stored photo does not change.", expression="Media.subject")


def _brings(change: Change, photo: str) -> bool:
    """Is this the change that makes the photo live? Only the server itself draws one up."""
    return any(move.photo == photo and move.after == LIVE for move in change.blobs)


def _digest(media: Json) -> list[Json]:
    return [one for one in media["content"].get("extension", []) if one.get("url") == SHA_256]


def _only_under_system_scope(call: Call, change: Change) -> Change:
    """An image elsewhere than in a Media is sealed with its resource; for now only a back end may bring it."""
    if change.resource is None or any(scope.startswith("system/") for scope in call.principal.scopes):
        return change
    if may_hide_photo(change.resource):
        for path in hidden_photos(change.resource, change.key.type):
            raise ForbiddenError("An image outside a Media is taken under system scope only.", expression=path)
    return change
