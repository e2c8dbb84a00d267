"""docs/client.md as it is printed: its examples run, with tiny models in place of the demo's."""

import re
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.torchserve import TorchServe
from tests.inputs import IMAGES

PAGE = (PROJECT / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODELS = {"imagenet": "tiny-image", "spoken-digits": "tiny-audio", "cartpole": "tiny-policy"}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    torchserve: TorchServe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    text = EXAMPLES[number]
    for theirs, tiny in MODELS.items():
        text = text.replace(f'"{theirs}"', f'"{tiny}"')
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "cat.jpg", tmp_path / "photos" / "a.jpg", tmp_path / "photos" / "b.jpg"):
        IMAGES[0].save(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHSERVE_SERVER_FILE", str(torchserve.run / "server.json"))
    monkeypatch.delenv("TORCHSERVE_KEY_FILE", raising=False)
    exec(compile(text, f"docs/client.md, example {number + 1}", "exec"), {"__name__": "__main__"})  # noqa: S102
    printed = capsys.readouterr().out
    assert "failed" not in printed
    if "print(" in text:
        assert re.search("cat|dog|bird", printed.replace("cat.jpg", ""))
