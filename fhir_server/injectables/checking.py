"""`Procedure/[id]/$insurance-check`: is there, for this treatment, what the insurer's policy asks for, and what lacks?

Requirements T3, T45 to T48, T53, S18, M9. What the caller may not see does not count: it cannot be shown to an insurer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import TypeAlias

from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.period import span
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.injectables.policy import Condition, Policy
from fhir_server.injectables.treatment import Treatment, Treatments, coded
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.admission import admitted
from fhir_server.media.labels import is_simulated
from fhir_server.media.protocol import codes, noted
from fhir_server.media.timeline import Wanted, timeline
from fhir_server.media.vocabulary import TIMEPOINT

Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Finding:
    """`missing` says what lacks, and is empty where nothing does; `due`: it lacks, and is not late yet.

    `evidence`: references of what meets the condition.
    """

    condition: Condition
    missing: str = ""
    due: bool = False
    evidence: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        return self.condition.severity if self.missing and not self.due else "information"


@dataclass(frozen=True, slots=True)
class Checked:
    """`findings` is empty where the policy is not about such a treatment."""

    policy: Policy
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.severity != "error" for finding in self.findings)


class Checking:
    """`zone`: where a date without a time is meant."""

    def __init__(
        self, engine: Engine, treatments: Treatments, inquiry: Inquiry, policies: Mapping[str, Policy], zone: tzinfo
    ) -> None:
        self._engine, self._treatments, self._inquiry = engine, treatments, inquiry
        self._policies, self._zone = policies, zone

    async def check(self, call: Call, code: str) -> Checked:
        """Raises UnprocessableError for a policy that is not here, and for a Procedure without a patient or a time."""
        async with admitted(self._engine, call):
            policy = self._policies.get(code)
            if policy is None:
                raise UnprocessableError(f"A policy is one of {', '.join(sorted(self._policies))}.")
        treatment = await self._treatments.read(call, str(call.id))
        async with admitted(self._engine, call):
            if not _covers(policy, treatment):
                return Checked(policy, ())
            when = self._when(treatment.procedure.resource)
            photos = [one.resource for one in await timeline(self._engine, call, Wanted(treatment.patient))]
            return Checked(
                policy, tuple([await self._finding(call, one, treatment, when, photos) for one in policy.conditions])
            )

    def _when(self, procedure: Json) -> Span:
        """Begin and end. A Procedure that was only begun ends where it begins."""
        said = procedure.get("performedPeriod", {})
        begin = span(said.get("start") or procedure.get("performedDateTime"), self._zone)
        if begin is None:
            raise UnprocessableError(
                "The Procedure does not say when it was performed.", expression="Procedure.performed"
            )
        end = span(said.get("end"), self._zone)
        return begin[0], end[1] if end else begin[0]

    async def _finding(
        self, call: Call, condition: Condition, treatment: Treatment, when: Span, photos: list[Json]
    ) -> Finding:
        match condition.kind:
            case "photo":
                return self._photo(call, condition, treatment, when, photos)
            case "consent":
                return await self._consent(call, condition, treatment, when)
            case "lot":
                return _lots(condition, treatment)
            case "note":
                return _note(condition, treatment)
            case _:
                there = bool(treatment.procedure.resource.get(condition.element))
                return Finding(condition, "" if there else f"Procedure.{condition.element} is empty.")

    def _photo(self, call: Call, condition: Condition, treatment: Treatment, when: Span, photos: list[Json]) -> Finding:
        """Of each region; time decides, and a timepoint that says otherwise is not talked down."""
        regions = treatment.regions
        if not regions:
            return Finding(condition, "The Procedure names no treated region (bodySite).")
        taken = [one for one in photos if self._is_taken(condition, one, when)]
        found = {region: [one for one in taken if region & _sites(one)] for region in regions}
        evidence = tuple(sorted({f"Media/{one['id']}" for its in found.values() for one in its}))
        if all(found.values()):
            return Finding(condition, evidence=evidence)
        bare = "; ".join(", ".join(sorted(region)) for region, its in found.items() if not its)
        due = condition.taken == "after" and call.instant <= when[1] + timedelta(days=condition.within_days)
        return Finding(condition, f"No photograph that counts of region {bare}.", due, evidence)

    def _is_taken(self, condition: Condition, media: Json, when: Span) -> bool:
        said = media.get("createdDateTime") or media.get("createdPeriod", {}).get("start")
        taken = span(said, self._zone)
        if taken is None or is_simulated(media) or media.get("status") != "completed":
            return False
        timepoint = codes(noted(media, TIMEPOINT))
        if timepoint and condition.taken not in timepoint:
            return False
        window = timedelta(days=condition.within_days)
        if condition.taken == "before":
            return when[0] - window <= taken[0] and taken[1] <= when[0]
        return when[1] <= taken[0] <= when[1] + window

    async def _consent(self, call: Call, condition: Condition, treatment: Treatment, when: Span) -> Finding:
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type="Consent", id=None, operation=None)
        found = [
            one
            for one in await self._inquiry.periods(asking, treatment.patient)
            if one.kind == "permit" and condition.purpose in one.purposes
            if one.begin <= when[0] and (one.end is None or when[0] < one.end)
        ]
        evidence = tuple(sorted(f"{one.consent}/_history/{one.version}" for one in found))
        return Finding(condition, "" if found else f"No consent to {condition.purpose} stood then.", evidence=evidence)


def _covers(policy: Policy, treatment: Treatment) -> bool:
    said = coded(treatment.procedure.resource)
    return bool(said & policy.codes) or (policy.any_product and bool(treatment.products))


def _lots(condition: Condition, treatment: Treatment) -> Finding:
    without = [product.reference for product in treatment.products if not product.lot]
    if not treatment.products:
        return Finding(condition, "No product is named that was used.")
    evidence = tuple(sorted(product.reference for product in treatment.products if product.lot))
    return Finding(condition, f"Without a lot: {', '.join(without)}." if without else "", evidence=evidence)


def _note(condition: Condition, treatment: Treatment) -> Finding:
    own = (str(treatment.procedure.key),) if treatment.procedure.resource.get("note") else ()
    evidence = (*own, *(str(one.key) for one in treatment.notes))
    return Finding(
        condition, "" if evidence else "The Procedure has no note, nor has its encounter.", evidence=evidence
    )


def _sites(media: Json) -> frozenset[str]:
    return frozenset(codes(media.get("bodySite")))
