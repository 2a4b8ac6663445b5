"""Where faces may be: a proposal, in pixels of the upright picture. The detector is a fake here."""

from collections.abc import Callable
from io import BytesIO

from PIL import Image

from fhir_server.kernel import json
from fhir_server.media.drawing import Area
from fhir_server.media.proposing import proposed
from fhir_server.media.renditions import MOST_AREAS
from tests.unit.media.drawn import face


def detector(*boxes: tuple[int, int, int, int]) -> Callable[[str, bytes, int], bytes]:
    def opened_apart(kind: str, data: bytes, longest: int) -> bytes:
        assert kind == "faces"
        assert max(Image.open(BytesIO(data)).size) <= 800
        return json.encode(boxes)

    return opened_apart


def test_an_area_is_in_pixels_of_the_whole_picture_and_wider_than_what_was_found() -> None:
    [area] = proposed(face((1200, 1600)), detector((100, 200, 100, 100)))

    assert area == Area(170, 370, 260, 260)


def test_an_area_ends_at_the_edge_of_the_picture() -> None:
    [area] = proposed(face(), detector((0, 5, 600, 790)))

    assert area == Area(0, 0, 600, 800)


def test_the_largest_come_first_and_not_too_many() -> None:
    many = [(14 * place, 10 * place, 20 + place, 20 + place) for place in range(30)]

    areas = proposed(face(), detector(*many, *many))

    assert len(areas) == MOST_AREAS
    assert [area.width for area in areas] == sorted((area.width for area in areas), reverse=True)


def test_areas_of_a_turned_picture_are_those_of_the_upright_one() -> None:
    [area] = proposed(face((800, 600), turned=6), detector((10, 10, 580, 780)))

    assert (area.left + area.width, area.top + area.height) == (600, 800)


def test_a_face_that_is_found_twice_is_proposed_once() -> None:
    assert proposed(face(), detector((110, 120, 80, 80), (100, 100, 200, 200))) == (Area(70, 70, 260, 260),)


def test_where_nothing_is_found_nothing_is_proposed() -> None:
    assert proposed(face(), detector()) == ()
