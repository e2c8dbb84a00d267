"""The tasks by name, each with its handler, options, limits and responses."""

from __future__ import annotations

from archiver.tasks.audio import AUDIO, RECORDINGS
from archiver.tasks.limits import Limits
from archiver.tasks.options import NoOptions
from archiver.tasks.policy import POLICY
from archiver.tasks.task import JSON, Task
from archiver.tasks.text import TEXT, TEXTS
from archiver.tasks.vision import IMAGES, VISION

# The pattern of task names, including a user's own, which needs a handler of its own.
OWN_TASK = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"

TASKS: dict[str, Task] = {**VISION, **AUDIO, **TEXT, **POLICY}

# A user's own task: only its handler knows which inputs it reads and how it answers.
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
    """The task with this name; OWN for a name that is not one of TASKS."""
    return TASKS.get(name, OWN)
