"""How a run differs from the baseline, in words."""

from analysis.runs.config import Loss, Profile, RunConfig, Selection, apply_profile
from analysis.runs.weights import DEFAULT_FLOOR, UNGUARDED


def describe(config: RunConfig, profile: Profile = "full") -> str:
    """How a run differs from the baseline of a profile, in words; its seed is left out."""
    usual = apply_profile(RunConfig(experiment=config.experiment, seed=config.seed), profile)
    words = [*_selection_words(config.data.selection), *_loss_words(config.loss)]
    for part, ours in ((config.data, usual.data), (config.model, usual.model), (config.training, usual.training)):
        for name, setting in type(part).model_fields.items():
            value, text = getattr(part, name), setting.description
            if text is not None and value != getattr(ours, name):
                # a part that is not thinned has None
                words.append(text.replace("{:,}", "all").format() if value is None else text.format(value))
    if (fine := config.fine_tuning) is not None:
        sizes = _sizes_words(fine.smallest, fine.largest) or "all sizes"
        rings = "" if fine.rings is None else f" and {fine.rings} rings or more"
        words.append(f"then {fine.epochs} epochs on {sizes}{rings}, learning rate {fine.learning_rate:g}")
    if config.start is not None:
        words.append(f"begins with the weights of {config.start.partition('/')[0]}")
    return "; ".join(words) or "the model Default on all training molecules"


def _sizes_words(smallest: int | None, largest: int | None) -> str:
    if smallest is not None and largest is not None:
        return f"{smallest} to {largest} atoms"
    if smallest is not None:
        return f"{smallest} atoms or more"
    return "" if largest is None else f"{largest} atoms or fewer"


def _selection_words(selection: Selection) -> list[str]:
    words = [sizes] if (sizes := _sizes_words(selection.smallest, selection.largest)) else []
    if selection.most_heavy is not None:
        words.append(f"{selection.most_heavy} heavy atoms or fewer")
    if selection.cap_per_size is not None:
        words.append(f"at most {selection.cap_per_size:,} molecules per size")
    if selection.random_control:
        return [f"random control, as many molecules as: {', '.join(words)}"]
    return words


def _loss_words(loss: Loss) -> list[str]:
    form = [f"Huber's loss, delta {loss.huber_delta:g} eV"] if loss.form == "huber" else []
    if loss.forces:
        form.append(f"forces {loss.forces:.0%} of the loss")
    if loss.weighting == "none":
        return form
    if loss.weighting in UNGUARDED:
        name = {"inverse-frequency": "inverse frequency", "per-atom": "size to a negative power"}[loss.weighting]
        return [*form, f"loss weighted by {name}, exponent {loss.rate:g}"]
    floor = {DEFAULT_FLOOR: "", None: ", no floor"}.get(loss.floor, f", floor {loss.floor}")
    return [*form, f"loss weighted by {loss.weighting.replace('-', ' and ')}, rate {loss.rate:g}{floor}"]
