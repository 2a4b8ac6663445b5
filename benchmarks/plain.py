"""The same searches on plain documents: what a server without any secret would ask of MongoDB, and nothing around it.

No scopes, no audit, no exact match after the index: less cannot be done. Part of the floors' process.
"""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.search.types.folding import fold
from fhir_server.store.connection import Client

DATABASE = "benchmark_plain"
INDEXES = (("seq",), ("names", "seq"), ("born",), ("identifiers",), ("subject", "seq"))
_PAGE = 20
_JSON = "application/fhir+json"
_LAST = "\uffff"


def document(resource: Json, seq: int) -> dict[str, Any]:
    """What is searched lies beside the resource, ready made."""
    kept: dict[str, Any] = {"_id": f"{resource['resourceType']}/{resource['id']}", "seq": seq}
    if resource["resourceType"] == "Patient":
        names = {fold(text) for name in resource["name"] for text in (name["family"], *name["given"])}
        identifiers = [f"{each['system']}|{each['value']}" for each in resource["identifier"]]
        kept |= {"names": sorted(names), "born": day(resource["birthDate"]), "identifiers": identifiers}
    else:
        kept["subject"] = resource["subject"]["reference"]
    return {**kept, "body": json.encode(resource)}


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def routes(client: Client) -> list[Route]:
    rows = client[DATABASE]["resources"]

    async def page(wanted: Json) -> Response:
        """As a searchset, of one more than a page, as whoever offers a link to the next one has to look."""
        found = await rows.find(wanted, {"body": 1}).sort("seq", 1).limit(_PAGE + 1).to_list(None)
        entries = b",".join(b'{"search":{"mode":"match"},"resource":%s}' % row["body"] for row in found[:_PAGE])
        return Response(b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % entries, media_type=_JSON)

    async def by_name(request: Request) -> Response:
        prefix = request.path_params["prefix"]
        return await page({"names": {"$gte": prefix, "$lt": prefix + _LAST}})

    async def by_birth(request: Request) -> Response:
        return await page({"born": {"$gte": day(request.path_params["begin"]), "$lt": day(request.path_params["end"])}})

    async def by_subject(request: Request) -> Response:
        return await page({"subject": f"Patient/{request.path_params['id']}"})

    async def by_identifier(request: Request) -> Response:
        return await page({"identifiers": f"{request.query_params['system']}|{request.query_params['value']}"})

    async def read(request: Request) -> Response:
        found = await rows.find_one({"_id": f"Patient/{request.path_params['id']}"})
        assert found is not None
        return Response(found["body"], media_type=_JSON)

    return [
        Route("/plain/name/{prefix}", by_name),
        Route("/plain/born/{begin}/{end}", by_birth),
        Route("/plain/subject/{id}", by_subject),
        Route("/plain/identifier", by_identifier),
        Route("/plain/read/{id}", read),
    ]
