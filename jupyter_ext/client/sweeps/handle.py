"""What `jx.sweep` gives: one sweep, whichever process drives it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from jupyter_ext.client import display_hook
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.sweeps.results import value_of
from jupyter_ext.client.sweeps.space import MAX_TRIALS, is_whole
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.listing import TrainingList, format_number
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol import trainings

if TYPE_CHECKING:
    import pandas as pd

_PAGE = 500
_PRUNED = "pruned"


class Sweep:
    """One sweep: the training that drives it, and a training for each trial. Displays as both."""

    def __init__(self, client: AsyncClient, driver: trainings.Training) -> None:
        self._client = client
        self._id = driver.sweep.id if driver.sweep is not None else driver.id
        self._driver = Training(client, driver)

    def __repr__(self) -> str:
        """Return a line that says what it is and how it stands."""
        driver = self._driver.known
        done = f"{driver.progress.current:g} of " if driver.progress is not None else ""
        return f"<Sweep {driver.name} {self._id} {driver.status}, {done}{driver.input.get('trials')} trials>"

    @property
    def id(self) -> str:
        """Its id, that of the training that drove it first."""
        return self._id

    @property
    def driver(self) -> Training:
        """The training that drives it now, or did so last."""
        newest = max(
            (run for run in self._all() if run.sweep is not None and run.sweep.trial is None),
            key=lambda run: run.created_at,
            default=None,
        )
        if newest is not None:
            self._driver = Training(self._client, newest)
        return self._driver

    @property
    def status(self) -> str:
        """One of `starting`, `processing`, `succeeded`, `failed`, `canceled`."""
        return self.driver.status

    @property
    def trials(self) -> TrainingList:
        """The trainings of its trials, in their order."""
        runs = [run for run in self._all() if run.sweep is not None and run.sweep.trial is not None]
        runs.sort(key=lambda run: (run.sweep.trial or 0) if run.sweep is not None else 0)
        return TrainingList(
            (Training(self._client, run) for run in runs), limit=max(20, min(100, len(runs))), text=self._id
        )

    @property
    def best(self) -> Training | None:
        """The training of the best trial so far."""
        plan = self._driver.known.input
        sign = -1.0 if plan.get("direction") == "maximize" else 1.0
        valued = [
            (sign * value, number, run)
            for number, run in enumerate(self.trials)
            if run.known.status == "succeeded"
            and (value := value_of(run.known, str(plan.get("metric") or ""))) is not None
        ]
        return min(valued)[2] if valued else None

    def dataframe(self) -> pd.DataFrame:
        """Return a table, one row a trial: `trial`, `state` (`pruned` among them), `value`, the inputs, `duration_s`, `id`."""
        import pandas as pd

        from jupyter_ext.client.trainings.listing import duration_s

        plan = self._driver.known.input
        records = []
        for run in self.trials:
            known = run.known
            assert known.sweep is not None
            varied = {name: known.input.get(name) for name in plan.get("space", ())}
            records.append(
                {
                    "trial": known.sweep.trial,
                    "state": _PRUNED if _PRUNED in known.tags else known.status,
                    "value": value_of(known, str(plan.get("metric") or "")),
                    **varied,
                    "duration_s": duration_s(known),
                    "id": known.id,
                }
            )
        return pd.DataFrame(records)

    def wait(self, timeout_s: float | None = None) -> Sweep:
        """Wait until it is over; an interrupt stops the waiting, not the sweep.

        Raises:
            TrainingFailed: No trial could succeed; the text says why.
            TrainingCanceled: It was stopped.
            NotOver: It is not over after that many seconds.
        """
        self.driver.wait(timeout_s)
        return self

    def stop(self) -> Sweep:
        """Stop it, and cancel the trials that run; those that are over are kept, and `extend` goes on."""
        self.driver.cancel()
        return self

    def resume(self) -> Sweep:
        """Go on after it was stopped or killed: no trial that is over is run again.

        Raises:
            RequestRefused: It runs.
        """
        return self.extend(0)

    def extend(self, trials: int) -> Sweep:
        """Go on with so many trials more.

        Raises:
            RequestRefused: It runs; stop it first, or wait.
            InvalidInput: The number is negative or none, or there would be too many.
        """
        driver = self.driver
        known = int(driver.resource.input["trials"])
        if not is_whole(trials, 0, MAX_TRIALS - known):
            raise InvalidInput(
                f"trials={trials!r:.40} is no number from 0 to {MAX_TRIALS - known:,}; {driver.name} has {known:,}."
            )
        wanted = known + trials
        self._driver = Training(
            self._client, loop_thread().run(self._client.resume(driver.id, {"trials": wanted}))
        )
        return self

    def delete(self) -> None:
        """Forget it and all of its trials, and delete their files.

        Raises:
            RequestRefused: It is not over.
        """
        runs = sorted(self._all(), key=lambda run: run.sweep is not None and run.sweep.trial is None)
        for run in runs:
            Training(self._client, run).delete()

    def promote(self, destination: str) -> str:
        """Make a version of a model of the best trial, with the weights that it returned.

        Args:
            destination: `owner/name` of the model, which is made where there is none.

        Returns:
            The version, `owner/name:version`.

        Raises:
            InvalidInput: No trial has succeeded yet.
        """
        best = self.best
        if best is None:
            raise InvalidInput(f"No trial of {self._driver.name} has succeeded yet.")
        return best.promote(destination)

    def _all(self) -> list[trainings.Training]:
        found: list[trainings.Training] = []
        while True:
            page = loop_thread().run(self._client.page(limit=_PAGE, q=self._id, offset=len(found)))
            found += page.trainings
            if not page.trainings or len(found) >= page.total:
                return [run for run in found if run.sweep is not None and run.sweep.id == self._id]

    def _ipython_display_(self) -> None:
        driver, trials = self.driver, self.trials
        display_hook.show("training", driver, driver._mime_bundle)
        display_hook.show("trainings", trials, trials._repr_mimebundle_)

    def _repr_html_(self) -> str:
        best = self.best
        if best is None:
            return f"<p>{html.escape(repr(self))}</p>"
        value = value_of(best.known, str(self._driver.known.input.get("metric") or ""))
        told = "" if value is None else format_number(value)
        return f"<p>{html.escape(repr(self))}: best so far {told}, {html.escape(repr(best))}</p>"
