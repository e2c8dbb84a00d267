"""Clients that hold each answer against the JSON Schema that its model's archive carries."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from client import Answer, GrpcClient, RestClient
from client.explanations import is_explainer
from deploy.archive import Archive
from deploy.torchserve import TorchServe

JSON = "application/json"


def described(kind: type[Any], torchserve: TorchServe, tiny_archive: Callable[[str], Path]) -> Any:
    """A RestClient or GrpcClient; an answer that its schema does not allow is a ValidationError."""

    @cache
    def validator(model: str) -> Draft202012Validator:
        schema = Archive.read(tiny_archive(model)).card["answer_schema"]
        assert schema
        return Draft202012Validator(schema)

    class Described(kind):
        def predict(self, model: str, payload: Any, **more: Any) -> Answer:
            answer: Answer = super().predict(model, payload, **more)
            if answer.content_type == JSON and not is_explainer(model):
                for each in plain(payload, answer.json()):
                    validator(model).validate(each)
            return answer

    assert issubclass(Described, (RestClient, GrpcClient))
    return Described(torchserve.server)


def plain(payload: Any, value: Any) -> list[Any]:
    """The answers in what came back: those of KServe's and Hugging Face's lists are inside it."""
    if not isinstance(payload, dict) or not {"instances", "inputs"} & payload.keys():
        return [value]
    return value["predictions"] if isinstance(payload.get("instances"), list) else []
