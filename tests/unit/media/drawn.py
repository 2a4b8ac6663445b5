"""Faces that nobody has: a few ellipses and lines, as clinical photographs would show them."""

from io import BytesIO

from PIL import Image, ImageDraw

SKIN, LINE, WALL = (222, 184, 160), (120, 80, 70), (96, 110, 128)


def portrait(size: tuple[int, int] = (400, 500)) -> bytes:
    """With brows, nose and mouth, so that a detector takes it for a face. Nobody's either."""
    image = Image.new("RGB", (400, 500), (200, 200, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((100, 100, 300, 380), fill=(150, 150, 150))
    for eye in (155, 245):
        draw.ellipse((eye - 25, 205, eye + 25, 230), fill=(70, 70, 70))
        draw.ellipse((eye - 10, 207, eye + 10, 228), fill=(20, 20, 20))
        draw.rectangle((eye - 32, 180, eye + 32, 190), fill=(60, 60, 60))
    draw.polygon([(200, 220), (180, 290), (220, 290)], fill=(120, 120, 120))
    draw.rectangle((180, 290, 220, 296), fill=(80, 80, 80))
    draw.ellipse((160, 315, 240, 340), fill=(80, 80, 80))
    written = BytesIO()
    image.resize(size).save(written, "JPEG", quality=95)
    return written.getvalue()


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
