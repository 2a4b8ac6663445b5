"""`$regulator-export`: all that a regulator asks a clinic to show, in one signed pack.

M5, rows S47, S92, S113; GDPR Art. 5(2), 31. What stands in it the caller may see: it is read under their own rights.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call
from fhir_server.engine.classification import DRILL, RECEIPT, RECEIPT_SYSTEM
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.privacy.breaches.record import BREACH
from fhir_server.privacy.premises import Premises
from fhir_server.privacy.reading import everything
from fhir_server.privacy.register import sections
from fhir_server.privacy.register.entries import basic_of
from fhir_server.privacy.register.files import files_of, manifest, zipped
from fhir_server.privacy.register.ledger import Ledger
from fhir_server.privacy.register.surveying import Surveying, code_of
from fhir_server.privacy.requests import ERASE
from fhir_server.privacy.retention import Pack
from fhir_server.smart.tie_sources import TASK_SYSTEM


@dataclass(frozen=True, slots=True)
class Sealing:
    """`sign` makes a compact JWS of the manifest; `clinic` is who issues it."""

    clinic: str
    sign: Callable[[bytes], str]


class Regulator:
    def __init__(
        self, engine: Engine, ledger: Ledger, surveying: Surveying, premises: Premises, pack: Pack, sealing: Sealing
    ) -> None:
        self._engine, self._ledger, self._surveying = engine, ledger, surveying
        self._premises, self._pack, self._sealing = premises, pack, sealing

    async def export(self, call: Call) -> bytes:
        """A ZIP. Raises ForbiddenError for who may not see one of its parts, TooCostlyError where it is too much."""

        async def once(attempt: Attempt) -> bytes:
            await self._engine.steps.admit(call)
            entries = await self._ledger.entries(call)
            consents = await everything(self._engine, call, "Consent")
            tasks = await everything(
                self._engine, call, "Task", [("code", f"{TASK_SYSTEM}|{BREACH},{TASK_SYSTEM}|{ERASE}")]
            )
            receipts, drills = await self._documents(call, RECEIPT), await self._documents(call, DRILL)
            breaches = [one for one in tasks if code_of(one.resource) == BREACH]
            log = await self._premises.log()
            found = [
                sections.of_duties(await self._surveying.survey(call.instant)),
                *sections.of_register(entries),
                sections.of_consents(consents),
                sections.of_breaches(breaches, call.instant),
                sections.of_rules(self._pack),
                sections.of_decisions([one for one in tasks if one not in breaches]),
                sections.of_documents("receipts", "Receipts of destruction (Art. 17)", receipts),
                sections.of_documents("drills", "Drills of backups (Art. 32(1)(d))", drills),
                *sections.of_security(await self._premises.measures()),
                sections.of_log(log),
            ]
            stored = [*consents, *tasks, *receipts, *drills]
            attempt.disclosed.extend(stored)
            resources = [*(basic_of(entry) for entry in entries), *[(await one.whole()).resource for one in stored]]
            contents = files_of(self._sealing.clinic, call.instant, found, resources, log.checkpoint)
            signed = manifest(self._sealing.clinic, call.instant, log.assurance, contents)
            return zipped(contents, signed, call.instant, self._sealing.sign)

        return await disclosing(self._engine.steps, call, once)

    async def _documents(self, call: Call, code: str) -> list[Stored]:
        return await everything(self._engine, call, "DocumentReference", [("type", f"{RECEIPT_SYSTEM}|{code}")])
