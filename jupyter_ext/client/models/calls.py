"""Calls into a loaded model from a notebook: straight to the model's process, in the kinds that go in.

Rule: a call that has reached the model is never repeated. A model that has ended before is loaded again, and that is said.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from jupyter_ext.client.requests.call_arguments import encode_arguments
from jupyter_ext.client.requests.models import who
from jupyter_ext.errors import CallFailed, InvalidInput
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError, ChannelClosed, Connection
from jupyter_ext.protocol.models import LocalModel

_WHY_TIMEOUT_S = 3.0
"""How long to wait until the engine has seen why a model's process ended."""


class Output(dict[str, Any]):
    """Named results of a model; `output.last_hidden_state` is `output["last_hidden_state"]`."""

    def __getattr__(self, name: str) -> Any:
        """Return a result by name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"there is no result {name!r}; there are {', '.join(map(str, self))}"
            ) from None


class Generation:
    """Text on its way from a model: iterate over its pieces, or take the whole `text`. Leaving early stops the model.

    Attributes:
        num_tokens: Tokens so far.
        finish: Why it ended: "stop", "length" or "canceled"; `None` before.
    """

    def __init__(self, events: Iterator[tuple[dict[str, Any], Any]]) -> None:
        self._events = events
        self._pieces: list[str] = []
        self.num_tokens = 0
        self.finish: str | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield each piece of text as it comes."""
        for event, blobs in self._events:
            if "result" in event:
                payload = values.decode(event["result"]["value"], blobs)
                self.num_tokens, self.finish = payload["num_tokens"], payload["finish"]
            else:
                self.num_tokens = event["num_tokens"]
                self._pieces.append(event["text"])
                yield event["text"]

    @property
    def text(self) -> str:
        """The whole text, once it is there."""
        for _ in self:
            pass
        return "".join(self._pieces)

    def __str__(self) -> str:
        """Return the whole text, once it is there."""
        return self.text

    def __repr__(self) -> str:
        """Return the text so far."""
        return f"<Generation {''.join(self._pieces)!r}{'' if self.finish else ' …'}>"

    def _ipython_display_(self) -> None:
        for piece in self:
            print(piece, end="", flush=True)
        print()


class _Held:
    """A thread's connection; closed when its thread or its model's handle is gone, not used in a forked child."""

    def __init__(self, channel: Connection) -> None:
        self.channel = channel
        self.pid = os.getpid()
        weakref.finalize(self, channel.close)

    @property
    def usable(self) -> bool:
        return self.pid == os.getpid() and not self.channel.closed


