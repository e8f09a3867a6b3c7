from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incidentlens.detection.judged import Judged


def judged():
    opinions = Judged()
    for register in ("link", "stack", "count", "machine", "exception"):
        opinions.learn(f"{register} register dump: <*>", acted=False)
    for disk in ("data", "log", "index"):
        opinions.learn(f"{disk} volume lost, disk failed", acted=True)
    return opinions


def test_a_signature_that_was_called_noise_is_noise_and_one_that_was_acted_on_is_not():
    assert judged().opinion("link register dump: <*>").noise
    assert not judged().opinion("data volume lost, disk failed").noise


def test_one_nobody_judged_is_known_by_its_words_and_wholly_new_ones_are_never_noise():
    assert judged().opinion("status register dump: <*>").noise
    assert not judged().opinion("spare volume lost, disk failed").noise
    new = judged().opinion("kernel terminated")
    assert (new.noise, new.why) == (False, "nothing like it was judged before")


def test_what_was_acted_on_now_and_then_is_no_noise():
    opinions = Judged()
    for acted in (False, False, False, True, False):
        opinions.learn("peer is gone", acted=acted)
    assert not opinions.opinion("peer is gone").noise


@given(st.lists(st.tuples(st.text(max_size=60), st.booleans()), max_size=30), st.text(max_size=60))
def test_any_judgements_give_a_probability(said, template):
    opinions = Judged()
    for text, acted in said:
        opinions.learn(text, acted=acted)
    assert 0 <= opinions.opinion(template).probability <= 1
