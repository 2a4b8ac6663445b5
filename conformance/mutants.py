"""Tries the tests of the consent decision: alters its code in one place after another, and sees whether a test fails.

    python conformance/mutants.py [NUMBER] [--seed WORD] [--modules decision period …]

Each mutant is a fork of a process that has everything imported but the altered package and what may import it. It runs
the tests nearest to the module first and ends with the first failure. What survives is printed with the old and the
new text. A run with the same seed tries the same places in the same order.
"""

import argparse
import importlib
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from mutations import Mutant, mutants

ROOT = Path(__file__).parents[1]
PACKAGE = "fhir_server.consent"
MODULES = (
    *("decision", "match", "period", "provision", "terms", "rules", "facts", "labels", "purposes", "question"),
    *("verdict", "standing", "law", "timeline", "gate", "elsewhere", "matter"),
)
BELOW = tuple(f"fhir_server.{name}" for name in ("kernel", "fhir", "crypto", "search", "engine"))
"""Packages that may not import the altered one: they stay imported."""
JUDGES = (
    *(f"tests/unit/consent/test_{name}.py" for name in ("decision", "rules", "purposes", "facts", "law", "timeline")),
    *(f"tests/unit/consent/test_{name}.py" for name in ("period", "past", "paper", "emergencies", "signers", "gate")),
    *(f"tests/unit/consent/test_{name}.py" for name in ("elsewhere", "lifecycle", "signing", "ihe_examples")),
    *(f"tests/unit/privacy/test_{name}.py" for name in ("expiry", "flagging", "withdrawal")),
    *(f"tests/properties/consent/test_{name}.py" for name in ("decision_oracle", "withdrawal_narrows")),
)
"""What judges the decision without a database, in the order in which it is asked."""
NEAREST = {"labels": "facts", "matter": "facts", "standing": "gate"}
PROFILE = "mutants"
OPTIONS = (
    *("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--assert=plain", "-W", "ignore::pytest.PytestWarning"),
    *("--hypothesis-seed=0", f"--hypothesis-profile={PROFILE}"),
)
JOBS = 2
SECONDS = 90
"""Of processor time; a mutant that takes more never ends, which a test run does not miss either."""


def swap(mutant: Mutant) -> None:
    """Whoever imports the module from now on gets the altered one."""
    name = mutant.path.stem
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{name}", mutant.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(mutant.code(), module.__dict__)  # noqa: S102  our own source with one place altered
    setattr(importlib.import_module(PACKAGE), name, module)


def judged(tests: Sequence[str], mutant: Mutant | None = None) -> int:
    """A process that ends with 0 where no test fails."""
    if child := os.fork():
        return child
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(10 * SECONDS)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        if mutant is not None:
            swap(mutant)
        status = min(pytest.main([*OPTIONS, *tests]), 1)
    finally:
        os._exit(status)


def tests_of(module: str) -> list[str]:
    """Nearest first, what tries many cases last."""
    near = f"tests/unit/consent/test_{NEAREST.get(module, module)}.py"
    return sorted(JUDGES, key=lambda one: one != near)


def warm() -> None:
    """Imports what all tests import, and forgets what may import the altered package."""
    settings.register_profile(PROFILE, database=None, deadline=None, phases=(Phase.explicit, Phase.generate))
    pytest.main(["--collect-only", *OPTIONS, "-qq", *JUDGES])
    for name in [one for one in sys.modules if one.partition(".")[0] in {"fhir_server", "mappers", "tests"}]:
        if not name.startswith(BELOW) and name != "fhir_server":
            del sys.modules[name]


def drawn(modules: Sequence[str], seed: str) -> list[Mutant]:
    """All there are, in an order that the seed gives."""
    folder = ROOT / PACKAGE.replace(".", "/")
    known = [one for module in modules for one in mutants(folder / f"{module}.py")]
    return sorted(known, key=lambda one: sha256(f"{seed} {one.path.stem} {one.number}".encode()).digest())


def survivors(tried: Sequence[Mutant]) -> Iterator[Mutant]:
    running: dict[int, Mutant] = {}
    for mutant in [*tried, *[None] * JOBS]:
        if len(running) == JOBS or (mutant is None and running):
            child, status = os.wait()
            ended = running.pop(child)
            if not status:
                yield ended
        if mutant is not None:
            running[judged(tests_of(mutant.path.stem), mutant)] = mutant


def main() -> None:
    reader = argparse.ArgumentParser(description="Alters the consent decision, and sees whether a test fails.")
    reader.add_argument("number", type=int, nargs="?", default=300)
    reader.add_argument("--seed", default="1")
    reader.add_argument("--modules", nargs="*", default=MODULES)
    given = reader.parse_args()
    os.chdir(ROOT)
    known = drawn(given.modules, given.seed)
    tried = known[: given.number]
    warm()
    if os.waitpid(judged(JUDGES), 0)[1]:
        raise SystemExit("The tests fail without any change.")
    found = 0
    for found, survivor in enumerate(survivors(tried), 1):  # noqa: B007  counted when the last is there
        print(survivor, flush=True)
    print(f"{len(tried)} of {len(known)} mutants tried, seed {given.seed}: {found} survived.")


if __name__ == "__main__":
    main()
