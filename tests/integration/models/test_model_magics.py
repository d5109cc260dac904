"""`%models` and `%model` in a real kernel: what a person types, and what comes back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from integration_tools import EngineUnderTest, until
from kernel_tools import Cell, Kernel
from model_tools import minilm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MIME_TYPE = "application/vnd.jupyter-ext.models+json"
SLOW_BYTES_PER_S = 5e6
ID = "hub:acme/minilm"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.publish("acme/minilm", minilm())
        yield hub


@pytest.fixture(scope="module")
def kernel(
    engine: EngineUnderTest, hub: HubServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel]:
    given = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path_factory.mktemp("hf"))}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        kernel = Kernel(engine)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
    kernel.run("import jupyter_ext as jx\n%load_ext jupyter_ext")
    yield kernel
    kernel.close()


def shown(cell: Cell) -> dict[str, Any]:
    """Return the data of the live view in a cell's output."""
    assert cell.error is None, cell.traceback
    return next(data[MIME_TYPE] for data in cell.outputs if MIME_TYPE in data)


def test_from_a_look_to_a_call_and_back(kernel: Kernel, hub: HubServer) -> None:
    assert "No models yet" in kernel.run("%models").result
    looked = kernel.run("%model acme/minilm")
    (model,) = shown(looked)["page"]["models"]
    assert (model["id"], model["state"], model["tokenizer"]) == (ID, "absent", True)
    assert model["bytes"] > 90e6
    assert "87.4 MiB" in looked.result
    assert any("text/html" in data for data in looked.outputs)
    assert hub.sent_of("model.safetensors") < 1_000_000

    hub.bytes_per_s = SLOW_BYTES_PER_S
    assert shown(kernel.run("%model minilm download"))["model"] == ID
    assert kernel.run("jx.models.get('minilm').state").result == "'downloading'"
    row = until(lambda: " %" in (text := kernel.run("%models").result) and text, "a percentage", 30)
    assert "downloading" in row
    assert "partial" in kernel.run("%model minilm cancel").result
    hub.bytes_per_s = None
    assert "downloaded" in kernel.run("%model minilm download --wait\njx.models.get('minilm')").result

    assert kernel.run("%model minilm load --wait --keep-alive 10m --pin").error is None
    host = kernel.run("h = jx.models.get('minilm').info.host; (h.pinned, h.keep_alive_s, len(h.users))")
    assert host.result == "(True, 600.0, 1)"
    assert kernel.run('v = %model minilm run "a cat"\nv.shape').result == "(384,)"
    kernel.run("texts = ['a cat', 'a dog']")
    assert kernel.run("v = %model minilm run -p texts\nv.shape").result == "(2, 384)"
    assert kernel.run('v = %model minilm run one "two words"\nv.shape').result == "(2, 384)"
    assert "loaded on cpu" in kernel.run("%models").result
    frame = kernel.run("jx.models.list().dataframe().loc[0, ['id', 'state', 'device']].tolist()")
    assert frame.result == f"['{ID}', 'loaded', 'cpu']"

    refused = kernel.run("%model minilm delete")
    assert refused.error is not None
    assert "unload it first" in refused.error
    freed = kernel.run("%model minilm unload")
    assert "is unloaded: its process held" in freed.result
    assert "was not loaded" in kernel.run("%model minilm unload").result
    assert "downloaded" in kernel.run("%model minilm update --check").result
    assert "absent" in kernel.run("%model minilm delete --files").result
    assert "no longer in the list" in kernel.run("%model minilm delete").text
    assert "No models yet" in kernel.run("%models --unload").result


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("%model", "--help"),
        ("%model acme/minilm explode", "explode"),
        ("%model acme/minilm run", "something to call the model with"),
        ("%model acme/minilm download --device cpu", "--device"),
        ("%model acme/minilm show me", "'me' does not go with show"),
        ("%model acme/none", "no model 'acme/none'"),
        ("%model /no/such/path", "/no/such/path"),
        ("%model 'two words'", "two words"),
        ("%model training:nothing", "training"),
        ("%model acme/minilm load --keep-alive soon", "keep_alive='soon'"),
        ("%models --on nowhere", "nowhere"),
        ("%models --on http://127.0.0.1:1", "does not answer"),
        ("%models --of", "--of"),
        ("%model acme/minilm run -p no_such_name", "no_such_name"),
        ("jx.models.get('a b')", "a b"),
        ("jx.models.list(on='ftp://x')", "ftp://x"),
    ],
)
def test_a_mistake_gets_one_line(kernel: Kernel, code: str, says: str) -> None:
    cell = kernel.run(code)
    assert cell.error is not None
    assert says in cell.error
    if "no_such_name" not in code:  # a slip in the user's own expression is theirs
        assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback
    kernel.run("for m in jx.models.list(): m.delete(force=True)")


def test_help_and_completion(kernel: Kernel, tmp_path: Path) -> None:
    for magic in ("%model --help", "%models --help"):
        cell = kernel.run(magic)
        assert cell.error is None
        assert "usage:" in cell.text
    kernel.run("jx.models.add('acme/minilm')")
    for line, wanted in (
        ("%model ", ID),
        ("%model acme down", "download"),
        ("%model acme load --dt", "--dtype"),
        ("%models --on ", "pieces"),
    ):
        reply = kernel.client.complete(line, len(line), reply=True, timeout=60)
        assert wanted in " ".join(reply["content"]["matches"]), (line, reply["content"]["matches"])
    kernel.run("jx.models.get('acme/minilm').delete()")


def test_an_interrupt_ends_the_waiting_and_not_the_download(kernel: Kernel, hub: HubServer) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    try:
        kernel_pid = int(kernel.run("import os; os.getpid()").result)
        timer = threading.Timer(2.0, os.kill, (kernel_pid, signal.SIGINT))
        timer.start()
        cell = kernel.run("%model acme/minilm download --wait")
        assert cell.error is None, cell.traceback
        assert "Stopped waiting" in cell.text
        assert kernel.run("jx.models.get('minilm').state").result == "'downloading'"
    finally:
        hub.bytes_per_s = None
    kernel.run("jx.models.get('minilm').delete()")


def test_listening_as_pieces_tells_its_risk(kernel: Kernel) -> None:
    cell = kernel.run("%engine listen --pieces")
    assert cell.error is None, cell.traceback
    assert "http://127.0.0.1:393" in cell.text
    assert "without a token" in cell.text
    assert "every program and user of this machine" in cell.text
    assert "Pieces" in kernel.run("%engine --help").text
