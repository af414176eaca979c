// SPDX-License-Identifier: Apache-2.0
//
// A container's input and output at this program's own: two requests at once. The output's answer
// is a stream of records; once it has begun, the input's request is one, which ends with standard
// input. On a terminal, keys go through as they are (raw mode), and a new size of the window is
// told to the container. The terminal is put back whatever happens.

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/timer.h"
#include "cli/cli.h"
#include "cli/cli_curl.h"
#include "wire/content.h"
#include "wire/recordio.h"

enum {
    RECORD_SIZE_MAX = 4 * 1024 * 1024,
    QUEUE_MAX = 256 * 1024, // with more than this unsent, standard input waits
    HEARTBEAT_MS = 15000,   // agents drop an input that is silent for a minute
    TURN_MS = 5000,
    KEY_CTRL_P = 0x10,
    KEY_CTRL_Q = 0x11,
};

struct io {
    struct cli *cli;
    const struct cli_io_options *options;
    CURLM *multi;
    CURL *output, *input; // input: NULL until it is wanted
    struct curl_slist *output_headers, *input_headers;
    char output_error[CURL_ERROR_SIZE], input_error[CURL_ERROR_SIZE];
    struct buf call; // the body of the output's request
    struct recordio_reader records;
    struct buf refusal;   // the body of an output's answer that is no stream
    struct buf to_send;   // input that was framed and not taken yet
    bool input_is_paused; // libcurl waits for to_send
    bool input_has_ended; // nothing will be added to to_send
    bool output_has_ended;
    bool saw_ctrl_p;
    int64_t sent_at_ms; // the last record of input
    bool is_raw;
    struct termios before;
    sigset_t signals_before;
    int signals;
    enum cli_io_end end;
    int signal;
    struct error err;
};

static int fail(struct io *io, int code, const char *text)
{
    return error_set(&io->err, code, "%s", text);
}

// ---- what comes out ----

static void end_by_signal(struct io *io, int number)
{
    io->end = CLI_IO_SIGNALLED;
    io->signal = number;
    io->output_has_ended = true;
}

static void write_all(struct io *io, int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno == EAGAIN) {
            struct curl_waitfd wait = {.fd = fd, .events = CURL_WAIT_POLLOUT};
            curl_multi_wait(io->multi, &wait, 1, 1000, NULL);
            continue;
        }
        if (written < 0 && errno == EPIPE) {
            end_by_signal(io, SIGPIPE); // as programs that know nothing of it end
            return;
        }
        if (written < 0) {
            fail(io, CLI_ERROR_FAILED, "The output cannot be written");
            return;
        }
        at += written;
        size -= (size_t)written;
    }
}

static int on_record(void *ctx, const void *record, size_t size)
{
    struct io *io = ctx;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message;
    struct error err;
    int r =
        wire_decode(&mesos__v1__agent__process_io__descriptor, arena, record, size, &message, &err);
    if (r < 0) {
        return fail(io, CLI_ERROR_FAILED, err.text);
    }
    const Mesos__V1__Agent__ProcessIO *piece = (const Mesos__V1__Agent__ProcessIO *)message;
    if (piece->data != NULL && piece->data->has_data) {
        bool is_error = piece->data->type == MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDERR;
        write_all(io, is_error ? STDERR_FILENO : STDOUT_FILENO, piece->data->data.data,
                  piece->data->data.len);
    }
    return io->err.code;
}

static size_t take_output(char *data, size_t size, size_t count, void *ctx)
{
    struct io *io = ctx;
    long status = 0;
    size *= count;
    if (io->output_has_ended) {
        return 0;
    }
    curl_easy_getinfo(io->output, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        buf_append(&io->refusal, data, io->refusal.size < 4096 ? size : 0);
        return size;
    }
    int r = recordio_feed(&io->records, data, size, on_record, io, &io->err);
    return r < 0 ? 0 : size;
}

// ---- what goes in ----

static void resume_input(struct io *io)
{
    if (io->input_is_paused && (io->to_send.size > 0 || io->input_has_ended)) {
        io->input_is_paused = false;
        curl_easy_pause(io->input, CURLPAUSE_CONT);
    }
}

static size_t give_input(char *data, size_t size, size_t count, void *ctx)
{
    struct io *io = ctx;
    size_t room = size * count;
    if (io->to_send.size == 0) {
        io->input_is_paused = !io->input_has_ended;
        return io->input_has_ended ? 0 : CURL_READFUNC_PAUSE;
    }
    size_t now = io->to_send.size < room ? io->to_send.size : room;
    memcpy(data, io->to_send.data, now);
    buf_consume(&io->to_send, now);
    return now;
}

