// Labels the articles of a JSON Lines file over one gRPC stream, and resumes where the stream breaks.
//
//	go run . FILE.jsonl 127.0.0.1:50051
//
// Prints a line an article, in the order of the file: id, best topic (or "-:" and the error), its confidence, the first
// region that the article is about. The contract is read at the start, so no code needs to be generated: from the folder in
// DATELINE_PROTO, or from the repository's own, three folders up from where this runs.
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
	window       = 64                     // articles sent and not answered; the server reads no further ahead either
	firstDelay   = 100 * time.Millisecond // between two streams, doubled each time
	longestDelay = 5 * time.Second
	patience     = 60 * time.Second // without an answer until it gives up
)

// Trying again does not mend these. ResourceExhausted is a message over the server's limit.
var fatal = []codes.Code{
	codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.ResourceExhausted,
}

type client struct {
	connection *grpc.ClientConn
	method     protoreflect.MethodDescriptor
	rows       *json.Decoder // reads one at a time; the file is never in memory as a whole
	done       bool          // all of it is read
	unanswered []*dynamicpb.Message
	delay      time.Duration // before the next stream
	patience   *time.Timer   // ends the program
}

// Opens a stream, sends the unanswered requests again, goes on with the file, and prints the answers. Ends with nil where
// the server ended the stream with OK.
func (c *client) classify() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	path := fmt.Sprintf("/%s/%s", c.method.Parent().FullName(), c.method.Name())
	stream, err := c.connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err != nil {
		return err
	}

	// SendMsg waits while the connection has no room, so it has a goroutine of its own: a client that reads nothing until
	// all is sent waits for a server that waits for its answers to be read. The file is read out here, so that a stream
	// that broke cannot take articles away from the one that follows.
	outbox := make(chan *dynamicpb.Message, window) // never full: no more than that are unanswered
	finish := sync.OnceFunc(func() { close(outbox) })
	defer finish()
	go func() {
		for request := range outbox {
			if stream.SendMsg(request) != nil {
				return // RecvMsg tells why
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
				log.Fatalf("byte %d of the file: not an article: %v", c.rows.InputOffset(), err)
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

// Classifies the whole file, over as many streams as it takes.
func (c *client) run() {
	c.delay = firstDelay
	c.patience = time.AfterFunc(patience, func() { log.Fatalf("no answer for %v", patience) })
	for {
		err := c.classify()
		if c.done && len(c.unanswered) == 0 {
			return
		}
		if err == nil { // a server may do so when it drains
			err = fmt.Errorf("the server ended the stream early")
		}
		if slices.Contains(fatal, status.Code(err)) {
			log.Fatal(err)
		}
		pause := c.delay/2 + rand.N(c.delay/2) // so that the clients of a server do not all come back at once
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
	// A connection backs off by itself, up to two minutes, and calls fail at once meanwhile: no longer than between streams.
	// Pings notice a server that vanished without closing its connection.
	reconnect := backoff.Config{BaseDelay: firstDelay, Multiplier: 2, Jitter: 0.5, MaxDelay: longestDelay}
	connection := must(grpc.NewClient(os.Args[2],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 20 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	))
	(&client{connection: connection, method: method, rows: json.NewDecoder(file)}).run()
}
