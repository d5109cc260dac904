"""`%%train`, `%train`, `%training`, `%trainings`."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from jupyter_ext.magics import sweeps
from jupyter_ext.magics.arguments import HelpShown, MagicParser, parse_inputs

if TYPE_CHECKING:
    from jupyter_ext.bundles.bundle import Bundle
    from jupyter_ext.client.requests.place import Place
    from jupyter_ext.client.trainings.handle import Training

_TRAIN_TEXT = f"""\
Start a training in a background process; the cell returns at once and shows its live panel.

  %%train digits -i epochs=5 -i lr=1e-3     the cell defines train(epochs, lr), or is a script
  %%train digits --destination me/digits    its weights become a version of the model me/digits
  %%train digits --workers 2                two processes train as one group, as torchrun starts them
  %%train digits --form                     a form for the inputs, with a button that starts it
  %train fit -i lr={{best_lr}}                fit is a function of this notebook
  %train path/to/train.py -i lr=1e-3        a file, run as __main__; its options are inputs
  %train path/to/train.py -- --lr 1e-3      … or are given as on a command line
  %train path/to/folder -i data=faces.zip   a Cog project: its cog.yaml has train: "train.py:train"
{sweeps.EXAMPLE}  %train fit -i lr=1e-3 --on ray --gpus 1   on a Ray cluster that runs already
  %train owner/name:version -i … --on replicate --destination owner/model      on a service

A cell that calls train() itself, or has `if __name__ == "__main__"`, runs once, as a script; options of argparse, click, typer,
tyro and HfArgumentParser are its inputs, other scripts find them as variables. It says which was chosen.

