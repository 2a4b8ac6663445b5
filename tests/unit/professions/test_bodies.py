"""Professional bodies as files: what each says of itself, and which files stop the server."""

import re
from pathlib import Path

import pytest

from fhir_server.accountability import practised
from fhir_server.consent.law import packs
from fhir_server.professions.body import AGE, ALWAYS, EXAMINED, NUMBER, BodyError, bodies, read_body
from fhir_server.settings import Settings
from fhir_server.variables import SettingsError

WHOLE = """
code = "OWN"
name = "A body of its own"
jurisdiction = "XX"
verify_locally = true
[number]
systems = ["urn:own"]
form = "[0-9]+"
says = "digits"
shared = false
[[source]]
id = "act"
title = "The act"
since = 2020-01-01
[[rule]]
id = "own-registered"
source = "act"
clause = "1"
kind = "registered"
broken = "error"
text = "On the register."
"""
SHIPPED = sorted(bodies())


@pytest.mark.parametrize("code", SHIPPED)
def test_each_rule_names_its_document_its_clause_and_how_it_is_seen(code: str) -> None:
    body = bodies()[code]

    assert body.rules
    for rule in body.rules:
        assert rule.source.title
        assert rule.clause
        assert rule.text.endswith(".")
        assert rule.cited == f"{rule.source.title}, {rule.clause}"
        assert rule.id.startswith(code.lower())
        assert (rule.kind == ALWAYS) == bool(rule.by)


@pytest.mark.parametrize(
    ("code", "right", "wrong"),
    [
        ("GMC", ("1234567", "C1234567"), ("123456", "D1234567", "C1234567 ", "", "1" * 40)),
        ("GDC", ("123", "123456"), ("12", "1234567", "12345a")),
        ("NMC", ("12A3456E", "12a3456e"), ("12A34567", "A12A3456E", "12A3456")),
        ("CNOM", ("10000001916", "810000001916"), ("1000000191", "910000001916", "1000000191X")),
    ],
)
def test_a_number_of_a_body_has_its_form(code: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    body = bodies()[code]

    assert all(body.is_formed(one) for one in right)
    assert not any(body.is_formed(one) for one in wrong)


def test_digits_are_those_of_ascii() -> None:
    assert not bodies()["GMC"].is_formed("\u0661234567")


def test_the_age_is_that_of_the_jurisdictions_pack_and_stands_nowhere_else() -> None:
    [rule] = bodies()["GMC"].of_kind(AGE)

    assert rule.ban in packs()["gb"].bans


def test_only_what_the_bodies_of_the_united_kingdom_said_of_prescribing_is_asked() -> None:
    assert {code for code, body in bodies().items() if body.of_kind(EXAMINED)} == {"GMC", "GDC", "NMC"}
    assert {code for code, body in bodies().items() if body.of_kind(NUMBER)} == {"GMC", "GDC", "NMC"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("verify_locally = true", "verify_locally = false", "verify_locally"),
        ("verify_locally = true", "", "verify_locally"),
        ('kind = "registered"', 'kind = "honest"', "is not one of"),
        ('kind = "registered"', 'kind = "registered"\npurpose = "x"', "is not one of"),
        ('broken = "error"', 'broken = "refused"', "error or warning"),
        ('source = "act"', 'source = "rumour"', "has no source"),
        ('kind = "registered"', 'kind = "always"\nby = "magic"', "known here"),
        ('kind = "registered"', 'kind = "consent"\npurpose = "treatment"\ncollected_by = "robot"', "known here"),
        ('kind = "registered"', 'kind = "age"\nban = "gb:dancing"', "no jurisdiction"),
        ('kind = "registered"', 'kind = "age"\nban = "xx:cosmetic-injectables"', "no jurisdiction"),
        ("since = 2020-01-01", 'since = "long ago"', "since when"),
        ("since = 2020-01-01", "since = 2020-01-01T00:00:00", "since when"),
        ('form = "[0-9]+"', 'form = "[0-9"', "OWN"),
        ('systems = ["urn:own"]', "systems = 7", "OWN"),
        ('code = "OWN"', "code =", "OWN"),
        ("[[rule]]", "[rule]", "OWN"),
    ],
)
def test_a_file_that_is_no_body_stops_the_server_and_says_why(tmp_path: Path, old: str, new: str, why: str) -> None:
    broken = tmp_path / "OWN.toml"
    broken.write_text(WHOLE.replace(old, new))

    with pytest.raises(SettingsError, match=re.escape(why)) as refused:
        practised(Settings(professional_bodies=tmp_path))

    assert "PROFESSIONAL_BODIES: OWN.toml is no professional body" in str(refused.value)


def test_two_rules_do_not_have_one_id() -> None:
    with pytest.raises(BodyError, match="one id"):
        read_body(WHOLE + WHOLE[WHOLE.index("[[rule]]") :])


def test_a_clinic_adds_a_body_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(WHOLE)
    (tmp_path / "readme.txt").write_text("no body")

    found = practised(Settings(professional_bodies=tmp_path))

    assert sorted(found) == sorted([*SHIPPED, "OWN"])
