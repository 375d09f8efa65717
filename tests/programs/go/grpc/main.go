// gRPC by grpc-go, both ends; see ../../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Messages are bytes as they are: nothing to generate.
type raw struct{}

func (raw) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (raw) Name() string { return "proto" }

type command struct {
	count, size, code int
	delay             time.Duration
}

func parse(message []byte) command {
	numbers := [4]int{}
	for i, field := range strings.Fields(string(message)) {
		numbers[i], _ = strconv.Atoi(field)
	}
	return command{numbers[0], numbers[1], numbers[3], time.Duration(numbers[2]) * time.Millisecond}
}

func (c command) message() *[]byte {
	message := make([]byte, c.size)
	return &message
}

func (c command) end() error {
	if c.code == 0 {
		return nil
	}
	return status.Error(codes.Code(c.code), "failed as told: 100 % ünavoidable")
}

func sleep(ctx context.Context, delay time.Duration) error {
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func unary(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	message := []byte{}
	if err := decode(&message); err != nil {
		return nil, err
	}
	c := parse(message)
	if err := sleep(ctx, c.delay); err != nil {
		return nil, err
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	return c.message(), nil
}

func download(_ interface{}, stream grpc.ServerStream) error {
	message := []byte{}
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	c := parse(message)
	for i := 0; i < c.count; i++ {
		if err := sleep(stream.Context(), c.delay); err != nil {
			return err
		}
		if err := stream.SendMsg(c.message()); err != nil {
			return err
		}
	}
	return c.end()
}

func requests(stream grpc.ServerStream, each func(command) error) (command, error) {
	last := command{}
	for {
		message := []byte{}
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = parse(message)
		if err := each(last); err != nil {
			return last, err
		}
	}
}

func upload(_ interface{}, stream grpc.ServerStream) error {
	last, err := requests(stream, func(command) error { return nil })
	if err == nil {
		err = sleep(stream.Context(), last.delay)
	}
	if err == nil {
		err = last.end()
	}
	if err != nil {
		return err
	}
	return stream.SendMsg(last.message())
}

func chat(_ interface{}, stream grpc.ServerStream) error {
	last, err := requests(stream, func(c command) error {
		if err := sleep(stream.Context(), c.delay); err != nil {
			return err
		}
		return stream.SendMsg(c.message())
	})
	if err != nil {
		return err
	}
	return last.end()
}

var (
	downloads = grpc.StreamDesc{StreamName: "Download", Handler: download, ServerStreams: true}
	uploads   = grpc.StreamDesc{StreamName: "Upload", Handler: upload, ClientStreams: true}
	chats     = grpc.StreamDesc{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}
)

func serve(host, port string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "programs.Streams",
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
		Streams:     []grpc.StreamDesc{downloads, uploads, chats},
	}, nil)
	return server.Serve(listener)
}

// Gives the number of messages received.
func call(ctx context.Context, connection *grpc.ClientConn, method string, count, size int, command string) (int, error) {
	path := "/programs.Streams/" + method
	message := []byte(fmt.Sprintf("%-*s", size, command))
	description := map[string]*grpc.StreamDesc{"Download": &downloads, "Upload": &uploads, "Chat": &chats}[method]
	answer := []byte{}
	if description == nil {
		if err := connection.Invoke(ctx, path, &message, &answer); err != nil {
			return 0, err
		}
		return 1, nil
	}
	stream, err := connection.NewStream(ctx, description, path)
	if err != nil {
		return 0, err
	}
	for i := 0; i < count; i++ {
		if err := stream.SendMsg(&message); err != nil {
			break
		}
	}
	if err := stream.CloseSend(); err != nil {
		return 0, err
	}
	for received := 0; ; received++ {
		if err := stream.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return received, nil
		} else if err != nil {
			return received, err
		}
	}
}

func carryOut(connection *grpc.ClientConn, fields []string) string {
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i])
		return n
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if number(6) > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(number(6))*time.Millisecond)
		defer cancel()
	}
	if number(7) > 0 {
		time.AfterFunc(time.Duration(number(7))*time.Millisecond, cancel)
	}
	received, err := call(ctx, connection, fields[2], number(3), number(4), fields[5])
	return fmt.Sprintf("%s\t%d\t%d\n", fields[1], status.Code(err), received)
}

func run(target, file string) error {
	plan, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	connection, err := grpc.Dial(strings.TrimPrefix(target, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	lanes := map[string][][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(plan)), "\n") {
		fields := strings.Split(line, "\t")
		lanes[fields[0]] = append(lanes[fields[0]], fields)
	}
	var all sync.WaitGroup
	for _, calls := range lanes {
		all.Add(1)
		go func(calls [][]string) {
			defer all.Done()
			for _, fields := range calls {
				os.Stdout.WriteString(carryOut(connection, fields))
			}
		}(calls)
	}
	all.Wait()
	// What was cancelled last is on its way still.
	time.Sleep(100 * time.Millisecond)
	return nil
}

func main() {
	var err error
	if os.Args[1] == "serve" {
		err = serve(os.Args[2], os.Args[3])
	} else {
		err = run(os.Args[2], os.Args[3])
	}
	if err != nil {
		log.Fatal(err)
	}
}
