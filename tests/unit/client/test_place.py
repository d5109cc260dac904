"""Where a training is to run, as a person may write it."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.client.requests.place import Place
from jupyter_ext.errors import InvalidInput


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "workers=0 is no number of processes"),
        ({"workers": True}, "workers=True is no number"),
        ({"workers": 10**9}, "workers=1000000000"),
        ({"gpus": 1}, "goes with a Ray cluster"),
        ({"on": "ray", "cpus": -1}, "cpus=-1 is no number from 0 to 4096"),
        ({"on": "ray", "cpus": float("nan")}, "cpus=nan"),
        ({"on": "ray", "gpus": float("inf")}, "gpus=inf"),
        ({"on": "ray", "gpus": "2"}, "gpus='2'"),
        (
            {"on": "ray", "address": "127.0.0.1:8265"},
            "is no base URL; give one such as http://127.0.0.1:8265",
        ),
        ({"on": "ray", "address": "ray://head:10001"}, "is no base URL"),
        ({"on": "ray", "address": "http://127.0.0.1:99999"}, "is no base URL"),
        ({"on": "ray", "address": ""}, "is no base URL"),
        ({"on": "ray", "address": 8265}, "address=8265 is no URL"),
        ({"on": "ray", "storage": "runs"}, "neither an absolute path"),
        ({"on": "ray", "storage": 1}, "neither an absolute path"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_stored(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Place(**options)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="RAY_AUTH_TOKEN") as error:
        Place(on="ray", address="http://me:hunter2@head:8265")
    assert "hunter2" not in str(error.value)


def test_the_address_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265?token=hunter2")
    with pytest.raises(InvalidInput) as error:
        Place(on="ray")
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://head/")
    place = Place(2, "ray", gpus=0.5)
    assert place.ray == {"address": "https://head/", "cpus": 1, "gpus": 0.5}
    assert Place.of(2, place.ray) == Place(2, "ray", "https://head/", 1, 0.5)
