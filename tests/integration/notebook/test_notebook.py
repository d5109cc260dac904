"""Magics in a real kernel: what a person types, and what comes back."""

from __future__ import annotations

import os
import queue
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest, holding, until
from kernel_tools import MIME_TYPE, Kernel

TRAIN = """%%train count -i n=5 --as run
from jupyter_ext import log
def train(n: int = 3, scale: float = 1.0):
    for i in range(n):
        log(x=i * scale)
    return n
"""


def test_a_cell_returns_a_handle_with_three_faces(kernel: Kernel) -> None:
    cell = kernel.run(TRAIN)
    assert cell.error is None
    content = cell.panel[MIME_TYPE]
    assert content["version"] == 1
    assert len(content["id"]) == 26
    assert "application/vnd.jupyter.widget-view+json" in cell.panel
    assert "<Training count" in cell.panel["text/plain"]
    assert kernel.run("run.wait().output").result == "5"
    assert "4" in kernel.run("run.metrics()").result
    assert kernel.run("len(run.figure().data)").result == "1"
    assert (
        kernel.run(f"jx = __import__('jupyter_ext'); jx.trainings.get('{content['id']}').status").result
        == "'succeeded'"
    )


def test_a_running_training_does_not_hold_the_kernel(kernel: Kernel) -> None:
    cell = kernel.run("%%train slow --as slow\nimport time\ndef train():\n    time.sleep(30)")
    assert cell.error is None
    assert kernel.run("1 + 1").result == "2"
    assert kernel.run("slow.status").result in ("'starting'", "'processing'")
    assert kernel.run("slow.cancel(); slow.wait()").error.startswith("TrainingCanceled")  # type: ignore[union-attr]


def test_values_and_expressions_come_from_the_notebook(kernel: Kernel) -> None:
    kernel.run("rate = 2.5\nbase = 4")
    cell = kernel.run("%%train mul -i scale={rate} -i n=$base --as run\n" + TRAIN.split("\n", 1)[1])
    assert cell.error is None
    assert cell.panel[MIME_TYPE]["training"]["input"] == {"scale": 2.5, "n": 4}


def test_names_of_the_notebook_travel_and_modules_are_imported(kernel: Kernel) -> None:
    kernel.run("import math as m\nvalues = [1, 4, 9]\ndef half(x):\n    return x / 2")
    cell = kernel.run(
        "%%train roots --wait --as run\ndef train():\n    return [half(m.sqrt(v)) for v in values]"
    )
    assert cell.error is None
    assert kernel.run("run.output").result == "[0.5, 1.0, 1.5]"
    assert kernel.run("[c.name for c in run.resource.captured]").result == "['half', 'values']"


def test_a_function_trains_by_its_name_and_by_jx_train(kernel: Kernel) -> None:
    kernel.run("k = 10\ndef fit(a: int, b: int = 1):\n    return a * b * k")
    assert kernel.run("%train fit -i a=2 --as run").error is None
    assert kernel.run("run.wait().output").result == "20"
    assert (
        kernel.run("jx = __import__('jupyter_ext'); jx.train(fit, a=3, b=2, name='six').wait().output").result
        == "60"
    )


def test_a_failure_shows_the_users_frames_and_the_cells_line(kernel: Kernel) -> None:
    kernel.run("def helper(x):\n    return 1 / x")
    cell = kernel.run("%%train broken --wait\n\ndef train(a: int = 0):\n    return helper(a)")
    assert cell.error is not None
    assert cell.error.startswith("TrainingFailed")
    assert "Cell broken, line 4, in train" in cell.traceback
    assert "return helper(a)" in cell.traceback
    assert "line 2, in helper" in cell.traceback
    assert "ZeroDivisionError" in cell.traceback
    assert "jupyter_ext/" not in cell.traceback


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("%%train x -i lr=fast\ndef train(lr: float): ...", "InvalidInput: lr='fast'"),
        ("%%train x\ndef train(lr: float): ...", "InvalidInput: lr (float) is required"),
        ("%%train x -i epoch=3\ndef train(epochs: int = 1): ...", "did you mean 'epochs'?"),
        ("%%train x -i lr=5\ndef train(lr: float = Input(0.1, le=1)): ...", "less than or equal to 1"),
        ("%%train x\ndef train(:\n    ...", "InvalidInput: line 2 of the cell"),
        ("%%train x --fly\ndef train(): ...", "InvalidInput: %%train: unrecognized arguments: --fly"),
        ("%%train x --on mars\ndef train(): ...", "InvalidInput: There is no backend 'mars'"),
        ("%%train x --as 1a\ndef train(): ...", "is not a name that a variable can have"),
        (
            "%train nothing",
            "InvalidInput: %train: 'nothing' is neither a function of this notebook nor a folder",
        ),
        ("%training 0123456789abcdefghijklmnop", "UnknownId: There is no training"),
        ("%training nobody logs", "UnknownId: There is no training 'nobody'"),
        ("%engine fly", "InvalidInput: %engine: "),
        ("handle = (i for i in [1])", ""),
        ("%%train x\ndef train(): list(handle)", "CannotTravel: 'handle' (generator) cannot travel"),
        ("__import__('jupyter_ext').train(print)", "InvalidInput: <built-in function print>"),
    ],
)
def test_a_mistake_gets_one_line_and_starts_nothing(
    kernel: Kernel, engine: EngineUnderTest, code: str, says: str
) -> None:
    before = set(engine.where.runs_dir.iterdir())
    cell = kernel.run(code)
    if says:
        assert cell.error is not None
        assert says in cell.error
        assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback
    assert set(engine.where.runs_dir.iterdir()) == before


