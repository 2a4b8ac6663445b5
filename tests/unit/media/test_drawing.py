"""Renditions show the picture, upright and on white; two that lie alike are comparable, two that do not are less so."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media import drawing
from fhir_server.media.comparability import Score, comparability, observation
from fhir_server.media.drawing import Area
from fhir_server.media.protocol import PROTOCOL, definitions
from fhir_server.media.vocabulary import BACKGROUND, DISTANCE, EXPRESSION, LIGHTING
from tests.unit.media.drawn import face

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_rendition_is_upright_and_keeps_its_profile() -> None:
    turned = drawing.opened(face((60, 80), turned=6, profile=PROFILE))

    with Image.open(BytesIO(drawing.encoded(turned))) as shown:
        assert shown.size == (80, 60)
        assert shown.info["icc_profile"] == PROFILE
        assert not shown.getexif()


@pytest.mark.parametrize(
    ("format", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("WEBP", "RGB"), ("GIF", "P")]
)
def test_every_format_that_can_be_drawn_is(format: str, mode: str) -> None:
    found = drawing.opened(face((60, 80), format=format, mode=mode), 40)

    assert (found.image.mode, found.image.size) == ("RGB", (60, 80))


def test_what_is_transparent_is_white() -> None:
    written = BytesIO()
    Image.new("RGBA", (4, 4)).save(written, "PNG")

    assert drawing.opened(written.getvalue()).image.getpixel((0, 0)) == (255, 255, 255)


def test_nothing_is_made_larger_than_it_was() -> None:
    assert drawing.scaled(drawing.opened(face((60, 80))), 256).image.size == (60, 80)


def test_what_is_no_picture_is_not_drawn() -> None:
    with pytest.raises(UnprocessableError):
        drawing.opened(b"II*\x00" + bytes(99))


def test_covering_leaves_the_rest_as_it_was() -> None:
    plain = drawing.opened(face((60, 80)))

    covered = drawing.covered(plain, [Area(10, 10, 20, 20)])

    assert covered.image.crop((0, 40, 60, 80)).tobytes() == plain.image.crop((0, 40, 60, 80)).tobytes()
    assert len(covered.image.crop((10, 10, 30, 30)).getcolors() or []) == 1


def score(*, first: Json | None = None, second: Json | None = None, **other: Any) -> Score:
    one, two = drawing.opened(face()), drawing.opened(face(**other))
    return comparability(one, two, first or {}, second or {})


def test_m8_pairs_with_a_known_shift_are_ranked() -> None:
    shifted = [score(moved=moved).value for moved in (0, 40, 80, 120)]

    assert shifted == sorted(shifted, reverse=True)
    assert len(set(shifted)) == len(shifted)


def test_m8_pairs_with_known_light_are_ranked() -> None:
    lit = [score(light=light).value for light in (1.0, 0.8, 0.6, 0.4)]

    assert lit == sorted(lit, reverse=True)
    assert len(set(lit)) == len(lit)


def test_m8_another_shape_is_less_comparable() -> None:
    assert score(size=(800, 600)).value < score().value


def test_m8_t9_t11_what_is_noted_alike_counts() -> None:
    def noted(expression: str, metres: str) -> Json:
        return {
            "extension": [
                {"url": EXPRESSION, "valueCodeableConcept": {"text": expression}},
                {"url": DISTANCE, "valueQuantity": {"value": metres, "unit": "m"}},
            ]
        }

    alike = score(first=noted("rest", "1.0"), second=noted("rest", "1.05"))
    unlike = score(first=noted("rest", "1.0"), second=noted("smile", "2.0"))
    nowhere = score(first=noted("rest", "0"), second=noted("rest", "0"))

    assert alike.value > score().value > unlike.value
    assert alike.value > nowhere.value
    for url in (LIGHTING, BACKGROUND, EXPRESSION):
        same, other = ({"extension": [{"url": url, "valueCodeableConcept": {"text": text}}]} for text in ("a", "b"))
        assert score(first=same, second=same).value > score(first=same, second=other).value


def test_m8_s17_a_score_is_a_valid_observation_that_names_what_computed_it() -> None:
    found = observation(score(), {"reference": "Patient/1"}, ["Media/1", "Media/2"], "2026-03-01T10:00:00.000Z")

    validate(found)
    assert found["derivedFrom"] == [{"reference": "Media/1"}, {"reference": "Media/2"}]
    assert found["device"]["display"].startswith("Comparability of photographs, version ")


def test_the_definitions_of_the_protocol_are_valid_and_name_each_parameter() -> None:
    found = definitions()
    validate(found)

    kinds = [entry["resource"]["resourceType"] for entry in found["entry"]]
    urls = {entry["resource"]["url"] for entry in found["entry"]}
    assert set(PROTOCOL) <= urls
    assert kinds.count("SearchParameter") == len(PROTOCOL) + 2
