"""The stages of reinforcement learning, which PPO and DQN share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from handlers.formats.errors import UnsafeFile
from handlers.formats.torch_export import without_samples
from train.core import checkpoint
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.run import Run, RunError
from train.core.stored_weights import as_stored, round_weights, state_of
from train.rl.environments import spaces_of
from train.rl.evaluation import evaluate, summary
from train.rl.settings import PolicySettings
from train.rl.training_loop import BEST, Learner, PolicyTraining

UNBOUNDED = 1e30  # larger bounds of a space count as infinite
# Added to the experiment's seed, because a policy is tested on other episodes than those that selected it.
TEST_SEED = 1_000_000


class Reinforcement(PolicySettings):
    """An algorithm adds its own fields and its `learner`.

    outputs: the meaning of the network's first output for discrete actions, which the policy handler needs to know.
    """

    outputs: ClassVar[Literal["logits", "values"]]

    def learner(self) -> Learner:
        """The algorithm in its initial state."""
        raise TypeError(f"{type(self).__name__} does not define learner()")

    def fit(self, run: Run) -> None:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ExperimentError("device: got cuda, but this machine has no GPU; wanted cpu")
        with one_thread():
            learner = self.learner()
            try:
                PolicyTraining(self, run, learner).fit()
            finally:
                learner.close()

    def test(self, run: Run) -> None:
        returns = self.returns(self.best(run))
        found = summary(returns)
        run.record("test", {**found, "returns": returns.round(4).tolist()})
        print(f"{self.name}: mean return {found['mean return']:g} over {found['episodes']} episodes")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        weights = folder / "weights.pt2"
        try:
            program = torch.export.load(without_samples(weights)).module()
        except UnsafeFile as error:
            raise ExperimentError(f"{weights} {error}") from None
        network = self.network()
        network.load_state_dict(state_of(program))
        return summary(self.returns(network.eval()))

    def returns(self, network: nn.Module) -> NDArray[np.float64]:
        """The returns of the test episodes."""
        act = partial(self.act, network)
        with one_thread():
            return evaluate(act, self.environment, self.evaluation_episodes, seed=self.seed + TEST_SEED)

    def export(self, run: Run, folder: Path) -> None:
        fitted, tested = run.recorded("fit"), run.recorded("test")
        space, choices = spaces_of(self.environment)
        if isinstance(choices, Discrete):
            action = {"kind": "discrete", "count": int(choices.n), "outputs": self.outputs}
        else:
            action = {"kind": "continuous", "low": finite(choices.low), "high": finite(choices.high)}
        observation, _ = gym.make(self.environment).reset(seed=self.seed)
        with TemporaryDirectory() as temporary:
            weights, sample = Path(temporary, "weights.pt2"), Path(temporary, "sample.json")
            sizes = ({0: torch.export.Dim("batch", min=1, max=4096)},)
            example = torch.zeros(2, *space.shape)
            program = as_stored(self.best(run), self.stored_weights)
            torch.export.save(torch.export.export(program, (example,), dynamic_shapes=sizes), weights)
            sample.write_text(json.dumps({"data": np.asarray(observation).tolist()}), encoding="utf-8")
            Artifact(
                name=self.name,
                experiment=self,
                task="policy",
                format="torch-export",
                labels=list(self.labels),
                preprocessing={
                    "observation": {
                        "shape": list(space.shape),
                        "low": finite(space.low),
                        "high": finite(space.high),
                    },
                    "action": action,
                },
                metrics={name: value for name, value in tested.items() if name != "returns"},
                training={
                    **self.model_dump(exclude={"name"}),
                    "steps": fitted["steps"],
                    "seconds": fitted["seconds"],
                },
            ).write(folder, weights, sample, sorted(run.plots.glob("*.png")))

    def best(self, run: Run) -> nn.Module:
        """The run's best policy, on the CPU and in evaluation mode. Raises RunError if there is none yet."""
        path = run.checkpoints / BEST
        if not path.is_file():
            raise RunError(f"{run.folder} has no policy yet; run `python -m train resume {run.folder}` first")
        network = self.network()
        try:
            weights = load_file(path)
        except SafetensorError as error:
            raise RunError(f"{path} cannot be read: {error}") from None
        with checkpoint.of_this_model(path):
            network.load_state_dict(weights)
        round_weights(network, self.stored_weights)
        return network.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses one thread: for matrices of some hundred rows, a second one slows it down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def finite(bounds: NDArray[Any]) -> Any:
    """Bounds for JSON: lists nested as in the space's shape, with None for infinite bounds."""
    flat = [None if abs(value) > UNBOUNDED else float(value) for value in bounds.ravel()]
    return np.array(flat, dtype=object).reshape(bounds.shape).tolist()
