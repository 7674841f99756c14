/* NVML handles, and what stands behind them.
 *
 * A handle is a number that names its object: what kind, which GPU, which ids, and the serial of the instance. So it
 * needs no memory, is valid in every thread for as long as its object lives, and never comes to mean another: serials
 * are not reused, and a GPU's is the number of GPUs that were in its place before. The top byte marks it as ours, so
 * NULL and stray pointers are refused instead of followed.
 *
 *   bits 63-56 the mark 0x5d, 55-52 kind, 51-48 GPU, 47-44 GI id, 43-40 CI id, 39-0 serial */
#include "internal.h"

#define MARK 0x5dULL
#define SERIAL_BITS 40
#define SERIAL_MASK ((1ULL << SERIAL_BITS) - 1)

void *handle_of(struct ref ref) {
    uint64_t bits = MARK << 56 | (uint64_t)ref.kind << 52 | (uint64_t)ref.gpu << 48 | (uint64_t)ref.gi << 44 |
                    (uint64_t)ref.ci << 40 | (ref.serial & SERIAL_MASK);
    return (void *)(uintptr_t)bits;
}

bool handle_read(const void *handle, struct ref *ref) {
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    *ref = (struct ref){.kind = (enum handle_kind)(bits >> 52 & 0xf),
                        .gpu = bits >> 48 & 0xf,
                        .gi = bits >> 44 & 0xf,
                        .ci = bits >> 40 & 0xf,
                        .serial = bits & SERIAL_MASK};
    return bits >> 56 == MARK && ref->kind >= HANDLE_GPU && ref->kind <= HANDLE_MIG && ref->gi < SIM_GI_IDS &&
           ref->ci < SIM_CI_IDS;
}

unsigned handle_gpu(const void *handle) {
    struct ref ref;
    return handle_read(handle, &ref) ? ref.gpu : SIM_ANY;
}

struct ref ref_device(unsigned gpu) {
    return (struct ref){.kind = HANDLE_GPU, .gpu = gpu, .serial = the_node.state->gpus[gpu].generation};
}

struct ref ref_gi(unsigned gpu, unsigned gi) {
    return (struct ref){.kind = HANDLE_GI, .gpu = gpu, .gi = gi, .serial = the_node.state->gpus[gpu].gis[gi].serial};
}

struct ref ref_ci(enum handle_kind kind, unsigned gpu, unsigned gi, unsigned ci) {
    uint64_t serial = the_node.state->gpus[gpu].gis[gi].cis[ci].serial;
    return (struct ref){.kind = kind, .gpu = gpu, .gi = gi, .ci = ci, .serial = serial};
}

static bool still_there(const struct sim_gpu *gpu, const struct ref *ref) {
    const struct sim_gi *gi = &gpu->gis[ref->gi];
    if (ref->kind == HANDLE_GPU)
        return gpu->generation == ref->serial;
    if (ref->kind == HANDLE_GI)
        return gi->used && (gi->serial & SERIAL_MASK) == ref->serial;
    const struct sim_ci *ci = &gi->cis[ref->ci];
    return gi->used && ci->used && (ci->serial & SERIAL_MASK) == ref->serial;
}

nvmlReturn_t open_ref(struct scope *scope, const void *handle, unsigned kinds, bool change) {
    scope->busy.fd = scope->lock.fd = -1;
    if (!handle_read(handle, &scope->ref) || !(kinds >> scope->ref.kind & 1u) ||
        scope->ref.gpu >= the_node.state->gpu_count)
        return NVML_ERROR_INVALID_ARGUMENT;
    scope->gpu = &the_node.state->gpus[scope->ref.gpu];
    if ((change && !gpu_lock(&the_node, scope->ref.gpu, LOCK_LONG, &scope->busy)) ||
        !gpu_lock(&the_node, scope->ref.gpu, LOCK_SHORT, &scope->lock)) {
        close_ref(scope, 0);
        return NVML_ERROR_OPERATING_SYSTEM;
    }
    if (change && session_is_dead()) { /* it died while the call waited for its turn */
        close_ref(scope, 0);
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    if (still_there(scope->gpu, &scope->ref))
        return NVML_SUCCESS;
    nvmlReturn_t gone = scope->ref.kind == HANDLE_GPU ? NVML_ERROR_GPU_IS_LOST : NVML_ERROR_NOT_FOUND;
    close_ref(scope, 0);
    return gone;
}

void close_ref(struct scope *scope, unsigned busy_ms) {
    gpu_unlock(&scope->lock);
    if (busy_ms)
        sleep_ms(busy_ms);
    gpu_unlock(&scope->busy);
}
