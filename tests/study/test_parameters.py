import ast
import math

import numpy as np
import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell
from pydantic import Field

from analysis.study import BalancingParameters, BaselineParameters, LossModificationParameters, parameters
from analysis.study.parameters import NotebookParameters, ParameterError, check, parsed


class Example(NotebookParameters):
    rates: list[int] = Field([0], min_length=1, description="at least one rate")


def test_a_notebooks_namespace_is_searched_for_parameters_alone():
    namespace = {"math": math, "check": check, "Example": Example, "_": 1, "__name__": "__main__", "In": [], "Out": {}}
    assert check(Example, namespace | {"rates": [2, 4]}) == Example(rates=[2, 4])


def test_what_later_cells_bind_is_not_a_parameter_when_all_cells_run_again():
    bound = {"settings": Example(), "records": [Example()], "molecules": math, "by_seed": {"0": [object()]}}
    assert check(Example, bound | {"rates": [2]}).rates == [2]
    for misspelt in (3, "a", None, [1, [2.5]], {"a": [True]}):
        with pytest.raises(ParameterError, match="unknown parameter 'rate'"):
            check(Example, bound | {"rate": misspelt})


def test_a_parameter_that_is_not_plain_data_is_refused_too():
    with pytest.raises(ParameterError, match="rates = "):
        check(Example, {"rates": math})


def test_a_list_may_come_as_text_as_papermill_hands_it_on():
    assert check(Example, {"rates": "[2, 4]"}).rates == [2, 4]
    with pytest.raises(ParameterError, match=r"rates = '\[2, 4': .*list"):
        check(Example, {"rates": "[2, 4"})


@pytest.mark.parametrize("text", ['["size"]', "['size']", "[size]", " [ 'size', ]"])
def test_words_in_a_list_may_be_quoted_as_in_json_as_in_python_or_not_as_a_shell_leaves_them(text):
    assert check(LossModificationParameters, {"weightings": text}).weightings == ["size"]


@pytest.mark.parametrize("text", ["[1e-3, 2]", "[0.001, 2.0]", "[.001,2]"])
def test_numbers_in_a_list_are_read_alike_at_every_door(text):
    assert check(LossModificationParameters, {"alphas": text}).alphas == [0.001, 2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("-2", -2),
        ("None", None),
        ("null", None),
        ("~", None),
        ("TRUE", True),
        ("no", False),
        ("0,1", (0, 1)),
        ("[true, null]", [True, None]),
        ("'a'", "a"),
        ("size", "size"),
        ("[", "["),
        ("[a: 1", "[a: 1"),
        ("__import__('os')", "__import__('os')"),
        ("[!!python/name:os.system ]", "[!!python/name:os.system ]"),
        ("(" * 1000, "(" * 1000),
    ],
)
def test_text_is_read_as_python_json_or_yaml_have_it_and_executes_nothing(text, value):
    assert parsed(text) == value
    assert type(parsed(text)) is type(value)


@pytest.mark.parametrize(
    ("given", "proposed"),
    [
        ({"rates": 2}, "write [2]"),
        ({"rates": "2"}, "write [2]"),
        ({"rates": ["2", 4]}, "write [2, 4]"),
        ({"rates": (2, 4)}, "write [2, 4]"),
        ({"rates": range(3)}, "write [0, 1, 2]"),
        ({"rates": np.array([2.0, 4.5])}, "write [2.0, 4.5]"),
        ({"seeds": "0,1"}, "write [0, 1]"),
        ({"seeds": "0 1"}, "write [0, 1]"),
        ({"seeds": [0.0, 1.0]}, "write [0, 1]"),
        ({"seeds": [3, 3, 1]}, "write [3, 1]"),
        ({"weightings": "size"}, 'write ["size"]'),
        ({"weightings": ["Size"]}, 'write ["size"]'),
        ({"epochs": 3.0}, "write 3"),
        ({"epochs": [3]}, "write 3"),
        ({"epochs": "null"}, "write None, or null in YAML"),
        ({"floor": "None"}, "write None, or null in YAML"),
        ({"learning_rate": "1e-3"}, "write 0.001 (YAML takes 1e-3 for text)"),
        ({"learning_rate": "1E-6"}, "write 1.0e-06 (YAML takes 1E-6 for text)"),
        ({"learning_rate": "0.001"}, "write 0.001"),
        ({"batch_size": "64"}, "write 64"),
        ({"profile": "Quick"}, 'write "quick"'),
        ({"profile": "smok"}, 'write "smoke"'),
        ({"lang": ["en"]}, 'write "en"'),
        ({"lang": " EN "}, 'write "en"'),
        ({"rate": [2]}, "did you mean rates?"),
        ({"learning-rate": 0.1}, "did you mean learning_rate?"),
    ],
)
def test_the_nearest_value_that_fits_is_proposed(given, proposed):
    with pytest.raises(ParameterError) as caught:
        check(LossModificationParameters, given)
    assert str(caught.value).endswith(f"; {proposed}")
    assert next(iter(given)) in str(caught.value)


@pytest.mark.parametrize(("given", "proposed"), [("true", "True"), ("no", "False"), (1, "True"), ("False", "False")])
def test_a_truth_value_spelled_otherwise_is_proposed_as_python_has_it(given, proposed):
    with pytest.raises(ParameterError, match=rf"controls = .*; write {proposed}$"):
        check(BalancingParameters, {"controls": given})


@pytest.mark.parametrize(
    "given", [{"epochs": -1}, {"epochs": "many"}, {"learning_rate": float("nan")}, {"seeds": [-1]}, {"profile": None}]
)
def test_nothing_is_proposed_where_nothing_near_fits(given):
    with pytest.raises(ParameterError) as caught:
        check(LossModificationParameters, given)
    assert "write" not in str(caught.value)


def test_whatever_was_given_the_line_stays_short():
    with pytest.raises(ParameterError, match=r"rates\.0 = ") as caught:
        check(Example, {"rates": ["x" * 500] * 500})
    assert len(str(caught.value)) < 400


def test_what_is_proposed_is_read_alike_by_python_and_yaml():
    for value in (1e-6, 1e22, -1e-7, 0.001, 3, True, [1e-5, 2], "size", ["a", "b"]):
        text = parameters._spelled(value)
        assert yaml.safe_load(text) == ast.literal_eval(text) == parsed(text) == value


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
    shell.run_cell("from analysis.study.parameters import check\nfrom analysis.study import BaselineParameters")
    shell.run_cell("epoch: int = 3\ncheck(BaselineParameters, globals())")
    said = capsys.readouterr().out
    assert "unknown parameter 'epoch'; this notebook takes lang, profile, seeds, epochs" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "a value is given twice"),
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
