package main

import "github.com/NVIDIA/go-nvml/pkg/nvml"

// facts are what all versions of the profile structs say, and Name, which version 1 lacks.
type facts struct {
	ID, Slices, Instances, SM, Copy, Decoder, Encoder, Jpeg, Ofa uint32
	MemoryMB                                                     uint64
	Name                                                         string
}

type profile struct {
	Enum       int
	V1         facts
	V2         facts
	V3         facts
	ByID       facts // version 2 again, asked for by profile id
	Placements []nvml.GpuInstancePlacement
	Remaining  int
	info       nvml.GpuInstanceProfileInfo // what other calls of the bindings take
}

func first(info nvml.GpuInstanceProfileInfo) facts {
	return facts{
		info.Id, info.SliceCount, info.InstanceCount, info.MultiprocessorCount, info.CopyEngineCount, info.DecoderCount,
		info.EncoderCount, info.JpegCount, info.OfaCount, info.MemorySizeMB, "",
	}
}

func second(info nvml.GpuInstanceProfileInfo_v2) facts {
	return facts{
		info.Id, info.SliceCount, info.InstanceCount, info.MultiprocessorCount, info.CopyEngineCount, info.DecoderCount,
		info.EncoderCount, info.JpegCount, info.OfaCount, info.MemorySizeMB, text(info.Name[:]),
	}
}

func third(info nvml.GpuInstanceProfileInfo_v3) facts {
	return facts{
		info.Id, info.SliceCount, info.InstanceCount, info.MultiprocessorCount, info.CopyEngineCount, info.DecoderCount,
		info.EncoderCount, info.JpegCount, info.OfaCount, info.MemorySizeMB, text(info.Name[:]),
	}
}

// profiles asks for every enum, as the header says: from 0 until the driver calls one invalid.
func profiles(device nvml.Device) ([]profile, error) {
	var found []profile
	for enum := 0; ; enum++ {
		info, ret := device.GetGpuInstanceProfileInfo(enum)
		if ret == nvml.ERROR_INVALID_ARGUMENT {
			return found, nil
		}
		if ret == nvml.ERROR_NOT_SUPPORTED {
			continue
		}
		if ret != nvml.SUCCESS {
			return found, checked("GetGpuInstanceProfileInfo", ret)
		}
		one, err := profileOf(device, enum, info)
		if err != nil {
			return found, err
		}
		found = append(found, one)
	}
}

func profileOf(device nvml.Device, enum int, info nvml.GpuInstanceProfileInfo) (profile, error) {
	one := profile{Enum: enum, V1: first(info), info: info}
	v2, ret := device.GetGpuInstanceProfileInfoV(enum).V2()
	if ret != nvml.SUCCESS {
		return one, checked("GetGpuInstanceProfileInfoV(2)", ret)
	}
	v3, ret := device.GetGpuInstanceProfileInfoV(enum).V3()
	if ret != nvml.SUCCESS {
		return one, checked("GetGpuInstanceProfileInfoV(3)", ret)
	}
	byID, ret := device.GetGpuInstanceProfileInfoByIdV(int(info.Id)).V2()
	if ret != nvml.SUCCESS {
		return one, checked("GetGpuInstanceProfileInfoByIdV(2)", ret)
	}
	one.V2, one.V3, one.ByID = second(v2), third(v3), second(byID)
	if one.Placements, ret = device.GetGpuInstancePossiblePlacements(&info); ret != nvml.SUCCESS {
		return one, checked("GetGpuInstancePossiblePlacements", ret)
	}
	one.Remaining, ret = device.GetGpuInstanceRemainingCapacity(&info)
	return one, checked("GetGpuInstanceRemainingCapacity", ret)
}
