"""Classifies the articles of a JSON Lines file over one gRPC stream, and resumes after a broken stream.

    pip install -r requirements.txt
    python sync_client.py FILE.jsonl 127.0.0.1:50051

Prints one line per article, in the order of the file: id, best topic (or "-:" and the error), its confidence, and the
first region that the article is about. Reads the contract from the folder DATELINE_PROTO, by default the repository's.
"""

import json
import os
import queue
import random
import sys
import tempfile
import threading
import time
from collections import deque
from itertools import islice
from pathlib import Path

import grpc
from grpc_tools import protoc

WINDOW = 64  # maximum number of unanswered articles; the server reads no further ahead
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds between two streams
PATIENCE = 60.0  # maximum number of seconds without an answer

# A retry does not help with these. RESOURCE_EXHAUSTED is a message over the server's size limit.
NAMES = "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"
FATAL = {grpc.StatusCode[name] for name in NAMES}
CHANNEL = [
    # A channel has its own backoff, up to two minutes by default, during which calls fail at once: limit it to LONGEST_DELAY.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Pings detect a server that vanished without closing its connection.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
]


def load_stubs():
    """Generates the Python modules of the contract in a temporary folder, and imports them."""
    contract = os.environ.get("DATELINE_PROTO") or Path(__file__).resolve().parents[3] / "proto"
    well_known = Path(protoc.__file__).parent / "_proto"  # google/protobuf/*.proto
    with tempfile.TemporaryDirectory() as stubs:
        options = [f"-I{contract}", f"-I{well_known}", f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
        if protoc.main(["protoc", *options, "dateline/v1/classifier.proto", "google/rpc/status.proto"]) != 0:
            sys.exit(f"cannot compile the contract in {contract}")
        sys.path.insert(0, stubs)
        from dateline.v1 import classifier_pb2, classifier_pb2_grpc
    return classifier_pb2, classifier_pb2_grpc


pb, rpc = load_stubs()


def read_requests(path):
    """Yields the requests of a file one by one; the file is never held in memory."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                article = pb.Article(**{field: row.get(field) or "" for field in ("id", "headline", "body")})
            except (ValueError, TypeError, AttributeError) as error:
                sys.exit(f"{path}:{number}: invalid article: {error}")
            yield pb.ClassifyRequest(article=article)


def classify(classifier, requests, unanswered):
    """Opens a stream, resends the unanswered requests, continues with the others, and yields the answers."""
    # A separate thread of gRPC takes requests from this queue as fast as flow control allows. Only the caller's thread reads
    # the file, so that a broken stream cannot take requests away from the next one.
    outbox = queue.SimpleQueue()
    for request in unanswered:
        outbox.put(request)

    def refill():
        for request in islice(requests, WINDOW - len(unanswered)):
            unanswered.append(request)
            outbox.put(request)
        if len(unanswered) < WINDOW:  # the end of the file
            outbox.put(None)

    refill()
    call = classifier.ClassifyStream(iter(outbox.get, None))  # None closes the sending side
    answered = threading.Event()

    def watch():  # cancels the stream of a server that is connected but silent
        while answered.wait(PATIENCE + 1):
            answered.clear()
        call.cancel()  # no effect if the stream has ended

    threading.Thread(target=watch, daemon=True).start()
    try:
        for answer in call:
            answered.set()
            request = unanswered.popleft()  # answers come in the order of the requests
            if answer.id != request.article.id:
                sys.exit(f"the answer to {request.article.id!r} has the id {answer.id!r}")
            yield answer
            refill()
    finally:
        outbox.put(None)  # ends gRPC's thread


def to_line(answer):
    if answer.WhichOneof("outcome") == "error":
        return f"{answer.id}\t-:{answer.error.message}\t-\t-"
    labels = answer.classification
    topic, confidence = (labels.topics[0].code, f"{labels.topics[0].confidence:.2f}") if labels.topics else ("-", "-")
    about = next((region.label.code for region in labels.regions if region.role == pb.ABOUT), "-")
    return f"{answer.id}\t{topic}\t{confidence}\t{about}"


def main(path, address):
    requests, unanswered = read_requests(path), deque()
    delay, last_answer = FIRST_DELAY, time.monotonic()
    with grpc.insecure_channel(address, CHANNEL) as channel:
        classifier = rpc.ClassifierStub(channel)
        while True:
            code, reason = None, "the server ended the stream early"  # with OK, which a draining server may do
            try:
                for answer in classify(classifier, requests, unanswered):
                    print(to_line(answer))
                    delay, last_answer = FIRST_DELAY, time.monotonic()
            except grpc.RpcError as error:
                code, reason = error.code(), f"{error.code().name}: {error.details()}"
            if not unanswered:  # refilled after each answer: the file has ended too
                return
            if code in FATAL:
                sys.exit(reason)
            if time.monotonic() - last_answer > PATIENCE:
                sys.exit(f"no answer for {PATIENCE:.0f} seconds, {len(unanswered)} articles unanswered; {reason}")
            pause = delay * random.uniform(0.5, 1)  # jitter: clients must not all reconnect at once
            print(f"{reason}; resuming in {pause:.2f} s", file=sys.stderr)
            time.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
