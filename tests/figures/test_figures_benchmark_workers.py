"""How long the study takes with more workers, by the seconds of its records."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from test_figures_state_of_the_art import assert_readable

from analysis.figures import benchmark_workers as workers
from analysis.figures.words import LANGUAGES
from analysis.study import Status

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
HOUR = 3600.0
SECONDS = pd.Series([1 * HOUR] * 6 + [3 * HOUR], index=list("abcdefg"))


def test_each_run_is_taken_by_the_first_worker_that_is_free():
    assert workers.time_with(1, [1, 2, 3]) == 6
    assert workers.time_with(2, [1, 2, 3]) == 4  # the third follows the first
    assert workers.time_with(2, [3, 2, 1]) == 3
    assert workers.time_with(9, [1, 2, 3]) == 3


def test_the_longest_run_limits_it_and_comes_last_in_the_list():
    found = workers.simulated(SECONDS).set_index("workers")
    assert list(found.loc[2]) == [6.0, 5.0, 4.5]
    assert list(found.loc[256]) == [3.0, 3.0, 3.0]
    facts = workers.facts(SECONDS, lang="en")
    assert (facts["workers_enough"], facts["workers_longest"], facts["workers_hours_4"]) == ("3", "180", "4.0")


def test_only_recorded_runs_count_with_their_preparation():
    outline = SimpleNamespace(folder=Path("a"), seconds=10.0, about={"preparation_seconds": 2.5})
    old = SimpleNamespace(folder=Path("c"), seconds=5.0, about={})
    found = [Status(Path(name), None, outline=one) for name, one in (("a", outline), ("b", None), ("c", old))]
    assert workers.recorded_seconds(found).to_dict() == {"a": 12.5, "c": 5.0}


@EACH_LANGUAGE
def test_the_table_and_the_figure_say_the_same(lang):
    table = workers.table(SECONDS, lang=lang)
    assert list(table.index) == [str(number) for number in workers.WORKERS]
    assert list(table.iloc[1])[:2] == (["6,0", "1,5"] if lang == "ca" else ["6.0", "1.5"])
    figure = workers.hours(SECONDS, lang=lang)
    assert_readable(figure)
    pd.testing.assert_frame_equal(figure.data, workers.simulated(SECONDS))
