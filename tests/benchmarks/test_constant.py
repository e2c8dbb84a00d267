"""The comparison of our base class with a bare function runs, and the base class costs little."""

import pytest

from benchmarks.constant.__main__ import BODIES, HEAD, compared, table


@pytest.mark.e2e
@pytest.mark.slow
def test_the_base_class_costs_little_beside_a_bare_function() -> None:
    found = compared(["REST", "gRPC"], [4], workers=1, rounds=2, seconds=0.5, settle=2.0)
    text = table(found)
    print(text)
    assert list(found) == [(protocol, body.name, 4) for protocol in ("REST", "gRPC") for body in BODIES]
    for pairs in found.values():
        assert len(pairs) == 2
        for pair in pairs:
            assert pair.ours.errors == pair.bare.errors == 0
            assert pair.ours.cpu > 0 < pair.bare.cpu
        assert max(pair.ratio for pair in pairs) > 0.5
    assert all(line.count("|") == len(HEAD) + 1 for line in text.splitlines())
