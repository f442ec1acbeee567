"""Compares Dateline with fastText and LinearSVC (LIBLINEAR): see run.sh."""

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASKS = ["R8", "20NG", "EVENTS", "FOLDS"]
FOLDS = 5
NAMES = {"fasttext": "fastText", "svc": "LinearSVC", "dateline": "Dateline"}


def read(path):
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def text(row):
    return f"{row.get('headline') or ''}\n{row.get('body') or ''}"


def splits(task, corpora):
    """(name, train rows, test rows by set): all that a task trains and tests."""
    if task in ("R8", "20NG"):
        stem = {"R8": "r8", "20NG": "20news"}[task]
        yield read(corpora / f"bench/{stem}-train.jsonl.gz"), {task: read(corpora / f"bench/{stem}-test.jsonl.gz")}
    elif task == "EVENTS":
        rows = read(corpora / "topics/current-events.jsonl.gz")
        train = [row for row in rows if row["published"] < "2018"]
        yield train, {"current-events, from 2018": [row for row in rows if row["published"] >= "2018"]}
    else:
        files = sorted((corpora / "topics").glob("*.jsonl.gz"))
        sets = {path.name.split(".")[0]: read(path) for path in files if "current-events" not in path.name}
        fold = lambda row: int(hashlib.sha256(text(row).lower().encode()).hexdigest(), 16) % FOLDS
        folds = {name: [fold(row) for row in rows] for name, rows in sets.items()}
        for held_out in range(FOLDS):
            pick = lambda name, inside: [r for r, f in zip(sets[name], folds[name]) if (f == held_out) == inside]
            train = [row for name in sets for row in pick(name, False)]
            yield train, {f"{name}, five-fold": pick(name, True) for name in sets}


# Each system trains and answers in a process of its own, so that its time and memory are its own.


def fasttext_child(train, tests, work):
    import fasttext

    # fastText's Python module meets numpy 2 with an argument that numpy no longer takes.
    import numpy

    plain = numpy.array
    numpy.array = lambda value, *args, copy=None, **kw: plain(value, *args, **kw)
    flat = lambda row: " ".join(re.findall(r"\w+", text(row).lower()))
    codes = sorted({row["topics"][0] for row in train})
    rows = f"{work}/fasttext.txt"
    with open(rows, "w", encoding="utf-8") as out:
        out.writelines(f"__label__{codes.index(row['topics'][0])} {flat(row)}\n" for row in train)
    begun = time.perf_counter()
    model = fasttext.train_supervised(rows, epoch=25, lr=0.5, wordNgrams=2, minCount=1, thread=os.cpu_count(), verbose=0)
    seconds = time.perf_counter() - begun
    model.save_model(f"{work}/fasttext.bin")
    size = os.path.getsize(f"{work}/fasttext.bin")
    answers = {name: [codes[int(model.predict(flat(row))[0][0][9:])] for row in rows] for name, rows in tests.items()}
    return seconds, size, answers


def svc_child(train, tests, work):
    import pickle

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    begun = time.perf_counter()
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    records = features.fit_transform(map(text, train))
    model = LinearSVC().fit(records, [row["topics"][0] for row in train])
    seconds = time.perf_counter() - begun
    size = len(pickle.dumps((features, model)))
    answers = {name: list(model.predict(features.transform(map(text, rows)))) for name, rows in tests.items()}
    return seconds, size, answers


def child(system, train, tests, out):
    with tempfile.TemporaryDirectory() as work:
        found = {"fasttext": fasttext_child, "svc": svc_child}[system](read(train), json.load(open(tests)), work)
    json.dump(found, open(out, "w"))


def peak_memory(command):
    """Runs a command to its end; its peak resident memory in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss / 1024


def run_peer(system, work, train, tests):
    json.dump(tests, open(f"{work}/tests.json", "w"))
    command = [sys.executable, __file__, "--child", system, f"{work}/train.jsonl", f"{work}/tests.json", f"{work}/out.json"]
    memory = peak_memory(command)
    seconds, size, answers = json.load(open(f"{work}/out.json"))
    return seconds, size, memory, answers


def run_dateline(dateline, work, train, tests):
    model = f"{work}/model"
    begun = time.perf_counter()
    memory = peak_memory([dateline, "train", "--topics", f"{work}/train.jsonl", "--out", model])
    seconds = time.perf_counter() - begun
    answers = {}
    for name, rows in tests.items():
        write(f"{work}/test.jsonl", rows)
        command = [dateline, "classify", "--json", "--min-confidence", "0", "--max-labels", "1", "--model", model]
        lines = subprocess.run([*command, f"{work}/test.jsonl"], stdout=subprocess.PIPE, check=False).stdout.splitlines()
        # An article without an answer counts as wrong, as it would for a user.
        answers[name] = [next((label["code"] for label in json.loads(line).get("topics", [])), None) for line in lines]
        assert len(answers[name]) == len(rows), name
    size = sum(file.stat().st_size for file in Path(model).iterdir() if file.suffix != ".md")
    return seconds, size, memory, answers


def scores(truth, answers):
    """Accuracy, and the mean F1 of the labels that occur."""
    right = sum(answer in topics for topics, answer in zip(truth, answers))
    f1 = []
    for code in sorted({topics[0] for topics in truth}):
        hits = sum(topics[0] == code == answer for topics, answer in zip(truth, answers))
        f1.append(2 * hits / (answers.count(code) + sum(topics[0] == code for topics in truth)))
    return right / len(truth), sum(f1) / len(f1)


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dateline", required=True)
    parser.add_argument("--corpora", required=True, type=Path)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.tasks) - set(TASKS):
        parser.error(f"no such task: {', '.join(unknown)}")

    print("| test set | rows | system | accuracy | macro-F1 | training | model | peak memory |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for task in options.tasks or TASKS:
        truth, answers, costs = {}, {}, {system: [] for system in NAMES}
        for train, tests in splits(task, options.corpora):
            with tempfile.TemporaryDirectory() as work:
                write(f"{work}/train.jsonl", train)
                for name, rows in tests.items():
                    truth.setdefault(name, []).extend(row["topics"] for row in rows)
                for system in NAMES:
                    run = (lambda *a: run_dateline(options.dateline, *a)) if system == "dateline" else (lambda *a: run_peer(system, *a))
                    seconds, size, memory, found = run(work, train, tests)
                    costs[system].append((seconds, size, memory))
                    for name, given in found.items():
                        answers.setdefault((name, system), []).extend(given)
        for name in truth:
            for system, label in NAMES.items():
                accuracy, macro_f1 = scores(truth[name], answers[name, system])
                seconds, size, memory = (sum(values) / len(values) for values in zip(*costs[system]))
                print(
                    f"| {name} | {len(truth[name]):,} | {label} | {accuracy:.3f} | {macro_f1:.3f} | {seconds:.0f} s "
                    f"| {size / 1e6:.1f} MB | {memory:,.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
