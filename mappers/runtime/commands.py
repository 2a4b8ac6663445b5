"""What an operator types: each command opens the runtime, does one thing, and says what came of it."""

import argparse
import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from httpx2 import AsyncClient, Timeout

from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message
from mappers.runtime.archive import Archive
from mappers.runtime.clock import now
from mappers.runtime.delivery import Outcome
from mappers.runtime.dicom_files import dicom_file
from mappers.runtime.faults import NotNowError, RejectedError, SetupError
from mappers.runtime.line import kept_line
from mappers.runtime.looking_after import LookingAfter
from mappers.runtime.serving import serve, web_server
from mappers.runtime.settings import load
from mappers.runtime.systems import SYSTEMS
from mappers.runtime.wiring import Runtime, importing_of

_TIMEOUT = Timeout(30.0)
Command = Callable[[Runtime, argparse.Namespace], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(given))
    except (SetupError, NotNowError, RejectedError, UnusableError) as error:
        print(error, file=sys.stderr)  # noqa: T201  printing is a command's job
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mappers", description="Booking and EHR systems, in FHIR.")
    parser.add_argument("--config", type=Path, required=True, help="the settings, a JSON file")
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("serve", help="take webhooks and HL7 v2, ask those who send nothing")
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8010)
    one.set_defaults(run=_serve)
    one = commands.add_parser("poll", help="ask a source once")
    one.add_argument("source")
    one.set_defaults(run=_poll)
    one = commands.add_parser("deliver", help="take messages from files, such as calendars that came by mail")
    one.add_argument("source")
    one.add_argument("files", type=Path, nargs="+")
    one.set_defaults(run=_deliver)
    one = commands.add_parser("photograph", help="write photographs as DICOM files into a folder")
    one.add_argument("folder", type=Path)
    one.add_argument("media", nargs="+", help="such as Media/7")
    one.set_defaults(run=_photograph)
    one = commands.add_parser("import", help="take an export: a ZIP file of CSV files and photographs")
    one.add_argument("source")
    one.add_argument("archive", type=Path)
    one.add_argument("--dry-run", action="store_true", help="say what would be taken, and ask nobody")
    one.set_defaults(run=_import)
    for name, run, help in (
        ("report", _report, "what was put aside, and why"),
        ("replay", _replay, "try again what was put aside"),
    ):
        one = commands.add_parser(name, help=help)
        one.add_argument("source")
        one.set_defaults(run=run)
    one = commands.add_parser("feed", help="links to calendars that say when somebody is taken: make, list, take back")
    one.add_argument("action", choices=("add", "list", "revoke"))
    one.add_argument("of", nargs="?", default="", help="add: whose time, such as Practitioner/1; revoke: the link's id")
    one.set_defaults(run=_feed)
    one = commands.add_parser("expire", help="end raw messages that were kept long enough")
    one.add_argument("--days", type=int, default=14)
    one.set_defaults(run=_expire)
    commands.add_parser("check", help="read the settings and ask the server for a token").set_defaults(run=_check)
    return parser


async def _run(given: argparse.Namespace) -> None:
    async with AsyncClient(timeout=_TIMEOUT, trust_env=False) as http, kept_line() as line:
        run: Command = given.run
        await run(Runtime(load(given.config), http, now, line), given)


async def _serve(runtime: Runtime, given: argparse.Namespace) -> None:
    await serve(runtime, web_server(runtime, given.host, given.port))


async def _check(runtime: Runtime, given: argparse.Namespace) -> None:
    runtime.hooks()
    for source in runtime.settings.sources:
        runtime.steady(source)
    await runtime.server.read(["Appointment?_count=1"])
    _say("The settings are good, and the server answers.")


async def _poll(runtime: Runtime, given: argparse.Namespace) -> None:
    source = runtime.settings.source(given.source)
    if (steady := runtime.steady(source)) is not None:
        _say_counted(source.name, await steady.poll())
        return
    pollers = runtime.pollers(source)
    if not pollers:
        raise SetupError("This source is not asked: it sends by itself.")
    for poller in pollers:
        _say(f"{poller.listing.name}: {await poller.poll()} new")


async def _deliver(runtime: Runtime, given: argparse.Namespace) -> None:
    source = runtime.settings.source(given.source)
    if source.system not in SYSTEMS:
        raise SetupError("This source has files of its own kind: import them.")
    delivery = runtime.delivery(source)
    for place, file in enumerate(given.files, 1):
        _say(f"{place}: {(await delivery.deliver(Message(file.read_bytes(), runtime.clock()))).value}")


async def _photograph(runtime: Runtime, given: argparse.Namespace) -> None:
    given.folder.mkdir(mode=0o700, exist_ok=True)
    for reference in given.media:
        name, raw = await dicom_file(runtime.here, reference)
        written = given.folder / name
        written.unlink(missing_ok=True)  # one that is there may be for others to read
        written.touch(mode=0o600, exist_ok=False)
        written.write_bytes(raw)
        _say(f"{reference}: {written.name}")


async def _feed(runtime: Runtime, given: argparse.Namespace) -> None:
    feeds = runtime.feeds()
    if given.action == "add":
        token = secrets.token_urlsafe(32)
        _say(f"{await feeds.add(given.of, token)}: /feeds/{token}.ics")
    if given.action == "revoke":
        await feeds.revoke(given.of)
    if given.action == "list":
        for link in await feeds.links():
            _say(f"{link['id']}: {link['subject']['reference']}, since {link['created']}")


async def _import(runtime: Runtime, given: argparse.Namespace) -> None:
    source = runtime.settings.source(given.source)
    importing = importing_of(source, runtime.clock)
    try:
        with Archive(given.archive) as archive:
            if given.dry_run:
                report = importing.dry(archive)
            else:
                report = await importing.run(archive, runtime.importing_delivery(source, importing))
    except UnusableError as error:
        raise SetupError(str(error)) from None
    for line in report.lines():
        _say(line)


async def _report(runtime: Runtime, given: argparse.Namespace) -> None:
    for name in runtime.names(runtime.settings.source(given.source)):
        found = await LookingAfter(runtime.server).report(name)
        for line, count in sorted(found.items()):
            _say(f"{count:6} {name}: {line}")


async def _replay(runtime: Runtime, given: argparse.Namespace) -> None:
    source = runtime.settings.source(given.source)
    if (steady := runtime.steady(source)) is not None:
        _say_counted(source.name, await steady.again())
        return
    for delivery in runtime.deliveries(source):
        _say_counted(delivery.source.name, await LookingAfter(runtime.server).replay(delivery))


async def _expire(runtime: Runtime, given: argparse.Namespace) -> None:
    names = [name for source in runtime.settings.sources for name in runtime.names(source)]
    ended = await LookingAfter(runtime.server).expire(names, runtime.clock(), timedelta(days=given.days))
    _say(f"{ended} raw messages ended")


def _say_counted(name: str, found: Counter[Outcome]) -> None:
    for outcome, count in found.items():
        _say(f"{count:6} {name}: {outcome.value}")


def _say(text: str) -> None:
    print(text)  # noqa: T201  printing is a command's job
