/* The mapped state file and the locks beside it.
 *
 * Why flock on a file per GPU, opened anew for each critical section: it excludes threads and processes alike (two open
 * file descriptions never share a lock), it works across containers that mount the same folder, and the kernel drops it
 * when its holder dies, whatever killed it. It costs a few microseconds, which no caller of a GPU driver notices. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static nvmlReturn_t check(const struct sim_state *state) {
    if (state->magic != SIM_MAGIC)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    return state->layout == SIM_LAYOUT ? NVML_SUCCESS : NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}

static nvmlReturn_t map(struct sim_node *node, int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_size < (off_t)sizeof(struct sim_state))
        return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    if (node->state && node->device == info.st_dev && node->inode == info.st_ino)
        return NVML_SUCCESS; /* the same node again: handles of the earlier session keep their meaning */
    void *memory = mmap(NULL, sizeof(struct sim_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return NVML_ERROR_OPERATING_SYSTEM;
    nvmlReturn_t result = check(memory);
    if (result != NVML_SUCCESS) {
        munmap(memory, sizeof(struct sim_state));
        return result;
    }
    /* An earlier mapping is left in place: another thread may still read it. */
    node->state = memory;
    node->device = info.st_dev;
    node->inode = info.st_ino;
    return NVML_SUCCESS;
}

nvmlReturn_t node_open(struct sim_node *node, const char *directory) {
    char path[4096];
    if (!directory || !*directory || strlen(directory) >= sizeof node->directory)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    snprintf(path, sizeof path, "%s/state", directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    nvmlReturn_t result = map(node, fd);
    close(fd);
    if (result == NVML_SUCCESS)
        strcpy(node->directory, directory);
    return result;
}

void node_close(struct sim_node *node) {
    if (node->state)
        munmap(node->state, sizeof(struct sim_state));
    memset(node, 0, sizeof *node);
}

bool gpu_lock(const struct sim_node *node, unsigned gpu, enum lock_kind kind, struct gpu_lock *lock) {
    char path[4096];
    snprintf(path, sizeof path, "%s/gpu-%u.%s", node->directory, gpu, kind == LOCK_LONG ? "busy" : "lock");
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->fd < 0)
        return false;
    while (flock(lock->fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            close(lock->fd);
            lock->fd = -1;
            return false;
        }
    }
    return true;
}

void gpu_unlock(struct gpu_lock *lock) {
    if (lock->fd < 0)
        return;
    flock(lock->fd, LOCK_UN); /* said aloud: a child forked meanwhile has a copy of the descriptor */
    close(lock->fd);
    lock->fd = -1;
}

void sleep_ms(unsigned milliseconds) {
    struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
