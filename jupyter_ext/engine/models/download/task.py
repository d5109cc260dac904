"""One download as the event loop sees it: how far it is, cancel, and the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from jupyter_ext.engine.models.download.progress import Progress
from jupyter_ext.engine.models.download.transfer import FileTransfer, Sample
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import DownloadCanceled, DownloadFailed, JupyterExtError
from jupyter_ext.protocol.models import Transfer

log = logging.getLogger(__name__)

OnProgress = Callable[[Transfer], None]


class TransferTask:
    """A running or ended download; made by `Downloads.start`, used on the event loop only.

    Attributes:
        manifest: What is fetched.
        transfer: How far it is.
    """

    def __init__(
        self,
        manifest: Manifest,
        make_fetch: Callable[[Callable[[Sample], None]], FileTransfer],
        turn: asyncio.Lock,
        slots: asyncio.Semaphore,
    ) -> None:
        self.manifest = manifest
        self._progress = Progress(manifest.total_bytes, len(manifest.files))
        self._listeners: list[OnProgress] = []
        self._loop = asyncio.get_running_loop()
        self._fetch = make_fetch(self._sampled)
        # Two revisions of a model share files, so they come one after the other; and not too many models at once.
        self._turn = turn
        self._slots = slots
        self._is_canceled = False
        self._has_begun = False
        self._task = asyncio.create_task(self._run(), name=f"download {manifest.ref}")
        # Whoever does not wait has the resource to look at.
        self._task.add_done_callback(lambda task: None if task.cancelled() else task.exception())

    @property
    def transfer(self) -> Transfer:
        """Give how far it is."""
        return self._progress.transfer

    @property
    def is_running(self) -> bool:
        """Tell whether it goes on."""
        return not self._task.done()

    def listen(self, on_progress: OnProgress) -> None:
        """Have a callback called with each picture, about ten times a second, and with the last one."""
        self._listeners.append(on_progress)

    def cancel(self) -> None:
        """Stop it; what it fetched is kept. Asking again, or after the end, does nothing."""
        if self.is_running and not self._is_canceled:
            self._is_canceled = True
            self._fetch.cancel()
            if not self._has_begun:
                self._task.cancel()

    async def wait(self) -> Path:
        """Wait for the end. Being canceled while waiting does not cancel the download.

        Returns:
            The snapshot's directory.

        Raises:
            DownloadFailed: It failed; the message says why and what helps.
            DownloadCanceled: Somebody canceled it.
        """
        return await asyncio.shield(self._task)

    async def _run(self) -> Path:
        try:
            async with self._turn, self._slots:
                self._has_begun = True
                path = await asyncio.to_thread(self._fetch.run)
        except asyncio.CancelledError:
            if self._has_begun or not self._is_canceled:
                self._fetch.cancel()
                raise
            self._tell(self._progress.end("canceled"))
            raise DownloadCanceled(f"The download of {self.manifest.ref} was canceled.") from None
        except DownloadCanceled:
            self._tell(self._progress.end("canceled"))
            raise
        except JupyterExtError as error:
            self._tell(self._progress.end("failed", str(error)))
            raise
        except Exception as error:
            log.exception("the download of %s broke", self.manifest.ref)
            text = f"The download of {self.manifest.ref} broke ({type(error).__name__}); the engine's log says where."
            self._tell(self._progress.end("failed", text))
            raise DownloadFailed(text) from error
        self._tell(self._progress.end("completed"))
        return path

    def _sampled(self, sample: Sample) -> None:
        """Take a sample in the fetching thread to the loop."""
        try:
            self._loop.call_soon_threadsafe(self._take, sample)
        except RuntimeError:
            # The loop is closed: nobody looks any more.
            return

    def _take(self, sample: Sample) -> None:
        if self.transfer.status == "running":
            self._tell(self._progress.update(sample))

    def _tell(self, transfer: Transfer) -> None:
        for listener in list(self._listeners):
            try:
                listener(transfer)
            except Exception:
                log.exception("a listener of the download of %s failed", self.manifest.ref)
