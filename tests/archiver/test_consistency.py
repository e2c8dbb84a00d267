"""Keys of a spec that contradict one another."""

from archiver.tasks.consistency import problems_beyond_limits


def test_an_option_beyond_its_limit() -> None:
    [problem] = problems_beyond_limits({"max_new_tokens": 600, "top_p": 0.5}, {"max_new_tokens": 512, "max_bytes": 1})
    assert str(problem) == "options.max_new_tokens: wanted at most limits.max_new_tokens, 512; got 600"
    assert problems_beyond_limits({"max_new_tokens": 512}, {"max_new_tokens": 512}) == []
    assert problems_beyond_limits(None, {"max_new_tokens": 512}) == []
