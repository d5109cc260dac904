"""What users get: the wheel, built from this tree without Node, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = [
    ROOT / "jupyter_ext/labextension/static/style.js",
    ROOT / "widgets/jupyter_ext_widgets/static/manifest.json",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not all(path.exists() for path in BUILT), reason="the browser half is not built: make env"
    ),
]


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel and borrows everything else from the one that runs the tests."""

    home: Path
    wheel: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment with none of this machine's Jupyter configuration and no Node."""
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'venv/bin'}:{path_without_node(self.home)}",
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
        }
        return subprocess.run(
            command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=120
        )


def path_without_node(home: Path) -> Path:
    """Make a folder with the few programs that are needed, since Node may lie beside them."""
    folder = home / "bin"
    if not folder.exists():
        folder.mkdir()
        for name in ("sh", "env", "git", "uname"):
            if found := shutil.which(name):
                (folder / name).symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "PATH": str(path_without_node(home))}
    assert shutil.which("node", path=environment["PATH"]) is None
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(home / "dist"),
        str(ROOT),
    ]
    built = subprocess.run(build, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (home / "dist").glob("*.whl")

    venv = home / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    install = [
        *pip,
        "--python",
        str(venv / "bin/python"),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True)
    borrow_packages(venv)
    return Installed(home, wheel)


def borrow_packages(venv: Path) -> None:
    """Let the environment see this one's packages, but not the source tree that is installed editable there.

    A `.pth` line adds a folder without reading the `.pth` files in it, which is what an editable install is.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = venv / "lib" / version / "site-packages"
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site_packages / "borrowed.pth").write_text("\n".join(paths) + "\n")
    for script in ("jupyter", "jupyter-server", "jupyter-labextension", "jupyter-lab"):
        text = (Path(sys.executable).parent / script).read_text()
        first, rest = text.split("\n", 1)
        assert first.startswith("#!")
        (venv / "bin" / script).write_text(f"#!{venv / 'bin/python'}\n{rest}")
        (venv / "bin" / script).chmod(0o755)


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def names(installed: Installed) -> set[str]:
    with zipfile.ZipFile(installed.wheel) as wheel:
        return set(wheel.namelist())


def test_wheel_carries_each_thing_once(installed: Installed) -> None:
    inside = names(installed)
    shared = {name.split(".data/data/", 1)[1] for name in inside if ".data/data/" in name}
    assert "share/jupyter/labextensions/jupyter-ext/package.json" in shared
    assert "share/jupyter/labextensions/jupyter-ext/install.json" in shared
    assert "share/jupyter/labextensions/jupyter-ext/static/style.js" in shared
    assert "etc/jupyter/jupyter_server_config.d/jupyter_ext.json" in shared
    assert "jupyter_ext/py.typed" in inside
    assert "jupyter_ext_widgets/py.typed" in inside
    assert not [name for name in inside if name.startswith("jupyter_ext/labextension")]
    tops = {name.split("/")[0] for name in inside}
    assert {top for top in tops if not top.startswith("jupyter_ext-")} == {
        "jupyter_ext",
        "jupyter_ext_widgets",
    }


def test_sdist_carries_sources_and_what_was_built(installed: Installed) -> None:
    build = [
        sys.executable,
        "-m",
        "build",
        "--sdist",
        "--no-isolation",
        "-o",
        str(installed.home / "sdist"),
        str(ROOT),
    ]
    environment = {**os.environ, "PATH": str(path_without_node(installed.home))}
    built = subprocess.run(build, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (installed.home / "sdist").glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        inside = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    assert {str(path.relative_to(ROOT)) for path in BUILT} <= inside
    assert {"widgets/package.json", "labextension/package.json", "package-lock.json", "LICENSE"} <= inside
    assert "widgets/jupyter_ext_widgets/__init__.py" in inside
    assert not [name for name in inside if "node_modules" in name]


def test_widget_code_is_the_one_the_manifest_names(installed: Installed) -> None:
    inside = names(installed)
    with zipfile.ZipFile(installed.wheel) as wheel:
        manifest = json.loads(wheel.read("jupyter_ext_widgets/static/manifest.json"))
    assert set(manifest) >= {"panel", "plotly"}
    for role in ("panel", "plotly"):
        assert f"jupyter_ext_widgets/static/{manifest[role]}" in inside


def test_packages_come_from_the_wheel(installed: Installed) -> None:
    answer = installed.run(
        "python",
        "-W",
        "error",
        "-c",
        "import jupyter_ext, jupyter_ext_widgets as w; print(jupyter_ext.__file__); print(w.__file__); "
        "print(all((w.static_dir() / name).is_file() for name in w.static_files().values()))",
    )
    assert answer.returncode == 0, answer.stderr
    package, widgets, is_complete = answer.stdout.split()
    assert package.startswith(str(installed.home))
    assert widgets.startswith(str(installed.home))
    assert is_complete == "True"


def test_jupyter_server_lists_the_extension(installed: Installed) -> None:
    answer = installed.run("jupyter", "server", "extension", "list")
    text = without_colours(answer.stdout + answer.stderr)
    assert answer.returncode == 0, text
    assert "jupyter_ext enabled" in text
    assert "Validating jupyter_ext..." in text
    assert re.search(r"jupyter_ext \S+ OK", text), text


def test_jupyterlab_lists_the_extension(installed: Installed) -> None:
    answer = installed.run("jupyter", "labextension", "list")
    text = without_colours(answer.stdout + answer.stderr)
    assert answer.returncode == 0, text
    (line,) = [line for line in text.splitlines() if "jupyter-ext " in line]
    assert "enabled" in line
    assert "OK" in line
    assert "(python, jupyter-ext)" in line
    assert str(installed.home) in text
