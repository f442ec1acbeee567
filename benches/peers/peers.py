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

TASKS = ["R8", "20NG", "AG", "R90", "EVENTS", "FOLDS", "LANGUAGES"]
FOLDS = 5
NAMES = {
    "fasttext": "fastText",
    "svc": "LinearSVC",
    "svc-characters": "LinearSVC, characters",
    "svc-several": "LinearSVC, one-vs-rest",
    "dateline": "Dateline",
}
SYSTEMS = {"R90": ["svc-several", "dateline"], "LANGUAGES": ["svc", "svc-characters", "dateline"]}
USUAL_SYSTEMS = ["fasttext", "svc", "dateline"]


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
    """Yields the train rows and the test rows by set of each split of a task."""
    if task in ("R8", "20NG", "R90"):
        stem = {"R8": "r8", "20NG": "20news", "R90": "r90"}[task]
        yield read(corpora / f"bench/{stem}-train.jsonl.gz"), {task: read(corpora / f"bench/{stem}-test.jsonl.gz")}
    elif task == "EVENTS":
        rows = read(corpora / "topics/current-events.jsonl.gz")
        train = [row for row in rows if row["published"] < "2018"]
        yield train, {"current-events, from 2018": [row for row in rows if row["published"] >= "2018"]}
    elif task == "AG":
        rows = read(corpora / "bench/ag-news-10k-train.jsonl.gz")
        yield from five_folds({"AG News, 10,000 rows": rows})
    elif task == "LANGUAGES":
        for path in sorted((corpora / "bench/languages").glob("*-train.jsonl.gz")):
            yield from five_folds({f"MasakhaNEWS {path.name.split('-')[0]}": read(path)})
    else:
        files = sorted((corpora / "topics").glob("*.jsonl.gz"))
        sets = {path.name.split(".")[0]: read(path) for path in files if "current-events" not in path.name}
        yield from five_folds(sets)


def five_folds(sets):
    """Five-fold cross-validation: each row is tested once, by systems trained on the other folds of all sets."""
    fold = lambda row: int(hashlib.sha256(text(row).lower().encode()).hexdigest(), 16) % FOLDS
    folds = {name: [fold(row) for row in rows] for name, rows in sets.items()}
    for held_out in range(FOLDS):
        pick = lambda name, inside: [r for r, f in zip(sets[name], folds[name]) if (f == held_out) == inside]
        train = [row for name in sets for row in pick(name, False)]
        yield train, {f"{name}, five-fold": pick(name, True) for name in sets}


# Each system runs in a separate process, so that its time and memory can be measured.


def fasttext_child(train, tests, work):
    import fasttext

    # fastText's Python module passes an argument to numpy.array that numpy 2 no longer accepts.
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
    best = lambda row: [codes[int(model.predict(flat(row))[0][0][9:])]]
    answers = {name: [best(row) for row in rows] for name, rows in tests.items()}
    return seconds, size, answers


def svc_child(train, tests, work, characters=False, several=False):
    import pickle

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import MultiLabelBinarizer
    from sklearn.svm import LinearSVC

    begun = time.perf_counter()
    kind = dict(analyzer="char_wb", ngram_range=(3, 5)) if characters else dict(ngram_range=(1, 2))
    features = TfidfVectorizer(min_df=2, sublinear_tf=True, **kind)
    records = features.fit_transform(map(text, train))
    if several:
        labels = MultiLabelBinarizer()
        model = OneVsRestClassifier(LinearSVC()).fit(records, labels.fit_transform([row["topics"] for row in train]))
        decode = lambda predicted: [list(codes) for codes in labels.inverse_transform(predicted)]
    else:
        model = LinearSVC().fit(records, [row["topics"][0] for row in train])
        decode = lambda predicted: [[code] for code in predicted]
    seconds = time.perf_counter() - begun
    size = len(pickle.dumps((features, model)))
    answers = {name: decode(model.predict(features.transform(map(text, rows)))) for name, rows in tests.items()}
    return seconds, size, answers


