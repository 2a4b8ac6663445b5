"""Asks whoever sits at the terminal for what must not stand in a command line: others could read it there.

Without a terminal each answer is a line of the standard input, for scripts.
"""

import getpass
import sys

from fhir_server.cli.faults import CommandError

_LONGEST = 1_024


def hidden(prompt: str) -> str:
    """Not shown while it is typed."""
    answer = getpass.getpass(f"{prompt}: ") if sys.stdin.isatty() else sys.stdin.readline(_LONGEST).rstrip("\n")
    if not answer:
        raise CommandError(f"{prompt}: nothing was given.")
    return answer
