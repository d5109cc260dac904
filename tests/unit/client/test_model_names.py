"""Which model a text means: a full reference that one and no other, a name or a beginning only where it is clear."""

from __future__ import annotations

import pytest

from jupyter_ext.client.models import handle
from jupyter_ext.client.models.handle import Models
from jupyter_ext.errors import UnknownId
from jupyter_ext.protocol.model_refs import is_reference
from jupyter_ext.protocol.models import LocalModel, ModelPage

IDS = [
    "hub:acme/llama-8b-instruct",
    "hub:acme/base@v1",
    "hub:acme/minilm",
    "hub:gpt2@v1",
    "hub:distil-small",
    "url:https://x.org/a/model.safetensors",
    "file:/models/llama-8b-instruct",
    "training:abcdefghijklmnopqrstuvwxyz",
    "custom:GPT: local",
    "hub:one/twin",
    "hub:two/twin",
]


def resource(model_id: str) -> LocalModel:
    source, _, rest = model_id.partition(":")
    name = rest.partition("@")[0] if source == "hub" else rest.rpartition("/")[2]
    kind = "service" if source == "custom" else source
    return LocalModel.model_validate({"id": model_id, "name": name, "source": kind, "created_at": ""})


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An engine that knows these models, and notes what is asked beyond the list."""
    asked: list[str] = []

    class Requests:
        def page(self) -> ModelPage:
            return ModelPage(
                models=[resource(id) for id in IDS],
                disk_free_bytes=0,
                memory_available_bytes=0,
                memory_total_bytes=0,
            )

        def get(self, model_id: str) -> LocalModel:
            asked.append(model_id)
            raise UnknownId(f"There is no model {model_id!r}.")

        def add(self, model_id: str, **_: object) -> LocalModel:
            asked.append(model_id)
            return resource(model_id)

    monkeypatch.setattr(handle, "_models", Requests)
    monkeypatch.setattr(handle, "_run", lambda found: found)
    return asked


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("acme/llama-8b-instruct", "hub:acme/llama-8b-instruct"),
        ("hub:acme/minilm", "hub:acme/minilm"),
        ("acme/base@v1", "hub:acme/base@v1"),
        ("gpt2@v1", "hub:gpt2@v1"),
        ("minilm", "hub:acme/minilm"),
        ("distil", "hub:distil-small"),
        ("abcdef", "training:abcdefghijklmnopqrstuvwxyz"),
        ("abcdefghijklmnopqrstuvwxyz", "training:abcdefghijklmnopqrstuvwxyz"),
        ("GPT: local", "custom:GPT: local"),
        ("model.safetensors", "url:https://x.org/a/model.safetensors"),
        ("https://x.org/a/model.safetensors", "url:https://x.org/a/model.safetensors"),
        ("/models/llama-8b-instruct", "file:/models/llama-8b-instruct"),
        ("/models/../models/llama-8b-instruct/", "file:/models/llama-8b-instruct"),
    ],
)
def test_a_model_is_found_by_what_names_it_alone(text: str, id: str, engine: list[str]) -> None:
    found = Models().find(text)
    assert found is not None
    assert found.id == id
    assert engine == []


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("acme/llama-8b", "hub:acme/llama-8b"),
        ("acme/llama", "hub:acme/llama"),
        ("acme/base", "hub:acme/base"),
        ("acme/base@v", "hub:acme/base@v"),
        ("acme/minilm@v1", "hub:acme/minilm@v1"),
        ("ACME/minilm", "hub:ACME/minilm"),
        ("hub:gpt2", "hub:gpt2"),
        ("hub:distil", "hub:distil"),
        ("https://x.org/a/model", "url:https://x.org/a/model"),
        ("/models/llama-8b", "file:/models/llama-8b"),
        ("/models", "file:/models"),
        ("unheard-of", "hub:unheard-of"),
    ],
)
def test_a_reference_to_another_model_is_that_model(text: str, id: str, engine: list[str]) -> None:
    assert Models().find(text) is None
    assert Models().get(text).id == id
    assert engine == [id]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpt2", r"no model 'gpt2'.*gpt2@v1.*The hub's own model of that name is hub:gpt2"),
        ("base", r"Close to it: acme/base@v1"),
        ("llama-8b", r"acme/llama-8b-instruct"),
        ("llama-8b-instruct", r"fits 2 models: .*acme/llama-8b-instruct.*file:/models"),
        ("twin", r"fits 2 models: .*one/twin.*two/twin"),
        ("disti", r"at least 6 characters: distil-small"),
        ("uvwxyz", r"Close to it: .*abcdefghijklmnopqrstuvwxyz"),
        ("", "no model ''"),
        ("\ud800", "no model"),
        ("a\nb", "no model"),
    ],
)
def test_what_may_mean_another_is_refused_with_candidates(text: str, says: str, engine: list[str]) -> None:
    with pytest.raises(UnknownId, match=says) as raised:
        Models().get(text)
    assert str(raised.value).isprintable()
    assert engine == []


def test_a_training_is_asked_for_by_its_whole_id(engine: list[str]) -> None:
    with pytest.raises(UnknownId):
        Models().get("training:abcdef")
    assert engine == ["training:abcdef"]


@pytest.mark.parametrize("text", ["my model", "a/b/c", "GPT: local", "gpt2", "C:\\x", ""])
def test_names_are_no_references(text: str) -> None:
    assert not is_reference(text)