def child(system, train, tests, out):
    with tempfile.TemporaryDirectory() as work:
        run = {
            "fasttext": fasttext_child,
            "svc": svc_child,
            "svc-characters": lambda *a: svc_child(*a, characters=True),
            "svc-several": lambda *a: svc_child(*a, several=True),
        }[system]
        found = run(read(train), json.load(open(tests)), work)
    json.dump(found, open(out, "w"))


def peak_memory(command):
    """Runs a command and returns its peak resident memory in MB."""
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
    several = any(len(row["topics"]) > 1 for row in train)
    model = f"{work}/model"
    begun = time.perf_counter()
    memory = peak_memory([dateline, "train", "--topics", f"{work}/train.jsonl", "--out", model])
    seconds = time.perf_counter() - begun
    answers = {}
    for name, rows in tests.items():
        write(f"{work}/test.jsonl", rows)
        labels = [] if several else ["--max-labels", "1"]
        command = [dateline, "classify", "--json", "--min-confidence", "0", *labels, "--model", model]
        lines = subprocess.run([*command, f"{work}/test.jsonl"], stdout=subprocess.PIPE, check=False).stdout.splitlines()
        # An article without an answer counts as wrong. If rows have several topics, all labels that are not ABSTAIN count as
        # answers; otherwise the best topic.
        given = lambda label: not several or label["decision"] != "ABSTAIN"
        answers[name] = [[t["code"] for t in json.loads(line).get("topics", []) if given(t)] for line in lines]
        assert len(answers[name]) == len(rows), name
    size = sum(file.stat().st_size for file in Path(model).iterdir() if file.suffix != ".md")
    return seconds, size, memory, answers


def scores(truth, answers):
    """The share of rows with exactly the right topics, and micro-F1, macro-F1 and weighted F1 of the labels that occur."""
    exact = sum(set(topics) == set(given) for topics, given in zip(truth, answers)) / len(truth)
    right, f1, support = 0, [], []
    for code in sorted({code for topics in truth for code in topics}):
        hits = sum(code in topics and code in given for topics, given in zip(truth, answers))
        carried = sum(code in topics for topics in truth)
        f1.append(2 * hits / (sum(code in given for given in answers) + carried))
        support.append(carried)
        right += hits
    micro = 2 * right / (sum(support) + sum(map(len, answers)))
    return exact, micro, sum(f1) / len(f1), sum(f * n for f, n in zip(f1, support)) / sum(support)


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dateline", required=True)
    parser.add_argument("--corpora", required=True, type=Path)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"one of {', '.join(TASKS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.tasks) - set(TASKS):
        parser.error(f"unknown task {', '.join(sorted(unknown))}: expected {', '.join(TASKS)}")

    print("| test set | rows | system | exact | micro-F1 | macro-F1 | weighted F1 | training | model | peak memory |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for task in options.tasks or TASKS:
        systems = SYSTEMS.get(task, USUAL_SYSTEMS)
        truth, answers, costs = {}, {}, {}
        for train, tests in splits(task, options.corpora):
            with tempfile.TemporaryDirectory() as work:
                write(f"{work}/train.jsonl", train)
                for name, rows in tests.items():
                    truth.setdefault(name, []).extend(row["topics"] for row in rows)
                for system in systems:
                    run = (lambda *a: run_dateline(options.dateline, *a)) if system == "dateline" else (lambda *a: run_peer(system, *a))
                    seconds, size, memory, found = run(work, train, tests)
                    for name, given in found.items():
                        costs.setdefault((name, system), []).append((seconds, size, memory))
                        answers.setdefault((name, system), []).extend(given)
        for name in truth:
            for system in systems:
                figures = " | ".join(f"{value:.3f}" for value in scores(truth[name], answers[name, system]))
                seconds, size, memory = (sum(values) / len(values) for values in zip(*costs[name, system]))
                print(
                    f"| {name} | {len(truth[name]):,} | {NAMES[system]} | {figures} | {seconds:.1f} s "
                    f"| {size / 1e6:.1f} MB | {memory:,.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
