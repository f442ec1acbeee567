"""Serves dateline.v1.Classifier with the best topic of fastText or LinearSVC: server.py MODEL ADDRESS MODELS GENERATED

MODEL is fasttext or scikit-learn, GENERATED the folder of the code that grpc_tools.protoc made of the contract.
"""

import sys
from concurrent import futures

import grpc

import models

THREADS = 16


def fasttext_topic(folder):
    """A function from a text to its topic and the probability of the topic."""
    model = models.load_fasttext(folder)

    def topic(text):
        labels, probabilities = model.predict(models.normalise(text))
        return labels[0][len(models.LABEL) :], float(probabilities[0])

    return topic


def scikit_learn_topic(folder):
    """A function from a text to its topic; LinearSVC has no probabilities."""
    features, model = models.load_scikit_learn(folder)
    return lambda text: (model.predict(features.transform([text]))[0], 0.0)


def service(topic, messages, services):
    """The service that answers with a function's topic."""

    def answer(request):
        article = request.article
        code, confidence = topic(f"{article.headline}\n{article.body}")
        label = messages.Label(code=code, name=code, confidence=confidence)
        return messages.ClassifyResponse(id=article.id, classification=messages.Classification(topics=[label]))

    class Classifier(services.ClassifierServicer):
        def Classify(self, request, context):
            return answer(request)

        def ClassifyStream(self, requests, context):
            return map(answer, requests)

    return Classifier()


def main():
    name, address, folder, generated = sys.argv[1:]
    sys.path.insert(0, generated)
    from dateline.v1 import classifier_pb2, classifier_pb2_grpc

    topic = {"fasttext": fasttext_topic, "scikit-learn": scikit_learn_topic}[name](folder)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS))
    classifier = service(topic, classifier_pb2, classifier_pb2_grpc)
    classifier_pb2_grpc.add_ClassifierServicer_to_server(classifier, server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
