"""Labels the articles of a JSON Lines file over one gRPC stream, and resumes where the stream breaks.

The same as sync_client.py, with asyncio; needs Python 3.11.

    pip install -r requirements.txt
    python async_client.py FILE.jsonl 127.0.0.1:50051

Prints a line an article, in the order of the file: id, best topic (or "-:" and the error), its confidence, the first
region that the article is about. The contract is read from the folder in DATELINE_PROTO, or from the repository's own.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import deque
from itertools import islice
from pathlib import Path

import grpc
from grpc_tools import protoc

WINDOW = 64  # articles sent and not answered; the server reads no further ahead either
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds between two streams
PATIENCE = 60.0  # seconds without an answer until it gives up

# Trying again does not mend these. RESOURCE_EXHAUSTED is a message over the server's limit.
NAMES = "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"
FATAL = {grpc.StatusCode[name] for name in NAMES}
CHANNEL = [
    # A channel backs off by itself, up to two minutes, and calls fail at once meanwhile: no longer than between streams.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Pings notice a server that vanished without closing its connection.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
]


def load_stubs():
    """Makes the Python modules of the contract in a temporary folder, and imports them."""
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
    """Yields the requests of a file one by one; the file is never in memory as a whole."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                article = pb.Article(**{field: row.get(field) or "" for field in ("id", "headline", "body")})
            except (ValueError, TypeError, AttributeError) as error:
                sys.exit(f"{path}:{number}: not an article: {error}")
            yield pb.ClassifyRequest(article=article)


async def classify(classifier, requests, unanswered):
    """Opens a stream, sends the unanswered requests again, goes on with the others, and yields the answers."""
    # gRPC takes requests from this queue in a task of its own, the next when the connection has room for it. All else
    # happens in the caller's task, so that a stream that broke cannot take requests away from the one that follows.
    outbox, accepted = asyncio.Queue(), asyncio.Event()
    for request in unanswered:
        outbox.put_nowait(request)

    async def outgoing():
        while (request := await outbox.get()) is not None:
            yield request
            await accepted.wait()  # writing more to a server that refuses the stream hides why (grpc/grpc issue 36066)

    def refill():  # does not await the file: it reads few lines at a time, from a local disk
        for request in islice(requests, WINDOW - len(unanswered)):
            unanswered.append(request)
            outbox.put_nowait(request)
        if len(unanswered) < WINDOW:  # the file is done
            outbox.put_nowait(None)

    refill()
    try:
        async for answer in classifier.ClassifyStream(outgoing()):  # closes the sending side where outgoing() ends
            accepted.set()
            request = unanswered.popleft()  # answers come in the order of the requests
            if answer.id != request.article.id:
                sys.exit(f"the answer to {request.article.id!r} has the id {answer.id!r}")
            yield answer
            refill()
    finally:
        accepted.set()
        outbox.put_nowait(None)  # ends the task


def to_line(answer):
    if answer.WhichOneof("outcome") == "error":
        return f"{answer.id}\t-:{answer.error.message}\t-\t-"
    labels = answer.classification
    topic, confidence = (labels.topics[0].code, f"{labels.topics[0].confidence:.2f}") if labels.topics else ("-", "-")
    about = next((region.label.code for region in labels.regions if region.role == pb.ABOUT), "-")
    return f"{answer.id}\t{topic}\t{confidence}\t{about}"


async def main(path, address):
    requests, unanswered = read_requests(path), deque()
    delay, now = FIRST_DELAY, asyncio.get_running_loop().time
    async with grpc.aio.insecure_channel(address, CHANNEL) as channel, asyncio.timeout(PATIENCE) as patience:
        classifier = rpc.ClassifierStub(channel)
        while True:
            code, reason = None, "the server ended the stream early"  # with OK, as it may when it drains
            try:
                async for answer in classify(classifier, requests, unanswered):
                    print(to_line(answer))
                    delay = FIRST_DELAY
                    patience.reschedule(now() + PATIENCE)
            except grpc.RpcError as error:
                code, reason = error.code(), f"{error.code().name}: {error.details()}"
            if not unanswered:  # it is filled up after each answer, so the file is done as well
                return
            if code in FATAL:
                sys.exit(reason)
            pause = delay * random.uniform(0.5, 1)  # so that the clients of a server do not all come back at once
            print(f"{reason}; resuming in {pause:.2f} s", file=sys.stderr)
            await asyncio.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except TimeoutError:
        sys.exit(f"no answer for {PATIENCE:.0f} seconds")
