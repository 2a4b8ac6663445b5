"""SoftHSM2, a hardware module in software (Debian's package softhsm2): one token for the whole run."""

import functools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, PIN = "clinic", "4711"


@functools.cache
def folder() -> Path:
    """The module reads its configuration once per process, so this is made once per process too."""
    made = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (made / "tokens").mkdir()
    (made / "pin").write_text(f"{PIN}\n")
    (made / "conf").write_text(f"directories.tokendir = {made / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(made / "conf")
    told = ["--free", "--label", TOKEN, "--pin", PIN, "--so-pin", PIN]
    subprocess.run(["softhsm2-util", "--init-token", *told], check=True, capture_output=True)
    return made


def uri(label: str, *, pin: Path | None = None) -> str:
    """Skips the test where the module, or the package that speaks to it, is not there."""
    pytest.importorskip("pkcs11", reason="the extra `hsm` is not installed")
    if not MODULE.exists():
        pytest.skip("SoftHSM2 is not installed (Debian: softhsm2)")
    return f"pkcs11:token={TOKEN};object={label}?module-path={MODULE}&pin-source=file:{pin or folder() / 'pin'}"
