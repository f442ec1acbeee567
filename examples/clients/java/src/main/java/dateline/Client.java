package dateline;

import com.google.gson.Gson;
import com.google.gson.JsonParseException;
import dev.dateline.v1.Article;
import dev.dateline.v1.ClassifierGrpc;
import dev.dateline.v1.ClassifyRequest;
import dev.dateline.v1.ClassifyResponse;
import dev.dateline.v1.Label;
import dev.dateline.v1.Region;
import dev.dateline.v1.Role;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Classifies the articles of a JSON Lines file over one gRPC stream, and resumes after a broken stream.
 *
 * <pre>
 * mvn package
 * java -jar target/dateline-client.jar FILE.jsonl 127.0.0.1:50051
 * </pre>
 *
 * Prints one line per article, in the order of the file: id, best topic (or "-:" and the error), its confidence, and the
 * first region that the article is about.
 */
public final class Client {
    /** The maximum number of unanswered articles; the server reads no further ahead. */
    private static final int WINDOW = 64;

    /** Milliseconds between two streams, doubled after each failure. */
    private static final long FIRST_DELAY = 100;

    private static final long LONGEST_DELAY = 5_000;

    /** The maximum number of seconds without an answer. */
    private static final long PATIENCE = 60;

    /** A retry does not help with these. RESOURCE_EXHAUSTED is a message over the server's size limit. */
    private static final Set<Status.Code> FATAL = EnumSet.of(
            Status.Code.INVALID_ARGUMENT,
            Status.Code.UNAUTHENTICATED,
            Status.Code.PERMISSION_DENIED,
            Status.Code.UNIMPLEMENTED,
            Status.Code.RESOURCE_EXHAUSTED);

    /** Standard output in UTF-8, whatever the locale. */
    private static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    /** A row of the file; other fields are ignored. */
    private record Row(String id, String headline, String body) {}

    private final Path path;
    private final BufferedReader file; // read one line at a time; the file is never held in memory
    private final Gson gson = new Gson();
    private final Queue<ClassifyRequest> unanswered = new ArrayDeque<>();
    private long lineNumber;
    private boolean fileEnded;
    private long delay = FIRST_DELAY;
    private volatile long lastAnswer = System.nanoTime();

    private Client(Path path) {
        this.path = path;
        try {
            file = Files.newBufferedReader(path);
        } catch (IOException error) {
            throw fail("cannot open " + path + ": " + error);
        }
    }

    /** The next request of the file, or null at its end. */
    private ClassifyRequest readRequest() {
        String line;
        do {
            try {
                lineNumber++;
                line = file.readLine();
            } catch (IOException error) {
                throw fail(path + ":" + lineNumber + ": cannot read: " + error);
            }
            if (line == null) {
                fileEnded = true;
                return null;
            }
        } while (line.isBlank());
        try {
            Row row = Objects.requireNonNull(gson.fromJson(line, Row.class), "null");
            Article.Builder article = Article.newBuilder()
                    .setId(Objects.requireNonNullElse(row.id, ""))
                    .setHeadline(Objects.requireNonNullElse(row.headline, ""))
                    .setBody(Objects.requireNonNullElse(row.body, ""));
            return ClassifyRequest.newBuilder().setArticle(article).build();
        } catch (JsonParseException | NullPointerException error) {
            throw fail(path + ":" + lineNumber + ": invalid article: " + error.getMessage());
        }
    }

    /**
     * One stream: resends the unanswered requests, continues with the file, and prints the answers.
     *
     * <p>gRPC calls one method of an observer at a time. Only the current stream reads the file, so that a broken stream cannot
     * take articles away from the next one.
     */
    private final class Stream implements ClientResponseObserver<ClassifyRequest, ClassifyResponse> {
        private final CompletableFuture<Status> end = new CompletableFuture<>();
        private final Queue<ClassifyRequest> unsent = new ArrayDeque<>(unanswered);
        private ClientCallStreamObserver<ClassifyRequest> call;
        private boolean sentAll;

        @Override
        public void beforeStart(ClientCallStreamObserver<ClassifyRequest> call) {
            this.call = call;
            call.setOnReadyHandler(this::send);
        }

