"""No address with a secret in it is taken anywhere, and what is said of it repeats none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from jupyter_ext.client.requests.decthings import service
from jupyter_ext.client.requests.service_ref import is_remote, remote_ref
from jupyter_ext.client.trainings.api import check_backend
from jupyter_ext.engine.models.sources.hub_settings import _endpoint
from jupyter_ext.engine.services.decthings import DecthingsService
from jupyter_ext.engine.services.pieces import normal_base_url
from jupyter_ext.engine.services.replicate.client import ReplicateClient
from jupyter_ext.engine.trainings.delivery.webhooks import webhook_of
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.addresses import secret_in, shown
from jupyter_ext.protocol.problems import Problem

REF = f"a/b:{'0' * 64}"
SECRETS = [
    "https://me:hunter2@api.example.com/v1",
    "https://hunter2@api.example.com/v1",
    "https://me:hun@hunter2@api.example.com/v1",
    "https://me:pw/hunter2@api.example.com/v1",
    "https://me:pw?hunter2@api.example.com/v1",
    "https://api.example.com/v1?token=hunter2",
    "https://api.example.com/v1?token=a@hunter2",
    "https://api.example.com/v1#hunter2",
    "HTTPS://me:hunter2@api.example.com/v1",
    "ftp://me:hunter2@api.example.com/v1",
    "me:hunter2@api.example.com",
    "https://me:hunter2@[::1/v1",
]


def train(on: str) -> None:
    if is_remote(on):
        remote_ref(REF, on, None)
    else:
        check_backend(on)


TAKERS: dict[str, Callable[[str], Any]] = {
    "jx.train(on=…)": train,
    "jx.debug(on=…)": service,
    "jx.models.list(on=…)": normal_base_url,
    "HF_ENDPOINT": _endpoint,
    "engine, Replicate": lambda url: ReplicateClient(url, "t"),
    "engine, Decthings": lambda url: DecthingsService(url, SecretStr("k")),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("address", SECRETS)
def test_a_base_url_with_a_secret_is_refused_without_repeating_it(taker: str, address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        TAKERS[taker](address)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("variable", ["REPLICATE_BASE_URL", "DECTHINGS_BASE_URL"])
def test_a_base_url_of_the_environment_is_no_other(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, SECRETS[0])
    with pytest.raises(InvalidInput, match=variable) as refused:
        _ = train("replicate") if variable.startswith("R") else service("decthings")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", [url for url in SECRETS if "#" not in url and "pw?" not in url])
def test_a_webhook_with_a_secret_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(Problem) as refused:
        webhook_of({"webhook": address}, "http://localhost")
    assert "hunter2" not in repr(vars(refused.value)) + str(refused.value)


@pytest.mark.parametrize(
    "name", ["api_key", "access_token", "X-Signature", "SECRET", "auth", "sig", "client.secret"]
)
def test_secrets_in_queries_are_known_by_their_names(name: str) -> None:
    assert secret_in(f"https://example.com/hook?run=5&{name}=x") is not None


@pytest.mark.parametrize("query", ["", "?run=5", "?keyboard=1&monkey=2", "?author=me", "?step=1&design=2"])
def test_other_queries_of_webhooks_are_taken(query: str) -> None:
    record = webhook_of({"webhook": f"https://example.com/hook{query}"}, "http://localhost")
    assert record is not None


def test_plain_addresses_are_taken_and_shown() -> None:
    assert remote_ref(REF, "http://127.0.0.1:5/x/", None).base_url == "http://127.0.0.1:5/x/v1"
    assert normal_base_url("http://[::1]:39300/") == "http://[::1]:39300"
    assert shown("https://example.com/v1") == "https://example.com/v1"
    assert shown("https://u:p@example.com/v1") == "https://example.com"