def test_help_and_lists_and_the_engine(kernel: Kernel) -> None:
    for magic in (
        "%%train --help",
        "%train --help",
        "%training --help",
        "%trainings --help",
        "%engine --help",
    ):
        cell = kernel.run(magic)
        assert cell.error is None
        assert "usage:" in cell.text
    assert "count" in kernel.run("%trainings").result
    assert "warm" in kernel.run("%engine").result
    assert "ok  engine" in kernel.run("%engine doctor").text


def test_the_token_never_reaches_an_output(kernel: Kernel, engine: EngineUnderTest) -> None:
    cell = kernel.run("%engine listen")
    token = engine.where.token_file.read_text()
    shown = kernel.run("__import__('jupyter_ext').engine.listen()")
    assert token not in cell.text + shown.result
    assert str(engine.where.token_file) in cell.text


def test_completion(kernel: Kernel) -> None:
    for line, wanted in (
        ("%engine sta", "status"),
        ("%%train x --o", "--on"),
        ("%trainings --status fa", "failed"),
        ("%training coun", "count"),
        ("%train ", "fit"),
    ):
        reply = kernel.client.complete(line, len(line), reply=True, timeout=60)
        assert wanted in " ".join(reply["content"]["matches"]), (line, reply["content"]["matches"])


def test_an_interrupt_ends_the_waiting_and_not_the_training(kernel: Kernel) -> None:
    kernel_pid = int(kernel.run("import os; os.getpid()").result)
    timer = threading.Timer(1.5, os.kill, (kernel_pid, signal.SIGINT))
    timer.start()
    cell = kernel.run("%%train long --wait --as long\nimport time\ndef train():\n    time.sleep(60)")
    assert cell.error is None, cell.traceback
    assert "Stopped waiting" in cell.text
    assert kernel.run("long.status").result == "'processing'"
    kernel.run("long.cancel()")


def test_secrets_of_the_environment_reach_the_worker_and_no_file(
    kernel: Kernel, engine: EngineUnderTest
) -> None:
    secret = "hunter2-" + "x" * 20
    kernel.run(f"import os; os.environ['MY_TOKEN'] = {secret!r}")
    text = "import os\ndef train():\n    return len(os.environ['MY_TOKEN'])"
    cell = kernel.run(f"%%train env --wait --as env\n{text}")
    assert cell.error is None
    assert kernel.run("env.output").result == str(len(secret))
    assert not holding(secret, engine.where.data_dir, engine.where.runtime_dir)


def test_the_saved_output_gets_the_last_picture(kernel: Kernel) -> None:
    slowly = (
        TRAIN.replace("count", "pictured")
        + "import time\ntime.sleep(1)  # the cell is over before the training\n"
    )
    kernel.run(slowly)

    def last_picture() -> dict[str, Any] | None:
        try:
            message = kernel.client.get_iopub_msg(timeout=1)
        except queue.Empty:
            return None
        data = message["content"].get("data", {}) if message["msg_type"] == "update_display_data" else {}
        text = data.get("text/plain", "")
        return data if "pictured" in text and "succeeded" in text else None

    picture = until(last_picture, "the last picture", 30)["image/svg+xml"]
    assert picture.startswith("<svg")
    assert "pictured" in picture


def test_a_killed_kernel_does_nothing_to_its_training(engine: EngineUnderTest, kernel: Kernel) -> None:
    other = Kernel(engine)
    other.run("%load_ext jupyter_ext")
    text = "import time\nfrom jupyter_ext import log\ndef train():\n    for i in range(100):\n"
    cell = other.run(f"%%train orphan\n{text}        log(i=i)\n        time.sleep(0.02)\n    return 'done'")
    training_id = cell.panel[MIME_TYPE]["id"]
    os.kill(int(other.run("import os; os.getpid()").result), signal.SIGKILL)
    other.close()
    kernel.run("import jupyter_ext as jx")
    assert kernel.run(f"jx.trainings.get('{training_id}').wait().output").result == "'done'"
    assert kernel.run(f"len(jx.trainings.get('{training_id}').metrics())").result == "100"


def test_a_training_resumes_and_a_folder_trains_by_magic(kernel: Kernel, tmp_path: Path) -> None:
    text = "from jupyter_ext import checkpoint, log\ndef train(n: int = 5, fail: bool = True):\n"
    text += "    found = checkpoint.latest()\n    for i in range(found.load() + 1 if found else 0, n):\n"
    text += "        log(x=i, step=i)\n        checkpoint.save(i, step=i)\n        assert i < 2 or not fail\n    return i"
    cell = kernel.run(f"%%train again --as first\n{text}")
    assert cell.error is None
    assert (kernel.run("first.wait()").error or "").startswith("TrainingFailed")
    resumed = kernel.run("%training {first.id} resume -i fail=false -i n=7")
    assert resumed.error is None
    assert kernel.run("second = jx.trainings.get('again'); second.wait().output").result == "6"
    assert kernel.run("second.metrics().step.tolist()").result == "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]"
    refused = kernel.run("%training {second.id} resume")
    assert "succeeded, so there is nothing to resume" in (refused.error or "")
    folder = tmp_path / "project"
    folder.mkdir()
    assert "project has no cog.yaml" in (kernel.run(f"%train {folder}").error or "")
    (folder / "cog.yaml").write_text("train: main.py:train\n")
    (folder / "main.py").write_text(
        "from cog import Input\ndef train(k: int = Input(ge=1)):\n    return 2 * k\n"
    )
    assert kernel.run(f"%train {folder} -i k=4 --as third").error is None
    assert kernel.run("third.wait().output").result == "8"
    assert kernel.run(f"jx.train('{folder}', k=5).wait().output").result == "10"
    assert "greater than or equal to 1" in (kernel.run(f"%train {folder} -i k=0").error or "")
