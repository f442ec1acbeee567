// Classifies the articles of a JSON Lines file over one gRPC stream, and resumes after a broken stream.
//
//     apt-get install cmake g++ pkg-config libgrpc++-dev libprotobuf-dev nlohmann-json3-dev protobuf-compiler-grpc
//     cmake -B build && cmake --build build
//     build/client FILE.jsonl 127.0.0.1:50051
//
// Prints one line per article, in the order of the file: id, best topic (or "-:" and the error), its confidence, and the
// first region that the article is about.

#include <dateline/v1/classifier.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

namespace pb = dateline::v1;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kWindow = 64;          // maximum number of unanswered articles; the server reads no further ahead
constexpr milliseconds kFirstDelay(100);     // between two streams, doubled after each failure
constexpr milliseconds kLongestDelay(5000);
constexpr std::chrono::seconds kPatience(60);  // maximum time without an answer

[[noreturn]] void fail(const std::string& message) {
  std::cerr << message << std::endl;
  std::_Exit(EXIT_FAILURE);  // without destructors: other threads may still use gRPC
}

// Whether a retry does not help. RESOURCE_EXHAUSTED is a message over the server's size limit.
bool isFatal(grpc::StatusCode code) {
  return code == grpc::StatusCode::INVALID_ARGUMENT || code == grpc::StatusCode::UNAUTHENTICATED ||
         code == grpc::StatusCode::PERMISSION_DENIED || code == grpc::StatusCode::UNIMPLEMENTED ||
         code == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

// The requests of a file, read one by one; the file is never held in memory.
class Requests {
 public:
  explicit Requests(const std::string& path) : path_(path), file_(path) {
    if (!file_) fail("cannot open " + path);
  }

  // The next request, or nothing at the end of the file.
  std::optional<pb::ClassifyRequest> next() {
    std::string line;
    while (std::getline(file_, line)) {
      ++number_;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      try {
        const auto row = nlohmann::json::parse(line);
        if (!row.is_object()) fail(position() + "invalid article: not an object");
        pb::ClassifyRequest request;
        request.mutable_article()->set_id(text(row, "id"));
        request.mutable_article()->set_headline(text(row, "headline"));
        request.mutable_article()->set_body(text(row, "body"));
        return request;
      } catch (const nlohmann::json::exception& error) {
        fail(position() + "invalid article: " + error.what());
      }
    }
    if (file_.bad()) fail("cannot read " + path_);
    return std::nullopt;
  }

 private:
  // A field of a row; other fields are ignored.
  static std::string text(const nlohmann::json& row, const char* name) {
    const auto field = row.find(name);
    return field == row.end() || field->is_null() ? "" : field->get<std::string>();
  }

  std::string position() const { return path_ + ":" + std::to_string(number_) + ": "; }

  std::string path_;
  std::ifstream file_;
  std::size_t number_ = 0;
};

// A queue between two threads. It never holds more than kWindow requests: at most that many are unanswered.
class Outbox {
 public:
  void put(pb::ClassifyRequest request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    changed_.notify_one();
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }

  // The next request; nothing once the queue is closed and empty.
  std::optional<pb::ClassifyRequest> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !requests_.empty(); });
    if (requests_.empty()) return std::nullopt;
    std::optional<pb::ClassifyRequest> request(std::move(requests_.front()));
    requests_.pop_front();
    return request;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<pb::ClassifyRequest> requests_;
  bool closed_ = false;
};

void print(const pb::ClassifyResponse& answer) {
  std::string topic = "-", confidence = "-", about = "-";
  if (answer.has_error()) topic = "-:" + answer.error().message();
  if (answer.classification().topics_size() > 0) {
    const auto& best = answer.classification().topics(0);
    char digits[16];
    std::snprintf(digits, sizeof digits, "%.2f", best.confidence());
    topic = best.code();
    confidence = digits;
  }
  for (const auto& region : answer.classification().regions()) {
    if (region.role() == pb::ABOUT) {
      about = region.label().code();
      break;
    }
  }
  std::cout << answer.id() << '\t' << topic << '\t' << confidence << '\t' << about << std::endl;
  if (!std::cout) fail("cannot write to standard output");
}

