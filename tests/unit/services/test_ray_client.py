"""What a Ray cluster's address may answer, and a cluster of another Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cloudpickle
import httpx
import pytest

from jupyter_ext.engine.services.ray import client as ray_client
from jupyter_ext.engine.services.ray.client import NoRay, RayClient, RayError, RayUnreachable, find_token
from jupyter_ext.engine.services.ray.mirror import Mirror
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.worker.remote.main import why_not_here

URL = "http://127.0.0.1:8265"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> RayClient:
    """Return a client of a cluster that answers so."""
    made = RayClient(URL, None)
    made._http = httpx.AsyncClient(base_url=URL, transport=httpx.MockTransport(answer))
    return made


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(200, html="<html><title>Sign in</title>"), "answers 200 with an HTML page"),
        (httpx.Response(404, html="<h1>Not Found</h1>"), "answers 404 with an HTML page"),
        (httpx.Response(302, headers={"location": "/login"}), "answers 302 with nothing"),
        (httpx.Response(200, text="it works"), "answers 200 with 'it works'"),
        (httpx.Response(200, json=["ray_version"]), "is no Ray dashboard"),
        (httpx.Response(200, json={"version": "1"}), "is no Ray dashboard"),
        (httpx.Response(200), "answers 200 with nothing"),
    ],
)
async def test_what_is_no_dashboard_is_said_with_the_next_step(answer: httpx.Response, says: str) -> None:
    made = client(lambda _: answer)
    with pytest.raises(NoRay) as error:
        await made.check()
    await made.aclose()
    assert str(error.value).startswith(f"{URL} is no Ray dashboard")
    assert says in str(error.value)
    assert "give --address the dashboard's URL" in str(error.value)


async def test_a_job_is_never_told_by_what_is_no_json() -> None:
    for ask in (lambda one: one.info("id"), lambda one: one.logs("id")):
        made = client(lambda _: httpx.Response(200, text="<html>"))
        with pytest.raises(NoRay):
            await ask(made)
        await made.aclose()


async def test_a_cluster_answers_its_version_and_refuses_in_one_line() -> None:
    made = client(lambda _: httpx.Response(200, json={"version": "4", "ray_version": "2.60.0"}))
    assert await made.check() == "2.60.0"
    await made.aclose()
    made = client(lambda _: httpx.Response(401, text="who are you?"))
    with pytest.raises(RayError, match="asks for a token"):
        await made.check()
    await made.aclose()
    made = client(lambda _: httpx.Response(500, text="Traceback\nValueError: no such\n package"))
    with pytest.raises(RayError, match="says 500: Traceback ValueError: no such package"):
        await made.info("id")
    await made.aclose()


async def test_a_cluster_that_has_just_started_is_given_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_client, "_AGENT_PAUSE_S", 0)
    answers = [httpx.Response(500, text="No available agent to submit job, please try again later.")] * 2
    answers.append(httpx.Response(200, json={}))
    made = client(lambda _: answers.pop(0))
    await made.submit("id", {})
    assert not answers
    monkeypatch.setattr(ray_client, "_AGENT_WITHIN_S", -1)
    answers += [httpx.Response(500, text="No available agent to submit job."), httpx.Response(404)]
    with pytest.raises(RayError, match="No available agent"):
        await made.submit("id", {})
    await made.aclose()


async def test_nobody_there_is_named() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    made = client(refuse)
    with pytest.raises(RayUnreachable, match=f"No Ray cluster answers at {URL} .*--address names another"):
        await made.check()
    await made.aclose()


@pytest.mark.parametrize("token", ["two words", "schlüssel", "line\nline", "\x07bell"])
def test_what_cannot_be_a_token_is_named_by_its_place_and_not_repeated(token: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(token)
    for environ in ({"RAY_AUTH_TOKEN": token}, {"RAY_AUTH_TOKEN_PATH": str(path)}):
        with pytest.raises(RayError, match=next(iter(environ))) as error:
            find_token(environ)
        assert token not in str(error.value)
    assert find_token({"RAY_AUTH_TOKEN": " good\n"}) == "good"


def test_functions_do_not_travel_to_another_python(tmp_path: Path) -> None:
    names = tmp_path / "names.pkl"
    assert why_not_here("3.1", names) is None
    names.write_bytes(cloudpickle.dumps({"scale": 3.0, "sizes": [1, 2]}))
    assert why_not_here("3.1", names) is None

    def helper() -> int:
        return 1

    helper.__module__ = "__main__"
    names.write_bytes(cloudpickle.dumps({"helper": helper}))
    assert why_not_here(None, names) is None
    said = why_not_here("3.1", names)
    assert said is not None
    assert "the notebook's 3.1" in said
    assert "use a cluster with Python 3.1" in said


def test_why_a_job_could_not_begin_is_its_last_line(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.take("Traceback\nModuleNotFoundError: No module named 'cloudpickle'\n\n")
    assert mirror.last_words == "ModuleNotFoundError: No module named 'cloudpickle'"
    write_json(tmp_path / "worker_start.json", {"time": 1.0})
    assert mirror.last_words == "", "what the training prints is in its log"
    mirror.close()
