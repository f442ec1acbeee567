// Classifies the articles of a JSON Lines file over one gRPC stream, and resumes after a broken stream.
//
//     npm install
//     node client.mjs FILE.jsonl 127.0.0.1:50051
//
// Prints one line per article, in the order of the file: id, best topic (or "-:" and the error), its confidence, and the
// first region that the article is about. Reads the contract from the folder DATELINE_PROTO, by default the repository's.

import { EventEmitter, once } from 'node:events';
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const WINDOW = 64; // maximum number of unanswered articles; the server reads no further ahead
const FIRST_DELAY = 100; // milliseconds between two streams, doubled each time
const LONGEST_DELAY = 5_000;
const PATIENCE = 60_000; // maximum number of milliseconds without an answer

// A retry does not help with these. RESOURCE_EXHAUSTED is a message over the server's size limit.
const FATAL = ['INVALID_ARGUMENT', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED'].map(
  (name) => grpc.status[name],
);

const contract = protoLoader.loadSync('dateline/v1/classifier.proto', {
  includeDirs: [process.env.DATELINE_PROTO || fileURLToPath(new URL('../../../proto', import.meta.url))],
  keepCase: true, // model_version, as in the contract, instead of modelVersion
  longs: String, // JavaScript's numbers cannot represent all 64-bit integers
  enums: String, // "ABOUT" instead of 1
  defaults: true, // an empty list is [] instead of undefined
  oneofs: true, // answer.outcome names the field that is set
});
const { Classifier } = grpc.loadPackageDefinition(contract).dateline.v1;

function fail(message) {
  console.error(message);
  process.exit(1);
}

// Yields the lines of a file one by one; the file is never held in memory. (From Node.js 24 on, node:readline also splits at
// U+2028 and U+2029, which JSON allows within strings.)
async function* readLines(path) {
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    yield* lines;
  }
  yield rest;
}

async function* readRequests(path) {
  let number = 0;
  for await (const line of readLines(path)) {
    number += 1;
    if (!line.trim()) continue;
    try {
      const { id, headline, body } = JSON.parse(line);
      yield { article: { id: String(id ?? ''), headline, body } };
    } catch (error) {
      fail(`${path}:${number}: invalid article: ${error.message}`);
    }
  }
}

// Resends the unanswered requests, continues with the others, and closes the sending side at the end of the file.
async function send(call, requests, unanswered, answered, signal) {
  const write = async (request) => {
    signal.throwIfAborted();
    // `false` means that the buffer of the connection is full; further writes would pile up in memory.
    if (!call.write(request)) await once(call, 'drain', { signal });
  };
  for (const request of [...unanswered]) await write(request);
  for (;;) {
    while (unanswered.length >= WINDOW) await once(answered, 'answer', { signal });
    const { value: request, done } = await requests.next();
    if (done) break;
    unanswered.push(request);
    await write(request);
  }
  call.end();
}

// Opens a stream and yields its answers. Sends and receives concurrently: a client that reads only after sending everything
// deadlocks with a server that waits until its answers are read.
async function* classify(classifier, requests, unanswered) {
  const call = classifier.ClassifyStream();
  call.on('error', () => {}); // the loop below throws the error
  const answered = new EventEmitter();
  const stop = new AbortController();
  const sending = send(call, requests, unanswered, answered, stop.signal).catch((error) => call.destroy(error));
  try {
    for await (const answer of call) {
      const { article } = unanswered.shift(); // answers come in the order of the requests
      if (answer.id !== article.id) fail(`the answer to ${article.id} has the id ${answer.id}`);
      answered.emit('answer');
      yield answer;
    }
  } finally {
    stop.abort();
    await sending; // this stream must not read the file once the next one has started
  }
}

function toLine({ id, outcome, error, classification }) {
  if (outcome === 'error') return `${id}\t-:${error.message}\t-\t-`;
  const [topic] = classification.topics;
  const about = classification.regions.find((region) => region.role === 'ABOUT');
  return [id, topic?.code ?? '-', topic?.confidence.toFixed(2) ?? '-', about?.label.code ?? '-'].join('\t');
}

async function main(path, address) {
  const classifier = new Classifier(address, grpc.credentials.createInsecure(), {
    // A channel has its own backoff, up to two minutes by default, during which calls fail at once: limit it to LONGEST_DELAY.
    'grpc.initial_reconnect_backoff_ms': FIRST_DELAY,
    'grpc.max_reconnect_backoff_ms': LONGEST_DELAY,
    // Pings detect a server that vanished without closing its connection.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  const requests = readRequests(path);
  const unanswered = [];
  let delay = FIRST_DELAY;
  const patience = setTimeout(() => fail(`no answer for ${PATIENCE / 1000} seconds`), PATIENCE);
  for (;;) {
    let failure; // unset if the server ended the stream with OK before all articles were answered, as a draining server may
    try {
      for await (const answer of classify(classifier, requests, unanswered)) {
        console.log(toLine(answer));
        delay = FIRST_DELAY;
        patience.refresh();
      }
    } catch (error) {
      if (!(error.code in grpc.status)) throw error; // not an error of gRPC, such as a missing file
      failure = error;
    }
    if (unanswered.length === 0) {
      const { value: request, done } = await requests.next();
      if (done) break;
      unanswered.push(request);
    }
    const reason = failure?.message ?? 'the server ended the stream early';
    if (FATAL.includes(failure?.code)) fail(reason);
    const pause = delay * (0.5 + Math.random() / 2); // jitter: clients must not all reconnect at once
    console.error(`${reason}; resuming in ${Math.round(pause)} ms`);
    await sleep(pause);
    delay = Math.min(delay * 2, LONGEST_DELAY);
  }
  clearTimeout(patience);
  classifier.close();
}

if (process.argv.length !== 4) fail('usage: node client.mjs FILE.jsonl ADDRESS');
await main(...process.argv.slice(2));
