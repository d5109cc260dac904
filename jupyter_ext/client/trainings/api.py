"""The names that a notebook uses: `train`, `trainings`, `engine`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any, Unpack

from jupyter_ext.client.capture.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_function
from jupyter_ext.client.capture.cog_project import capture_folder
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.list_query import ListQuery
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.requests.service_ref import RemoteRef, is_remote, remote_ref
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.listing import TrainingList
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.trainings import EngineInfo, Listening

BACKENDS = ("local", "replicate", "a base URL")


def train(
    function: Callable[..., Any] | str | os.PathLike[str],
    *,
    on: str = "local",
    destination: str | None = None,
    name: str | None = None,
    **inputs: Any,
) -> Training:
    """Start a training in a background process or on a service, and return at once.

    Args:
        function: A plain function, whose names of the notebook travel by value; or the path of a Cog project folder,
            whose `cog.yaml` names the trainer; or, with a service, `owner/name:version` of what it is to train.
        on: Where it runs: "local", "replicate", or the base URL of a service that speaks Replicate's API.
        destination: `owner/name` of the model that gets a version with the weights that it returns. On this machine the
            model is made where there is none; a service has to know it.
        name: What to call it; by default the function's or the folder's name.
        **inputs: Its arguments, checked against its signature before anything starts. Secrets are written nowhere.

    Raises:
        InvalidInput: An argument is missing, unknown, mistyped or out of range; or there is no such project.
        CannotTravel: It uses a name that cannot be sent to the worker.
    """
    if is_remote(on):
        return start_remote(remote_ref(_text(function, on), on, destination), inputs, name)
    check_backend(on)
    if isinstance(function, str | os.PathLike):
        return start(capture_folder(function, name), inputs, destination)
    return start(capture_function(function, name), inputs, destination)


def _text(ref: object, on: str) -> str:
    if not isinstance(ref, str):
        raise InvalidInput(
            f"{on} trains versions that it knows, not code of the notebook; give it owner/name:version."
        )
    return ref


def start_remote(ref: RemoteRef, inputs: dict[str, Any], name: str | None = None) -> Training:
    """Start a training on a service."""
    return Training(client(), loop_thread().run(client().create_remote(ref, inputs, name)))


def start(bundle: Bundle, inputs: dict[str, Any], destination: str | None = None) -> Training:
    """Start a training of a bundle."""
    return Training(client(), loop_thread().run(client().create(bundle, inputs, destination)))


def upload(name: str, file: IO[bytes]) -> str:
    """Keep a file with the engine; gives a link that a training's `Path` input takes."""
    return loop_thread().run(client().upload(name, file))


def check_backend(name: str) -> None:
    """Refuse a backend that there is not.

    Raises:
        InvalidInput: There is none of this name.
    """
    if name != "local":
        raise InvalidInput(
            f"There is no backend {name!r}; this version runs trainings on: {', '.join(BACKENDS)}."
        )


class Trainings:
    """All trainings of this user on this host."""

    def get(self, training_id: str) -> Training:
        """Give a training by its id, or by the beginning of it where that is unambiguous.

        Raises:
            UnknownId: There is none, or more than one.
        """
        return Training(client(), loop_thread().run(client().get(self.resolve(training_id))))

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
        """Turn the beginning of an id, or a name, into the id of the newest training that it fits."""
        if len(text) >= 26:
            return text
        for training in self.list(limit=1000, q=text) if text else []:
            if training.id.startswith(text) or training.name == text or training.id.endswith(text):
                return training.id
        return text or "?"


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
