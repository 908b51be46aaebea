"""The classifiers of a probe: scikit-learn pipelines, made anew for every fold."""

import warnings

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

_HIDDEN = 256
_STEPS = 3000
_BATCHES = (16, 256)
_EPOCHS = (10, 60)
_TEXT_DIMENSION = 100
_TEXT_TERMS = 10_000
_END = "</s>"
"""FastText's token at the end of every text: without it, texts that share no words would have none in common."""


def majority(rows: int, seed: int) -> ClassifierMixin:
    """Always the most frequent label; the others follow by frequency."""
    return DummyClassifier(strategy="prior")


def linear(rows: int, seed: int) -> ClassifierMixin:
    """Multinomial logistic regression on standardised embeddings."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))


def mlp(rows: int, seed: int) -> ClassifierMixin:
    """One hidden layer of 256 on standardised embeddings: the "simple MLP" of ItemSage §3.6.

    It is trained for some 3,000 steps (10 to 60 epochs), without early stopping: a part of the training rows set aside
    for that would lack the rare labels.
    """
    return make_pipeline(StandardScaler(), _network(rows, seed, _HIDDEN, "relu"))


def fasttext(rows: int, seed: int) -> ClassifierMixin:
    """The text baseline, of the form of FastText: the mean of trained n-gram embeddings, then one linear map, softmax.

    Bojanowski et al. (2017) and the classifier that goes with it hash n-grams into buckets and take steps of plain
    gradient descent; here n-grams are the 10,000 most frequent words and word bigrams and as many character 3- to
    5-grams of the training rows, which leaves nothing to collide, and the steps are Adam's. Everything is trained from
    the labels alone.
    """
    common = {"max_features": _TEXT_TERMS, "min_df": 2, "dtype": np.float32}
    words = CountVectorizer(token_pattern=rf"\w+|{_END}", ngram_range=(1, 2), **common)
    characters = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5), **common)
    # Counts that add up to one: the first layer's output is the mean of the embeddings.
    return make_pipeline(
        FunctionTransformer(_ended),
        make_union(words, characters),
        Normalizer("l1"),
        _network(rows, seed, _TEXT_DIMENSION, "identity"),
    )


def fit_predict(classifier: ClassifierMixin, train, labels: np.ndarray, test, classes: int) -> np.ndarray:
    """Trains on some rows and scores others.

    Args:
        classifier: one of the above.
        train: what it reads, rows of embeddings or texts.
        labels: int [n], of the rows to train on.
        test: as `train`.
        classes: number of labels; those that are not among `labels` get no probability.

    Returns:
        float64 [m, classes], probabilities.
    """
    with warnings.catch_warnings():
        # Training ends after a number of steps, on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(train, labels)
    probabilities = np.zeros((len(test), classes))
    probabilities[:, classifier.classes_] = classifier.predict_proba(test)
    return probabilities


def _ended(texts: np.ndarray) -> list[str]:
    return [f"{text} {_END}" for text in texts]


def _network(rows: int, seed: int, hidden: int, activation: str) -> MLPClassifier:
    batch = int(np.clip(rows // 25, *_BATCHES))
    epochs = int(np.clip(_STEPS * batch / rows, *_EPOCHS))
    return MLPClassifier(
        (hidden,),
        activation=activation,
        batch_size=min(batch, rows),
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
