"""What is posted to the base: a batch or a transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

from fhir_server.engine.answers import Answer
from fhir_server.engine.batch import Batches
from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.engine.transaction import Transactions
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json


class Bundles:
    def __init__(self, engine: Engine, transactions: Transactions, batches: Batches) -> None:
        self._engine, self._transactions, self._batches = engine, transactions, batches

    async def process(self, call: Call, bundle: Json) -> list[Answer]:
        """The answers in the order of the entries."""
        kind = bundle.get("type") if bundle.get("resourceType") == "Bundle" else None
        if kind == "transaction":
            return await self._transactions.process(call, bundle)
        if kind == "batch":
            return await self._batches.process(call, bundle)
        failure = InvalidRequestError("The base takes a Bundle of type batch or transaction.", expression="Bundle.type")
        await self._engine.refused(call, failure)
        raise failure
