"""Tags and notes that a person gives a training: `labels.json` in its directory is the truth, the catalog an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.engine.common import records
from jupyter_ext.protocol.problems import InvalidField, invalid_input

FILE_NAME = "labels.json"
MAX_TAGS = 32
MAX_TAG_CHARS = 64
MAX_NOTES_CHARS = 100_000


@dataclass(frozen=True)
class Labels:
    """Tags in the order in which they were given, and free text."""

    tags: tuple[str, ...] = ()
    notes: str = ""

    @classmethod
    def read(cls, run_dir: Path) -> Labels:
        """Read a run's labels; none where there are none."""
        return records.read_record(run_dir / FILE_NAME, cls) or cls()

    def write(self, run_dir: Path) -> None:
        """Keep them in the run's directory."""
        records.replace(run_dir / FILE_NAME, {"tags": list(self.tags), "notes": self.notes})

    def changed(self, tags: object = None, notes: object = None) -> Labels:
        """Return these with what is not `None` replaced.

        Raises:
            Problem: Tags are no list of short texts, or the notes are no text.
        """
        return Labels(
            self.tags if tags is None else _checked_tags(tags),
            self.notes if notes is None else _checked_notes(notes),
        )


def _checked_tags(tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise invalid_input([InvalidField("type", "tags", "tags must be a list of texts")])
    clean = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))
    if len(clean) > MAX_TAGS:
        raise invalid_input(
            [InvalidField("type", "tags", f"{len(clean)} tags are given; at most {MAX_TAGS} are kept")]
        )
    for tag in clean:
        if len(tag) > MAX_TAG_CHARS or "," in tag:
            problem = f"tag {tag[:60]!r} must have at most {MAX_TAG_CHARS} characters and no comma"
            raise invalid_input([InvalidField("type", "tags", problem)])
    return clean


def _checked_notes(notes: object) -> str:
    if not isinstance(notes, str) or len(notes) > MAX_NOTES_CHARS:
        problem = f"notes must be a text of at most {MAX_NOTES_CHARS:,} characters"
        raise invalid_input([InvalidField("type", "notes", problem)])
    return notes
