// A client that keeps its connections busy: HTTP SECONDS GRPC; see ../../README.md.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
)

// Messages are bytes as they are: nothing to generate.
type raw struct{}

func (raw) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (raw) Name() string { return "proto" }

var _ encoding.Codec = raw{}

// One connection for the whole run; its own port identifies it.
type line struct {
	name string
	port string
}

func (l *line) dial(address string) (net.Conn, error) {
	if l.port != "" {
		log.Fatalf("%s: the connection was lost", l.name)
	}
	connection, err := net.Dial("tcp", address)
	if err == nil {
		_, l.port, _ = net.SplitHostPort(connection.LocalAddr().String())
	}
	return connection, err
}

func (l *line) get(client *http.Client, base, path string) error {
	begun := time.Now().UnixNano()
	response, err := client.Get(base + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	fmt.Printf("%s\t%s\t%s\t%d\t%d\n", l.name, l.port, path, begun, time.Now().UnixNano())
	return nil
}

func (l *line) http(version int, base string, path func(int) string) func(int) error {
	client := &http.Client{Transport: &http.Transport{
		Dial: func(_, address string) (net.Conn, error) { return l.dial(address) },
	}}
	if version == 2 {
		client.Transport = &http2.Transport{
			AllowHTTP: true,
			DialTLS: func(_, address string, _ *tls.Config) (net.Conn, error) {
				return l.dial(address)
			},
		}
	}
	return func(n int) error { return l.get(client, base, path(n)) }
}

func (l *line) grpc(base string, unique bool) (func(int) error, error) {
	connection, err := grpc.Dial(strings.TrimPrefix(base, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(_ context.Context, address string) (net.Conn, error) {
			return l.dial(address)
		}))
	return func(n int) error {
		ctx := context.Background()
		if unique {
			// Entries of the header table do not stay for long.
			ctx = metadata.AppendToOutgoingContext(ctx, "request-id", fmt.Sprintf("%020d", n))
		}
		message, answer := []byte("1 10 0 0"), []byte{}
		begun := time.Now().UnixNano()
		path := "/programs.Streams/Unary"
		if err := connection.Invoke(ctx, path, &message, &answer, grpc.ForceCodec(raw{})); err != nil {
			return err
		}
		fmt.Printf("%s\t%s\t%s\t%d\t%d\n", l.name, l.port, path, begun, time.Now().UnixNano())
		return nil
	}, err
}

func main() {
	seconds, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	unique := func(n int) string { return fmt.Sprintf("/bytes/10?unique=%d", n) }
	repeated := func(n int) string { return fmt.Sprintf("/bytes/10?repeated=%d", n%3) }
	lines := map[string]func(*line) (func(int) error, error){
		"http1":         func(l *line) (func(int) error, error) { return l.http(1, os.Args[1], unique), nil },
		"http2":         func(l *line) (func(int) error, error) { return l.http(2, os.Args[1], unique), nil },
		"http2-indexed": func(l *line) (func(int) error, error) { return l.http(2, os.Args[1], repeated), nil },
		"grpc":          func(l *line) (func(int) error, error) { return l.grpc(os.Args[3], true) },
		"grpc-indexed":  func(l *line) (func(int) error, error) { return l.grpc(os.Args[3], false) },
	}
	var all sync.WaitGroup
	for name, open := range lines {
		all.Add(1)
		go func(name string, open func(*line) (func(int) error, error)) {
			defer all.Done()
			request, err := open(&line{name: name})
			for n := 0; err == nil && time.Now().Before(until); n++ {
				err = request(n)
				time.Sleep(15 * time.Millisecond)
			}
			if err != nil {
				log.Fatalf("%s: %v", name, err)
			}
		}(name, open)
	}
	all.Wait()
}
