/* Every NVML entry point that the library has, once. Its place in the list is its number in the call counters and in
 * the fault table; `simgpu_function_name` gives Python the names. */
#ifndef SIMGPU_FUNCTIONS_H
#define SIMGPU_FUNCTIONS_H

#define SIM_EACH_FUNCTION(X)                                                                                          \
    X(nvmlInit)                                                                                                       \
    X(nvmlInit_v2)                                                                                                    \
    X(nvmlInitWithFlags)                                                                                              \
    X(nvmlShutdown)                                                                                                   \
    X(nvmlSystemGetDriverVersion)                                                                                     \
    X(nvmlSystemGetNVMLVersion)                                                                                       \
    X(nvmlSystemGetCudaDriverVersion)                                                                                 \
    X(nvmlSystemGetCudaDriverVersion_v2)                                                                              \
    X(nvmlSystemGetProcessName)                                                                                       \
    X(nvmlDeviceGetCount)                                                                                             \
    X(nvmlDeviceGetCount_v2)                                                                                          \
    X(nvmlDeviceGetHandleByIndex)                                                                                     \
    X(nvmlDeviceGetHandleByIndex_v2)                                                                                  \
    X(nvmlDeviceGetHandleByUUID)                                                                                      \
    X(nvmlDeviceGetHandleByPciBusId)                                                                                  \
    X(nvmlDeviceGetHandleByPciBusId_v2)                                                                               \
    X(nvmlDeviceGetHandleBySerial)                                                                                    \
    X(nvmlDeviceGetIndex)                                                                                             \
    X(nvmlDeviceGetMinorNumber)                                                                                       \
    X(nvmlDeviceGetUUID)                                                                                              \
    X(nvmlDeviceGetName)                                                                                              \
    X(nvmlDeviceGetSerial)                                                                                            \
    X(nvmlDeviceGetBrand)                                                                                             \
    X(nvmlDeviceGetArchitecture)                                                                                      \
    X(nvmlDeviceGetCudaComputeCapability)                                                                             \
    X(nvmlDeviceGetPciInfo_v3)                                                                                        \
    X(nvmlDeviceGetPersistenceMode)                                                                                   \
    X(nvmlDeviceGetMemoryInfo)                                                                                        \
    X(nvmlDeviceGetMemoryInfo_v2)                                                                                     \
    X(nvmlDeviceGetAttributes_v2)                                                                                     \
    X(nvmlDeviceGetComputeRunningProcesses)                                                                           \
    X(nvmlDeviceGetComputeRunningProcesses_v2)                                                                        \
    X(nvmlDeviceGetComputeRunningProcesses_v3)                                                                        \
    X(nvmlDeviceGetGraphicsRunningProcesses_v3)                                                                       \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v3)                                                                     \
    X(nvmlDeviceGetMigMode)                                                                                           \
    X(nvmlDeviceSetMigMode)                                                                                           \
    X(nvmlDeviceGetMaxMigDeviceCount)                                                                                 \
    X(nvmlDeviceGetMigDeviceHandleByIndex)                                                                            \
    X(nvmlDeviceIsMigDeviceHandle)                                                                                    \
    X(nvmlDeviceGetGpuInstanceId)                                                                                     \
    X(nvmlDeviceGetComputeInstanceId)                                                                                 \
    X(nvmlDeviceGetDeviceHandleFromMigDeviceHandle)                                                                   \
    X(nvmlDeviceGetGpuInstanceProfileInfo)                                                                            \
    X(nvmlDeviceGetGpuInstanceProfileInfoV)                                                                           \
    X(nvmlDeviceGetGpuInstanceProfileInfoByIdV)                                                                       \
    X(nvmlDeviceGetGpuInstanceRemainingCapacity)                                                                      \
    X(nvmlDeviceGetGpuInstancePossiblePlacements_v2)                                                                  \
    X(nvmlDeviceCreateGpuInstance)                                                                                    \
    X(nvmlDeviceCreateGpuInstanceWithPlacement)                                                                       \
    X(nvmlGpuInstanceDestroy)                                                                                         \
    X(nvmlDeviceGetGpuInstances)                                                                                      \
    X(nvmlDeviceGetGpuInstanceById)                                                                                   \
    X(nvmlGpuInstanceGetInfo)                                                                                         \
    X(nvmlGpuInstanceGetComputeInstanceProfileInfo)                                                                   \
    X(nvmlGpuInstanceGetComputeInstanceProfileInfoV)                                                                  \
    X(nvmlGpuInstanceGetComputeInstanceRemainingCapacity)                                                             \
    X(nvmlGpuInstanceGetComputeInstancePossiblePlacements)                                                            \
    X(nvmlGpuInstanceCreateComputeInstance)                                                                           \
    X(nvmlGpuInstanceCreateComputeInstanceWithPlacement)                                                              \
    X(nvmlComputeInstanceDestroy)                                                                                     \
    X(nvmlGpuInstanceGetComputeInstances)                                                                             \
    X(nvmlGpuInstanceGetComputeInstanceById)                                                                          \
    X(nvmlComputeInstanceGetInfo_v2)

#define SIM_NUMBER(name) FUNCTION_##name,
enum sim_function { SIM_EACH_FUNCTION(SIM_NUMBER) FUNCTION_COUNT };
#undef SIM_NUMBER

#endif