static size_t drop_answer(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void send_input(struct io *io, Mesos__V1__Agent__Call__AttachContainerInput *body)
{
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    const void *packed;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_INPUT;
    call.attach_container_input = body;
    size_t size = wire_pack(&call.base, &packed);
    recordio_put(&io->to_send, packed, size);
    io->sent_at_ms = now_ms();
    resume_input(io);
}

static void send_container_id(struct io *io)
{
    Mesos__V1__Agent__Call__AttachContainerInput body =
        MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__INIT;
    body.has_type = true;
    body.type = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID;
    body.container_id = (Mesos__V1__ContainerID *)(uintptr_t)io->options->container_id;
    send_input(io, &body);
}

static void send_process_io(struct io *io, Mesos__V1__Agent__ProcessIO *piece)
{
    Mesos__V1__Agent__Call__AttachContainerInput body =
        MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__INIT;
    body.has_type = true;
    body.type = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__PROCESS_IO;
    body.process_io = piece;
    send_input(io, &body);
}

// No bytes: the input's end.
static void send_data(struct io *io, const void *data, size_t size)
{
    Mesos__V1__Agent__ProcessIO__Data body = MESOS__V1__AGENT__PROCESS_IO__DATA__INIT;
    Mesos__V1__Agent__ProcessIO piece = MESOS__V1__AGENT__PROCESS_IO__INIT;
    body.has_type = body.has_data = true;
    body.type = MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDIN;
    body.data.data = (uint8_t *)(uintptr_t)data;
    body.data.len = size;
    piece.has_type = true;
    piece.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__DATA;
    piece.data = &body;
    send_process_io(io, &piece);
}

static void send_control(struct io *io, Mesos__V1__Agent__ProcessIO__Control *control)
{
    Mesos__V1__Agent__ProcessIO piece = MESOS__V1__AGENT__PROCESS_IO__INIT;
    piece.has_type = true;
    piece.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__CONTROL;
    piece.control = control;
    send_process_io(io, &piece);
}

static void send_window_size(struct io *io)
{
    Mesos__V1__TTYInfo__WindowSize size = MESOS__V1__TTYINFO__WINDOW_SIZE__INIT;
    Mesos__V1__TTYInfo tty = MESOS__V1__TTYINFO__INIT;
    Mesos__V1__Agent__ProcessIO__Control control = MESOS__V1__AGENT__PROCESS_IO__CONTROL__INIT;
    if (!cli_io_window_size(&size.rows, &size.columns)) {
        return;
    }
    tty.window_size = &size;
    control.has_type = true;
    control.type = MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__TTY_INFO;
    control.tty_info = &tty;
    send_control(io, &control);
}

static void send_heartbeat(struct io *io)
{
    Mesos__V1__DurationInfo interval = MESOS__V1__DURATION_INFO__INIT;
    Mesos__V1__Agent__ProcessIO__Control__Heartbeat heartbeat =
        MESOS__V1__AGENT__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    Mesos__V1__Agent__ProcessIO__Control control = MESOS__V1__AGENT__PROCESS_IO__CONTROL__INIT;
    interval.nanoseconds = HEARTBEAT_MS * NS_PER_MS;
    heartbeat.interval = &interval;
    control.has_type = true;
    control.type = MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__HEARTBEAT;
    control.heartbeat = &heartbeat;
    send_control(io, &control);
}

static void end_input(struct io *io)
{
    send_data(io, "", 0);
    io->input_has_ended = true;
    resume_input(io);
}

// ctrl-p ctrl-q detaches; ctrl-p alone waits for the next key and goes before it.
static bool detaches(struct io *io, char key, struct buf *keys)
{
    if (io->saw_ctrl_p) {
        io->saw_ctrl_p = false;
        if (key == KEY_CTRL_Q) {
            return true;
        }
        buf_putc(keys, KEY_CTRL_P);
    }
    if (key == KEY_CTRL_P) {
        io->saw_ctrl_p = true;
    } else {
        buf_putc(keys, key);
    }
    return false;
}

static void read_input(struct io *io)
{
    char data[16 * 1024];
    ssize_t size = read(STDIN_FILENO, data, sizeof(data));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (size <= 0) {
        end_input(io);
        return;
    }
    if (!io->is_raw || !io->options->may_detach) {
        send_data(io, data, (size_t)size);
        return;
    }
    AUTO_BUF struct buf keys = BUF_INIT;
    for (ssize_t i = 0; i < size; i++) {
        if (detaches(io, data[i], &keys)) {
            io->end = CLI_IO_DETACHED;
            io->output_has_ended = true;
            break;
        }
    }
    if (keys.size > 0) {
        send_data(io, keys.data, keys.size);
    }
}

// ---- the requests ----

static CURL *make_request(struct io *io, char *error_text)
{
    CURL *curl = curl_easy_init();
    CHECK(curl != NULL);
    cli_curl_set_url(curl, io->options->agent, "/api/v1");
    cli_curl_set_user(curl, io->cli->config.agent_principal, io->cli->config.agent_secret);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)io->cli->config.agent_timeout_s);
    return curl;
}

