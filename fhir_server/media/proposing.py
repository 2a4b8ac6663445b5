"""Where faces may be in a photo: a proposal, of which nothing is stored and by which nothing is covered.

Architecture section 9: faces are found automatically as a proposal; the area is chosen and approved by a practitioner,
who sends it with `$rendition`. No template of a face is made (GDPR Art. 9).
"""

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.kernel import json
from fhir_server.media import drawing
from fhir_server.media.admission import admitted
from fhir_server.media.drawing import Area, Picture
from fhir_server.media.renditions import MOST_AREAS, OpenedApart, Renditions

_LOOKED_AT = 800
"""The longer edge of what is searched: a face smaller than a thirtieth of the picture tells little of anybody."""
_WIDER = 0.15
"""What is found ends at brows and chin; hair and ears tell as much."""


class Proposing:
    """Few at a time, as with renditions."""

    def __init__(self, engine: Engine, renditions: Renditions, opened_apart: OpenedApart) -> None:
        self._engine, self._renditions, self._opened_apart = engine, renditions, opened_apart

    async def propose(self, call: Call) -> tuple[Area, ...]:
        """In pixels of the upright picture, the largest first. None found does not mean that nobody shows."""
        async with admitted(self._engine, call):
            original = await self._renditions.original(call, str(call.id))
            return await self._renditions.drawn(lambda: proposed(original.data, self._opened_apart))


def proposed(data: bytes, opened_apart: OpenedApart) -> tuple[Area, ...]:
    """Of a picture that Pillow opens, as `Proposing.propose` answers."""
    whole = drawing.opened(data)
    small = drawing.scaled(whole, _LOOKED_AT)
    found = json.decode(opened_apart("faces", drawing.encoded(small), 0))
    areas = {_widened(box, whole, whole.image.width / small.image.width) for box in found}
    kept: list[Area] = []
    for area in sorted(areas, key=_size, reverse=True):
        if len(kept) < MOST_AREAS and not any(_holds(other, area) for other in kept):
            kept.append(area)
    return tuple(kept)


def _widened(box: tuple[int, int, int, int], whole: Picture, scale: float) -> Area:
    left, top, width, height = box
    right, bottom = left + width * (1 + _WIDER), top + height * (1 + _WIDER)
    left, top = max(0, round((left - width * _WIDER) * scale)), max(0, round((top - height * _WIDER) * scale))
    width = min(whole.image.width, round(right * scale)) - left
    return Area(left, top, width, min(whole.image.height, round(bottom * scale)) - top)


def _holds(outer: Area, inner: Area) -> bool:
    across = outer.left <= inner.left and inner.left + inner.width <= outer.left + outer.width
    return across and outer.top <= inner.top and inner.top + inner.height <= outer.top + outer.height


def _size(area: Area) -> tuple[int, int, int]:
    return area.width * area.height, -area.top, -area.left
