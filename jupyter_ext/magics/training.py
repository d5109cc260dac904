"""`%%train`, `%train`, `%training`, `%trainings`."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class

from jupyter_ext.magics.arguments import HelpShown, MagicParser, parse_inputs

if TYPE_CHECKING:
    from jupyter_ext.client.capture.bundle import Bundle

_TRAIN_TEXT = """\
Start a training in a background process; the cell returns at once and shows its live panel.

  %%train digits -i epochs=5 -i lr=1e-3     the cell defines train(epochs, lr), or is a plain script
  %%train digits --destination me/digits    its weights become a version of the model me/digits
  %%train digits --form                     a form for the inputs, with a button that starts it
  %train fit -i lr={best_lr}                fit is a function of this notebook
  %train path/to/folder -i data=faces.zip   a Cog project: its cog.yaml has train: "train.py:train"
  %train owner/name:version -i … --on replicate --destination owner/model      on a service

Inputs are checked against the signature before anything starts. Names of the notebook that the code uses travel
with it by value. {expression} and $name take values from the notebook."""

_VERBS = ("show", "logs", "metrics", "cancel", "resume", "stacks")


def _train_parser(magic: str) -> MagicParser:
    parser = MagicParser(magic, _TRAIN_TEXT)
    what = (
        "what to call it"
        if magic == "%%train"
        else "a function of this notebook, the folder of a Cog project, or owner/name:version on a service"
    )
    parser.add_argument("name", nargs="?" if magic == "%%train" else None, default="training", help=what)
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=VALUE", help="an input of train()"
    )
    parser.add_argument(
        "--on",
        default="local",
        metavar="BACKEND",
        help="local (default), replicate, or the base URL of a service like it",
    )
    parser.add_argument(
        "--destination", metavar="MODEL", help="owner/name of the model that gets a version with the weights"
    )
    parser.add_argument(
        "--form", action="store_true", help="draw a form for the inputs; its button starts it"
    )
    parser.add_argument("--wait", action="store_true", help="keep the cell busy until it is over")
    parser.add_argument("--as", dest="variable", metavar="VAR", help="also put the handle into this variable")
    return parser


def _training_parser() -> MagicParser:
    parser = MagicParser("%training", "Show one training, or do something with it.")
    parser.add_argument("id", help="its id, the beginning of it, or its name")
    parser.add_argument("verb", nargs="?", default="show", choices=_VERBS, help="default: show")
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=VALUE", help="with resume: another input"
    )
    parser.add_argument(
        "--tail", type=int, default=None, metavar="N", help="with logs: only the last N lines"
    )
    return parser


def _trainings_parser() -> MagicParser:
    parser = MagicParser("%trainings", "List trainings, newest first.")
    statuses = ("starting", "processing", "succeeded", "failed", "canceled")
    parser.add_argument("--status", choices=statuses, help="only those in this state")
    parser.add_argument(
        "-n", "--limit", type=int, default=20, metavar="N", help="at most so many (default: 20)"
    )
    return parser


@magics_class
class TrainingMagics(Magics):
    """Magics for trainings."""

    @line_cell_magic
    def train(self, line: str, cell: str | None = None) -> Any:
        """Start a training; `%%train --help` shows how."""
        parser = _train_parser("%train" if cell is None else "%%train")
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return None
        return self._start(parser, arguments, cell)

    @line_magic
    def training(self, line: str) -> Any:
        """Show one training or do something with it; `%training --help` shows what."""
        try:
            arguments = _training_parser().parse(line)
        except HelpShown:
            return None
        from jupyter_ext.client.trainings.api import trainings
        from jupyter_ext.protocol.schema.literals import parse_literal

        run = trainings.get(arguments.id)
        match arguments.verb:
            case "logs":
                print(run.logs(arguments.tail), end="")
                return None
            case "metrics":
                return run.metrics()
            case "stacks":
                print(run.stacks(), end="")
                return None
            case "cancel":
                run.cancel()
            case "resume":
                texts = parse_inputs(arguments.input, "%training")
                return run.resume(**{name: parse_literal(text) for name, text in texts.items()})
        return run

    @line_magic
    def trainings(self, line: str) -> Any:
        """List trainings; `%trainings --help` shows how."""
        try:
            arguments = _trainings_parser().parse(line)
        except HelpShown:
            return None
        from jupyter_ext.client.trainings.api import trainings
        from jupyter_ext.client.trainings.listing import TrainingList

        found = trainings.list(arguments.status, arguments.limit)
        return TrainingList(found, arguments.status, arguments.limit)

    def _start(self, parser: MagicParser, arguments: argparse.Namespace, cell: str | None) -> Any:
        from jupyter_ext.client.capture.capture import capture_cell, capture_function
        from jupyter_ext.client.capture.cog_project import capture_folder
        from jupyter_ext.client.requests import service_ref
        from jupyter_ext.client.trainings import api
        from jupyter_ext.errors import InvalidInput
        from jupyter_ext.magics import display
        from jupyter_ext.protocol.schema.literals import parse_literal

        if not service_ref.is_remote(arguments.on):
            api.check_backend(arguments.on)
        if arguments.variable is not None and not arguments.variable.isidentifier():
            parser.error(f"--as {arguments.variable!r} is not a name that a variable can have")
        texts = parse_inputs(arguments.input, parser.prog)
        if service_ref.is_remote(arguments.on):
            if cell is not None:
                text = (
                    f"{arguments.on} trains versions that it knows, not cells; use %train owner/name:version."
                )
                raise InvalidInput(text)
            ref = service_ref.remote_ref(arguments.name, arguments.on, arguments.destination)
            values = {name: parse_literal(text) for name, text in texts.items()}
            return self._finish(arguments, api.start_remote(ref, values))
        assert self.shell is not None
        namespace = self.shell.user_ns
        if cell is None:
            function = namespace.get(arguments.name)
            is_folder = function is None and os.path.isdir(os.path.expanduser(arguments.name))
            if function is None and not is_folder:
                raise InvalidInput(
                    f"%train: {arguments.name!r} is neither a function of this notebook nor a folder with cog.yaml."
                )

        def capture() -> Bundle:
            assert self.shell is not None
            label = display.label_of(self.shell)
            if cell is not None:
                return capture_cell(cell, namespace, arguments.name, texts, label)
            if is_folder:
                return capture_folder(arguments.name)
            return capture_function(function, arguments.name, label)

        if arguments.form:
            return self._form(parser, arguments, capture, texts)
        bundle = capture()
        if bundle.training_input is None:
            inputs = {name: parse_literal(text) for name, text in texts.items()}
        else:
            inputs = bundle.training_input.parse_text(texts)
        if bundle.unknown_names:
            print(f"Not defined here, nor in the notebook: {', '.join(bundle.unknown_names)}")
        return self._finish(arguments, api.start(bundle, inputs, arguments.destination))

    def _form(
        self,
        parser: MagicParser,
        arguments: argparse.Namespace,
        capture: Callable[[], Bundle],
        texts: dict[str, str],
    ) -> Any:
        from jupyter_ext_widgets.form_fields import magic_line

        from jupyter_ext.magics.form import Form

        if arguments.wait or arguments.variable:
            parser.error("--form shows a form and waits for its button; it goes with neither --wait nor --as")
        start = f"{parser.prog} {shlex.quote(arguments.name)}"
        if arguments.destination:
            start += f" --destination {shlex.quote(arguments.destination)}"
        return Form(capture, lambda values: magic_line(start, values), texts, arguments.destination)

    def _finish(self, arguments: argparse.Namespace, run: Any) -> Any:
        """Give the handle as the line asks for it."""
        from jupyter_ext.magics import display

        assert self.shell is not None
        if arguments.variable:
            self.shell.user_ns[arguments.variable] = run
        if arguments.wait:
            display.show_and_wait(run)
            return None
        return run
