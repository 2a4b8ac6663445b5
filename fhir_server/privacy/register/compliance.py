"""Each duty of the clinic as it stands now: green, amber or red, with its evidence. Pure.

Rows S6, S44 to S48, S63, S65, S66, S90, S99, S100, T77, T78, T107, T108. Nothing here hinders care.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fhir_server.privacy.authorities import Authority
from fhir_server.privacy.breaches.record import Breach
from fhir_server.privacy.premises import TREATING_TIES, Measure
from fhir_server.privacy.register.entries import (
    ACTIVITY,
    DPIA,
    HOSTING,
    OFFICER,
    REVIEW,
    RISK,
    SUPPLIER,
    TRAINING,
    Entry,
)

GREEN, AMBER, RED = "green", "amber", "red"
DATA_PROTECTION, INSURANCE, PROFESSIONS = "data-protection", "insurance", "professions"
_YEAR = timedelta(days=365)
_LARGE = 5_000
"""Patients from which a hint says that care may be on a large scale; no law has the number (GDPR recital 91)."""


@dataclass(frozen=True, slots=True)
class Drill:
    """The newest: when it was, and whether it found no difference."""

    on: datetime
    same: bool
    says: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the report rests on. `overdue`: references of rights requests that are past their day."""

    now: datetime
    entries: Sequence[Entry]
    contact: str
    breaches: Sequence[tuple[str, Breach]]
    overdue: Sequence[str]
    drill: Drill | None
    assurance: str
    measures: Sequence[Measure]
    patients: int
    retention: Sequence[str]
    authority: Authority
    eu_provider_required: bool = False

    def of(self, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == kind]


@dataclass(frozen=True, slots=True)
class Duty:
    """`section`: data protection, insurance or professions. `basis`: the law. `evidence`: what it was seen by."""

    name: str
    section: str
    basis: str
    state: str
    evidence: str


def duties(facts: Facts) -> tuple[Duty, ...]:
    found = []
    for name, section, basis, judge in _DUTIES:
        state, evidence = judge(facts)
        found.append(Duty(name, section, basis, state, evidence))
    return tuple(found)


def worst(found: Sequence[Duty]) -> str:
    states = {duty.state for duty in found}
    return RED if RED in states else AMBER if AMBER in states else GREEN


def _register(facts: Facts) -> tuple[str, str]:
    waiting = [entry.id for entry in facts.of(ACTIVITY) if not entry.confirmed]
    if waiting:
        return RED, f"Not confirmed by the clinic yet: {', '.join(waiting)}."
    return GREEN, f"{len(facts.of(ACTIVITY))} activities."


def _contact(facts: Facts) -> tuple[str, str]:
    return (GREEN, facts.contact) if facts.contact else (RED, "No Organization has a contact for privacy.")


def _officer(facts: Facts) -> tuple[str, str]:
    judged = facts.of(OFFICER)
    if judged:
        needed = judged[0].says("needed")
        if needed and not judged[0].one("contact"):
            return RED, "Judged to be needed, and nobody is named."
        return GREEN, f"Judged {'to be needed' if needed else 'not to be needed'}: {judged[0].one('reasons')}"
    hint = "that many are a hint that one is" if facts.patients >= _LARGE else "the number alone does not decide"
    return AMBER, f"Nobody has judged whether one is needed; {facts.patients} patients: {hint}."


def _dpia(facts: Facts) -> tuple[str, str]:
    found = facts.of(DPIA)
    if not found:
        return RED, "There is none."
    old = [entry.id for entry in found if day_of(entry, "reviewed") < facts.now.date() - _YEAR]
    return (AMBER, f"Reviewed more than a year ago: {', '.join(old)}.") if old else (GREEN, f"{len(found)}, reviewed.")


