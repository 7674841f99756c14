/* Calls about the driver as a whole, and the texts of error codes. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "internal.h"

nvmlReturn_t copy_text(char *out, unsigned size, const char *text) {
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strlen(text) >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(out, text);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    nvmlReturn_t result = enter(FUNCTION_nvmlSystemGetDriverVersion, SIM_ANY);
    return result ? result : copy_text(version, length, the_node.state->driver_version);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    nvmlReturn_t result = enter(FUNCTION_nvmlSystemGetNVMLVersion, SIM_ANY);
    return result ? result : copy_text(version, length, the_node.state->nvml_version);
}

static nvmlReturn_t cuda_version(enum sim_function function, int *version) {
    nvmlReturn_t result = enter(function, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *version = (int)the_node.state->cuda_version;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    return cuda_version(FUNCTION_nvmlSystemGetCudaDriverVersion, version);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return cuda_version(FUNCTION_nvmlSystemGetCudaDriverVersion_v2, version);
}

EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length) {
    nvmlReturn_t result = enter(FUNCTION_nvmlSystemGetProcessName, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return NVML_ERROR_NOT_FOUND;
    size_t read = fread(text, 1, sizeof text - 1, file); /* arguments end in NUL: the text ends after the first */
    fclose(file);
    text[read] = '\0';
    return copy_text(name, length, text);
}

static const struct {
    nvmlReturn_t code;
    const char *text;
} errors[] = {
    {NVML_SUCCESS, "Success"},
    {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
    {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
    {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
    {4, "Insufficient Permissions"},
    {NVML_ERROR_NOT_FOUND, "Not Found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
    {10, "Timeout"},
    {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
    {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
    {NVML_ERROR_OPERATING_SYSTEM, "The operating system has blocked the request"},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
    {NVML_ERROR_IN_USE, "In use by another client"},
    {20, "Insufficient Memory"},
    {NVML_ERROR_INSUFFICIENT_RESOURCES, "Insufficient Resources"},
    {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "The version of the argument is not supported"},
};

EXPORT const char *nvmlErrorString(nvmlReturn_t code) { /* works before nvmlInit, so it does not pass the seam */
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            return errors[i].text;
    return "Unknown Error";
}
