"""Versions predict with classes and iterators, of cells and of Cog projects; files in outputs are links."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest
from conformance_tools import Opened
from integration_tools import until

from jupyter_ext.bundles.cog_project import capture_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

TRAIN = """
from pathlib import Path

def train(text: str = "w") -> Path:
    Path("weights.txt").write_text(text)
    return Path("weights.txt")
"""
PREDICTOR = """
from cog import BasePredictor, ConcatenateIterator, Input, Path

class Predictor(BasePredictor):
    def setup(self, weights: Path = None) -> None:
        self.text = Path(weights).read_text()

    def predict(self, times: int = Input(default=2, ge=1)) -> ConcatenateIterator[str]:
        for n in range(times):
            yield f"{self.text}{n} "
"""
CELL_CLASS = (
    TRAIN
    + """
class Predictor:
    def setup(self, weights):
        self.text = Path(weights).read_text()

    async def predict(self, times: int = 2):
        for n in range(times):
            yield f"{self.text}{n} "
"""
)
ASYNC_FUNCTION = (
    TRAIN
    + """
async def predict(name: str, weights: Path) -> str:
    return f"{name} {Path(weights).read_text()}"
"""
)
FILES = (
    TRAIN
    + """
def predict(n: int = 2):
    made = []
    for k in range(n):
        path = Path(f"part {k}.txt")
        path.write_text(str(k))
        made.append(path)
    return {"parts": made, "first": {"file": made[0], "name": "part 0.txt"}, "n": n}
"""
)


def ended(opened: Opened, run: dict[str, Any]) -> dict[str, Any]:
    return until(
        lambda: (
            found
            if (found := opened.json("GET", run["urls"]["get"]))["status"]
            in ("succeeded", "failed", "canceled")
            else None
        ),
        "the end",
        90,
    )


def trained(opened: Opened, reference: str, destination: str) -> str:
    """Train a version into a destination; return the id of the version that this makes."""
    model, version = reference.split(":")
    path = f"/v1/models/{model}/versions/{version}/trainings"
    body = {"destination": opened.make_model(destination), "input": {"text": "w"}}
    run = ended(opened, opened.json("POST", path, json=body))
    assert run["status"] == "succeeded", run
    return str(run["output"]["version"].split(":")[1])


def predicted(opened: Opened, version: str, **inputs: Any) -> dict[str, Any]:
    return ended(opened, opened.json("POST", "/v1/predictions", json={"version": version, "input": inputs}))


def project(folder: Path, train: str = TRAIN, predictor: str = PREDICTOR) -> Path:
    folder.mkdir()
    (folder / "cog.yaml").write_text('train: "train.py:train"\npredict: "predict.py:Predictor"\n')
    (folder / "train.py").write_text(textwrap.dedent(train))
    (folder / "predict.py").write_text(textwrap.dedent(predictor))
    return folder


def upload_folder(opened: Opened, folder: Path) -> str:
    answer = opened.json("POST", "/native/versions", content=capture_folder(folder).data)
    return f"{answer['model']}:{answer['id']}"


def test_a_class_of_a_cog_project_predicts(opened: Opened, tmp_path: Path) -> None:
    version = trained(opened, upload_folder(opened, project(tmp_path / "classy")), "cog-class")
    run = predicted(opened, version, times=3)
    assert (run["status"], run["output"]) == ("succeeded", ["w0 ", "w1 ", "w2 "])
    refused = opened.http.post("/v1/predictions", json={"version": version, "input": {"times": 0}})
    assert refused.status_code == 422
    assert "times" in refused.text


@pytest.mark.parametrize(
    ("name", "cell", "inputs", "output"),
    [
        ("cell-class", CELL_CLASS, {"times": 2}, ["w0 ", "w1 "]),
        ("async-function", ASYNC_FUNCTION, {"name": "ann"}, "ann w"),
    ],
)
def test_classes_and_async_functions_of_cells_predict(
    opened: Opened, name: str, cell: str, inputs: dict[str, Any], output: Any
) -> None:
    run = predicted(opened, trained(opened, opened.upload(name, cell), name), **inputs)
    assert (run["status"], run["output"]) == ("succeeded", output), run


def test_items_stream_while_the_prediction_runs(opened: Opened, tmp_path: Path) -> None:
    cell = TRAIN + textwrap.dedent("""
        import time

        def predict(marker: str):
            yield "one"
            yield "two"
            while not Path(marker).exists():
                time.sleep(0.01)
            yield "three"
        """)
    version = trained(opened, opened.upload("streams", cell), "streams")
    marker = tmp_path / "go-on"
    body = {"version": version, "input": {"marker": str(marker)}}
    run = opened.json("POST", "/v1/predictions", json=body)
    until(lambda: opened.json("GET", run["urls"]["get"])["output"] == ["one", "two"], "two items")
    items: list[str] = []
    with httpx.stream("GET", run["urls"]["stream"], trust_env=False, timeout=30) as stream:
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif name == "output" and line.startswith("data: "):
                items.append(line.removeprefix("data: "))
                if items == ["one", "two"]:
                    marker.touch()
    assert items == ["one", "two", "three"]
    assert ended(opened, run)["output"] == items


def test_files_are_links_wherever_they_stand(opened: Opened) -> None:
    run = predicted(opened, trained(opened, opened.upload("files", FILES), "files"), n=2)
    output = run["output"]
    assert (output["n"], output["first"]["name"]) == (2, "part 0.txt")
    links = [*output["parts"], output["first"]["file"]]
    assert [httpx.get(link, trust_env=False).text for link in links] == ["0", "1", "0"]


def test_a_training_of_a_client_without_destination_answers_links_too(opened: Opened) -> None:
    model, version = opened.upload("no-destination", TRAIN).split(":")
    path = f"/v1/models/{model}/versions/{version}/trainings"
    run = ended(opened, opened.json("POST", path, json={"input": {"text": "here"}}))
    assert httpx.get(run["output"], trust_env=False).text == "here"
