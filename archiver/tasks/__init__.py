"""The tasks by name, each with its handler, options, limits and responses."""

from __future__ import annotations

from archiver.limits import Limits
from archiver.options import NoOptions
from archiver.tasks.audio import AUDIO, RECORDINGS
from archiver.tasks.policy import POLICY
from archiver.tasks.task import JSON, Task
from archiver.tasks.text import TEXT, TEXTS
from archiver.tasks.vision import IMAGES, VISION

# A name of one's own, for a handler of one's own.
OWN_TASK = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"

TASKS: dict[str, Task] = {**VISION, **AUDIO, **TEXT, **POLICY}

# Of a name of one's own: what its handler reads and answers is known to it alone.
OWN = Task(
    handler="",
    limits=Limits,
    options=NoOptions,
    content_types=tuple(dict.fromkeys((*IMAGES, *TEXTS, *RECORDINGS))),
    field="data",
    accept=(JSON,),
    parameters={},
    answer={},
)


def task_of(name: str) -> Task:
    return TASKS.get(name, OWN)
