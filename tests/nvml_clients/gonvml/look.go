package main

import "github.com/NVIDIA/go-nvml/pkg/nvml"

// What there is. The lists are empty where MIG mode is off.
type (
	node struct {
		Driver string
		Nvml   string
		Gpus   []gpu
	}
	gpu struct {
		Index, Minor  int
		UUID, Name    string
		PciBusID      string
		MigModeCode   nvml.Return
		Current       int
		Pending       int
		MaxMigDevices int
		Processes     []nvml.ProcessInfo
		Profiles      []profile
		Instances     []instance
		MigDevices    []migDevice
	}
	instance struct {
		ID, ProfileID    uint32
		Placement        nvml.GpuInstancePlacement
		ComputeInstances []computeInstance
	}
	computeInstance struct {
		ID, ProfileID uint32
		Placement     nvml.ComputeInstancePlacement
		UUID          string
	}
	migDevice struct {
		Index      int
		UUID       string
		Gi, Ci     int
		ParentUUID string
		Attributes nvml.DeviceAttributes
	}
)

// look tells everything, and fails only on what every driver has.
func look() (node, error) {
	var seen node
	var ret nvml.Return
	if seen.Driver, ret = nvml.SystemGetDriverVersion(); ret != nvml.SUCCESS {
		return seen, checked("SystemGetDriverVersion", ret)
	}
	if seen.Nvml, ret = nvml.SystemGetNVMLVersion(); ret != nvml.SUCCESS {
		return seen, checked("SystemGetNVMLVersion", ret)
	}
	count, ret := nvml.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return seen, checked("DeviceGetCount", ret)
	}
	for index := 0; index < count; index++ {
		device, ret := nvml.DeviceGetHandleByIndex(index)
		if ret != nvml.SUCCESS {
			return seen, checked("DeviceGetHandleByIndex", ret)
		}
		one, err := lookAt(device)
		if err != nil {
			return seen, err
		}
		seen.Gpus = append(seen.Gpus, one)
	}
	return seen, nil
}

func lookAt(device nvml.Device) (gpu, error) {
	one, err := identity(device)
	if err != nil || one.MigModeCode != nvml.SUCCESS || one.Current != nvml.DEVICE_MIG_ENABLE {
		return one, err
	}
	if one.Profiles, err = profiles(device); err != nil {
		return one, err
	}
	if one.Instances, err = instances(device, one.Profiles); err != nil {
		return one, err
	}
	one.MigDevices, err = migDevices(device, one.MaxMigDevices)
	return one, err
}

func identity(device nvml.Device) (one gpu, err error) {
	var ret nvml.Return
	if one.Index, ret = device.GetIndex(); ret != nvml.SUCCESS {
		return one, checked("GetIndex", ret)
	}
	if one.Minor, ret = device.GetMinorNumber(); ret != nvml.SUCCESS {
		return one, checked("GetMinorNumber", ret)
	}
	if one.UUID, ret = device.GetUUID(); ret != nvml.SUCCESS {
		return one, checked("GetUUID", ret)
	}
	if one.Name, ret = device.GetName(); ret != nvml.SUCCESS {
		return one, checked("GetName", ret)
	}
	pci, ret := device.GetPciInfo()
	if ret != nvml.SUCCESS {
		return one, checked("GetPciInfo", ret)
	}
	one.PciBusID = text(pci.BusId[:])
	if one.MaxMigDevices, ret = device.GetMaxMigDeviceCount(); ret != nvml.SUCCESS {
		return one, checked("GetMaxMigDeviceCount", ret)
	}
	if one.Processes, ret = device.GetComputeRunningProcesses(); ret != nvml.SUCCESS {
		return one, checked("GetComputeRunningProcesses", ret)
	}
	one.Current, one.Pending, one.MigModeCode = device.GetMigMode()
	return one, nil
}

func instances(device nvml.Device, profiles []profile) ([]instance, error) {
	var found []instance
	for _, each := range profiles {
		listed, ret := device.GetGpuInstances(&each.info)
		if ret != nvml.SUCCESS {
			return found, checked("GetGpuInstances", ret)
		}
		for _, gi := range listed {
			one, err := instanceOf(gi)
			if err != nil {
				return found, err
			}
			found = append(found, one)
		}
	}
	return found, nil
}

func instanceOf(gi nvml.GpuInstance) (instance, error) {
	info, ret := gi.GetInfo()
	if ret != nvml.SUCCESS {
		return instance{}, checked("GpuInstanceGetInfo", ret)
	}
	one := instance{ID: info.Id, ProfileID: info.ProfileId, Placement: info.Placement}
	for enum := 0; enum < nvml.COMPUTE_INSTANCE_PROFILE_COUNT; enum++ {
		profile, ret := gi.GetComputeInstanceProfileInfo(enum, nvml.COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
		if ret == nvml.ERROR_NOT_SUPPORTED || ret == nvml.ERROR_INVALID_ARGUMENT {
			continue
		}
		if ret != nvml.SUCCESS {
			return one, checked("GetComputeInstanceProfileInfo", ret)
		}
		listed, ret := gi.GetComputeInstances(&profile)
		if ret != nvml.SUCCESS {
			return one, checked("GetComputeInstances", ret)
		}
		for _, ci := range listed {
			each, err := computeInstanceOf(ci)
			if err != nil {
				return one, err
			}
			one.ComputeInstances = append(one.ComputeInstances, each)
		}
	}
	return one, nil
}

func computeInstanceOf(ci nvml.ComputeInstance) (computeInstance, error) {
	info, ret := ci.GetInfo()
	if ret != nvml.SUCCESS {
		return computeInstance{}, checked("ComputeInstanceGetInfo", ret)
	}
	uuid, ret := info.Device.GetUUID()
	return computeInstance{ID: info.Id, ProfileID: info.ProfileId, Placement: info.Placement, UUID: uuid},
		checked("GetUUID", ret)
}

func migDevices(device nvml.Device, most int) ([]migDevice, error) {
	var found []migDevice
	for index := 0; index < most; index++ {
		mig, ret := device.GetMigDeviceHandleByIndex(index)
		if ret == nvml.ERROR_NOT_FOUND {
			continue
		}
		if ret != nvml.SUCCESS {
			return found, checked("GetMigDeviceHandleByIndex", ret)
		}
		one, err := migDeviceOf(mig)
		if err != nil {
			return found, err
		}
		found = append(found, one)
	}
	return found, nil
}

func migDeviceOf(mig nvml.Device) (one migDevice, err error) {
	var ret nvml.Return
	if one.Index, ret = mig.GetIndex(); ret != nvml.SUCCESS {
		return one, checked("GetIndex", ret)
	}
	if one.UUID, ret = mig.GetUUID(); ret != nvml.SUCCESS {
		return one, checked("GetUUID", ret)
	}
	if one.Gi, ret = mig.GetGpuInstanceId(); ret != nvml.SUCCESS {
		return one, checked("GetGpuInstanceId", ret)
	}
	if one.Ci, ret = mig.GetComputeInstanceId(); ret != nvml.SUCCESS {
		return one, checked("GetComputeInstanceId", ret)
	}
	if one.Attributes, ret = mig.GetAttributes(); ret != nvml.SUCCESS {
		return one, checked("GetAttributes", ret)
	}
	parent, ret := mig.GetDeviceHandleFromMigDeviceHandle()
	if ret != nvml.SUCCESS {
		return one, checked("GetDeviceHandleFromMigDeviceHandle", ret)
	}
	one.ParentUUID, ret = parent.GetUUID()
	return one, checked("GetUUID", ret)
}
