"""How a clinical photograph is taken, as data: what is noted of it, and by which element or extension.

Requirements B2, S87, T13. View and body site are elements of Media; the rest are extensions with fixed URLs, whose
definitions are in `capture_protocol.json`, and the parameters by which they are searched in `search.shipped`.
"""

from collections.abc import Mapping
from importlib.resources import files

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import (
    BACKGROUND,
    DISTANCE,
    EXPRESSION,
    LIGHTING,
    PHOTO_POLICY,
    SERIES,
    TIMEPOINT,
    TIMEPOINTS,
)
from fhir_server.search.shipped import resources

PROTOCOL: Mapping[str, str] = {
    EXPRESSION: "valueCodeableConcept",
    LIGHTING: "valueCodeableConcept",
    BACKGROUND: "valueCodeableConcept",
    TIMEPOINT: "valueCodeableConcept",
    DISTANCE: "valueQuantity",
    SERIES: "valueIdentifier",
    PHOTO_POLICY: "valueCanonical",
}
"""The extensions, and what each holds."""


def require_protocol(media: Json) -> None:
    """422 for a parameter with another kind of value than its definition says, and for one that is there twice."""
    seen: set[str] = set()
    for place, extension in enumerate(media.get("extension", [])):
        url = extension.get("url")
        if url not in PROTOCOL:
            continue
        if url in seen or PROTOCOL[url] not in extension:
            raise UnprocessableError(
                f"This parameter of the capture protocol stands once, with {PROTOCOL[url]}.",
                expression=f"Media.extension[{place}]",
            )
        seen.add(url)
        if url == TIMEPOINT and not set(codes(extension[PROTOCOL[url]])) & set(TIMEPOINTS):
            raise UnprocessableError(
                f"A timepoint is one of {', '.join(TIMEPOINTS)}.", expression=f"Media.extension[{place}]"
            )


def noted(media: Json, url: str) -> Json | None:
    """The value of a parameter; None where it was not noted."""
    for extension in media.get("extension", []):
        if extension.get("url") == url:
            found: Json = extension[PROTOCOL[url]]
            return found
    return None


def codes(concept: Json | None) -> list[str]:
    """What a concept says: its codes, else its text."""
    if concept is None:
        return []
    found = [coding["code"] for coding in concept.get("coding", []) if "code" in coding]
    return found or ([concept["text"]] if "text" in concept else [])


def definitions() -> Json:
    """A Bundle of the StructureDefinitions and SearchParameters."""
    text = files("fhir_server.media").joinpath("capture_protocol.json").read_bytes()
    found: Json = json.decode_trusted(text)
    ours = [{"resource": one} for one in resources() if "Media" in one["base"]]
    return {**found, "entry": [*found["entry"], *ours]}