class ModelCalls:
    """Calls of one model from this process.

    Args:
        known: Returns the model as the engine knows it now.
        load: Loads it and gives it; called when it is not in memory.
    """

    def __init__(self, known: Callable[[], LocalModel], load: Callable[[], LocalModel]) -> None:
        self._known, self._load = known, load
        self._local = threading.local()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model: its forward, or what it makes of text.

        Args:
            *args: Tensors, arrays, lists of numbers, or text where the model has a tokenizer.
            **kwargs: Passed through.

        Raises:
            CallFailed: The module raised (the text is its traceback, cut to your frames), or its process ended.
            InvalidInput: It cannot take this.
            CannotTravel: A value that cannot be sent.
            KeyboardInterrupt: You interrupted; the call is stopped there too.
        """
        tree, blobs = encode_arguments({"args": list(args), "kwargs": kwargs})
        answer, answer_blobs = self._ask("call", {"value": tree}, blobs)
        result = values.decode(answer["value"], answer_blobs)
        return (
            Output(result) if isinstance(result, dict) and all(type(key) is str for key in result) else result
        )

    def generate(self, prompt: Any, **options: Any) -> Generation:
        """Begin to generate text.

        Args:
            prompt: A text, a chat as a list of `{"role": …, "content": …}`, or token ids.
            **options: `max_new_tokens` (256 by default), `temperature`, `top_p`, `do_sample`, `stop_strings`, `seed` and
                whatever else `transformers`' `generate` takes.
        """
        tree, blobs = encode_arguments({"prompt": prompt, "options": options})
        return Generation(self._stream("generate", {"value": tree}, blobs))

    def tensors(self) -> list[dict[str, Any]]:
        """List the model's tensors: name, dtype and shape."""
        answer, _ = self._ask("tensors", {}, [])
        listed: list[dict[str, Any]] = answer["tensors"]
        return listed

    def tensor(self, name: str) -> Any:
        """Return a copy of one tensor.

        Raises:
            InvalidInput: There is none of this name.
        """
        answer, blobs = self._ask("tensor", {"name": name}, [])
        return values.decode(answer["value"], blobs)

    def close(self) -> None:
        """Close this thread's connection."""
        self._local.held = None

    def _ask(
        self, op: str, params: dict[str, Any], blobs: list[Any]
    ) -> tuple[dict[str, Any], list[memoryview]]:
        for attempt in (1, 2):
            channel = self._channel()
            try:
                return channel.call(op, params, blobs)
            except CallError as error:
                if error.error.get("code") == "unloading" and attempt == 1:  # it was not begun
                    self.close()
                    self._wait_until_gone()
                    continue
                raise _translated(error) from None
            except ChannelClosed:
                self.close()
                raise CallFailed(self._why_gone()) from None
        raise AssertionError("unreachable")

    def _stream(
        self, op: str, params: dict[str, Any], blobs: list[Any]
    ) -> Iterator[tuple[dict[str, Any], list[memoryview]]]:
        channel = self._new_channel()  # of its own: calls go on while it is read
        try:
            yield from channel.stream(op, params, blobs)
        except CallError as error:
            raise _translated(error) from None
        except ChannelClosed:
            raise CallFailed(self._why_gone()) from None
        finally:
            channel.close()

    def _channel(self) -> Connection:
        """Return this thread's connection, a new one where the other side has gone."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or not held.usable:
            held = self._local.held = _Held(self._new_channel())
        return held.channel

    def _new_channel(self) -> Connection:
        model = self._known()
        if model.host is not None and model.state == "loaded":
            try:
                return self._connected(model)
            except ChannelClosed:
                self._wait_until_gone()
                model = self._known()
        if model.notices and model.state == "downloaded":
            print(f"{model.name}: {model.notices[-1]} Loading it again.", file=sys.stderr)
        model = self._load()
        try:
            return self._connected(model)
        except ChannelClosed:
            raise CallFailed(self._why_gone()) from None

    def _connected(self, model: LocalModel) -> Connection:
        if model.source == "service" and model.host is None:
            raise CallFailed(f"{model.name} runs in a service, which takes no calls from here.")
        if model.host is None:
            raise CallFailed(f"{model.id} is {model.state}; load it first.")
        channel = Connection(model.host.calls)
        try:
            channel.call("attach", {"user": who()}, timeout_s=10.0)
        except BaseException as error:
            channel.close()
            if isinstance(error, CallError):  # it is being unloaded
                raise ChannelClosed(str(error)) from error
            raise
        return channel

    def _wait_until_gone(self) -> LocalModel:
        """Wait until the engine has seen that the model's process has ended."""
        deadline = time.monotonic() + _WHY_TIMEOUT_S
        while (model := self._known()).state in ("loaded", "unloading") and time.monotonic() < deadline:
            time.sleep(0.05)
        return model

    def _why_gone(self) -> str:
        model = self._wait_until_gone()
        if model.state == "loaded":
            return f"{model.name}: its process broke off the call; call again."
        why = model.notices[-1] if model.notices else "It was unloaded during the call."
        again = "" if "again" in why else " The next call loads it again."
        return f"{model.name}: {why}{again}"


def _translated(error: CallError) -> Exception:
    code, payload = error.error.get("code"), error.error
    if code == "exception":
        return CallFailed(str(payload.get("text") or payload.get("message")))
    if code == "input":
        return InvalidInput(str(payload.get("message")))
    return CallFailed(str(payload.get("message") or code))
