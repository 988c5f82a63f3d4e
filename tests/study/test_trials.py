import pandas as pd
import pytest

from analysis.study import trials


def frame_of(*rows: tuple[float, float], state: str = "complete") -> pd.DataFrame:
    columns = {"validation_mse": [row[0] for row in rows], "seconds": [row[1] for row in rows]}
    return pd.DataFrame(
        {"number": range(len(rows)), "state": state, "run": [f"r{n}" for n in range(len(rows))]} | columns
    )


def test_the_front_holds_what_no_other_trial_beats_in_both():
    frame = frame_of((0.05, 100), (0.06, 50), (0.06, 60), (0.055, 110), (0.2, 10), (0.05, 100))
    assert trials.pareto_front(frame)["run"].tolist() == ["r4", "r1", "r0", "r5"]
    frame.loc[5, "run"] = "r0"  # a trial that loaded another's run
    assert trials.pareto_front(frame)["run"].tolist() == ["r4", "r1", "r0"]
    frame.loc[4, "state"] = "pruned"
    assert trials.pareto_front(frame)["run"].tolist() == ["r1", "r0"]
    assert trials.pareto_front(frame_of((0.1, 1), state="failed")).empty


def test_the_choice_is_the_quickest_within_the_tolerance():
    frame = frame_of((0.0500, 100), (0.0549, 50), (0.0560, 20))
    assert trials.choose(frame)["run"] == "r1"
    assert trials.choose(frame, tolerance=0)["run"] == "r0"
    assert trials.choose(frame, tolerance=0.2)["run"] == "r2"
    with pytest.raises(ValueError, match="nothing to choose"):
        trials.choose(frame_of())
    with pytest.raises(ValueError, match="negative"):
        trials.choose(frame, tolerance=-1)
