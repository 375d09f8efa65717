// Encodes the header lists that it reads as JSON with golang.org/x/net/http2/hpack.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/net/http2/hpack"
)

type block struct {
	Limit  *uint32
	Fields [][2]string
}

// text makes octets a text that has no tab and no line end.
func text(octets string) string {
	var out strings.Builder
	for i := range len(octets) {
		if o := octets[i]; o >= 32 && o < 127 && o != '\\' {
			out.WriteByte(o)
		} else {
			fmt.Fprintf(&out, "\\x%02x", o)
		}
	}
	return out.String()
}

func main() {
	var blocks []block
	if err := json.NewDecoder(os.Stdin).Decode(&blocks); err != nil {
		panic(err)
	}
	var wire bytes.Buffer
	encoder := hpack.NewEncoder(&wire)
	encoder.SetMaxDynamicTableSizeLimit(1 << 20)
	fmt.Println("# Go golang.org/x/net/http2/hpack v0.58.0")
	for _, block := range blocks {
		if block.Limit != nil {
			encoder.SetMaxDynamicTableSize(*block.Limit)
		}
		wire.Reset()
		for _, field := range block.Fields {
			err := encoder.WriteField(hpack.HeaderField{
				Name:      field[0],
				Value:     field[1],
				Sensitive: field[0] == "authorization",
			})
			if err != nil {
				panic(err)
			}
		}
		fmt.Printf("block %x\n", wire.Bytes())
		for _, field := range block.Fields {
			fmt.Printf("%s\t%s\n", text(field[0]), text(field[1]))
		}
	}
}
