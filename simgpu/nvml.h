/* The part of NVML's binary interface that the simulator speaks: codes, constants and struct layouts.
 *
 * Why: the machine has no CUDA toolkit. Promise: sizes and offsets equal those of the real library, as pynvml and
 * go-nvml use them; the assertions at the end hold the sizes that are part of NVML's own version words. Not here:
 * prototypes, since each entry point is declared where it is defined. */
#ifndef SIMGPU_NVML_H
#define SIMGPU_NVML_H

#include <stdint.h>

typedef int nvmlReturn_t;
enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_RESET_REQUIRED = 16,
    NVML_ERROR_OPERATING_SYSTEM = 17,
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
    NVML_ERROR_IN_USE = 19,
    NVML_ERROR_INSUFFICIENT_RESOURCES = 23,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
};

/* Opaque to callers: a number that says what it refers to, never an address (handles.c). */
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlGpuInstance_st *nvmlGpuInstance_t;
typedef struct nvmlComputeInstance_st *nvmlComputeInstance_t;

#define NVML_BRAND_NVIDIA 14u
#define NVML_GI_PROFILE_COUNT 18u
#define NVML_CI_PROFILE_COUNT 9u
#define NVML_CI_ENGINE_PROFILE_SHARED 0u
#define NVML_NAME_SIZE 96
#define NVML_PROFILE_CAPS_GFX 0x2u
#define NVML_CI_PROFILE_CAPS_GFX 0x1u

typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    unsigned pid;
    unsigned long long used_memory;
} nvmlProcessInfo_v1_t;

typedef struct {
    unsigned pid;
    unsigned long long used_memory;
    unsigned gpu_instance_id, compute_instance_id;
} nvmlProcessInfo_v2_t;

typedef struct {
    unsigned sm, copy, decoder, encoder, jpeg, ofa, gi_slices, ci_slices;
    unsigned long long memory_mib;
} nvmlDeviceAttributes_t;

typedef struct {
    unsigned start, size;
} nvmlPlacement_t;

typedef struct {
    unsigned id, p2p, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
    unsigned long long memory_mib;
} nvmlGpuInstanceProfileInfo_v1_t;

typedef struct {
    unsigned version, id, p2p, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
    unsigned long long memory_mib;
    char name[NVML_NAME_SIZE];
} nvmlGpuInstanceProfileInfo_v2_t;

typedef struct {
    unsigned version, id, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
    unsigned long long memory_mib;
    char name[NVML_NAME_SIZE];
    unsigned capabilities;
} nvmlGpuInstanceProfileInfo_v3_t;

typedef struct {
    nvmlDevice_t device;
    unsigned id, profile_id;
    nvmlPlacement_t placement;
} nvmlGpuInstanceInfo_t;

typedef struct {
    unsigned id, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
} nvmlComputeInstanceProfileInfo_v1_t;

typedef struct {
    unsigned version, id, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
    char name[NVML_NAME_SIZE];
} nvmlComputeInstanceProfileInfo_v2_t;

typedef struct {
    unsigned version, id, slices, instances, sm, copy, decoder, encoder, jpeg, ofa;
    char name[NVML_NAME_SIZE];
    unsigned capabilities;
} nvmlComputeInstanceProfileInfo_v3_t;

typedef struct {
    nvmlDevice_t device;
    nvmlGpuInstance_t gpu_instance;
    unsigned id, profile_id;
    nvmlPlacement_t placement;
} nvmlComputeInstanceInfo_t;

/* A version word is the struct's size with the version in the top byte. */
#define NVML_VERSION(type, number) ((unsigned)sizeof(type) | (unsigned)(number) << 24)

_Static_assert(NVML_VERSION(nvmlMemory_v2_t, 2) == 0x02000028, "nvmlMemory_v2");
_Static_assert(NVML_VERSION(nvmlGpuInstanceProfileInfo_v2_t, 2) == 0x02000098, "nvmlGpuInstanceProfileInfo_v2");
_Static_assert(NVML_VERSION(nvmlComputeInstanceProfileInfo_v2_t, 2) == 0x02000088, "nvmlComputeInstanceProfileInfo_v2");
_Static_assert(sizeof(nvmlPciInfo_t) == 68 && sizeof(nvmlProcessInfo_v2_t) == 24, "layouts without a version word");

#endif
