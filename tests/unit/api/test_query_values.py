"""Numbers in queries and headers: whatever stands there is read, or refused in one line; never is it a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import QueryParams
from starlette.requests import Request

from jupyter_ext.engine.api.http.requests import as_whole_number, whole_number
from jupyter_ext.engine.api.native import model_calls, trainings
from jupyter_ext.engine.api.replicate import idempotency
from jupyter_ext.protocol.problems import Problem

NO_NUMBERS = ["", "-1", "+1", "1.0", "1e3", " 1", "²", "٣", "nan", "9" * 17, "9" * 5000, str(2**53 + 1)]


def asked(query: str = "", **headers: str) -> Request:
    found = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "query_string": query.encode(), "headers": found})


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_whole_number_is_refused_by_name(text: str) -> None:
    assert as_whole_number(text) is None
    with pytest.raises(Problem) as refused:
        whole_number(text, "limit", 3)
    assert refused.value.detail == f"limit={text[:40]!r} is not a whole number from 0 to 2^53."
    assert refused.value.status == 422


def test_whole_numbers_are_read() -> None:
    assert [as_whole_number(text) for text in ("0", "007", str(2**53))] == [0, 7, 2**53]
    assert whole_number(None, "limit", 3) == 3


@pytest.mark.parametrize("text", ["0", *NO_NUMBERS])
def test_buckets_are_one_or_more(text: str) -> None:
    with pytest.raises(Problem, match=r"buckets=.* from 1 to"):
        trainings._buckets(text)
    assert [trainings._buckets(text) for text in (None, "1", str(2**53))] == [None, 1, trainings._MAX_BUCKETS]


@pytest.mark.parametrize("text", ["nan", "-NaN", "x", "1" * 5000 + "x"])
def test_an_end_of_a_range_is_a_number(text: str) -> None:
    with pytest.raises(Problem, match="is not a number") as refused:
        trainings._number(asked(f"from={text}"), "from")
    assert len(refused.value.detail) < 80
    assert trainings._number(asked("from=-1e3"), "from") == -1000.0
    assert trainings._number(asked(), "from") is None


@pytest.mark.parametrize("text", NO_NUMBERS[:-2])
def test_headers_that_are_no_numbers_are_passed_over(text: str) -> None:
    sent: dict[str, Any] = {"x_stainless_retry_count": text.encode("ascii", "ignore").decode() or "\xb2"}
    assert not idempotency._is_retry(asked(**sent))
    assert idempotency._is_retry(asked(x_stainless_retry_count="1"))


@pytest.mark.parametrize("text", ["0", "10000000", *NO_NUMBERS])
def test_a_number_of_tokens_is_bounded(text: str) -> None:
    with pytest.raises(Problem, match="max_new_tokens must be from 1"):
        model_calls._asked(QueryParams({"prompt": "hi", "max_new_tokens": text}))
