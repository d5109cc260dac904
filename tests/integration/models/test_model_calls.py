"""Calls into loaded models: kinds, text, generation, batches, cancels and the user's own errors."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integration_tools import EngineUnderTest, until
from model_tools import ModelsUnderTest, minilm, save, tiny_generator

from jupyter_ext.client.capture.capture import capture_factory
from jupyter_ext.client.models.module_factory import host_options, torch_module
from jupyter_ext.errors import CallFailed, CannotTravel, InvalidInput, LoadFailed
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import Connection
from jupyter_ext.protocol.models import LocalModel

NET = """
import time
import torch

class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)
        self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)

    def forward(self, x):
        if x.shape[-1] != self.linear.in_features:
            raise ValueError(f"{x.shape[-1]} features instead of {self.linear.in_features}")
        return torch.relu(self.linear(x)) * self.scale

class Net(torch.nn.Module):
    def __init__(self, width=4, mode="plain"):
        super().__init__()
        self.mode = mode
        self.block = Block(width)
        self.head = torch.nn.Linear(width, width, bias=False)
        self.head.weight = self.block.linear.weight

    def forward(self, x, extra=None, sleep_s=0.0, spin=False):
        time.sleep(float(sleep_s))
        while spin:
            pass
        y = self.head(self.block(x))
        if self.mode == "across":
            return torch.softmax(y, dim=0)
        return {"y": y, "extra": extra} if extra is not None else y
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the class as a notebook defines it, with weights for it on disk."""
    import linecache
    import sys
    import types

    filename = str(tmp_path_factory.mktemp("nb") / "cell-of-a-notebook")
    linecache.cache[filename] = (len(NET), None, NET.splitlines(keepends=True), filename)
    main = sys.modules["__main__"]
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    try:
        exec(compile(NET, filename, "exec"), vars(module))
        yield vars(module)["Net"]
    finally:
        sys.modules["__main__"] = main


@pytest.fixture(scope="module")
def weights(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    state = net().state_dict()
    del state["head.weight"]
    return save(tmp_path_factory.mktemp("net") / "net.safetensors", state)


@pytest.fixture(scope="module")
def models(engine: EngineUnderTest) -> ModelsUnderTest:
    return ModelsUnderTest(engine)


@pytest.fixture
def own_weights(weights: Path, tmp_path: Path) -> Path:
    """Return a copy, so that nobody else has it loaded."""
    return Path(shutil.copy(weights, tmp_path / "own.safetensors"))


def options(net: Any, **more: Any) -> dict[str, Any]:
    return {"options": host_options({"factory": net, **more}, label_of=lambda _: "Cell In[3]")}


@pytest.fixture(scope="module")
def loaded(models: ModelsUnderTest, net: Any, weights: Path) -> Iterator[LocalModel]:
    with models.loaded(weights, **options(net, batch=True)) as model:
        yield model


def truth(net: Any, weights: Path) -> Any:
    from safetensors.torch import load_file

    module = net().eval()
    module.load_state_dict(load_file(weights), strict=False)
    return module


def status(model: LocalModel) -> dict[str, Any]:
    assert model.host is not None
    with Connection(model.host.calls) as channel:
        return channel.call("status")[0]


def test_results_come_in_the_kind_that_went_in(
    models: ModelsUnderTest, net: Any, weights: Path, loaded: LocalModel
) -> None:
    x = torch.randn(3, 4)
    with torch.no_grad():
        expected = truth(net, weights)(x)
    calls = models.calls(loaded)
    tensor = calls.call(x)
    assert isinstance(tensor, torch.Tensor)
    torch.testing.assert_close(tensor, expected)
    array = calls.call(x.double().numpy())
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected.numpy(), rtol=1e-5, atol=1e-6)
    rows = calls.call(x.tolist())
    assert isinstance(rows, list)
    np.testing.assert_allclose(rows, expected.numpy(), rtol=1e-5, atol=1e-6)
    output = calls.call(x, extra=x)
    assert list(output) == ["y", "extra"]
    torch.testing.assert_close(output.y, expected)
    assert torch.equal(output.extra, x)


def test_a_large_tensor_and_an_empty_one(models: ModelsUnderTest, loaded: LocalModel) -> None:
    calls = models.calls(loaded)
    assert calls.call(torch.zeros(1 << 20, 4)).shape == (1 << 20, 4)
    assert calls.call(torch.zeros(0, 4)).shape == (0, 4)


def test_an_exception_of_the_module_is_its_own_traceback(models: ModelsUnderTest, loaded: LocalModel) -> None:
    calls = models.calls(loaded)
    with pytest.raises(CallFailed) as caught:
        calls.call(torch.zeros(2, 5))
    text = str(caught.value)
    assert "Cell In[3], line 13, in forward" in text
    assert 'raise ValueError(f"{x.shape[-1]} features' in text
    assert text.endswith("ValueError: 5 features instead of 4")
    assert "model_queue" not in text
    assert "… " in text  # torch's frames are counted
    assert caught.value._render_traceback_() == [text]
    assert calls.call(torch.zeros(2, 4)).shape == (2, 4)


def test_wrong_input_is_one_line(models: ModelsUnderTest, loaded: LocalModel) -> None:
    calls = models.calls(loaded)
    with pytest.raises(CannotTravel, match=r"argument 1 is a builtins.object"):
        calls.call(object())
    with pytest.raises(InvalidInput, match="rows of different lengths"):
        calls.call([[1.0, 2.0], [3.0]])
    with pytest.raises(InvalidInput, match="cannot generate; call it instead"):
        calls.generate("hello").text  # noqa: B018  the text is made when it is asked for
    with pytest.raises(InvalidInput, match="no tensor 'nothing'"):
        calls.tensor("nothing")


def test_tied_weights_stay_tied_and_buffers_are_there(
    models: ModelsUnderTest, weights: Path, loaded: LocalModel
) -> None:
    calls = models.calls(loaded)
    names = {item["name"] for item in calls.tensors()}
    assert {"block.linear.weight", "head.weight"} <= names
    assert torch.equal(calls.tensor("head.weight"), calls.tensor("block.linear.weight"))


def test_concurrent_calls_are_computed_together_and_each_gets_its_own(
    models: ModelsUnderTest, net: Any, weights: Path, loaded: LocalModel
) -> None:
    module = truth(net, weights)
    inputs = [torch.randn(index % 3 + 1, 4) for index in range(16)]
    before = status(loaded)["num_batches"]
    with ThreadPoolExecutor(17) as pool:
        slow = pool.submit(models.calls(loaded).call, torch.zeros(1, 4), sleep_s=0.5)
        until(lambda: status(loaded)["in_flight"] > 0, "the slow call")
        results = list(pool.map(lambda x: models.calls(loaded).call(x), inputs))
        slow.result()
    assert status(loaded)["num_batches"] > before
    for x, result in zip(inputs, results, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(result, module(x), rtol=1e-5, atol=1e-6)


def test_a_module_that_mixes_its_rows_is_found_out(
    models: ModelsUnderTest, net: Any, own_weights: Path
) -> None:
    with models.loaded(own_weights, **options(net, batch=True, mode="across")) as model:
        inputs = [torch.randn(2, 4) for _ in range(6)]
        alone = [models.calls(model).call(x) for x in inputs]
        with ThreadPoolExecutor(7) as pool:
            slow = pool.submit(models.calls(model).call, torch.zeros(1, 4), sleep_s=0.5)
            until(lambda: status(model)["in_flight"] > 0, "the slow call")
            together = list(pool.map(lambda x: models.calls(model).call(x), inputs))
            slow.result()
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one, other)
        assert any("one by one" in notice for notice in status(model)["notices"])


def test_texts_are_embedded_together(models: ModelsUnderTest) -> None:
    texts = [f"sentence number {index} " + "about cats " * (index % 7) for index in range(12)]
    with models.loaded(minilm()) as model:
        alone = [models.calls(model).call(text) for text in texts]
        with ThreadPoolExecutor(13) as pool:
            slow = pool.submit(models.calls(model).call, ["a long text about gradient descent " * 30] * 96)
            until(lambda: status(model)["in_flight"] > 0, "the slow call")
            together = list(pool.map(lambda text: models.calls(model).call(text), texts))
            assert slow.result().shape == (96, 384)
        assert status(model)["num_batches"] > 0
        np.testing.assert_allclose(np.stack(together), np.stack(alone), atol=1e-5)


def test_a_canceled_call_stops_and_the_model_stays(models: ModelsUnderTest, loaded: LocalModel) -> None:
    assert loaded.host is not None
    pid = status(loaded)["pid"]
    for kwargs in ({"sleep_s": 60.0}, {"spin": True}):
        with Connection(loaded.host.calls) as channel:
            tree, blobs = values.encode({"args": [torch.zeros(1, 4)], "kwargs": kwargs})
            with pytest.raises(TimeoutError):
                channel.call("call", {"value": tree}, blobs, timeout_s=0.3)
            began = time.monotonic()
            assert models.calls(loaded).call(torch.zeros(1, 4)).shape == (1, 4)
            assert time.monotonic() - began < 30
    assert status(loaded)["pid"] == pid


def test_a_queued_call_that_is_canceled_never_runs(models: ModelsUnderTest, loaded: LocalModel) -> None:
    assert loaded.host is not None
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(models.calls(loaded).call, torch.zeros(1, 4), sleep_s=1.0)
        until(lambda: status(loaded)["in_flight"] > 0, "the slow call")
        with Connection(loaded.host.calls) as channel:
            tree, blobs = values.encode({"args": [torch.zeros(1, 4)], "kwargs": {"spin": True}})
            with pytest.raises(TimeoutError):
                channel.call("call", {"value": tree}, blobs, timeout_s=0.1)
        assert slow.result().shape == (1, 4)
    until(lambda: status(loaded)["in_flight"] == 0, "the end of the canceled call")


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("torch.nn.Linear(4, 4)", "is a Linear; give the class of the module"),
        ("lambda: 5", "gave a int, not a torch.nn.Module"),
        ("lambda: torch.nn.Linear(4, 4)", "The weights lack weight, bias, which Linear needs; they have"),
        (
            "lambda: Net(width=8)",
            "Shapes differ: block.linear.weight: [4, 4] in the weights, [8, 8] in the module",
        ),
        ("lambda: Net(height=8)", "TypeError: Net.__init__() got an unexpected keyword argument 'height'"),
    ],
)
def test_a_factory_that_does_not_fit_is_one_line(
    models: ModelsUnderTest, net: Any, own_weights: Path, factory: str, says: str
) -> None:
    try:
        given = options(eval(factory, {"torch": torch, "Net": net}))
    except InvalidInput as error:
        said = str(error)
    else:
        said = models.refusal(own_weights, **given)
    assert says in said
    assert "\n" not in said


def test_what_is_no_bundle_is_refused(models: ModelsUnderTest, own_weights: Path) -> None:
    assert "base64" in models.refusal(own_weights, options={"factory": "!!"})
    assert "no bundle" in models.refusal(own_weights, options={"factory": base64.b64encode(b"x").decode()})
    assert "only a training's code has" in models.refusal(own_weights, options={"factory_name": "Net"})


def test_the_module_itself_lies_in_the_same_pages(
    net: Any, own_weights: Path, models: ModelsUnderTest
) -> None:
    from jupyter_ext.weights import mmap

    module = torch_module(models.get(models.add(own_weights)), {"factory": net})
    assert isinstance(module, net)
    assert module.head.weight is module.block.linear.weight
    ranges = mmap.ranges([own_weights])
    assert any(begin <= module.head.weight.data_ptr() < end for begin, end, _ in ranges)
    x = torch.randn(2, 4)
    torch.testing.assert_close(module(x), truth(net, own_weights)(x))
    before = own_weights.read_bytes()
    with torch.no_grad():
        module.head.weight.add_(1.0)  # a write makes its own page and never reaches the file
    assert own_weights.read_bytes() == before
    with pytest.raises(LoadFailed, match="torch\\(factory=YourModule\\)"):
        torch_module(models.get(models.add(own_weights)))


def test_generation_streams_stops_and_is_the_librarys_own(models: ModelsUnderTest, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    path = tiny_generator(tmp_path / "generator")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    module = transformers.GPT2LMHeadModel.from_pretrained(path).eval()
    inputs = tokenizer(["the cat sat"], return_tensors="pt")
    ids = module.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=12,
        do_sample=False, pad_token_id=0,
    )  # fmt: skip
    expected = tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    with models.loaded(path) as model:
        assert model.host is not None
        assert model.host.task == "generate"
        calls = models.calls(model)
        made = calls.generate("the cat sat", max_new_tokens=12, do_sample=False)
        pieces = list(made)
        assert len(pieces) > 1
        assert "".join(pieces) == made.text == expected
        assert (made.num_tokens, made.finish) == (12, "length")
        assert calls.call("the cat sat", max_new_tokens=12, do_sample=False) == expected
        endless = calls.generate(
            "the cat sat", max_new_tokens=480, do_sample=True, seed=1, min_new_tokens=480
        )
        next(iter(endless))
        endless._events.close()  # type: ignore[attr-defined]
        until(lambda: status(model)["in_flight"] == 0, "the end of the abandoned generation")
        with pytest.raises(CallFailed, match="not_an_option"):
            calls.generate("x", not_an_option=1).text  # noqa: B018  made when it is asked for
        with pytest.raises(InvalidInput, match="no chat template"):
            calls.generate([{"role": "user", "content": "hi"}]).text  # noqa: B018


def test_a_bundle_is_the_same_for_the_same_class(net: Any) -> None:
    assert capture_factory(net) == capture_factory(net)
