"""`jx.sweep`: start a sweep, and find those that there are."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_cell, capture_function
from jupyter_ext.client.capture.input_values import with_inputs
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.place import HERE, Place, SweepRef
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.sweeps.handle import Sweep
from jupyter_ext.client.sweeps.plan import Direction
from jupyter_ext.client.sweeps.space import MAX_TRIALS, Dimension, check, is_whole, read_space
from jupyter_ext.client.trainings.api import capture_path, check_backend, check_mapping, trainings
from jupyter_ext.client.trainings.listing import is_lower_better
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.trainings import Training

_DRIVER = """\
def train(trials, parallel, metric, direction, space, fixed, model, version, workers, prune, seed, ray=None):
    from jupyter_ext.client.sweeps.driver import drive

    return drive(dict(
        trials=trials, parallel=parallel, metric=metric, direction=direction, space=space, fixed=fixed, model=model,
        version=version, workers=workers, prune=prune, seed=seed, ray=ray,
    ))
"""
MAX_PARALLEL = 256
MAX_SEED = (1 << 32) - 1 - MAX_TRIALS
"""The number of trials so far is added, and numpy takes 32 bits."""


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep goes about it.

    Attributes:
        trials: How many trainings in all.
        parallel: At most so many at a time.
        metric: What is compared: the last value of a metric that is logged, or a key of the mapping that is returned; by default
            the number that is returned.
        direction: Which is better, "minimize" or "maximize"; by default as the metric's name says.
        place: Where and how each trial runs.
        prune: Whether a trial whose metric is worse than the median of the others at the same step is ended early.
        seed: Of the choice of inputs, for one that can be repeated.

    Raises:
        InvalidInput: A number or the direction is none.
    """

    trials: int = 20
    parallel: int = 1
    metric: str | None = None
    direction: Direction | None = None
    place: Place = HERE
    prune: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, most in (("trials", MAX_TRIALS), ("parallel", MAX_PARALLEL)):
            number = getattr(self, name)
            if not is_whole(number, 1, most):
                raise InvalidInput(f"{name}={number!r:.40} is no number from 1 to {most:,}.")
        if self.seed is not None and not is_whole(self.seed, 0, MAX_SEED):
            raise InvalidInput(f"seed={self.seed!r:.40} is no number from 0 to {MAX_SEED:,}.")
        if self.metric is not None and not str(self.metric).strip():
            raise InvalidInput(f"metric={self.metric!r:.40} is no metric's name, such as 'val/loss'.")
        if self.direction not in (None, "minimize", "maximize"):
            raise InvalidInput(f"direction={self.direction!r:.40} is neither minimize nor maximize.")

    @property
    def chosen_direction(self) -> Direction:
        """Which is better; a result without a name counts as a loss."""
        if self.direction is not None:
            return self.direction
        return "minimize" if self.metric is None or is_lower_better(self.metric) else "maximize"


def sweep(
    function: Callable[..., Any] | str | os.PathLike[str],
    space: Mapping[str, object],
    inputs: Mapping[str, object] | None = None,
    /,
    *,
    trials: int = 20,
    parallel: int = 1,
    metric: str | None = None,
    direction: Direction | None = None,
    name: str | None = None,
    workers: int = 1,
    prune: bool = True,
    seed: int | None = None,
    on: str = "local",
    address: str | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    storage: str | None = None,
) -> Sweep:
    """Train a function again and again with inputs that Optuna chooses, in the background, and return at once.

    Args:
        function: As of `train`: a function of the notebook, or the path of a file or a Cog project.
        space: What is varied, by name: `jx.loguniform(1e-4, 1e-1)`, the text of it, or a list of options.
        inputs: Its other inputs.
        trials: See `SweepOptions`, as for all that follow.
        parallel: See there.
        metric: See there.
        direction: See there.
        name: What to call it; by default the function's name.
        workers: How many processes each trial has.
        prune: See there.
        seed: See there.
        on: Where each trial runs: "local" (default), or "ray" for a job of a Ray cluster.
        address: Of that cluster, as for `cpus` and `gpus`; see `Place`.
        cpus: See there.
        gpus: See there.
        storage: See there.

    Raises:
        InvalidInput: An input is unknown, secret, mistyped or out of range, or Optuna is not installed.
        CannotTravel: It uses a name that cannot be sent to the worker.
    """
    check_backend(on)
    place = Place(workers, on, address, cpus, gpus, storage)
    options = SweepOptions(trials, parallel, metric, direction, place, prune, seed)
    dimensions = read_space(space)
    check_mapping(inputs)
    if isinstance(function, str | os.PathLike):
        bundle = capture_path(function, name, (), {**space, **(inputs or {})})
    else:
        bundle = capture_function(function, name)
    return start_sweep(bundle, dimensions, inputs or {}, options)


def start_sweep(
    bundle: Bundle, space: Mapping[str, Dimension], inputs: Mapping[str, object], options: SweepOptions
) -> Sweep:
    """Start a sweep of a bundle; see `sweep`."""
    if importlib.util.find_spec("optuna") is None:
        raise InvalidInput("Sweeps need Optuna: pip install 'jupyter-ext[sweep]'.")
    fixed = {**{name: value for name, value in bundle.given.items() if name not in space}, **inputs}
    check(bundle, space, fixed)
    driver = loop_thread().run(_start(client(), bundle, space, fixed, options))
    return Sweep(client(), driver)


async def _start(
    asking: AsyncClient,
    bundle: Bundle,
    space: Mapping[str, Dimension],
    fixed: Mapping[str, object],
    options: SweepOptions,
) -> Training:
    bundle, values = with_inputs(bundle, fixed)
    version = await asking.add_version(bundle)
    plan = {
        "trials": options.trials,
        "parallel": options.parallel,
        "metric": options.metric or "",
        "direction": options.chosen_direction,
        "space": {name: one.as_json() for name, one in space.items()},
        "fixed": values,
        "model": version.model,
        "version": version.id,
        "workers": options.place.workers,
        "ray": options.place.ray,
        "prune": options.prune,
        "seed": options.seed,
    }
    driver = await asking.add_version(capture_cell(_DRIVER, {}, bundle.name, plan))
    return await asking.create_from(driver, plan, sweep=SweepRef(""))


class Sweeps:
    """All sweeps of this user on this host."""

    def get(self, text: str) -> Sweep:
        """Return a sweep by its name (the newest of that name), its id, or a beginning of the id.

        Raises:
            UnknownId: There is none.
            InvalidInput: It is a training, and drives no sweep.
        """
        run = trainings.get(text)
        if run.resource.sweep is None:
            raise InvalidInput(
                f"{run.name} ({run.id}) is a training and no sweep; `%training {run.id}` shows it."
            )
        return Sweep(client(), loop_thread().run(client().get(run.resource.sweep.id)))

    def __iter__(self) -> Iterator[Sweep]:
        """Yield the sweeps among the newest thousand trainings, newest first."""
        for run in trainings.list(limit=1000):
            if run.known.sweep is not None and run.known.sweep.id == run.id:
                yield Sweep(client(), run.known)


sweeps = Sweeps()
