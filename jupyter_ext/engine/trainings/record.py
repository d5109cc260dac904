"""One training as the engine holds it; `resource` is what clients see of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

from jupyter_ext.engine.metrics.points.series import Point
from jupyter_ext.engine.processes.outcome import Outcome
from jupyter_ext.engine.trainings import states as state
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.progress_parser import ProgressBars
from jupyter_ext.engine.trainings.rules import read_rules
from jupyter_ext.engine.trainings.run_spec import RunSpec
from jupyter_ext.ids import TrainingId
from jupyter_ext.ipc.payloads.journal_marks import (
    AlertMark,
    CheckpointMark,
    DroppedMark,
    MediaMark,
    NoticeMark,
    OutputMark,
    ProgressMark,
    RecordedMark,
    RecordMode,
    ResumedMark,
    WireMark,
)
from jupyter_ext.protocol.trainings import (
    TERMINAL,
    Alert,
    Cause,
    Checkpoint,
    ResumedFrom,
    Rule,
    Status,
    Stop,
)

log = logging.getLogger(__name__)

MAX_KEYS = 500
"""Metrics of one run that its resource carries; `/native/trainings/{id}/metrics` has all."""
MAX_NOTICES = 100
MAX_NOTICE_CHARS = 2_000
MAX_STREAMED = 10_000
LOCAL = "local"
"""The backend of a run whose spec names none."""
MAX_ALERTS = 200
OUT_OF_TIME = "out_of_time"
"""File in the run's directory: it was stopped because its time was over, also if another engine sees its end."""


class Curves(Protocol):
    """What a run has logged."""

    def num_series(self, stream: str) -> int:
        """Count the series of a stream."""

    def last_points(self, stream: str = "0", limit: int | None = None) -> Mapping[str, Point]:
        """Return the newest point of each series of a stream, or of the first `limit` of them."""

    def extremes(self, stream: str = "0", limit: int | None = None) -> Mapping[str, tuple[float, float]]:
        """Return the smallest and the largest finite value of each series, or of the first `limit`."""


