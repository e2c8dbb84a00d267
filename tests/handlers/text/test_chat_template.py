"""Chat templates that mean harm: refused when a model is loaded, or ended when they are rendered."""

import resource
from types import SimpleNamespace
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from handlers.errors import InvalidInput
from handlers.formats.errors import UnsafeFile
from handlers.text.chat_template import MAX_MEMORY, ChatTemplate, bounded_memory

TURNS = [{"role": "user", "content": "hello"}]


def of(template: Any) -> ChatTemplate:
    def render(turns: list[dict[str, str]], **options: Any) -> str:
        return str(render_jinja_template([turns], chat_template=template, add_generation_prompt=True)[0][0])

    return ChatTemplate(SimpleNamespace(chat_template=template, apply_chat_template=render), 1000)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "cannot be compiled: Expected an expression"),
        ("{{ 1|nothing }}", "cannot be compiled: No filter named 'nothing'"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "cannot be compiled: maximum recursion depth"),
        ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "cannot be compiled: "),
        ("{{ 9 ** (9 ** 9) }}", "computes a power"),
        ("{% set n = 9 %}{% if n ** n ** n %}{% endif %}", "computes a power"),
        ("{{ 1 }}" * 40_000, "has 280000 characters; wanted 262144 at most"),
        (5, "wanted a text; got a int"),
        ({"default": "{{ 1 }}", "tools": "{% for %}"}, "cannot be compiled"),
    ],
)
def test_templates_that_no_model_is_loaded_with(template: object, message: str) -> None:
    with pytest.raises(UnsafeFile, match=f"^chat_template: {message}"):
        of(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ('a' * (messages|length * 1000000000))|length }}",
        "{{ messages[0].content.zfill(3000000000)|length }}",
        "{{ messages[0].content|center(3000000000) }}",
        "{{ '%3000000000d' % messages|length }}",
        "{% set n = namespace(x='a' * 64) %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    ],
)
def test_memory_that_a_template_takes_is_bounded(template: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(InvalidInput, match="refuses them: it takes more than 256 MiB"):
        of(template).render(TURNS)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    "template",
    [
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{{ '\\ud800' }}",
        "{% include '/etc/passwd' %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ lipsum.__globals__['os'].system('true') }}",
        "{% for i in range(1000000) %}{% endfor %}",
    ],
)
def test_templates_that_reach_for_more(template: str) -> None:
    with pytest.raises(InvalidInput, match="the model's chat template refuses them: "):
        of(template).render(TURNS)


def test_a_bound_on_memory_leaves_room() -> None:
    with bounded_memory(MAX_MEMORY):
        assert len(bytes(MAX_MEMORY // 2)) == MAX_MEMORY // 2
    assert of("{% generation %}{{ messages[0].content }}{% endgeneration %}").render(TURNS) == "hello"
