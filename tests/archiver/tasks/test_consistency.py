"""Keys of a spec that contradict each other."""

from archiver.spec import Spec
from archiver.tasks.consistency import problems_beyond_limits, problems_of_explain


def test_an_option_beyond_its_limit() -> None:
    [problem] = problems_beyond_limits({"max_new_tokens": 600, "top_p": 0.5}, {"max_new_tokens": 512, "max_bytes": 1})
    assert str(problem) == "options.max_new_tokens: wanted at most limits.max_new_tokens, 512; got 600"
    assert problems_beyond_limits({"max_new_tokens": 512}, {"max_new_tokens": 512}) == []
    assert problems_beyond_limits(None, {"max_new_tokens": 512}) == []


def test_explanations_that_cannot_be_given() -> None:
    values = {"name": "x", "explain": {"workers": 2, "max_seconds": 30.0}, "timeouts": {"response_s": 30}}
    workers, seconds = map(str, problems_of_explain(Spec.model_validate(values), None))
    assert workers.startswith("explain.workers: wanted 0, because the task has no explanations")
    assert seconds.startswith("explain.max_seconds: wanted less than timeouts.response_s, 30, after which")
    assert problems_of_explain(Spec.model_validate({"name": "x"}), None) == []
    assert problems_of_explain(None, None) == []