@dataclass
class Record:
    """State of one training. Only the training service changes it."""

    id: TrainingId
    run_dir: Path
    spec: RunSpec
    status: Status = "starting"
    started_at: float | None = None
    outcome: Outcome | None = None
    stop: Stop | None = None
    progress: tuple[float, float | None, float] | None = None
    """Current, total, and the Unix time it was said."""
    notices: list[str] = field(default_factory=list)
    curves: Curves | None = None
    """What it has logged so far, asked when somebody looks; `None` where that cannot be read."""
    recorded: dict[str, RecordMode] = field(default_factory=dict)
    """Metrics that the code recorded as the run's own, by Cog's name."""
    reported_at: float | None = None
    checkpoint: Checkpoint | None = None
    resumed_from: ResumedFrom | None = None
    alerts: list[Alert] = field(default_factory=list)
    """What the code or a rule has told, at most `MAX_ALERTS`."""
    rules: list[Rule] = field(default_factory=list)
    """What a person asked to be told of, or to be stopped for; `RuleWatch` keeps them."""
    media: dict[str, int] = field(default_factory=dict)
    """How many media each stream has stored."""

    is_queued: bool = False
    """Whether it still waits for its turn to be started: nothing in its directory can say how it stands."""

    labels: Labels = field(init=False)
    cached_json: tuple[float, tuple[object, ...], str] | None = None
    """The resource as JSON, when it was made and of which news; `resource.json_of` keeps it."""
    _ends_at: float | None = None
    """On the monotonic clock, once the deadline was looked at."""
    bars: ProgressBars = field(default_factory=ProgressBars)
    streamed: list[Any] = field(default_factory=list)
    """Items of a prediction's output that came while it runs, at most `MAX_STREAMED` of them."""
    says_progress: bool = False
    """Whether the code calls `progress()` itself; then its bars are not looked at."""

    def __post_init__(self) -> None:
        """Take over what the spec says of the time before the run, and the labels that a person gave it."""
        self.labels = Labels.read(self.run_dir)
        self.rules = read_rules(self.run_dir)
        self.notices += self.spec.get("notices", [])
        resumed = self.spec.get("resumed_from")
        if resumed is not None:
            self.resumed_from = ResumedFrom(
                id=resumed["id"],
                step=resumed["step"],
                time=resumed["saved_at"],
                changed=resumed.get("changed", []),
            )
            self.checkpoint = Checkpoint(
                step=resumed["step"], time=resumed["saved_at"], bytes=resumed["bytes"]
            )

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in TERMINAL

    @property
    def kind(self) -> Literal["training", "prediction"]:
        """What it is; the worker makes no difference."""
        return "prediction" if self.spec.get("kind") == "prediction" else "training"

    @property
    def computes_here(self) -> bool:
        """Whether it takes this machine's cores: what drives a sweep only waits."""
        drives = "sweep" in self.spec and self.spec["sweep"]["trial"] is None
        return self.runs_here and not drives

    @property
    def runs_here(self) -> bool:
        """Whether its process is one of this machine."""
        return self.spec.get("backend", LOCAL) == LOCAL

    def move(self, then: Status) -> None:
        """Go to another state by the table in `state`."""
        for status in state.path(self.status, then):
            self.status = status

    def is_out_of_time(self) -> bool:
        """Tell whether the deadline has come, by a clock that nobody sets: the wall clock counts at the first look only."""
        if self.deadline is None:
            return False
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self.deadline - time.time()
        return time.monotonic() >= self._ends_at

    @property
    def deadline(self) -> float | None:
        """The Unix time at which it is canceled, or `None`."""
        after_s = self.spec.get("cancel_after_s")
        return None if after_s is None else float(self.spec["created_unix"] + after_s)

    def finish(self, outcome: Outcome) -> None:
        """Take over how it ended."""
        if self.started_at is None and outcome.status == "succeeded":
            self.started_at = outcome.ended_at
        self.outcome = replace(outcome, cause=self._with_way_on(self._with_reason(outcome.cause)))
        self.move(outcome.status)
        if self.resumed_from is not None and not self.resumed_from.loaded:
            self.notice(
                f"Resumed from step {self.resumed_from.step:g}, but the code never called checkpoint.load(): "
                "unless it read the state another way, it began from the start."
            )

    def take_mark(self, mark: WireMark) -> None:
        """Take over what the worker said; a mark that makes no sense is left out and told, and harms nothing else."""
        kind = mark.get("kind")
        try:
            self._take(mark)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            log.info("a mark %.60r of %s cannot be read: %r", kind, self.id, error)
            self.notice(f"Something that the worker said of its {kind} cannot be read and was left out.")

    def _take(self, mark: WireMark) -> None:
        match mark.get("kind"):
            case "started":
                self.started_at = float(mark["time"])
            case "progress":
                self._take_progress(cast("ProgressMark", mark))
            case "checkpoint":
                self._take_checkpoint(cast("CheckpointMark", mark))
            case "output":
                self._take_output(cast("OutputMark", mark))
            case "resumed":
                self._take_resumed(cast("ResumedMark", mark))
            case "recorded":
                self._take_recorded(cast("RecordedMark", mark))
            case "alert":
                self._take_alert(cast("AlertMark", mark))
            case "media":
                self.media[str(mark["stream"])] = int(cast("MediaMark", mark)["count"])
            case "notice":
                self.notice(str(cast("NoticeMark", mark)["text"]))
            case "dropped":
                count = int(cast("DroppedMark", mark)["count"])
                self.notice(
                    f"{count} log() calls could not be written (is the disk full?); the curve has a gap."
                )

    def _take_recorded(self, mark: RecordedMark) -> None:
        if mark["mode"] not in get_args(RecordMode):
            raise ValueError(mark["mode"])
        if len(self.recorded) < MAX_KEYS:
            self.recorded[str(mark["key"])] = mark["mode"]

    def _take_alert(self, mark: AlertMark) -> None:
        if len(self.alerts) < MAX_ALERTS:
            self.alerts.append(
                Alert(
                    text=str(mark["text"])[:MAX_NOTICE_CHARS],
                    level=mark["level"],
                    step=float(mark["step"]),
                    time=float(mark["time"]),
                )
            )

    def _take_progress(self, mark: ProgressMark) -> None:
        """Take over how far the code says it is."""
        self.says_progress = True
        total = mark["total"]
        self.progress = (float(mark["current"]), None if total is None else float(total), float(mark["time"]))

    def take_log(self, text: str) -> None:
        """Take over how far a progress bar in the log is."""
        if not self.says_progress and (progress := self.bars.feed(text)) is not None:
            self.progress = (*progress, time.time())

    def _with_reason(self, cause: Cause | None) -> Cause | None:
        """Say of a run that nobody canceled but its deadline or a rule, that it was so."""
        if cause is None or cause.kind != "canceled":
            return cause
        for rule in self.rules:
            if rule.fired is not None and rule.action == "stop":
                return cause.model_copy(update={"message": rule.fired})
        if not (self.run_dir / OUT_OF_TIME).exists():
            return cause
        message = (
            f"Canceled: it was not over {self.spec['cancel_after_s']:g} s after its creation (Cancel-After)."
        )
        return cause.model_copy(update={"message": message})

    def _with_way_on(self, cause: Cause | None) -> Cause | None:
        """Add to what is hinted at that there is a checkpoint to go on from."""
        if cause is None or self.checkpoint is None:
            return cause
        way = f"`%training {self.id} resume` goes on from step {self.checkpoint.step:g}."
        return cause.model_copy(update={"hint": f"{cause.hint} {way}" if cause.hint else way})

    def _take_output(self, mark: OutputMark) -> None:
        """Take over an item of the output."""
        if len(self.streamed) < MAX_STREAMED:
            self.streamed.append(mark["value"])

    def _take_checkpoint(self, mark: CheckpointMark) -> None:
        """Take over that a checkpoint was saved."""
        self.checkpoint = Checkpoint(step=mark["step"], time=mark["saved_at"], bytes=mark["bytes"])

    def _take_resumed(self, mark: ResumedMark) -> None:
        """Take over that the code has loaded a checkpoint of the run before."""
        if self.resumed_from is not None:
            found = {"step": mark["step"], "time": mark["saved_at"], "loaded": True}
            self.resumed_from = self.resumed_from.model_copy(update=found)

    def notice(self, text: str) -> None:
        """Add a line for the user, once; of very many only the first are kept."""
        text = text[:MAX_NOTICE_CHARS]
        if text in self.notices or len(self.notices) > MAX_NOTICES:
            return
        more = "There are more notices like these; they stand in the log."
        self.notices.append(text if len(self.notices) < MAX_NOTICES else more)

    def news(self) -> tuple[object, ...]:
        """Return what a viewer is told at once when it changes."""
        stage = None if self.stop is None else self.stop.stage
        return self.status, stage, len(self.notices), self.started_at, len(self.alerts), len(self.rules)
