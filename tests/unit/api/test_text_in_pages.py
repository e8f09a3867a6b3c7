from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from incidentlens.api.pages.text import age, ago, clock_time, iso, length, log_text, prose, template_text, visible, when
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND

T = 1_750_000_000 * SECOND


def test_markup_in_a_log_line_is_text() -> None:
    assert log_text("<script>alert('1')</script>") == Markup("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;")


def test_a_direction_override_is_named_and_does_not_act() -> None:
    shown = log_text("user \u202etxt.exe")
    assert "\u202e" not in shown
    assert "U+202E" in shown
    assert "right-to-left override" in shown
    assert visible("a\u202eb") == "a⟨U+202E⟩b"


def test_control_characters_are_shown_and_terminal_colours_are_left_out() -> None:
    assert log_text("\x1b[31mred\x1b[0m") == "red"
    assert "␛" in log_text("\x1b]0;title")
    assert "␀" in log_text("a\x00b")


def test_tabs_and_line_feeds_stay() -> None:
    assert log_text("a\tb\r\nc") == "a\tb\nc"


def test_half_characters_never_reach_the_answer() -> None:
    log_text("a\ud800b").encode()
    visible("a\ud800b").encode()


@given(st.text(st.characters(codec=None), max_size=200))
@settings(deadline=None, max_examples=200)
def test_whatever_a_line_holds_it_is_text(line: str) -> None:
    for shown in (log_text(line), template_text(line), prose(line), Markup("{}").format(visible(line))):
        shown.encode()
        outside = (
            shown.replace("</span>", "").replace("</var>", "").replace("</code>", "").replace("<code>", "")
            .replace('<var title="variable part">', "")
        )  # fmt: skip
        while '<span class="ctl" title="' in outside:
            before, _, after = outside.partition('<span class="ctl" title="')
            outside = before + after.partition('">')[2]
        assert "<" not in outside
        assert not any(ord(char) < 0x20 and char not in "\n\t" for char in outside)
        assert not any(char in outside for char in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


def test_a_template_shows_its_variable_parts_as_marks() -> None:
    assert template_text("took <*> ms <b>") == 'took <var title="variable part">*</var> ms &lt;b&gt;'


def test_backticks_in_a_runbook_step_become_code() -> None:
    assert prose("run `ps <x>` now") == "run <code>ps &lt;x&gt;</code> now"
    assert prose("a lone ` stays") == "a lone ` stays"


def test_times_are_machine_readable_and_have_an_age() -> None:
    assert when(T) == '<time datetime="2025-06-15T15:06:40Z">2025-06-15 15:06:40 UTC</time>'
    assert 'data-ago="1750000000000"' in age(T, T + MINUTE)
    assert "15:06:40.000" in clock_time(T)
    assert when(None) == '<span class="dim">–</span>'


def test_ages_are_short() -> None:
    assert [ago(n) for n in (2 * SECOND, 59 * SECOND, 5 * MINUTE, 3 * HOUR, 2 * DAY, -5 * MINUTE)] == [
        "now", "59 s ago", "5 min ago", "3 h ago", "2 d ago", "in 5 min",
    ]  # fmt: skip


def test_a_time_outside_the_calendar_is_shown_as_its_number() -> None:
    assert "ns" in when(2**63 - 1) or "2262" in when(2**63 - 1)
    assert iso(-(2**70)) == ""
    assert "ns" in clock_time(-(2**70))


def test_short_lengths_are_milliseconds() -> None:
    assert (length(5_340_000), length(65 * SECOND), length(None)) == ("5 ms", "1 min 5 s", "–")
