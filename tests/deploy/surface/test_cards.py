"""Models as the page shows them: their cards and samples, of real archives."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.archive import Archive
from deploy.surface.http import Reply, reply_to
from deploy.surface.models import Models
from tests.deploy.surface.conftest import NAMES


def reply(models: Models, path: str) -> Reply:
    found = reply_to(path, models)
    assert found is not None
    return found


def card(models: Models, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(reply(models, f"/cards/{name}").body)
    return value


def test_the_list_has_every_model_once(models: Models) -> None:
    found = json.loads(reply(models, "/cards").body)
    assert [model["name"] for model in found["models"]] == ["gone", *sorted(NAMES)]
    image = next(model for model in found["models"] if model["name"] == "tiny-image")
    assert (image["task"], image["classes"], image["versions"]) == ("image-classification", 3, ["1.0"])
    assert found["grpc"] == models.status.server.grpc


@pytest.mark.parametrize("name", [*NAMES, "gone"])
def test_cards_have_the_keys_that_the_page_expects(models: Models, name: str) -> None:
    types = Path("page/src/types.ts").read_text(encoding="utf-8")
    for title, found in (
        ("Card", card(models, name)),
        ("Summary", json.loads(reply(models, "/cards").body)["models"][0]),
    ):
        block = re.search(rf"export type {title} = {{\n(.*?)\n}};", types, re.DOTALL)
        assert block is not None
        assert set(re.findall(r"^  (\w+):", block[1], re.MULTILINE)) == found.keys()


def test_parameters_are_schemas_and_explanations_those_that_are_served(models: Models) -> None:
    image, policy = card(models, "tiny-image"), card(models, "tiny-policy")
    for schema in (*image["parameters"].values(), *image["explain"]["parameters"].values()):
        jsonschema.Draft202012Validator.check_schema(schema)
    assert image["parameters"]["top_k"]["type"] == "integer"
    assert "occlusion" in image["explain"]["methods"]
    assert policy["explain"] is None


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_that_of_the_archive(models: Models, tiny_archive: Callable[[str], Path], name: str) -> None:
    suffix, content = Archive.read(tiny_archive(name)).read_sample()
    described = card(models, name)["sample"]
    for path in (f"/cards/{name}/sample", f"/cards/{name}/versions/1.0/sample"):
        found = reply(models, path)
        assert (found.code, found.body, found.content_type) == (200, content, described["media_type"])
        assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert described["name"] == f"{name}{suffix}"


@pytest.mark.parametrize("path", [
    "/cards/nothing", "/cards/nothing/sample", "/cards/gone/sample", "/cards/tiny-image.explain",
    "/cards/tiny-image/versions/2.0", "/cards/..%2F..%2Fetc%2Fpasswd/sample",
])  # fmt: skip
def test_errors_have_the_documented_form(models: Models, path: str) -> None:
    found = reply(models, path)
    assert (found.code, json.loads(found.body).keys()) == (404, {"code", "type", "message"})
