"""The texts of the sentences that describe the checks of a model."""

from ml.product.texts import Text

SENTENCES = {
    "costly": Text(
        en="The expected cost per application is {cost}. This is not below {least}, the cost of "
        "giving all applications the same decision.",
        fr="Le coût attendu par demande est de {cost}. Il n’est pas inférieur à {least}, le coût "
        "d’une même décision pour toutes les demandes.",
    ),
    "random": Text(
        en="The ROC-AUC is {auc}. This is below 0.5, the value for random decisions.",
        fr="L’AUC de la courbe ROC est de {auc}. Elle est inférieure à 0,5, la valeur obtenue au "
        "hasard.",
    ),
    "blind": Text(
        en="The champion was selected on the same folds from which its figures come, so they are "
        "slightly too good: its mean expected cost is {cost} and its mean ROC-AUC {auc}. With the "
        "selection for each fold made on the other folds, they are {blind_cost} and {blind_auc}.",
        fr="Le champion a été sélectionné sur les plis dont proviennent ses mesures, qui sont donc "
        "légèrement trop favorables : son coût attendu moyen est de {cost} et son AUC moyenne de "
        "{auc}. Si la sélection pour chaque pli se fait sur les autres plis, ces mesures sont de "
        "{blind_cost} et de {blind_auc}.",
    ),
    "search": Text(
        en="Settings were chosen on at most {count} rows of each training set, drawn with the same "
        "share of good rows. The models were then fitted on all rows of the set.",
        fr="Les réglages ont été choisis sur {count} lignes au plus de chaque jeu d’apprentissage, "
        "tirées avec la même part de bons dossiers. Les modèles ont ensuite été ajustés sur toutes "
        "les lignes du jeu.",
    ),
    "constant": Text(
        en="The model could not learn from these fields, because each has the same value in every "
        "training row: {labels}.",
        fr="Le modèle n’a rien pu apprendre de ces champs, car chacun a la même valeur dans toutes "
        "les lignes d’apprentissage : {labels}.",
    ),
    "kept": Text(
        en="{label} keeps to the directions that the product states. Its expected cost with them, "
        "minus that without them, is {gain} (standard error {error}).",
        fr="{label} respecte les sens de variation définis par le produit. Son coût attendu avec "
        "eux, moins son coût attendu sans eux, est de {gain} (erreur type {error}).",
    ),
    "not_kept": Text(
        en="{label} does not keep to the directions that the product states. Its expected cost "
        "with them, minus that without them, is {gain} (standard error {error}).",
        fr="{label} ne respecte pas les sens de variation définis par le produit. Son coût attendu "
        "avec eux, moins son coût attendu sans eux, est de {gain} (erreur type {error}).",
    ),
    "curves": Text(
        en="A larger value of these fields never moves the probability against the stated "
        "direction: {labels}.",
        fr="Une valeur plus élevée de ces champs ne fait jamais varier la probabilité à l’encontre "
        "du sens défini : {labels}.",
    ),
    "against": Text(
        en="{label}: between these values, a larger value moves the probability against the stated "
        "direction, by up to {fall}: {stretches}.",
        fr="{label} : entre les valeurs suivantes, une valeur plus élevée fait varier la "
        "probabilité à l’encontre du sens défini, de {fall} au plus : {stretches}.",
    ),
    "sampled": Text(
        en="Directions were checked on a sample: at most {rows} training rows, with at most "
        "{values} values of each field.",
        fr="Les sens de variation ont été vérifiés sur un échantillon : au plus {rows} lignes "
        "d’apprentissage, avec au plus {values} valeurs de chaque champ.",
    ),
    "stretch": Text(en="{} to {}", fr="{} à {}"),
    "omission": Text(
        en="Without an answer to “{label}”, {granted} of the {refused} refused rows that have one "
        "would be granted ({share}).",
        fr="Sans réponse à « {label} », {granted} des {refused} lignes refusées qui en ont une "
        "seraient accordées ({share}).",
    ),
    "excessive": Text(
        en="This is more than {limit}. Make the field required, or find out why leaving it out "
        "leads to grants.",
        fr="Cette part dépasse {limit}. Rendez le champ obligatoire, ou cherchez pourquoi son "
        "absence favorise l’accord.",
    ),
    "stability": Text(
        en="The reasons for a refusal come from a comparison with {rows} training rows. To measure "
        "how much they depend on these rows, the rows were chosen {resamples} more times, from "
        "resampled training rows, while the model stayed the same. For {refused} refused rows, "
        "which the model was trained on, the first reason changed in {first} of the explanations "
        "and the set of principal reasons in {principal}.",
        fr="Les motifs d’un refus résultent d’une comparaison avec {rows} lignes d’apprentissage. "
        "Pour mesurer à quel point ils en dépendent, ces lignes ont été choisies {resamples} fois "
        "de plus, parmi des lignes d’apprentissage rééchantillonnées, sans changer le modèle. Pour "
        "{refused} lignes refusées, sur lesquelles le modèle a été entraîné, le premier motif a "
        "changé dans {first} des explications et l’ensemble des motifs principaux dans "
        "{principal}.",
    ),
    "too_slow": Text(
        en="It was not measured how much the reasons depend on the training rows used for "
        "comparison, because explaining this kind of model takes too long.",
        fr="La dépendance des motifs à l’égard des lignes de comparaison n’a pas été mesurée, car "
        "l’explication de ce type de modèle prend trop de temps.",
    ),
    "none_refused": Text(
        en="It was not measured how much the reasons depend on the training rows used for "
        "comparison, because the model refuses none of the rows that it was trained on.",
        fr="La dépendance des motifs à l’égard des lignes de comparaison n’a pas été mesurée, car "
        "le modèle ne refuse aucune des lignes sur lesquelles il a été entraîné.",
    ),
    "novelty": Text(
        en="Training rows that are marked as unusual applications: {marked} of {rows}. The "
        "decision is right for {right} of them ({low} to {high}) and for {others} of the others "
        "({others_low} to {others_high}).",
        fr="Lignes d’apprentissage signalées comme atypiques : {marked} sur {rows}. La décision "
        "est juste pour {right} d’entre elles ({low} à {high}) et pour {others} des autres "
        "({others_low} à {others_high}).",
    ),
    "none_marked": Text(
        en="None of the {rows} training rows is marked as an unusual application, so it is not "
        "known how accurate decisions on marked applications are.",
        fr="Aucune des {rows} lignes d’apprentissage n’est signalée comme atypique : l’exactitude "
        "des décisions sur les demandes signalées n’est donc pas connue.",
    ),
    "all_marked": Text(
        en="All of the {rows} training rows are marked as unusual applications. The decision is "
        "right for {right} of them ({low} to {high}).",
        fr="Les {rows} lignes d’apprentissage sont toutes signalées comme atypiques. La décision "
        "est juste pour {right} d’entre elles ({low} à {high}).",
    ),
    "less_sure": Text(
        en="Decisions on marked rows are therefore less accurate.",
        fr="Les décisions sur les lignes signalées sont donc moins exactes.",
    ),
    "as_sure": Text(
        en="This does not show that decisions on marked rows are less accurate.",
        fr="Cela ne montre pas que les décisions sur les lignes signalées soient moins exactes.",
    ),
}
