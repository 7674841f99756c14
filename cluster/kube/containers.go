package main

// The containers of the pretending runtime. What a container is doing follows from its program, the time
// of its start and, if it was stopped, from when and how; it is computed whenever somebody asks.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	killed     int32 = 128 + 9  // SIGKILL
	terminated int32 = 128 + 15 // SIGTERM
)

type container struct {
	id        string
	sandbox   string
	config    *runtimeapi.ContainerConfig
	program   program
	record    record
	logPath   string // empty: the kubelet wants no log
	createdAt time.Time
	startedAt time.Time // zero: created only
	stop      *ending   // set by a stop: it ends then at the latest
}

type ending struct {
	at   time.Time
	code int32
}

// ending tells when and how the container ends, or nil while nothing will end it.
func (c *container) ending() *ending {
	if c.program.forever {
		return c.stop
	}
	natural := &ending{c.startedAt.Add(c.program.duration), c.program.exitCode}
	if c.stop != nil && c.stop.at.Before(natural.at) {
		return c.stop
	}
	return natural
}

// ended tells how the container ended, or nil if it has not.
func (c *container) ended(now time.Time) *ending {
	if c.startedAt.IsZero() {
		return nil
	}
	if e := c.ending(); e != nil && !now.Before(e.at) {
		return e
	}
	return nil
}

func (c *container) state(now time.Time) runtimeapi.ContainerState {
	switch {
	case c.startedAt.IsZero():
		return runtimeapi.ContainerState_CONTAINER_CREATED
	case c.ended(now) != nil:
		return runtimeapi.ContainerState_CONTAINER_EXITED
	default:
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	}
}

// end makes the container end at that time, unless it ends or was told to end before.
func (c *container) end(at time.Time, code int32) {
	if c.startedAt.IsZero() { // never started: it has come to nothing
		c.startedAt = at
	}
	if c.stop == nil || at.Before(c.stop.at) {
		c.stop = &ending{at, code}
	}
}

func (r *pretendRuntime) CreateContainer(_ context.Context, request *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s, known := r.sandboxes[request.PodSandboxId]
	if !known || s.stopped {
		return nil, status.Errorf(codes.NotFound, "no running sandbox %q", request.PodSandboxId)
	}
	c := &container{id: newID(), sandbox: s.id, config: request.Config, createdAt: time.Now()}
	c.program = parseProgram(append(append([]string{}, c.config.Command...), c.config.Args...))
	c.record = newRecord(c, s.config.Metadata)
	if s.config.LogDirectory != "" && c.config.LogPath != "" {
		c.logPath = filepath.Join(s.config.LogDirectory, c.config.LogPath)
	}
	if err := c.record.write(r.records); err != nil {
		return nil, status.Errorf(codes.Internal, "cannot write the container's record: %v", err)
	}
	r.containers[c.id] = c
	return &runtimeapi.CreateContainerResponse{ContainerId: c.id}, nil
}

func (r *pretendRuntime) StartContainer(_ context.Context, request *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	c, known := r.containers[request.ContainerId]
	if !known {
		return nil, status.Errorf(codes.NotFound, "no container %q", request.ContainerId)
	}
	if !c.startedAt.IsZero() {
		return nil, status.Errorf(codes.FailedPrecondition, "container %q was started before", c.id)
	}
	c.startedAt = time.Now()
	if err := c.writeLog(); err != nil {
		return nil, status.Errorf(codes.Internal, "cannot write the container's log: %v", err)
	}
	return &runtimeapi.StartContainerResponse{}, nil
}

// writeLog says, in the CRI's log format, what there is instead of output.
func (c *container) writeLog() error {
	if c.logPath == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.logPath), 0o700); err != nil {
		return err
	}
	line := fmt.Sprintf("%s stdout F this container only pretends to run %q\n",
		c.startedAt.Format(time.RFC3339Nano), append(append([]string{}, c.config.Command...), c.config.Args...))
	return os.WriteFile(c.logPath, []byte(line), 0o600)
}

func (r *pretendRuntime) ReopenContainerLog(context.Context, *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}

