"""Models in processes of their own: loaded, called, unloaded, by a real engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from integration_tools import EngineUnderTest, until
from model_tools import ModelsUnderTest, call, me, minilm, save

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.ipc.memory_usage import rollup

SENTENCES = ["A cat sits on the mat.", "Gradient descent with momentum", "x"]


@pytest.fixture
def models(engine: EngineUnderTest) -> ModelsUnderTest:
    """Return the models of the module's engine."""
    return ModelsUnderTest(engine)


def test_text_becomes_the_vectors_that_its_own_library_gives(models: ModelsUnderTest) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm())
    module = transformers.AutoModel.from_pretrained(minilm()).eval()
    tokens = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden, mask = module(**tokens).last_hidden_state, tokens["attention_mask"].unsqueeze(-1).float()
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
    with models.loaded(minilm(), user=me()) as model:
        assert model.state == "loaded"
        assert model.host is not None
        assert (model.host.task, model.host.dtype, model.host.device) == ("embed", "float32", "cpu")
        assert [user.name for user in model.host.users] == ["test.ipynb"]
        vectors = call(model, SENTENCES)
        assert isinstance(vectors, np.ndarray)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        one = call(model, SENTENCES[0])
        assert one.shape == (384,)
        np.testing.assert_allclose(one, expected[0], atol=1e-5)
        output = call(model, **tokens)
        torch.testing.assert_close(output["last_hidden_state"], hidden, atol=1e-4, rtol=1e-4)


def test_the_next_model_of_transformers_is_forked_with_it_imported(
    models: ModelsUnderTest, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    copy = tmp_path / "copy"
    shutil.copytree(minilm(), copy)

    def zygote() -> dict[str, Any] | None:
        _, info = models.request("GET", "/native/engine")
        return next(
            (item for item in info["environments"] if item["extra"] and item["state"] == "warm"), None
        )

    with models.loaded(minilm()) as first:
        expected = call(first, SENTENCES)
        until(lambda: zygote() is not None, "an interpreter with transformers imported", 60)
        with models.loaded(copy) as second:
            assert second.host is not None
            assert second.host.pid is not None
            found = zygote()
            assert found is not None
            assert found["pid"] in [parent.pid for parent in psutil.Process(second.host.pid).parents()]
            np.testing.assert_array_equal(call(second, SENTENCES), expected)
            private = rollup(second.host.pid)["private"]
            assert second.host.estimated_bytes == pytest.approx(private, rel=0.2)


def test_unload_ends_the_process_and_tells_what_that_gave(models: ModelsUnderTest, tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors", {"w": torch.ones(16 << 20, dtype=torch.bfloat16)})
    before = set(models.engine.where.hosts_dir.iterdir())
    model = models.load(path)
    assert model.host is not None
    process = psutil.Process(model.host.pid)
    assert model.host.memory_bytes is not None
    assert model.host.memory_bytes > 32 << 20
    after = models.unload(model.id)
    assert after.state == "downloaded"
    assert after.host is None
    assert after.unloaded is not None
    assert after.unloaded.host_bytes > 32 << 20
    assert after.unloaded.available_before_bytes > 0
    assert not process.is_running()
    assert set(models.engine.where.hosts_dir.iterdir()) <= before
    assert not Path(model.host.calls).exists()


def test_tensors_without_a_module_can_be_listed_and_fetched(models: ModelsUnderTest, tmp_path: Path) -> None:
    from jupyter_ext.ipc import values
    from jupyter_ext.ipc.channel import CallError, Connection

    weight = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    path = save(tmp_path / "m.safetensors", {"w": weight, "n": torch.tensor([7])})
    with models.loaded(path) as model:
        assert model.host is not None
        assert model.host.task == "tensors"
        assert "no config.json says what it is; give factory=" in model.host.notices[0]
        with Connection(model.host.calls) as channel:
            listed, _ = channel.call("tensors")
            assert {"name": "w", "dtype": "bfloat16", "shape": [2, 3]} in listed["tensors"]
            answer, blobs = channel.call("tensor", {"name": "w"})
            assert torch.equal(values.decode(answer["value"], blobs), weight)
            with pytest.raises(CallError, match="no tensor 'v'"):
                channel.call("tensor", {"name": "v"})
        with pytest.raises(CallError, match="give factory=…"):
            call(model, weight)


def test_a_model_that_cannot_fit_is_refused_with_numbers(models: ModelsUnderTest, tmp_path: Path) -> None:
    size = 64 << 40
    text = f'{{"w":{{"dtype":"BF16","shape":[{size // 2}],"data_offsets":[0,{size}]}}}}'.encode()
    path = tmp_path / "big.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    try:
        with open(path, "r+b") as file:
            file.truncate(8 + len(text) + size)
    except OSError:
        size = 8 << 40
        text = f'{{"w":{{"dtype":"BF16","shape":[{size // 2}],"data_offsets":[0,{size}]}}}}'.encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with open(path, "r+b") as file:
            file.truncate(8 + len(text) + size)
    before = set(models.engine.where.hosts_dir.iterdir())
    said = models.refusal(path)
    assert f"weights {format_bytes(size)} as bfloat16" in said
    assert "are there" in said
    assert "force=True" in said
    assert set(models.engine.where.hosts_dir.iterdir()) <= before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "cuda:7"}, "device 'cuda:7' is not there"),
        ({"device": "quantum"}, "device 'quantum' is unknown; give cpu"),
        ({"dtype": "int3"}, "dtype 'int3' is unknown; give float32"),
        ({"options": {"weights": "../secret.bin"}}, "no name of a file"),
        ({"options": {"speed": 9}}, "no option 'speed'"),
    ],
)
def test_what_is_not_there_is_one_clear_line(
    models: ModelsUnderTest, tmp_path: Path, options: dict[str, object], says: str
) -> None:
    save(tmp_path / "m/model.safetensors", {"w": torch.zeros(2)})
    said = models.refusal(tmp_path / "m", **options)
    assert says in said
    assert "\n" not in said
