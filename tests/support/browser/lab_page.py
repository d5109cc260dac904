"""A real JupyterLab in a real Chromium: the server, and a page that shows it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from panel_page import PanelPage
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

SCREENSHOTS = Path(__file__).parents[2] / "browser" / "screenshots"
DEADLINE_S = 60.0
expect.set_options(timeout=40_000)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
JUPYTERS_OWN_ERRORS = ("Could not restore the debugger state", "/extensions/@jupyter-widgets/")
"""In what JupyterLab throws by itself: when a kernel restarts, and when a notebook has none."""

MAY_BE_GONE = ("/native/trainings/", "/api/kernels/", "/api/sessions/")
"""A page may ask for these in the moment in which a test ends or deletes them; the browser reports each 404 by itself."""

JUPYTERS_OWN_LISTS = re.compile(r"status of 500 .*/api/(?:kernels|sessions|terminals)\?\d+$")
"""JupyterLab polls these; its server answers with 500 where a kernel ends while it lists them."""

SETTINGS = {
    # Jupyter's news would lie over what is clicked and photographed
    "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    # cells out of sight stay in the page
    "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "defer"}',
}


@dataclass
class LabServer:
    """A running JupyterLab and the folder it shows."""

    url: str
    token: str
    root: Path
    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str]
    command: list[str]

    def stop(self) -> None:
        """Stop it and its kernels, as Ctrl-C does."""
        stop_server(self.process)

    def start(self) -> None:
        """Start it again, at the same address and with the same token, and wait until it answers."""
        self.process = _launch(self.command, self.root, self.log, self.environment)
        wait_until_up(self)

    def end_kernels(self) -> None:
        """End all kernels, as a culler or a person in "Running Terminals and Kernels" does."""
        for session in self._ask("GET", "api/sessions"):
            self._ask("DELETE", f"api/sessions/{session['id']}")

    def _ask(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            body = response.read()
        return json.loads(body) if body else None

    @contextmanager
    def settings(self, **values: Any) -> Iterator[None]:
        """Have these set in the Settings Editor, in pages that are opened meanwhile."""
        path = Path(self.environment["JUPYTERLAB_SETTINGS_DIR"]) / "jupyter-ext/settings.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
        try:
            yield
        finally:
            path.unlink()

    def forget_theme(self) -> None:
        """Show pages that are opened from now on in the default theme, whatever one before them has chosen."""
        chosen = "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
        Path(self.environment["JUPYTERLAB_SETTINGS_DIR"], chosen).unlink(missing_ok=True)

    def write_notebook(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells; gives its path for `Lab.open`."""
        new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        new.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = f"{name}-{secrets.token_hex(3)}.ipynb"
        nbformat.write(new, self.root / path)
        return path


