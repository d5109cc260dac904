"""A real notebook kernel, and what its cells put out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integration_tools import EngineUnderTest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

MIME_TYPE = "application/vnd.jupyter-ext.training+json"


@dataclass
class Cell:
    """What a cell put out."""

    text: str = ""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    traceback: str = ""
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)

    @property
    def panel(self) -> dict[str, Any]:
        return next(data for data in self.outputs if MIME_TYPE in data)

    @property
    def result(self) -> str:
        return "".join(data.get("text/plain", "") for data in self.outputs)


class Kernel:
    """A real kernel in a process of its own."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.environment = {
            "JUPYTER_EXT_DATA_DIR": str(engine.where.data_dir),
            "JUPYTER_EXT_RUNTIME_DIR": str(engine.where.runtime_dir),
        }
        self.manager.start_kernel(env={**os.environ, **self.environment})
        self.client: BlockingKernelClient = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run_typing(self, code: str, typed: list[str], timeout_s: float = 60) -> Cell:
        """Run a cell and answer what it asks with these lines, which are taken from the list."""
        asked: list[str] = []

        def answer(message: dict[str, Any]) -> None:
            asked.append(message["content"]["prompt"])
            self.client.input(typed.pop(0))

        cell = self.run(code, timeout_s, answer)
        cell.asked = asked
        return cell

    def run(
        self, code: str, timeout_s: float = 60, on_question: Callable[[dict[str, Any]], None] | None = None
    ) -> Cell:
        cell = Cell()

        def on_output(message: dict[str, Any]) -> None:
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    cell.text += content["text"]
                case "display_data" | "execute_result":
                    cell.outputs.append(content["data"])
                case "error":
                    cell.error = f"{content['ename']}: {content['evalue']}"
                    cell.traceback = "\n".join(content["traceback"])

        began = time.monotonic()
        self.client.execute_interactive(
            code, timeout=timeout_s, output_hook=on_output, stdin_hook=on_question
        )
        cell.seconds = time.monotonic() - began
        return cell

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