Inputs are checked against the signature before anything starts. Names of the notebook that the code uses travel
with it by value. {{expression}} and $name take values from the notebook, but not within single quotes."""

_VERBS = ("show", "logs", "metrics", "cancel", "resume", "stacks")


def _train_parser(magic: str) -> MagicParser:
    parser = MagicParser(magic, _TRAIN_TEXT)
    what = (
        "what to call it"
        if magic == "%%train"
        else "a function of this notebook, a Python file, the folder of a Cog project, or owner/name:version on a service"
    )
    parser.add_argument("name", nargs="?" if magic == "%%train" else None, default="training", help=what)
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=VALUE", help="an input of train()"
    )
    parser.add_argument(
        "--on",
        default="local",
        metavar="BACKEND",
        help="local (default), ray, replicate, or the base URL of a service like replicate",
    )
    _add_ray_options(parser)
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="so many processes, the ranks of one group (default: 1)",
    )
    parser.add_argument(
        "--destination", metavar="MODEL", help="owner/name of the model that gets a version with the weights"
    )
    parser.add_argument(
        "--form", action="store_true", help="draw a form for the inputs; its button starts it"
    )
    parser.add_argument(
        "--stop-on-nan", action="store_true", help="stop it at a value that is NaN or infinite"
    )
    parser.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop it once --metric has not improved for N values in a row",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="of --patience or --trials, such as val/loss; or max:NAME, where more is better",
    )
    sweeps.add_options(parser)
    parser.add_argument("--wait", action="store_true", help="keep the cell busy until it is over")
    parser.add_argument("--as", dest="variable", metavar="VAR", help="also put the handle into this variable")
    return parser


def _add_ray_options(parser: MagicParser) -> None:
    parser.add_argument(
        "--address",
        metavar="URL",
        help="of a Ray cluster's dashboard (default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS, or http://127.0.0.1:8265)",
    )
    for name in ("cpus", "gpus"):
        parser.add_argument(
            f"--{name}", type=float, metavar="N", help=f"{name.upper()[:-1]}s on Ray, for each worker"
        )
    parser.add_argument(
        "--storage",
        metavar="PATH",
        help="on Ray: where checkpoints above 16 MiB go, a path that all machines share or a URL for fsspec",
    )


def _training_parser() -> MagicParser:
    parser = MagicParser("%training", "Show one training, or do something with it.")
    parser.add_argument(
        "id", help="its name (the newest of it), its id, or six or more of the id's first characters"
    )
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
    parser.add_argument("--plot", action="store_true", help="compare their curves in one chart")
    parser.add_argument(
        "-m",
        "--metric",
        action="append",
        metavar="KEY",
        help="with --plot: only this metric; can be repeated",
    )
    return parser


@magics_class
class TrainingMagics(Magics):
    """Magics for trainings."""

    @line_cell_magic
    @no_var_expand
    @needs_local_scope
    def train(self, line: str, cell: str | None = None, local_ns: Mapping[str, object] | None = None) -> Any:
        """Start a training; `%%train --help` shows how."""
        parser = _train_parser("%train" if cell is None else "%%train")
        try:
            arguments = parser.parse(line, self._names(local_ns))
        except HelpShown:
            return None
        return self._start(parser, arguments, cell)

    @line_magic
    @no_var_expand
    @needs_local_scope
    def training(self, line: str, local_ns: Mapping[str, object] | None = None) -> Any:
        """Show one training or do something with it; `%training --help` shows what."""
        try:
            arguments = _training_parser().parse(line, self._names(local_ns))
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
        if arguments.plot and found:
            from jupyter_ext.client.trainings.comparison import compare

            return compare(found, arguments.metric)
        return TrainingList(found, arguments.status, arguments.limit)

    def _names(self, local_ns: Mapping[str, object] | None) -> dict[str, object]:
        """Return what `{expression}` and `$name` can read."""
        assert self.shell is not None
        return {**self.shell.user_ns, **(local_ns or {})}

    def _start(self, parser: MagicParser, arguments: argparse.Namespace, cell: str | None) -> Any:
        from jupyter_ext.client.requests import service_ref
        from jupyter_ext.client.requests.place import Place
        from jupyter_ext.client.trainings import api

        if arguments.variable is not None and not arguments.variable.isidentifier():
            parser.error(f"--as {arguments.variable!r} is not a name that a variable can have")
        if arguments.trials is None and (arguments.patience is None) != (arguments.metric is None):
            parser.error("--patience and --metric go together, as in --patience 5 --metric val/loss")
        if arguments.patience is not None and arguments.patience < 1:
            parser.error(f"--patience {arguments.patience} is below 1")
        texts = parse_inputs(arguments.input, parser.prog)
        where = (arguments.on, arguments.address, arguments.cpus, arguments.gpus, arguments.storage)
        place = Place(arguments.workers, *where)
        if service_ref.is_remote(arguments.on):
            place.check_plain()
            return self._finish(arguments, _start_remote(arguments, texts, is_cell=cell is not None))
        api.check_backend(arguments.on)
        capture = self._capture(arguments, cell, texts)
        if sweeps.is_sweep(parser, arguments, texts):
            return self._finish(arguments, sweeps.start(arguments, capture(), texts, place))
        if arguments.form:
            return self._form(parser, arguments, capture, texts)
        return self._finish(arguments, _start_here(capture(), texts, arguments.destination, place))

    def _capture(
        self, arguments: argparse.Namespace, cell: str | None, texts: Mapping[str, str]
    ) -> Callable[[], Bundle]:
        """Return what makes a bundle of what is to be trained, as it is at the time of the call."""
        from jupyter_ext.client.capture.capture import capture_cell, capture_function
        from jupyter_ext.client.trainings import api
        from jupyter_ext.errors import InvalidInput

        assert self.shell is not None
        namespace, name = self.shell.user_ns, arguments.name
        function = _named(namespace, name)
        is_path = function is None and (os.path.exists(os.path.expanduser(name)) or name.endswith(".py"))
        if arguments.rest and (cell is not None or not is_path):
            raise InvalidInput(
                f"-- {arguments.rest[0]} …: only a file has a command line; give inputs as -i name=value."
            )
        if cell is not None:
            return lambda: capture_cell(cell, namespace, name, texts)
        if function is not None:
            return lambda: capture_function(function, name)
        if is_path:
            return lambda: api.capture_path(name, None, arguments.rest, texts)
        raise InvalidInput(
            f"%train: {name!r} is neither a function of this notebook nor a folder with cog.yaml, nor a Python file."
        )

    def _form(
        self,
        parser: MagicParser,
        arguments: argparse.Namespace,
        capture: Callable[[], Bundle],
        texts: dict[str, str],
    ) -> Any:
        from jupyter_ext.magics.form import Form
        from jupyter_ext.protocol.schema.form_fields import magic_line

        if arguments.workers > 1 or arguments.on != "local":
            parser.error("--form starts one process on this machine; start others with -i and without a form")
        if arguments.wait or arguments.variable:
            parser.error("--form shows a form and waits for its button; it goes with neither --wait nor --as")
        start = f"{parser.prog} {shlex.quote(arguments.name)}"
        if arguments.destination:
            start += f" --destination {shlex.quote(arguments.destination)}"
        return Form(capture, lambda values: magic_line(start, values), texts, arguments.destination)

    def _finish(self, arguments: argparse.Namespace, run: Any) -> Any:
        """Return the handle as the line asks for it."""
        from jupyter_ext.magics import display

        assert self.shell is not None
        if arguments.stop_on_nan:
            run.stop_on_nan()
        if arguments.patience is not None:
            mode, _, metric = arguments.metric.rpartition(":")
            is_mode = mode in ("min", "max")
            run.stop_early(
                metric if is_mode else arguments.metric, arguments.patience, mode=mode if is_mode else "min"
            )
        if arguments.variable:
            self.shell.user_ns[arguments.variable] = run
        if arguments.wait:
            display.show_and_wait(getattr(run, "driver", run))
            return None
        return run


def _named(namespace: Mapping[str, object], name: str) -> object:
    """Return what a name says in the notebook, such as `fit` or `trainer.fit`; `None` where it says nothing."""
    first, *attributes = name.split(".")
    found = namespace.get(first)
    for attribute in attributes:
        found = getattr(found, attribute, None)
    return found


def _start_remote(arguments: argparse.Namespace, texts: Mapping[str, str], *, is_cell: bool) -> Training:
    """Start a training on a service."""
    from jupyter_ext.client.requests import service_ref
    from jupyter_ext.client.trainings import api
    from jupyter_ext.errors import InvalidInput
    from jupyter_ext.protocol.schema.literals import parse_literal

    if is_cell:
        raise InvalidInput(
            f"{arguments.on} trains versions that it knows, not cells; use %train owner/name:version."
        )
    ref = service_ref.remote_ref(arguments.name, arguments.on, arguments.destination)
    return api.start_remote(ref, {name: parse_literal(text) for name, text in texts.items()})


def _start_here(bundle: Bundle, texts: Mapping[str, str], destination: str | None, place: Place) -> Training:
    """Start a training on this machine."""
    from jupyter_ext.client.trainings import api
    from jupyter_ext.protocol.schema.literals import parse_literal

    if bundle.training_input is None:
        inputs = {name: parse_literal(text) for name, text in texts.items()}
    else:
        inputs = bundle.training_input.parse_text(texts)
    if bundle.unknown_names:
        print(f"Not defined here, nor in the notebook: {', '.join(bundle.unknown_names)}")
    if bundle.notice:
        print(bundle.notice)
    return api.start(bundle, inputs, destination, place)
