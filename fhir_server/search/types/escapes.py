r"""Splits and unescapes what a client wrote: a comma between alternatives, `$` and `|` inside one.

https://hl7.org/fhir/R4/search.html#escaping
"""

import re

_ESCAPED = re.compile(r"\\([,$|\\])")
_SPECIAL = re.compile(r"([,$|\\])")


def split(text: str, separator: str) -> list[str]:
    """Cut at each `separator` that no backslash protects; the parts keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    parts: list[str] = []
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    r"""`\,` `\$` `\|` `\\` become what they stand for; a backslash before anything else stands for itself."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def escape(text: str) -> str:
    """The inverse of `unescape`: how a client has to write `text` to mean exactly this."""
    return _SPECIAL.sub(r"\\\1", text)
