"""The models of the Python servers: where they are, and how they are loaded."""

import pickle
import re

LABEL = "__label__"


def fasttext_file(folder):
    return f"{folder}/fasttext.bin"


def scikit_learn_file(folder):
    return f"{folder}/scikit-learn.pickle"


def normalise(text):
    """Lower-case words joined by spaces, on one line."""
    return " ".join(re.findall(r"\w+", text.lower()))


def load_fasttext(folder):
    import fasttext
    import numpy

    # fastText's Python module passes an argument to numpy.array that numpy 2 no longer accepts.
    plain = numpy.array
    numpy.array = lambda value, *args, copy=None, **kw: plain(value, *args, **kw)
    # load_model prints a warning about its return type.
    fasttext.FastText.eprint = lambda *args: None
    return fasttext.load_model(fasttext_file(folder))


def load_scikit_learn(folder):
    """The features and the linear model."""
    with open(scikit_learn_file(folder), "rb") as file:
        return pickle.load(file)
