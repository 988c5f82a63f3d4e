"""Every word of every figure and table, in Catalan and in English, in one place."""

from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

Language = Literal["ca", "en"]
LANGUAGES: tuple[str, ...] = get_args(Language)


class Words(NamedTuple):
    """One label in both languages."""

    ca: str
    en: str


LABELS = MappingProxyType(
    {
        # words
        "and": Words("i", "and"),
        "book_title": Words(
            "Potencials neuronals sobre QM9: un treball de fi de grau reproduït i posat a prova",
            "Neural network potentials on QM9: a thesis reproduced and put to the test",
        ),
        "element": Words("Element", "Element"),
        "H": Words("H, hidrogen", "H, hydrogen"),
        "C": Words("C, carboni", "C, carbon"),
        "N": Words("N, nitrogen", "N, nitrogen"),
        "O": Words("O, oxigen", "O, oxygen"),
        "F": Words("F, fluor", "F, fluorine"),
        # quantities
        "n_atoms": Words("Nombre d’àtoms", "Number of atoms"),
        "molecules": Words("Molècules", "Molecules"),
        "molecules_log": Words("Molècules (escala logarítmica)", "Molecules (log scale)"),
        "heavy_atoms": Words("Àtoms pesants", "Heavy atoms"),
        "hydrogens": Words("Hidrògens", "Hydrogens"),
        "hydrogen_share": Words("Proporció d’hidrogen", "Share of hydrogen"),
        "share_of_row": Words("Part de la fila", "Share of the row"),
        "mean_n_atoms": Words("Mitjana", "Mean"),
        # table of elements
        "with": Words("Amb l’element", "With the element"),
        "without": Words("Sense l’element", "Without it"),
        "share": Words("Proporció", "Share"),
        "report": Words("TFG", "Thesis"),
        # table of shifts
        "mean_with": Words("Mida amb l’element", "Size with the element"),
        "mean_without": Words("Mida sense", "Size without it"),
        "total_variation": Words("Variació total", "Total variation"),
        # table of correlations
        "quantity": Words("Magnitud", "Quantity"),
        "spearman": Words("Spearman amb la mida", "Spearman with size"),
        # legends
        "threshold": Words("llindar: {share}", "threshold: {share}"),
        "normal": Words("llei normal amb la mateixa mitjana i desviació", "normal law, same mean and deviation"),
        "report_range": Words("mides del TFG ({range})", "sizes in the thesis ({range})"),
        "mean": Words("mitjana", "mean"),
        "band": Words("del percentil 5 al 95", "5th to 95th percentile"),
        "row_mean": Words("mitjana de la fila", "mean of the row"),
        "database_mean": Words("mitjana de tota la base", "mean of the whole database"),
        "database": Words("Totes", "All"),
        # baseline
        "seed": Words("Llavor", "Seed"),
        "run": Words("Execució", "Run"),
        "mse": Words("MSE (eV²)", "MSE (eV²)"),
        "rmse": Words("RMSE (meV)", "RMSE (meV)"),
        "mae": Words("MAE (meV)", "MAE (meV)"),
        "minutes": Words("Temps (min)", "Time (min)"),
        "mean_and_deviation": Words("mitjana ± desviació", "mean ± deviation"),
        "epoch": Words("Època", "Epoch"),
        "train_loss": Words("entrenament", "training"),
        "validation_loss": Words("validació", "validation"),
        "held_out_molecules": Words("Reservades", "Held out"),
        "held_out": Words(
            "molècules reservades, mitjana de l’entrenament", "held-out molecules, the training set’s mean"
        ),
        "as_reported": Words("tot el conjunt, amb la seva pròpia mitjana", "the whole set, with its own mean"),
        "mse_held_out": Words("MSE, reservades (eV²)", "MSE, held out (eV²)"),
        "mse_as_reported": Words("MSE, mitjana pròpia (eV²)", "MSE, own mean (eV²)"),
        # final comparison
        "model": Words("Model", "Model"),
        "default": Words("Default", "Default"),
        # beyond the report
        "beyond": Words("Beyond", "Beyond"),
        "worst": Words("Pitjor 1\N{NO-BREAK SPACE}% (meV)", "Worst 1% (meV)"),
        "training_minutes": Words("Entrenament i validació (min)", "Training and validation (min)"),
        "demand_error": Words(
            "MAE de {error} meV o menys en {minutes} minuts o menys",
            "MAE of {error} meV or less in {minutes} minutes or less",
        ),
        "demand_size": Words(
            "millor que Default i Custom a cada mida, de 10 a 25 àtoms",
            "better than Default and Custom at every size from 10 to 25 atoms",
        ),
        "demand_element": Words(
            "millor que Default i Custom per a cada element", "better than Default and Custom for every element"
        ),
        "measured_error": Words(
            "{error} meV (la pitjor de {seeds} llavors: {worst}) en {minutes} minuts com a màxim",
            "{error} meV (worst of {seeds} seeds: {worst}) in {minutes} minutes at most",
        ),
        "everywhere_better": Words(
            "intervals del tot per sota arreu (MAE i MSE)", "intervals wholly below everywhere (MAE and MSE)"
        ),
        "published_line": Words("{model} ({year}), publicat", "{model} ({year}), published"),
        "report_on_gpu": Words("TFG, amb GPU", "thesis, on a GPU"),
        "on_gpu": Words("{model}, amb GPU", "{model}, on a GPU"),
        "budget_minutes": Words(
            "Minuts d’entrenament (Beyond, amb dos nuclis)", "Minutes of training (Beyond, on two cores)"
        ),
        "validation_mae": Words("MAE de validació (meV)", "Validation MAE (meV)"),
        "change": Words("Canvi", "Change"),
        "what_is_left": Words("De l’error d’abans, en queda", "Left of the error before"),
        "change_default": Words("Default", "Default"),
        "change_offsets": Words("+ energies de cada element", "+ energies per element"),
        "change_loss": Words("+ pèrdua de Huber", "+ Huber’s loss"),
        "change_schedule": Words("+ taxa 0,002, escalfament, cosinus", "+ rate 0.002, warm-up, cosine"),
        "change_batch": Words("+ lots de 128", "+ batches of 128"),
        "change_size": Words("+ 64 característiques, 4 blocs, 32 gaussianes", "+ 64 features, 4 blocks, 32 Gaussians"),
        "change_optimizer": Words("+ SOAP en lloc d’AdamW", "+ SOAP in place of AdamW"),
        "change_representation": Words("+ PaiNN en lloc de SchNet", "+ PaiNN in place of SchNet"),
        "change_adamw": Words("AdamW en lloc de SOAP", "AdamW in place of SOAP"),
        "change_squared": Words("pèrdua quadràtica", "squared loss"),
        "change_averaging": Words("mitjana dels pesos", "averaged weights"),
        "change_batch_growth": Words("lots 4 vegades més grans a mig camí", "batches 4 times as large halfway"),
        "change_cutoff": Words("radi de tall de 4 Å", "cutoff of 4 Å"),
        "change_gaussians": Words("40 gaussianes en lloc de 20", "40 Gaussians in place of 20"),
        "change_layers": Words("2 blocs en lloc de 3", "2 blocks in place of 3"),
        "change_width": Words("32 característiques en lloc de 64", "32 features in place of 64"),
        "remedy_mae": Words("MAE (meV), amb els mateixos passos", "MAE (meV), at the same updates"),
        "molecules_all": Words("totes les molècules", "all molecules"),
        "molecules_up_to": Words("fins a {atoms} àtoms", "up to {atoms} atoms"),
        "molecules_above": Words("més de {atoms} àtoms", "more than {atoms} atoms"),
        "molecules_rings": Words("tres anells o més", "three rings or more"),
        "ratio_of_mae": Words("MAE respecte de Beyond sense recurs", "MAE over that of plain Beyond"),
        "better": Words("← millor", "← better"),
        "worse": Words("pitjor →", "worse →"),
        "beyond_remedy_cap": Words("com a molt {cap} de cada mida", "at most {cap} of each size"),
        "beyond_remedy_fine_tuned": Words("ajust fi, {rings} anells o més", "fine-tuned, {rings} rings or more"),
        "spread_is_error": Words("dispersió = error", "spread = error"),
        "ensemble_spread": Words("Dispersió de les llavors (meV)", "Spread of the seeds (meV)"),
        "ensemble_rmse": Words("RMSE de la mitjana (meV)", "RMSE of their mean (meV)"),
        "by_chance": Words("a l’atzar", "by chance"),
        "looked_at": Words("Molècules mirades", "Molecules looked at"),
        "training_molecules": Words("Molècules d’entrenament", "Training molecules"),
        "worst_found": Words("Part trobada del pitjor 1\N{NO-BREAK SPACE}%", "Part found of the worst 1%"),
        "custom": Words("Custom", "Custom"),
        "mse_whole": Words("MSE, tot el 20\N{NO-BREAK SPACE}% (eV²)", "MSE, the whole 20% (eV²)"),
        "mse_test": Words("MSE, part de prova (eV²)", "MSE, test part (eV²)"),
        "none": Words("cap", "none"),
        "updates": Words("Passos", "Updates"),
        "changes": Words("Canvis, acumulats", "Changes, one after the other"),
        "step_default": Words("Default", "Default"),
        "step_large": Words("+ més de {atoms} àtoms", "+ more than {atoms} atoms"),
        "step_batch": Words("+ lots de {batch}", "+ batches of {batch}"),
        "step_features": Words("+ {features} característiques", "+ {features} features"),
        "step_cutoff": Words("+ dades fins a {cutoff} Å", "+ data up to {cutoff} Å"),
        "step_custom": Words("+ pes amb r = {rate} (Custom)", "+ weights, r = {rate} (Custom)"),
        "step_custom_longer": Words("Custom, passos de Default", "Custom, Default’s updates"),
        "squared_error": Words("Error al quadrat (eV²)", "Squared error (eV²)"),
        "extremes": Words("dels cinc més petits als cinc més grans", "from the five smallest to the five largest"),
        "batch_loss": Words("mitjana del lot", "mean of the batch"),
        # directed training and balancing
        "training_set": Words("Conjunt d’entrenament", "Training set"),
        "train_molecules": Words("Molècules", "Molecules"),
        "epochs": Words("Èpoques", "Epochs"),
        "whole_part": Words("tota la part d’entrenament", "the whole training part"),
        "large_chosen": Words("més de {atoms} àtoms", "more than {atoms} atoms"),
        "large_random": Words("a l’atzar, tantes com de més de {atoms}", "random, as many as with more than {atoms}"),
        "large_chosen_longer": Words("més de {atoms} àtoms, mateixos passos", "more than {atoms} atoms, same updates"),
        "large_random_longer": Words(
            "a l’atzar, tantes com de més de {atoms}, mateixos passos",
            "random, as many as with more than {atoms}, same updates",
        ),
        "mse_up_to": Words("MSE, fins a {atoms} àtoms (eV²)", "MSE, up to {atoms} atoms (eV²)"),
        "mse_above": Words("MSE, més de {atoms} àtoms (eV²)", "MSE, more than {atoms} atoms (eV²)"),
        "cap": Words("Màxim de molècules per mida", "Cap on molecules per size"),
        "capped": Words("com a màxim {cap} per mida", "at most {cap} per size"),
        "random_same": Words("a l’atzar, tantes com amb {cap}", "random, as many as with {cap}"),
        "same_updates": Words("com a màxim {cap}, mateixos passos", "at most {cap}, same updates"),
        "any_capped": Words("conjunt retallat", "capped set"),
        "any_random_same": Words("el mateix nombre, a l’atzar", "as many molecules, at random"),
        "any_same_updates": Words(
            "retallat, mateixos passos que el de partida", "capped, as many updates as the baseline"
        ),
        "spread": Words("Dispersió de log₁₀ MSE", "Spread of log₁₀ MSE"),
        "spread_held_out": Words("Dispersió, reservades", "Spread, held out"),
        "spread_as_reported": Words("Dispersió, mitjana pròpia", "Spread, own mean"),
        # what might help large molecules
        "remedy": Words("Recurs, amb els mateixos passos", "Remedy, at the same updates"),
        "remedy_none": Words("cap (model de partida)", "none (the baseline)"),
        "remedy_directed": Words("només les de més de {atoms} àtoms", "only those of more than {atoms} atoms"),
        "remedy_fine_tuned": Words(
            "{whole} èpoques amb totes, {fine} amb les grans", "{whole} epochs on all, {fine} on the large ones"
        ),
        "remedy_per_atom": Words("pèrdua per àtom, N{power}", "loss per atom, N{power}"),
        "remedy_inverse_frequency": Words("freqüència inversa, α = {rate}", "inverse frequency, α = {rate}"),
        "remedy_size": Words("pes per mida, r = {rate}", "size weight, r = {rate}"),
        "remedy_size_frequency": Words(
            "pes per mida i freqüència, r = {rate}", "size and frequency weight, r = {rate}"
        ),
        "remedy_stratified": Words("mostreig estratificat", "stratified sampling"),
        "ratio_up_to": Words("Quocient, fins a {atoms}", "Ratio, up to {atoms}"),
        "ratio_above": Words("Quocient, més de {atoms}", "Ratio, more than {atoms}"),
        # sensitivity
        "variant": Words("Variant", "What differs"),
        "variant_split": Words("partició {number}", "split {number}"),
        "variant_least_squares": Words("mínims quadrats", "least squares"),
        "variant_references": Words("àtoms lliures, sense mitjana", "free atoms, no mean"),
        "variant_none": Words("sense restar res", "nothing subtracted"),
        "short_up_to": Words("fins a {atoms} àtoms (eV²)", "up to {atoms} atoms (eV²)"),
        "short_above": Words("més de {atoms} àtoms (eV²)", "more than {atoms} atoms (eV²)"),
        "custom_wins": Words("Custom millor", "Custom better"),
        # loss modification
        "weight": Words("Pes v", "Weight v"),
        "floor_of_weights": Words("cota del pes", "floor of the weight"),
        "weight_function": Words("Funció de pes", "Weight function"),
        "loss_rate": Words("r\N{NO-BREAK SPACE}o\N{NO-BREAK SPACE}α", "r\N{NO-BREAK SPACE}or\N{NO-BREAK SPACE}α"),
        "unmodified": Words("sense pes", "unweighted"),
        "weights_size": Words("mida", "size"),
        "weights_size_frequency": Words("mida i freqüència", "size and frequency"),
        "weights_inverse_frequency": Words("freqüència inversa", "inverse frequency"),
        "short_held_out": Words("molècules reservades", "held-out molecules"),
        "short_as_reported": Words("mitjana pròpia", "own mean"),
        # hyperparameters
        "batch_size": Words("Mida del lot", "Batch size"),
        "learning_rate": Words("Taxa d’aprenentatge", "Learning rate"),
        "data_cutoff": Words("Radi de tall de dades (Å)", "Data cutoff (Å)"),
        "training_cutoff": Words("Radi de tall d’entrenament (Å)", "Training cutoff (Å)"),
        "n_atom_basis": Words("Característiques", "Features"),
        "validation_mse": Words("MSE de validació (eV²)", "Validation MSE (eV²)"),
        "front": Words("front de Pareto", "Pareto front"),
        "our_choice": Words("la tria de la regla", "the rule’s choice"),
        "report_choice": Words("els valors del TFG", "the thesis’s values"),
        "report_epochs": Words("èpoques del TFG", "the thesis’s epochs"),
        "n_trials": Words("Proves", "Trials"),
        "median_minutes": Words("Temps, mediana (min)", "Time, median (min)"),
        "median_mse": Words("MSE de validació, mediana (eV²)", "Validation MSE, median (eV²)"),
        "best_mse": Words("El més baix (eV²)", "Lowest (eV²)"),
        "a_trial": Words("una prova", "a trial"),
        "front_runs": Words("proves del front", "trials on the front"),
        "point": Words("Valors", "Values"),
        "validation_mse_after": Words("MSE de validació, època {epoch} (eV²)", "Validation MSE, epoch {epoch} (eV²)"),
        "hyperparameter": Words("Hiperparàmetre", "Hyperparameter"),
        "correlation": Words("Spearman amb l’MSE", "Spearman with MSE"),
        "p": Words("p, per permutació", "p by permutation"),
        "goes_with": Words("Hi va lligat", "Goes with it"),
        "yes": Words("sí", "yes"),
        "not_seen": Words("no es veu", "not seen"),
        # provenance
        "processor": Words("Processador", "Processor"),
        "threads": Words("Fils", "Threads"),
        "runs": Words("Execucions", "Runs"),
        "minutes_per_run": Words("Minuts per execució", "Minutes per run"),
        "minutes_in_all": Words("Minuts en total", "Minutes in all"),
        # the network, drawn
        "architecture": Words("El model, mòdul a mòdul", "The model, module by module"),
        "arch_batch": Words("Un lot de M molècules", "A batch of M molecules"),
        "arch_numbers": Words("Z: nombres atòmics {shape}", "Z: atomic numbers {shape}"),
        "arch_positions": Words("R: posicions, Å {shape}", "R: positions, Å {shape}"),
        "arch_neighbours": Words("V: veïns i, j {shape}", "V: neighbours i, j {shape}"),
        "arch_vectors": Words("Rᵥ: vectors entre veïns {shape}", "Rᵥ: vectors between them {shape}"),
        "arch_features": Words("X: característiques {shape}", "X: features {shape}"),
        "arch_parameters": Words("{count} paràmetres", "{count} parameters"),
        "parameters_in_all": Words("En total, {count} paràmetres", "{count} parameters in all"),
        "arch_convolution": Words("Convolució", "Convolution"),
        "arch_product": Words("X × filtre × {cutoff}", "X × filter × {cutoff}"),
        "arch_sum_neighbours": Words("suma sobre els veïns", "sum over the neighbours"),
        "arch_residual": Words("el resultat se suma a X", "the result is added to X"),
        "arch_sum_atoms": Words("i suma sobre els àtoms: [M]", "and a sum over the atoms: [M]"),
        "arch_target": Words("Energia que aprèn", "Energy that it learns"),
        "arch_offsets": Words("+ referències i mitjana per àtom", "+ references and mean per atom"),
        "arch_energy": Words("= U₀, eV {shape}", "= U₀, in eV {shape}"),
        # published errors
        "published_epochs": Words("{count} èpoques", "{count} epochs"),
        "published_epochs_at_most": Words("com a màxim {count} èpoques", "at most {count} epochs"),
        "published_gpu_hours": Words("{count} hores de GPU", "{count} GPU hours"),
        "published_days": Words("com a màxim {count} dies", "at most {count} days"),
        "published_ours": Words("Default, aquest llibre", "Default, this book"),
        "published_searched": Words("la tria de la cerca", "the search’s choice"),
        "published_own": Words("aquest llibre", "this book"),
        "published_read": Words("publicat", "published"),
        "published_unread": Words("publicat, sense comprovar", "published, not checked"),
        "published_accuracy": Words("precisió química", "chemical accuracy"),
        "published_error": Words("Error absolut mitjà de U₀ (meV)", "Mean absolute error of U₀ (meV)"),
        # the path of the data, drawn
        "pipeline": Words("El camí de les dades", "The path of the data"),
        "pipe_database": Words("QM9, comprovada", "QM9, checked"),
        "pipe_database_how": Words("{count} molècules", "{count} molecules"),
        "pipe_split": Words("a l’atzar, amb una llavor", "at random, with a seed"),
        "pipe_train": Words("Entrenament", "Training"),
        "pipe_train_how": Words("{count} molècules", "{count} molecules"),
        "pipe_validation": Words("Validació", "Validation"),
        "pipe_validation_how": Words("{count} molècules", "{count} molecules"),
        "pipe_test": Words("Prova", "Test"),
        "pipe_test_how": Words("{count} molècules", "{count} molecules"),
        "pipe_selection": Words("Selecció", "Selection"),
        "pipe_selection_how": Words("les que l’experiment demana", "those that the experiment asks for"),
        "pipe_offsets": Words("Energies de referència", "Reference energies"),
        "pipe_offsets_how": Words("per element, i mitjana μ per àtom", "per element, and the mean μ per atom"),
        "pipe_neighbours": Words("Veïns i lots", "Neighbours and batches"),
        "pipe_neighbours_how": Words("parells fins al radi de tall", "pairs up to the cutoff"),
        "pipe_training": Words("SchNet s’entrena", "SchNet is trained"),
        "pipe_training_how": Words("i es valida després de cada època", "and validated after each epoch"),
        "pipe_as_reported": Words("tot el conjunt de cada mida o element,", "the whole set of a size or element,"),
        "pipe_as_reported_how": Words("amb la seva pròpia μ", "with its own μ"),
        "pipe_held_out": Words("molècules no vistes en entrenar,", "molecules not trained on,"),
        "pipe_held_out_how": Words("amb la μ de l’entrenament", "with the training set’s μ"),
        "pipe_record": Words("Registre de l’execució", "Record of the run"),
        "pipe_record_how": Words(
            "configuració, pesos, corbes, errors, sumes per mida i element",
            "configuration, weights, curves, errors, sums by size and element",
        ),
        "pipe_book": Words("Figures, taules i veredictes", "Figures, tables and verdicts"),
        "pipe_book_how": Words("mitjana i dispersió de les llavors", "mean and spread over seeds"),
        # verdicts
        "claim": Words("Afirmació", "Claim"),
        "section": Words("Apartat", "Section"),
        "rule": Words("Es confirma si", "Confirmed if"),
        "seeds": Words("Llavors", "Seeds"),
        "confirmed": Words("confirmada", "confirmed"),
        "rejected": Words("rebutjada", "rejected"),
        "undecided": Words("no concloent", "undecided"),
        "said_confirmed": Words("ho afirma", "claims it"),
        "said_rejected": Words("la descarta", "discards it"),
        "said_partly": Words("ho afirma en part", "claims it in part"),
        "claim_h1": Words("H1: les mides poc freqüents es prediuen pitjor", "H1: infrequent sizes are predicted worse"),
        "rule_h1": Words(
            "la correlació de Spearman de la freqüència amb l’error, de 10 a 25 àtoms, és per sota de −0,5, i l’atzar "
            "no la dona més que una vegada de cada quaranta",
            "Spearman’s correlation of frequency with error, 10 to 25 atoms, lies below −0.5, and chance gives it no "
            "more than one time in forty",
        ),
        "claim_h2": Words(
            "H2: els elements poc freqüents es prediuen pitjor", "H2: infrequent elements are predicted worse"
        ),
        "rule_h2": Words(
            "l’error de les molècules amb fluor és més d’1,1 vegades la mitjana geomètrica del dels altres quatre "
            "elements",
            "the error of the molecules with fluorine is more than 1.1 times the geometric mean of that of the other "
            "four elements",
        ),
        "claim_h3": Words(
            "H3: igualar les freqüències iguala els errors", "H3: equal frequencies make the errors equal"
        ),
        "rule_h3": Words(
            "la dispersió de l’error entre mides amb el límit de 2.000 és menys d’1/1,1 de la del mateix nombre de "
            "molècules a l’atzar",
            "the spread of the error over sizes with the cap of 2,000 is less than 1/1.1 of that of as many molecules "
            "drawn at random",
        ),
        "claim_threshold_2000": Words(
            "El límit de 2.000 millora les molècules de més de 18 àtoms",
            "The cap of 2,000 improves the molecules of more than 18 atoms",
        ),
        "rule_threshold_2000": Words(
            "amb el límit, l’error és menys d’1/1,1 del del model de partida (mitjana geomètrica, de 19 a 25 àtoms)",
            "with the cap the error is less than 1/1.1 of the baseline’s (geometric mean, 19 to 25 atoms)",
        ),
        "claim_threshold_2000_same_updates": Words(
            "El límit de 2.000, amb tants passos com el model de partida",
            "The cap of 2,000, with as many updates as the baseline",
        ),
        "rule_threshold_2000_same_updates": Words(
            "com la del límit de 2.000, entre entrenaments amb els mateixos passos",
            "as that of the cap of 2,000, between trainings with the same updates",
        ),
        "claim_best_rate_size": Words(
            "El millor exponent del pes per mida és 10", "The best exponent of the weights by size is 10"
        ),
        "rule_best_rate_size": Words(
            "de 18 a 23 àtoms, l’error amb r = 10 és menor que amb qualsevol altre exponent, i menys d’1/1,1 del de la "
            "pèrdua sense pes",
            "from 18 to 23 atoms the error with r = 10 is smaller than with any other exponent, and less than 1/1.1 of "
            "that of the unweighted loss",
        ),
        "claim_best_rate_size_frequency": Words(
            "El millor exponent del pes per mida i freqüència és 10",
            "The best exponent of the weights by size and frequency is 10",
        ),
        "rule_best_rate_size_frequency": Words("com la del pes per mida", "as that of the weights by size"),
        "claim_h4": Words(
            "H4: entrenar només amb més de 17 àtoms les prediu millor",
            "H4: training only on more than 17 atoms predicts these better",
        ),
        "rule_h4": Words(
            "l’error és menys d’1/1,1 tant del de tota la part d’entrenament com del del mateix nombre de molècules a "
            "l’atzar (mitjana geomètrica, de 18 a 25 àtoms)",
            "the error is less than 1/1.1 both of that of the whole training part and of that of as many molecules "
            "drawn at random (geometric mean, 18 to 25 atoms)",
        ),
        "claim_h4_same_updates": Words("H4, amb els mateixos passos", "H4, with the same updates"),
        "rule_h4_same_updates": Words(
            "com H4, entre entrenaments amb els mateixos passos", "as H4, between trainings with the same updates"
        ),
        "claim_directed_by_size": Words(
            "Entrenar amb més de 17 àtoms millora cada mida per sobre de 19 i empitjora cada mida per sota",
            "Training on more than 17 atoms improves every size above 19 and worsens every size below",
        ),
        "rule_directed_by_size": Words(
            "respecte de tota la part, l’error és menys d’1/1,1 a cada mida de 20 a 25 i més d’1,1 vegades a cada mida "
            "de 10 a 18",
            "next to the whole part the error is less than 1/1.1 at each size from 20 to 25 and more than 1.1 times at "
            "each size from 10 to 18",
        ),
        "claim_general_mse": Words(
            "Default té un error general més petit que Custom", "Default has a smaller general error than Custom"
        ),
        "rule_general_mse": Words(
            "l’error de Custom és més d’1,1 vegades el de Default", "Custom’s error is more than 1.1 times Default’s"
        ),
        "claim_custom_by_size": Words(
            "Custom millora cada mida per sobre de 19 àtoms i empitjora cada mida per sota",
            "Custom improves every size above 19 atoms and worsens every size below",
        ),
        "rule_custom_by_size": Words(
            "com l’entrenament dirigit, de Custom respecte de Default",
            "as directed training, of Custom next to Default",
        ),
        "claim_run_time": Words("Custom triga menys que Default", "Custom takes less time than Default"),
        "rule_run_time": Words(
            "el temps de Custom és menys d’1/1,1 del de Default, a la mateixa màquina",
            "Custom’s time is less than 1/1.1 of Default’s, on the same machine",
        ),
        "claim_convergence": Words(
            "Default convergeix en menys passos que Custom", "Default converges in fewer updates than Custom"
        ),
        "rule_convergence": Words(
            "Custom fa més d’1,1 vegades els passos de Default fins que la pèrdua és 1,5 vegades l’última",
            "Custom makes more than 1.1 times Default’s updates until the loss is 1.5 times the last one",
        ),
        "claim_stability": Words(
            "Els errors d’un lot són més junts en Custom que en Default",
            "The errors of a batch lie closer together in Custom than in Default",
        ),
        "rule_stability": Words(
            "la distància entre els cinc errors més grans i els cinc més petits d’un lot, en Custom, és menys d’1/1,1 "
            "de la de Default",
            "the distance between the five largest and the five smallest errors of a batch is less than 1/1.1 of "
            "Default’s in Custom",
        ),
        "claim_stage2": Words(
            "Els hiperparàmetres físics canvien poc el resultat",
            "The physical hyperparameters change the result little",
        ),
        "rule_stage2": Words(
            "el novè decil de la pèrdua de validació entre el primer és menys d’1,1 vegades el que ja donarien les "
            "llavors soles",
            "the ninth decile of the validation loss over the first is less than 1.1 times what seeds alone would give",
        ),
        # beside the report
        "custom_own": Words(
            "Custom: MSE amb molècules de més de 17 àtoms (eV²)", "Custom: MSE, molecules of more than 17 atoms (eV²)"
        ),
        "best_rate": Words("Millor r, pes per {weights}", "Best r, weights by {weights}"),
        "cap_better": Words(
            "Mides on el límit de {cap} guanya tota la part d’entrenament",
            "Sizes at which the cap of {cap} beats the whole training part",
        ),
        "directed_better": Words(
            "Mides on entrenar amb més de 17 àtoms guanya tota la part d’entrenament",
            "Sizes at which training on more than 17 atoms beats the whole training part",
        ),
        "custom_better": Words("Mides on Custom guanya Default", "Sizes at which Custom beats Default"),
        # the artefact
        "reported_error": Words("error amb la mitjana pròpia", "error with the set’s own mean"),
        "term_held_out": Words("molècules reservades", "held-out molecules"),
        "term_leakage": Words("fuita, valor absolut", "leakage, absolute value"),
        "term_left_out": Words("descartades, valor absolut", "left out, absolute value"),
        "term_cross": Words("terme creuat, valor absolut", "cross term, absolute value"),
        "term_offset": Words("terme de desplaçament", "offset term"),
        "shift": Words("Δ (meV per àtom)", "Δ (meV per atom)"),
        "share_held_out": Words("Reservades", "Held out"),
        "share_leakage": Words("Fuita", "Leakage"),
        "share_left_out": Words("Descartades", "Left out"),
        "share_moved": Words("Desplaçament", "Offset"),
        "predicted": Words("predit només amb les dades", "predicted from the data alone"),
        "predicted_in_order": Words("el mateix, amb les primeres de cada mida", "the same, the first of each size"),
        "seen_as_reported": Words("registres, mitjana pròpia", "records, own mean"),
        "seen_held_out": Words("registres, molècules reservades", "records, held-out molecules"),
        "elements_of_default": Words("Default, per element", "Default, by element"),
        "case_sizes_13_23": Words("de 13 a 23 àtoms", "13 to 23 atoms"),
        "case_cap": Words("com a màxim {cap} per mida", "at most {cap} per size"),
        "case_in_order": Words("les {cap} primeres de cada mida", "the first {cap} of each size"),
        "case_large": Words("més de 17 àtoms", "more than 17 atoms"),
        "statement": Words("De què parla la memòria", "What the report speaks of"),
        "short_predicted": Words("només les dades", "data alone"),
        "agrees": Words("Ho prediuen les dades?", "Do the data predict it?"),
        "agrees_yes": Words("sí", "yes"),
        "agrees_no": Words("no", "no"),
        "agrees_unknown": Words("no en diuen res", "they say nothing"),
        "all_the_same": Words("tots iguals", "all the same"),
        "said_inverse": Words("clara i inversa", "clear and inverse"),
        "said_frequent": Words("una de freqüent ({sizes})", "a frequent one ({sizes})"),
        "said_elements": Words("F, N, O i al final H i C", "F, N, O, then H and C"),
        "said_only_strictest": Words(
            "només el de {cap} es nota, i millora", "only that of {cap} shows, for the better"
        ),
        "row_fig3_correlation": Words(
            "Figura 3: correlació de la freqüència amb l’error", "Figure 3: correlation of frequency with error"
        ),
        "row_fig3_best": Words("Figura 3: mida de l’error més petit", "Figure 3: size of the smallest error"),
        "row_fig4_order": Words("Figura 4: elements, de pitjor a millor", "Figure 4: elements, from worst to best"),
        "row_fig6_cap": Words(
            "Figura 6: mides on el límit més estricte guanya Default (a l’atzar)",
            "Figure 6: sizes at which the strictest cap beats Default (at random)",
        ),
        "row_fig6_cap_change": Words(
            "Figura 6: què fa cada límit amb l’error per sobre de 18 àtoms (a l’atzar)",
            "Figure 6: what each cap does to the error above 18 atoms (at random)",
        ),
        "row_fig6_in_order": Words(
            "Figura 6: les mides, amb les primeres de la base", "Figure 6: the sizes, with the database’s first ones"
        ),
        "row_fig6_in_order_change": Words(
            "Figura 6: cada límit, amb les primeres de la base", "Figure 6: each cap, with the database’s first ones"
        ),
        "row_fig7": Words("Figura 7: millor r, pes per mida", "Figure 7: best r, weights by size"),
        "row_fig8": Words(
            "Figura 8: millor r, pes per mida i freqüència", "Figure 8: best r, weights by size and frequency"
        ),
        "row_fig9_better": Words(
            "Figura 9: mides on entrenar amb més de 17 àtoms guanya Default",
            "Figure 9: sizes at which training on more than 17 atoms beats Default",
        ),
        "row_fig9_crossing": Words("Figura 9: on es creuen les corbes", "Figure 9: where the curves cross"),
        "row_fig10_better": Words(
            "Figura 10: mides on Custom guanya Default", "Figure 10: sizes at which Custom beats Default"
        ),
        "row_fig10_crossing": Words("Figura 10: on es creuen les corbes", "Figure 10: where the curves cross"),
        "row_best_sizes": Words(
            "Mida de l’error més petit: límits de 2.000, 4.000 i 6.000, més de 17 àtoms, Custom",
            "Size of the smallest error: caps of 2,000, 4,000 and 6,000, more than 17 atoms, Custom",
        ),
        "row_last_table": Words(
            "Última taula: error general de Custom (eV²)", "Last table: Custom’s general error (eV²)"
        ),
        # worst-predicted molecules
        "largest_errors": Words("Errors més grans", "Largest errors"),
        "qm9_index": Words("Índex a QM9", "QM9 index"),
        "formula": Words("Fórmula", "Formula"),
        "smiles": Words("SMILES", "SMILES"),
        "signed_error": Words("Predicció − referència (meV)", "Prediction − reference (meV)"),
        "absolute_error": Words("Error absolut mitjà (meV)", "Mean absolute error (meV)"),
        "neighbour_sizes": Words("Error absolut medià per mida (meV)", "Median absolute error by size (meV)"),
        "no_drawing": Words("sense dibuix", "no drawing"),
        # what drives the error
        "side_rmse": Words("arrel de l’error quadràtic mitjà", "root of the mean squared error"),
        "side_median": Words("mediana de l’error absolut", "median absolute error"),
        "side_per_atom": Words("error absolut per àtom, mitjana", "mean absolute error per atom"),
        "error_in_mev": Words("Error en meV", "Error in meV"),
        "degree_of_unsaturation": Words("Grau d’insaturació", "Degree of unsaturation"),
        "fixed_heavy_atoms": Words("{value} pesants", "{value} heavy"),
        "fixed_unsaturation": Words("insaturació {value}", "unsaturation {value}"),
        "fixed_nothing": Words("res", "nothing"),
        "fixed_heavy": Words("nombre d’àtoms pesants", "number of heavy atoms"),
        "fixed_skeleton": Words("C, N, O i F:\nmés hidrogen", "C, N, O and F:\nmore hydrogen"),
        "fixed_saturation": Words("insaturació, N, O i F:\nmés CH₂", "unsaturation, N, O and F:\nmore CH₂"),
        "fixed_structure": Words("i també anells i enllaços:\nmés CH₂", "rings and bonds too:\nmore CH₂"),
        "held_fixed": Words("Es fixa", "Held fixed"),
        "factor_per_atoms": Words("Factor en l’MSE per {atoms} àtoms més", "Factor in the MSE for {atoms} more atoms"),
        "spearman_of_two": Words("Correlació de Spearman", "Spearman correlation"),
        "descriptor": Words("Descriptor", "Descriptor"),
        "plain_correlation": Words("Correlació amb |e|", "Correlation with |e|"),
        "partial_correlation": Words("Fixats els altres grups", "Other groups held fixed"),
        "score_typical": Words("Pèrdua de R²\n(log |e|)", "Loss of R²\n(log |e|)"),
        "score_squared": Words("Pèrdua de D²\n(e²)", "Loss of D²\n(e²)"),
        "descriptor_n_atoms": Words("àtoms", "atoms"),
        "descriptor_heavy_atoms": Words("àtoms pesants", "heavy atoms"),
        "descriptor_hydrogen_share": Words("proporció de H", "share of H"),
        "descriptor_hydrogens": Words("hidrògens", "hydrogens"),
        "descriptor_carbons": Words("carbonis", "carbons"),
        "descriptor_nitrogens": Words("nitrògens", "nitrogens"),
        "descriptor_oxygens": Words("oxígens", "oxygens"),
        "descriptor_fluorines": Words("fluors", "fluorines"),
        "descriptor_unsaturation": Words("insaturació", "unsaturation"),
        "descriptor_rings": Words("anells", "rings"),
        "descriptor_smallest_ring": Words("anell més petit", "smallest ring"),
        "descriptor_three_rings": Words("anells de 3 àtoms", "3\N{NON-BREAKING HYPHEN}membered rings"),
        "descriptor_four_rings": Words("anells de 4 àtoms", "4\N{NON-BREAKING HYPHEN}membered rings"),
        "descriptor_shared_ring_atoms": Words("àtoms de més d’un anell", "atoms in several rings"),
        "descriptor_aromatic_atoms": Words("àtoms aromàtics", "aromatic atoms"),
        "descriptor_triple_bonds": Words("triples enllaços", "triple bonds"),
        "descriptor_sp3_share": Words("proporció de C sp³", "share of sp³ C"),
        "descriptor_hetero_bonds": Words("enllaços entre heteroàtoms", "heteroatom bonds"),
        "descriptor_longest_bond": Words("enllaç més estirat", "most stretched bond"),
        "descriptor_zwitterion": Words("zwitterió", "zwitterion"),
        "descriptor_distance": Words("distància a l’entrenament", "distance to training"),
        "descriptor_rarest_environment": Words("entorn més rar", "rarest environment"),
        "class": Words("Classe", "Class"),
        "class_zwitterions": Words("Zwitterions", "Zwitterions"),
        "class_three_or_more_rings": Words("Tres anells o més", "Three rings or more"),
        "class_three_rings": Words("Amb un anell de 3 àtoms", "With a 3\N{NON-BREAKING HYPHEN}membered ring"),
        "class_four_rings": Words("Amb un anell de 4 àtoms", "With a 4\N{NON-BREAKING HYPHEN}membered ring"),
        "class_aromatic": Words("Aromàtiques", "Aromatic"),
        "class_triple_bonds": Words("Amb un triple enllaç", "With a triple bond"),
        "class_hetero_bonds": Words("Amb heteroàtoms enllaçats", "With bonded heteroatoms"),
        "class_stretched_bond": Words("Amb un enllaç estirat", "With a stretched bond"),
        "class_fluorine": Words("Amb fluor", "With fluorine"),
        "class_few_heavy_atoms": Words("Menys de 9 àtoms pesants", "Fewer than 9 heavy atoms"),
        "class_infrequent_sizes": Words("Mides poc freqüents", "Infrequent sizes"),
        "class_farthest": Words("La desena part més allunyada", "The farthest tenth"),
        "class_rarest": Words("La desena part d’entorns més rars", "The tenth of rarest environments"),
        "ratio_of_mse": Words("MSE respecte de la resta", "MSE over that of the rest"),
        "share_of_molecules": Words("De les molècules", "Of the molecules"),
        "share_of_error": Words("De l’error quadràtic", "Of the squared error"),
        "attributable": Words("Error atribuïble", "Attributable error"),
        "index_and_smiles": Words("Índex a QM9 i SMILES", "QM9 index and SMILES"),
        "reasons": Words("Què té de particular", "What is out of the ordinary"),
        "no_reason": Words("res", "nothing"),
        "reason_high": Words("{name}: {value} ({beyond} més alt)", "{name}: {value} (highest {beyond})"),
        "reason_low": Words("{name}: {value} ({beyond} més baix)", "{name}: {value} (lowest {beyond})"),
        "reason_zwitterions": Words("és un zwitterió", "it is a zwitterion"),
        "reason_three_or_more_rings": Words("tres anells o més", "three rings or more"),
        "reason_three_rings": Words("un anell de 3 àtoms", "a 3\N{NON-BREAKING HYPHEN}membered ring"),
        "reason_four_rings": Words("un anell de 4 àtoms", "a 4\N{NON-BREAKING HYPHEN}membered ring"),
        "reason_aromatic": Words("és aromàtica", "it is aromatic"),
        "reason_triple_bonds": Words("un triple enllaç", "a triple bond"),
        "reason_hetero_bonds": Words("heteroàtoms enllaçats", "bonded heteroatoms"),
        "reason_fluorine": Words("té fluor", "it holds fluorine"),
        "reason_few_heavy_atoms": Words("pocs àtoms pesants", "few heavy atoms"),
        # robustness
        "killed": Words("Què es mata", "What is killed"),
        "kills": Words("Morts", "Kills"),
        "kills_writing": Words("amb feina a mitges", "with work unfinished"),
        "half_read": Words("Coses a mitges llegides", "Half-written things read"),
        "lost": Words("Pèrdues", "Losses"),
        "starts_refused": Words("Represes fallides", "Starts that failed"),
        "ends": Words("Cops que acaba", "Times finished"),
        "differing": Words("Fitxers finals diferents", "Final files that differ"),
        "so_many_of": Words("{some} de {all}", "{some} of {all}"),
        "victim_study": Words("Entrenament i registre", "Training and recording"),
        "victim_cache": Words("Memòria cau de QM9", "Cache of QM9"),
        "victim_search": Words("Cerca amb dos processos", "Search with two workers"),
        "victim_notebook": Words("Quadern amb papermill", "Notebook under papermill"),
        "victim_book": Words("Construcció del llibre", "Build of the book"),
        "strait": Words("Què falta", "What is lacking"),
        "tries": Words("Intents", "Tries"),
        "exit_code": Words("Codi de sortida", "Exit code"),
        "said": Words("Última línia", "Last line"),
        "went_on": Words("Després, els mateixos bits", "The same bits afterwards"),
        "no": Words("no", "no"),
        "strait_full-disk-run": Words("Lloc al disc, en entrenar", "Room on the disk, in training"),
        "strait_full-disk-cache": Words("Lloc al disc, per a la memòria cau", "Room on the disk, for the cache"),
        "strait_full-disk-search": Words("Lloc al disc, en una cerca", "Room on the disk, in a search"),
        "strait_read-only-results": Words("Permís per escriure els resultats", "The right to write the results"),
        "strait_read-only-cache": Words("Permís per escriure la memòria cau", "The right to write the cache"),
        "strait_no-home": Words("La carpeta personal", "The home folder"),
        "strait_unknown-user": Words(
            "La carpeta personal, i el nom de l’usuari", "The home folder, and the user’s name"
        ),
        "strait_cut-off-installation": Words("Mitja instal·lació", "Half of the installation"),
        "feed": Words("Entrada", "Input"),
        "fed": Words("Vegades", "Times fed"),
        "refused": Words("Refusada amb un missatge", "Refused with a message"),
        "same": Words("Acceptada: diu el mateix", "Taken: says the same"),
        "other": Words("Acceptada: també és vàlida", "Taken: is valid, too"),
        "wrong": Words("Mal resolta", "Answered wrongly"),
        "feed_csv": Words("Fitxers CSV de QM9", "QM9’s CSV files"),
        "feed_extxyz": Words("Fitxers extxyz", "extxyz files"),
        "feed_database": Words("Bases de dades d’ASE", "ASE databases"),
        "feed_cache": Words("Memòria cau de QM9", "Cache of QM9"),
        "feed_config": Words("Configuracions", "Configurations"),
        "feed_description": Words("Registres retocats a mà", "Records edited by hand"),
        "feed_record": Words("Registres malmesos", "Damaged records"),
        "feed_checkpoint": Words("Punts de control", "Checkpoints"),
        "feed_sweep": Words("Fitxers de cerca", "Sweep files"),
        "feed_parameters": Words("Paràmetres de quaderns", "Parameters of notebooks"),
        "feed_geometry": Words("Molècules per predir, fitxers XYZ", "Molecules to predict, XYZ files"),
        "feed_smiles": Words("Molècules per predir, SMILES", "Molecules to predict, SMILES"),
        "geometries": Words("Geometries", "Geometries"),
        "how_many": Words("Quantes", "How many"),
        "geometries_test": Words("De QM9, la part de prova", "QM9’s, the test part"),
        "geometries_g2": Words("De G2, per MP2", "G2’s, by MP2"),
        "geometries_mmff": Words("De MMFF94", "By MMFF94"),
        "geometries_scaled_0.99": Words("Distàncies × 0,99", "Distances × 0.99"),
        "geometries_scaled_1.01": Words("Distàncies × 1,01", "Distances × 1.01"),
        "geometries_shaken": Words("Coordenades mogudes 0,01 Å", "Coordinates moved by 0.01 Å"),
        "geometries_bond_0.8": Words("Un enllaç × 0,8", "A bond × 0.8"),
        "geometries_bond_0.9": Words("Un enllaç × 0,9", "A bond × 0.9"),
        "geometries_bond_1.1": Words("Un enllaç × 1,1", "A bond × 1.1"),
        "geometries_bond_1.2": Words("Un enllaç × 1,2", "A bond × 1.2"),
        "geometries_torn": Words("Un hidrogen a 3 Å del seu lloc", "A hydrogen 3 Å off its place"),
        "geometries_lost": Words("Dos hidrògens de menys", "Two hydrogens missing"),
        "geometries_exchanged": Words("Dos elements canviats", "Two elements exchanged"),
        "geometries_two": Words("Dues molècules", "Two molecules"),
        "geometries_together": Words("Dos àtoms al mateix lloc", "Two atoms at one place"),
        "geometries_bohr": Words("En bohrs", "In bohr"),
        "geometries_nm": Words("En nm", "In nm"),
        "warned_refused": Words("Refusades", "Refused"),
        "warned_environment": Words("Un entorn nou", "A new environment"),
        "warned_distance": Words("Una distància nova", "A new distance"),
        "warned_parts": Words("Diverses parts", "Several parts"),
        "warned_spread": Words("Dispersió gran", "Large spread"),
        "warned_any": Words("Refusades o amb avís", "Refused or warned of"),
        "recorded_run": Words(
            "{model}, {epochs} èpoques, llavor {seed} ({run}): registre",
            "{model}, {epochs} epochs, seed {seed} ({run}): record",
        ),
        "again_run": Words(
            "{model}, {epochs} èpoques, llavor {seed} ({run}): repetició",
            "{model}, {epochs} epochs, seed {seed} ({run}): repetition",
        ),
        "outcome": Words("Què en surt", "Outcome"),
        "identical": Words("els mateixos bits", "the same bits"),
        "within_tolerance": Words("dins de la tolerància", "within the tolerance"),
        "beyond_tolerance": Words("fora de la tolerància", "beyond the tolerance"),
        # benchmark
        "reached": Words("sí", "met"),
        "missed": Words("no", "missed"),
        "contestant_schnetpack": Words("(a) SchNetPack tal com és", "(a) SchNetPack as it is"),
        "contestant_packed": Words("(b) SchNetPack, lots empaquetats", "(b) SchNetPack, packed batches"),
        "contestant_geometric": Words("(c) SchNet de PyTorch Geometric", "(c) PyTorch Geometric’s SchNet"),
        "contestant_ours": Words("(d) aquest compendi", "(d) this compendium"),
        "width": Words("Característiques", "Features"),
        "batch": Words("Lot", "Batch"),
        "batch_of": Words("lots de {batch}", "batches of {batch}"),
        "rate": Words("Molècules per segon", "Molecules per second"),
        "seconds": Words("Temps (s)", "Time (s)"),
        "epoch_of": Words("una època, {contestant}", "one epoch, {contestant}"),
        "preparation": Words("llegir, veïns i empaquetar, (d)", "reading, neighbours and packing, (d)"),
        "way": Words("Manera", "Way"),
        "memory": Words("Memòria (GB)", "Memory (GB)"),
        "libraries": Words("Biblioteques (GB)", "Libraries (GB)"),
        "first_batch": Words("Primer lot (s)", "First batch (s)"),
        "first_step": Words("Primer pas (s)", "First step (s)"),
        "parameters": Words("Paràmetres", "Parameters"),
        "products": Words("Productes densos (ms)", "Dense products (ms)"),
        "arithmetic": Words("Aritmètica (ms)", "Arithmetic (ms)"),
        "traffic": Words("Trànsit (ms)", "Traffic (ms)"),
        "floor": Words("Terra (ms)", "Floor (ms)"),
        "peak": Words("Tot al màxim (ms)", "All at peak (ms)"),
        "our_step": Words("Pas de (d) (ms)", "Step of (d) (ms)"),
        "over_floor": Words("(d) / terra", "(d) / floor"),
        "bar": Words("Llistó", "Bar"),
        "demand": Words("Exigència", "Demand"),
        "measured": Words("Mesurat", "Measured"),
        "met": Words("Superat", "Met"),
        "bar_schnetpack": Words(
            "(d) contra (a), {width} característiques, lots de {batch}",
            "(d) against (a), {width} features, batches of {batch}",
        ),
        "bar_geometric": Words(
            "(d) contra (c), {width} característiques, lots de {batch}",
            "(d) against (c), {width} features, batches of {batch}",
        ),
        "bar_floor": Words(
            "(d) contra el terra, {width} característiques, lots de {batch}",
            "(d) against the floor, {width} features, batches of {batch}",
        ),
        "bar_lightning": Words(
            "el que hi afegeix Lightning, {width} característiques, lots de {batch}",
            "what Lightning adds, {width} features, batches of {batch}",
        ),
        "bar_memory": Words("memòria d’un entrenament amb tot QM9", "memory of a training on all of QM9"),
        "not_measured": Words("no mesurat", "not measured"),
        "all_met": Words("No en falla cap.", "None is missed."),
        "some_missed": Words("No se superen: {bars}.", "Missed: {bars}."),
        "some_unknown": Words("No s’han mesurat: {bars}.", "Not measured: {bars}."),
        "record_quick": Words(
            "Atenció: el registre és d’una prova ràpida, que només comprova que el mesurament funciona; les xifres no "
            "són cap resultat.",
            "Beware: the record is that of a quick check, which only shows that the measurement works; its figures are "
            "no result.",
        ),
        "record_whole": Words(
            "El registre és del mesurament sencer, amb {repeats} repeticions.",
            "The record is that of the whole measurement, with {repeats} repeats.",
        ),
        "processor_unknown": Words("processador no registrat", "processor not recorded"),
        "network": Words("Xarxa", "Network"),
        "chosen_way": Words("Manera triada", "Way chosen"),
        "chosen_over_best": Words("Triada / millor", "Chosen / best"),
        "library_over_own": Words("Biblioteca / pròpies", "Library / own"),
        "narrow_over_wide": Words("32 bytes / 64 bytes", "32 bytes / 64 bytes"),
        "way_own": Words(
            "vectors de {bytes} bytes, rajoles de {rows} × {columns}",
            "vectors of {bytes} bytes, tiles of {rows} × {columns}",
        ),
        "way_library": Words(
            "vectors de {bytes} bytes, productes de la biblioteca", "vectors of {bytes} bytes, the library’s products"
        ),
        "code_clean": Words("commit {commit}", "commit {commit}"),
        "code_changed": Words("versió {commit}, amb canvis per desar", "commit {commit}, with uncommitted changes"),
        "code_unknown": Words("versió desconeguda", "version unknown"),
    }
)

