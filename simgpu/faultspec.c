/* Faults as text, for the environment of one process and for a person at a terminal.
 *
 *   nvmlDeviceCreateGpuInstance*:gpu=1:code=15:times=2;nvmlInit_v2,nvmlInitWithFlags:code=18;nvmlDevice*:block=500
 *
 * Faults are parted by `;`, and a fault's parts by `:`. The first part names functions, parted by `,`; one that ends in
 * `*` means all that begin so. Then, in any order: `gpu` an index, `code` the nvmlReturn_t to return, `times` how many
 * calls it hits, `block` milliseconds that the call hangs, and `after`, which lets it strike when the work is done.
 * Promise: a text is read as a whole or refused with a sentence; nothing that it says is passed over. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct complaint {
    char *text;
    unsigned size;
};

static bool complain(const struct complaint *to, const char *what, const char *about) {
    snprintf(to->text, to->size, "%s: '%s'", what, about);
    return false;
}

static char *trimmed(char *text) {
    text += strspn(text, " \t\n");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static bool add_functions(char *list, struct sim_fault *fault, const struct complaint *to) {
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        name = trimmed(name);
        size_t length = strlen(name);
        bool prefix = length > 0 && name[length - 1] == '*', found = false;
        for (unsigned f = 0; f < FUNCTION_COUNT; f++) {
            const char *known = simgpu_function_name(f);
            if (prefix ? strncmp(known, name, length - 1) != 0 : strcmp(known, name) != 0)
                continue;
            fault->functions[f / 64] |= 1ULL << f % 64;
            found = true;
        }
        if (!found)
            return complain(to, "the simulated library has no function", name);
    }
    return true;
}

static bool add_number(const char *pair, struct sim_fault *fault, const struct complaint *to) {
    const struct {
        const char *key;
        uint32_t *field;
    } numbers[] = {
        {"gpu=", &fault->gpu},
        {"code=", &fault->code},
        {"times=", (uint32_t *)&fault->times},
        {"block=", &fault->block_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t length = strlen(numbers[i].key);
        if (strncmp(pair, numbers[i].key, length) != 0)
            continue;
        char *end;
        errno = 0;
        unsigned long value = strtoul(pair + length, &end, 10);
        if (strspn(pair + length, "0123456789") == 0 || *end || errno || value > INT32_MAX)
            return complain(to, "this is no number from 0 to 2147483647", pair);
        *numbers[i].field = (uint32_t)value;
        return true;
    }
    return complain(to, "write gpu=, code=, times=, block= or after, not", pair);
}

static bool read_fault(char *text, struct sim_fault *fault, const struct complaint *to) {
    char *rest = NULL, *part = strtok_r(text, ":", &rest);
    char whole[64];
    snprintf(whole, sizeof whole, "%s", part ? trimmed(part) : "");
    *fault = (struct sim_fault){.gpu = SIM_ANY, .times = -1};
    if (!part || !add_functions(part, fault, to))
        return part ? false : complain(to, "a fault begins with a function", text);
    while ((part = strtok_r(NULL, ":", &rest))) {
        part = trimmed(part);
        if (strcmp(part, "after") == 0)
            fault->after = 1;
        else if (!add_number(part, fault, to))
            return false;
    }
    for (unsigned f = 0; fault->after && f < FUNCTION_COUNT; f++)
        if (!simgpu_has_effect(f))
            fault->functions[f / 64] &= ~(1ULL << f % 64);
    if (!fault->functions[0] && !fault->functions[1])
        return complain(to, "after is for functions that change something, unlike", whole);
    if (!fault->code && !fault->block_ms)
        return complain(to, "say code= or block=, or both, for", whole);
    return true;
}
_Static_assert(SIM_FUNCTION_WORDS == 2, "read_fault looks at two words");

/* Fills the table from its start and returns how many faults there are, or -1 with a sentence about what is wrong. */
EXPORT int simgpu_read_faults(const char *text, struct sim_fault table[SIM_FAULTS], char *error, unsigned size) {
    const struct complaint to = {error, size};
    int count = 0;
    char *copy = strdup(text), *rest = NULL;
    for (char *one = copy ? strtok_r(copy, ";", &rest) : NULL; one; one = strtok_r(NULL, ";", &rest)) {
        one = trimmed(one);
        if (!*one)
            continue;
        if (count == SIM_FAULTS || !read_fault(one, &table[count], &to)) {
            if (count == SIM_FAULTS)
                complain(&to, "there are too many faults, from", one);
            count = -1;
            break;
        }
        count++;
    }
    free(copy);
    return count;
}
