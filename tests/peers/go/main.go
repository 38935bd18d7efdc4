// A peer in Go: OpenTelemetry's own baggage propagator, one JSON object a line in, one out.
//
//	{"decode": ["header", …]}       → {"members": {"key": "value"}}
//	{"encode": {"key": "value"}}    → {"header": "…"}
//
// With the argument "http" it is a server instead: see http.go.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"sort"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
)

type question struct {
	Decode []string          `json:"decode"`
	Encode map[string]string `json:"encode"`
}

func decode(headers []string) map[string]string {
	carrier := propagation.HeaderCarrier(http.Header{"Baggage": headers})
	members := map[string]string{}
	extracted := propagation.Baggage{}.Extract(context.Background(), carrier)
	for _, member := range baggage.FromContext(extracted).Members() {
		members[member.Key()] = member.Value()
	}
	return members
}

func bagOf(members map[string]string) (baggage.Baggage, error) {
	keys := make([]string, 0, len(members))
	for key := range members {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	list := make([]baggage.Member, 0, len(members))
	for _, key := range keys {
		member, err := baggage.NewMemberRaw(key, members[key])
		if err != nil {
			return baggage.Baggage{}, err
		}
		list = append(list, member)
	}
	return baggage.New(list...)
}

func encode(members map[string]string) (string, error) {
	bag, err := bagOf(members)
	if err != nil {
		return "", err
	}
	header := http.Header{}
	propagation.Baggage{}.Inject(baggage.ContextWithBaggage(context.Background(), bag), propagation.HeaderCarrier(header))
	return header.Get("baggage"), nil
}

func answer(asked question) any {
	if asked.Encode == nil {
		return map[string]any{"members": decode(asked.Decode)}
	}
	header, err := encode(asked.Encode)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"header": header}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "http" {
		log.Fatal(serve())
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(answer(asked)); err != nil {
			log.Fatal(err)
		}
	}
}
