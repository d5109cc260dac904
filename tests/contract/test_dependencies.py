"""What can be said of dependencies without a network: each is pinned, installed as pinned, fits the others, and is what npm locked.

Whether one has a known weakness needs a database that is not here; `pip-audit -r constraints.txt` and `npm audit` ask for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = "jupyter-ext"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.partition("==") for line in lines if line and not line.startswith("#")]
    assert all(version for _, _, version in found), "one version each"
    return {canonicalize_name(name): version for name, _, version in found}


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(text for name in extras if name != "gpu" for text in extras[name])]
    names = {canonicalize_name(Requirement(text).name) for text in wanted} - {OURS}
    assert names - pins().keys() == set()


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned = pins()
    for found in distributions():
        name = canonicalize_name(found.metadata["Name"])
        if name in pinned:
            assert found.version.partition("+")[0] == pinned[name].partition("+")[0], name


def test_what_is_installed_fits_together() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_every_package_of_npm_is_locked_by_its_hash() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    fetched = {
        name: one for name, one in lock["packages"].items() if "node_modules/" in name and not one.get("link")
    }
    assert len(fetched) > 100
    assert [
        name for name, one in fetched.items() if not one.get("integrity") and not one.get("inBundle")
    ] == []
