"""Local models in a notebook: `jx.models`, and the handle of one."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.client.models import downloads
from jupyter_ext.client.models.calls import Generation, ModelCalls
from jupyter_ext.client.models.downloads import Partial
from jupyter_ext.client.models.keep_alive import seconds
from jupyter_ext.client.models.listing import ModelList, describe
from jupyter_ext.client.models.module_factory import host_options, torch_module
from jupyter_ext.client.models.names import chosen
from jupyter_ext.client.models.page_holders import holders, weight_files
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.models import ModelEvent, ModelRequests
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.requests.resolve import check_text
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.model_refs import full_id, is_reference
from jupyter_ext.protocol.models import LocalModel, Unloaded

_ABOUT_THE_PROCESS = ("device", "dtype", "keep_alive", "pin", "force")


class Model:
    """One local model, whoever downloaded or loaded it. Displays as its live view."""

    def __init__(self, resource: LocalModel) -> None:
        self._resource = resource
        self._loading: dict[str, Any] = {}
        self._calls = ModelCalls(lambda: self.info, lambda: self.load(**self._loading).known)

    def __repr__(self) -> str:
        """Return a line that says what it is and how it stands."""
        return f"<Model {describe(self._resource)}>"

    @property
    def id(self) -> str:
        """Its id, such as `hub:org/name`."""
        return self._resource.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self._resource.name

    @property
    def known(self) -> LocalModel:
        """What was last heard of it, without asking."""
        return self._resource

    @property
    def info(self) -> LocalModel:
        """Everything the engine says of it: sizes, files, transfer, host, users."""
        return self._take(_run(_models().get(self.id)))

    @property
    def state(self) -> str:
        """One of `absent`, `partial`, `downloading`, `downloaded`, `loading`, `loaded`, `unloading`."""
        return self.info.state

    @property
    def path(self) -> str | None:
        """Where its files are, once they are here."""
        return self.info.path

    def download(
        self, *, wait: bool = False, timeout_s: float | None = None, weights: Sequence[str] = ()
    ) -> Model:
        """Begin to download it, and return at once; whoever asks while it runs joins.

        Args:
            wait: Return when it is here; an interrupt ends the waiting, not the download.
            timeout_s: How long to wait, seconds; by default as long as it takes.
            weights: Names or patterns of files that are no safetensors and are wanted all the same, such as
                `"pytorch_model.bin"`.

        Raises:
            RequestRefused: While waiting: it failed, or somebody canceled it.
            NotOver: It is not here after that many seconds; the download goes on.
        """
        self._take(_run(_models().download(self.id, weights)))
        if wait:
            self._take(_run(_models().downloaded(self.id, timeout_s)))
        return self

    def cancel(self) -> Model:
        """Stop its download, whoever began it; what has come is kept for the next one."""
        self._take(_run(_models().cancel(self.id)))
        return self

    def load(
        self,
        *,
        device: str | None = None,
        dtype: str | None = None,
        keep_alive: float | str | None = None,
        pin: bool = False,
        force: bool = False,
        wait: bool = True,
        **options: Any,
    ) -> Model:
        """Load it into a process of its own, which all notebooks share; it is downloaded first where it is not here.

        Args:
            device: Such as "cpu" or "cuda:0".
            dtype: Such as "bfloat16"; by default as its files have it, which costs no copy.
            keep_alive: Unload it after so long without a call: seconds, or a text such as "10m", "2h", "forever".
            pin: Never unload it to make room.
            force: Load it although it does not seem to fit.
            wait: Return when it is loaded; otherwise at once.
            **options: How its module is built, where no `config.json` says it: `factory`, its class or a function that
                builds it, or a class's name in the code of a training; arguments for the factory; `weights`, the file
                to take, by name; `batch`, whether concurrent calls may be computed together.

        Raises:
            RequestRefused: It cannot be loaded: it does not fit, is loaded otherwise, or its files are not what they say.
            InvalidInput: An option is unknown, or the factory is none.
            CannotTravel: The factory uses a name of the notebook that cannot be sent.
        """
        process_options = host_options(options)
        given = {"device": device, "dtype": dtype, "keep_alive": keep_alive, "pin": pin, "force": force}
        self._loading = {**given, **options}  # also of a load that is killed: the next one is the same
        if wait:
            self._say_what_it_waits_for()
        self._take(
            _run(
                _models().load(
                    self.id,
                    device=device,
                    dtype=dtype,
                    keep_alive_s=seconds(keep_alive),
                    pin=pin,
                    force=force,
                    wait=wait,
                    options=process_options,
                )
            )
        )
        return self

    def _say_what_it_waits_for(self) -> None:
        model = self.info
        if model.source not in ("hub", "url") or model.state not in ("absent", "partial", "downloading"):
            return
        size = f" ({format_bytes(model.bytes)})" if model.bytes else ""
        print(
            f"{model.name} is downloaded first{size}, then loaded; an interrupt ends the waiting, not the download.",
            file=sys.stderr,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in its process: its forward, or what it makes of text. It is loaded first where it is not.

        Args:
            *args: Tensors, arrays, lists of numbers, data frames, or text where it has a tokenizer; what comes back is of
                the kind that went in, and of text vectors as an array, labels, or more text.
            **kwargs: Passed through.

        Raises:
            CallFailed: The module raised (the text is its traceback, cut to your frames), or its process ended.
            InvalidInput: It cannot take this.
            CannotTravel: A value that cannot be sent.
        """
        return self._calls.call(*args, **kwargs)

    def generate(self, prompt: Any, **options: Any) -> Generation:
        """Generate text, piece by piece: iterate over what this gives, or take its `text`. An interrupt stops it.

        Args:
            prompt: A text, a chat as a list of `{"role": …, "content": …}`, or token ids.
            **options: `max_new_tokens` (256 by default), `temperature`, `top_p`, `do_sample`, `stop_strings`, `seed` and
                whatever else `transformers`' `generate` takes.
        """
        return self._calls.generate(prompt, **options)

    def torch(self, *, device: str | None = None, dtype: str | None = None, **options: Any) -> Any:
        """Return its real `nn.Module` in this kernel, over the same pages as its process has: no copy, no second model.

        Args:
            device: Anything but the CPU is a copy.
            dtype: Another one than its files have is a copy.
            **options: As for `load`; by default those that it was loaded with here.

        Raises:
            LoadFailed: It is not here, nothing says what builds it, or its weights do not fit.
        """
        built = {name: item for name, item in self._loading.items() if name not in _ABOUT_THE_PROCESS}
        return torch_module(self.info, options or built, device, dtype)

    def tensors(self) -> list[dict[str, Any]]:
        """List its tensors: name, dtype, shape. It is loaded first where it is not."""
        return self._calls.tensors()

    def tensor(self, name: str) -> Any:
        """Return a copy of one of its tensors.

        Raises:
            InvalidInput: It has none of this name.
        """
        return self._calls.tensor(name)

    def unload(self, *, wait: bool = True) -> Unloaded | None:
        """End its process, for all notebooks.

        Returns:
            Memory before and after, and in `held` what still holds its pages in this kernel, such as a variable with its
            `torch()`; `None` where it was not loaded, or without waiting.
        """
        was_loaded = self._resource.state != "downloaded" or self.state != "downloaded"
        self._take(_run(_models().unload(self.id, wait=wait)))
        freed = self._resource.unloaded if wait and was_loaded else None
        self._calls.close()
        if freed is None or self._resource.path is None:
            return freed
        return freed.model_copy(update={"held": holders(weight_files(Path(self._resource.path)))})

    def update(self, *, check_only: bool = False, wait: bool = False) -> Model:
        """Look for a newer revision and begin to fetch it beside this one; what is loaded stays as it is.

        Args:
            check_only: Fetch nothing; `info.newer_revision` says what there is.
            wait: Return when it is here.
        """
        self._take(_run(_models().update(self.id, check_only=check_only)))
        if wait and not check_only:
            self._take(_run(_models().downloaded(self.id)))
        return self

    def keep(self, *, keep_alive: float | str | None = None, pin: bool | None = None) -> Model:
        """Change how long it stays loaded; what is not given stays."""
        self._take(_run(_models().change(self.id, pinned=pin, keep_alive_s=seconds(keep_alive))))
        return self

    def describe(self, description: str | None = None, name: str | None = None) -> Model:
        """Change its description, name or both."""
        self._take(_run(_models().change(self.id, name=name, description=description)))
        return self

    def delete(self, *, force: bool = False) -> None:
        """Forget it and delete its files; your own files and those of trainings stay.

        Args:
            force: Also while it is loaded: it is unloaded first.

        Raises:
            RequestRefused: It is loaded; the text names who uses it.
        """
        _run(_models().delete(self.id, force=force))

    def delete_files(self, *, force: bool = False) -> Model:
        """Delete its files, also those of a download that was cut, and keep it in the list."""
        self._take(_run(_models().delete_files(self.id, force=force)))
        return self

    def follow(self) -> Iterator[LocalModel]:
        """Yield it as it is now and each time that it changes, until it is deleted."""
        events = _models().follow()
        while True:
            event: ModelEvent = _run(anext(events))
            if event.kind == "removed" and event.id == self.id:
                return
            found = event.model
            if event.page is not None:
                found = next((model for model in event.page.models if model.id == self.id), None)
            if found is not None and found.id == self.id:
                yield self._take(found)

    def _take(self, resource: LocalModel) -> LocalModel:
        self._resource = resource
        return resource

    def _ipython_display_(self) -> None:
        ModelList([self], _run(_models().page()), model_id=self.id).show()


