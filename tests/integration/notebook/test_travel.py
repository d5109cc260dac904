"""What travels with code: modules of every origin, and only what is really used."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_tools import Kernel


@pytest.fixture(scope="module")
def folder(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "onpath").mkdir()
    (folder / "onpath" / "settings_of_mine.py").write_text(
        "RATE = 0.1\nSIZES = [1, 2]\ndef scale(x):\n    return RATE * x\n"
    )
    (folder / "tools_by_path.py").write_text(
        "K = 3\nclass Thing:\n    def __init__(self, n):\n        self.n = n\n"
        "def triple(x):\n    return K * x\ndef unused(x):\n    return x\n"
    )
    kernel.run(f"import sys; sys.path.append({str(folder / 'onpath')!r})")
    for name, registered in (("tools_by_path", True), ("tools_unregistered", False)):
        kernel.run(
            "import importlib.util\n"
            f"spec = importlib.util.spec_from_file_location({name!r}, {str(folder / 'tools_by_path.py')!r})\n"
            f"{name} = importlib.util.module_from_spec(spec)\n"
            + (f"sys.modules[{name!r}] = {name}\n" if registered else "")
            + f"spec.loader.exec_module({name})"
        )
    kernel.run(
        "import types\nhand = types.ModuleType('hand')\n"
        "exec('BASE = 5\\ndef five(x):\\n    return BASE * x', hand.__dict__)\nsys.modules['hand'] = hand\n"
        "from hand import five\nfrom tools_by_path import triple, Thing\nthing = Thing(7)"
    )
    return folder


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ("tools_by_path.triple(2)", "6"),
        ("tools_unregistered.triple(2)", "6"),
        ("triple(3)", "9"),
        ("hand.five(2)", "10"),
        ("five(3)", "15"),
        ("thing.n", "7"),
        ("[type(thing) is Thing, Thing(1).n]", "[True, 1]"),
        ("settings_of_mine.scale(10)", "1.0"),
    ],
)
def test_modules_travel_wherever_they_come_from(
    kernel: Kernel, folder: Path, expression: str, output: str
) -> None:
    kernel.run("import settings_of_mine")
    cell = kernel.run(f"def fit():\n    return {expression}\nprint(jx.train(fit).wait().output)")
    assert (cell.error, cell.text.strip()) == (None, output), cell.traceback
    cell = kernel.run(f"%%train x --as run\ndef train():\n    return {expression}")
    assert cell.error is None, cell.traceback
    assert kernel.run("print(run.wait().output)").text.strip() == output


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("settings_of_mine.RATE = 0.5", "settings_of_mine.RATE"),
        ("settings_of_mine.SIZES.append(3)", "settings_of_mine.SIZES"),
        ("settings_of_mine.scale = lambda x: 0", "settings_of_mine.scale"),
        ("settings_of_mine.extra = 1", "settings_of_mine.extra"),
    ],
)
def test_a_module_that_was_changed_is_told(kernel: Kernel, folder: Path, change: str, named: str) -> None:
    kernel.run("import importlib, settings_of_mine; importlib.reload(settings_of_mine)")
    kernel.run("vars(settings_of_mine).pop('extra', None)")
    text = "%%train x --as run\ndef train():\n    return settings_of_mine.RATE"
    kernel.run(text)
    assert kernel.run("run.wait().resource.notices").result == "[]"
    kernel.run(change)
    for code in (
        text,
        "run = jx.train(lambda: settings_of_mine.RATE)",
        text.replace("def", "import settings_of_mine\ndef"),
    ):
        assert kernel.run(code).error is None
        assert (
            f"{named}: the notebook has another value than"
            in kernel.run("run.wait().resource.notices").result
        )


def test_a_global_that_only_shares_its_name_with_an_attribute_stays(kernel: Kernel) -> None:
    kernel.run(
        "import threading\nitem = threading.Lock()\ndata = (i for i in [1])\nbackward = open('/dev/null', 'w')\nused = 2"
    )
    kernel.run("class Box:\n    def item(self):\n        return self.data\n    data = 3\nbox = Box()")
    cell = kernel.run(
        "def fit():\n    box.backward = used\n    return box.item() + box.backward\nrun = jx.train(fit); run.wait().output"
    )
    assert (cell.error, cell.result) == (None, "5"), cell.traceback
    assert kernel.run("sorted(c.name for c in run.resource.captured)").result == "['box', 'used']"
    refused = kernel.run(
        "def fit():\n    def inner():\n        return [data for _ in range(2)]\n    return inner()\njx.train(fit)"
    )
    assert "'data' (generator) cannot travel" in (refused.error or "")


def test_display_prints_in_a_training(kernel: Kernel) -> None:
    kernel.run("def fit():\n    display({'a': 1}, 'two')\n    return 3")
    assert kernel.run("run = jx.train(fit); print(run.wait().output, run.logs())").text.split() == [
        "3",
        "{'a':",
        "1}",
        "'two'",
    ]
    kernel.run("%%train shown --as run\ndef train():\n    display([1])")
    assert kernel.run("run.wait(); print(run.logs())").text.strip() == "[1]"
