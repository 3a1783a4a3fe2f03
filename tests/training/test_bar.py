"""Progress: what compiles does not count; a bar on a terminal, a line now and then elsewhere."""

import io

import pytest
from rich.console import Console

from memspike.cli.progress import laws
from memspike.training import bar as progress
from memspike.training.progress import Progress


@pytest.fixture
def shown(monkeypatch):
    """Show chunks that end at given times → what is written."""

    def show(chunks, total=100, terminal=False, accuracy=None):
        now = [0.0]
        monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=terminal, width=200)
        with progress.RunProgress(console) as bar:
            assert terminal or not screen.getvalue(), "a line before anything is sure"
            for at, step in chunks:
                now[0] = float(at)
                bar.update(Progress(step, total, 0.5, accuracy))
        return screen.getvalue()

    return show


def test_the_first_chunk_says_nothing_about_the_rate(shown):
    assert shown([(60, 10)]) == "step 10/100, loss 0.500, compiled\n"


def test_rate_and_time_left_come_from_later_chunks(shown):
    """A minute of compilation and 10 steps, then 10 steps a second."""
    lines = shown([(60, 10), (61, 20), (62, 30), (72.5, 40)], accuracy=0.9).splitlines()
    assert lines == [
        "step 10/100, loss 0.500, test 90.00%, compiled",
        "step 40/100, 10.0 steps/s, loss 0.500, test 90.00%, 0:00:06 left",
    ]


def test_a_slow_chunk_among_many_does_not_count(shown):
    lines = shown([(t, 2 * t) for t in range(1, 20)] + [(70, 40)]).splitlines()
    assert "2.0 steps/s" in lines[-1]
    assert "0:00:30 left" in lines[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_fit_says_which_law_it_is_at(terminal):
    screen = io.StringIO()
    with laws(Console(file=screen, force_terminal=terminal, width=200)) as tell:
        tell(1, 2, "vteam")
        tell(2, 2, "yakopcic")
    if terminal:
        assert "yakopcic" in screen.getvalue()
    else:
        assert screen.getvalue() == "law 1 of 2: vteam\nlaw 2 of 2: yakopcic\n"


def test_every_training_of_a_study_begins_anew(shown):
    lines = shown([(20, 10), (21, 20), (60, 10), (80, 20)]).splitlines()
    assert lines[1] == "step 10/100, loss 0.500, compiled"
    assert "0.5 steps/s" in lines[2]


def test_steps_of_minutes_are_told_in_seconds(shown):
    assert shown([(20, 1), (140, 2)]).splitlines()[1] == "step 2/100, 120 s a step, loss 0.500, 3:16:00 left"


def test_the_end_is_always_said(shown):
    assert shown([(1, 50), (2, 100)]).splitlines() == ["step 100/100, 50.0 steps/s, loss 0.500, evaluating"]


def test_a_terminal_has_a_bar_without_a_promise_from_compilation(shown):
    text = shown([(1800, 10)], terminal=True)
    assert "10/100" in text
    assert "left" not in text
    assert "0:00:06 left" in shown([(60, 10), (61, 20), (62, 30), (63, 40)], terminal=True)


def test_quiet_says_nothing_and_verbose_every_chunk(monkeypatch):
    for given, count in (({"quiet": True}, 0), ({"verbose": True}, 3)):
        screen = io.StringIO()
        with progress.RunProgress(Console(file=screen, force_terminal=True, width=200), **given) as bar:
            for step in (10, 20, 30):
                bar.update(Progress(step, 100, 0.5, None))
        assert screen.getvalue().count("\n") == count
