#!/bin/sh
# Writes the test data of the HPACK decoder again. Needs cc, libnghttp2-dev, Go, Node, a JDK, and
# Python with hpack and h2 (`pip install h2`).
set -eu
cd "$(dirname "$0")"
data=../../../agent/src/protocol/hpack/testdata
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

python3 encode.py >"$data/python-hpack.txt"
cc -O1 -Wall -o "$work/nghttp2" nghttp2.c -lnghttp2
python3 lines.py | "$work/nghttp2" >"$data/nghttp2.txt"
(cd go && go build -o "$work/go" .)
python3 lists.py | "$work/go" >"$data/go.txt"
python3 record.py "Node $(node --version) http2" node client.mjs >"$data/node.txt"
javac -d "$work" Client.java
java=$(java -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p')
python3 record.py "Java $java HttpClient" java -cp "$work" Client >"$data/java.txt"
