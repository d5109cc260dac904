"""The halves of the product that a page uses, as this kernel can see them: JupyterLab's extension and the server's.

Rule: a line names what is missing or of another version, and the next step; never a server's token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
from jupyter_core.paths import jupyter_path, jupyter_runtime_dir

from jupyter_ext import __version__

_TIMEOUT_S = 2.0


class Server(NamedTuple):
    """A Jupyter server of this user, as it wrote itself into the runtime directory."""

    url: str
    token: str
    pid: int


def lines() -> list[str]:
    """Return one line for each half, beginning with `ok` or `!!`."""
    return [_labextension_line(), *(_server_line(server) for server in servers())]


def servers() -> list[Server]:
    """Return the server that started this kernel, or else all that run here."""
    found = list(_servers())
    own = [server for server in found if server.pid == os.getppid()]
    return own or found


def _servers() -> Iterator[Server]:
    for path in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            server = Server(str(said["url"]), str(said.get("token") or ""), int(said["pid"]))
            os.kill(server.pid, 0)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it was killed and left its file behind, or another version wrote it
        yield server


def _labextension_line() -> str:
    for folder in jupyter_path("labextensions"):
        path = Path(folder) / "jupyter-ext" / "package.json"
        try:
            version = json.loads(path.read_text(encoding="utf-8"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if version == __version__:
            return f"ok  JupyterLab extension {version}"
        return f"!!  the JupyterLab extension in {path.parent} is {version}, not {__version__}: pip install jupyter-ext"
    return "ok  no JupyterLab extension in this environment; where JupyterLab runs in another one, it is needed there"


def _server_line(server: Server) -> str:
    headers = {"Authorization": f"token {server.token}"} if server.token else {}
    try:
        answer = httpx.get(
            f"{server.url}jupyter-ext/info", headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )
        version = answer.json().get("version") if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError, AttributeError):
        return f"!!  the Jupyter server at {server.url} does not answer"
    if answer.status_code == 404:
        return (
            f"!!  the Jupyter server at {server.url} does not have its half: pip install jupyter-ext in its environment, "
            "then start it again"
        )
    if version is None:
        return f"ok  the Jupyter server at {server.url} does not tell a kernel its version"
    if version != __version__:
        return f"!!  the Jupyter server at {server.url} has {version}, this kernel {__version__}: install the same in both"
    return f"ok  Jupyter server extension {version} at {server.url}"
