"""Measures the throughput of one, two and three Kafka relays on one machine, relative to `dateline classify` on the same articles.

    cargo build --release --features kafka
    pip install confluent-kafka
    sh tests/kafka/broker.sh install target/tmp/kafka
    python benches/relay_kafka.py target/release/dateline articles.jsonl target/tmp/kafka

The broker is one node that stores its topics in a temporary folder on disk. All articles are published before the relays start.
Throughput is measured from the first tenth to the last article, by the committed offsets, which excludes the start.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from in_process import in_process

PORT, CONTROLLER_PORT = 19092, 19093
BROKERS = f"127.0.0.1:{PORT}"
PARTITIONS = 6
BROKER = pathlib.Path(__file__).parent.parent / "tests/kafka/broker.sh"


def create_topic(name):
    """Creates a topic, as soon as the broker answers."""
    # Without its log of failed connections.
    admin = AdminClient({"bootstrap.servers": BROKERS, "log_level": 2})
    for _ in range(60):
        try:
            return admin.create_topics([NewTopic(name, PARTITIONS)])[name].result(5)
        except KafkaException:
            time.sleep(0.5)
    raise SystemExit("the broker did not start within 30 seconds")


def publish(rows):
    producer = Producer({"bootstrap.servers": BROKERS, "queue.buffering.max.messages": len(rows)})
    for row in rows:
        producer.produce("news", row)
    producer.flush()


def committed(offsets, partitions):
    """The number of messages that are finished; None while the broker does not say."""
    try:
        return sum(max(partition.offset, 0) for partition in offsets.committed(partitions, timeout=10))
    except KafkaException:
        return None


def relayed(program, rows, relays, libraries):
    """Articles per second of `relays` relays."""
    folder = tempfile.mkdtemp()
    # The broker is as for tests: without the optimising compiler of Java, and with one thread for garbage.
    command = ["sh", str(BROKER), "run", libraries, folder, str(PORT), str(CONTROLLER_PORT)]
    broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = []
    try:
        create_topic("news")
        publish(rows)
        command = [program, "relay-kafka", "--brokers", BROKERS, "--create"]
        started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(relays)]
        offsets = Consumer({"bootstrap.servers": BROKERS, "group.id": "dateline", "log_level": 2, "isolation.level": "read_uncommitted"})
        partitions = [TopicPartition("news", partition) for partition in range(PARTITIONS)]
        first, done = None, 0
        while done < len(rows):
            time.sleep(0.02)
            done = committed(offsets, partitions) or done
            if first is None and done >= len(rows) // 10:
                first = (time.monotonic(), done)
        rate = (done - first[1]) / (time.monotonic() - first[0])
        offsets.close()
        return rate
    finally:
        for process in [*started, broker]:
            process.terminate()
            process.wait()
        shutil.rmtree(folder)


def main(program, path, libraries):
    rows = [line.strip() for line in open(path, "rb") if line.strip()]
    limit = in_process(program, path, len(rows))
    print(f"classify          {limit:8.0f} articles per second")
    for relays in (1, 2, 3):
        rate = relayed(program, rows, relays, libraries)
        name = f"{relays} relay{'s' if relays > 1 else ' '}"
        print(f"{name}          {rate:8.0f} articles per second, {rate / limit:.2f} of classify")


main(*sys.argv[1:])
