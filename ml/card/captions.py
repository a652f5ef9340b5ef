"""What the plots of a model card say in words."""

from ml.product.texts import Text

CALIBRATION = {
    "title": Text(
        en="Calibration: expected calibration error {error}",
        fr="Calibration : erreur de calibration attendue {error}",
    ),
    "description": Text(
        en="Rows that the model had not seen, in {groups} groups of rising probability: the share "
        "found good over the mean probability predicted. The mean distance between the two, the "
        "expected calibration error, is {error}; the widest is where {expected} is predicted and "
        "{observed} found.",
        fr="Des lignes que le modèle n’avait pas vues, en {groups} groupes de probabilité "
        "croissante : la part trouvée bonne selon la probabilité moyenne prédite. La distance "
        "moyenne entre les deux, l’erreur de calibration attendue, est de {error} ; la plus "
        "grande est là où {expected} sont prédits et {observed} trouvés.",
    ),
    "x": Text(en="Mean probability predicted", fr="Probabilité moyenne prédite"),
    "y": Text(en="Share found good", fr="Part trouvée bonne"),
    "point": Text(
        en="A group of rows of rising probability, with its 95% interval",
        fr="Un groupe de lignes de probabilité croissante, avec son intervalle à 95\u00a0%",
    ),
    "reference": Text(en="As many good as predicted", fr="Autant de bons que prédit"),
}
ROC = {
    "title": Text(en="ROC curve: AUC {auc}", fr="Courbe ROC : AUC {auc}"),
    "description": Text(
        en="The share of the good that is granted over the share of the bad that is, for every "
        "threshold. The area under the curve is {auc}; by chance it would be {chance}. The "
        "threshold used, {threshold}, grants {good} of the good and {bad} of the bad.",
        fr="La part des bons accordée selon la part des mauvais qui l’est, pour chaque seuil. "
        "L’aire sous la courbe est de {auc} ; au hasard elle serait de {chance}. Le seuil "
        "appliqué, {threshold}, accorde {good} des bons et {bad} des mauvais.",
    ),
    "x": Text(en="Share of the bad that is granted", fr="Part des mauvais qui est accordée"),
    "y": Text(en="Share of the good that is granted", fr="Part des bons qui est accordée"),
    "line": Text(en="The model", fr="Le modèle"),
    "reference": Text(en="By chance", fr="Au hasard"),
    "mark": Text(
        en="Threshold used, {threshold}: grants {good} of the good, {bad} of the bad",
        fr="Seuil appliqué, {threshold} : accorde {good} des bons, {bad} des mauvais",
    ),
}
PRECISION_RECALL = {
    "title": Text(
        en="Finding the bad: average precision {average}",
        fr="Repérer les mauvais : précision moyenne {average}",
    ),
    "description": Text(
        en="Precision and recall for finding the bad: of the refused, the share that is bad, over "
        "the share of the bad that is refused, for every threshold. The average precision is "
        "{average}; whoever refuses at random has {base}, the share of the bad in the data. {mark}",
        fr="Précision et rappel pour repérer les mauvais : parmi les refusés, la part de mauvais, "
        "selon la part des mauvais qui est refusée, pour chaque seuil. La précision moyenne est "
        "de {average} ; qui refuse au hasard a {base}, la part des mauvais dans les données. "
        "{mark}",
    ),
    "x": Text(
        en="Share of the bad that is refused (recall)",
        fr="Part des mauvais qui est refusée (rappel)",
    ),
    "y": Text(
        en="Share of the refused that is bad (precision)",
        fr="Part des refusés qui est mauvaise (précision)",
    ),
    "line": Text(en="The model", fr="Le modèle"),
    "reference": Text(en="Refusing at random: {base}", fr="Refuser au hasard : {base}"),
}
REFUSING = Text(
    en="Threshold used, {threshold}: refuses {recall} of the bad; {precision} of those refused "
    "are bad",
    fr="Seuil appliqué, {threshold} : refuse {recall} des mauvais ; {precision} des refusés sont "
    "mauvais",
)
REFUSING_NOBODY = Text(
    en="Threshold used, {threshold}: refuses nobody",
    fr="Seuil appliqué, {threshold} : ne refuse personne",
)
THRESHOLDS = {
    "title": Text(
        en="What a threshold grants and costs", fr="Ce qu’un seuil accorde et ce qu’il coûte"
    ),
    "description": Text(
        en="Two plots over the threshold, the probability from which a loan is granted: above, the "
        "share of applications granted and the share of bad ones among the granted; below, the "
        "cost per {thousand} applications in good loans lost, where a bad loan granted costs "
        "{ratio}. At the threshold used, {threshold}: {granted} granted, {bad} of them bad, a "
        "cost of {cost}. The lowest cost shown is {least}, at {cheapest}.",
        fr="Deux graphiques selon le seuil, la probabilité à partir de laquelle un prêt est "
        "accordé : en haut, la part des demandes accordées et la part de mauvaises parmi "
        "celles-ci ; en bas, le coût pour {thousand} demandes en bons prêts perdus, un mauvais "
        "prêt accordé coûtant {ratio}. Au seuil appliqué, {threshold} : {granted} accordées, dont "
        "{bad} de mauvaises, un coût de {cost}. Le plus bas coût montré est de {least}, à "
        "{cheapest}.",
    ),
    "x": Text(
        en="Probability from which a loan is granted",
        fr="Probabilité à partir de laquelle on accorde",
    ),
    "granted": Text(
        en="Granted\nat {threshold}: {granted}", fr="Accordées\nà {threshold} : {granted}"
    ),
    "bad": Text(
        en="Bad among the granted\nat {threshold}: {bad}",
        fr="Mauvaises parmi elles\nà {threshold} : {bad}",
    ),
    "cost": Text(en="Cost\nat {threshold}: {cost}", fr="Coût\nà {threshold} : {cost}"),
    "above": Text(en="Share of applications", fr="Part des demandes"),
    "below": Text(
        en="Cost per {thousand} applications, in good loans lost",
        fr="Coût pour {thousand} demandes, en bons prêts perdus",
    ),
    "mark": Text(en="used: {threshold}", fr="appliqué : {threshold}"),
}
IMPORTANCE = {
    "title": Text(
        en="Importance: ROC-AUC lost when a field is shuffled",
        fr="Importance : AUC perdue quand un champ est mélangé",
    ),
    "description": Text(
        en="For each field, the ROC-AUC that is lost when its values are shuffled among rows that "
        "the model had not seen: the mean over folds and shuffles, and one standard deviation to "
        "either side. The most is lost with “{first}”: {most}. The least with “{last}”: {least}.",
        fr="Pour chaque champ, l’AUC de la courbe ROC perdue quand ses valeurs sont mélangées "
        "entre des lignes que le modèle n’avait pas vues : la moyenne sur les plis et les "
        "mélanges, et un écart type de part et d’autre. La plus grande perte va avec "
        "«\u202f{first}\u202f» : {most}. La plus petite avec «\u202f{last}\u202f» : {least}.",
    ),
}
