"""A snapshot: a file that says what the server says. `make snapshots` writes it anew; the diff is what is reviewed."""

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parent
RENEW = "RENEW_SNAPSHOTS"


def require_kept(name: str, text: str) -> None:
    """Fails with the difference. Where the environment asks for it the file is written instead."""
    path = FOLDER / name
    if os.environ.get(RENEW):
        path.write_text(text)
    kept = path.read_text() if path.exists() else ""
    difference = list(difflib.unified_diff(kept.splitlines(), text.splitlines(), "kept", "now", lineterm="", n=1))
    assert not difference, "\n".join(
        ["What the server says has changed; if that is meant: make snapshots", *difference]
    )
