package main

// A container runtime that only pretends: it serves the kubelet's CRI (v1), keeps sandboxes and containers
// as values in memory, and starts no process. Its state outlives the kubelet's restarts, as a real
// runtime's does, and ends with its own process, as at a reboot. It offers no streaming (exec, attach, port-forward).

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type sandbox struct {
	id        string
	config    *runtimeapi.PodSandboxConfig
	handler   string
	ip        string
	createdAt time.Time
	stopped   bool
}

type pretendRuntime struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	records string // the folder of the containers' JSON files

	mutex      sync.Mutex // guards everything below
	sandboxes  map[string]*sandbox
	containers map[string]*container
	addresses  int // how many Pod addresses have been given out
}

func pretendRuntimeCommand() *cobra.Command {
	var socket, records string
	command := &cobra.Command{
		Use:   "pretend-runtime --socket PATH --containers-dir FOLDER",
		Short: "Serve the kubelet a container runtime whose containers only pretend to run",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return servePretendRuntime(socket, records)
		},
	}
	command.Flags().StringVar(&socket, "socket", "", "path of the unix socket to serve on")
	command.Flags().StringVar(&records, "containers-dir", "", "folder for one JSON file a container")
	for _, name := range []string{"socket", "containers-dir"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return command
}

func servePretendRuntime(socket, records string) error {
	if err := os.MkdirAll(records, 0o700); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	runtimeapi.RegisterRuntimeServiceServer(server, &pretendRuntime{
		records:    records,
		sandboxes:  map[string]*sandbox{},
		containers: map[string]*container{},
	})
	runtimeapi.RegisterImageServiceServer(server, newPretendImages(records))
	return server.Serve(listener)
}

func newID() string {
	var bytes [32]byte
	_, _ = rand.Read(bytes[:]) // never fails: see crypto/rand
	return hex.EncodeToString(bytes[:])
}

func (r *pretendRuntime) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version: "0.1.0", RuntimeName: "pretend", RuntimeVersion: "1.0.0", RuntimeApiVersion: "v1",
	}, nil
}

func (r *pretendRuntime) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	return &runtimeapi.StatusResponse{Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
		{Type: runtimeapi.RuntimeReady, Status: true},
		{Type: runtimeapi.NetworkReady, Status: true},
	}}}, nil
}

func (r *pretendRuntime) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{
		Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_CGROUPFS},
	}, nil
}

func (r *pretendRuntime) UpdateRuntimeConfig(context.Context, *runtimeapi.UpdateRuntimeConfigRequest) (*runtimeapi.UpdateRuntimeConfigResponse, error) {
	return &runtimeapi.UpdateRuntimeConfigResponse{}, nil
}

func (r *pretendRuntime) RunPodSandbox(_ context.Context, request *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := &sandbox{id: newID(), config: request.Config, handler: request.RuntimeHandler, createdAt: time.Now()}
	if namespaces(s).GetNetwork() != runtimeapi.NamespaceMode_NODE {
		// Unique on this node for its first 65,000 Pods; nobody can reach it.
		r.addresses++
		s.ip = fmt.Sprintf("10.88.%d.%d", r.addresses/254%256, r.addresses%254+1)
	}
	r.sandboxes[s.id] = s
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: s.id}, nil
}

func (r *pretendRuntime) StopPodSandbox(_ context.Context, request *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if s, known := r.sandboxes[request.PodSandboxId]; known {
		s.stopped = true
	}
	for _, c := range r.containers {
		if c.sandbox == request.PodSandboxId {
			c.end(time.Now(), killed)
		}
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

func (r *pretendRuntime) RemovePodSandbox(_ context.Context, request *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, c := range r.containers {
		if c.sandbox == request.PodSandboxId {
			r.forget(c)
		}
	}
	delete(r.sandboxes, request.PodSandboxId)
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

func (r *pretendRuntime) PodSandboxStatus(_ context.Context, request *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s, known := r.sandboxes[request.PodSandboxId]
	if !known {
		return nil, status.Errorf(codes.NotFound, "no sandbox %q", request.PodSandboxId)
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: &runtimeapi.PodSandboxStatus{
		Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.createdAt.UnixNano(),
		Network: &runtimeapi.PodSandboxNetworkStatus{Ip: s.ip},
		// Without these the kubelet takes the network namespace for changed and makes the sandbox anew.
		Linux:  &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: namespaces(s)}},
		Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler,
	}}, nil
}

func (r *pretendRuntime) ListPodSandbox(_ context.Context, request *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	filter, response := request.Filter, &runtimeapi.ListPodSandboxResponse{}
	for _, s := range r.sandboxes {
		if filter.GetId() != "" && filter.Id != s.id ||
			filter.GetState() != nil && filter.State.State != s.state() ||
			!selects(filter.GetLabelSelector(), s.config.Labels) {
			continue
		}
		response.Items = append(response.Items, &runtimeapi.PodSandbox{
			Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.createdAt.UnixNano(),
			Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler,
		})
	}
	return response, nil
}

func (s *sandbox) state() runtimeapi.PodSandboxState {
	if s.stopped {
		return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	}
	return runtimeapi.PodSandboxState_SANDBOX_READY
}

func namespaces(s *sandbox) *runtimeapi.NamespaceOption {
	return s.config.GetLinux().GetSecurityContext().GetNamespaceOptions()
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}
