"""Whatever matches has at least one keyword of every group: a token is a necessary condition, for every kind."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.plan import plan
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.types.escapes import escape
from fhir_server.search.types.folding import fold
from fhir_server.search.types.units import UCUM, UNITS
from tests.unit.search.asking import BASE, candidate, indexed, observation, patient

ZONES = st.sampled_from([None, *map(ZoneInfo, ("Australia/Sydney", "America/Havana", "Pacific/Apia", "Europe/Paris"))])
PREFIXES = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
WORDS = st.text(alphabet="abcdeéßøİ\N{LATIN SMALL LETTER DOTLESS I}Ł' -", min_size=1, max_size=9)
CODES = st.sampled_from(["a", "A", "b", "urn:x", "1-2", "+331"])
SYSTEMS = st.sampled_from(["", "urn:s", "urn:t"])
IDS = st.sampled_from(["7", "8", "a.b"])
INSIDE = Registry(
    inside=frozenset({"Patient.name", "Patient.address", "Observation.code", "Observation.component-code"}), number=2
)
often = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def moments(draw: st.DrawFn) -> str:
    """A date of any precision around the same few days, months, years, so that bounds often meet."""
    day = draw(
        st.sampled_from([date(2019, 12, 31), date(2020, 1, 1), date(2020, 2, 29), date(1899, 12, 31), date(2100, 1, 1)])
    )
    day += timedelta(days=draw(st.integers(-2, 2)))
    length = draw(st.sampled_from([4, 7, 10, 16, 20, 25]))
    if length <= 10:
        return day.isoformat()[:length]
    zone = timezone(timedelta(hours=draw(st.integers(-12, 14))))
    moment = datetime(day.year, day.month, day.day, draw(st.sampled_from([0, 12, 23])), 59, 59, tzinfo=zone)
    return moment.strftime("%Y-%m-%dT%H:%M") if length == 16 else moment.isoformat()


@st.composite
def periods(draw: st.DrawFn) -> Json:
    names = draw(st.sampled_from([("start",), ("end",), ("start", "end")]))
    return dict(zip(names, sorted(draw(moments()) for _ in names), strict=True))


def check(
    resource: Json, pairs: Sequence[tuple[str, str]], zone: tzinfo | None = None, registry: Registry = STANDARD
) -> None:
    query = parse(resource["resourceType"], pairs, Language(BASE, zone, registry=registry))

    assert indexed(query, resource) or not matches(query, candidate(resource))


@often
@given(moments(), st.lists(st.tuples(PREFIXES, moments()), min_size=1, max_size=3), ZONES)
def test_dates(stored: str, asked: list[tuple[str, str]], zone: tzinfo | None) -> None:
    pairs = [("date", prefix + moment) for prefix, moment in asked]

    check(observation(effectiveDateTime=stored), pairs, zone)
    check(observation(effectiveDateTime=stored), [("date", ",".join(value for _, value in pairs))], zone)
    check(patient(birthDate=stored[:10]), [("birthdate", value) for _, value in pairs], zone)


@often
@given(periods(), st.lists(st.tuples(PREFIXES, moments()), min_size=1, max_size=3), ZONES)
def test_periods(stored: Json, asked: list[tuple[str, str]], zone: tzinfo | None) -> None:
    check(observation(effectivePeriod=stored), [("date", prefix + moment) for prefix, moment in asked], zone)


@often
@given(st.lists(periods(), max_size=3), st.lists(st.tuples(PREFIXES, moments()), min_size=1, max_size=3))
def test_several_periods(stored: list[Json], asked: list[tuple[str, str]]) -> None:
    plan = {"resourceType": "CarePlan", "activity": [{"detail": {"scheduledPeriod": each}} for each in stored]}

    check(plan, [("activity-date", prefix + moment) for prefix, moment in asked])


@often
@given(
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=2),
    WORDS,
    st.sampled_from(["name", "family", "given", "phonetic", "name:exact", "family:exact", "name:contains"]),
    st.integers(1, 9),
)
def test_names(stored: list[tuple[str, str]], other: str, parameter: str, length: int) -> None:
    resource = patient(name=[{"family": family, "given": [given_name]} for family, given_name in stored])

    for text in (other, stored[0][0], stored[0][0][:length], stored[-1][1].upper()):
        if text.strip():
            check(resource, [(parameter, escape(text))])


@often
@given(st.lists(WORDS, min_size=1, max_size=3), WORDS, st.integers(0, 6), st.integers(1, 9))
def test_parts_of_texts_where_any_part_is_looked_up(stored: list[str], other: str, begin: int, length: int) -> None:
    named = patient(name=[{"family": each} for each in stored], address=[{"city": each} for each in stored])
    coded = observation(code={"text": stored[0], "coding": [{"code": "a", "display": each} for each in stored]})

    for text in (other, stored[0][begin : begin + length], stored[-1]):
        if fold(text).strip(" -'"):
            for parameter in ("name:contains", "phonetic:contains", "address-city:contains", "name", "name:exact"):
                check(named, [(parameter, escape(text))], registry=INSIDE)
            for parameter in ("code:text", "combo-code:text"):
                check(coded, [(parameter, escape(text))], registry=INSIDE)


def test_parts_are_looked_up_by_groups_of_their_own() -> None:
    """And the check above would find out if one of them were not stored."""
    [first, *_] = plan(parse("Patient", [("name:contains", "halme")], Language(BASE, registry=INSIDE)))
    texts = plan(parse("Observation", [("code:text", "skin type")], Language(BASE, registry=INSIDE)))

    assert first.any_of == (("Patient.name", "~hal"),)
    assert {keyword for group in texts for _, keyword in group.any_of} == {"~ski", "~typ"}
    assert plan(parse("Patient", [("name:contains", "ha")], Language(BASE, registry=INSIDE)))[0].any_of == (
        ("Patient._type", ""),
    )


def test_what_all_rules_have_in_common_is_all_that_is_looked_up_while_rows_are_of_several() -> None:
    mixed = Registry(whole=False)
    pairs = [("family", "chal"), ("birthdate", "ge1980"), ("birthdate", "lt1990"), ("identifier", "urn:x|1")]

    groups = plan(parse("Patient", pairs, Language(BASE, registry=mixed)))

    assert [group.any_of for group in groups] == [(("Patient._type", ""),)]


@often
@given(st.lists(st.tuples(SYSTEMS, CODES), max_size=3), st.sampled_from(["", ":not"]), SYSTEMS, CODES)
def test_tokens(stored: list[tuple[str, str]], modifier: str, system: str, code: str) -> None:
    codings = [{"system": each, "code": value} if each else {"code": value} for each, value in stored]
    identifiers = [{"system": each, "value": value} if each else {"value": value} for each, value in stored]
    kind = {"coding": [{"system": system, "code": code}]}
    typed = {"resourceType": "Observation", "id": "o", "identifier": [{**each, "type": kind} for each in identifiers]}
    check(typed, [("identifier:of-type", f"{system or 'urn:s'}|{code}|{value}") for _, value in stored])
    forms = [code, f"{system}|{code}", *([f"{system}|"] if system else []), f"{code},{system}|{code}"]
    resource = observation(code={"coding": codings}, identifier=identifiers, status=stored[0][1] if stored else "final")

    for form in forms:
        for parameter in ("code", "combo-code", "identifier", "status"):
            check(resource, [(parameter + modifier, form)])


@often
@given(
    st.sampled_from(["", f"{BASE}/", "https://elsewhere.example/"]),
    st.sampled_from(["Patient", "Group"]),
    IDS,
    st.sampled_from(["", f"{BASE}/", "https://elsewhere.example/"]),
    IDS,
)
def test_references(base: str, type_name: str, id: str, asked_base: str, asked_id: str) -> None:
    resource = observation(
        subject={"reference": f"{base}{type_name}/{id}", "identifier": {"system": "urn:s", "value": id}}
    )

    for parameter in ("subject", "patient"):
        check(resource, [(parameter, asked_id)])
        check(resource, [(parameter, f"{asked_base}Patient/{asked_id}")])
        check(resource, [(f"{parameter}:identifier", f"urn:s|{asked_id}"), (parameter, f"{asked_id},{id}")])
    check(resource, [("subject:Group", asked_id)])


NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(Decimal),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-200, max_value=200),
    st.sampled_from([Decimal(text) for text in ("0", "1e-30", "-1e-30", "1e30", "99.5", "100.5", "0.001")]),
)


def as_asked(number: Decimal) -> str:
    return f"{number:.9f}" if abs(number) < 10**9 else f"{number:.9E}"


@often
@given(NUMBERS, st.sampled_from(["", "<", ">"]), st.lists(st.tuples(PREFIXES, NUMBERS), min_size=1, max_size=3))
def test_quantities(stored: Decimal, comparator: str, asked: list[tuple[str, Decimal]]) -> None:
    quantity: dict[str, Any] = {"value": stored, "code": "kg"} | ({"comparator": comparator} if comparator else {})
    resource = observation(
        code={"coding": [{"code": "a"}]},
        valueQuantity=quantity,
        component=[{"code": {"coding": [{"code": "b"}]}, "valueQuantity": quantity}],
    )
    pairs = [("value-quantity", prefix + as_asked(number)) for prefix, number in asked]

    check(resource, pairs)
    check(resource, [("combo-value-quantity", ",".join(f"{value}||kg" for _, value in pairs))])
    check(resource, [("combo-code-value-quantity", f"b${value}") for _, value in pairs])


@often
@given(NUMBERS, NUMBERS, PREFIXES, NUMBERS)
def test_ranges(low: Decimal, high: Decimal, prefix: str, asked: Decimal) -> None:
    bounds = {"low": {"value": min(low, high)}, "high": {"value": max(low, high)}}

    for present in (bounds, {"low": bounds["low"]}, {"high": bounds["high"]}):
        check({"resourceType": "Condition", "onsetRange": present}, [("onset-age", prefix + as_asked(asked))])


PLACES = st.lists(st.sampled_from(["a", "bc", "", "d"]), max_size=11).map("/".join)


@often
@given(
    st.sampled_from(["http://x/", "http://x", "urn:x/", "x:"]), PLACES, st.sampled_from(["http://x/", "urn:x/"]), PLACES
)
def test_uris(base: str, stored: str, asked_base: str, asked: str) -> None:
    resource = {"resourceType": "ValueSet", "id": "v", "url": base + stored, "meta": {"profile": [base + stored]}}

    for parameter in ("url", "_profile"):
        for modifier in ("", ":above", ":below"):
            check(resource, [(parameter + modifier, asked_base + asked)])
            check(resource, [(parameter + modifier, (base + stored)[: len(asked_base + asked)])])


MASSES = st.sampled_from(["kg", "g", "mg", "[lb_av]", "[oz_av]", "ug"])
WARMTHS = st.sampled_from(["Cel", "K", "[degF]"])


@often
@given(NUMBERS, st.one_of(st.tuples(MASSES, MASSES), st.tuples(WARMTHS, WARMTHS)), PREFIXES, NUMBERS)
def test_units(stored: Decimal, units: tuple[str, str], prefix: str, asked: Decimal) -> None:
    written, wanted = units
    resource = observation(valueQuantity={"value": stored, "system": UCUM, "code": written})
    near = UNITS[wanted].own(UNITS[written].normal(stored))

    for number in (asked, Decimal(near.numerator) / Decimal(near.denominator)):
        check(resource, [("value-quantity", f"{prefix}{as_asked(number)}|{UCUM}|{wanted}")])
