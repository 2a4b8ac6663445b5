"""The photo policy, with versions, and what a photograph lacks by it: warnings, while the patient is still there.

Requirements T2, T100, S87, T18. The policy is data (`photo_policy.toml`); nothing that lacks keeps a photograph out.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fhir_server.engine.pictured import is_imported, is_of_a_patient
from fhir_server.kernel.errors import Issue
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.labels import is_rendition, is_simulated
from fhir_server.media.vocabulary import PHOTO_POLICY, TIMEPOINT

_OWN = "urn:aesthetic-fhir-server"


@dataclass(frozen=True, slots=True)
class PhotoPolicy:
    """One version: the elements of Media, and the extensions, that are to be noted."""

    version: str
    elements: tuple[str, ...]
    extensions: tuple[str, ...]


@cache
def policies() -> Mapping[str, PhotoPolicy]:
    """By canonical URL with version, oldest first."""
    read = tomllib.loads(files("fhir_server.media").joinpath("photo_policy.toml").read_text(encoding="utf-8"))
    return {
        f"{read['url']}|{one['version']}": PhotoPolicy(
            one["version"], tuple(one["elements"]), tuple(f"{_OWN}:{name}" for name in one["extensions"])
        )
        for one in read["version"]
    }


def lacking(media: Json) -> Iterator[Issue]:
    """A warning for each thing. None for what was made of other photographs, computed, or taken elsewhere."""
    if media.get("resourceType") != "Media" or not is_of_a_patient(media) or "subject" not in media:
        return
    if is_rendition(media) or is_simulated(media) or is_imported(media):
        return
    said = {one.get("url"): one for one in media.get("extension", [])}
    named = said.get(PHOTO_POLICY, {}).get("valueCanonical")
    if named is None:
        yield _warning("The photograph names no version of the photo policy.", "Media.extension")
    known = policies()
    policy = known.get(named) if named else list(known.values())[-1]
    if policy is None:
        yield _warning("This version of the photo policy is not known here.", "Media.extension")
    for name in policy.elements if policy else ():
        if name not in media:
            yield _warning(f"The photo policy asks for {name}.", f"Media.{name}")
    for url in policy.extensions if policy else ():
        if url not in said:
            yield _warning(f"The photo policy asks for the extension {url}.", "Media.extension")
    if TIMEPOINT in said and not any(_is_procedure(one) for one in media.get("partOf", [])):
        yield _warning("A photograph with a timepoint is part of a Procedure.", "Media.partOf")


def _warning(says: str, where: str) -> Issue:
    return Issue("business-rule", says, where, "warning")


def _is_procedure(reference: Json) -> bool:
    key = parse_reference(str(reference.get("reference", "")))
    return key is not None and key.type == "Procedure"
