"""Options of a script, told from its text, and the command line that its inputs become."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.bundles.arguments import split_arguments
from jupyter_ext.protocol.schema.options import ScriptOptions
from jupyter_ext.protocol.schema.script_options import read_options
from jupyter_ext.protocol.schema.signature import from_source
from jupyter_ext.worker.runtime.command_line import words_of

ARGPARSE = """
import argparse
def parse():
    p = argparse.ArgumentParser()
    p.add_argument("data", help="where")
    p.add_argument("--epochs", "-e", type=int, default=14, help="how many")
    p.add_argument("--learning-rate", type=float, default=1.0)
    p.add_argument("--no-cuda", action="store_true")
    p.add_argument("--keep", action="store_false", dest="drop")
    p.add_argument("--opt", choices=["sgd", "adam"], default="sgd")
    p.add_argument("--sizes", type=int, nargs="+", default=[1, 2])
    p.add_argument("--tag", action="append", default=[])
    p.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("-v", action="count", default=0)
    return p.parse_args()
"""
CLICK = """
import click
@click.command()
@click.option("--lr", default=1e-3, type=float)
@click.option("--opt", type=click.Choice(["a", "b"]), default="a")
@click.option("--n", type=click.IntRange(1, 9), default=3)
@click.option("--fast/--slow", default=False)
@click.option("--tag", multiple=True)
@click.argument("path")
def main(lr, opt, n, fast, tag, path): ...
"""
TYPER = """
import typer
from typing import Annotated
def main(path: str, lr: float = 1e-3, fast: bool = False, n: Annotated[int, typer.Option(min=1)] = 2): ...
typer.run(main)
"""
TYRO = """
import dataclasses, tyro
@dataclasses.dataclass
class Args:
    name: str
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    use_amp: bool = False
args = tyro.cli(Args)
"""
HF = """
from dataclasses import dataclass, field
from transformers import HfArgumentParser, TrainingArguments
@dataclass
class ModelArguments:
    model_name: str = field(metadata={"help": "which"})
    use_fast: bool = field(default=True)
args = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
"""


def _read(text: str) -> ScriptOptions:
    found = read_options(ast.parse(text))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "inputs", "words"),
    [
        (
            ARGPARSE,
            {
                "data": "-x",
                "epochs": 2,
                "learning_rate": -0.5,
                "no_cuda": True,
                "drop": False,
                "sizes": [3, 4],
            },
            "--epochs 2 --learning-rate=-0.5 --no-cuda --keep --sizes 3 4 -- -x",
        ),
        (
            ARGPARSE,
            {
                "data": "d",
                "tag": ["a", "b"],
                "amp": False,
                "v": 2,
                "no_cuda": False,
                "opt": "adam",
                "drop": True,
            },
            "d --tag a --tag b --no-amp -v -v --opt adam",
        ),
        (
            CLICK,
            {"path": "p", "lr": 0.1, "fast": False, "tag": ["x"], "n": 4},
            "p --lr 0.1 --slow --tag x --n 4",
        ),
        (TYPER, {"path": "p", "lr": 0.1, "fast": True, "n": 3}, "p --lr 0.1 --fast --n 3"),
        (TYRO, {"name": "x", "betas": [0.8, 0.9], "use_amp": True}, "--name x --betas 0.8 0.9 --use-amp"),
        (
            HF,
            {"model_name": "m", "use_fast": False, "output_dir": "o"},
            "--model_name m --use_fast False --output_dir o",
        ),
    ],
)
def test_inputs_are_checked_and_become_the_command_line(
    text: str, inputs: dict[str, Any], words: str
) -> None:
    options = _read(text)
    training_input = from_source(options.signature("main"), "main")
    assert training_input is not None
    checked, wrong = training_input.validate(inputs)
    assert not wrong
    assert words_of({name: checked[name] for name in inputs}, options.spellings()) == words.split()


@pytest.mark.parametrize(
    ("text", "inputs", "says"),
    [
        (ARGPARSE, {"data": "d", "epoch": 1}, "did you mean 'epochs'?"),
        (ARGPARSE, {"data": "d", "opt": "rms"}, "'sgd' or 'adam'"),
        (ARGPARSE, {}, "data (any value) is required"),
        (ARGPARSE, {"data": "d", "epochs": "many"}, "epochs='many'"),
        (CLICK, {"path": "p", "n": 10}, "less than or equal to 9"),
        (TYPER, {"lr": 1}, "path (str) is required"),
        (TYRO, {"lr": "x", "name": "n"}, "lr='x'"),
        (HF, {"use_fast": 3}, "model_name (str) is required"),
    ],
)
def test_a_wrong_input_is_named_before_anything_runs(text: str, inputs: dict[str, Any], says: str) -> None:
    training_input = from_source(_read(text).signature("main"), "main")
    assert training_input is not None
    wrong = training_input.validate(inputs)[1]
    assert says in "; ".join(one.description for one in wrong)


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "import argparse\np = argparse.ArgumentParser()\nargs = p.parse_args([])\n",
        "import argparse\np = argparse.ArgumentParser()\nargs = p.parse_args(args=['--x', '1'])\n",
    ],
)
def test_what_reads_no_command_line_has_no_options(text: str) -> None:
    assert read_options(ast.parse(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\np.parse_args()\n",
        "import argparse\np = argparse.ArgumentParser()\nfor n in names: p.add_argument(n)\np.parse_args()\n",
        "import click\n@click.group()\ndef cli(): ...\n@cli.command()\ndef a(): ...\n",
        "import tyro\ntyro.cli(imported.Config)\n",
        "from common import extend\nimport argparse\np = argparse.ArgumentParser()\nextend(p)\np.parse_args()\n",
        "import argparse\np = argparse.ArgumentParser(parents=[other])\np.parse_args()\n",
        "from options import parser\nargs = parser.parse_args()\n",
        "import sys\nprint(sys.argv[1])\n",
        "import fire\nfire.Fire(main)\n",
    ],
)
def test_what_cannot_be_read_whole_takes_any_input(text: str) -> None:
    options = _read(text)
    assert not options.is_complete
    training_input = from_source(options.signature("main"), "main")
    assert training_input is not None
    assert training_input.validate({"lr": 1})[1] == []


@pytest.mark.parametrize(
    ("words", "inputs", "rest"),
    [
        ("data.csv -e 3 --learning-rate=0.5", {"data": "data.csv", "epochs": 3, "learning_rate": 0.5}, ""),
        ("--no-cuda --keep --no-amp d", {"no_cuda": True, "drop": False, "amp": False, "data": "d"}, ""),
        ("--sizes 3 -4 --tag a --tag b -v -v", {"sizes": ["3", "-4"], "tag": ["a", "b"], "v": 2}, ""),
        ("--unknown 5 --epochs 2", {"epochs": 2}, "--unknown 5"),
        ("--epo 3", {}, "--epo 3"),
    ],
)
def test_a_command_line_becomes_inputs_as_far_as_its_options_are_known(
    words: str, inputs: dict[str, Any], rest: str
) -> None:
    options = _read(ARGPARSE)
    training_input = from_source(options.signature("main"), "main")
    assert split_arguments(words.split(), options, training_input) == (inputs, rest.split())


REAL = {
    "argparse": (
        ARGPARSE + "print(vars(parse()))\n",
        {"data": "-x", "sizes": [3, 4], "learning_rate": -0.5, "amp": False},
    ),
    "argparse, positional": (
        ARGPARSE + "print(vars(parse()))\n",
        {"data": "d", "sizes": [3, 4], "tag": ["a", "-b"]},
    ),
    "click": (
        CLICK.replace("path): ...", "path): print(locals())\nmain()"),
        {"path": "-p", "lr": -0.1, "fast": True, "n": 4},
    ),
    "typer": (TYPER.replace("= 2): ...", "= 2): print(locals())"), {"path": "p", "fast": True, "n": 3}),
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_program_reads_from_its_command_line_what_was_given(tmp_path: Path, name: str) -> None:
    pytest.importorskip(name.partition(",")[0])
    text, inputs = REAL[name]
    script = tmp_path / "script.py"
    script.write_text(text)
    words = words_of(inputs, _read(text).spellings())
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    read = ast.literal_eval(done.stdout)
    assert {key: read[key] for key in inputs} == inputs


def test_constants_of_a_script_are_its_defaults() -> None:
    text = "import argparse\nLR = 0.5\np = argparse.ArgumentParser()\np.add_argument('--lr', default=LR)\np.parse_args()\n"
    training_input = from_source(_read(text).signature("main"), "main")
    assert training_input is not None
    assert (training_input.parameters[0].default, training_input.parameters[0].type) == (0.5, float)
