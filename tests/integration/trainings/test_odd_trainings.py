"""Trainings on a service that misbehaves in every way we know of: through the engine, over real HTTP.

Each case ends in a true state and one clear line, and whatever happens no training is started twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest, until
from odd_trainings import (
    CUT,
    DONE,
    GOOD,
    PROCESSING,
    OddService,
    Reply,
    Scenario,
    cut,
    does_it_but,
    html,
    says,
    with_changes,
    without,
)

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.service_ref import remote_ref
from jupyter_ext.config import locations
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.trainings import Training

REF = "owner/trainer:" + "a" * 64
TIMEOUT_S = 100
HUGE = "".join(
    f"step={n} loss={1 / (n + 1):.6f} and so on and on to the end of the line\n" for n in range(200_000)
)


LONG = "".join(f"line {n}\n" for n in range(2000))


@dataclass
class Case:
    """A scenario, and what must come of it."""

    scenario: Scenario
    status: str = "succeeded"
    says: str = ""
    """Found in the error, the cause or a notice; of a run that goes well, in a notice."""
    created: int = 1
    """Trainings that there are at the service afterwards."""
    cancel_when: Callable[[Scenario], bool] | None = None
    check: Callable[[Training, Scenario, str], Any] = lambda training, scenario, logs: None


def case(name: str, *, stages: list[dict[str, Any]] | None = None, **rest: Any) -> Case:
    known = {"clock_ahead_s", "token", "add_defaults"}
    scenario = Scenario(name, stages=stages or [], **{key: rest.pop(key) for key in known & rest.keys()})
    for kind in ("create", "get", "list", "cancel"):
        if kind in rest:
            scenario.faults[kind] = rest.pop(kind)
    return Case(scenario, **rest)


def asked(kind: str, number: int = 1) -> Callable[[Scenario], bool]:
    return lambda scenario: scenario.requests.count(kind) >= number


def elsewhere(status: int) -> Any:
    """Redirect to the other origin; its address is known once the service is there."""
    return lambda usual: Reply(status, {}, {"Location": f"{SERVICE[0].elsewhere}/v1/trainings/x"})


def pages_elsewhere(usual: Callable[[], Reply]) -> Reply:
    return Reply(200, {"results": [], "next": f"{SERVICE[0].elsewhere}/v1/trainings?cursor=x"})


SERVICE: list[OddService] = []
OVERLOADED = {
    "detail": "Request was throttled. Your rate limit resets in ~1s.",
    "status": 429,
    "retry_after": 1,
}


def took_real_time(training: Training, scenario: Scenario, logs: str) -> None:
    assert training.started_at is not None
    assert training.completed_at is not None
    assert training.created_at <= training.started_at <= training.completed_at
    assert 0 <= training.metrics["predict_time"] < TIMEOUT_S


def has_one_line(training: Training, scenario: Scenario, logs: str) -> None:
    assert training.error is not None
    assert "\n" not in training.error


def whole_log(text: str) -> Any:
    def check(training: Training, scenario: Scenario, logs: str) -> None:
        assert logs == text

    return check


def output_is(value: Any) -> Any:
    def check(training: Training, scenario: Scenario, logs: str) -> None:
        assert training.output == value

    return check


def never_created_twice(training: Training, scenario: Scenario, logs: str) -> None:
    assert scenario.requests.count("create") == 1


CASES = [
    # -- a service that is busy or down ---------------------------------------------------------------------------
    case("create-429-header", create=[says(429, {}, Retry_After="1")] * 2),
    case("create-429-body", create=[says(429, OVERLOADED)]),
    case("get-429", get=[says(429, OVERLOADED, Retry_After="1")]),
    case("get-500", get=[says(500)] * 2),
    case("get-502-page", get=[html(502)] * 2),
    case("get-503", get=[says(503, {}, Retry_After="1")]),
    case("get-504", get=[says(504)]),
    case("get-cut", get=[cut] * 3),
    case("create-500", create=[says(500, {"detail": "boom"})], status="failed", says="answered 500: boom", created=0),
    # -- the answer to a create is lost ----------------------------------------------------------------------------
    case("lost-before", create=[cut]),
    case("lost-after", create=[does_it_but(cut)], check=never_created_twice),
    case("lost-after-502", create=[does_it_but(html(502))], check=never_created_twice),
    case("lost-after-page", create=[does_it_but(html(200))], check=never_created_twice),
    case("lost-after-no-id", create=[without("id")], check=never_created_twice),
    case("lost-after-null-id", create=[with_changes(id=None)], check=never_created_twice),
    case("lost-after-bad-id", create=[with_changes(id="../../account")], check=never_created_twice),
    case("lost-list-slow", create=[does_it_but(cut)], list=[says(503), says(429, OVERLOADED)]),
    case("lost-list-lags", create=[does_it_but(cut)], list=[says(200, {"results": []})], check=never_created_twice),
    case("lost-clock-behind", create=[does_it_but(cut)], clock_ahead_s=-7200.0, check=never_created_twice),
    case("lost-clock-ahead", create=[does_it_but(cut)], clock_ahead_s=7200.0, check=never_created_twice),
    case("lost-defaults", create=[does_it_but(cut)], add_defaults=True, check=never_created_twice),
    case(
        "lost-next-elsewhere",
        create=[does_it_but(cut)],
        list=[pages_elsewhere] * 2,
        status="failed",
        says="next page on another host.*look at its own list",
        check=never_created_twice,
    ),
    case(
        "lost-list-forbidden",
        create=[does_it_but(cut)],
        list=[says(403, {"detail": "not yours"})] * 2,
        status="failed",
        says="not yours.*look at its own list",
        check=never_created_twice,
    ),
    case(
        "lost-no-clock",
        create=[does_it_but(with_changes(id=7))],
        list=[with_changes(results=[{"id": "other", "model": "owner/trainer"}])],
        clock_ahead_s=None,
        status="failed",
        says="look at its own list",
        created=2,  # `with_changes` makes one more
        check=never_created_twice,
    ),
    # -- refusals ---------------------------------------------------------------------------------------------------
    case("create-401", token="another", status="failed", says="401.*Set REPLICATE_API_TOKEN", created=0),
    case("create-402", create=[says(402, {"title": "Insufficient credit", "detail": "Pay\nfirst"})], status="failed",
         says="answered 402: Pay first", created=0, check=has_one_line),
    case("create-404", create=[says(404, {"detail": "The specified training destination does not exist"})],
         status="failed", says="destination does not exist", created=0),
    case("create-422", create=[says(422, {"detail": "- input: steps is required\n- input: x\n"})], status="failed",
         says="steps is required", created=0, check=has_one_line),
    case("create-page", create=[html(403)], status="failed", says="answered 403 to", created=0),
    case("create-redirect", create=[elsewhere(307)], status="failed", says="right base URL", created=0),
    case("get-redirect", get=[elsewhere(302)], says="302 with something that is no training"),
    case("get-page", get=[html(200)], says="something that is no training"),
    case("get-other", get=[with_changes(id="somebody-elses")], says="something that is no training"),
    case("get-list", get=[lambda usual: Reply(200, [1])], says="something that is no training"),
    case("get-401", get=[says(401)], says="The token is refused.*goes on there"),
    case("get-404-once", get=[says(404, {"detail": "Not found."})] * 2),
    case("get-404-ever", get=[says(404, {"detail": "Not found."})] * 50, status="failed", says="404: Not found.*cannot be"),
    # -- what an answer says ------------------------------------------------------------------------------------------
    case("status-queued", stages=[{"status": "queued"}, *GOOD], says="'queued', which is no status"),
    case("status-null", stages=[{"status": None}, *GOOD], says="'None', which is no status"),
    case("status-list", stages=[{"status": ["succeeded"]}, *GOOD], says="no status known"),
    case("status-missing", stages=[{}, *GOOD], says="no status known"),
    case("aborted", stages=[{"status": "aborted"}], status="canceled", says="before it began"),
    case("canceled-there", stages=[PROCESSING, {"status": "canceled"}], status="canceled", says="not from here"),
    case("nulls", stages=[
        {"status": "starting", **dict.fromkeys(("logs", "urls", "metrics", "output", "input", "started_at"))},
        {"status": "succeeded", **dict.fromkeys(("logs", "urls", "metrics", "output", "started_at", "completed_at"))},
    ], check=took_real_time),
    case("extras", stages=[{**DONE, "deadline": 7, "data_removed": {"a": []}, "urls": {"web": None}, "metrics": {
        "loss": [1, 2], "predict_time": 3.5, "big": "Infinity"}}],
        check=lambda training, *_: training.metrics["predict_time"] == 3.5 or pytest.fail(str(training.metrics))),
    case("failed-object", stages=[{"status": "failed", "error": {"detail": "out of\nmemory"}}], status="failed",
         says="out of memory", check=has_one_line),
    case("failed-silent", stages=[{"status": "failed", "error": None}], status="failed", says="not why"),
    case("half-a-pair", stages=[{**DONE, "logs": "a\ud800b\n", "output": {"x\udfff": "\ud83d"}}],
         check=whole_log("a?b\n")),
    case("not-a-number", stages=[{**DONE, "output": {"loss": float("nan"), "best": float("inf")}}],
         check=output_is({"loss": "NaN", "best": "Infinity"})),
    # -- clocks -----------------------------------------------------------------------------------------------------
    case("clock-ahead", clock_ahead_s=10_000.0, check=took_real_time),
    case("clock-behind", clock_ahead_s=-10_000.0, check=took_real_time),
    case("clock-1970", stages=[{**PROCESSING, "started_at": "1970-01-01T00:00:00Z"}, {
        "status": "succeeded", "started_at": "1970-01-01T00:00:00Z", "completed_at": "9999-12-31T23:59:59.999999999Z"}],
        check=took_real_time),
    case("clock-garbage", stages=[{**PROCESSING, "started_at": "soon"}, {
        "status": "succeeded", "started_at": 12, "completed_at": ["now"]}], check=took_real_time),
    # -- logs -------------------------------------------------------------------------------------------------------
    case("log-huge", stages=[{**PROCESSING, "logs": HUGE[:5_000_000]}, {**DONE, "logs": HUGE}], check=whole_log(HUGE)),
    case("log-shrinks", stages=[{**PROCESSING, "logs": "one\ntwo\n"}, {**PROCESSING, "logs": "one\n"}, {
        **DONE, "logs": "one\ntwo\nthree\n"}], check=whole_log("one\ntwo\nthree\n")),
    case("log-cut-off", stages=[{**PROCESSING, "logs": LONG}, {**DONE, "logs": f"[cut]\n{LONG[9000:]}four\n"}],
         check=whole_log(f"{LONG}four\n")),
    # -- cancel -----------------------------------------------------------------------------------------------------
    case("cancel", stages=[PROCESSING], status="canceled", says="Canceled", cancel_when=asked("get")),
    case("cancel-500", stages=[PROCESSING], cancel=[says(500), cut], status="canceled", cancel_when=asked("get")),
    case("cancel-refused", stages=[PROCESSING, PROCESSING, DONE], cancel=[says(409, {"detail": "too late"})] * 9,
         says="could not be canceled.*too late", cancel_when=asked("get")),
    case("cancel-too-early", create=[says(429, {"retry_after": 600})] * 9, status="canceled", created=0,
         says="before the service had taken it", cancel_when=asked("create")),
]  # fmt: skip


@dataclass
class Outcomes:
    """What came of all cases."""

    service: OddService
    engine: EngineUnderTest
    trainings: dict[str, Training] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)


async def run_case(client: AsyncClient, one: Case, url: str, found: Outcomes) -> None:
    training = await client.create_remote(
        remote_ref(REF, url, "owner/model"), {"steps": 3}, one.scenario.name
    )
    if one.cancel_when is not None:
        async with asyncio.timeout(TIMEOUT_S):
            while not one.cancel_when(one.scenario):
                await asyncio.sleep(0.02)
        await client.cancel(training.id)
    ended = await client.wait(training.id, TIMEOUT_S)
    found.trainings[one.scenario.name] = ended
    found.logs[one.scenario.name] = await client.logs(training.id)
    found.answers.append(ended.model_dump_json())


@pytest.fixture(scope="module")
def outcomes(engine: EngineUnderTest) -> Iterator[Outcomes]:
    """Run all cases beside each other."""
    service = OddService()
    SERVICE.append(service)
    found = Outcomes(service, engine)

    async def run_all() -> None:
        async with AsyncClient(engine.where) as client:
            urls = [service.add(one.scenario) for one in CASES]
            await asyncio.gather(
                *(run_case(client, one, url, found) for one, url in zip(CASES, urls, strict=True))
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATE_API_TOKEN", Scenario.token)
        asyncio.run(run_all())
    yield found
    service.close()
    SERVICE.clear()


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.scenario.name)
def test_it_ends_in_a_true_state_and_one_line(outcomes: Outcomes, one: Case) -> None:
    scenario, training = one.scenario, outcomes.trainings[one.scenario.name]
    told = [training.error, training.cause and training.cause.message, *training.notices]
    assert training.status == one.status, told
    if one.says:
        assert any(text and re.search(one.says, text) for text in told), told
    assert all("\n" not in text for text in told if text)
    assert len(scenario.trainings) == one.created
    if one.status == "succeeded" and not scenario.stages:
        assert outcomes.logs[scenario.name] == DONE["logs"]
        assert training.output == {"n": 1}
    one.check(training, scenario, outcomes.logs[scenario.name])


def test_the_token_goes_to_the_service_and_nowhere_else(outcomes: Outcomes) -> None:
    assert set(outcomes.service.shown) == {f"Bearer {Scenario.token}"}
    assert outcomes.service.strayed == []
    secret = Scenario.token.encode()
    where = outcomes.engine.where
    for directory in (where.data_dir, where.runtime_dir):
        for path in directory.rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes(), path
    assert all(Scenario.token not in text for text in [*outcomes.answers, *outcomes.logs.values()])


# -- engines that end in the middle ------------------------------------------------------------------------------------


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[OddService]:
    """Return a service without scenarios."""
    service = OddService()
    monkeypatch.setenv("REPLICATE_API_TOKEN", Scenario.token)
    yield service
    service.close()


async def two_at_once(client: AsyncClient, url: str) -> list[Training]:
    ref = remote_ref(REF, url, None)
    made = await asyncio.gather(*(client.create_remote(ref, {"steps": 3}) for _ in range(3)))
    return await asyncio.gather(*(client.wait(training.id, 60) for training in made))


async def test_two_wishes_for_the_same_are_two_trainings_also_when_both_answers_are_lost(
    odd: OddService,
) -> None:
    scenario = Scenario("twins", faults={"create": [does_it_but(cut)] * 3})
    url, here = odd.add(scenario), EngineUnderTest(locations())
    async with AsyncClient(here.where) as client:
        ended = await two_at_once(client, url)
    ids = [read_json(here.run_dir(training) / "remote.json")["id"] for training in ended]
    assert len(set(ids)) == len(scenario.trainings) == 3
    await asyncio.to_thread(here.close)


@pytest.mark.parametrize("is_taken", [True, False])
async def test_an_engine_that_is_killed_while_it_asks_finds_what_it_asked_for(
    odd: OddService, is_taken: bool
) -> None:
    held, here = asyncio.Event(), EngineUnderTest(locations())
    loop = asyncio.get_running_loop()

    def kills(usual: Callable[[], Reply]) -> Any:
        if is_taken:
            usual()
        loop.call_soon_threadsafe(held.set)
        until(lambda: not here_pid_lives(pid), "the engine's end")
        return CUT

    scenario = Scenario("killed", faults={"create": [kills]})
    url, pid = odd.add(scenario), here.pid()
    async with AsyncClient(here.where) as client:
        training = await client.create_remote(remote_ref(REF, url, None), {"steps": 3})
        await held.wait()
        await asyncio.to_thread(here.kill)
        ended = await client.wait(training.id, 60)
    assert len(scenario.trainings) == scenario.requests.count("create") - (not is_taken) == int(is_taken)
    if is_taken:
        assert (ended.status, ended.output) == ("succeeded", {"n": 1})
    else:
        assert (ended.status, ended.cause and ended.cause.kind) == ("failed", "start")
        assert "no such training; run it again" in (ended.error or "")
    await asyncio.to_thread(here.close)


def here_pid_lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "jupyter_ext" in Path(f"/proc/{pid}/cmdline").read_text()
