// SPDX-License-Identifier: Apache-2.0
//
// Private to this folder: what goes into and comes out of a container whose input and output go
// through the agent (container_nesting.is_session, container_launch.tty). The agent holds the other
// ends of three pipes, or the master's side of a terminal. Output is read when somebody listens, or
// is being drained at the end; that of a terminal of no session at any time. It also goes into the
// sandbox's files.

#pragma once

#include "container/container.h"

struct container_io;

// Makes the pipes or the terminal; the container's own ends are in `ret_fds` (0, 1 and 2), to be
// closed by the caller when the process runs. The sandbox's files are taken over.
int container_io_new(struct container *container, int file_fds[2], int ret_fds[3],
                     struct container_io **ret_io, struct error *err);
// Reads what is left without waiting, and tells the listeners that no more will come.
void container_io_end(struct container_io *io);
// The master's side of its terminal; -1: it has none. Not the caller's to close.
int container_io_terminal(const struct container_io *io);
// The same for one that an earlier agent launched, with that terminal. Both are taken over.
struct container_io *container_io_adopt(struct container *container, int terminal, int file_fd);
struct container_io *container_io_free(struct container_io *io); // NULL is fine; returns NULL