class Models:
    """All local models of this user on this machine."""

    def list(self, on: str | None = None) -> ModelList[Model]:
        """List them, the latest used first.

        Args:
            on: Only those of a service: "pieces" for Pieces OS on this machine, or the base URL of one like it.
        """
        page = _run(_models().page(on))
        return ModelList([Model(model) for model in page.models], page)

    def get(self, text: str) -> Model:
        """Return a model by its name, its id or the beginning of one; nothing is fetched.

        Args:
            text: A full reference: `hub:org/name[@revision]` or `org/name`, a path, an address, `training:<id>`; it
                means that model and no other, known or not. Or the name of a model of the list, or at least six of its
                id's first characters.

        Raises:
            UnknownId: Several fit, or none and others come close; the message lists them.
            InvalidInput: It is nothing that a model is called.
        """
        found = self.find(text)
        return found if found is not None else self.add(text)

    def find(self, text: str) -> Model | None:
        """Return a model that is known already, or `None`; see `get`.

        Raises:
            UnknownId: Several fit, or none and others come close; the message lists them.
        """
        text = check_text(text, "model", "%models").strip()
        full = full_id(text)
        known = _run(_models().page()).models
        exact = next((model for model in known if model.id == full), None)
        if exact is not None and is_reference(text):
            return Model(exact)
        if full.startswith("training:"):
            return Model(_run(_models().get(full)))
        found = None if is_reference(text) else chosen(text, known)
        return None if found is None else Model(found)

    def add(
        self, text: str, *, name: str | None = None, description: str | None = None, look: bool = False
    ) -> Model:
        """Begin to know a model by its id, a path or an address; nothing is fetched.

        Args:
            text: Such as `org/name`, `/path/to/folder`, `https://…/model.safetensors`.
            name: What to call it.
            description: What to say of it.
            look: Ask its hub first how big it is and what it takes in memory.

        Raises:
            InvalidInput: It is none of these, or a folder without weights.
            RequestRefused: With `look`: its hub has none such, or cannot be asked.
        """
        return Model(_run(_models().add(full_id(text), name=name, description=description, look=look)))

    def unload(self) -> None:
        """Unload every model that nobody has pinned."""
        _run(_models().unload_all())

    def partials(self) -> builtins.list[Partial]:
        """List the files that downloads which were cut have left, the latest first; each has `remove()`."""
        return downloads.partials()

    @property
    def download_limit(self) -> float | None:
        """The rate that all downloads share, bytes a second; `None` is no limit.

        Set to bytes a second, "20MB" or `None`; that holds at once, for all notebooks, and until it is changed.
        """
        return downloads.limit()

    @download_limit.setter
    def download_limit(self, rate: float | str | None) -> None:
        downloads.set_limit(rate)


def _models() -> ModelRequests:
    return client().models


def _run(work: Any) -> Any:
    return loop_thread().run(work)


def known_ids() -> list[str]:
    """Return the ids of all models, for completion; empty where no engine can be asked."""
    try:
        return [model.id for model in _run(_models().page()).models]
    except JupyterExtError:
        return []


models = Models()
