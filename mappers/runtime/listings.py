"""The lists that are asked for: where each begins, goes on, and what its objects are."""

from collections.abc import Iterator

from mappers.booking.cliniko import polling as cliniko
from mappers.booking.pabau import webhooks as pabau
from mappers.mapping.instants import with_offset
from mappers.mapping.json_text import Json
from mappers.runtime.polling import Listing


def cliniko_listing(key: str, listed: str) -> Listing:
    def first(cursor: str) -> str:
        return cliniko.page(key, listed, cursor)

    def following(page: Json, number: int, cursor: str) -> str | None:
        return cliniko.next_page(page, key)

    def objects(page: Json) -> Iterator[Json]:
        return cliniko.objects(page, listed)

    def changed(one: Json) -> str | None:
        found = one.get("updated_at")
        return found if isinstance(found, str) else None

    return Listing(listed, first, following, objects, changed)


def pabau_listing(key: str, listed: str) -> Listing:
    def page(cursor: str, number: int) -> str:
        return pabau.page(key, listed, with_offset(cursor, "cursor"), number)

    def following(answer: Json, number: int, cursor: str) -> str | None:
        """A page that is not full is the last one."""
        full = len(list(pabau.objects(answer, listed))) >= pabau.MOST_PER_PAGE
        return page(cursor, number + 1) if full else None

    def objects(answer: Json) -> Iterator[Json]:
        return pabau.objects(answer, listed)

    return Listing(listed, lambda cursor: page(cursor, 1), following, objects)
