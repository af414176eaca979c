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

#define TASK_PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

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

// Reaps the children that the kernel lists for this thread. False when the kernel keeps no list.
static bool reap_listed(pid_t keep)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    for (int pid; fscanf(file, "%d", &pid) == 1;) {
        if (pid != keep) {
            waitpid(pid, NULL, WNOHANG);
        }
    }
    fclose(file);
    return true;
}

void task_process_reap_orphans(pid_t keep)
{
    if (keep == 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        return;
    }
    if (reap_listed(keep)) {
        return;
    }
    struct processes all = {0};
    scan(&all);
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].parent == getpid() && all.items[i].pid != keep) {
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

// 0 when `file` is a regular file that may be executed.
static int check_program(const char *file)
{
    struct stat st;
    if (stat(file, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || access(file, X_OK) < 0) {
        return -EACCES;
    }
    return 0;
}

int task_process_find_program(const char *name, const char *path, char **ret_file,
                              struct error *err)
{
    if (strchr(name, '/') != NULL) {
        AUTO_FREE char *here = NULL;
        if (name[0] != '/') {
            char *directory = getcwd(NULL, 0);
            here = mem_printf("%s/", directory != NULL ? directory : "");
            free(directory);
        }
        *ret_file = mem_printf("%s%s", here != NULL ? here : "", name);
        return 0;
    }
    int result = -ENOENT;
    if (name[0] == '\0') {
        return error_errno(err, result, "Failed to execute ''");
    }
    for (const char *at = path != NULL ? path : TASK_PATH_DEFAULT; at != NULL;) {
        size_t size = strcspn(at, ":");
        AUTO_FREE char *file =
            size > 0 ? mem_printf("%.*s/%s", (int)size, at, name) : mem_printf("./%s", name);
        int r = check_program(file);
        if (r == 0) {
            if (file[0] == '/') {
                *ret_file = TAKE_PTR(file);
                return 0;
            }
            return task_process_find_program(file, NULL, ret_file, err);
        }
        if (r == -EACCES) {
            result = r;
        }
        at = at[size] == ':' ? at + size + 1 : NULL;
    }
    return error_errno(err, result, "Failed to execute '%s'", name);
}
