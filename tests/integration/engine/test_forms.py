"""What a page without a kernel asks and starts: cells, files and Cog folders, through the endpoints that notebooks use."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from integration_tools import EngineUnderTest, until

SECRET = "sk-not-to-be-seen-anywhere"
CELL = """\
from pydantic import SecretStr
from jupyter_ext import Input
from pathlib import Path

def train(token: SecretStr, epochs: int = Input(2, ge=1, le=9), lr: float = 1e-3, sizes: list[int] = [1], data: Path = None):
    return [epochs, scale(lr), sizes, len(token.get_secret_value())]
"""
ABOVE = [{"text": "def scale(x):\n    return x * 10", "label": "Cell In[1]"}]


@pytest.fixture(scope="module")
def ask(engine: EngineUnderTest) -> Iterator[Callable[..., Any]]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(engine.where.socket)),
        base_url="http://engine",
        timeout=60,
    ) as http:

        def asked(method: str, path: str, body: Any = None) -> Any:
            answer = http.request(method, path, json=body)
            return (answer.json() if answer.content else {}) | {"http_status": answer.status_code}

        yield asked


def start(ask: Callable[..., Any], version: Any, inputs: Any, **origin: Any) -> Any:
    body = {"input": inputs, "jupyter_ext": {"python": sys.executable, **origin}}
    return ask("POST", f"/v1/models/{version['model']}/versions/{version['id']}/trainings", body)


def ended(ask: Callable[..., Any], training_id: str) -> Any:
    path = f"/native/trainings/{training_id}"
    until(lambda: ask("GET", path)["status"] in ("succeeded", "failed"), "the end")
    return ask("GET", path)


def test_a_form_is_drawn_checked_and_started(ask: Callable[..., Any], tmp_path: Path) -> None:
    source = {"text": CELL, "before": ABOVE, "label": "Cell In[2]", "name": "digits", "cwd": str(tmp_path)}
    form = ask("POST", "/native/forms", source)
    assert form["http_status"] == 200
    fields = {item["name"]: item for item in form["fields"]}
    kinds = {name: item["kind"] for name, item in fields.items()}
    assert kinds == {"token": "secret", "epochs": "text", "lr": "text", "sizes": "list", "data": "path"}
    assert fields["epochs"]["slider"] == {"low": 1, "high": 9, "step": 1, "scale": "integer"}
    assert (fields["lr"]["value"], fields["sizes"]["value"], fields["data"]["value"]) == ("0.001", "1", "")
    assert [(one["name"], "required" in one["message"]) for one in form["errors"]] == [("token", True)]
    typed = {"token": SECRET, "epochs": "12", "lr": "1e-2", "sizes": "3, 4"}
    form = ask("POST", "/native/forms", source | {"input": typed})
    assert [one["name"] for one in form["errors"]] == ["epochs"]
    form = ask("POST", "/native/forms", source | {"input": typed | {"epochs": "5"}})
    assert form["errors"] == []
    assert form["values"] == {"epochs": 5, "lr": 0.01, "sizes": [3, 4]}
    assert SECRET not in json.dumps(form)
    assert form["line"].startswith("%%train digits -i token={token} -i epochs=5 -i lr=0.01 -i ")
    version = ask("POST", "/native/versions", source)
    assert version["http_status"] == 201
    place = {"notebook": str(tmp_path / "a.ipynb"), "cell": "7f3a"}
    inputs = form["values"] | {"token": SECRET}
    training = start(ask, version, inputs, cwd=form["cwd"], started_from=place)
    assert training["http_status"] == 201, training
    assert training["started_from"] == place
    assert ended(ask, training["id"])["output"] == [5, 0.1, [3, 4], len(SECRET)]
    again = ask("POST", f"/native/trainings/{training['id']}/again", {"input": {"token": SECRET}})
    assert again["started_from"] == place, "run again, it is still of that cell"
    ended(ask, again["id"])


def test_files_and_cog_folders_are_started_from_their_path(ask: Callable[..., Any], tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
        "print('lr', p.parse_args().lr)\n"
    )
    form = ask("POST", "/native/forms", {"path": "fit.py", "cwd": str(tmp_path), "input": {"lr": ".5"}})
    assert (form["name"], form["values"], form["line"]) == ("fit", {"lr": 0.5}, "%train fit.py -i lr=0.5")
    assert form["python"] == sys.executable
    version = ask("POST", "/native/versions", {"path": str(script), "python": "python"})
    training = ended(ask, start(ask, version, form["values"], cwd=form["cwd"])["id"])
    assert training["status"] == "succeeded", training["error"]
    assert "lr 0.5" in ask("GET", f"/native/trainings/{training['id']}/logs?tail=5")["text"]
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cog.yaml").write_text('train: "train.py:train"\n')
    (folder / "train.py").write_text("def train(n: int = 3):\n    return n\n")
    for path in (folder, folder / "cog.yaml"):
        form = ask("POST", "/native/forms", {"path": str(path)})
        assert (form["name"], [item["name"] for item in form["fields"]]) == ("project", ["n"])


def test_a_cell_becomes_a_session(ask: Callable[..., Any], tmp_path: Path) -> None:
    text = "import torch\nclass Net(torch.nn.Module):\n    factor = scale(2)"
    code = ask(
        "POST", "/native/session-code", {"text": text, "before": ABOVE, "name": "net", "cwd": str(tmp_path)}
    )
    assert (code["http_status"], code["name"], code["missing"]) == (201, "net", [])
    body = {"name": "net", "code": code["id"], "python": sys.executable, "cwd": code["cwd"], "wait_s": 60}
    session = ask("POST", "/native/sessions", body)
    assert (session["status"], session["entry"]["name"]) == ("running", "Net"), session
    ask("POST", f"/native/sessions/{session['id']}/terminate")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "path"),
        ({"path": "/nowhere/train.py"}, "cannot be read"),
        ({"path": "/dev/zero"}, "no Python file"),
        ({"text": "!ls\ntrain()"}, "notebook command"),
        ({"text": "x = 1", "before": [{"label": "a"}]}, "before.0.text"),
        ({"text": "x = 1", "input": 3}, "input"),
        ({"text": "def train(a): ...", "name": "x" * 300}, "name"),
    ],
)
def test_what_cannot_be_started_is_refused_in_one_line(ask: Callable[..., Any], body: Any, says: str) -> None:
    for path in ("/native/forms", "/native/versions"):
        answer = ask("POST", path, body)
        assert answer["http_status"] in (400, 422), answer
        assert says in answer["detail"]
        assert "\n" not in answer["detail"]
