"""What `pip install .` brings: every module and every data file, and the one command."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = {"__pycache__"}


def _tracked(folder: str) -> set[str]:
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if not NOT_SHIPPED & set(path.parts)}


def test_the_wheel_carries_every_module_and_every_data_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in ("fhir_server", "mappers"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]

    subprocess.run([*command, "--no-index", "--wheel-dir", tmp_path, source], check=True, cwd=tmp_path)

    [wheel] = tmp_path.glob("*.whl")
    inside = zipfile.ZipFile(wheel)
    names = set(inside.namelist())
    assert not (_tracked("fhir_server") | _tracked("mappers")) - names
    [entry_points] = [name for name in names if name.endswith("entry_points.txt")]
    assert "fhir-server = fhir_server.cli.main:main" in inside.read(entry_points).decode()
    [licence] = [name for name in names if name.endswith("licenses/LICENSE")]
    assert b"Apache License" in inside.read(licence)
