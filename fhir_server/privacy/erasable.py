"""What of a patient's data may be erased now, and what stays until when and why: pure.

GDPR Art. 17(1), 17(3)(b) and (e); rows S51, T71. The longest rule that applies counts. What no rule speaks of stays:
a class that a pack forgets must not be lost.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from fhir_server.crypto.keys import KeyClass
from fhir_server.privacy.retention import CLASSES, Pack, Rule, Start


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource as retention sees it: when what it tells of was, and the tags of the retention system it bears."""

    record: KeyClass
    type: str
    day: date
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Erase:
    """`because`: the rule whose time is over."""

    record: KeyClass
    because: str


@dataclass(frozen=True, slots=True)
class Keep:
    """`until`: the first day on which it could go; None where no day is known. `because`: a rule's id, or a hold."""

    record: KeyClass
    because: str
    until: date | None = None


Verdict = Erase | Keep

NO_RULE = "no-rule"


def verdicts(
    entries: Sequence[Entry], pack: Pack, holds: Collection[str], today: date, born: date | None
) -> tuple[Verdict, ...]:
    """One for each class of which there is anything. `holds`: references of what forbids any erasure."""
    present = {entry.record for entry in entries}
    return tuple(_verdict(record, entries, pack, holds, today, born) for record in CLASSES if record in present)


def _verdict(
    record: KeyClass, entries: Sequence[Entry], pack: Pack, holds: Collection[str], today: date, born: date | None
) -> Verdict:
    if holds:
        return Keep(record, min(holds))
    ends = [
        (end, rule.id)
        for rule in pack.rules
        if rule.record is record and (end := _end(rule, entries, born)) is not None
    ]
    if not ends:
        return Keep(record, NO_RULE)
    until, because = max(ends)
    # A longest time is a limit to every least one, and a hold alone stands above it.
    newest = max(entry.day for entry in entries if entry.record is record)
    lasts = [(anniversary(newest, rule.most), rule.id) for rule in pack.rules if rule.record is record and rule.most]
    until, because = min([(until, because), *lasts])
    return Erase(record, because) if until <= today else Keep(record, because, until)


def _end(rule: Rule, entries: Sequence[Entry], born: date | None) -> date | None:
    """The first day after its period. None where it is about nothing that is there."""
    about = [
        entry
        for entry in entries
        if entry.record is rule.record
        and (not rule.types or entry.type in rule.types)
        and (not rule.tag or rule.tag in entry.tags)
    ]
    if not about:
        return None
    counted = (
        [entry for entry in entries if entry.record is KeyClass.RECORD] if rule.start is Start.LAST_CARE else about
    )
    start = max(entry.day for entry in counted or about)
    # Who is of unknown age may have been born that day: the longest it can be.
    birth = min(born or start, start)
    birthdays = [anniversary(birth, age.until) for age in rule.ages if start < anniversary(birth, age.under)][:1]
    return max([anniversary(start, rule.years), *birthdays])


def anniversary(day: date, years: int) -> date:
    """So many years later; 1 March where the year has no 29 February."""
    if day.year + years > date.max.year:
        return date.max
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