static void begin_output(struct io *io)
{
    wire_encode(&io->options->call->base, &io->call);
    io->output = make_request(io, io->output_error);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = cli_curl_header(headers, "Content-Type", CONTENT_PROTOBUF_NAME);
    headers = cli_curl_header(headers, "Accept", CONTENT_RECORDIO_NAME);
    io->output_headers = cli_curl_header(headers, "Message-Accept", CONTENT_PROTOBUF_NAME);
    curl_easy_setopt(io->output, CURLOPT_HTTPHEADER, io->output_headers);
    curl_easy_setopt(io->output, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)io->call.size);
    curl_easy_setopt(io->output, CURLOPT_POSTFIELDS, io->call.data);
    curl_easy_setopt(io->output, CURLOPT_WRITEFUNCTION, take_output);
    curl_easy_setopt(io->output, CURLOPT_WRITEDATA, io);
    curl_multi_add_handle(io->multi, io->output);
}

static void begin_input(struct io *io)
{
    io->input = make_request(io, io->input_error);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = cli_curl_header(headers, "Transfer-Encoding", "chunked");
    headers = cli_curl_header(headers, "Content-Type", CONTENT_RECORDIO_NAME);
    headers = cli_curl_header(headers, "Accept", CONTENT_PROTOBUF_NAME);
    io->input_headers = cli_curl_header(headers, "Message-Content-Type", CONTENT_PROTOBUF_NAME);
    curl_easy_setopt(io->input, CURLOPT_HTTPHEADER, io->input_headers);
    curl_easy_setopt(io->input, CURLOPT_READFUNCTION, give_input);
    curl_easy_setopt(io->input, CURLOPT_READDATA, io);
    curl_easy_setopt(io->input, CURLOPT_WRITEFUNCTION, drop_answer);
    // A connection of its own: the other one is busy as long as there is output.
    curl_easy_setopt(io->input, CURLOPT_FRESH_CONNECT, 1L);
    send_container_id(io);
    if (io->options->is_terminal) {
        send_window_size(io);
    }
    if (!io->options->takes_input && io->options->ends_input) {
        end_input(io);
    }
    curl_multi_add_handle(io->multi, io->input);
}

static bool wants_input(const struct io *io)
{
    return io->options->takes_input || io->options->ends_input || io->options->is_terminal;
}

static void finish_output(struct io *io, CURLcode code)
{
    long status = 0;
    if (io->output_has_ended) {
        return; // it was given up here
    }
    io->output_has_ended = true;
    curl_easy_getinfo(io->output, CURLINFO_RESPONSE_CODE, &status);
    if (io->err.code != 0) {
        return;
    }
    if (status != 0 && status != 200) {
        struct cli_answer answer = {.status = (int)status,
                                    .body = io->refusal.size > 0 ? io->refusal.data : "",
                                    .size = io->refusal.size};
        cli_http_check(&answer, "The agent", &io->err);
    } else if (code != CURLE_OK) {
        cli_curl_error(code, io->output_error, io->options->agent, &io->err);
        cli_wrap(&io->err, CLI_ERROR_UNREACHABLE, "Cannot reach the agent");
    }
}

// An input that ends before the output does was refused, or the container has ended.
static void finish_input(struct io *io)
{
    long status = 0;
    curl_easy_getinfo(io->input, CURLINFO_RESPONSE_CODE, &status);
    io->input_has_ended = true;
    io->input_is_paused = false;
    if (status == 409) {
        fail(io, CLI_ERROR_FAILED, "Somebody else's input is attached to the container");
        io->output_has_ended = true;
    }
}

