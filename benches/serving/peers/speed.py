"""Measures fastText's predict: speed.py MODELS TEXTS

TEXTS is JSON, a list of pairs: a number of words, and texts of so many words. For each line "WORDS SECONDS" on standard
input, predicts the texts of this length again and again for so many seconds, and prints the CPU time per text in
microseconds. Texts are normalised before, which is not counted.
"""

import json
import sys
import time

import models


def measure(model, texts, seconds):
    count, begun, cpu = 0, time.perf_counter(), time.thread_time()
    while time.perf_counter() - begun < seconds:
        for text in texts:
            model.predict(text)
        count += len(texts)
    return 1e6 * (time.thread_time() - cpu) / count


def main():
    folder, file = sys.argv[1:]
    model = models.load_fasttext(folder)
    with open(file, encoding="utf-8") as opened:
        texts = {words: [models.normalise(text) for text in texts] for words, texts in json.load(opened)}
    for words in texts:
        measure(model, texts[words], 0.01)
    for line in sys.stdin:
        words, seconds = line.split()
        print(measure(model, texts[int(words)], float(seconds)), flush=True)


if __name__ == "__main__":
    main()
