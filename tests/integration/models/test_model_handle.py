"""`jx.models` in a real kernel: load, call, the module itself, unload and what still holds its pages."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from integration_tools import EngineUnderTest, until
from kernel_tools import Kernel
from model_tools import ModelsUnderTest, minilm, save


@pytest.fixture(scope="module")
def kernel(engine: EngineUnderTest) -> Iterator[Kernel]:
    kernel = Kernel(engine)
    kernel.run("import jupyter_ext as jx\n%load_ext jupyter_ext")
    yield kernel
    kernel.close()


def test_sentences_are_embedded_without_torch_in_the_kernel(kernel: Kernel, engine: EngineUnderTest) -> None:
    cell = kernel.run(
        f"m = jx.models.get({str(minilm())!r}); v = m(['a cat', 'a kitten', 'the stock market']); v.shape"
    )
    assert (cell.error, cell.result) == (None, "(3, 384)")
    assert kernel.run("bool(v[0] @ v[1] > v[0] @ v[2])").result == "True"
    assert kernel.run("import sys; 'torch' in sys.modules").result == "False"
    users = kernel.run("[user.pid for user in m.info.host.users] == [__import__('os').getpid()]")
    assert users.result == "True"


def test_the_module_shares_the_pages_and_unload_names_who_holds_them(kernel: Kernel) -> None:
    kernel.run(f"m = jx.models.get({str(minilm())!r}); m.load()")
    before = kernel.run("from jupyter_ext.ipc.memory_usage import rollup\nimport torch, transformers\n"
                        "transformers.BertModel; before = rollup()['private']; net = m.torch(); type(net).__name__")  # fmt: skip
    assert (before.error, before.result) == (None, "'BertModel'")
    grown = kernel.run(
        "sum(p.sum().item() for p in net.parameters()); (rollup()['private'] - before) / 2**20"
    )
    assert float(grown.result) < 45  # of 87 MB of weights, all of which were read
    kernel.run("keep = [net.get_input_embeddings().weight[:1]]; keep[0].shape")
    kernel.run("net.pooler.dense")
    told = kernel.run("freed = m.unload(); freed.held").result
    assert "variable net" in told
    assert "variable keep" in told
    assert "Out[" in told
    assert kernel.run("freed.host_bytes > 80e6").result == "True"
    forget = "del net, keep, freed\nOut.clear()\nfor name in [n for n in globals() if n[1:].isdigit()]: del globals()[name]"
    assert kernel.run(f"{forget}\nimport gc; gc.collect();").error is None
    held = kernel.run("m.load(); all('the last output' in name for name in m.unload().held)")
    assert held.result == "True"  # IPython keeps the last three in places of its own


NET = """
class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)
    def forward(self, x):
        if x.ndim != 2:
            raise ValueError('two dimensions, please')
        return self.linear(x)