// A refusal may come while libcurl waits for more to send: then it does not say so.
static void look_for_refusal(struct io *io)
{
    long status = 0;
    if (io->input != NULL && !io->input_has_ended) {
        curl_easy_getinfo(io->input, CURLINFO_RESPONSE_CODE, &status);
    }
    if (status >= 400) {
        finish_input(io);
    }
}

static void look_at_requests(struct io *io)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(io->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        if (message->easy_handle == io->output) {
            finish_output(io, message->data.result);
        } else {
            finish_input(io);
        }
    }
    look_for_refusal(io);
    long status = 0;
    curl_easy_getinfo(io->output, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && io->input == NULL && wants_input(io) && !io->output_has_ended) {
        begin_input(io);
    }
}

// ---- the terminal and signals ----

bool cli_io_window_size(uint32_t *ret_rows, uint32_t *ret_columns)
{
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) {
        return false;
    }
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
    return true;
}

static void enter(struct io *io)
{
    sigset_t signals;
    sigemptyset(&signals);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGPIPE};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        sigaddset(&signals, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, &io->signals_before);
    io->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(io->signals >= 0);
    if (io->options->is_terminal && io->options->takes_input && isatty(STDIN_FILENO) &&
        tcgetattr(STDIN_FILENO, &io->before) == 0) {
        struct termios raw = io->before;
        cfmakeraw(&raw);
        io->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
}

static void leave(struct io *io)
{
    if (io->is_raw) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &io->before);
    }
    close(io->signals);
    // One that waits would end this program before the container is cleared away.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) == SIGPIPE) {
    }
    sigprocmask(SIG_SETMASK, &io->signals_before, NULL);
}

static void take_signals(struct io *io)
{
    struct signalfd_siginfo info;
    while (read(io->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGWINCH) {
            if (io->options->is_terminal && io->input != NULL && !io->input_has_ended) {
                send_window_size(io);
            }
        } else if (info.ssi_signo != SIGPIPE) {
            end_by_signal(io, (int)info.ssi_signo);
        }
    }
}

// ---- the run ----

// What is ready is done first: libcurl does not wake for what it knows already.
static void turn(struct io *io)
{
    int running;
    curl_multi_perform(io->multi, &running);
    look_at_requests(io);
    if (io->output_has_ended || io->err.code != 0) {
        return;
    }
    bool reads = io->options->takes_input && io->input != NULL && !io->input_has_ended &&
                 io->to_send.size < QUEUE_MAX;
    struct curl_waitfd wait[2] = {
        {.fd = io->signals, .events = CURL_WAIT_POLLIN},
        {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN},
    };
    curl_multi_poll(io->multi, wait, reads ? 2 : 1, TURN_MS, NULL);
    if (io->input != NULL && !io->input_has_ended && now_ms() - io->sent_at_ms >= HEARTBEAT_MS) {
        send_heartbeat(io);
    }
    take_signals(io);
    if (reads && wait[1].revents != 0 && !io->output_has_ended) {
        read_input(io);
    }
}

static void free_request(struct io *io, CURL *curl, struct curl_slist *headers)
{
    if (curl != NULL) {
        curl_multi_remove_handle(io->multi, curl);
        curl_easy_cleanup(curl);
    }
    curl_slist_free_all(headers);
}

int cli_io_run(struct cli *cli, const struct cli_io_options *options, enum cli_io_end *ret_end,
               int *ret_signal, struct error *err)
{
    struct io io = {.cli = cli, .options = options, .end = CLI_IO_ENDED};
    cli_flush();
    io.multi = curl_multi_init();
    CHECK(io.multi != NULL);
    recordio_reader_init(&io.records, RECORD_SIZE_MAX);
    enter(&io);
    begin_output(&io);
    while (!io.output_has_ended && io.err.code == 0) {
        turn(&io);
    }
    leave(&io);
    free_request(&io, io.input, io.input_headers);
    free_request(&io, io.output, io.output_headers);
    curl_multi_cleanup(io.multi);
    recordio_reader_free(&io.records);
    buf_free(&io.call);
    buf_free(&io.refusal);
    buf_free(&io.to_send);
    if (io.err.code != 0) {
        return error_set(err, io.err.code, "%s", io.err.text);
    }
    *ret_end = io.end;
    *ret_signal = io.signal;
    return 0;
}
