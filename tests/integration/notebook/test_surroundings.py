"""What surrounds a notebook and must not show in it: other people's logs, a folder that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_tools import Kernel


def test_logging_that_a_person_turned_on_has_nothing_of_our_requests(kernel: Kernel) -> None:
    kernel.run("import logging; logging.basicConfig(level=logging.DEBUG, force=True)")
    cell = kernel.run(
        "logging.info('mine'); jx.train(lambda: 1).wait(); jx.trainings.list(); list(jx.train(lambda: 2).follow())"
    )
    assert cell.error is None
    assert "mine" in cell.text
    for word in ("HTTP Request", "httpcore", "websockets", "unix"):
        assert word not in cell.text
    cell = kernel.run(
        "import http.server, threading, httpx\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=server.handle_request).start()\n"
        "httpx.head(f'http://127.0.0.1:{server.server_port}/', trust_env=False)"
    )
    assert "HTTP Request: HEAD" in cell.text  # a person's own requests are theirs to see
    kernel.run("logging.basicConfig(level=logging.WARNING, force=True)")


@pytest.mark.parametrize(
    "code",
    [
        "jx.train(lambda: 1)",
        "%%train x\nprint(1)",
        "jx.train(lambda p: 1, p=__import__('pathlib').Path('data'))",
        "jx.debug(lambda: 1)",
        "run.again()",
        "run.resume()",
    ],
)
def test_a_folder_that_was_deleted_is_told_in_one_line(kernel: Kernel, tmp_path: Path, code: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    kernel.run("run = jx.train(lambda: 1); run.wait(); import os; home = os.getcwd()")
    kernel.run(f"os.chdir({str(gone)!r})")
    gone.rmdir()
    try:
        cell = kernel.run(code)
        assert "folder" in (cell.error or "")
        assert "deleted" in (cell.error or "")
        assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback
        assert "succeeded" in kernel.run("print(run.status, len(jx.trainings.list()))").text
    finally:
        assert kernel.run("os.chdir(home); jx.train(lambda: 1).wait().status").result == "'succeeded'"
