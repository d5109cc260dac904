"""The options of `%train` that make it a sweep."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from jupyter_ext.magics.arguments import MagicParser

if TYPE_CHECKING:
    from jupyter_ext.bundles.bundle import Bundle
    from jupyter_ext.client.requests.place import Place
    from jupyter_ext.client.sweeps.handle import Sweep

Direction = Literal["minimize", "maximize"]
EXAMPLE = """\
  %train fit -i lr=loguniform(1e-4,1e-1) -i width=choice(64,128) --trials 20 --metric val/loss      a sweep
"""
_SENSES: dict[str, Direction] = {"min": "minimize", "max": "maximize"}
_FOR_ONE = ("form", "destination", "patience", "stop_on_nan")
_NEEDS_TRIALS = ("parallel", "direction")


def add_options(parser: MagicParser) -> None:
    """Add the options of a sweep."""
    parser.add_argument(
        "--trials", type=int, metavar="N", help="a sweep: so many trainings, inputs chosen by Optuna"
    )
    parser.add_argument(
        "--parallel", type=int, metavar="N", help="of a sweep: so many at a time (default: 1)"
    )
    parser.add_argument(
        "--direction",
        choices=("minimize", "maximize"),
        help="of a sweep (default: as the metric's name says)",
    )


def is_sweep(parser: MagicParser, arguments: argparse.Namespace, texts: Mapping[str, str]) -> bool:
    """Tell whether a line asks for a sweep.

    Raises:
        InvalidInput: It does so by halves, or with options that go with one training only.
    """
    from jupyter_ext.client.sweeps.space import is_dimension, misspelt

    ranges = [name for name, text in texts.items() if is_dimension(text)]
    if arguments.trials is None:
        if ranges:
            parser.error(f"-i {ranges[0]}={texts[ranges[0]]} is a range to search; add --trials 20, say")
        if given := [name for name in _NEEDS_TRIALS if getattr(arguments, name) is not None]:
            parser.error(f"--{given[0]} goes with a sweep; add --trials 20, say")
        return False
    for name, text in texts.items():
        if meant := misspelt(text):
            parser.error(f"-i {name}={text} is no range to search; write it as {meant}")
    if not ranges:
        parser.error("--trials needs an input to vary, such as -i lr=loguniform(1e-4,1e-1)")
    if option := next((name for name in _FOR_ONE if getattr(arguments, name)), None):
        option = option.replace("_", "-")
        parser.error(
            f"--{option} goes with one training, not with a sweep; `sweep.promote(…)` keeps its best"
        )
    return True


def start(arguments: argparse.Namespace, bundle: Bundle, texts: Mapping[str, str], place: Place) -> Sweep:
    """Start the sweep that a line asks for."""
    from jupyter_ext.client.sweeps.api import SweepOptions, start_sweep
    from jupyter_ext.client.sweeps.space import is_dimension, parse
    from jupyter_ext.protocol.schema.literals import parse_literal

    space = {name: parse(text) for name, text in texts.items() if is_dimension(text)}
    rest = {name: text for name, text in texts.items() if name not in space}
    if bundle.training_input is None:
        fixed = {name: parse_literal(text) for name, text in rest.items()}
    else:
        fixed = bundle.training_input.parse_text(rest)
    sense, colon, name = (arguments.metric or "").partition(":")
    has_sense = colon and sense in _SENSES
    direction = _SENSES[sense] if has_sense else None
    options = SweepOptions(
        trials=arguments.trials,
        parallel=1 if arguments.parallel is None else arguments.parallel,
        metric=name if has_sense else arguments.metric,
        direction=arguments.direction or direction,
        place=place,
    )
    return start_sweep(bundle, space, fixed, options)
