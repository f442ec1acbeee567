"""Calls a Dateline server with grpcio and stubs generated from the proto files: streams, single calls, health, reflection.

Usage: client.py ADDRESS PROTO_FOLDER STUB_FOLDER
"""

import subprocess
import sys
from pathlib import Path

import grpc

address, protos, stubs = sys.argv[1:4]
Path(stubs).mkdir(parents=True, exist_ok=True)
options = [f"-I{protos}", f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, "dateline/v1/classifier.proto"], check=True)
sys.path.insert(0, stubs)

from dateline.v1 import classifier_pb2 as pb  # noqa: E402
from dateline.v1 import classifier_pb2_grpc as rpc  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase  # noqa: E402

INVALID = [
    pb.ClassifyRequest(article=pb.Article(id="?", body=" \n\t ")),
    pb.ClassifyRequest(article=pb.Article(id="?")),
    pb.ClassifyRequest(article=pb.Article(id="?", body="Rain.", format=7)),
    pb.ClassifyRequest(article=pb.Article(id="?", body="Rain."), options=pb.Options(min_confidence=2)),
]


def requests():
    """A thousand articles, every tenth of them invalid."""
    for i in range(1000):
        if i % 10 == 9:
            request = pb.ClassifyRequest()
            request.CopyFrom(INVALID[i // 10 % len(INVALID)])
            request.article.id = f"a{i}"
            yield request
        else:
            body = f"NAIROBI (Reuters) - Kenya's parliament passed budget number {i} on Tuesday. " + "Ministers spoke. " * (i % 40)
            yield pb.ClassifyRequest(article=pb.Article(id=f"a{i}", headline="Kenya passes budget", body=body))


with grpc.insecure_channel(address) as channel:
    classifier = rpc.ClassifierStub(channel)
    answers = list(classifier.ClassifyStream(requests(), timeout=60))
    assert [answer.id for answer in answers] == [f"a{i}" for i in range(1000)], "answers are in order and carry the ids of their articles"
    outcomes = [answer.WhichOneof("outcome") for answer in answers]
    assert (outcomes.count("classification"), outcomes.count("error")) == (900, 100), outcomes
    assert all((outcome == "error") == (i % 10 == 9) for i, outcome in enumerate(outcomes))
    assert all(answer.error.code == 3 and answer.error.message for answer in answers[9::10])
    first = answers[0].classification
    assert first.topics[0].code == "medtop:11000000" and first.topics[0].decision in (pb.AUTO, pb.REVIEW), first
    assert first.regions[0].label.code == "KE" and first.regions[0].role == pb.ABOUT, first

    explained = classifier.Classify(
        pb.ClassifyRequest(
            article=pb.Article(body="<p>Caf&eacute; owners in Kenya</p><p>Share this article</p>", format=pb.HTML),
            options=pb.Options(explain=True),
        )
    ).classification
    evidence = explained.regions[0].label.evidence[0]
    assert (evidence.term, evidence.field) == ("Kenya", pb.Evidence.BODY), evidence
    sent = "<p>Caf&eacute; owners in Kenya</p><p>Share this article</p>".encode()
    assert sent[evidence.start : evidence.end] == b"Kenya", "offsets count bytes of the body as sent"
    assert [sent[part.start : part.end] for part in explained.removed] == [b"Share this article"], explained.removed

    assert classifier.GetModel(pb.GetModelRequest()).version == first.model_version
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="dateline.v1.Classifier"))
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {"dateline.v1.Classifier", "grpc.health.v1.Health"} <= services, services
print("ok")
