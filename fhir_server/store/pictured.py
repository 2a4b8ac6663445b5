"""Does a picture stand in what is to be sealed? Then it gets a key of its own, by which it goes alone.

Architecture section 9: any element whose bytes are a picture is a photo, by whatever way it comes in.
"""

from fhir_server.consent.matter import is_evidence
from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import hidden_photos, may_carry_photo


def shows_picture(resource: Json, truth: bytes) -> bool:
    """`truth`: the same as JSON bytes, in which most resources have nothing that could hold one."""
    return may_carry_photo(truth) and not is_evidence(resource) and any(hidden_photos(resource, ""))
