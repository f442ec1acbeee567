"""Trains fastText and LinearSVC on the first topic of the gold rows: train.py CORPORA FOLDER"""

import gzip
import json
import os
import pickle
import sys
from pathlib import Path

import fasttext
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

import models


def read(corpora):
    """The text and the first topic of each row."""
    for path in sorted(Path(corpora, "gold").glob("gold*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row.get("topics"):
                    yield f"{row.get('headline') or ''}\n{row.get('body') or ''}", row["topics"][0]


def train_fasttext(texts, topics, folder):
    rows = f"{folder}/fasttext.txt"
    with open(rows, "w", encoding="utf-8") as out:
        for text, topic in zip(texts, topics):
            out.write(f"{models.LABEL}{topic} {models.normalise(text)}\n")
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = fasttext.train_supervised(rows, wordNgrams=2, epoch=5, dim=100, minCount=1, thread=threads, verbose=0)
    model.save_model(models.fasttext_file(folder))
    os.remove(rows)


def train_scikit_learn(texts, topics, folder):
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LinearSVC().fit(features.fit_transform(texts), topics)
    with open(models.scikit_learn_file(folder), "wb") as file:
        pickle.dump((features, model), file)


def main():
    corpora, folder = sys.argv[1:]
    texts, topics = zip(*read(corpora))
    train_fasttext(texts, topics, folder)
    train_scikit_learn(texts, topics, folder)


if __name__ == "__main__":
    main()
