"""The floors: a bare Starlette handler with one `find_one`, one with one `insert_one`; nothing less can be a server.

For documents, one that puts a body into plain GridFS, and one that streams it back. For searches, `benchmarks.plain`.
Runs by itself: `python -m benchmarks.floors PORT MONGO_URI`. Loop, HTTP parser and the database connection's settings
are the server's own.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from gridfs.asynchronous import AsyncGridFSBucket, AsyncGridOut
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchmarks import plain
from fhir_server.kernel import json
from fhir_server.store.connection import connect

DATABASE = "benchmark_floor"
DOCUMENTS = 1000
_JSON = "application/fhir+json"


def build(mongo_uri: str) -> Starlette:
    client = connect(mongo_uri)
    rows = client[DATABASE]["rows"]

    async def find(request: Request) -> Response:
        found = await rows.find_one({"_id": int(request.path_params["number"])})
        assert found is not None
        return Response(found["body"], media_type=_JSON)

    async def insert(request: Request) -> Response:
        await rows.insert_one({"_id": secrets.token_hex(16), "body": await request.body()})
        return Response(b"{}", 201, media_type=_JSON)

    files = AsyncGridFSBucket(client[DATABASE])

    async def keep(request: Request) -> Response:
        name = secrets.token_hex(16)
        await files.upload_from_stream_with_id(name, "document", await request.body())
        return Response(json.encode({"id": name}), 201, media_type=_JSON)

    async def give(request: Request) -> Response:
        out = await files.open_download_stream(request.path_params["name"])
        length = int(request.query_params.get("length", out.length))
        if "start" in request.query_params:
            await out.seek(int(request.query_params["start"]))
        return StreamingResponse(_parts(out, length), headers={"Content-Length": str(length)})

    async def fill(request: Request) -> Response:
        body = await request.body()
        await rows.insert_many([{"_id": number, "body": body} for number in range(DOCUMENTS)])
        return Response(b"{}", 201, media_type=_JSON)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await client.close()

    routes = [
        Route("/find/{number}", find),
        Route("/insert", insert, methods=["POST"]),
        Route("/fill", fill, methods=["POST"]),
        Route("/files", keep, methods=["POST"]),
        Route("/files/{name}", give),
        *plain.routes(client),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _parts(out: AsyncGridOut, length: int) -> AsyncIterator[bytes]:
    """A chunk of GridFS at a time, as it has them."""
    while length > 0 and (part := await out.read(min(length, out.chunk_size))):
        length -= len(part)
        yield part


async def main(port: int, mongo_uri: str) -> None:
    config = uvicorn.Config(
        build(mongo_uri),
        port=port,
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn offers no event to wait for
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await serving


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
