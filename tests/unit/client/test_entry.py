"""What of a cell is run: its train(), once, or the whole of it."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from jupyter_ext.bundles.entry import choose_entry, without
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.errors import InvalidInput

TRAIN = "def train(epochs: int = 3, lr: float = 0.1):\n    print(epochs)\n"
HELPER = "def train(args, model, epoch): ...\ndef main():\n    for i in range(2):\n        train(1, 2, i)\n"
PARSER = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--epochs', type=int)\n"
GUARD = 'if __name__ == "__main__":\n    '


def _choose(text: str, *inputs: str, names: Any = None) -> Any:
    source = "\n" + text
    return choose_entry(ast.parse(source), source, inputs, names)


@pytest.mark.parametrize(
    "text",
    [
        TRAIN,
        TRAIN + "print('set up')\nx = 3\n",
        "async def train(): ...\n",
        "def train(): ...\ntrain = torch.compile(train)\n",
        "def train(): ...\ntrain.tags = ['a']\n",
        "def fit(): ...\ndef train():\n    fit()\nif torch.cuda.is_available():\n    fit()\n",
        TRAIN + GUARD + "print('only said')\n",
    ],
)
def test_a_train_that_nothing_calls_is_called_with_the_inputs(text: str) -> None:
    found = _choose(text)
    assert (found.is_script, found.left_out, found.notice) == (False, (), "")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (TRAIN + "train()\n", {}),
        (TRAIN + GUARD + "train()\n", {}),
        (TRAIN + "train(5, lr=1e-3)\n", {"epochs": 5, "lr": 1e-3}),
        ("async def train(n=1): ...\nawait train(n=2)\n", {"n": 2}),
    ],
)
def test_a_plain_last_call_of_its_own_stands_for_ours(text: str, given: dict[str, Any]) -> None:
    found = _choose(text)
    assert not found.is_script
    assert found.given == given
    assert "is called once" in found.notice
    kept = without("\n" + text, found.left_out)
    ast.parse(kept)
    assert kept.count("\n") == ("\n" + text).count("\n")
    assert "train(" not in kept.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HELPER + GUARD + "main()\n", "__main__"),
        (HELPER + "main()\n", "calls train() itself"),
        (TRAIN + "model = 1\ntrain(model, 2)\n", "calls train() itself"),
        (TRAIN + "result = train()\nprint(result)\n", "calls train() itself"),
        (TRAIN + "train()\nprint('after')\n", "calls train() itself"),
        (TRAIN + "for lr in (1, 2):\n    train(lr=lr)\n", "calls train() itself"),
        (TRAIN + "mp.spawn(train, nprocs=2)\n", "calls train() itself"),
        (
            TRAIN + "class Runner:\n    def __init__(self):\n        train()\nRunner()\n",
            "calls train() itself",
        ),
        ("def train(model): ...\n" + GUARD + "run_everything()\n", "__main__"),
        ("train = lambda x: x\ntrain(3)\n", "calls train() itself"),
    ],
)
def test_a_text_that_trains_by_itself_runs_as_a_script_and_says_why(text: str, why: str) -> None:
    found = _choose(text)
    assert found.is_script
    assert why in found.notice


def test_inputs_that_are_those_of_train_choose_it() -> None:
    found = _choose(TRAIN + "for lr in (1, 2):\n    train(lr=lr)\n", "lr")
    assert not found.is_script
    assert len(found.left_out) == 1
    assert "called with them" in found.notice


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("def fit(lr: float = 0.1): ...\ntrain = fit\n", "def train(lr: float=0.1): ...\n"),
        ("train = lambda n=2: n\n", "def train(n=2): ...\n"),
        ("def fit(a, b): ...\ntrain = functools.partial(fit, 1)\n", "def train(**inputs): ...\n"),
        ("train = shown\n", "def train(x, y=2): ...\n"),
    ],
)
def test_a_train_that_is_assigned_is_the_entry_where_it_is_a_function(text: str, signature: str) -> None:
    def shown(x: int, y: int = 2) -> None: ...

    found = _choose(text, names={"shown": shown})
    assert (found.is_script, found.signature) == (False, signature)


@pytest.mark.parametrize(
    "text",
    ["train = load('train.csv')\nprint(train)\n", "train, test = split(data)\nfit(train)\n", "print(1)\n"],
)
def test_data_that_is_called_train_is_no_entry(text: str) -> None:
    found = _choose(text)
    assert (found.is_script, found.notice) == (True, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class train:\n    pass\n", "define train(...)"),
        ("import os\nLR = 0.1\nclass Net: ...\ndef fit(): ...\n", "defines Net, fit and calls nothing"),
        ("x = 1\nprint(x)\n", "reads 'epochs'"),
        ("# nothing yet\n", "no code in it"),
        (f"{PARSER}args = p.parse_args([])\n", "Line 5 parses options from a list of its own, so 'epochs'"),
        (f"{PARSER}print(p.parse_args(args=''))\n", "write parse_args(), without the list"),
        (f"{PARSER}a, b = p.parse_known_args(''.split())\n", "write parse_args(), without the list"),
    ],
)
def test_what_would_do_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _choose(text, "epochs")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_options_of_a_cell_are_its_inputs() -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--epochs', type=int, default=2)\nargs = p.parse_args()\n"
    bundle = capture_cell(text, {}, "mnist", ["epochs"])
    assert bundle.training_input is not None
    assert [one.name for one in bundle.training_input.parameters] == ["epochs"]
