"""Pixels of renditions: made smaller, marked, covered, put side by side. What was taken in is never drawn on.

Pillow decodes and encodes; the colour profile goes along, the picture is turned upright.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont, ImageOps, ImageStat

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.media.dimensions import MOST_PIXELS
from fhir_server.media.formats import GIF, JPEG, PNG, WEBP

Image.MAX_IMAGE_PIXELS = MOST_PIXELS
DRAWABLE = frozenset(found.media_type for found in (GIF, JPEG, PNG, WEBP))
_FORMATS = ("GIF", "JPEG", "PNG", "WEBP")
THUMBNAIL, SCREEN, SIDE = 256, 1600, 1200
_GAP, _LEAST_TEXT = 16, 14
_QUALITY = 88
_SEEN_THROUGH = 110


@dataclass(frozen=True, slots=True)
class Area:
    """In pixels of the upright picture."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright, in RGB. `profile` is its ICC profile."""

    image: Image.Image
    profile: bytes | None


def opened(data: bytes, longest: int | None = None) -> Picture:
    """`longest`: the edge that will be wanted of it, so that less is decoded. Raises UnprocessableError."""
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as found:
            profile = found.info.get("icc_profile")
            if longest:
                found.draft("RGB", (longest, longest))
            upright = ImageOps.exif_transpose(found)
            return Picture(_flat(upright), profile)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnprocessableError("The picture cannot be drawn: its coded data is damaged.") from None


def encoded(picture: Picture, mark: str = "") -> bytes:
    """As JPEG, with nothing in it but the picture and its profile. `mark` is written across it."""
    image = picture.image.copy()
    if mark:
        _write(image, mark)
    written = BytesIO()
    image.save(written, "JPEG", quality=_QUALITY, optimize=True, icc_profile=picture.profile)
    return written.getvalue()


def scaled(picture: Picture, longest: int) -> Picture:
    """Within a square of that edge; never larger than it was."""
    image = picture.image.copy()
    image.thumbnail((longest, longest))
    return Picture(image, picture.profile)


def covered(picture: Picture, areas: Sequence[Area]) -> Picture:
    """Each area in the one colour that it has on the average: nothing of what stood there can be worked out again."""
    image = picture.image.copy()
    for area in areas:
        right, bottom = area.left + area.width, area.top + area.height
        inside = 0 <= area.left < right <= image.width and 0 <= area.top < bottom <= image.height
        if not inside:
            raise UnprocessableError("An area lies outside of the picture.", expression="Parameters.parameter")
        box = (area.left, area.top, right, bottom)
        mean = ImageStat.Stat(image.crop(box)).mean
        image.paste((round(mean[0]), round(mean[1]), round(mean[2])), box)
    return Picture(image, picture.profile)


def side_by_side(left: Picture, right: Picture) -> Picture:
    """Both at one height, a gap between; in the profile of the first."""
    height = min(left.image.height, right.image.height, SIDE)
    two = [ImageOps.contain(one.image, (SIDE * 2, height)) for one in (left, right)]
    whole = Image.new("RGB", (two[0].width + _GAP + two[1].width, height), "white")
    whole.paste(two[0], (0, 0))
    whole.paste(two[1], (two[0].width + _GAP, 0))
    return Picture(whole, left.profile)


def _flat(image: Image.Image) -> Image.Image:
    """On white where it is transparent: JPEG has no transparency."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return image.convert("RGB")


def _write(image: Image.Image, text: str) -> None:
    """In rows across the whole picture, seen through."""
    size = max(_LEAST_TEXT, max(image.size) // 24)
    font = ImageFont.load_default(size)
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    width = round(draw.textlength(text, font=font)) + size * 2
    for row, top in enumerate(range(size, image.height, size * 5)):
        for left in range(-width // 2 * (row % 2), image.width, width):
            place = (left + size, top)
            draw.text(place, text, font=font, fill=(255, 255, 255, _SEEN_THROUGH), stroke_width=1,
                      stroke_fill=(0, 0, 0, _SEEN_THROUGH))  # fmt: skip
    image.paste(layer, (0, 0), layer)
