"""How far two photos can be compared: 0 to 100, and what it is made of.

Requirement M8. Pose, scale and place are told by how far one must be moved to lie on the other; light and colour by
their means; what the capture protocol notes counts as well. A measure for the room, not a diagnosis.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageOps, ImageStat

from fhir_server.kernel.json import Json
from fhir_server.media.drawing import Picture
from fhir_server.media.protocol import codes, noted
from fhir_server.media.vocabulary import BACKGROUND, COMPARABILITY, DISTANCE, EXPRESSION, LIGHTING

_GRID, _REACH = 48, 8
_FULL = 255
_WEIGHTS = {"alignment": 35, "proportions": 10, "light": 20, "colour": 15, "protocol": 20}
_NOTED_ALIKE = (EXPRESSION, LIGHTING, BACKGROUND)
_NEAR = 10
_VERSION = 1
"""Rises when the same two photographs are scored otherwise."""


@dataclass(frozen=True, slots=True)
class Score:
    """Each part from 0 (nothing alike) to 1."""

    parts: Mapping[str, float]

    @property
    def value(self) -> int:
        return round(sum(_WEIGHTS[name] * part for name, part in self.parts.items()))


def comparability(one: Picture, other: Picture, first: Json, second: Json) -> Score:
    """Of two pictures, and what their Media say."""
    return Score(
        {
            "alignment": _alignment(one.image, other.image),
            "proportions": _ratio(one.image.width * other.image.height, other.image.width * one.image.height),
            "light": 1 - abs(_mean(one.image) - _mean(other.image)) / _FULL,
            "colour": 1 - max(abs(a - b) for a, b in zip(_cast(one.image), _cast(other.image), strict=True)) / _FULL,
            "protocol": _protocol(first, second),
        }
    )


def observation(score: Score, subject: Json, photos: list[str], now: str) -> Json:
    """As an Observation derived from both."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": COMPARABILITY, "code": "score"}], "text": "Comparability of two photographs"},
        "subject": subject,
        "effectiveDateTime": now,
        "device": {"display": f"Comparability of photographs, version {_VERSION}"},
        "valueQuantity": _quantity(score.value),
        "derivedFrom": [{"reference": reference} for reference in photos],
        "component": [
            {
                "code": {"coding": [{"system": COMPARABILITY, "code": name}]},
                "valueQuantity": _quantity(round(part * 100)),
            }
            for name, part in score.parts.items()
        ],
    }


def _quantity(value: int) -> Json:
    return {"value": value, "unit": "of 100", "system": "http://unitsofmeasure.org", "code": "{score}"}


def _alignment(one: Image.Image, other: Image.Image) -> float:
    """1 where they lie on each other as they are; less the further one has to be moved, and the less it fits then."""
    left, right = (ImageOps.autocontrast(ImageOps.fit(image.convert("L"), (_GRID, _GRID))) for image in (one, other))
    best, moved = min(
        (_difference(left, right, across, down), max(abs(across), abs(down)))
        for across in range(-_REACH, _REACH + 1)
        for down in range(-_REACH, _REACH + 1)
    )
    return max(0.0, 1 - moved / _REACH / 2 - min(1.0, 2 * best / _FULL) / 2)


def _difference(left: Image.Image, right: Image.Image, across: int, down: int) -> float:
    """The mean difference of what overlaps after the move."""
    box = (max(0, across), max(0, down), _GRID + min(0, across), _GRID + min(0, down))
    other = (box[0] - across, box[1] - down, box[2] - across, box[3] - down)
    return ImageStat.Stat(ImageChops.difference(left.crop(box), right.crop(other))).mean[0]


def _mean(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L")).mean[0]


def _cast(image: Image.Image) -> tuple[float, ...]:
    """How far each channel lies off the mean of all."""
    means = ImageStat.Stat(image).mean
    middle = sum(means) / len(means)
    return tuple(mean - middle for mean in means)


def _protocol(first: Json, second: Json) -> float:
    """The share of what both note that is noted alike; what one leaves out counts half."""
    found = [_alike(codes(noted(first, url)), codes(noted(second, url))) for url in _NOTED_ALIKE]
    near, far = (noted(media, DISTANCE) or {} for media in (first, second))
    if "value" in near and "value" in far:
        found.append(1.0 if _ratio(float(near["value"]), float(far["value"])) > 1 - 1 / _NEAR else 0.0)
    else:
        found.append(0.5)
    return sum(found) / len(found)


def _alike(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return 0.5
    return 1.0 if set(one) & set(other) else 0.0


def _ratio(one: float, other: float) -> float:
    return min(one, other) / max(one, other) if one > 0 and other > 0 else 0.0
