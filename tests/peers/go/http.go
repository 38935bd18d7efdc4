package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// W3C's two, as OpenTelemetry sets them up by default.
var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

type relayed struct {
	Saw    map[string]string `json:"saw"`
	Trace  string            `json:"trace"`
	Answer json.RawMessage   `json:"answer,omitempty"`
}

// serve answers GET /relay with what came, and calls the URL in `to`, if there is one, with the same context.
// `members`, a JSON object, takes the place of what came: then the request begins here.
func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/relay", relay)
	return http.Serve(listener, nil)
}

func relay(response http.ResponseWriter, request *http.Request) {
	ctx := propagator.Extract(request.Context(), propagation.HeaderCarrier(request.Header))
	query := request.URL.Query()
	if text := query.Get("members"); text != "" {
		var members map[string]string
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		bag, err := bagOf(members)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		ctx = baggage.ContextWithBaggage(ctx, bag)
	}
	answer := relayed{Saw: map[string]string{}, Trace: trace.SpanContextFromContext(ctx).TraceID().String()}
	for _, member := range baggage.FromContext(ctx).Members() {
		answer.Saw[member.Key()] = member.Value()
	}
	if to := query.Get("to"); to != "" {
		next, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		propagator.Inject(ctx, propagation.HeaderCarrier(next.Header))
		got, err := http.DefaultClient.Do(next)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		defer got.Body.Close()
		if answer.Answer, err = io.ReadAll(got.Body); err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
	}
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(answer)
}
