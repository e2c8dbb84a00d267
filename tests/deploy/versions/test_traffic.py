"""The states of the edge's traffic file."""

from pathlib import Path

import pytest

from deploy.edge import traffic
from deploy.edge.traffic import FALL, Copies, Hold, Split, Traffic


def split(**versions: float) -> Split:
    return Split(versions={name.replace("v", "") + ".0": share for name, share in versions.items()})


def test_a_version_that_closes_leaves_its_share_to_the_others() -> None:
    now = Traffic(models={"m": split(v1=50, v2=30, v3=20), "other": split(v1=100)})
    closed = now.closing("m", ("1.0",))
    assert closed.closed == {"m": ("1.0",)}
    assert closed.models["m"].versions == pytest.approx({"2.0": 60, "3.0": 40})
    assert closed.models["other"] == now.models["other"]
    assert closed.closing("m", ("2.0", "3.0")).models.keys() == {"other"}
    assert closed.opened("m", ("1.0",)).closed == {}
    assert closed.closing("m", ("2.0",)).opened("m", ("1.0",)).closed == {"m": ("2.0",)}


def test_a_share_of_nothing_is_not_divided() -> None:
    now = Traffic(models={"m": split(v1=100, v2=0)})
    assert now.closing("m", ("1.0",)).models == {}
    assert now.closing("m", ("2.0",)).models["m"].versions == {"1.0": 100}


def test_a_whole_model_closes() -> None:
    closed = Traffic(models={"m": split(v1=100)}).closing("m", ())
    assert (closed.closed, closed.models) == ({"m": ()}, {})
    assert closed.opened("m", ()).closed == {}


def test_holds_and_copies_end_by_themselves(tmp_path: Path) -> None:
    hold = Hold(seconds=5, until=1000)
    assert hold.end == 1000 + 5 / FALL
    now = Traffic().holding("m", hold).copying("n", Copies(share=0.5, until=1000))
    assert now.at(999) == now
    assert now.at(1001).copied == {}
    assert now.at(hold.end - 1).held == {"m": hold}
    assert now.at(hold.end + 1) == Traffic()
    traffic.write(tmp_path / "traffic.yaml", now)
    assert traffic.read(tmp_path / "traffic.yaml") == now
    assert traffic.read(tmp_path / "traffic.yaml").digest() == now.digest()
    # Long past by now, so a change of anything else leaves them out.
    assert traffic.change(tmp_path / "traffic.yaml", lambda found: found.divided("m", split(v1=100))).held == {}


def test_the_log_says_with_which_probabilities_a_version_was_drawn() -> None:
    assert split(v1=90, v2=10, v3=0).text() == "1.0=0.9 2.0=0.1"
