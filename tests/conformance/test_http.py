"""What no official client shows of itself: the bytes of requests that go wrong, forms of other clients, links, aliases."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from conformance_tools import DIGITS, SLEEPS, Opened
from integration_tools import until
from receiver import Receiver


@pytest.fixture
def without_token(opened: Opened) -> Any:
    with httpx.Client(base_url=opened.url, trust_env=False) as client:
        yield client


def start(opened: Opened, text: str, name: str, **inputs: Any) -> Any:
    model, _, version = opened.upload(name, text).partition(":")
    return opened.json("POST", f"/v1/models/{model}/versions/{version}/trainings", json={"input": inputs})


def wait(opened: Opened, training: Any) -> Any:
    path = f"/v1/trainings/{training['id']}"
    return until(
        lambda: (now := opened.json("GET", path))["status"] not in ("starting", "processing") and now,
        "the end",
    )


def test_the_doubled_v1_of_one_client_is_the_same(opened: Opened) -> None:
    twice = opened.http.get("/v1/v1/trainings")
    assert twice.json()["results"][:3] == opened.json("GET", "/v1/trainings")["results"][:3]
    assert urlsplit(twice.json()["next"]).path == "/v1/trainings"


def test_pages_over_http_have_every_training_once(opened: Opened) -> None:
    url, ids = "/v1/trainings", list[str]()
    while url:
        page = opened.http.get(url).json()
        assert page["results"]
        ids += [item["id"] for item in page["results"]]
        url = page["next"]
        assert url is None or url.startswith(opened.url)
    assert len(ids) == len(set(ids)) > 200


def test_no_answer_may_be_kept_by_anybody(opened: Opened) -> None:
    for path in ("/v1/trainings", "/v1/models", "/v1/files", "/v1/account", "/v1/trainings/none"):
        assert opened.http.get(path).headers["cache-control"] == "no-store"


def test_both_words_for_a_token_are_understood(opened: Opened, without_token: httpx.Client) -> None:
    for word in ("Bearer", "Token", "bearer"):
        answer = without_token.get("/v1/account", headers={"Authorization": f"{word} {opened.token}"})
        assert answer.status_code == 200


def test_a_cancel_has_an_empty_body_that_is_called_json(opened: Opened) -> None:
    training = start(opened, SLEEPS, "sleeps")
    for _ in range(2):
        answer = opened.http.post(
            f"/v1/trainings/{training['id']}/cancel", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 200
    assert wait(opened, training)["status"] == "canceled"
    assert opened.http.post(f"/v1/predictions/{training['id']}/cancel").json()["status"] == "canceled"


def test_a_training_has_every_field_in_the_form_that_the_strictest_client_takes(opened: Opened) -> None:
    training = start(opened, DIGITS, "digits", steps=1)
    assert {"id", "model", "version", "status", "input", "urls", "created_at"} <= set(training)
    assert (training["logs"], training["error"], training["output"]) == ("", None, None)
    ended = wait(opened, training)
    assert re.fullmatch(r"[0-9a-v]{26}", ended["id"])
    assert re.fullmatch(r"[0-9a-f]{64}", ended["version"])
    assert set(ended["urls"]) == {"get", "cancel", "stream"}
    assert all(url.startswith(opened.url) for url in ended["urls"].values())
    assert "version" not in (ended["output"] or {})
    assert {"predict_time", "total_time"} <= set(ended["metrics"])
    conflict = opened.http.get(f"/native/trainings/{training['id']}/stacks")
    assert (conflict.status_code, conflict.headers["x-should-retry"]) == (409, "false")


def test_what_train_returns_as_version_is_not_taken_for_a_models(opened: Opened) -> None:
    ended = wait(opened, start(opened, "def train():\n    return {'version': 'v3', 'loss': 1}", "named"))
    assert ended["output"] == {"returned_version": "v3", "loss": 1}


def test_weights_that_are_missing_are_told(opened: Opened) -> None:
    model, _, version = opened.upload(
        "missing", "def train():\n    return {'weights': 'none.pt', 'loss': 1}"
    ).partition(":")
    body = {"input": {}, "destination": opened.make_model("missing")}
    ended = wait(opened, opened.json("POST", f"/v1/models/{model}/versions/{version}/trainings", json=body))
    assert ended["status"] == "succeeded"
    assert set(ended["output"]) == {"version", "loss"}
    assert "'none.pt' is no file" in ended["notices"][0]


def test_a_folder_of_weights_is_an_archive(opened: Opened) -> None:
    text = "from pathlib import Path\ndef train():\n    d = Path('out').resolve(); d.mkdir()\n"
    text += "    (d / 'a.txt').write_text('a')\n    return {'weights': d}"
    model, _, version = opened.upload("folder", text).partition(":")
    body = {"input": {}, "destination": opened.make_model("folder")}
    ended = wait(opened, opened.json("POST", f"/v1/models/{model}/versions/{version}/trainings", json=body))
    answer = httpx.get(ended["output"]["weights"], trust_env=False)
    assert "out.tar" in answer.headers["content-disposition"]
    assert answer.content[257:262] == b"ustar"


@pytest.mark.parametrize("form", ["text", "part", "brackets", "none"])
def test_a_file_with_metadata_in_the_form_of_each_client(opened: Opened, form: str) -> None:
    files: dict[str, Any] = {"content": ("a.txt", b"bytes", "text/plain")}
    data = {}
    if form == "text":
        data["metadata"] = json.dumps({"who": "me"})
    elif form == "part":
        files["metadata"] = ("blob", json.dumps({"who": "me"}), "application/json")
    elif form == "brackets":
        data["metadata[who]"] = "me"
    answer = opened.http.post("/v1/files", files=files, data=data)
    assert answer.status_code == 201
    stored = answer.json()
    assert stored["metadata"] == ({} if form == "none" else {"who": "me"})
    assert (stored["name"], stored["content_type"], stored["size"]) == ("a.txt", "text/plain", 5)
    assert opened.http.delete(f"/v1/files/{stored['id']}").status_code == 204


def test_an_upload_that_is_none_is_refused(opened: Opened) -> None:
    assert opened.http.post("/v1/files", data={"content": "text"}).status_code == 422
    assert opened.http.post("/v1/files", content=b"{}").status_code in (400, 422)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    broken = opened.http.post("/v1/files", content=b"--y", headers=form)
    assert broken.status_code in (400, 422)
    assert broken.headers["content-type"] == "application/problem+json"
    with socket.create_connection(("127.0.0.1", urlsplit(opened.url).port or 0)) as raw:
        raw.sendall(
            f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {opened.token}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_file_is_had_by_its_link_or_the_token_and_not_otherwise(
    opened: Opened, without_token: httpx.Client
) -> None:
    stored = opened.http.post(
        "/v1/files", files={"content": ("../../a b.html", b"0123456789", "text/html")}
    ).json()
    link = stored["urls"]["download"]
    answer = without_token.get(link, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert without_token.get(link.split("?")[0]).status_code == 401
    assert without_token.get(link.replace("signature=", "signature=x")).status_code == 401
    assert without_token.get(stored["urls"]["get"] + "?" + link.split("?")[1]).status_code == 401
    assert without_token.delete(link).status_code == 401
    assert without_token.get(link, headers={"Host": "evil.example"}).status_code == 403
    assert without_token.get(link, headers={"Origin": "http://evil.example"}).status_code == 403
    assert opened.http.get(link.split("?")[0]).status_code == 200
    assert opened.token not in link


def test_a_stream_is_had_by_its_link_and_goes_on_from_where_it_was(
    opened: Opened, without_token: httpx.Client
) -> None:
    training = start(opened, DIGITS, "digits", steps=3)
    whole = without_token.get(training["urls"]["stream"], timeout=30)
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert whole.text.endswith("event: done\nid: " + whole.text.rpartition("id: ")[2])
    ids = re.findall(r"^id: (\d+)$", whole.text, re.MULTILINE)
    assert "step 2" in whole.text
    rest = without_token.get(training["urls"]["stream"], headers={"Last-Event-ID": ids[-1]})
    assert "event: logs" not in rest.text
    assert rest.text.count("event: done") == 1
    assert without_token.get(training["urls"]["stream"].split("?")[0]).status_code == 401


def test_files_are_fetched_from_this_machine_only_and_without_a_proxy(opened: Opened) -> None:
    source = Receiver()
    try:
        url = source.url.replace("/hook", "/data.csv")
        text = "from pathlib import Path\ndef train(data: Path, also: str):\n    return [data.name, data.read_text(), also]"
        ended = wait(opened, start(opened, text, "fetches", data=url, also=url))
        assert ended["output"] == ["data.csv", "fetched", url]
        assert ended["input"] == {"data": url, "also": url}
    finally:
        source.close()


def test_a_file_that_cannot_be_fetched_fails_the_training_with_its_reason(opened: Opened) -> None:
    text = "from pathlib import Path\ndef train(data: Path): ..."
    ended = wait(opened, start(opened, text, "cannot", data="http://127.0.0.1:9/none"))
    assert ended["status"] == "failed"
    assert "http://127.0.0.1:9/none could not be downloaded" in ended["error"]


def test_a_create_that_is_sent_again_makes_one_training(opened: Opened) -> None:
    model, _, version = opened.upload("digits", DIGITS).partition(":")
    path = f"/v1/models/{model}/versions/{version}/trainings"
    body = {"input": {"steps": 1, "tag": "again"}}
    first = opened.json("POST", path, json=body)["id"]
    assert opened.json("POST", path, json=body, headers={"x-stainless-retry-count": "1"})["id"] == first
    assert opened.json("POST", path, json=body)["id"] != first


def test_a_create_whose_client_left_is_found_again(opened: Opened) -> None:
    model, _, version = opened.upload("digits", DIGITS).partition(":")
    path = f"/v1/models/{model}/versions/{version}/trainings"
    tag = f"left-{secrets.token_hex(3)}"
    body = json.dumps({"input": {"steps": 1, "tag": tag}}).encode()
    with socket.create_connection(("127.0.0.1", urlsplit(opened.url).port or 0)) as raw:
        raw.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {opened.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def made() -> list[str]:
        page = opened.json("GET", "/v1/trainings")["results"]
        return [item["id"] for item in page if item["input"].get("tag") == tag]

    first = until(made, "the training")
    again = opened.json("POST", path, content=body, headers={"Content-Type": "application/json"})["id"]
    assert again == first[0]
    assert len(made()) == 1


def test_a_prediction_that_outlasts_its_wait_is_said_to_be_starting(opened: Opened) -> None:
    reference = opened.upload("slow", "import time\ndef run():\n    time.sleep(30)\ndef train(): ...")
    began = time.monotonic()
    answer = opened.http.post(
        "/v1/predictions", json={"version": reference, "input": {}}, headers={"Prefer": "wait=1"}
    )
    assert answer.status_code == 201
    assert time.monotonic() - began >= 0.9
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["location"] == answer.json()["urls"]["get"]
    assert answer.json()["status"] == "starting"
    assert opened.http.get(f"/v1/trainings/{answer.json()['id']}").status_code == 404
    canceled = opened.http.post(answer.json()["urls"]["cancel"]).json()
    assert canceled["status"] in ("processing", "canceled")


def test_predictions_are_listed_by_time(opened: Opened) -> None:
    assert opened.json("GET", "/v1/predictions?created_before=2001-01-01T00:00:00Z")["results"] == []
    assert opened.http.get("/v1/predictions?created_after=yesterday").status_code == 422


def test_a_model_can_be_changed(opened: Opened) -> None:
    name = opened.make_model("changes")
    assert opened.json("PATCH", f"/v1/models/{name}", json={"description": "new"})["description"] == "new"
    assert opened.http.patch(f"/v1/models/{name}", json={"visibility": "odd"}).status_code == 422
    assert opened.http.post("/v1/models", json={"owner": "../x", "name": "y"}).status_code == 422
    assert opened.http.delete(f"/v1/models/{name}").status_code == 204
    assert opened.http.get(f"/v1/models/{name}").status_code == 404