@dataclass
class Lab:
    """One page that shows JupyterLab."""

    page: Page
    server: LabServer
    errors: list[str] = field(default_factory=list)
    """What the page wrote to the console as errors, and exceptions nobody caught; without JupyterLab's own."""

    def listen(self) -> None:
        """Begin to keep the page's errors."""
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.add_error(error.stack or str(error)))

    def hear(self, message: ConsoleMessage) -> None:
        """Keep an error, and the address that it is about."""
        url = str(message.location.get("url", ""))
        is_gone = "status of 404" in message.text and any(part in url for part in MAY_BE_GONE)
        if message.type == "error" and not is_gone and not JUPYTERS_OWN_LISTS.search(f"{message.text} {url}"):
            self.add_error(f"{message.text} {url}".rstrip())

    def add_error(self, text: str) -> None:
        """Keep an error of the page."""
        if not any(part in text for part in JUPYTERS_OWN_ERRORS):
            self.errors.append(text)

    def open(self, path: str) -> None:
        """Open a notebook and wait until its kernel is ready."""
        self.page.goto(f"{self.server.url}lab/tree/{path}?reset&token={self.server.token}")
        self.wait_ready()

    def open_lab(self) -> None:
        """Open JupyterLab with no document."""
        self.page.goto(f"{self.server.url}lab?reset&token={self.server.token}")
        self.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=DEADLINE_S * 1000)
        self.evaluate("app => app.restored")
        self._wait_for_splash_to_go()

    def open_without_kernel(self, path: str) -> None:
        """Open a notebook as JupyterLab's "Open With, Notebook (no kernel)" does."""
        self.open_lab()
        preference = {"shouldStart": False, "shouldReuse": False}
        self.command("docmanager:open", path=path, factory="Notebook", kernelPreference=preference)
        expect(self.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=DEADLINE_S * 1000)
        self._wait_for_splash_to_go()

    def reopen_page(self) -> None:
        """Close the tab and open a new one in the same browser."""
        context = self.page.context
        self.page.close()
        self.page = context.new_page()
        self.listen()

    def reload(self) -> None:
        """Reload the page; the kernel goes on."""
        self.page.reload()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the notebook is there and its kernel idle."""
        self.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=DEADLINE_S * 1000)
        self.evaluate("app => app.restored")
        expect(self.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=DEADLINE_S * 1000)
        self.evaluate("app => app.shell.currentWidget.sessionContext.ready")
        self.wait_idle()
        self._wait_for_splash_to_go()

    def _wait_for_splash_to_go(self) -> None:
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function `(app, argument) => …` in the page; promises are awaited."""
        return self.page.evaluate(f"argument => ({function})(window.jupyterapp, argument)", argument)

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Run one of JupyterLab's commands."""
        return self.evaluate(
            "async (app, [name, args]) => { await app.commands.execute(name, args); }", [name, arguments]
        )

    def wait_idle(self, timeout_s: float = DEADLINE_S) -> None:
        """Wait until the kernel of the open notebook is idle."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'",
            timeout=timeout_s * 1000,
        )

    def cell(self, index: int) -> Locator:
        """Return a cell, counted from 0."""
        return self.page.locator(".jp-Notebook:visible .jp-Cell").nth(index)

    def outputs(self, index: int) -> Locator:
        """Return the outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-child .jp-OutputArea-output")

    def run_cell(self, index: int, *, wait: bool = True, timeout_s: float = DEADLINE_S) -> Locator:
        """Run a cell, wait until it has ended, and give its outputs.

        Args:
            index: The cell, counted from 0.
            wait: Whether to wait; without, the cell may still be running.
            timeout_s: How long to wait, seconds.
        """
        self.evaluate(
            "(app, index) => { app.shell.currentWidget.content.activeCellIndex = index; "
            "void app.commands.execute('notebook:run-cell'); }",
            index,
        )
        if wait:
            expect(self.cell(index).locator(".jp-InputPrompt")).to_have_text(
                re.compile(r"\[\d+\]:"), timeout=timeout_s * 1000
            )
        return self.outputs(index)

    def restart_kernel(self) -> None:
        """Restart the kernel, without the question whether one means it."""
        self.evaluate("app => app.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_idle()

    def interrupt_kernel(self) -> None:
        """Interrupt the kernel and wait until it is idle."""
        self.evaluate("app => app.shell.currentWidget.sessionContext.session.kernel.interrupt()")
        self.wait_idle()

    def kernel_status(self) -> str | None:
        """Return the status of the open notebook's kernel, or `None` where it has none."""
        status: str | None = self.evaluate(
            "app => app.shell.currentWidget.sessionContext.session?.kernel?.status ?? null"
        )
        return status

    def output_data(self, index: int) -> dict[str, Any]:
        """Return the MIME bundle of a cell's first output, as saving would write it."""
        data: dict[str, Any] = self.evaluate(
            "(app, index) => app.shell.currentWidget.content.widgets[index].model.outputs.get(0).toJSON().data",
            index,
        )
        return data

    def saved_status(self, index: int) -> str:
        """Return the status that saving would write for the training under a cell."""
        status: str = self.output_data(index)["application/vnd.jupyter-ext.training+json"]["training"][
            "status"
        ]
        return status

    def save(self) -> None:
        """Save the open notebook."""
        self.command("docmanager:save")

    def panel(self, index: int) -> PanelPage:
        """Return the panel under a cell."""
        return PanelPage(self.cell(index).locator(".jx-panel"))

    def set_theme(self, name: str) -> None:
        """Switch the theme: `JupyterLab Light` or `JupyterLab Dark`."""
        self.command("apputils:change-theme", theme=name)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
        self._wait_for_splash_to_go()

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """Take a picture of the page or of one element, to look at; it is compared with nothing."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        (of or self.page).screenshot(path=path)
        return path


def find_chromium() -> str | None:
    """Find the Chromium to use: `JUPYTER_EXT_CHROMIUM`, else one on the path."""
    named = os.environ.get("JUPYTER_EXT_CHROMIUM")
    return named or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def start_server(
    home: Path, engine_environment: dict[str, str], python: Path = Path(sys.executable)
) -> LabServer:
    """Start a JupyterLab of a Python with all its directories in `home`."""
    root = home / "notebooks"
    root.mkdir()
    for name, text in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"},
        **engine_environment,
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "PYTHONWARNINGS": "default",
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    log = home / "server.log"
    command = [
        *(str(python), "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    process = _launch(command, root, log, environment)
    return LabServer(f"http://127.0.0.1:{port}/", token, root, process, log, environment, command)


def _launch(
    command: list[str], root: Path, log: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, cwd=root
        )


def wait_until_up(server: LabServer) -> None:
    """Wait until it answers.

    Raises:
        RuntimeError: It does not; the text holds the end of its log.
    """
    deadline = DEADLINE_S
    while deadline > 0:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}api/status?token={server.token}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            deadline -= 0.1
            _pause(server.process, 0.1)
    raise RuntimeError(f"JupyterLab did not come up:\n{server.log.read_text(errors='replace')[-4000:]}")


def _pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait a little, or until the process ends."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End the server and its kernels; the engine is not its child and is ended by who owns its home."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        if "jupyter_ext.engine" not in _command_line(child):
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
