"""Runs `media.decoder` in a process of its own, and believes no more of its answer than what it can be.

Architecture section 9: a hostile picture costs at most the process that opened it.
"""

import os
import subprocess
import sys
from threading import Timer

from fhir_server.kernel.errors import NotSupportedError, UnprocessableError
from fhir_server.media.decoder import MISSING
from fhir_server.media.formats import DICOM, HEIC, MP4, QUICKTIME

OPENED = {HEIC.media_type: "heic", DICOM.media_type: "dicom", MP4.media_type: "video", QUICKTIME.media_type: "video"}
"""What is opened apart, by its media type."""
SECONDS = 30.0
_MOST_ANSWERED = 256 << 20
_PROGRAM = "import sys; from fhir_server.media.decoder import run; sys.exit(run())"


def opened_apart(kind: str, data: bytes, longest: int = 0, seconds: float = SECONDS) -> bytes:
    """A PNG of it, or for `faces` JSON. Takes its time: call it in a thread.

    Raises UnprocessableError for what does not open within the limits, NotSupportedError where the decoder is not
    installed.
    """
    command = (sys.executable, "-P", "-s", "-c", _PROGRAM, kind, str(longest))
    process = subprocess.Popen(  # noqa: S603  our own words; the picture goes in by the pipe
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
    )
    timer = Timer(seconds, process.kill)
    timer.start()
    try:
        answer = _asked(process, data)
    finally:
        process.kill()
        process.wait()
        timer.cancel()
    if process.returncode == MISSING:
        raise NotSupportedError(f"A picture of this kind ({kind}) needs the extra `pictures`, which is not installed.")
    if process.returncode or not 0 < len(answer) <= _MOST_ANSWERED:
        raise UnprocessableError("The picture cannot be drawn: it is damaged, too large, or coded in an unknown way.")
    return answer


def _asked(process: "subprocess.Popen[bytes]", data: bytes) -> bytes:
    """It answers after it has read all; or it is dead, and what it says does not count."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        try:
            with process.stdin:
                process.stdin.write(data)
        except BrokenPipeError:
            return b""
        answer = process.stdout.read(_MOST_ANSWERED + 1)
        process.wait()
        return answer


def _environment() -> dict[str, str]:
    """No secret of this process, no thread of a numerical library, no protocol for a video but its own bytes."""
    return {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
    }
