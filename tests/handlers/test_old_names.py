"""A handler written for version 0.1, with the names its documentation gave, still works, and is told the new names."""

import importlib
import sys
from pathlib import Path

import pytest

OLD = """
from handlers.answer import Answer, to_json
from handlers.base import Handler
from handlers.image import decode_image
from handlers.image_transform import ImageTransform
from handlers.payload import Kind, Payload


class Mean(Handler):
    kind = Kind.MEDIA

    def decode(self, payload: Payload):
        return decode_image(payload)

    def predict(self, items):
        return [float(item.float().mean()) for item in items]

    def encode(self, item, output, accept):
        return Answer(to_json({"mean": output}))
"""


def test_a_handler_with_the_old_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("answer", "image", "image_transform", "payload"):
        monkeypatch.delitem(sys.modules, f"handlers.{name}", raising=False)
    (tmp_path / "mean_handler.py").write_text(OLD)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(FutureWarning) as warned:
        module = importlib.import_module("mean_handler")
    said = {str(warning.message) for warning in warned}
    assert "handlers.answer is now handlers.protocol.response" in said
    assert "Mean.kind is now input_type" in said
    handler = module.Mean()
    assert handler.input_type is module.Kind.MEDIA
    assert handler.encode(None, 2.0, "").body == b'{"mean":2.0}'
