"""What of an iCalendar text is let into the parser: of this size, this shape, and without what we would never follow.

RFC 5545. Definitions of time zones are left out: a zone is known by its name or not at all, so that no rule of a
stranger's is worked out. Alarms go too; what they attach is never fetched.
"""

import re

from mappers.mapping.faults import UnusableError

MOST_BYTES = 1024 * 1024
MOST_EVENTS = 500
MOST_DEPTH = 3
_NOT_READ = ("VTIMEZONE", "VALARM")
_FOLD = re.compile(r"\r?\n[ \t]")


def screened(raw: bytes) -> str:
    """The text, unfolded and without those components; UnusableError for what is too large or not balanced."""
    if len(raw) > MOST_BYTES:
        raise UnusableError("The calendar is too large.")
    try:
        text = _FOLD.sub("", raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UnusableError("The calendar is not UTF-8.") from None
    return "\r\n".join([*_kept(text.splitlines()), ""])


def _kept(lines: list[str]) -> list[str]:
    found: list[str] = []
    open_components: list[str] = []
    events = 0
    for line in lines:
        name, _, value = line.partition(":")
        word, component = name.strip().upper(), value.strip().upper()
        if word == "BEGIN":
            open_components.append(component)
            events += component == "VEVENT"
            if len(open_components) > MOST_DEPTH or events > MOST_EVENTS:
                raise UnusableError("The calendar nests too deep, or has too many events.")
        if line.strip() and not any(component in _NOT_READ for component in open_components):
            found.append(line)
        if word == "END" and (not open_components or open_components.pop() != component):
            raise UnusableError("The calendar begins and ends components crosswise.")
    if open_components or not found:
        raise UnusableError("The calendar ends early.")
    return found
