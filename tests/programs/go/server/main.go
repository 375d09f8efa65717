// A service by net/http; see ../../README.md.
package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func number(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	return n
}

func main() {
	downstream := ""
	if len(os.Args) > 3 {
		downstream = os.Args[3]
	}
	http.HandleFunc("/bytes/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(number(r)))
		w.Write(bytes.Repeat([]byte("x"), number(r)))
	})
	http.HandleFunc("/chunked/", func(w http.ResponseWriter, r *http.Request) {
		for left := number(r); left > 0; left -= 4096 {
			size := 4096
			if left < size {
				size = left
			}
			w.Write(bytes.Repeat([]byte("c"), size))
			w.(http.Flusher).Flush()
		}
	})
	http.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(number(r))
	})
	http.HandleFunc("/sleep/", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(number(r)) * time.Millisecond)
		io.WriteString(w, "slept")
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		io.WriteString(w, strconv.FormatInt(n, 10))
	})
	http.HandleFunc("/call/", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(downstream + "/bytes/3?id=" + strconv.Itoa(number(r)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		io.WriteString(w, "done")
	})
	var handler http.Handler = http.DefaultServeMux
	if os.Getenv("HTTP2") != "" {
		handler = h2c.NewHandler(handler, &http2.Server{MaxConcurrentStreams: 250})
	}
	log.Fatal(http.ListenAndServe(net.JoinHostPort(os.Args[1], os.Args[2]), handler))
}