ALT = MappingProxyType(
    {
        "terms_by_size": Words(
            "Dos gràfics segons el nombre d’àtoms, en escala logarítmica, un per a Default i un per a Custom, amb una "
            "línia per terme de l’error amb la mitjana pròpia: el terme de desplaçament fa una vall i l’error sencer "
            "hi va enganxat gairebé a tot arreu; l’error de les molècules reservades baixa suaument i queda molt per "
            "sota fora del fons de la vall; la fuita d’informació és la línia més baixa.",
            "Two plots by number of atoms on a log scale, one for Default and one for Custom, with a line per term of "
            "the error with the set’s own mean: the offset term makes a valley and the whole error clings to it nearly "
            "everywhere; the error of the held-out molecules falls gently and lies far below but for the bottom of the "
            "valley; leakage is the lowest line.",
        ),
        "predicted_curves": Words(
            "Vuit gràfics petits en escala logarítmica, un per corba de la memòria: una línia per al que prediuen les "
            "dades, cercles per als registres amb la mitjana pròpia i punts per a les molècules reservades. Els "
            "cercles segueixen la línia a tot arreu tret del fons de cada vall, on s’aturen a l’altura dels punts, que "
            "no fan cap vall.",
            "Eight small plots on a log scale, one per curve of the report: a line for what the data predict, circles "
            "for the records with each set’s own mean and dots for the held-out molecules. The circles follow the line "
            "everywhere but at the bottom of each valley, where they stop at the height of the dots, which make no "
            "valley.",
        ),
        "beyond_by_size": Words(
            "Gràfic de línies de l’error absolut mitjà segons el nombre d’àtoms, en escala logarítmica, una línia amb "
            "banda per a cada model: Beyond queda molt per sota de Default i de Custom a totes les mides.",
            "Line chart of the mean absolute error by number of atoms on a log scale, a line with its band for each "
            "model: Beyond lies far below Default and Custom at every size.",
        ),
        "beyond_by_element": Words(
            "Gràfic de punts amb barres de l’error absolut mitjà per element, en escala logarítmica, un per model: "
            "Beyond queda molt per sota de Default i de Custom en tots els elements.",
            "Points with bars of the mean absolute error by element on a log scale, a point per model: Beyond lies far "
            "below Default and Custom for every element.",
        ),
        "budget": Words(
            "Dos gràfics segons els minuts d’entrenament, tots dos amb escales logarítmiques: a dalt, l’error absolut "
            "mitjà, que baixa fins a la vora de les línies dels models publicats; a baix, l’error quadràtic mitjà, "
            "molt per sota de l’estrella del TFG.",
            "Two plots against minutes of training, both on log scales: above, the mean absolute error, which falls to "
            "near the lines of published models; below, the mean squared error, far below the thesis’s star.",
        ),
        "recipe": Words(
            "Gràfic en cascada de l’error de validació, en escala logarítmica: cada barra va de l’error d’abans "
            "d’un canvi al de després, de Default, a dalt a la dreta, a Beyond, a baix a l’esquerra.",
            "Waterfall of the validation error on a log scale: each bar goes from the error before a change to "
            "the one after it, from Default at the top right to Beyond at the bottom left.",
        ),
        "beyond_learning_curve": Words(
            "Gràfic de l’error absolut mitjà segons el nombre de molècules d’entrenament, amb totes dues escales "
            "logarítmiques, al costat de models publicats: baixa i travessa la línia de la precisió química.",
            "Plot of the mean absolute error against the number of training molecules, both on log scales, beside "
            "published models: it falls and crosses the line of chemical accuracy.",
        ),
        "beyond_remedies": Words(
            "Gràfic de punts amb barres, una fila per recurs i un punt per grup de molècules: l’error absolut mitjà "
            "respecte del model sense cap recurs, en escala logarítmica, a banda i banda d’una línia vertical que "
            "marca la igualtat.",
            "Points with bars, a row per remedy and a point per group of molecules: the mean absolute error over that "
            "of the plain model, on a log scale, on both sides of a vertical line that marks equality.",
        ),
        "calibration": Words(
            "Dos gràfics. A l’esquerra, l’error de la mitjana de les llavors puja amb la seva dispersió, per sobre de "
            "la diagonal. A la dreta, una corba molt per sobre de la diagonal: la major part de les pitjors molècules "
            "són entre les de més dispersió.",
            "Two plots. On the left the error of the seeds’ mean rises with their spread, above the diagonal. On the "
            "right a curve far above the diagonal: most of the worst molecules are among those of the largest spread.",
        ),
        "trade_off": Words(
            "Gràfic de punts: l’error quadràtic mitjà de les molècules grans segons el de les altres, totes dues "
            "escales logarítmiques, amb un punt per recurs i barres de la millor llavor a la pitjor; una línia uneix "
            "els recursos que cap altre no supera en els dos errors alhora.",
            "Scatter plot: the mean squared error of the large molecules against that of the others, both on log "
            "scales, with a point per remedy and bars from the best seed to the worst; a line joins the remedies that "
            "no other beats on both errors at once.",
        ),
        "sensitivity": Words(
            "Dos gràfics de l’error quadràtic mitjà de les molècules reservades segons el nombre d’àtoms, en escala "
            "logarítmica, un per a Default i un per a Custom, amb una corba per partició i per manera de restar "
            "energies de referència.",
            "Two plots of the mean squared error of held-out molecules by number of atoms on a log scale, one for "
            "Default and one for Custom, with a curve per split and per way of subtracting reference energies.",
        ),
        "architecture": Words(
            "Diagrama de caixes i fletxes del model. A l’esquerra, de dalt a baix: el lot, els vectors entre veïns, "
            "la xarxa SchNet amb la incrustació i els blocs d’interacció, la lectura àtom per àtom i l’energia. A la "
            "dreta, per dins, un bloc d’interacció (una capa per als àtoms, una xarxa que fa el filtre a partir de la "
            "distància, la convolució i dues capes més) i la lectura. Cada caixa diu la forma del resultat i quants "
            "paràmetres té.",
            "Diagram of the model in boxes and arrows. On the left, from top to bottom: the batch, the vectors between "
            "neighbours, the network SchNet with its embedding and interaction blocks, the atom-wise readout and the "
            "energy. On the right, opened up, an interaction block (a layer for the atoms, a network that makes the "
            "filter from the distance, the convolution and two more layers) and the readout. Each box says the shape "
            "of its result and how many parameters it has.",
        ),
        "pipeline": Words(
            "Diagrama de caixes i fletxes del camí de les dades. La base de dades es reparteix en entrenament, "
            "validació i prova. La part d’entrenament passa per la selecció, les energies de referència i els veïns "
            "fins a l’entrenament, que mira la validació a cada època. La xarxa entrenada s’avalua amb els dos "
            "protocols; els resultats van al registre, i del registre surten les figures.",
            "Diagram of the path of the data in boxes and arrows. The database is split into training, validation and "
            "test. The training part goes through selection, reference energies and neighbours to the training, which "
            "looks at the validation part after each epoch. The trained network is evaluated under both protocols; the "
            "results go to the record, and the figures come from the record.",
        ),
        "errors_by_size": Words(
            "Tres errors segons el nombre d’àtoms, en escala logarítmica: l’arrel de l’error quadràtic mitjà baixa amb "
            "la mida, la mediana de l’error absolut baixa menys, i l’error per àtom baixa sense parar.",
            "Three errors by number of atoms on a log scale: the root of the mean squared error falls with size, the "
            "median absolute error falls less, and the error per atom falls steadily.",
        ),
        "unsaturation": Words(
            "Dos gràfics de l’error quadràtic mitjà en escala logarítmica: a l’esquerra segons el grau d’insaturació, "
            "amb una línia per nombre d’àtoms pesants; a la dreta segons el nombre d’àtoms pesants, amb una línia per "
            "grau d’insaturació. A l’esquerra les línies s’enfilen; a la dreta pugen menys.",
            "Two plots of mean squared error on a log scale: on the left by degree of unsaturation, with a line per "
            "number of heavy atoms; on the right by number of heavy atoms, with a line per degree of unsaturation. On "
            "the left the lines climb; on the right they rise less.",
        ),
        "size_effects": Words(
            "Un punt amb interval per model i per comparació: el factor en què canvia l’error quadràtic mitjà quan la "
            "molècula té més àtoms. Per a Default queda per sota d’u si no es fixa res o es fixen els àtoms pesants, i "
            "passa a u o més si es fixen la insaturació i els heteroàtoms; per a Custom queda sempre per sota d’u.",
            "A point with an interval per model and comparison: the factor by which the mean squared error changes "
            "when the molecule has more atoms. For Default it lies below one if nothing or the heavy atoms are held "
            "fixed, and at one or above if unsaturation and heteroatoms are; for Custom it always lies below one.",
        ),
        "correlations": Words(
            "Mapa de calor de la correlació de Spearman de cada descriptor amb cadascun dels altres; els que van junts "
            "formen blocs de color intens, emmarcats. El bloc més gran és el del nombre d’àtoms, l’hidrogen i la "
            "insaturació.",
            "Heat map of the Spearman correlation of each descriptor with each of the others; those that go together "
            "form framed blocks of strong colour. The largest block is that of the number of atoms, hydrogen and "
            "unsaturation.",
        ),
        "importance": Words(
            "Dos gràfics de punts de costat amb una fila per grup de descriptors: què es perd quan el grup es permuta, "
            "a l’esquerra per a l’error típic i a la dreta per a l’error al quadrat, amb intervals.",
            "Two dot plots side by side with a row per group of descriptors: what is lost when the group is permuted, "
            "on the left for the typical error and on the right for the squared error, with intervals.",
        ),
        "classes": Words(
            "Un punt amb interval per classe de molècules i per model, en escala logarítmica: l’error quadràtic mitjà "
            "de la classe dividit pel de la resta. Els zwitterions queden molt per damunt de tota la resta.",
            "A point with an interval per class of molecules and model on a log scale: the mean squared error of the "
            "class over that of all others. Zwitterions lie far above everything else.",
        ),
        "directed_training": Words(
            "Dos gràfics de l’error quadràtic mitjà segons el nombre d’àtoms, en escala logarítmica, amb cinc "
            "corbes: tota la part d’entrenament, només les molècules grans, el control a l’atzar i aquests dos "
            "últims amb tants passos com el primer. Amb les molècules reservades les dues corbes de les molècules "
            "grans s’enfilen a les mides petites; a les grans totes baixen, i les que fan tants passos com el primer "
            "van juntes i per sota de les altres dues. Amb la mitjana pròpia de cada mida, tota la part i els "
            "controls fan una mateixa vall, i les molècules grans una altra, més a la dreta, facin els passos que "
            "facin.",
            "Two plots of mean squared error by number of atoms on a log scale, with five curves: the whole training "
            "part, large molecules alone, the random control, and the last two with as many updates as the first. "
            "With held-out molecules both curves of the large molecules climb at the small sizes; at the large ones "
            "all fall, and those that make as many updates as the first run together below the other two. With each "
            "size’s own mean, the whole part and the controls make one and the same valley, and the large molecules "
            "another, farther to the right, whatever the updates.",
        ),
        "final_comparison": Words(
            "Dos gràfics de l’error quadràtic mitjà segons el nombre d’àtoms, en escala logarítmica, amb una corba per "
            "a Default i una per a Custom: amb les molècules reservades totes dues baixen amb la mida; amb la mitjana "
            "pròpia de cada mida fan una vall, la de Custom més a la dreta.",
            "Two plots of mean squared error by number of atoms on a log scale, with a curve for Default and one for "
            "Custom: with held-out molecules both fall with size; with each size’s own mean both are valleys, that of "
            "Custom farther to the right.",
        ),
        "stability": Words(
            "Dos gràfics de l’error al quadrat segons l’època, en escala logarítmica, un per model: la mitjana "
            "del lot baixa de pressa al principi i més a poc a poc després, dins d’una banda que va dels errors "
            "més petits als més grans i que abraça unes quantes potències de deu. La de Custom queda una mica més "
            "amunt.",
            "Two plots of squared error by epoch on a log scale, one per model: the mean of the batch falls fast "
            "at first and slowly later, inside a band from the smallest errors to the largest that spans several "
            "powers of ten. Custom’s lies somewhat higher.",
        ),
        "steps": Words(
            "Dos gràfics de punts amb una fila per canvi acumulat, de Default a Custom, i l’error quadràtic mitjà en "
            "escala logarítmica, un per a totes les molècules reservades i un per a les grans: un punt per llavor i "
            "una línia que uneix les mitjanes.",
            "Two dot plots with a row per accumulated change, from Default to Custom, and the mean squared error on a "
            "log scale, one for all held-out molecules and one for the large ones: a point per seed and a line that "
            "joins the means.",
        ),
        "pareto": Words(
            "Error quadràtic mitjà de validació contra el temps d’una execució, amb un punt per prova i un color "
            "per valor d’un hiperparàmetre; una línia esglaonada uneix les proves que cap altra no supera alhora en "
            "temps i en error, i dos marcs assenyalen la tria de la regla i els valors del TFG.",
            "Validation mean squared error against the time of a run, with a point per trial and a colour per value "
            "of a hyperparameter; a stepped line joins the trials that no other beats in both time and error, and two "
            "frames mark the rule’s choice and the thesis’s values.",
        ),
        "effects": Words(
            "Un gràfic per hiperparàmetre amb l’error quadràtic mitjà de validació en escala logarítmica i un "
            "punt per prova; dos tipus de marc assenyalen la tria de la regla i els valors del TFG, un per llavor.",
            "A plot per hyperparameter with the validation mean squared error on a log scale and a point per trial; "
            "two kinds of frame mark the rule’s choice and the thesis’s values, one per seed.",
        ),
        "curves": Words(
            "Error quadràtic mitjà de validació per època, en escala logarítmica: una línia fina per prova del front "
            "de Pareto i una de gruixuda per llavor de la tria de la regla i dels valors del TFG. Totes baixen, i "
            "d’una època a l’altra fan salts amunt i avall.",
            "Validation mean squared error by epoch on a log scale: a thin line per trial on the Pareto front, and a "
            "thick one per seed of the rule’s choice and of the thesis’s values. All fall, and jump up and down from "
            "one epoch to the next.",
        ),
        "loss_modification": Words(
            "Una fila de gràfics per funció de pes i una columna per protocol: error quadràtic mitjà segons el "
            "nombre d’àtoms, en escala logarítmica, amb una línia per exponent, de fosca a clara a mesura que "
            "creix, i una de negra per a la pèrdua sense pes.",
            "A row of plots per weight function and a column per protocol: mean squared error by number of atoms "
            "on a log scale, with a line per exponent, from dark to light as it grows, and a black one for the "
            "unweighted loss.",
        ),
        "published": Words(
            "Errors absoluts mitjans en escala logarítmica, un model per fila: els d’aquest llibre, molt a la dreta, "
            "per sobre de la precisió química; els publicats, tots per sota i de més gran a més petit.",
            "Mean absolute errors on a log scale, a model per row: those of this book far to the right, above "
            "chemical accuracy; the published ones all below it, from the largest to the smallest.",
        ),
        "capped_sizes": Words(
            "Un histograma de les molècules d’entrenament per nombre d’àtoms per a cada límit, damunt del de tota la "
            "part d’entrenament: el cim queda tallat a l’alçada del límit, i les mides per sota es queden com estaven.",
            "A histogram of the training molecules by number of atoms for each cap, over that of the whole training "
            "part: the top is cut off at the height of the cap, and the sizes below it stay as they were.",
        ),
        "weight_curves": Words(
            "Tres gràfics del pes d’una molècula segons el nombre d’àtoms, amb una línia per exponent. El pes per mida "
            "gairebé no es mou a les molècules petites i es dispara a les grans. El pes per mida i freqüència no "
            "existeix o queda per sota de la cota a les petites. El de freqüència inversa fa una vall, amb el mínim a "
            "les mides més freqüents.",
            "Three plots of a molecule’s weight by number of atoms, with a line per exponent. The weight by size "
            "hardly moves at the small molecules and shoots up at the large ones. The weight by size and frequency "
            "does not exist, or lies below the floor, at the small ones. That by inverse frequency is a valley, lowest "
            "at the most frequent sizes.",
        ),
        "balancing_by_size": Words(
            "Dos gràfics de l’error quadràtic mitjà segons el nombre d’àtoms, en escala logarítmica, un per "
            "protocol, amb una línia per a tota la part d’entrenament i una per a cada màxim de molècules per "
            "mida.",
            "Two plots of mean squared error by number of atoms on a log scale, one per protocol, with a line for "
            "the whole training part and one for each cap on the molecules per size.",
        ),
        "balancing_unevenness": Words(
            "Dos gràfics, un per protocol, de la dispersió de l’error entre mides segons el màxim de molècules "
            "per mida: un punt per llavor del conjunt retallat i dels seus dos controls, i una línia i una franja "
            "per a tota la part d’entrenament.",
            "Two plots, one per protocol, of the spread of the error over sizes by the cap on the molecules per "
            "size: a point per seed of the capped set and of its two controls, and a line and a band for the "
            "whole training part.",
        ),
        "throughput": Words(
            "Molècules per segon en escala logarítmica segons el nombre de característiques, amb un gràfic per mida de "
            "lot i una línia per manera d’entrenar: la d’aquest compendi va molt per damunt de les altres tres, i "
            "totes baixen a mesura que creix el nombre de característiques.",
            "Molecules per second on a log scale by number of features, with a plot per batch size and a line per way "
            "of training: that of this compendium runs far above the other three, and all fall as the number of "
            "features grows.",
        ),
        "scaling": Words(
            "Temps en segons contra el nombre de molècules, amb tots dos eixos logarítmics: les èpoques pugen gairebé "
            "en línia recta, i la de SchNetPack queda molt per damunt de la del compendi. La preparació, que es fa un "
            "sol cop, no creix tan de pressa.",
            "Time in seconds against the number of molecules, both axes logarithmic: the epochs rise almost in a "
            "straight line, and SchNetPack’s stays far above the compendium’s. The preparation, which is done only "
            "once, does not grow as fast.",
        ),
        "learning_curves": Words(
            "Pèrdua d’entrenament i de validació per època, en escala logarítmica, amb una corba per llavor: totes "
            "baixen de pressa al principi i més a poc a poc després.",
            "Training and validation loss per epoch on a log scale, with a curve per seed: all of them fall fast at "
            "first and more slowly afterwards.",
        ),
        "error_by_size": Words(
            "Error quadràtic mitjà per nombre d’àtoms, en escala logarítmica, amb dues corbes dels mateixos models: la "
            "de les molècules reservades baixa suaument amb la mida; la de cada conjunt amb la seva pròpia mitjana té "
            "forma de vall, amb el mínim a les mides més freqüents.",
            "Mean squared error by number of atoms on a log scale, with two curves from the same models: that of the "
            "held-out molecules falls gently with size; that of each set with its own mean has the shape of a valley, "
            "lowest at the most frequent sizes.",
        ),
        "error_by_element": Words(
            "Error quadràtic mitjà per element, en escala logarítmica, amb un punt per llavor i protocol: els dos "
            "protocols s’assemblen en els elements que gairebé totes les molècules contenen i se separen, sobretot, "
            "en el fluor.",
            "Mean squared error by element on a log scale, with a point per seed and protocol: the two protocols are "
            "alike on the elements that nearly all molecules hold and part ways above all on fluorine.",
        ),
        "worst_molecules": Words(
            "Fórmules estructurals de les molècules reservades amb l’error més gran, de més a menys error, amb "
            "l’índex a la base de dades, la fórmula molecular i l’error de cadascuna a sota; la taula dona les "
            "mateixes molècules.",
            "Structural formulas of the held-out molecules of largest error, worst first, with the index in the "
            "database, the molecular formula and the error under each; the table has the same molecules.",
        ),
        "size_histogram": Words(
            "Histograma de les molècules per nombre d’àtoms: s’acumulen al centre i les cues gairebé no es veuen. "
            "Les mides que superen el llindar i les que no són de colors diferents. Una corba normal segueix el costat "
            "esquerre de l’histograma, però no les dents de serra del dret.",
            "Histogram of the molecules by number of atoms: they pile up in the middle and the tails almost vanish. "
            "Sizes above the threshold and sizes below it have different colours. A normal curve follows the left side "
            "of the histogram but not the saw teeth on its right.",
        ),
        "common_sizes": Words(
            "Nombre de molècules de cada mida, en escala logarítmica, amb una línia horitzontal al llindar i una "
            "franja que marca les mides que el TFG dona per freqüents. Als dos extrems de la franja hi ha punts "
            "que queden per sota de la línia.",
            "Number of molecules of each size on a log scale, with a horizontal line at the threshold and a band "
            "that marks the sizes that the thesis calls frequent. Near both ends of the band some points lie below "
            "the line.",
        ),
        "element_size_heatmap": Words(
            "Mapa de calor amb una fila per element i una per a tota la base de dades: el color diu quina part de "
            "les molècules de la fila té cada nombre d’àtoms. Les files de l’hidrogen, el carboni i l’oxigen "
            "s’assemblen a la de tota la base; la del nitrogen es decanta cap a molècules més petites i la del "
            "fluor encara molt més.",
            "Heat map with one row per element and one for the whole database: colour tells which share of the "
            "row’s molecules has each number of atoms. The rows of hydrogen, carbon and oxygen look like that of "
            "the whole database; nitrogen’s leans towards smaller molecules and fluorine’s far more so.",
        ),
        "composition": Words(
            "Dos gràfics amb el nombre d’àtoms a l’eix horitzontal. A dalt, els àtoms pesants de les molècules: "
            "gairebé totes s’acumulen a la fila del màxim. A baix, la proporció d’hidrogen, que, deixant de banda "
            "les molècules més petites, creix sense parar amb la mida.",
            "Two plots with the number of atoms on the horizontal axis. Above, the heavy atoms of the molecules: "
            "nearly all pile up in the row of the maximum. Below, the share of hydrogen, which, but for the "
            "smallest molecules, grows steadily with size.",
        ),
    }
)


def label(key: str, lang: str, **values: str) -> str:
    """The label `key` in `lang`, its placeholders filled with `values`.

    Raises ValueError for a language other than "ca" and "en", and KeyError for a key that no label has.
    """
    check_language(lang)
    return getattr(LABELS[key], lang).format(**values)


def alt(name: str, lang: str) -> str:
    """Text for readers who do not see the figure `name` (the name of the function that draws it).

    It describes shapes and holds no number of the data. Raises as `label` does.
    """
    check_language(lang)
    return getattr(ALT[name], lang)


def check_language(lang: str) -> None:
    """Raise ValueError unless `lang` is one of the languages that figures are drawn in."""
    if lang not in LANGUAGES:
        raise ValueError(f"lang = {lang!r}: figures and tables are in 'ca' (Catalan) or 'en' (English)")
