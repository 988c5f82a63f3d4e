import math

import pytest
from IPython.core.interactiveshell import InteractiveShell
from pydantic import Field

from analysis.parameters import NotebookParameters, ParameterError, check
from analysis.study import BaselineParameters


class Example(NotebookParameters):
    rates: list[int] = Field([0], min_length=1, description="at least one rate")


def test_a_notebooks_namespace_is_searched_for_parameters_alone():
    namespace = {"math": math, "check": check, "Example": Example, "_": 1, "__name__": "__main__", "In": [], "Out": {}}
    assert check(Example, namespace | {"rates": [2, 4]}) == Example(rates=[2, 4])


def test_what_later_cells_bind_is_no_parameter_when_all_is_run_again():
    bound = {"settings": Example(), "records": [Example()], "molecules": math, "by_seed": {"0": [object()]}}
    assert check(Example, bound | {"rates": [2]}).rates == [2]
    for misspelt in (3, "a", None, [1, [2.5]], {"a": [True]}):
        with pytest.raises(ParameterError, match="unknown parameter 'rate'"):
            check(Example, bound | {"rate": misspelt})


def test_a_parameter_that_is_no_plain_data_is_refused_all_the_same():
    with pytest.raises(ParameterError, match="rates = "):
        check(Example, {"rates": math})


def test_a_list_may_come_as_text_as_papermill_hands_it_on():
    assert check(Example, {"rates": "[2, 4]"}).rates == [2, 4]
    with pytest.raises(ParameterError, match=r"rates = '\[2, 4': .*list"):
        check(Example, {"rates": "[2, 4"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": [2]}, "unknown parameter 'rate'; this notebook takes lang, rates"),
        ({"rates": []}, r"rates = \[\]: .*at least one rate"),
        ({"rates": ["2"]}, r"rates\.0 = '2': .*integer.*at least one rate"),
        ({"lang": "es"}, "lang = 'es': .*'ca' or 'en'"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_parameter(given, said):
    with pytest.raises(ParameterError, match=said) as caught:
        check(Example, given)
    assert "\n" not in str(caught.value)


def test_ipython_shows_the_line_without_a_traceback(capsys):
    shell = InteractiveShell()
    shell.run_cell("from analysis.parameters import check\nfrom analysis.study import BaselineParameters")
    shell.run_cell("epoch: int = 3\ncheck(BaselineParameters, globals())")
    said = capsys.readouterr().out
    assert "unknown parameter 'epoch'; this notebook takes lang, profile, seeds, epochs" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "a value stands there twice"),
        ({"seeds": [-1]}, "seeds"),
        ({"profile": "huge"}, "profile = 'huge'.*'smoke', 'quick' or 'full'"),
        ({"epochs": 0}, "epochs = 0: .*positive whole number"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast'"),
        ({"batch_size": 2.5}, "batch_size = 2.5"),
    ],
)
def test_the_baseline_notebook_refuses(given, said):
    with pytest.raises(ParameterError, match=said):
        check(BaselineParameters, given)


def test_the_baseline_notebooks_parameters_become_runs(qm9_molecules):
    configs = BaselineParameters(profile="smoke", seeds=[4, 7], epochs=3).configs(qm9_molecules)
    assert [config.seed for config in configs] == [4, 7]
    assert {config.training.epochs for config in configs} == {3}
    assert {config.training.batch_size for config in configs} == {100}
