// SPDX-License-Identifier: Apache-2.0
//
// Walks /proc. A tree may grow while it is walked; whoever kills repeats until nothing is left.

#include "task_process.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"

enum { STAT_SIZE_MAX = 4096 };

struct process {
    pid_t pid;
    pid_t parent;
    bool is_descendant;
};

struct processes {
    struct process *items;
    size_t count;
    size_t capacity;
};

int task_process_adopt_orphans(struct error *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
        return error_errno(err, -errno, "Cannot adopt the orphans of the task");
    }
    return 0;
}

// The parent of a process, or 0 when it is gone. The name in the second field may hold anything,
// so the fields are counted from its closing parenthesis.
static pid_t read_parent(const char *pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    AUTO_FREE char *data = NULL;
    size_t size;
    if (file_read(path, STAT_SIZE_MAX, &data, &size, NULL) < 0) {
        return 0;
    }
    const char *end = strrchr(data, ')');
    int parent = 0;
    if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1) {
        return 0;
    }
    return parent;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t left = ((const struct process *)a)->pid;
    pid_t right = ((const struct process *)b)->pid;
    return left < right ? -1 : left > right;
}

static void mark_descendants(struct processes *all)
{
    pid_t self = getpid();
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < all->count; i++) {
            struct process *one = &all->items[i];
            if (one->is_descendant) {
                continue;
            }
            struct process key = {.pid = one->parent};
            const struct process *parent =
                bsearch(&key, all->items, all->count, sizeof(key), compare_pids);
            if (one->parent == self || (parent != NULL && parent->is_descendant)) {
                one->is_descendant = true;
                changed = true;
            }
        }
    }
}

static void scan(struct processes *all)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') {
            continue;
        }
        pid_t parent = read_parent(entry->d_name);
        if (parent == 0) {
            continue;
        }
        if (all->count == all->capacity) {
            all->capacity = all->capacity > 0 ? all->capacity * 2 : 256;
            all->items = mem_realloc_array(all->items, all->capacity, sizeof(*all->items));
        }
        all->items[all->count++] =
            (struct process){.pid = (pid_t)atoi(entry->d_name), .parent = parent};
    }
    closedir(dir);
    if (all->count > 0) {
        qsort(all->items, all->count, sizeof(*all->items), compare_pids);
        mark_descendants(all);
    }
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid) {
            return true;
        }
    }
    return false;
}

// Reaps the children that the kernel lists for this thread. False when the kernel keeps no list.
static bool reap_listed(const pid_t *keep, size_t count)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    for (int pid; fscanf(file, "%d", &pid) == 1;) {
        if (!is_among(pid, keep, count)) {
            waitpid(pid, NULL, WNOHANG);
        }
    }
    fclose(file);
    return true;
}

void task_process_reap_orphans(const pid_t *keep, size_t count)
{
    if (count == 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        return;
    }
    if (reap_listed(keep, count)) {
        return;
    }
    struct processes all = {0};
    scan(&all);
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].parent == getpid() && !is_among(all.items[i].pid, keep, count)) {
            waitpid(all.items[i].pid, NULL, WNOHANG);
        }
    }
    mem_free(all.items);
}

bool task_process_has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

unsigned task_process_signal_all(int signal)
{
    struct processes all = {0};
    scan(&all);
    unsigned count = 0;
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].is_descendant) {
            kill(all.items[i].pid, signal);
            if (signal == SIGTERM) {
                kill(all.items[i].pid, SIGCONT); // a stopped process would not see it
            }
            count++;
        }
    }
    mem_free(all.items);
    return count;
}
