// Classifies the articles of a JSON Lines file over one gRPC stream, and resumes after a broken stream.
//
//	go run . FILE.jsonl 127.0.0.1:50051
//
// Prints one line per article, in the order of the file: id, best topic (or "-:" and the error), its confidence, and the
// first region that the article is about. Reads the contract at the start, without generated code, from the folder
// DATELINE_PROTO, by default ../../../proto.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	window       = 64                     // maximum number of unanswered articles; the server reads no further ahead
	firstDelay   = 100 * time.Millisecond // between two streams, doubled after each failure
	longestDelay = 5 * time.Second
	patience     = 60 * time.Second // maximum time without an answer
)

// A retry does not help with these. ResourceExhausted is a message over the server's size limit.
var fatal = []codes.Code{
	codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.ResourceExhausted,
}

type client struct {
	connection *grpc.ClientConn
	method     protoreflect.MethodDescriptor
	rows       *json.Decoder // reads one row at a time; the file is never held in memory
	done       bool          // the end of the file was reached
	unanswered []*dynamicpb.Message
	delay      time.Duration // before the next stream
	patience   *time.Timer   // ends the program when it fires
}

// Opens a stream, resends the unanswered requests, continues with the file, and prints the answers. Returns nil if the
// server ended the stream with OK.
func (c *client) classify() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	path := fmt.Sprintf("/%s/%s", c.method.Parent().FullName(), c.method.Name())
	stream, err := c.connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err != nil {
		return err
	}

	// SendMsg blocks on flow control, so it has a separate goroutine: a client that reads only after sending everything
	// deadlocks with a server that waits until its answers are read. The goroutine does not read the file, so that a
	// broken stream cannot take articles away from the next one.
	outbox := make(chan *dynamicpb.Message, window) // never full: at most that many are unanswered
	finish := sync.OnceFunc(func() { close(outbox) })
	defer finish()
	go func() {
		for request := range outbox {
			if stream.SendMsg(request) != nil {
				return // RecvMsg returns the reason
			}
		}
		stream.CloseSend()
	}()

	for _, request := range c.unanswered {
		outbox <- request
	}
	for {
		for len(c.unanswered) < window {
			var row row
			if err := c.rows.Decode(&row); err == io.EOF {
				c.done = true
				finish() // closes the sending side
				break
			} else if err != nil {
				log.Fatalf("byte %d of the file: invalid article: %v", c.rows.InputOffset(), err)
			}
			request := toRequest(c.method, row)
			c.unanswered = append(c.unanswered, request)
			outbox <- request
		}
		answer := dynamicpb.NewMessage(c.method.Output())
		if err := stream.RecvMsg(answer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		sent, id := get(c.unanswered[0], "article", "id").String(), get(answer, "id").String()
		if sent != id { // answers come in the order of the requests
			log.Fatalf("the answer to %q has the id %q", sent, id)
		}
		c.unanswered = c.unanswered[1:]
		c.delay = firstDelay
		c.patience.Reset(patience)
		fmt.Println(toLine(answer))
	}
}

// Classifies the whole file, with a new stream after each failure.
func (c *client) run() {
	c.delay = firstDelay
	c.patience = time.AfterFunc(patience, func() { log.Fatalf("no answer for %v", patience) })
	for {
		err := c.classify()
		if c.done && len(c.unanswered) == 0 {
			return
		}
		if err == nil { // a draining server may do so
			err = fmt.Errorf("the server ended the stream early")
		}
		if slices.Contains(fatal, status.Code(err)) {
			log.Fatal(err)
		}
		pause := c.delay/2 + rand.N(c.delay/2) // jitter: clients must not all reconnect at once
		log.Printf("%v; resuming in %v", err, pause.Round(time.Millisecond))
		time.Sleep(pause)
		c.delay = min(c.delay*2, longestDelay)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: go run . FILE.jsonl ADDRESS")
	}
	file := must(os.Open(os.Args[1]))
	method := must(classifyStream(cmp.Or(os.Getenv("DATELINE_PROTO"), "../../../proto")))
	// A connection has its own backoff, up to two minutes by default, during which calls fail at once: limit it to
	// longestDelay. Pings detect a server that vanished without closing its connection.
	reconnect := backoff.Config{BaseDelay: firstDelay, Multiplier: 2, Jitter: 0.5, MaxDelay: longestDelay}
	connection := must(grpc.NewClient(os.Args[2],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 20 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	))
	(&client{connection: connection, method: method, rows: json.NewDecoder(file)}).run()
}
