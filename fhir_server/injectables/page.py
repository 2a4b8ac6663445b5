"""The page of a pack that people read: for whom it is, what is in it, the lots, the photographs.

Requirement T49: an expert without software of ours reads it in any browser, offline. Nothing in it leads outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_HEAD = (
    ("issued", "Issued"),
    ("clinic", "Clinic"),
    ("recipientName", "For"),
    ("purpose", "Purpose"),
    ("ground", "Ground"),
    ("patient", "Patient"),
    ("withheld", "Left out"),
)
_LOT = ("name", "lot", "expires", "manufacturer")
_STYLE = "body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto}img{max-width:100%}td,th{padding-right:2rem}"


def page(statement: Mapping[str, Any], parts: Sequence[tuple[str, str, str]]) -> bytes:
    """`parts`: path, media type and reference of each."""
    return "\n".join(_lines(statement, parts)).encode()


def _lines(statement: Mapping[str, Any], parts: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">'
    yield f'<head><meta charset="utf-8"><title>Evidence</title><style>{_STYLE}</style></head>'
    yield "<body>\n<h1>Evidence</h1>"
    yield "<table>"
    for name, title in _HEAD:
        yield f'<tr><th scope="row">{title}</th><td>{escape(str(statement.get(name, "")))}</td></tr>'
    yield "</table>\n<h2>Products</h2>\n<table>"
    yield f"<tr>{''.join(f'<th>{name}</th>' for name in _LOT)}</tr>"
    for one in statement.get("products", ()):
        yield f"<tr>{''.join(f'<td>{escape(one[name])}</td>' for name in _LOT)}</tr>"
    yield "</table>\n<h2>Photographs</h2>"
    for path, media_type, reference in parts:
        if media_type.startswith("image/"):
            yield f'<figure><img src="{escape(path)}" alt=""><figcaption>{escape(reference)}</figcaption></figure>'
    yield "<h2>All parts</h2>\n<ul>"
    for path, media_type, reference in parts:
        yield f'<li><a href="{escape(path)}">{escape(path)}</a> {escape(media_type)} {escape(reference)}</li>'
    yield "</ul>\n<p>manifest.jws lists the SHA-256 of each part, signed by the clinic's server.</p>\n</body>\n</html>"
