// Labels the articles of a JSON Lines file over one gRPC stream, and resumes where the stream breaks.
//
//     npm install
//     node client.mjs FILE.jsonl 127.0.0.1:50051
//
// Prints a line an article, in the order of the file: id, best topic (or "-:" and the error), its confidence, the first
// region that the article is about. The contract is read from the folder in DATELINE_PROTO, or from the repository's own.

import { EventEmitter, once } from 'node:events';
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const WINDOW = 64; // articles sent and not answered; the server reads no further ahead either
const FIRST_DELAY = 100; // milliseconds between two streams, doubled each time
const LONGEST_DELAY = 5_000;
const PATIENCE = 60_000; // milliseconds without an answer until it gives up

// Trying again does not mend these. RESOURCE_EXHAUSTED is a message over the server's limit.
const FATAL = ['INVALID_ARGUMENT', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED'].map(
  (name) => grpc.status[name],
);

const contract = protoLoader.loadSync('dateline/v1/classifier.proto', {
  includeDirs: [process.env.DATELINE_PROTO || fileURLToPath(new URL('../../../proto', import.meta.url))],
  keepCase: true, // model_version, as in the contract, and not modelVersion
  longs: String, // a number of JavaScript does not hold all 64 bits
  enums: String, // "ABOUT" and not 1
  defaults: true, // an empty list is [] and not missing
  oneofs: true, // answer.outcome names the field that is set
});
const { Classifier } = grpc.loadPackageDefinition(contract).dateline.v1;

function fail(message) {
  console.error(message);
  process.exit(1);
}

// Yields the lines of a file one by one; the file is never in memory as a whole. (node:readline also ends lines at U+2028
// and U+2029 from Node.js 24 on, and JSON allows both within strings.)
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
      fail(`${path}:${number}: not an article: ${error.message}`);
    }
  }
}

// Sends the unanswered requests again, goes on with the others, and closes the sending side at the end of the file.
async function send(call, requests, unanswered, answered, signal) {
  const write = async (request) => {
    signal.throwIfAborted();
    // `false` says that the connection takes no more for now; what is written all the same piles up in memory.
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

// Opens a stream and yields its answers. Sending and receiving go on side by side: a client that reads nothing until all
// is sent waits for a server that waits for its answers to be read.
async function* classify(classifier, requests, unanswered) {
  const call = classifier.ClassifyStream();
  call.on('error', () => {}); // the loop below throws it
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
    await sending; // no stream may take requests from the file after the next one has begun
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
    // A channel backs off by itself, up to two minutes, and calls fail at once meanwhile: no longer than between streams.
    'grpc.initial_reconnect_backoff_ms': FIRST_DELAY,
    'grpc.max_reconnect_backoff_ms': LONGEST_DELAY,
    // Pings notice a server that vanished without closing its connection.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  const requests = readRequests(path);
  const unanswered = [];
  let delay = FIRST_DELAY;
  const patience = setTimeout(() => fail(`no answer for ${PATIENCE / 1000} seconds`), PATIENCE);
  for (;;) {
    let failure; // stays unset where the server ends the stream with OK before all is answered, as it may when it drains
    try {
      for await (const answer of classify(classifier, requests, unanswered)) {
        console.log(toLine(answer));
        delay = FIRST_DELAY;
        patience.refresh();
      }
    } catch (error) {
      if (!(error.code in grpc.status)) throw error; // not from gRPC: no such file
      failure = error;
    }
    if (unanswered.length === 0) {
      const { value: request, done } = await requests.next();
      if (done) break;
      unanswered.push(request);
    }
    const reason = failure?.message ?? 'the server ended the stream early';
    if (FATAL.includes(failure?.code)) fail(reason);
    const pause = delay * (0.5 + Math.random() / 2); // so that the clients of a server do not all come back at once
    console.error(`${reason}; resuming in ${Math.round(pause)} ms`);
    await sleep(pause);
    delay = Math.min(delay * 2, LONGEST_DELAY);
  }
  clearTimeout(patience);
  classifier.close();
}

if (process.argv.length !== 4) fail('usage: node client.mjs FILE.jsonl ADDRESS');
await main(...process.argv.slice(2));
