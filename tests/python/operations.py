"""Checks certificates, tokens and a drain from a Python client.

Usage: operations.py ADDRESS SERVER_PROCESS CERTIFICATES PROTO_FOLDER STUB_FOLDER
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc

address, process, certificates, protos, stubs = sys.argv[1:6]
options = [f"-I{protos}", f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, "dateline/v1/classifier.proto"], check=True)
sys.path.insert(0, stubs)

from dateline.v1 import classifier_pb2 as pb  # noqa: E402
from dateline.v1 import classifier_pb2_grpc as rpc  # noqa: E402


def read(name):
    return (Path(certificates) / name).read_bytes()


def channel(ca="ca.pem", identity=True):
    own = {"private_key": read("client-key.pem"), "certificate_chain": read("client.pem")} if identity else {}
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root_certificates=read(ca), **own))


def request(i):
    return pb.ClassifyRequest(article=pb.Article(id=str(i), body=f"LIMA (Reuters) - Rain fell on day {i}."))


def refusal(channel, metadata):
    """The status code of a call that must fail."""
    try:
        rpc.ClassifierStub(channel).Classify(request(0), metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError("the call was accepted")


token = [("authorization", "Bearer " + read("token").decode())]
assert refusal(channel(ca="other-ca.pem"), token) == grpc.StatusCode.UNAVAILABLE, "the client does not trust the server's CA"
assert refusal(channel(identity=False), token) == grpc.StatusCode.UNAVAILABLE, "no client certificate"
assert refusal(channel(), []) == grpc.StatusCode.UNAUTHENTICATED, "no token"
assert refusal(channel(), [("authorization", "Bearer wrong-0123456789")]) == grpc.StatusCode.UNAUTHENTICATED

# SIGTERM in the middle of a stream: the server answers the articles it has read, then ends the stream with UNAVAILABLE.
sent = 0


def requests():
    global sent
    while True:
        sent += 1
        yield request(sent - 1)


answered = 0
with channel() as open_channel:
    stream = rpc.ClassifierStub(open_channel).ClassifyStream(requests(), metadata=token, timeout=60)
    try:
        for answer in stream:
            assert answer.id == str(answered) and answer.WhichOneof("outcome") == "classification", answer
            answered += 1
            if answered == 500:
                os.kill(int(process), signal.SIGTERM)
        raise AssertionError("the stream ended without a status")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        assert "resend unanswered articles" in error.details(), error
assert 500 <= answered <= sent, (answered, sent)
print(f"{answered} of {sent} articles answered before the stream ended")