class Client {
 public:
  Client(const std::string& path, std::shared_ptr<grpc::Channel> channel)
      : requests_(path), channel_(std::move(channel)), stub_(pb::Classifier::NewStub(channel_)) {}

  // Classifies the whole file, with a new stream after each failure.
  void run() {
    std::thread([this] {
      while (Clock::now() - lastAnswer_.load() < kPatience) std::this_thread::sleep_for(milliseconds(500));
      fail("no answer for " + std::to_string(kPatience.count()) + " seconds");
    }).detach();
    std::mt19937 random(std::random_device{}());
    while (true) {
      const grpc::Status status = classify();
      if (fileEnded_ && unanswered_.empty()) return;
      std::string reason = "status " + std::to_string(status.error_code()) + ": " + status.error_message();
      if (isFatal(status.error_code())) fail(reason);
      if (status.ok()) reason = "the server ended the stream early";  // a draining server may do so
      // Jitter: clients must not all reconnect at once.
      const milliseconds pause(std::uniform_int_distribution<long>(delay_.count() / 2, delay_.count())(random));
      std::cerr << reason << "; resuming in " << pause.count() << " ms" << std::endl;
      std::this_thread::sleep_for(pause);
      delay_ = std::min(delay_ * 2, kLongestDelay);
      // Between calls of the synchronous API, gRPC looks at its connections only every 5 seconds. While it waits here, it
      // reconnects as soon as it can. If it cannot, the next call returns the reason.
      channel_->WaitForConnected(std::chrono::system_clock::now() + kLongestDelay);
    }
  }

 private:
  // Opens a stream, resends the unanswered requests, continues with the file, and prints the answers.
  grpc::Status classify() {
    grpc::ClientContext context;
    const auto stream = stub_->ClassifyStream(&context);
    // Write blocks on flow control, so it has a separate thread: a client that reads only after sending everything deadlocks
    // with a server that waits until its answers are read. The thread does not read the file, so that a broken stream cannot
    // take articles away from the next one.
    Outbox outbox;
    std::thread writer([&] {
      while (const auto request = outbox.take()) {
        if (!stream->Write(*request)) return;  // the stream is broken: Finish returns the reason
      }
      stream->WritesDone();
    });
    for (const auto& request : unanswered_) outbox.put(request);
    refill(outbox);
    pb::ClassifyResponse answer;
    while (stream->Read(&answer)) {
      if (unanswered_.empty() || unanswered_.front().article().id() != answer.id()) {  // answers come in order
        fail("unexpected answer with the id " + answer.id());
      }
      unanswered_.pop_front();
      delay_ = kFirstDelay;
      lastAnswer_ = Clock::now();
      print(answer);
      refill(outbox);
    }
    outbox.close();
    writer.join();
    return stream->Finish();
  }

  void refill(Outbox& outbox) {
    while (!fileEnded_ && unanswered_.size() < kWindow) {
      if (auto request = requests_.next()) {
        unanswered_.push_back(*request);
        outbox.put(*std::move(request));
      } else {
        fileEnded_ = true;
      }
    }
    if (fileEnded_) outbox.close();  // closes the sending side
  }

  Requests requests_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::Classifier::Stub> stub_;
  std::deque<pb::ClassifyRequest> unanswered_;
  bool fileEnded_ = false;
  milliseconds delay_ = kFirstDelay;
  std::atomic<Clock::time_point> lastAnswer_ = Clock::now();
};

int main(int count, char** arguments) {
  if (count != 3) fail("usage: client FILE.jsonl ADDRESS");
  grpc::ChannelArguments options;
  // A channel has its own backoff, up to two minutes by default, during which calls fail at once: limit it to kLongestDelay.
  options.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(kFirstDelay.count()));
  options.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(kLongestDelay.count()));
  // Pings detect a server that vanished without closing its connection.
  options.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  options.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  const auto channel = grpc::CreateCustomChannel(arguments[2], grpc::InsecureChannelCredentials(), options);
  Client(arguments[1], channel).run();
  std::cout.flush();
  std::_Exit(EXIT_SUCCESS);  // ends the watching thread too
}
