"""The names that a notebook uses: `train`, `trainings`, `engine`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Unpack

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.bundles.cog_project import capture_folder
from jupyter_ext.bundles.script_file import capture_file
from jupyter_ext.client.capture.callables import parameter_names
from jupyter_ext.client.capture.capture import capture_function
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.list_query import ListQuery
from jupyter_ext.client.requests.place import Place
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.requests.resolve import check_text, choose
from jupyter_ext.client.requests.service_ref import RemoteRef, is_remote, remote_ref
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.listing import TrainingList
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.addresses import shown
from jupyter_ext.protocol.counts import one
from jupyter_ext.protocol.trainings import EngineInfo, Listening

if TYPE_CHECKING:
    import pandas as pd

BACKENDS = ("local", "ray", "replicate", "a base URL")
_PAGE = 500
_EXAMPLES = {
    "on": "local",
    "destination": "me/digits",
    "name": "digits",
    "address": "http://127.0.0.1:8265",
    "storage": "s3://bucket/runs",
}
_OF_A_PLACE = ("workers", "address", "cpus", "gpus", "storage")


class _Unset:
    """What an option has that was not given."""

    def __repr__(self) -> str:
        return "…"


_UNSET: Any = _Unset()


def train(
    function: Callable[..., Any] | str | os.PathLike[str],
    inputs: Mapping[str, object] | None = None,
    /,
    *,
    on: str = _UNSET,
    destination: str | None = _UNSET,
    name: str | None = _UNSET,
    args: Sequence[str] = _UNSET,
    workers: int = _UNSET,
    address: str | None = _UNSET,
    cpus: float | None = _UNSET,
    gpus: float | None = _UNSET,
    storage: str | None = _UNSET,
    **more: Any,
) -> Training:
    """Start a training in a background process or on a service, and return at once.

    Args:
        function: A function, whose names of the notebook travel by value, or anything else that can be called: a method, an object, a
            partial, a class with `train()`; or the path of a Python file, which runs as `__main__`, or of a Cog project folder; or,
            with a service, `owner/name:version` of what it is to train.
        inputs: Its arguments as a mapping, beside those that are given as keywords.
        on: Where it runs: "local" (default), "ray", "replicate", or the base URL of a service that speaks Replicate's API.
        destination: `owner/name` of the model that gets a version with the weights that it returns. On this machine the
            model is made where there is none; a service has to know it.
        name: What to call it; by default the function's, the file's or the folder's name.
        args: The command line of a file, such as `["--epochs", "3"]`.
        workers: How many processes train: the ranks of one group, as `torchrun` would start them.
        address: Of a Ray cluster, as for `cpus` and `gpus`; see `Place`.
        cpus: See there.
        gpus: See there.
        storage: See there.
        **more: Its arguments, checked against its signature before anything starts. Secrets are written nowhere. A function whose
            own parameters have one of these names gets what is given under it, unless its arguments come as `inputs`.

    Raises:
        InvalidInput: An argument is missing, unknown, mistyped or out of range; or there is no such file or project.
        CannotTravel: It uses a name that cannot be sent to the worker.
    """
    check_mapping(inputs)
    options = _given(on=on, destination=destination, name=name, args=args, workers=workers, address=address)
    options |= _given(cpus=cpus, gpus=gpus, storage=storage)
    own = set(parameter_names(function)) if inputs is None else set[str]()
    values = {**(inputs or {}), **more, **{key: options.pop(key) for key in [*options] if key in own}}
    _check_texts(options)
    where, called = options.pop("on", "local"), options.get("name")
    place = Place(on=where, **{key: options[key] for key in _OF_A_PLACE if key in options})
    if is_remote(where):
        place.check_plain()
        ref = remote_ref(_text(function, where), where, options.get("destination"))
        return start_remote(ref, values, called)
    check_backend(where)
    if isinstance(function, str | os.PathLike):
        bundle = capture_path(function, called, _words(options.get("args", ())), values)
    elif "args" in options:
        raise InvalidInput("args=… is the command line of a file; give a function its arguments by name.")
    else:
        bundle = capture_function(function, called)
    return start(bundle, values, options.get("destination"), place)


def check_mapping(inputs: object) -> None:
    """Refuse inputs that are not given by name.

    Raises:
        InvalidInput: They are no mapping.
    """
    if inputs is not None and not isinstance(inputs, Mapping):
        text = f"{inputs!r:.60} is {one(type(inputs).__name__)}; give inputs by name: jx.train(fn, x=…)."
        raise InvalidInput(text)


def _check_texts(options: Mapping[str, object]) -> None:
    for key in ("on", "destination", "name", "address", "storage"):
        if not isinstance(value := options.get(key), str | None):
            raise InvalidInput(f"{key}={value!r:.60} is no text, such as {key}='{_EXAMPLES[key]}'.")


def _words(args: object) -> list[str]:
    """Return a command line as texts; its numbers and paths may be given as such."""
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise InvalidInput(f"args={args!r:.60} is no list of words, such as args=['--epochs', '3'].")
    return [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in args]


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not _UNSET}


def capture_path(
    path: str | os.PathLike[str],
    name: str | None = None,
    args: Sequence[str] = (),
    inputs: Iterable[str] = (),
) -> Bundle:
    """Make a bundle of a Python file or of the folder of a Cog project.

    Args:
        path: Which.
        name: What to call the training; by default the file's or the folder's name.
        args: The command line of a file.
        inputs: Names of inputs that are given besides.

    Raises:
        InvalidInput: There is nothing of that kind.
    """
    if Path(path).expanduser().is_dir():
        if args:
            raise InvalidInput(
                f"{os.fspath(path)} is a folder with cog.yaml, which has no command line; give inputs."
            )
        return capture_folder(path, name)
    if Path(path).suffix not in (".py", ".ipynb") and not Path(path).expanduser().exists():
        raise _nothing_at(os.fspath(path))
    return capture_file(path, name, args, inputs)


def _nothing_at(path: str) -> InvalidInput:
    module = Path(*path.split("."))
    hint = f" Is it {module}.py?" if module.with_suffix(".py").exists() else ""
    return InvalidInput(f"There is no folder and no file {path!r}.{hint}")


def _text(ref: object, on: str) -> str:
    if not isinstance(ref, str):
        raise InvalidInput(
            f"{on} trains versions that it knows, not code of the notebook; give it owner/name:version."
        )
    return ref


def start_remote(ref: RemoteRef, inputs: Mapping[str, object], name: str | None = None) -> Training:
    """Start a training on a service."""
    return Training(client(), loop_thread().run(client().create_remote(ref, inputs, name)))


def start(
    bundle: Bundle,
    inputs: Mapping[str, object],
    destination: str | None = None,
    place: Place | None = None,
) -> Training:
    """Start a training of a bundle.

    Args:
        bundle: The code.
        inputs: Its arguments; they go before those that the bundle brings itself.
        destination: `owner/name` of the model that gets a version with the weights.
        place: How it runs; by default as one process.
    """
    asking = client().create(bundle, {**bundle.given, **inputs}, destination, place)
    return Training(client(), loop_thread().run(asking))


def upload(name: str, file: IO[bytes]) -> str:
    """Keep a file with the engine and return a link that a training's `Path` input takes."""
    return loop_thread().run(client().upload(name, file))


