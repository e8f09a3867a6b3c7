"""Log text in Markdown is text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.actions.markdown import code, code_block, escape, plain, tame, unmarked


@pytest.mark.parametrize(
    "text",
    [
        "@everyone look",
        "@here",
        "<@123456>",
        "<@&99>",
        "<!channel>",
        "[click](https://evil.example)",
        "![x](https://evil.example/p.png)",
        "https://evil.example/steal",
        "//evil.example",
        "www.evil.example",
        "<img src=x onerror=alert(1)>",
        "# heading",
        "- list",
        "1. list",
        "```\nend",
        "**bold** _it_ ~~s~~",
        "a | b",
        "a\nb\n# c",
        "\x1b[31mred",
        "\u202eevil",
    ],
)
def test_nothing_in_log_text_is_markup(text: str) -> None:
    shown = escape(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert not re.search(r"@\w", shown)
    assert "://" not in shown
    assert not re.search(r"(?i)\bwww\.\w", shown)
    assert not re.search(r"(?<!\\)[`*_\[\]<>#|~!]", shown)
    assert not re.match(r"\s*(?:[-+=]|\d+[.)])", shown)


def test_ordinary_text_reads_as_it_was() -> None:
    assert escape("pool exhausted: 50 of 50 in use") == "pool exhausted: 50 of 50 in use"
    assert escape("1. first") == "1\\. first"
    assert escape("connection_pool") == "connection\\_pool"


def test_a_label_has_no_mention_and_no_link_and_is_cut_with_an_ellipsis() -> None:
    shown = tame("@everyone see https://evil.example [x](y)", 200)
    assert "@e" not in shown
    assert "://" not in shown
    assert "](" not in shown
    assert tame("a" * 300, 200) == "a" * 199 + "…"
    assert plain("a\nb\tc") == "a b c"


@settings(deadline=None, max_examples=200)
@given(st.text("`~a \n@<everyone", max_size=60))
def test_nothing_ends_a_code_block_or_inline_code(text: str) -> None:
    block = code_block(text)
    fence, *body, last = block.split("\n")
    assert fence == last
    assert set(fence) == {"`"}
    assert all(fence not in line for line in body)
    assert "@everyone" not in block
    inline = code(text)
    ticks = re.match(r"`+", inline)
    assert ticks is not None
    assert ticks.group() not in inline[len(ticks.group()) : -len(ticks.group())].strip(" ") or not inline.strip("` ")


def test_a_long_block_says_how_much_was_cut() -> None:
    assert "96,000 more characters" in code_block("x" * 100_000)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=100))
def test_whatever_the_text_no_special_character_is_left_bare(text: str) -> None:
    shown = escape(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>#|~!]", shown)
    assert not re.search(r"@[^\u200b]", shown)


@given(st.text(max_size=80))
def test_markdown_that_nothing_renders_reads_as_the_text_that_it_shows(text: str) -> None:
    assert unmarked(f"**{escape(text)}** and more") == f"{tame(text)} and more"