"""


def test_a_class_of_the_notebook(kernel: Kernel, tmp_path: Path) -> None:
    weight, bias = torch.eye(4) * 3, torch.ones(4)
    path = save(tmp_path / "net.safetensors", {"linear.weight": weight, "linear.bias": bias})
    kernel.run("import torch")
    kernel.run(NET)
    cell = kernel.run(f"n = jx.models.get({str(path)!r}).load(factory=Net); n(torch.ones(1, 4)).tolist()")
    assert (cell.error, cell.result) == (None, "[[4.0, 4.0, 4.0, 4.0]]")
    failed = kernel.run("n(torch.ones(4))")
    assert failed.error is not None
    assert "ValueError: two dimensions, please" in failed.traceback
    assert "Cell In[" in failed.traceback
    assert "raise ValueError('two dimensions, please')" in failed.traceback
    assert "model_calls" not in failed.traceback
    assert "jupyter_ext/" not in failed.traceback
    changed = NET.replace("self.linear(x)", "self.linear(x) + 100")
    assert kernel.run(changed + "\nn.load(factory=Net); n(torch.ones(1, 4)).tolist()").result == (
        "[[104.0, 104.0, 104.0, 104.0]]"
    )
    assert kernel.run("n.torch()(torch.ones(1, 4)).tolist()").result == "[[104.0, 104.0, 104.0, 104.0]]"
    wrong = kernel.run("n.unload(); n.load(factory=Net, width=5)")
    assert wrong.error is not None
    assert "Shapes differ" in wrong.error
    assert wrong.traceback.count("\n") == 0
    unknown = kernel.run("n.load(wdith=5)")
    assert unknown.error is not None
    assert "no option 'wdith'" in unknown.error
    assert unknown.traceback.count("\n") == 0


def test_an_interrupt_stops_the_call_there_too(
    kernel: Kernel, engine: EngineUnderTest, tmp_path: Path
) -> None:
    path = save(tmp_path / "slow.safetensors", {"w": torch.zeros(1)})
    kernel.run(
        "import time\nclass Slow(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.zeros(1))\n    def forward(self, x, s=0):\n"
        "        time.sleep(s)\n        return x"
    )
    ready = kernel.run(f"s = jx.models.get({str(path)!r}).load(factory=Slow); s(torch.ones(1)).item()")
    assert (ready.error, ready.result) == (None, "1.0")
    models = ModelsUnderTest(engine)
    pid = int(kernel.run("import os; os.getpid()").result)

    def interrupt() -> None:
        until(lambda: any((m.host and m.host.in_flight) for m in [models.get(f"file:{path}")]), "the call")
        os.kill(pid, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    stopped = kernel.run("s(torch.ones(1), s=90)", timeout_s=80)
    assert stopped.error is not None
    assert stopped.error.startswith("KeyboardInterrupt")
    assert time.monotonic() - began < 60
    again = kernel.run("s(torch.ones(1)).item()")
    assert (again.error, again.result) == (None, "1.0")


def test_a_model_that_was_unloaded_elsewhere_is_loaded_again(kernel: Kernel, engine: EngineUnderTest) -> None:
    kernel.run(f"m = jx.models.get({str(minilm())!r}).load(); m('x');")
    models = ModelsUnderTest(engine)
    models.unload(f"file:{minilm()}")
    cell = kernel.run("m('x').shape")
    assert (cell.error, cell.result) == (None, "(384,)")
    pid = models.get(f"file:{minilm()}").host.pid  # type: ignore[union-attr]
    os.kill(pid or 0, 9)
    cell = kernel.run("m('x').shape")
    if cell.error is not None:  # the kill came within the call; the next one loads it again
        assert "killed by signal 9" in cell.error
        cell = kernel.run("m('x').shape")
    assert (cell.error, cell.result) == (None, "(384,)")
    assert "killed by signal 9" in cell.text or cell.text == ""


def test_a_killed_model_is_loaded_again_with_its_factory_by_whoever_calls(
    kernel: Kernel, engine: EngineUnderTest, tmp_path: Path
) -> None:
    path = save(
        tmp_path / "net.safetensors", {"linear.weight": torch.eye(4) * 3, "linear.bias": torch.ones(4)}
    )
    kernel.run("import torch\n" + NET)
    assert kernel.run(f"n = jx.models.get({str(path)!r}).load(factory=Net, keep_alive='1h')").error is None
    models, id = ModelsUnderTest(engine), f"file:{path}"
    killed = models.get(id).host
    assert killed is not None
    os.kill(killed.pid or 0, signal.SIGKILL)
    until(lambda: models.get(id).state == "downloaded", "the engine to see the end")
    other = kernel.run(f"o = jx.models.get({str(path)!r}); o(torch.ones(1, 4)).tolist()")
    assert (other.error, other.result) == (None, "[[4.0, 4.0, 4.0, 4.0]]")
    host = models.get(id).host
    assert host is not None
    assert (host.code, host.keep_alive_s) == (killed.code, 3600.0)
    kernel.run("n.unload()")
    plain = kernel.run("o.load(); o(torch.ones(1, 4))")
    assert plain.error is not None
    assert "Only its tensors are loaded" in plain.error
    kernel.run("o.unload()")
