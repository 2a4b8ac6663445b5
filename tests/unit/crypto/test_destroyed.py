import dataclasses
from datetime import timedelta

import pytest

from fhir_server.crypto.destroyed import DestroyedKey, Tally, appended, tally_of
from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.keys import KeyId
from tests.unit.crypto.keys_at_hand import NOW

IDS = [KeyId(bytes([number]) * 16) for number in range(4)]
ENTRIES = list(appended(Tally(), IDS, "erasure", NOW))


def test_the_list_can_be_checked_from_the_start_or_from_any_tally() -> None:
    assert tally_of(ENTRIES) == ENTRIES[-1].tally
    assert tally_of(ENTRIES[2:], ENTRIES[1].tally) == ENTRIES[-1].tally
    assert tally_of([]) == Tally()


@pytest.mark.parametrize(
    "entries",
    [
        ENTRIES[1:],
        [ENTRIES[0], ENTRIES[2], ENTRIES[1], ENTRIES[3]],
        [ENTRIES[0], *ENTRIES],
        [dataclasses.replace(ENTRIES[0], key_id=IDS[1]), *ENTRIES[1:]],
        [dataclasses.replace(ENTRIES[0], reason="none"), *ENTRIES[1:]],
        [dataclasses.replace(ENTRIES[0], instant=NOW + timedelta(seconds=1)), *ENTRIES[1:]],
        [dataclasses.replace(ENTRIES[0], number=7), *ENTRIES[1:]],
        [dataclasses.replace(ENTRIES[0], sha256=bytes(32)), *ENTRIES[1:]],
    ],
    ids=["without the first", "moved", "doubled", "key", "reason", "instant", "number", "hash"],
)
def test_any_change_of_the_list_is_found(entries: list[DestroyedKey]) -> None:
    with pytest.raises(CryptoError):
        tally_of(entries)


def test_a_list_cut_at_its_end_has_another_tally() -> None:
    assert tally_of(ENTRIES[:-1]) != tally_of(ENTRIES)
