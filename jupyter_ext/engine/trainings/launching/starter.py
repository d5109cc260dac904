"""Starting a run that was made: its links are fetched, its turn comes, its backend starts it; a failure ends it as `failed`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from jupyter_ext.engine.processes.backend import Backend, Launch, StartError
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.engine.trainings.artifacts.file_inputs import FetchError, FileInputs
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext
from jupyter_ext.engine.trainings.launching.start_queue import StartQueue
from jupyter_ext.engine.trainings.record import LOCAL, Record
from jupyter_ext.ipc.cores import usable_cores
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.run_files import is_claimed

log = logging.getLogger(__name__)


class Starter:
    """Starts runs in the background, those of this machine in order.

    Args:
        records: All runs that are not over.
        backends: What runs them, by name.
        file_inputs: Gets inputs that are given as links.
        wake: Has the follower of a run look at its files now.
    """

    def __init__(
        self,
        records: Mapping[str, Record],
        backends: Mapping[str, Backend],
        file_inputs: FileInputs,
        wake: Callable[[str], None],
    ) -> None:
        self._records = records
        self._backends = backends
        self._file_inputs = file_inputs
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns: dict[str, asyncio.Event] = {}
        self.queue = StartQueue(lambda: len(records))

    async def close(self) -> None:
        """Start no more; who was not started is found by the next engine."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def put_in_queue(self, record: Record) -> None:
        """From now on a run waits to be started: nothing in its directory can say how it stands."""
        record.is_queued, self._turns[record.id] = True, asyncio.Event()

    async def wait_for_turn(self, record: Record) -> None:
        """Return once a run waits no more."""
        if (turn := self._turns.get(record.id)) is not None:
            await turn.wait()

    def begin(
        self,
        record: Record,
        origin: CallerContext,
        urls: Sequence[str],
        secret: JsonObject | None,
    ) -> None:
        """Start a run that was put in the queue, in the background.

        Args:
            record: The run; its directory and its row in the catalog are there.
            origin: Where it is started from.
            urls: Names of the inputs that are links, which are fetched first.
            secret: Values of the inputs that are written nowhere.
        """
        num_local = sum(other.computes_here for other in self._records.values())
        threads = max(1, usable_cores() // max(1, num_local))
        launch = Launch(
            record.run_dir,
            origin.python,
            record.spec["cwd"],
            threads,
            origin.sys_path,
            origin.environ,
            secret,
            record.spec.get("workers", 1),
        )
        name = f"start {record.id}"
        task = asyncio.create_task(self._start(record, launch, urls), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def _backend(self, record: Record) -> Backend:
        return self._backends[record.spec.get("backend", LOCAL)]

    async def _start(self, record: Record, launch: Launch, urls: Sequence[str]) -> None:
        try:
            if urls:
                inputs = await asyncio.to_thread(
                    self._file_inputs.resolve, urls, record.spec["input"], record.run_dir
                )
                record.spec["input"] = inputs
                await asyncio.to_thread(write_json, record.run_dir / "spec.json", record.spec)
            if record.runs_here:
                async with self.queue.turn():
                    self.leave_queue(record)
                    if not record.is_over and not is_claimed(record.run_dir):
                        await self._backend(record).start(launch)
            else:
                self.leave_queue(record)
                await self._backend(record).start(launch)
        except Exception as error:
            if not isinstance(error, StartError | FetchError):
                log.exception("starting %s failed", record.id)
                error = StartError(
                    f"The engine failed at it ({type(error).__name__}); `%engine log` says why."
                )
            (record.run_dir / "logs.txt").write_text(f"{error}\n")
            self.leave_queue(record)
            ShimProcess(record.run_dir).fail_start(str(error))
            self._wake(record.id)

    def leave_queue(self, record: Record) -> None:
        """From now on the run's directory says how it stands."""
        record.is_queued = False
        if (turn := self._turns.pop(record.id, None)) is not None:
            turn.set()