def _risks(facts: Facts) -> tuple[str, str]:
    found = facts.of(RISK)
    assessed = {activity for entry in facts.of(DPIA) for activity in entry.values["activity"]}
    bare = sorted(str(one) for one in assessed - {entry.one("activity") for entry in found})
    if not found or bare:
        return AMBER, f"Without a risk: {', '.join(bare) or 'every activity'}."
    open_ = [entry.id for entry in found if not all(entry.one(name) for name in ("mitigation", "owner", "status"))]
    if open_:
        return AMBER, f"Without mitigation, owner or status: {', '.join(open_)}."
    return GREEN, f"{len(found)}, each with mitigation, owner and status."


def _breaches(facts: Facts) -> tuple[str, str]:
    running = [(at, one) for at, one in facts.breaches if not one.closed and "notified" not in one.inputs]
    late = [at for at, one in running if one.is_late(facts.now)]
    if late:
        return RED, f"Past 72 hours and not notified: {', '.join(late)}."
    if running:
        return AMBER, f"Under way: {', '.join(f'{at} until {one.due.isoformat()}' for at, one in running)}."
    return GREEN, f"{len(facts.breaches)} on record, none open."


def _requests(facts: Facts) -> tuple[str, str]:
    return (RED, f"Past their day: {', '.join(facts.overdue)}.") if facts.overdue else (GREEN, "None is past its day.")


def _drills(facts: Facts) -> tuple[str, str]:
    if facts.drill is None:
        return RED, "No backup was ever tried out."
    if not facts.drill.same:
        return RED, facts.drill.says
    is_old = facts.now - facts.drill.on > timedelta(days=31)
    return (AMBER if is_old else GREEN), f"{facts.drill.on.isoformat(timespec='minutes')}: {facts.drill.says}"


def _log(facts: Facts) -> tuple[str, str]:
    states = {"witnessed": GREEN, "contradicted": RED}
    return states.get(facts.assurance, AMBER), f"The log is {facts.assurance}."


def _measures(facts: Facts) -> tuple[str, str]:
    judged = [measure for measure in facts.measures if measure.name != TREATING_TIES]
    lacking = [measure.says for measure in judged if not measure.holds]
    return (AMBER, " ".join(lacking)) if lacking else (GREEN, f"{len(judged)} as they should be.")


def _ties(facts: Facts) -> tuple[str, str]:
    """A duty of its own, not one measure among others: who ties oneself to a patient opens the record (T74, M11)."""
    told = [measure for measure in facts.measures if measure.name == TREATING_TIES]
    if not told:
        return AMBER, "Who may write a treating tie is not known."
    return (GREEN if all(one.holds for one in told) else AMBER), " ".join(one.says for one in told)


def _retention(facts: Facts) -> tuple[str, str]:
    if not facts.retention:
        return AMBER, "The jurisdiction says no period for the medical file: choose one."
    return GREEN, ", ".join(facts.retention)


def _training(facts: Facts) -> tuple[str, str]:
    found = facts.of(TRAINING)
    if not any(entry.one("topic") == "photo-handling" for entry in found):
        return AMBER, "Nobody is on record as trained in handling photographs."
    newest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(found, key=lambda one: day_of(one, "done")):
        newest[entry.one("person"), entry.one("topic")] = entry
    over = [entry.one("person") for entry in newest.values() if day_of(entry, "expires") < facts.now.date()]
    if over:
        return AMBER, f"Ran out: {', '.join(sorted(over))}."
    unsigned = sorted({entry.one("person") for entry in newest.values() if not entry.says("acknowledged")})
    if unsigned:
        return AMBER, f"Did not acknowledge what they are responsible for: {', '.join(unsigned)}."
    return GREEN, f"{len(newest)} trainings in force, acknowledged."


def _hosting(facts: Facts) -> tuple[str, str]:
    valid = [entry for entry in facts.of(HOSTING) if day_of(entry, "expires") >= facts.now.date()]
    if valid:
        return GREEN, f"{valid[0].one('certificate')} until {valid[0].one('expires')}."
    lacking = RED if facts.authority.hosting_certified else AMBER if facts.of(HOSTING) else GREEN
    return lacking, f"No valid certificate on record. {facts.authority.hosting}."


