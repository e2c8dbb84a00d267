"""The description of a server: valid OpenAPI 3.1, made of what its archives carry."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from archiver.tasks import TASKS
from archiver.tasks.answer_schema import answer_schema
from client.server import Server
from deploy.status import Status
from deploy.surface.http import reply_to
from deploy.surface.models import Models
from deploy.surface.openapi.document import document
from deploy.surface.openapi.errors import MEANINGS
from deploy.surface.openapi.parameters import schema_of
from tests.deploy.surface.conftest import NAMES, status_of


def test_it_is_openapi_3_1(models: Models) -> None:
    whole = document(models)
    OpenAPIV31SpecValidator(whole).validate()
    for name in NAMES:
        alone = document(models, name)
        OpenAPIV31SpecValidator(alone).validate()
        assert {path: whole["paths"][path] for path in alone["paths"]} == alone["paths"]
    assert whole["paths"].keys() >= {f"/predictions/{name}" for name in NAMES} | {"/v2/health/live"}
    assert [path for path in whole["paths"] if path.startswith("/explanations/")] == ["/explanations/tiny-image"]


def test_an_archive_is_read_once_until_another_takes_its_place(models: Models, tmp_path: Path) -> None:
    store = models.status.store
    status = Status(Server(), tmp_path, ["tiny-policy"])
    model, own = status_of("tiny-policy", "tiny-policy.mar"), Models(status)
    shutil.copyfile(store / "tiny-policy.mar", tmp_path / "tiny-policy.mar")
    first = own.known(model)
    assert first is not None
    assert own.known(model) is first
    assert first.sample is first.sample
    (tmp_path / "tiny-policy.mar").unlink()
    assert own.known(model) is None
    shutil.copyfile(store / "tiny-answers.mar", tmp_path / "tiny-policy.mar")
    second = own.known(model)
    assert second is not None
    assert second.archive.name == "tiny-answers"
    (tmp_path / "tiny-policy.mar").write_bytes(b"not an archive")
    assert own.known(model) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_is_an_example_that_fits(models: Models, name: str) -> None:
    described = document(models, name)
    body = described["paths"][f"/predictions/{name}"]["post"]["requestBody"]["content"]["application/json"]
    validator = jsonschema.Draft202012Validator({**described, **body["schema"]})
    if name == "tiny-audio":  # a sample that is too large to stand in it
        assert "example" not in body
    else:
        validator.validate(body["example"])
    if name == "tiny-policy":
        wrong: Any
        for wrong in ({"data": [1, 2]}, {"data": [1, 2, 3, "4"]}, {"data": [0] * 4, "seed": [1]}, {"instances": []}):
            assert not validator.is_valid(wrong)


def test_every_parameter_of_a_card_has_a_type() -> None:
    for name, task in TASKS.items():
        for parameter, text in task.parameters.items():
            assert {"type", "anyOf"} & schema_of(text).keys(), (name, parameter)
    assert schema_of("number from 0 to 10; 0 for the most probable")["maximum"] == 10


def test_every_task_has_a_schema_of_its_answers() -> None:
    for task in TASKS:
        jsonschema.Draft202012Validator.check_schema(answer_schema(task))
        assert answer_schema(task)
    assert answer_schema("one-of-my-own") == {}


def test_the_errors_are_those_of_the_client_and_the_docs() -> None:
    text = Path("docs/requests.md").read_text(encoding="utf-8")
    own = {code for code in MEANINGS if f"| {code} |" in text}
    assert own >= {400, 406, 413, 415, 422, 500, 503, 504, 507}
    assert MEANINGS.keys() - own == {401, 404, 405, 408, 429, 431}


@pytest.mark.parametrize(("path", "code", "keys"), [
    ("/openapi.json", 200, {"openapi", "info", "servers", "security", "paths", "components"}),
    ("/openapi/tiny-policy.json?x=1", 200, {"openapi", "info", "servers", "security", "paths", "components"}),
    ("/openapi/nothing.json", 404, {"code", "type", "message"}),
    ("/openapi/tiny-image.explain.json", 404, {"code", "type", "message"}),
    ("/v2/models/gone", 200, {"name", "versions", "platform", "inputs", "outputs"}),
    ("/v2/models/nothing", 404, {"error"}),
    ("/v2/models/tiny-policy/versions/2.0", 404, {"error"}),
    ("/v2/models/tiny-policy/ready", 503, {"name", "ready"}),
    ("/v2/health/ready", 503, {"ready"}),
])  # fmt: skip
def test_paths(models: Models, path: str, code: int, keys: set[str]) -> None:
    reply = reply_to(path, models)
    assert reply is not None
    value: dict[str, Any] = json.loads(reply.body)
    assert (reply.code, set(value)) == (code, keys)


def test_other_paths_are_somebody_else_s(models: Models) -> None:
    for path in ("/readyz", "/v2/models/a/b/c", "/v22", "/openapi.json/x", "/openapi/a/b.json"):
        assert reply_to(path, models) is None
