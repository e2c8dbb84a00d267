"""The served policy balances the pole: whole episodes over gRPC."""

from collections.abc import Callable, Sequence

import pytest

from client import GrpcClient
from tests.demo.episodes import Played, play_alone, play_together

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
EPISODES = range(9_000_000, 9_000_005)  # seeds that no training, choice or test has used


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("play", [play_alone, play_together])
def test_the_served_policy_plays_whole_episodes(
    play: Callable[[GrpcClient, str, str, Sequence[int]], Played], capsys: pytest.CaptureFixture[str]
) -> None:
    with GrpcClient() as client:
        played = play(client, "cartpole", "CartPole-v1", EPISODES)
    with capsys.disabled():
        print(f"\n{play.__name__}: {played}")
    assert played.mean >= 475
