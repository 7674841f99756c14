package main

// What the kubelet handed to each container, one JSON file a container in one folder, for tests and for
// the curious: a file appears when the container is created and goes when it is removed. Files are
// written aside and renamed, so a reader never sees half of one.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type record struct {
	ID          string            `json:"id"`
	Namespace   string            `json:"namespace"`
	Pod         string            `json:"pod"`
	PodUID      string            `json:"podUID"`
	Container   string            `json:"container"`
	Attempt     uint32            `json:"attempt"`
	CreatedAt   time.Time         `json:"createdAt"`
	Image       string            `json:"image"`
	Command     []string          `json:"command"`
	Args        []string          `json:"args"`
	Env         map[string]string `json:"env"`
	Annotations map[string]string `json:"annotations"`
	CDIDevices  []string          `json:"cdiDevices"`
	Devices     []recordedDevice  `json:"devices"`
	Mounts      []recordedMount   `json:"mounts"`
}

type recordedDevice struct {
	ContainerPath string `json:"containerPath"`
	HostPath      string `json:"hostPath"`
	Permissions   string `json:"permissions"`
}

type recordedMount struct {
	ContainerPath string `json:"containerPath"`
	HostPath      string `json:"hostPath"`
	ReadOnly      bool   `json:"readOnly"`
}

func newRecord(c *container, pod *runtimeapi.PodSandboxMetadata) record {
	config := c.config
	r := record{
		ID: c.id, Namespace: pod.Namespace, Pod: pod.Name, PodUID: pod.Uid,
		Container: config.Metadata.Name, Attempt: config.Metadata.Attempt, CreatedAt: c.createdAt,
		Image: config.Image.GetUserSpecifiedImage(), Command: config.Command, Args: config.Args,
		Env: map[string]string{}, Annotations: config.Annotations,
		CDIDevices: []string{}, Devices: []recordedDevice{}, Mounts: []recordedMount{},
	}
	for _, env := range config.Envs {
		r.Env[env.Key] = string(env.Value)
	}
	for _, device := range config.CDIDevices {
		r.CDIDevices = append(r.CDIDevices, device.Name)
	}
	for _, device := range config.Devices {
		r.Devices = append(r.Devices, recordedDevice{device.ContainerPath, device.HostPath, device.Permissions})
	}
	for _, mount := range config.Mounts {
		r.Mounts = append(r.Mounts, recordedMount{mount.ContainerPath, mount.HostPath, mount.Readonly})
	}
	return r
}

func (r record) path(folder string) string {
	return filepath.Join(folder, fmt.Sprintf("%s_%s_%s_%d.json", r.Namespace, r.Pod, r.Container, r.Attempt))
}

func (r record) write(folder string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	aside := filepath.Join(folder, "."+r.ID)
	if err := os.WriteFile(aside, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, r.path(folder))
}

// remove deletes the file unless a later Pod of the same name has written its own there since.
func (r record) remove(folder string) {
	text, err := os.ReadFile(r.path(folder))
	if err != nil {
		return
	}
	var stored record
	if json.Unmarshal(text, &stored) == nil && stored.ID == r.ID {
		_ = os.Remove(r.path(folder))
	}
}