        /** Sends as much as flow control and the window allow. gRPC buffers without limit what is sent when it is not ready. */
        private void send() {
            while (!sentAll && call.isReady()) {
                if (unsent.isEmpty()) {
                    if (unanswered.size() == WINDOW) {
                        return;
                    }
                    ClassifyRequest request = readRequest();
                    if (request == null) {
                        sentAll = true;
                        call.onCompleted();
                        return;
                    }
                    unanswered.add(request);
                    unsent.add(request);
                }
                call.onNext(unsent.remove());
            }
        }

        @Override
        public void onNext(ClassifyResponse answer) {
            ClassifyRequest request = unanswered.poll(); // answers come in the order of the requests
            if (request == null || !answer.getId().equals(request.getArticle().getId())) {
                throw fail("unexpected answer with the id " + answer.getId());
            }
            delay = FIRST_DELAY;
            lastAnswer = System.nanoTime();
            OUT.println(toLine(answer));
            if (OUT.checkError()) {
                throw fail("cannot write to standard output");
            }
            send();
        }

        @Override
        public void onError(Throwable error) {
            end.complete(Status.fromThrowable(error));
        }

        @Override
        public void onCompleted() {
            end.complete(Status.OK);
        }

        /** Waits for the end of the stream. */
        private Status await() throws Exception {
            while (true) {
                long rest = lastAnswer + TimeUnit.SECONDS.toNanos(PATIENCE) - System.nanoTime();
                try {
                    return end.get(rest, TimeUnit.NANOSECONDS);
                } catch (TimeoutException error) {
                    if (System.nanoTime() - lastAnswer >= TimeUnit.SECONDS.toNanos(PATIENCE)) {
                        throw fail("no answer for " + PATIENCE + " seconds");
                    }
                }
            }
        }
    }

    private static String toLine(ClassifyResponse answer) {
        if (answer.hasError()) {
            return answer.getId() + "\t-:" + answer.getError().getMessage() + "\t-\t-";
        }
        String topic = "-\t-";
        if (answer.getClassification().getTopicsCount() > 0) {
            Label best = answer.getClassification().getTopics(0);
            topic = String.format("%s\t%.2f", best.getCode(), best.getConfidence());
        }
        String about = answer.getClassification().getRegionsList().stream()
                .filter(region -> region.getRole() == Role.ABOUT)
                .map(Region::getLabel)
                .map(Label::getCode)
                .findFirst()
                .orElse("-");
        return answer.getId() + "\t" + topic + "\t" + about;
    }

    /** Prints a message and exits. `throw fail(...)` tells the compiler that it does not return. */
    private static RuntimeException fail(String message) {
        System.err.println(message);
        System.exit(1);
        return new IllegalStateException(message);
    }

    /** Classifies the whole file, with a new stream after each failure. */
    private void run(ManagedChannel channel) throws Exception {
        while (true) {
            Stream stream = new Stream();
            ClassifierGrpc.newStub(channel).classifyStream(stream);
            Status status = stream.await();
            if (fileEnded && unanswered.isEmpty()) {
                return;
            }
            String reason = status.getCode() + ": " + status.getDescription();
            if (status.getCause() != null) {
                reason += " (" + status.getCause().getMessage() + ")";
            }
            if (FATAL.contains(status.getCode())) {
                throw fail(reason);
            }
            if (status.isOk()) { // a draining server may do so
                reason = "the server ended the stream early";
            }
            // Jitter: clients must not all reconnect at once.
            long pause = ThreadLocalRandom.current().nextLong(delay / 2, delay);
            System.err.println(reason + "; resuming in " + pause + " ms");
            Thread.sleep(pause);
            delay = Math.min(delay * 2, LONGEST_DELAY);
            // A channel has its own backoff, up to two minutes, during which calls fail at once: reconnect now.
            channel.resetConnectBackoff();
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            throw fail("usage: java -jar target/dateline-client.jar FILE.jsonl ADDRESS");
        }
        // Pings detect a server that vanished without closing its connection.
        ManagedChannel channel = Grpc.newChannelBuilder(args[1], InsecureChannelCredentials.create())
                .keepAliveTime(20, TimeUnit.SECONDS)
                .keepAliveTimeout(10, TimeUnit.SECONDS)
                .build();
        new Client(Path.of(args[0])).run(channel);
        channel.shutdownNow();
    }
}
