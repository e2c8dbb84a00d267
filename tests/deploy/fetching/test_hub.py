"""Archives from a hub, by the command: a server of the tests answers, with the paths and headers of Hugging Face's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.fetching.conftest import CONTENT, DIGEST, NAME, PIN, files, partial_of, run
from tests.hub import Hub, answering

URL, PRIVATE, TOKEN = f"hf://team/tiny/models/{NAME}", f"hf://team/private/models/{NAME}", "hf_token-of-the-test"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "models").mkdir()
    (folder / "models" / NAME).write_bytes(CONTENT)
    with answering() as made:
        made.repositories |= {"team/tiny": folder, "team/private": folder}
        made.tokens["team/private"] = TOKEN
        yield made


def test_an_archive_from_a_hub_goes_on_where_it_was_broken_off(hub: Hub, store: Path) -> None:
    partial_of(store, CONTENT[: 9 << 20])
    done = run(store, URL + PIN, HF_ENDPOINT=hub.address)
    assert (done.returncode, done.stdout) == (0, f"{NAME}\n"), done.stderr
    assert (store / NAME).read_bytes() == CONTENT
    assert files(store) == [NAME]
    assert min(int(part.removeprefix("bytes=").partition("-")[0]) for part in hub.ranges) == 9 << 20


def test_a_private_one_wants_a_token_and_a_revision_is_taken(hub: Hub, store: Path) -> None:
    revision = PRIVATE.replace("private/", "private@main/")
    done = run(store, revision + PIN, HF_ENDPOINT=hub.address, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert (store / NAME).read_bytes() == CONTENT
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (PRIVATE + PIN, "is not there; if it is private, no token with access was found"),
        (f"hf://team/tiny/none/{NAME}{PIN}", "is not there"),
        (f"{URL}#sha256={'0' * 64}", f"has the SHA-256 {DIGEST}; wanted {'0' * 64}"),
    ],
)
def test_what_cannot_be_had_is_said_in_a_line(hub: Hub, store: Path, url: str, said: str) -> None:
    done = run(store, url, HF_ENDPOINT=hub.address, HF_TOKEN=f"{TOKEN}-no")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"fetch: {url.partition('#')[0]} {said}")
    assert not store.exists() or files(store) == []
