"""How the time of a batch is divided between workers, one of which after the other is ended."""

import pytest

from zygote.batch import LOOK, SHORTEST, SLACK, Batch, Worker

LOAD_S = 1.0


def ended(seconds: float) -> float:
    """How long after its worker has loaded it is ended at the latest, where work may take this long."""
    return (1 + SLACK) * seconds + 2 * LOOK


@pytest.mark.parametrize(("request_s", "response_s"), [(10, 30), (5, 15), (20, 60), (3, 30)])
@pytest.mark.parametrize("first", [True, False])
def test_there_is_time_for_the_others(request_s: float, response_s: float, first: bool) -> None:
    """One request hangs in every worker: together with others at first, or only by itself."""
    worker = Worker(1, request_s, response_s, {}, LOAD_S, 0)
    batch, now = Batch.start(1, 0.0, worker), 0.0
    if first:
        now += ended(batch.several)
        assert batch.retry(now, worker, 4, [0, 1, 2, 3], [])
        assert batch.plan["one_by_one"]
        assert batch.plan["verdicts"] == {}
        assert batch.budget >= SHORTEST
    for _ in range(2):
        if batch.plan["verdicts"]:
            break
        now += LOAD_S + ended(batch.budget)
        assert batch.retry(now, worker, 4, [0], [])
    assert batch.plan == {"verdicts": {0: "died"}, "others": None, "one_by_one": first}
    assert SHORTEST <= batch.budget <= request_s
    assert now + LOAD_S + SHORTEST < response_s


def test_a_request_alone_is_tried_as_long_as_there_is_time() -> None:
    worker = Worker(1, 20, 30, {}, LOAD_S, 0)
    batch = Batch.start(1, 0.0, worker)
    assert batch.retry(ended(20), worker, 1, [0], [])
    assert batch.plan["verdicts"] == {}
    assert not batch.retry(29, worker, 1, [0], [])
