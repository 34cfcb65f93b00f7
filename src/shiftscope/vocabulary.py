"""Words that several packages write and read: said once."""

from typing import TypedDict

SPLITS = ("train", "test", "single")
"""of pairs: for training, held out, and held out with one concept that changes; a split's number is its place here"""
CONTROLS = {
    "untrained_lm": ("untrained", "the same pipeline on the same network with random weights"),
    "ceiling": (
        "ceiling",
        "what is linearly readable from held-out pairs, whatever the method, or from what a method makes of them first",
    ),
    "permuted_labels": ("permuted", "the score after the labels were permuted"),
    "random_dictionary": ("random", "as many random directions in place of the decoder's"),
    "untrained_sae": ("untrained codes", "the same autoencoder or network before training"),
    "neurons": ("neurons", "the activation's own coordinates in place of a dictionary"),
    "pca": ("PCA", "the principal directions of activations in place of a dictionary"),
    "bayes": ("Bayes", "the best that is possible, by enumeration"),
    "log_posterior": ("log-posterior", "the same probe of the exact log-posterior of the joint states"),
    "bag_of_tokens": (
        "bag of tokens",
        "the same regression of how often each token stands in a context, in place of the representation",
    ),
    "majority": ("majority", "the more frequent value of a concept, whatever the context"),
    "no_steering": ("unsteered", "the embedding left as it was"),
}
"""what stands beside a score, in the order of a table's columns: its label and its meaning"""
SYNTHETIC = "synthetic"
"""what stands for the language model in paths and tables of synthetic data"""
RECOMMENDED = "recommended"
"""what stands for the variant in rows of the one that is chosen without labels, which they repeat"""
PATH = " path)"
"""how the name ends of what stands for one path of a variant whose codes are a sum, such as `structured (sparse path)`"""
JOINT, NULL = " × ", " (NULL)"
"""in rows of log-posteriors: between concepts whose joint one is meant, and behind a concept of which nothing follows"""
WRITTEN = {
    "target": "likelier after the counterfactual text",
    "source": "likelier after the text itself",
    "either": "as likely after both",
    "neither": "possible after neither",
}
"""what a text that was written under steering may be, by its grammar, and how that is said"""
SHARED = "shared"
"""the name of the vector of what all pairs share"""
SIGNIFICANT = 0.01
"""largest p-value of the sign-flip test at which pairs are said to share a shift"""
UNTRAINED, MAPPED, CHECKPOINT, TRAINED = "untrained", "mapped", "checkpoint", "train"
"""sources of language models that are made from another entry, its `of`, and the one that is made from a corpus"""


def path_of(variant: str, path: str) -> str:
    """What one path of a variant is called, such as `structured (sparse path)`."""
    return f"{variant} ({path}{PATH}"


def whole_of(variant: str) -> str:
    """The variant of which a name is one path, or the name itself."""
    return variant.rpartition(" (")[0] if variant.endswith(PATH) else variant


class DatasetFacts(TypedDict):
    """What the manifest of every dataset says (docs/file-formats.md); a dataset may add facts of its own."""

    dataset: str
    kind: str
    n_varying: int | None
    max_changed: int | None
    split_unit: str
    orientation: str
    concepts: list[str]
    truths: dict[str, list[str]]
    primary_truth: str | None
    counts: dict[str, int]
    rejected: int
