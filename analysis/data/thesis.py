"""The thesis's own numbers, each once, with the section of the report that has it."""

ELEMENT_SHARES = {"C": 1.0, "H": 1.0, "O": 0.85, "N": 0.62, "F": 0.02}
"""Fraction of the molecules that contain each element (Table 1, section 3.2.2), most frequent first."""
COMMON_SIZES = range(10, 26)
"""Numbers of atoms that the report calls those of more than 1 % of the molecules, and shows (section 3.2.1)."""
FREQUENT_SIZES = (17, 18, 19)
"""The sizes that the report calls the most frequent (section 3.2.1)."""

STAGES = {
    "stage1": {"batch_size": 512, "learning_rate": 1e-3},
    "stage2": {"data_cutoff": 4.0, "training_cutoff": 5.0, "n_atom_basis": 38},
}
"""What the search chose in each stage (section 5.2.1, the section of that number which comes first and the second)."""
STAGE1_EPOCHS = 22
"""The number of epochs that the report took from its first stage (section 5.2.1)."""

LARGE = 17
"""Large molecules have more atoms than that (section 5.3.4)."""
CAPS = (2000, 4000, 6000)
"""At most so many molecules of each size, the most balanced first (section 5.3.2)."""
CAP_HELPS_ABOVE = 18
"""The strictest cap helps molecules of more atoms than that (section 5.3.2, Figure 6)."""
MODIFIED_SIZES = (13, 23)
"""The least and the largest number of atoms that the loss modification trains on (section 5.3.4)."""
RATES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
"""Those of the two weights that were tried; 0 is the unmodified loss (section 5.3.4)."""
BEST_RATE = 10.0
"""Of both weights (section 5.3.4, Figures 7 and 8)."""
CROSSOVER = 19
"""Directed training and Custom help above so many atoms and harm below; of 19 nothing is said (Figures 9 and 10)."""

CUSTOM = {
    "model": {"n_atom_basis": 38, "data_cutoff": 4.0, "training_cutoff": 5.0},
    "training": {"batch_size": 128, "learning_rate": 1e-4, "epochs": 30},
    "loss": {"weighting": "size", "rate": 10.0},
}
"""The model Custom of the final experiment, but for its training molecules: those of more than `LARGE` atoms."""
MSE = {"default": 0.0643, "custom": 0.0925}
"""Of each model over all molecules, eV² (section 5.3.4, the last table)."""
MINUTES = {"default": 106.0, "custom": 88.0}
"""That the training of each model took (section 5.3.4, the last table)."""

BETTER = {
    "cap": range(CAP_HELPS_ABOVE + 1, COMMON_SIZES.stop),
    "directed": range(CROSSOVER + 1, COMMON_SIZES.stop),
    "custom": range(CROSSOVER + 1, COMMON_SIZES.stop),
}
"""The sizes, up to the largest shown, at which the strictest cap, directed training and Custom help (section 5.3)."""
