"""A sort by what is sealed: every match is opened, pages go on where they ended, and there is a bound."""

from itertools import pairwise

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.limits import Limits
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from tests.unit.engine.calls import Running, call, running
from tests.unit.engine.connected import Hiding

pytestmark = pytest.mark.anyio

FAMILIES = ["Cole", "adler", "Berg", "berg", "\u00c4rmel", "Dorn", "Berg", "Cole"]


def person(number: int, family: str) -> Json:
    return {"resourceType": "Patient", "name": [{"family": family}], "birthDate": f"19{80 + number % 3}"}


async def clinic(*, limits: Limits | None = None, hidden: tuple[str, ...] = ()) -> Running:
    at = running(Hiding(*hidden), limits=limits)
    for number, family in enumerate(FAMILIES):
        await at.engine.create(call(Interaction.CREATE), person(number, family))
    return at


async def page(at: Running, after: Position | None = None, **asked: str) -> Page:
    pairs = [(f"_{name}" if name in {"sort", "count", "total"} else name, value) for name, value in asked.items()]
    return await at.engine.search(call(Interaction.SEARCH_TYPE), parse("Patient", pairs), after)


def families(found: Page) -> list[str]:
    return [stored.resource["name"][0]["family"] for stored in found.matches]


async def test_r_fhir_060_names_are_in_order_across_pages() -> None:
    at = await clinic()

    whole = await page(at, sort="family")
    found: list[Stored] = []
    after: Position | None = None
    for _ in range(8):
        some = await page(at, after, sort="family", count="3")
        found += some.matches
        after = some.next
        assert some.total == 8, "what was opened for the order was counted"
        if after is None:
            break

    assert families(whole) == ["adler", "\u00c4rmel", "Berg", "berg", "Berg", "Cole", "Cole", "Dorn"]
    assert [one.key for one in found] == [one.key for one in whole.matches]
    assert whole.next is None


async def test_r_fhir_060_what_is_alike_goes_by_id() -> None:
    at = await clinic()

    bergs = [one.key.id for one in (await page(at, sort="-family", family="berg")).matches]

    assert bergs == sorted(bergs)
    both = await page(at, sort="birthdate,-family")
    for one, other in pairwise(both.matches):
        assert one.resource["birthDate"] <= other.resource["birthDate"]


async def test_r_fhir_056_inserts_and_deletions_repeat_and_drop_nothing() -> None:
    at = await clinic()
    first = await page(at, sort="family", count="3")

    await at.engine.create(call(Interaction.CREATE), person(1, "Aa"))
    await at.engine.create(call(Interaction.CREATE), person(1, "Zz"))
    await at.engine.delete(call(Interaction.DELETE, id=first.matches[-1].key.id))

    rest = await page(at, first.next, sort="family", count="20")
    assert families(first) + families(rest) == [
        "adler", "\u00c4rmel", "Berg", "berg", "Berg", "Cole", "Cole", "Dorn", "Zz",
    ]  # fmt: skip


async def test_r_fhir_057_what_is_hidden_is_neither_counted_nor_in_the_way() -> None:
    at = await clinic(hidden=("Patient/id1", "Patient/id3"))

    found = await page(at, sort="family", count="2")

    assert families(found) == ["adler", "\u00c4rmel"]
    assert found.total == 6


async def test_r_fhir_060_an_order_has_a_bound_and_is_never_wrong() -> None:
    at = await clinic(limits=Limits(candidates=7))

    with pytest.raises(TooCostlyError):
        await page(at, sort="family")
    with pytest.raises(TooCostlyError):
        await page(at, sort="_id", family="ad,ar,be,co,do")
    assert len((await page(at, sort="family", name="berg,cole")).matches) == 5
    assert len((await page(at, sort="_id")).matches) == 8, "the database has this order"


async def test_a_total_may_be_left_out() -> None:
    at = await clinic()

    assert (await page(at, total="none")).total is None
    assert (await page(at, sort="family", total="none")).total is None
    assert (await page(at, sort="_id", count="1", total="accurate")).total == 8
