"""How a run differs from the baseline, in words."""

from analysis.runs.config import Loss, Profile, RunConfig, Selection, apply_profile
from analysis.runs.weights import DEFAULT_FLOOR, UNGUARDED

_SETTINGS = {
    "data": {
        "split_seed": "split seed {}",
        "held_out": "{:g} of the molecules held out",
        "train_molecules": "{:,} training molecules",
        "held_out_molecules": "{:,} held-out molecules",
    },
    "model": {
        "representation": "representation: {}",
        "n_atom_basis": "{} features",
        "n_interactions": "{} interactions",
        "n_rbf": "{} Gaussians",
        "data_cutoff": "data cut-off {:g} Å",
        "training_cutoff": "training cut-off {:g} Å",
        "shared_interactions": "shared interactions: {}",
        "convolution": "{} convolution",
    },
    "training": {
        "optimizer": "optimizer: {}",
        "batch_size": "batch {}",
        "batch_growth": "batch {} times as large in the second half",
        "learning_rate": "learning rate {:g}",
        "epochs": "{} epochs",
        "schedule": "{} schedule",
        "warm_up": "warm-up over {:.0%} of the steps",
        "averaging": "weights averaged with decay {:g}",
        "offsets": "offsets: {}",
        "sampling": "{} sampling",
    },
}
"""Words for every setting that has none in `_selection_words` and `_loss_words`."""


def describe(config: RunConfig, profile: Profile = "full") -> str:
    """How a run differs from the baseline of a profile, in words; its seed is left out."""
    usual = apply_profile(RunConfig(experiment=config.experiment, seed=config.seed), profile)
    words = [*_selection_words(config.data.selection), *_loss_words(config.loss)]
    for part, settings in _SETTINGS.items():
        for name, text in settings.items():
            value = getattr(getattr(config, part), name)
            if value != getattr(getattr(usual, part), name):
                # a part that is not thinned has None
                words.append(text.replace("{:,}", "all").format() if value is None else text.format(value))
    if (fine := config.fine_tuning) is not None:
        sizes = _sizes_words(fine.smallest, fine.largest) or "all sizes"
        rings = "" if fine.rings is None else f" and {fine.rings} rings or more"
        words.append(f"then {fine.epochs} epochs on {sizes}{rings}, learning rate {fine.learning_rate:g}")
    return "; ".join(words) or "the model Default on all training molecules"


def _sizes_words(smallest: int | None, largest: int | None) -> str:
    if smallest is not None and largest is not None:
        return f"{smallest} to {largest} atoms"
    if smallest is not None:
        return f"{smallest} atoms or more"
    return "" if largest is None else f"{largest} atoms or fewer"


def _selection_words(selection: Selection) -> list[str]:
    words = [sizes] if (sizes := _sizes_words(selection.smallest, selection.largest)) else []
    if selection.cap_per_size is not None:
        words.append(f"at most {selection.cap_per_size:,} molecules per size")
    if selection.random_control:
        return [f"random control, as many molecules as: {', '.join(words)}"]
    return words


def _loss_words(loss: Loss) -> list[str]:
    form = [f"Huber's loss, delta {loss.huber_delta:g} eV"] if loss.form == "huber" else []
    if loss.weighting == "none":
        return form
    if loss.weighting in UNGUARDED:
        name = {"inverse-frequency": "inverse frequency", "per-atom": "size to a negative power"}[loss.weighting]
        return [*form, f"loss weighted by {name}, exponent {loss.rate:g}"]
    floor = {DEFAULT_FLOOR: "", None: ", no floor"}.get(loss.floor, f", floor {loss.floor}")
    return [*form, f"loss weighted by {loss.weighting.replace('-', ' and ')}, rate {loss.rate:g}{floor}"]
