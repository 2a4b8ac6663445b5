"""What a photo's Media bears and keeps: the label *restricted*, and a tag where it shows what never happened.

Requirements S2, S5, S81. https://hl7.org/fhir/R4/security-labels.html#hcs: V is stricter than R, the others are not.
"""

from fhir_server.engine.pictured import IMPORTED, TAGS, UNEVIDENCED, has_tag, is_imported
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import CONFIDENTIALITY, RENDITION, SIMULATED, TIMEPOINT

_STRICT = frozenset({"R", "V"})
_RESTRICTED: Json = {"system": CONFIDENTIALITY, "code": "R", "display": "restricted"}
_UNEVIDENCED: Json = {"system": TAGS, "code": UNEVIDENCED, "display": "Evidence missing"}
_IMPORTED: Json = {"system": TAGS, "code": IMPORTED, "display": "Imported"}
_SIMULATED: Json = {"system": TAGS, "code": SIMULATED, "display": "Simulated"}


def labelled(media: Json, before: Json | None) -> Json:
    """With the label, where it states no other; 422 where one that stood there is lowered or gone."""
    meta = media.get("meta", {})
    labels = meta.get("security", [])
    stated = {label.get("code") for label in labels if label.get("system") == CONFIDENTIALITY}
    if stated - _STRICT or (before is not None and not stated and _labels(before)):
        raise UnprocessableError("The label of a photo is restricted, and is not lowered.", expression="Media.meta")
    if before is not None and is_simulated(before) and not is_simulated(media):
        raise UnprocessableError("What was simulated stays tagged so.", expression="Media.meta.tag")
    if before is not None and is_imported(before) != is_imported(media):
        raise UnprocessableError("What was imported without evidence stays tagged so.", expression="Media.meta.tag")
    _refuse_result(media)
    if is_imported(media) and not has_tag(media, UNEVIDENCED):
        meta = {**meta, "tag": [*meta.get("tag", []), _UNEVIDENCED]}
        media = {**media, "meta": meta}
    return media if stated else {**media, "meta": {**meta, "security": [*labels, _RESTRICTED]}}


def is_simulated(media: Json) -> bool:
    return has_tag(media, SIMULATED)


def is_rendition(media: Json) -> bool:
    """Was it made from other photos?"""
    return any(one.get("url") == RENDITION for one in media.get("extension", []))


def tagged_like(originals: list[Json]) -> list[Json]:
    """The tags that what is made of these must bear."""
    simulated = [_SIMULATED] if any(is_simulated(one) for one in originals) else []
    return [*simulated, *([_IMPORTED, _UNEVIDENCED] if any(is_imported(one) for one in originals) else [])]


def _labels(media: Json) -> bool:
    labels = media.get("meta", {}).get("security", [])
    return any(label.get("system") == CONFIDENTIALITY for label in labels)


def _refuse_result(media: Json) -> None:
    """A simulation shows no result: it stands at no time of a treatment."""
    if is_simulated(media) and any(one.get("url") == TIMEPOINT for one in media.get("extension", [])):
        raise UnprocessableError("A simulation is no result: it has no timepoint.", expression="Media.extension")
