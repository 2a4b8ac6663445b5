"""The photo of the demo: a drawing, of nobody."""

from pathlib import Path

from fhir_server.media.formats import JPEG, recognise
from fhir_server.media.metadata import clean

PHOTO = (Path(__file__).parents[3] / "fhir_server/cli/demo_photo.jpg").read_bytes()


def test_the_demo_photo_is_a_small_jpeg_that_tells_nothing_but_its_picture() -> None:
    assert recognise(PHOTO) == JPEG
    assert len(PHOTO) <= 60_000
    assert clean(PHOTO, JPEG) == PHOTO