// StopContainer returns when the container has ended: at once, since SIGTERM ends everything here, or, for a
// program with trap ” TERM, after the grace period.
func (r *pretendRuntime) StopContainer(ctx context.Context, request *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	r.mutex.Lock()
	c, known := r.containers[request.ContainerId]
	var wait time.Duration
	if known && c.ended(time.Now()) == nil {
		now, grace := time.Now(), time.Duration(request.Timeout)*time.Second
		switch {
		case grace <= 0:
			c.end(now, killed)
		case c.program.ignoresTerm:
			c.end(now.Add(grace), killed)
		default:
			c.end(now, terminated)
		}
		wait = time.Until(c.ending().at)
	}
	r.mutex.Unlock() // others are served while this one dies
	select {
	case <-time.After(wait):
		return &runtimeapi.StopContainerResponse{}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (r *pretendRuntime) RemoveContainer(_ context.Context, request *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if c, known := r.containers[request.ContainerId]; known {
		r.forget(c)
	}
	return &runtimeapi.RemoveContainerResponse{}, nil
}

// forget drops a container and its record; the caller holds the mutex.
func (r *pretendRuntime) forget(c *container) {
	delete(r.containers, c.id)
	c.record.remove(r.records)
}

func (r *pretendRuntime) ListContainers(_ context.Context, request *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now, filter, response := time.Now(), request.Filter, &runtimeapi.ListContainersResponse{}
	for _, c := range r.containers {
		if filter.GetId() != "" && filter.Id != c.id ||
			filter.GetPodSandboxId() != "" && filter.PodSandboxId != c.sandbox ||
			filter.GetState() != nil && filter.State.State != c.state(now) ||
			!selects(filter.GetLabelSelector(), c.config.Labels) {
			continue
		}
		response.Containers = append(response.Containers, &runtimeapi.Container{
			Id: c.id, PodSandboxId: c.sandbox, Metadata: c.config.Metadata, Image: c.config.Image,
			ImageRef: c.config.Image.Image, ImageId: c.config.Image.Image, State: c.state(now),
			CreatedAt: c.createdAt.UnixNano(), Labels: c.config.Labels, Annotations: c.config.Annotations,
		})
	}
	return response, nil
}

func (r *pretendRuntime) ContainerStatus(_ context.Context, request *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	c, known := r.containers[request.ContainerId]
	if !known {
		return nil, status.Errorf(codes.NotFound, "no container %q", request.ContainerId)
	}
	now := time.Now()
	result := &runtimeapi.ContainerStatus{
		Id: c.id, Metadata: c.config.Metadata, State: c.state(now), CreatedAt: c.createdAt.UnixNano(),
		Image: c.config.Image, ImageRef: c.config.Image.Image, ImageId: c.config.Image.Image,
		Labels: c.config.Labels, Annotations: c.config.Annotations, Mounts: c.config.Mounts, LogPath: c.logPath,
	}
	if !c.startedAt.IsZero() {
		result.StartedAt = c.startedAt.UnixNano()
	}
	if e := c.ended(now); e != nil {
		result.FinishedAt, result.ExitCode, result.Reason = e.at.UnixNano(), e.code, "Completed"
		if e.code != 0 {
			result.Reason = "Error"
		}
	}
	return &runtimeapi.ContainerStatusResponse{Status: result}, nil
}

// ExecSync serves exec probes and hooks: the command's exit code comes at once, and what would run for ever succeeds.
func (r *pretendRuntime) ExecSync(_ context.Context, request *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	return &runtimeapi.ExecSyncResponse{ExitCode: parseProgram(request.Cmd).exitCode}, nil
}

func (r *pretendRuntime) UpdateContainerResources(context.Context, *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

func (r *pretendRuntime) UpdatePodSandboxResources(context.Context, *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}

// Statistics are empty: nothing is used by what only pretends.

func (r *pretendRuntime) ListContainerStats(context.Context, *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	return &runtimeapi.ListContainerStatsResponse{}, nil
}

func (r *pretendRuntime) ListPodSandboxStats(context.Context, *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	return &runtimeapi.ListPodSandboxStatsResponse{}, nil
}
