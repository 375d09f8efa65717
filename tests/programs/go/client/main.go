// A client by net/http; see ../../README.md.
package main

import (
	"bytes"
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

	"golang.org/x/net/http2"
)

func send(client *http.Client, base string, fields []string) (string, error) {
	var body io.Reader
	if fields[3] != "-" {
		size, err := strconv.Atoi(fields[3])
		if err != nil {
			return "", err
		}
		body = bytes.NewReader(bytes.Repeat([]byte("b"), size))
		if fields[4] == "chunked" {
			body = io.NopCloser(body)
		}
	}
	request, err := http.NewRequest(fields[1], base+fields[2], body)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	return fmt.Sprintf("%s\t%d\t%d\n", fields[2], response.StatusCode, size), err
}

// With one connection.
func newClient() *http.Client {
	if os.Getenv("HTTP2") != "" {
		return &http.Client{Transport: &http2.Transport{
			AllowHTTP:                  true,
			DisableCompression:         true,
			StrictMaxConcurrentStreams: true,
			DialTLS: func(network, address string, _ *tls.Config) (net.Conn, error) {
				return net.Dial(network, address)
			},
		}}
	}
	return &http.Client{Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}}
}

func main() {
	plan, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	connections := map[string][][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(plan)), "\n") {
		fields := strings.Split(line, "\t")
		connections[fields[0]] = append(connections[fields[0]], fields)
	}
	shared := newClient()
	var all sync.WaitGroup
	for _, requests := range connections {
		all.Add(1)
		go func(requests [][]string) {
			defer all.Done()
			client := shared
			if os.Getenv("ONE_CONNECTION") == "" {
				client = newClient()
			}
			for _, fields := range requests {
				line, err := send(client, os.Args[1], fields)
				if err != nil {
					log.Fatal(err)
				}
				os.Stdout.WriteString(line)
			}
		}(requests)
	}
	all.Wait()
}