def _suppliers(facts: Facts) -> tuple[str, str]:
    found = facts.of(SUPPLIER)
    if not found:
        return AMBER, "None is on record."
    bare = [one.one("title") for one in found if one.says("non-eea-control") and not one.one("safeguard")]
    if bare:
        return RED, f"Under control from outside the EEA, without a safeguard: {', '.join(bare)}."
    allowed = facts.authority.regions
    away = [one.one("title") for one in found if one.one("country") not in allowed and not one.one("safeguard")]
    if away:
        return RED, f"Outside of where the jurisdiction lets data be, without a safeguard: {', '.join(away)}."
    exposed = [one.one("title") for one in found if one.says("non-eea-control")]
    if exposed and facts.eu_provider_required:
        return RED, f"A European provider is required, and under control from elsewhere are: {', '.join(exposed)}."
    if exposed:
        return AMBER, f"Under control from outside the EEA, with a safeguard: {', '.join(exposed)}."
    return GREEN, f"{len(found)}, none under control from outside the EEA."


def _review(topic: str) -> Callable[[Facts], tuple[str, str]]:
    def judge(facts: Facts) -> tuple[str, str]:
        done = [entry for entry in facts.of(REVIEW) if entry.one("topic") == topic]
        if not done:
            return AMBER, "There was none."
        newest = max(done, key=lambda entry: day_of(entry, "done"))
        overdue = day_of(newest, "next") < facts.now.date()
        return (AMBER if overdue else GREEN), f"Last {newest.one('done')}, next {newest.one('next')}."

    return judge


def day_of(entry: Entry, name: str) -> date:
    """A FHIR date may lack its day, or month: the first one then."""
    year, _, rest = entry.one(name).partition("-")
    month, _, day = rest.partition("-")
    return date(int(year), int(month or 1), int(day or 1))


_DUTIES = (
    ("register", DATA_PROTECTION, "GDPR Art. 30", _register),
    ("contact", DATA_PROTECTION, "GDPR Art. 13(1)(b)", _contact),
    ("officer", DATA_PROTECTION, "GDPR Art. 37", _officer),
    ("impact-assessment", DATA_PROTECTION, "GDPR Art. 35", _dpia),
    ("risks", DATA_PROTECTION, "GDPR Art. 35(7)", _risks),
    ("breaches", DATA_PROTECTION, "GDPR Art. 33", _breaches),
    ("requests", DATA_PROTECTION, "GDPR Art. 12(3)", _requests),
    ("retention", DATA_PROTECTION, "GDPR Art. 5(1)(e)", _retention),
    ("security", DATA_PROTECTION, "GDPR Art. 32", _measures),
    ("treating-ties", DATA_PROTECTION, "GDPR Art. 25(2)", _ties),
    ("log", DATA_PROTECTION, "GDPR Art. 5(2)", _log),
    ("training", DATA_PROTECTION, "GDPR Art. 32(4)", _training),
    ("hosting", DATA_PROTECTION, "Hosting of health data", _hosting),
    ("suppliers", DATA_PROTECTION, "GDPR Art. 28, 44", _suppliers),
    ("review", DATA_PROTECTION, "GDPR Art. 24(1)", _review("data-protection")),
    ("backups", INSURANCE, "GDPR Art. 32(1)(c) and (d)", _drills),
    ("insurance-review", INSURANCE, "The insurer's conditions", _review("insurance")),
)


def by_section(found: Sequence[Duty]) -> Iterator[tuple[str, Sequence[Duty]]]:
    for section in (DATA_PROTECTION, INSURANCE, PROFESSIONS):
        yield section, [duty for duty in found if duty.section == section]


def told(found: Sequence[Duty]) -> list[Mapping[str, str]]:
    """As rows."""
    return [
        {"duty": one.name, "section": one.section, "basis": one.basis, "state": one.state, "evidence": one.evidence}
        for one in found
    ]
