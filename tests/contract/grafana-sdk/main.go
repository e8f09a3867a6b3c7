// Asks a data source plugin the way Grafana does: it starts the launcher given as the first argument through go-plugin,
// reads one request a line from stdin, {"op": ..., "request": a pluginv2 message as JSON}, and prints one answer a line.
// Frames are decoded by Grafana's SDK and printed as Grafana would hand them to a panel.
//
// At the end of stdin the plugin is stopped as Grafana stops it; the last line says how long that took.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const largestRequest = 64 << 20

type question struct {
	Op      string          `json:"op"`
	Request json.RawMessage `json:"request"`
	Packets int             `json:"packets"`    // RunStream: hang up after so many
	Timeout int64           `json:"timeout_ms"` // of the whole call
}

type answer struct {
	Code    string                       `json:"code,omitempty"`  // of gRPC, where the call failed
	Error   string                       `json:"error,omitempty"` // its text
	Message json.RawMessage              `json:"message,omitempty"`
	Frames  map[string][]json.RawMessage `json:"frames,omitempty"` // of each refId, in order
	Packets []json.RawMessage            `json:"packets,omitempty"`
	Exited  bool                         `json:"exited"`
	TookMS  int64                        `json:"took_ms"`
}

type host struct {
	process     *goplugin.Client
	protocol    goplugin.ClientProtocol
	data        grpcplugin.DataClient
	resource    grpcplugin.ResourceClient
	diagnostics grpcplugin.DiagnosticsClient
	stream      grpcplugin.StreamClient
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: grafana-sdk-contract LAUNCHER [NAME=VALUE of the environment ...]")
		os.Exit(2)
	}
	begun := time.Now()
	asked, err := start(os.Args[1], os.Args[2:])
	if err != nil {
		print(answer{Error: err.Error(), TookMS: time.Since(begun).Milliseconds()})
		os.Exit(1)
	}
	print(answer{TookMS: time.Since(begun).Milliseconds()})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, largestRequest)
	for lines.Scan() {
		begun := time.Now()
		given := asked.answer(lines.Bytes())
		given.Exited = asked.process.Exited()
		given.TookMS = time.Since(begun).Milliseconds()
		print(given)
	}
	begun = time.Now()
	asked.process.Kill()
	print(answer{Exited: asked.process.Exited(), TookMS: time.Since(begun).Milliseconds()})
}

func start(launcher string, environment []string) (*host, error) {
	command := exec.Command(launcher)
	command.Env = environment // and nothing of ours, as in Grafana since 12.4
	process := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd: command,
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion:  grpcplugin.ProtocolVersion,
			MagicCookieKey:   grpcplugin.MagicCookieKey,
			MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{
			grpcplugin.ProtocolVersion: {
				"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{},
				"resource":    &grpcplugin.ResourceGRPCPlugin{},
				"data":        &grpcplugin.DataGRPCPlugin{},
				"stream":      &grpcplugin.StreamGRPCPlugin{},
			},
		},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Info}),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		},
	})
	protocol, err := process.Client()
	if err != nil {
		process.Kill()
		return nil, err
	}
	started := &host{process: process, protocol: protocol}
	for name, take := range map[string]func(any) bool{
		"data":        func(raw any) (ok bool) { started.data, ok = raw.(grpcplugin.DataClient); return },
		"resource":    func(raw any) (ok bool) { started.resource, ok = raw.(grpcplugin.ResourceClient); return },
		"diagnostics": func(raw any) (ok bool) { started.diagnostics, ok = raw.(grpcplugin.DiagnosticsClient); return },
		"stream":      func(raw any) (ok bool) { started.stream, ok = raw.(grpcplugin.StreamClient); return },
	} {
		raw, err := protocol.Dispense(name)
		if err != nil {
			process.Kill()
			return nil, err
		}
		if !take(raw) {
			process.Kill()
			return nil, fmt.Errorf("%s is a %T", name, raw)
		}
	}
	return started, nil
}

func (h *host) answer(line []byte) answer {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: "the request is no JSON: " + err.Error()}
	}
	timeout := 20 * time.Second
	if asked.Timeout > 0 {
		timeout = time.Duration(asked.Timeout) * time.Millisecond
	}
	ctx, hangUp := context.WithTimeout(context.Background(), timeout)
	defer hangUp()
	switch asked.Op {
	case "protocol":
		return answer{Message: protocol()}
	case "ping":
		return of(nil, h.protocol.Ping())
	case "health":
		return ask(ctx, asked.Request, &pluginv2.CheckHealthRequest{}, h.diagnostics.CheckHealth)
	case "metrics":
		return ask(ctx, asked.Request, &pluginv2.CollectMetricsRequest{}, h.diagnostics.CollectMetrics)
	case "subscribe":
		return ask(ctx, asked.Request, &pluginv2.SubscribeStreamRequest{}, h.stream.SubscribeStream)
	case "publish":
		return ask(ctx, asked.Request, &pluginv2.PublishStreamRequest{}, h.stream.PublishStream)
	case "query":
		return h.query(ctx, asked.Request)
	case "resource":
		return h.call(ctx, asked.Request)
	case "run":
		return h.run(ctx, asked)
	}
	return answer{Error: "there is no op " + asked.Op}
}

