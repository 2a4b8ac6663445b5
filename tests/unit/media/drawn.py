"""Faces that nobody has: a few ellipses and lines, as clinical photographs would show them."""

from io import BytesIO

from PIL import Image, ImageDraw

SKIN, LINE, WALL = (222, 184, 160), (120, 80, 70), (96, 110, 128)


def face(
    size: tuple[int, int] = (600, 800),
    *,
    moved: int = 0,
    light: float = 1.0,
    lines: int = 4,
    format: str = "JPEG",
    turned: int = 1,
    profile: bytes | None = None,
    mode: str = "RGB",
) -> bytes:
    """`lines` on the forehead; `moved` pixels to the right; `light` 1.0 as it should be."""
    width, height = size
    image = Image.new("RGB", size, WALL)
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.2 + moved, height * 0.1, width * 0.8 + moved, height * 0.9), fill=SKIN)
    for eye in (0.36, 0.64):
        draw.ellipse(
            (width * (eye - 0.05) + moved, height * 0.4, width * (eye + 0.05) + moved, height * 0.45), fill="white"
        )
    for line in range(lines):
        y = height * (0.2 + 0.04 * line)
        draw.line((width * 0.35 + moved, y, width * 0.65 + moved, y), fill=LINE, width=4)
    image = image.point(lambda value: round(min(255, value * light))).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = turned
    written = BytesIO()
    more = {"exif": exif, "quality": 90} if format == "JPEG" else {}
    image.save(written, format, **({"icc_profile": profile} if profile else {}), **more)
    return written.getvalue()
