// SPDX-License-Identifier: Apache-2.0
//
// hop: is never the same process for long. Each starts the next one and ends, and takes its
// standard output along. After twenty seconds the last one goes by itself.

#include <time.h>
#include <unistd.h>

int main(void)
{
    time_t last = time(NULL) + 20;
    while (time(NULL) < last) {
        pid_t pid = fork();
        if (pid < 0) {
            return 1;
        }
        if (pid > 0) {
            _exit(0);
        }
    }
    return 0;
}
