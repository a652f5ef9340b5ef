"""The sentences that say what was checked of a model, by what they say."""

from ml.product.texts import Text

SENTENCES = {
    "costly": Text(
        en="The expected cost per application, {cost}, is not below {least}, that of deciding all "
        "applications alike.",
        fr="Le coût attendu par demande, {cost}, n’est pas inférieur à {least}, celui d’une même "
        "décision pour toutes les demandes.",
    ),
    "random": Text(
        en="The ROC-AUC, {auc}, is below 0.5, that of chance.",
        fr="L’AUC de la courbe ROC, {auc}, est inférieure à 0,5, celle du hasard.",
    ),
    "blind": Text(
        en="The folds that give a champion's figures have also chosen it, which flatters it a "
        "little. If each fold is judged by what the rule chooses in the others, the expected cost "
        "is {blind_cost} and the ROC-AUC {blind_auc}; the champion's own means are {cost} and "
        "{auc}.",
        fr="Les plis qui donnent les chiffres du champion l’ont aussi choisi, ce qui les embellit "
        "un peu. Si chaque pli est jugé par ce que la règle choisit sur les autres, le coût "
        "attendu est de {blind_cost} et l’AUC de la courbe ROC de {blind_auc} ; les moyennes du "
        "champion sont de {cost} et {auc}.",
    ),
    "search": Text(
        en="Settings were chosen on at most {count} rows of each training set, drawn with the same "
        "share of good ones; the models were then fitted on all its rows.",
        fr="Les réglages ont été choisis sur {count} lignes au plus de chaque jeu d’apprentissage, "
        "tirées avec la même part de bons ; les modèles ont ensuite été ajustés sur toutes ses "
        "lignes.",
    ),
    "kept": Text(
        en="{label} keeps to the directions that the product states: its expected cost with them, "
        "less that without, is {gain} (standard error {error}).",
        fr="{label} respecte les sens de variation que le produit fixe : son coût attendu avec "
        "eux, moins celui sans eux, est de {gain} (erreur type {error}).",
    ),
    "not_kept": Text(
        en="{label} does not keep to the directions that the product states: its expected cost "
        "with them, less that without, is {gain} (standard error {error}).",
        fr="{label} ne respecte pas les sens de variation que le produit fixe : son coût attendu "
        "avec eux, moins celui sans eux, est de {gain} (erreur type {error}).",
    ),
    "curves": Text(
        en="More of a field never moves the probability against the direction that is stated for "
        "it: {labels}.",
        fr="Une valeur plus élevée ne fait jamais varier la probabilité contre le sens fixé : "
        "{labels}.",
    ),
    "against": Text(
        en="{label} runs against its stated direction from {stretches}: the probability moves the "
        "other way by up to {fall}.",
        fr="{label} varie contre le sens fixé de {stretches} : la probabilité va dans l’autre "
        "sens, jusqu’à {fall}.",
    ),
    "sampled": Text(
        en="Looked at in a sample: at most {rows} training rows, with at most {values} values of "
        "the field.",
        fr="Examiné sur un échantillon : au plus {rows} lignes d’apprentissage, avec au plus "
        "{values} valeurs du champ.",
    ),
    "stretch": Text(en="{} to {}", fr="{} à {}"),
    "omission": Text(
        en="{label} left out: {granted} of the {refused} refused rows that have it would be "
        "granted without it ({share}).",
        fr="{label} sans réponse : sur les {refused} lignes refusées où elle est donnée, {granted} "
        "seraient accordées sans elle ({share}).",
    ),
    "excessive": Text(
        en="That is more than {limit}: make the field required, or find out why its absence speaks "
        "for granting.",
        fr="C’est plus de {limit} : rendez le champ obligatoire, ou cherchez pourquoi son absence "
        "parle pour l’accord.",
    ),
    "stability": Text(
        en="Reasons compare with {rows} training rows. The model stays the same and only these "
        "rows are drawn again from resampled training rows ({resamples} times): of {refused} "
        "refused rows, which the model was trained on, the first reason is another one in {first} "
        "of the explanations, and the set of principal reasons in {principal}.",
        fr="Les motifs comparent à {rows} lignes d’apprentissage. Le modèle reste le même et "
        "seules ces lignes sont tirées à nouveau, de lignes d’apprentissage rééchantillonnées "
        "({resamples} fois) : pour {refused} lignes refusées, sur lesquelles le modèle a été "
        "entraîné, le premier motif est un autre dans {first} des explications, et l’ensemble des "
        "motifs principaux dans {principal}.",
    ),
    "too_slow": Text(
        en="How much reasons depend on the rows that they compare with was not measured: one "
        "explanation of this kind of model takes too long.",
        fr="La dépendance des motifs aux lignes comparées n’a pas été mesurée : une explication de "
        "ce type de modèle prend trop de temps.",
    ),
    "none_refused": Text(
        en="How much reasons depend on the rows that they compare with was not measured: the model "
        "refuses none of the rows that it was trained on.",
        fr="La dépendance des motifs aux lignes comparées n’a pas été mesurée : le modèle ne "
        "refuse aucune des lignes sur lesquelles il a été entraîné.",
    ),
    "novelty": Text(
        en="Unusual applications: {marked} of {rows} training rows are marked so. The decision is "
        "right in {right} of them ({low} to {high}) and in {others} of the others ({others_low} to "
        "{others_high}).",
        fr="Demandes atypiques : {marked} lignes d’apprentissage sur {rows} sont signalées. La "
        "décision est juste pour {right} d’entre elles ({low} à {high}) et pour {others} des "
        "autres ({others_low} à {others_high}).",
    ),
    "less_sure": Text(
        en="So decisions on marked rows are less accurate.",
        fr="Les décisions sur les lignes signalées sont donc moins justes.",
    ),
    "as_sure": Text(
        en="This does not show that decisions on marked rows are less accurate.",
        fr="Cela ne montre pas que les décisions sur les lignes signalées soient moins justes.",
    ),
}