def check_backend(name: str) -> None:
    """Refuse a backend that there is not.

    Raises:
        InvalidInput: There is none of this name.
    """
    if name not in ("local", "ray"):
        raise InvalidInput(
            f"There is no backend {shown(name)!r}; this version runs trainings on: {', '.join(BACKENDS)}."
        )


class Trainings:
    """All trainings of this user on this host."""

    def get(self, text: str) -> Training:
        """Return a training by its name (the newest of that name), its id, or a beginning of the id.

        Args:
            text: The name, the id, or at least six of the id's first characters.

        Raises:
            UnknownId: There is none, or more than one id begins so; the message lists candidates.
        """
        return Training(client(), loop_thread().run(client().get(self.resolve(text))))

    def list(self, status: str | None = None, limit: int = 100, **query: Unpack[ListQuery]) -> TrainingList:
        """List trainings, newest first.

        Args:
            status: Only those in this state, or in one of several with commas between them.
            limit: At most so many.
            **query: `q`, only those with this text in their name, id or tags; `sort`, by `created_at`, `name`, `id`,
                `status`, `duration`, `input:NAME`, `last:METRIC`, `min:METRIC` or `max:METRIC`, with `-` before it for
                the largest first; `offset`, leave out so many.

        Raises:
            InvalidInput: There is no such order, or a number is none.
            TypeError: An argument has another name.
        """
        found = loop_thread().run(client().page(status, limit, **query))
        return TrainingList(Training(client(), training) for training in found.trainings)

    def resolve(self, text: str) -> str:
        """Return the id of the training that a name, an id or a beginning of an id means; see `get`.

        Raises:
            UnknownId: There is none, or more than one id begins so.
        """
        text = check_text(text, "training", "%trainings")
        found = choose(text, self._all(text), kind="training", list_with="%trainings", names_repeat=True)
        return found.id

    def _all(self, text: str) -> Iterator[Training]:
        """Yield every training with this text in its name, id or tags, newest first; without one, those that may be meant."""
        offset = 0
        while page := self.list(limit=_PAGE, q=text, offset=offset):
            yield from page
            offset += len(page)
        if not offset:
            yield from self.list()


def runs(status: str | None = None, limit: int = 1000, **query: Unpack[ListQuery]) -> pd.DataFrame:
    """Return trainings as one tidy DataFrame, newest first: what each is, `input.NAME`, `last.KEY` and `best.KEY`.

    Args:
        status: Only those in this state, or in one of several with commas between them.
        limit: At most so many.
        **query: See `trainings.list`.

    Raises:
        InvalidInput: There is no such order, or a number is none.
    """
    found, first = TrainingList(), query.get("offset", 0)
    while len(found) < limit:
        query["offset"] = first + len(found)
        page = trainings.list(status, min(_PAGE, limit - len(found)), **query)
        found.extend(page)
        if not page:
            break
    return found.dataframe()


class EngineController:
    """The engine of this user on this host."""

    def status(self) -> EngineInfo:
        """Describe the engine, starting it where there is none."""
        return loop_thread().run(client().engine())

    def listen(self, port: int = 0) -> Listening:
        """Open its loopback port for other programs, or give the one that is open."""
        return loop_thread().run(client().listen(port))

    def listen_as_pieces(self) -> str:
        """Open a port in the range of Pieces OS, and give its URL: for models only, and without a token.

        Every program and user of this machine can then list, fetch, load, unload and delete models.
        """
        return loop_thread().run(client().listen_as_pieces())


trainings = Trainings()
engine = EngineController()
