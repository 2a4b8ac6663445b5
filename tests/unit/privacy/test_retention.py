"""The packs do what their own vectors say, and a rule that is misspelt is refused."""

from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from fhir_server.crypto.keys import KeyClass
from fhir_server.privacy.erasable import Entry, Erase, Keep, verdicts
from fhir_server.privacy.retention import CLASSES, Age, Pack, pack
from fhir_server.privacy.retention import _rule as rule
from fhir_server.search.types.moment import stretch

PACKS = ("be", "de", "es", "eu", "fr", "gb", "it", "nl")


def born(told: str | None) -> date | None:
    if told is None:
        return None
    found = stretch(told)
    assert found
    return date.fromordinal(date(1970, 1, 1).toordinal() + (found.high - 1) // 86_400_000_000)


VECTORS = [(name, vector) for name in PACKS for vector in pack(name).vectors]


@pytest.mark.parametrize(("name", "vector"), VECTORS, ids=[f"{name}: {vector['says']}" for name, vector in VECTORS])
def test_b_8_s_82_s_83_a_pack_decides_as_its_vectors_say(name: str, vector: dict[str, Any]) -> None:
    record = KeyClass(vector["record"])
    entry = Entry(record, vector.get("type", "Procedure"), vector["last"], frozenset(vector.get("tags", ())))

    [verdict] = verdicts([entry], pack(name), (), vector["at"], born(vector.get("born")))

    assert isinstance(verdict, Erase) is vector["erase"]
    assert verdict.because == vector.get("rule", "no-rule")
    if isinstance(verdict, Keep):
        assert verdict.until == vector.get("until")


def test_every_rule_names_its_source_and_is_tried_by_a_vector() -> None:
    for name in PACKS:
        tried = {vector.get("rule") for vector in pack(name).vectors}
        assert all(each.source for each in pack(name).rules)
        assert {each.id for each in pack(name).rules} - tried <= {"fr-devices"}, name


def test_every_country_speaks_of_every_class_of_a_patient_and_none_claims_to_be_verified() -> None:
    for name in PACKS:
        assert not any(each.verified for each in pack(name).rules)
    for name in set(PACKS) - {"eu"}:
        assert {each.record for each in pack(name).rules} == set(CLASSES)


def test_t_26_every_file_of_packs_is_one_that_the_setting_knows() -> None:
    there = {file.name for file in files("fhir_server.privacy").joinpath("packs").iterdir()}

    assert {name for name in there if name.endswith(".toml")} == {f"{name}.toml" for name in PACKS}


def test_a_misspelt_member_is_refused() -> None:
    with pytest.raises(ValueError, match="year"):
        rule({"id": "x", "record": "record", "source": "y", "year": 20})


def test_a_listed_device_is_traced_for_ten_years_of_its_own() -> None:
    [found] = [each for each in pack("fr").rules if each.id == "fr-devices"]

    assert found.years == 10
    assert found.types == {"Device", "DeviceUseStatement"}
    assert [each.ages for each in pack("gb").rules if each.id == "gb-health-record"] == [(Age(17, 25), Age(18, 26))]


def test_a_longest_time_limits_every_least_one() -> None:
    long = rule({"id": "long", "record": "record", "source": "y", "years": 60})
    limit = rule({"id": "limit", "record": "record", "source": "y", "years": 30, "most": 50})
    entry = Entry(KeyClass.RECORD, "Procedure", date(1980, 6, 1))

    [kept] = verdicts([entry], Pack("x", (long, limit)), (), date(2030, 5, 31), None)
    [over] = verdicts([entry], Pack("x", (long, limit)), (), date(2030, 6, 1), None)
    [held] = verdicts([entry], Pack("x", (long, limit)), ("Task/hold",), date(2099, 1, 1), None)

    assert kept == Keep(KeyClass.RECORD, "limit", date(2030, 6, 1))
    assert over == Erase(KeyClass.RECORD, "limit")
    assert held == Keep(KeyClass.RECORD, "Task/hold")
