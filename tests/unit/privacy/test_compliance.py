"""Each duty of the compliance report, from facts: green, amber or red, and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.accountability import require_region
from fhir_server.app import build_app
from fhir_server.privacy.authorities import authority
from fhir_server.privacy.breaches.record import Breach
from fhir_server.privacy.premises import Measure
from fhir_server.privacy.register.compliance import Drill, Facts, by_section, duties, worst
from fhir_server.privacy.register.entries import Entry
from fhir_server.settings import Settings
from fhir_server.variables import SettingsError

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NOTHING = Facts(NOW, (), "", (), (), None, "operator-attested", (), 0, (), authority("fr"))


def entry(kind: str, **values: str | bool) -> Entry:
    said: Mapping[str, tuple[str | bool, ...]] = {name.replace("_", "-"): (value,) for name, value in values.items()}
    return Entry(kind, kind, said)


def state(name: str, **facts: Any) -> str:
    return told(name, **facts)[0]


def told(name: str, **facts: Any) -> tuple[str, str]:
    [found] = [duty for duty in duties(replace(NOTHING, **facts)) if duty.name == name]
    return found.state, found.evidence


def test_s_6_the_register_is_red_until_each_activity_was_confirmed() -> None:
    own = entry("processing-activity")
    shipped = replace(own, confirmed=False)

    assert state("register", entries=[shipped, own]) == "red"
    assert state("register", entries=[own]) == "green"


def test_s_45_without_a_contact_it_is_red() -> None:
    assert state("contact") == "red"
    assert told("contact", contact="Desk") == ("green", "Desk")


def test_s_44_whether_an_officer_is_needed_is_judged_and_not_counted() -> None:
    assert "hint" in told("officer", patients=5_000)[1]
    assert state("officer", patients=10) == "amber"
    assert state("officer", entries=[entry("officer", needed=False, reasons="Small")], patients=9_000) == "green"
    assert state("officer", entries=[entry("officer", needed=True, reasons="Large")]) == "red"
    assert state("officer", entries=[entry("officer", needed=True, reasons="Large", contact="Dr O")]) == "green"


@pytest.mark.parametrize(("reviewed", "expected"), [("2025-11-23", "green"), ("2025-11", "amber"), ("2024", "amber")])
def test_s_46_an_assessment_is_reviewed_within_a_year(reviewed: str, expected: str) -> None:
    assert state("impact-assessment") == "red"
    assert state("impact-assessment", entries=[entry("dpia", activity="a", reviewed=reviewed)]) == expected


def test_s_47_an_assessed_activity_has_a_risk() -> None:
    dpia, risk = entry("dpia", activity="a", reviewed="2026"), entry("risk", activity="b")

    assert told("risks", entries=[dpia]) == ("amber", "Without a risk: a.")
    assert told("risks", entries=[dpia, risk]) == ("amber", "Without a risk: a.")


def test_s_48_a_risk_has_mitigation_owner_and_status() -> None:
    whole = {"mitigation": "m", "owner": "o", "status": "open"}

    assert state("risks", entries=[entry("risk", activity="a", **whole)]) == "green"
    for name in whole:
        bare = {each: value for each, value in whole.items() if each != name}
        assert state("risks", entries=[entry("risk", activity="a", **bare)]) == "amber"


def test_s_66_a_breach_is_amber_while_it_runs_and_red_past_its_hours() -> None:
    def at(hours: int, **inputs: tuple[str, ...]) -> list[tuple[str, Breach]]:
        aware = (NOW - timedelta(hours=hours)).isoformat()
        return [("Task/b", Breach({"aware": (aware,), **inputs}, closed=False))]

    assert state("breaches") == "green"
    assert state("breaches", breaches=at(71)) == "amber"
    assert state("breaches", breaches=at(73)) == "red"
    assert state("breaches", breaches=at(73, notified=(NOW.isoformat(),))) == "green"
    assert state("breaches", breaches=at(73, **{"not-notified-because": ("sealed",)})) == "amber"


def test_a_request_past_its_day_is_red() -> None:
    assert told("requests", overdue=["Task/r"]) == ("red", "Past their day: Task/r.")
    assert state("requests") == "green"


def test_s_63_t_52_a_backup_that_was_never_tried_out_is_red() -> None:
    assert state("backups") == "red"
    assert state("backups", drill=Drill(NOW, same=False, says="different")) == "red"
    assert state("backups", drill=Drill(NOW - timedelta(days=32), same=True, says="same")) == "amber"
    assert state("backups", drill=Drill(NOW - timedelta(days=30), same=True, says="same")) == "green"


def test_the_log_is_as_good_as_who_vouches_for_it() -> None:
    assert state("log") == "amber"
    assert state("log", assurance="witnessed") == "green"
    assert state("log", assurance="contradicted") == "red"


def test_s_34_a_measure_that_does_not_hold_is_amber() -> None:
    measures = [Measure("tls", "Plain.", holds=False), Measure("log", "Whole.")]

    assert told("security", measures=measures) == ("amber", "Plain.")
    assert state("security", measures=measures[1:]) == "green"


def test_t_74_who_ties_oneself_to_a_patient_is_a_duty_of_its_own() -> None:
    kept, lifted = (
        Measure("treating-ties", "By others.", holds=True),
        Measure("treating-ties", "By oneself.", holds=False),
    )

    assert state("treating-ties") == "amber", "what is not known is not green"
    assert told("treating-ties", measures=[kept]) == ("green", "By others.")
    assert told("treating-ties", measures=[lifted]) == ("amber", "By oneself.")
    assert told("security", measures=[lifted, Measure("log", "Whole.")]) == ("green", "1 as they should be.")


def test_a_medical_file_without_a_period_is_amber() -> None:
    assert state("retention") == "amber"
    assert told("retention", retention=["r: 20 years"]) == ("green", "r: 20 years")


def test_s_65_t_77_t_78_staff_are_trained_in_photographs_and_acknowledge_it() -> None:
    def trained(topic: str, done: str, expires: str, *, acknowledged: bool = True) -> Entry:
        known = {"person": "Practitioner/p", "topic": topic, "done": done, "expires": expires}
        return entry("training", acknowledged=acknowledged, **known)

    assert state("training") == "amber"
    assert state("training", entries=[trained("fire", "2026-01-01", "2030-01-01")]) == "amber"
    old, new = (
        trained("photo-handling", "2020-01-01", "2021-01-01"),
        trained("photo-handling", "2026-01-01", "2027-01-01"),
    )
    assert told("training", entries=[old]) == ("amber", "Ran out: Practitioner/p.")
    assert state("training", entries=[new, old]) == "green"
    unsigned = trained("photo-handling", "2026-01-01", "2027-01-01", acknowledged=False)
    assert "acknowledge" in told("training", entries=[unsigned])[1]


def test_s_90_s_91_in_france_the_host_is_certified_and_elsewhere_as_its_law_says() -> None:
    valid, over = entry("hosting", certificate="HDS", expires="2026-11-22"), entry("hosting", expires="2026-11-21")

    assert state("hosting") == "red"
    assert state("hosting", entries=[over]) == "red"
    assert state("hosting", entries=[over, valid]) == "green"
    assert state("hosting", authority=authority("gb")) == "green"
    assert state("hosting", authority=authority("gb"), entries=[over]) == "amber"
    assert "Data Security" in told("hosting", authority=authority("gb"))[1]


def test_s_99_s_100_a_supplier_under_foreign_law_is_told() -> None:
    def supplier(*, exposed: bool, **more: str) -> Entry:
        said: dict[str, str | bool] = {"title": "Cloud", "country": "FR", "non_eea_control": exposed, **more}
        return entry("supplier", **said)

    assert state("suppliers") == "amber"
    assert told("suppliers", entries=[supplier(exposed=True)])[0] == "red"
    assert state("suppliers", entries=[supplier(exposed=True, safeguard="Clauses")]) == "amber"
    assert state("suppliers", entries=[supplier(exposed=False)]) == "green"


def test_s_97_s_100_s_102_suppliers_elsewhere_are_red_and_by_policy_those_under_control_from_elsewhere() -> None:
    def supplier(*, exposed: bool, **more: str) -> Entry:
        said: dict[str, str | bool] = {"title": "Cloud", "country": "FR", "non_eea_control": exposed, **more}
        return entry("supplier", **said)

    guarded = [supplier(exposed=True, safeguard="Clauses")]
    assert state("suppliers", entries=guarded) == "amber"
    assert state("suppliers", entries=guarded, eu_provider_required=True) == "red"
    assert state("suppliers", entries=[supplier(exposed=False)], eu_provider_required=True) == "green"
    away, safe = supplier(exposed=False, country="US"), supplier(exposed=False, country="US", safeguard="Clauses")
    assert told("suppliers", entries=[away])[1].startswith("Outside of where")
    assert (state("suppliers", entries=[away]), state("suppliers", entries=[safe])) == ("red", "green")


def test_t_107_t_108_reviews_of_both_kinds_are_regular() -> None:
    def review(topic: str, next: str) -> Entry:
        return entry("review", topic=topic, done="2026-01-01", next=next)

    for duty, topic in (("review", "data-protection"), ("insurance-review", "insurance")):
        assert state(duty) == "amber"
        assert state(duty, entries=[review(topic, "2026-11-21")]) == "amber"
        assert state(duty, entries=[review(topic, "2027-01-01")]) == "green"
        assert state(duty, entries=[review("other", "2027-01-01")]) == "amber"


def test_t_108_the_report_has_a_section_on_data_protection_and_one_on_insurance() -> None:
    found = duties(NOTHING)

    sections = {section: [duty.name for duty in some] for section, some in by_section(found)}

    assert sections["insurance"] == ["backups", "insurance-review"]
    assert "register" in sections["data-protection"]
    assert worst(found) == "red"
    assert worst([duty for duty in found if duty.state != "red"]) == "amber"
    assert worst([duty for duty in found if duty.state == "green"]) == "green"


@pytest.mark.parametrize(("jurisdiction", "fine"), [("fr", 20_000_000), ("eu", 20_000_000), ("gb", 17_500_000)])
def test_s_1_t_34_the_largest_fine_is_a_constant_of_the_jurisdiction(jurisdiction: str, fine: int) -> None:
    found = authority(jurisdiction)

    assert (found.fine, str(found.fine_share)) == (fine, "0.04")


@pytest.mark.parametrize(("jurisdiction", "region"), [("fr", "US"), ("eu", "GB"), ("fr", "GB"), ("gb", "CH")])
def test_s_98_no_server_starts_where_its_data_may_not_be(jurisdiction: str, region: str) -> None:
    with pytest.raises(SettingsError, match="FHIR_SERVER_REGION must be one of"):
        build_app(Settings(jurisdiction=jurisdiction, region=region))


@pytest.mark.parametrize(
    ("jurisdiction", "region"), [("fr", "FR"), ("fr", "NO"), ("gb", "GB"), ("gb", "IE"), ("eu", "")]
)
def test_s_98_a_region_that_is_allowed_or_not_declared_is_taken(jurisdiction: str, region: str) -> None:
    require_region(Settings(jurisdiction=jurisdiction, region=region))
