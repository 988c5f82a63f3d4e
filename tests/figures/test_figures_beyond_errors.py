"""Where Beyond's error comes from: the kinds are what they are called, and their shares add up."""

import numpy as np
import pytest
from rdkit import Chem

from analysis import study
from analysis.evaluation import accuracy
from analysis.evaluation.between_splits import BetweenSplits
from analysis.figures import beyond, beyond_errors, style


@pytest.fixture(scope="module")
def records(qm9_molecules):
    return beyond.main(study.recorded(study.BeyondParameters(), qm9_molecules))


@pytest.fixture(scope="module")
def kinds(records, qm9_molecules):
    return beyond_errors.kinds(records, qm9_molecules)


@pytest.fixture(scope="module")
def tested(records, qm9_molecules):
    return qm9_molecules.select(accuracy.test_positions(records[0], qm9_molecules))


def test_the_kinds_share_the_molecules_out(kinds):
    for parts in (("up_to_7", "8", "9"), ("zwitterions", "others"), ("largest", "rest")):
        np.testing.assert_array_equal(sum(kinds[part].astype(int) for part in parts), 1)
    assert kinds["largest"].sum() == beyond_errors.LARGEST


def test_zwitterions_hold_a_positive_atom_and_the_largest_errors_are_the_largest(kinds, tested, records):
    assert all("+" in smiles for smiles in tested.smiles[kinds["zwitterions"]])
    squared = (accuracy.test_errors(records) ** 2).mean(axis=0)
    assert squared[kinds["largest"]].min() > squared[kinds["rest"]].max()


def test_a_twin_is_a_training_molecule_written_otherwise(kinds, tested, records, qm9_molecules):
    assert kinds["twins"].sum() == 17
    trained = np.delete(qm9_molecules.smiles, accuracy.test_positions(records[0], qm9_molecules))
    assert not np.isin(tested.smiles[kinds["twins"]], trained).any()
    # What is not looked at can't be written in two ways.
    passed_over = tested.smiles[~beyond_errors._may_be_aromatic(tested.smiles)]
    assert len(passed_over) > 5000
    assert not [one for one in passed_over[::4] if any(a.GetIsAromatic() for a in Chem.MolFromSmiles(one).GetAtoms())]


@pytest.mark.parametrize("lang", ["ca", "en"])
def test_the_table_has_every_kind_and_shares_of_the_whole(records, qm9_molecules, kinds, lang):
    table = beyond_errors.table(records, qm9_molecules, lang=lang)
    assert len(table) == len(kinds)
    facts = beyond_errors.facts(records, qm9_molecules, lang=lang)
    assert facts["errors_number_all"] == style.number(records[0].about["molecules"]["test"], lang)
    assert table.iloc[0, -1].startswith("100")
    errors = accuracy.test_errors(records)
    share = beyond_errors._share(errors, kinds["largest"]) + beyond_errors._share(errors, kinds["rest"])
    assert share == pytest.approx(1)


@pytest.mark.parametrize("lang", ["ca", "en"])
def test_splits_stand_beside_the_error_of_their_draw(lang):
    found = BetweenSplits(
        mae={0: 0.0100, 7: 0.0104}, sampling={0: 0.00013, 7: 0.00014}, seeds=0.0002, mean=0.0102, error=0.0002, p=0.31
    )
    table = beyond_errors.splits(found, lang=lang)
    point = "," if lang == "ca" else "."
    assert table.to_numpy().tolist() == [[f"10{point}00", f"0{point}13"], [f"10{point}40", f"0{point}14"]]
    assert [name.split()[-1] for name in table.index] == ["0", "7"]
    facts = beyond_errors.splits_facts(found, lang=lang)
    assert facts["splits_mean"] == f"10{point}20"
    assert facts["splits_error"] == f"0{point}20"
    assert facts["splits_p"] == f"0{point}31"
    assert facts["splits_number"] == "2"
