"""A small browser of the kernel's directories, to choose the file or folder that an input names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets

_MAX_ENTRIES = 500
_UP = ".."


class PathBrowser:
    """A button that unfolds a list.

    Args:
        take: Called with the chosen path, relative to the working directory where it lies in it.
        name: Of the input, for readers of the screen.

    Attributes:
        button: Unfolds the list.
        box: The list and its buttons.
    """

    def __init__(self, take: Callable[[str], None], name: str) -> None:
        self._take = take
        self._folder = Path.cwd()
        self.button = ipywidgets.ToggleButton(
            icon="folder-open", tooltip=f"Choose {name} from the kernel's files", layout={"width": "40px"}
        )
        self._where = ipywidgets.Label()
        self._list = ipywidgets.Select(rows=8, layout={"width": "360px"}, description_allow_html=False)
        opening = ipywidgets.Button(description="Open", layout={"width": "90px"})
        using = ipywidgets.Button(
            description="Use", tooltip="Take the file or folder", layout={"width": "90px"}
        )
        opening.on_click(lambda _: self._open())
        using.on_click(lambda _: self._use())
        self.box = ipywidgets.VBox(
            [self._where, ipywidgets.HBox([self._list, ipywidgets.VBox([opening, using])])],
            layout={"display": "none", "margin": "0 0 4px 158px"},
        )
        self.button.observe(self._unfold, "value")

    def _unfold(self, change: Any) -> None:
        self.box.layout.display = None if change["new"] else "none"
        if change["new"]:
            self._show(Path.cwd())

    def _show(self, folder: Path) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: (not entry.is_dir(), entry.name.lower()))
        except OSError as error:
            self._where.value = f"{folder}: {error.strerror}"
            return
        self._folder = folder
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        names = [entry.name + ("/" if entry.is_dir() else "") for entry in seen[:_MAX_ENTRIES]]
        more = f", the first {_MAX_ENTRIES} of {len(seen)}; type the rest" if len(seen) > _MAX_ENTRIES else ""
        self._where.value = f"{folder}{more}"
        self._list.options = [_UP, *names]
        self._list.value = names[0] if names else _UP

    def _open(self) -> None:
        chosen = self._chosen()
        if chosen.is_dir():
            self._show(chosen)
        else:
            self._use()

    def _use(self) -> None:
        chosen = self._chosen()
        cwd = Path.cwd()
        self._take(str(chosen.relative_to(cwd) if chosen.is_relative_to(cwd) else chosen))
        self.button.value = False

    def _chosen(self) -> Path:
        name = self._list.value or _UP
        return self._folder.parent if name == _UP else self._folder / name
