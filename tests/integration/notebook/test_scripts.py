"""Cells and files that train by themselves, in a real kernel and a real worker: once, and with their options as inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_tools import Kernel

MNIST = """import argparse
def train(args, model, epoch):
    print('epoch', epoch, 'of', args.epochs, model)
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2, help="how many")
    parser.add_argument("--no-cuda", action="store_true")
    args = parser.parse_args()
    for epoch in range(args.epochs):
        train(args, 'net', epoch)
    print('whole script done', args.no_cuda)
if __name__ == "__main__":
    main()
"""


def _logs(kernel: Kernel) -> str:
    cell = kernel.run("print(run.wait().status); print(run.logs(), end='')")
    assert cell.error is None, cell.traceback
    status, _, logs = cell.text.partition("\n")
    assert status == "succeeded"
    return logs


def test_a_script_with_a_helper_called_train_runs_whole(kernel: Kernel) -> None:
    cell = kernel.run(f"%%train mnist --as run\n{MNIST}")
    assert cell.error is None, cell.traceback
    assert "runs as a script" in cell.text
    assert _logs(kernel) == "epoch 0 of 2 net\nepoch 1 of 2 net\nwhole script done False\n"
    cell = kernel.run(f"%%train mnist -i epochs=1 -i no_cuda=true --as run\n{MNIST}")
    assert cell.error is None, cell.traceback
    assert _logs(kernel) == "epoch 0 of 1 net\nwhole script done True\n"
    assert "did you mean 'epochs'?" in (kernel.run(f"%%train mnist -i epoch=1\n{MNIST}").error or "")


@pytest.mark.parametrize(
    ("inputs", "ending", "said", "printed"),
    [
        ("", "if __name__ == '__main__':\n    train()", "called once", "ran 3\n"),
        ("-i epochs=2", "train()", "called once", "ran 2\n"),
        ("", "train(epochs=5)", "called once", "ran 5\n"),
        ("-i epochs=2", "for n in (7, 8):\n    train(n)", "called with them", "ran 2\n"),
        ("", "for n in (7, 8):\n    train(n)", "calls train() itself", "ran 7\nran 8\n"),
        ("", "n = 4\ntrain(n)", "calls train() itself", "ran 4\n"),
        ("-i epochs=2", "", "", "ran 2\n"),
        ("", "train = (lambda f: f)(train)", "", "ran 3\n"),
    ],
)
def test_nothing_trains_twice(kernel: Kernel, inputs: str, ending: str, said: str, printed: str) -> None:
    text = f"def train(epochs: int = 3):\n    print('ran', epochs)\n{ending}"
    cell = kernel.run(f"%%train once {inputs} --as run\n{text}")
    assert cell.error is None, cell.traceback
    assert said in cell.text
    assert bool(cell.text) == bool(said)
    assert _logs(kernel) == printed


SCRIPT = """import sys
from pathlib import Path
import beside
print(__name__, Path(__file__).name, sys.argv[1:], beside.VALUE, sys.path[0] == str(Path(__file__).parent))
"""


def test_a_file_runs_as_main_with_its_folder_and_its_arguments(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 42\n")
    script = tmp_path / "plain script.py"
    script.write_text(SCRIPT)
    cell = kernel.run(f"%train '{script}' --as run -- --lr 3 -x 'two words' --help")
    assert cell.error is None, cell.traceback
    printed = "__main__ plain script.py ['--lr', '3', '-x', 'two words', '--help'] 42 True\n"
    assert _logs(kernel) == printed
    assert (
        kernel.run(f"run = jx.train({str(script)!r}, args=['--lr', '3']); run.name").result
        == "'plain script'"
    )
    assert "['--lr', '3'] 42 True" in _logs(kernel)


def test_options_of_a_file_are_inputs_however_they_are_given(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "mnist.py"
    script.write_text(MNIST)
    for code in (
        f"%train {script} -i epochs=1 --as run",
        f"%train {script} --as run -- --epochs 1",
        f"run = jx.train({str(script)!r}, epochs=1)",
        f"run = jx.train({str(script)!r}, args=['--epochs=1'])",
    ):
        assert kernel.run(code).error is None
        assert _logs(kernel) == "epoch 0 of 1 net\nwhole script done False\n"
        assert kernel.run("run.resource.input").result == "{'epochs': 1}"
    assert kernel.run("run = run.again(epochs=3, no_cuda=True)").error is None
    assert _logs(kernel).splitlines()[-1] == "whole script done True"
    assert kernel.run(f"%train {script} --form").error is None
    script.write_text("raise RuntimeError('changed')\n")
    assert kernel.run("run = run.again(epochs=1)").error is None
    assert _logs(kernel).splitlines()[-1] == "whole script done True"


def test_forms_and_completion_know_the_options_of_a_file(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "mnist.py"
    script.write_text(MNIST)
    cell = kernel.run(
        f"form = jx.form({str(script)!r}); print(form.values); form.launch().wait()\nrun = form.run"
    )
    assert (cell.error, cell.text) == (None, "{}\n"), cell.traceback
    assert _logs(kernel).splitlines()[-1] == "whole script done False"
    text = "%%train once --form\ndef train(epochs: int = 3): print('ran', epochs)\ntrain(epochs=5)"
    assert kernel.run(text).error is None
    for line, wanted in ((f"%train {tmp_path}/mn", "mnist.py"), (f"%train {script} -i ", "no_cuda=")):
        reply = kernel.client.complete(line, len(line), reply=True, timeout=60)
        assert wanted in " ".join(reply["content"]["matches"]), (line, reply["content"]["matches"])


def test_a_file_that_only_defines_train_has_its_inputs(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "defines.py"
    script.write_text(
        "from pathlib import Path\nclass Box: ...\n"
        "def train(epochs: int, where: Path = Path('x')):\n    print(epochs, Path(__file__).name, where.name)\n"
    )
    assert kernel.run(f"%train {script} -i epochs=2 --as run").error is None
    assert _logs(kernel) == "2 defines.py x\n"
    assert kernel.run(f"run = jx.train({str(script)!r}, epochs=3, where='a/b')").error is None
    assert _logs(kernel) == "3 defines.py b\n"
    assert "epochs (int) is required" in (kernel.run(f"%train {script}").error or "")
    assert "give 'x' as -i name=value" in (kernel.run(f"%train {script} -i epochs=1 -- x").error or "")


def test_a_failure_in_a_file_names_its_line(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("def f():\n    return 1 / 0\nf()\n")
    kernel.run(f"%train {script} --as run")
    error = kernel.run("run.wait()")
    assert "broken.py, line 2, in f" in error.traceback
    assert "return 1 / 0" in error.traceback
    assert "jupyter_ext/" not in error.traceback


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("missing.py", None, "cannot be read: No such file"),
        ("bad.py", b"def f(:\n", "bad.py, line 1: "),
        ("latin.py", b"x = '\xe9'\n", "latin.py is not Python"),
        ("nb.ipynb", b"{}", "is a notebook; save it as a script"),
        ("defs.py", b"def fit(): ...\n", "defines fit and calls nothing"),
        ("plain.py", b"print(1)\n", "Nothing in it reads 'lr'"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_in_one_line(
    kernel: Kernel, tmp_path: Path, name: str, text: bytes | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    cell = kernel.run(f"%train {tmp_path / name} -i lr=1")
    assert says in (cell.error or "")
    assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback


def test_a_function_has_no_command_line(kernel: Kernel) -> None:
    kernel.run("def fit(): ...")
    assert "only a file has a command line" in (kernel.run("%train fit -- --x").error or "")
    assert "only a file has a command line" in (kernel.run("%%train x -- --x\nprint(1)").error or "")
    assert "command line of a file" in (kernel.run("jx.train(fit, args=['--x'])").error or "")
