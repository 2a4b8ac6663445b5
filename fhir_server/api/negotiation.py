"""A Binary as a FHIR resource, or its content in its own format: what the client asks for.

https://hl7.org/fhir/R4/binary.html#rest: the content, unless FHIR is asked for by name; RFC 9110 section 12.5.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import Request

from fhir_server.api.formats import JSON_NAMES, names_this_version, not_acceptable

_XML_NAMES = frozenset({"xml", "application/fhir+xml", "application/xml", "text/xml", "application/fhir xml"})
_NOT_SPOKEN = ""
"""A format of FHIR that is not, or FHIR of another version."""

_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Media types that the client takes, in lower case, with how much it likes them."""

    ranges: tuple[tuple[str, float], ...]

    def resource_of(self, media_type: str) -> bool:
        """Is the resource wanted rather than content of this type?"""
        kind = media_type.partition(";")[0].strip().casefold()
        takes = {kind, f"{kind.partition('/')[0]}/*", "*/*"} - JSON_NAMES
        resource = max((liked for name, liked in self.ranges if name in JSON_NAMES), default=0.0)
        content = max((liked for name, liked in self.ranges if name in takes), default=0.0)
        return resource > 0 and resource >= content


def wanted(request: Request) -> Wanted:
    """`_format` beats Accept. Raises NotAcceptableError where nothing will do but FHIR as it is not spoken here."""
    asked = request.query_params.get("_format")
    accepted = request.headers.getlist("accept") or ["*/*"]
    ranges = tuple(_ranges(asked or ",".join(accepted)))
    if all(name == _NOT_SPOKEN for name, _ in ranges):
        raise not_acceptable()
    return Wanted(ranges)


def _ranges(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(","):
        name, *parameters = part.split(";")
        kind = name.strip().casefold() or "*/*"
        is_spoken = kind not in _XML_NAMES and (kind not in JSON_NAMES or names_this_version(part))
        found = next((quality for each in parameters if (quality := _QUALITY.fullmatch(each))), None)
        yield kind if is_spoken else _NOT_SPOKEN, min(float(found[1]), 1.0) if found else 1.0
