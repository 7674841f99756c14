package main

// The images of the pretending runtime: every image that is asked for exists, and pulling it takes no time.
// An image's id is its name.

import (
	"context"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The kubelet rejects images of size 0. Bytes.
const imageSize = 1 << 20

type pretendImages struct {
	runtimeapi.UnimplementedImageServiceServer
	folder string // stands for the image store when the kubelet asks which filesystem that is

	mutex  sync.Mutex
	pulled map[string]*runtimeapi.ImageSpec
}

func newPretendImages(folder string) *pretendImages {
	return &pretendImages{folder: folder, pulled: map[string]*runtimeapi.ImageSpec{}}
}

func describeImage(name string, spec *runtimeapi.ImageSpec) *runtimeapi.Image {
	return &runtimeapi.Image{Id: name, RepoTags: []string{name}, Size: imageSize, Spec: spec}
}

func (i *pretendImages) ListImages(_ context.Context, request *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	wanted, response := request.GetFilter().GetImage().GetImage(), &runtimeapi.ListImagesResponse{}
	for name, spec := range i.pulled {
		if wanted == "" || wanted == name {
			response.Images = append(response.Images, describeImage(name, spec))
		}
	}
	return response, nil
}

func (i *pretendImages) ImageStatus(_ context.Context, request *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	name, response := request.GetImage().GetImage(), &runtimeapi.ImageStatusResponse{}
	if spec, pulled := i.pulled[name]; pulled {
		response.Image = describeImage(name, spec)
	}
	return response, nil
}

func (i *pretendImages) PullImage(_ context.Context, request *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	name := request.GetImage().GetImage()
	i.pulled[name] = request.Image
	return &runtimeapi.PullImageResponse{ImageRef: name}, nil
}

func (i *pretendImages) RemoveImage(_ context.Context, request *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	delete(i.pulled, request.GetImage().GetImage())
	return &runtimeapi.RemoveImageResponse{}, nil
}

func (i *pretendImages) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	usage := []*runtimeapi.FilesystemUsage{{
		Timestamp:  time.Now().UnixNano(),
		FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: i.folder},
		UsedBytes:  &runtimeapi.UInt64Value{},
		InodesUsed: &runtimeapi.UInt64Value{},
	}}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: usage, ContainerFilesystems: usage}, nil
}
