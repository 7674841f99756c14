package main

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// What happened, in this order. Codes are NVML's.
type life struct {
	Made        instance    // read back through the handle that the creation gave
	Listed      []instance  // all on the GPU, while it stands
	ByID        instance    // read back through its id
	ByUUID      migDevice   // the MIG device, found by its UUID
	Again       nvml.Return // a second instance at the same place
	WrongOrder  nvml.Return // destroying the GPU instance before its compute instance
	Destroyed   nvml.Return // the compute instance
	DestroyedGi nvml.Return
	GoneByID    nvml.Return // what the id answers afterwards
	GoneByUUID  nvml.Return
	Left        []instance
}

// makeAndTake makes one slice and takes it away; what it made is taken away also when a step in between fails.
func makeAndTake(uuid string, profileID, start uint32) (told life, err error) {
	device, ret := nvml.DeviceGetHandleByUUID(uuid)
	if ret != nvml.SUCCESS {
		return told, checked("DeviceGetHandleByUUID", ret)
	}
	known, err := profiles(device)
	if err != nil {
		return told, err
	}
	chosen, place, err := choice(known, profileID, start)
	if err != nil {
		return told, err
	}
	gi, ret := device.CreateGpuInstanceWithPlacement(&chosen.info, &place)
	if ret != nvml.SUCCESS {
		return told, checked("CreateGpuInstanceWithPlacement", ret)
	}
	ci, err := fill(gi, chosen.V1.Slices)
	if err == nil {
		err = told.standing(device, known, gi, &chosen.info, place)
		told.WrongOrder = gi.Destroy()
		told.Destroyed = ci.Destroy()
	}
	told.DestroyedGi = gi.Destroy()
	if err != nil {
		return told, err
	}
	_, told.GoneByID = device.GetGpuInstanceById(int(told.Made.ID))
	_, told.GoneByUUID = nvml.DeviceGetHandleByUUID(told.Made.ComputeInstances[0].UUID)
	told.Left, err = instances(device, known)
	return told, err
}

func choice(known []profile, id, start uint32) (profile, nvml.GpuInstancePlacement, error) {
	for _, each := range known {
		if each.V1.ID != id {
			continue
		}
		for _, place := range each.Placements {
			if place.Start == start {
				return each, place, nil
			}
		}
	}
	return profile{}, nvml.GpuInstancePlacement{}, fmt.Errorf("the GPU offers no profile %d at %d", id, start)
}

// fill makes the compute instance that covers the whole GPU instance.
func fill(gi nvml.GpuInstance, slices uint32) (nvml.ComputeInstance, error) {
	for enum := 0; enum < nvml.COMPUTE_INSTANCE_PROFILE_COUNT; enum++ {
		info, ret := gi.GetComputeInstanceProfileInfo(enum, nvml.COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
		if ret == nvml.SUCCESS && info.SliceCount == slices {
			ci, ret := gi.CreateComputeInstance(&info)
			return ci, checked("CreateComputeInstance", ret)
		}
	}
	return nil, fmt.Errorf("no compute instance profile has %d slices", slices)
}

// standing looks at the new slice from every side.
func (told *life) standing(
	device nvml.Device, known []profile, gi nvml.GpuInstance, of *nvml.GpuInstanceProfileInfo, at nvml.GpuInstancePlacement,
) (err error) {
	if told.Made, err = instanceOf(gi); err != nil {
		return err
	}
	if told.Listed, err = instances(device, known); err != nil {
		return err
	}
	same, ret := device.GetGpuInstanceById(int(told.Made.ID))
	if ret != nvml.SUCCESS {
		return checked("GetGpuInstanceById", ret)
	}
	if told.ByID, err = instanceOf(same); err != nil {
		return err
	}
	if len(told.Made.ComputeInstances) != 1 {
		return fmt.Errorf("one compute instance was made, and %d are listed", len(told.Made.ComputeInstances))
	}
	mig, ret := nvml.DeviceGetHandleByUUID(told.Made.ComputeInstances[0].UUID)
	if ret != nvml.SUCCESS {
		return checked("DeviceGetHandleByUUID", ret)
	}
	if told.ByUUID, err = migDeviceOf(mig); err != nil {
		return err
	}
	_, told.Again = device.CreateGpuInstanceWithPlacement(of, &at)
	return nil
}