// protocol gives Grafana's own description of every message and service: "Message.field": "number kind cardinality".
func protocol() json.RawMessage {
	described := map[string]string{}
	var messages func(protoreflect.MessageDescriptors)
	messages = func(all protoreflect.MessageDescriptors) {
		for i := range all.Len() {
			message := all.Get(i)
			for j := range message.Fields().Len() {
				field := message.Fields().Get(j)
				kind := field.Kind().String()
				switch {
				case field.Message() != nil:
					kind = string(field.Message().FullName())
				case field.Enum() != nil:
					kind = string(field.Enum().FullName())
				}
				described[string(field.FullName())] = fmt.Sprintf("%d %s %s", field.Number(), kind, field.Cardinality())
			}
			for j := range message.Enums().Len() {
				enum(described, message.Enums().Get(j))
			}
			messages(message.Messages())
		}
	}
	file := pluginv2.File_backend_proto
	messages(file.Messages())
	for i := range file.Enums().Len() {
		enum(described, file.Enums().Get(i))
	}
	for i := range file.Services().Len() {
		methods := file.Services().Get(i).Methods()
		for j := range methods.Len() {
			method := methods.Get(j)
			described[string(method.FullName())] = fmt.Sprintf("%s %v %s %v",
				method.Input().FullName(), method.IsStreamingClient(), method.Output().FullName(), method.IsStreamingServer())
		}
	}
	shown, _ := json.Marshal(described) // strings only
	return shown
}

func enum(described map[string]string, of protoreflect.EnumDescriptor) {
	for i := range of.Values().Len() {
		value := of.Values().Get(i)
		described[string(of.FullName())+"."+string(value.Name())] = fmt.Sprint(value.Number())
	}
}

func ask[Q, A proto.Message](
	ctx context.Context, raw []byte, request Q, call func(context.Context, Q, ...grpc.CallOption) (A, error),
) answer {
	if err := read(raw, request); err != nil {
		return answer{Error: err.Error()}
	}
	message, err := call(ctx, request)
	return of(message, err)
}

func (h *host) query(ctx context.Context, raw []byte) answer {
	request := &pluginv2.QueryDataRequest{}
	if err := read(raw, request); err != nil {
		return answer{Error: err.Error()}
	}
	message, err := h.data.QueryData(ctx, request)
	if err != nil {
		return of(nil, err)
	}
	frames := map[string][]json.RawMessage{}
	for refID, response := range message.Responses {
		frames[refID] = []json.RawMessage{}
		for index, encoded := range response.Frames {
			frame, err := data.UnmarshalArrowFrame(encoded)
			if err != nil {
				return answer{Error: fmt.Sprintf("frame %d of %s: %v", index, refID, err)}
			}
			shown, err := data.FrameToJSON(frame, data.IncludeAll)
			if err != nil {
				return answer{Error: fmt.Sprintf("frame %d of %s: %v", index, refID, err)}
			}
			frames[refID] = append(frames[refID], shown)
		}
		response.Frames = nil
	}
	given := of(message, nil)
	given.Frames = frames
	return given
}

func (h *host) call(ctx context.Context, raw []byte) answer {
	request := &pluginv2.CallResourceRequest{}
	if err := read(raw, request); err != nil {
		return answer{Error: err.Error()}
	}
	stream, err := h.resource.CallResource(ctx, request)
	if err != nil {
		return of(nil, err)
	}
	whole := &pluginv2.CallResourceResponse{}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return of(whole, nil)
		}
		if err != nil {
			return of(nil, err)
		}
		if part.Code != 0 {
			whole.Code, whole.Headers = part.Code, part.Headers
		}
		whole.Body = append(whole.Body, part.Body...)
	}
}

// run takes packets until there are as many as asked for or the time is up, and then hangs up.
func (h *host) run(ctx context.Context, asked question) answer {
	request := &pluginv2.RunStreamRequest{}
	if err := read(asked.Request, request); err != nil {
		return answer{Error: err.Error()}
	}
	stream, err := h.stream.RunStream(ctx, request)
	if err != nil {
		return of(nil, err)
	}
	given := answer{}
	for len(given.Packets) < asked.Packets {
		packet, err := stream.Recv()
		if err != nil {
			given.Code, given.Error = status.Code(err).String(), err.Error()
			break
		}
		frame := &data.Frame{}
		if err := json.Unmarshal(packet.Data, frame); err != nil {
			given.Error = "a packet is no frame: " + err.Error()
			break
		}
		shown, err := data.FrameToJSON(frame, data.IncludeAll)
		if err != nil {
			given.Error = err.Error()
			break
		}
		given.Packets = append(given.Packets, shown)
	}
	return given
}

func read(raw []byte, message proto.Message) error {
	if len(raw) == 0 {
		return nil
	}
	return protojson.Unmarshal(raw, message)
}

func of(message proto.Message, err error) answer {
	if err != nil {
		return answer{Code: status.Code(err).String(), Error: err.Error()}
	}
	if message == nil {
		return answer{}
	}
	shown, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Message: shown}
}

func print(given answer) {
	if err := json.NewEncoder(os.Stdout).Encode(given); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
