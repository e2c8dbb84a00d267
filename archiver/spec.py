"""The spec of a model: a YAML file with only what differs from the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from archiver.config import Positive, StrictModel
from archiver.errors import Problem, SpecError, nearest
from archiver.explanations.settings import SUFFIX, Explain
from archiver.reading import parse_yaml, read_text
from archiver.tasks import OWN_TASK
from bounded_yaml.reader import MAX_BYTES
from handlers.formats.errors import UnsafeFile

SPECS = Path(__file__).parent / "specs"

# TorchServe's valid model names, without two consecutive dots, which it refuses in an archive's address.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
MAX_WORKERS = 64
MAX_THREADS = 1024
DOTTED_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"


def not_a_number(value: Any) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError('a quoted string, as in "1.0" (unquoted, YAML takes 1.10 for 1.1)')
    return value


def not_reserved(name: str) -> str:
    if name.endswith(SUFFIX):
        raise ValueError(f"a name that does not end with {SUFFIX}, which a model's explanations go by")
    return name


def list_or_file(value: Any) -> list[str] | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        for index, label in enumerate(value):
            if not isinstance(label, str):
                hint = " (YAML takes an unquoted no for false)" if label is False else ""
                raise ValueError(f"strings: quote number {index}, {label!r}{hint}")
        return value
    raise ValueError("a list of strings, or the name of a .txt or .json file")


def auto_or(least: int, most: int) -> PlainValidator:
    """A validator for "auto" or a number from `least` to `most`."""

    def check(value: Any) -> int | Literal["auto"]:
        if value == "auto" or (type(value) is int and least <= value <= most):
            return value
        raise ValueError(f"auto, or a number from {least} to {most}")

    return PlainValidator(check)


class Batch(StrictModel):
    """`deploy` decides `auto` on the serving machine; see deploy/serving_plan.py."""

    size: Annotated[int | Literal["auto"], auto_or(1, 1024)] = Field(
        default="auto", description="maximum requests in one batch; auto: 2 on a CPU, 16 on a GPU"
    )
    delay_ms: Annotated[int | Literal["auto"], auto_or(0, 60_000)] = Field(
        default="auto",
        description="maximum wait for a batch to fill; 0: take the waiting requests, at most two; "
        "auto: 0 for batches of up to 2, else 1",
    )


class Timeouts(StrictModel):
    """A worker killed after `request_s` is replaced, and its batch finished, before `response_s` have passed."""

    request_s: Positive | None = Field(
        default=None,
        description="for decoding, predicting or encoding one request, after which only this request fails; "
        "by default a third of response_s, and at most half of it",
    )
    response_s: int = Field(
        default=30, ge=1, description="for a batch, after which its worker is killed and all requests fail"
    )
    startup_s: int = Field(default=600, ge=1, description="for loading the model and warming it up")

    @property
    def seconds(self) -> float:
        """Seconds for one request."""
        return self.request_s if self.request_s is not None else self.response_s / 3

    @model_validator(mode="after")
    def one_request_leaves_time_for_others(self) -> Self:
        if self.request_s is not None and self.request_s > self.response_s / 2:
            raise ValueError(f"request_s is {self.request_s:g}: wanted at most half of response_s, {self.response_s}")
        return self


class Architecture(StrictModel):
    factory: str = Field(pattern=DOTTED_NAME, description="a class or function that creates the network")
    arguments: dict[str, Any] = Field(default_factory=dict, description="its keyword arguments")


class Spec(StrictModel):
    """The keys of a spec. `limits` and `options` depend on the task: see limits.py and options.py.

    No key adds pip requirements: handlers import only what the server has installed and locked.
    """

    name: Annotated[str, AfterValidator(not_reserved)] = Field(
        pattern=MODEL_NAME, description="name of the model; by default the spec's file name"
    )
    version: Annotated[str, BeforeValidator(not_a_number)] = Field(
        default="1.0", pattern=r"^\d+(\.\d+)*$", description="version of the model"
    )
    task: str | None = Field(default=None, pattern=OWN_TASK, description="must agree with the artifact's")
    artifact: str | None = Field(
        default=None,
        min_length=1,
        description="a folder in the artifacts folder or next to the spec; by default the name",
    )
    labels: Annotated[list[str] | str | None, PlainValidator(list_or_file)] = Field(
        default=None,
        description="class names, instead of the artifact's: a list, or a file with one per line or a JSON list",
    )
    architecture: Architecture | None = Field(
        default=None, description="factory of a state dict's network, instead of the artifact's"
    )
    preprocessing: dict[str, Any] = Field(
        default_factory=dict, description="changes to the artifact's, or all of it if the artifact has none"
    )
    workers: Annotated[int | Literal["auto"], auto_or(1, MAX_WORKERS)] = Field(
        default="auto",
        description="processes that serve the model, per GPU if there are any; auto: depends on the cores",
    )
    threads: Annotated[int | Literal["auto"], auto_or(0, MAX_THREADS)] = Field(
        default="auto",
        description="threads of torch and for decoding in each worker; 0: torch's default; auto: one on a CPU; on a "
        "GPU, all cores for decoding",
    )
    backend: Literal["auto", "torch", "onnxruntime"] = Field(
        default="auto",
        description="used on a CPU; auto: ONNX Runtime if the model's graph gives the same answers, else torch",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="device of the workers; gpu: GPU only; auto: a GPU if there is one, but the CPU for a "
        "small policy, a small voice activity detector and an ONNX file",
    )
    batch: Batch = Batch()
    queue: Annotated[int | Literal["auto"], auto_or(1, 100_000)] = Field(
        default="auto",
        description="requests that may wait for a worker; further ones get 503; auto: depends on the server's memory",
    )
    timeouts: Timeouts = Timeouts()
    explain: Explain = Explain()
    drift: str | None = Field(
        default=None,
        min_length=1,
        description="validation data with which the server's inputs are compared: a folder of files, or a "
        ".jsonl file of request bodies, relative to the spec",
    )
    profile: bool = Field(
        default=False,
        description="report the time of each batch's preprocess, inference and postprocess",
    )
    limits: dict[str, Any] = Field(default_factory=dict, description="limits on one request; defaults by task")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the handler; defaults by task")
    handler: str | None = Field(
        default=None, pattern=DOTTED_NAME, description="a class of your own, in `code`, instead of the task's"
    )
    code: list[str] = Field(
        default_factory=list,
        description="Python files or packages to pack next to handlers/; paths relative to the spec",
    )

    @property
    def explanations(self) -> Explain:
        """`explain` with its defaults filled in."""
        return self.explain.resolved(self.timeouts.response_s)


def names() -> list[str]:
    """Names of the specs that come with the project."""
    return sorted(path.relative_to(SPECS).with_suffix("").as_posix() for path in SPECS.rglob("*.yaml"))


def find(spec: str) -> Path:
    """The file of a spec, given by name or as a path to a .yaml file. Raises SpecError if there is none."""
    is_path = spec.endswith((".yaml", ".yml"))
    path = Path(spec) if is_path else SPECS / f"{spec}.yaml"
    if not path.is_file():
        what = "no such file" if is_path else f"no spec of that name{nearest(spec, names())}"
        raise SpecError(spec, [Problem("the spec", what)])
    return path


def read(path: Path) -> dict[str, Any]:
    """The unchecked keys and values of a spec file. Raises SpecError if it is not a YAML mapping."""
    try:
        values = parse_yaml(read_text(path, MAX_BYTES))
    except UnsafeFile as error:
        raise SpecError(str(path), [Problem("the file", str(error))]) from None
    if values is not None and not isinstance(values, dict):
        raise SpecError(str(path), [Problem("the file", 'wanted keys and values, as in `version: "1.0"`')])
    return {"name": path.stem, **(values or {})}
