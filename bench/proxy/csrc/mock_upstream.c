/* A chat API without a model: one thread, epoll, 127.0.0.1 only.
 *
 *   mock_upstream PORT        (0 picks a free port; the port is printed as the first line)
 *
 * A note in the text of any message says what to answer, e.g. {"content": "[mock: delay=20 pace=20 chunks=200] Hello"};
 * gateways that write the request anew keep the text where they may drop other fields:
 *   delay   ms before the first byte          pace    ms between SSE chunks (0: back to back, one write each)
 *   chunks  number of SSE chunks              bytes   size of a JSON answer's content
 *   status  another status than 200 (JSON answers only)
 * "stream": true asks for SSE in chunked framing; otherwise the answer is JSON with Content-Length. Each SSE chunk carries the
 * instant of its write as "@" and 19 digits (CLOCK_MONOTONIC, ns), from which the load generator takes the chunk's delay.
 * GET /stats tells {"requests", "cancelled", "active", "connections"}; cancelled = the peer left before its answer was complete.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 512, READ_BYTES = 16384, MAX_REQUEST = 64 << 20, MAX_ANSWER = 16 << 20 };

typedef struct {
    char *data;
    size_t start, end, room;
} buffer;

typedef struct {
    int fd;
    bool active, stream, head_sent, watching_write;
    long delay_ms, pace_ms, chunks, bytes, status;
    uint64_t due;      /* ns; only meaningful while in the heap */
    long heap_at;      /* index in the heap, -1 when not in it */
    buffer in, out;
} connection;

static int poller;
static connection **heap;
static long heap_size, heap_room;
static long requests, cancelled, active, connections;
static volatile sig_atomic_t stopping;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *must(void *memory) {
    if (!memory) die("memory");
    return memory;
}

/* ---- buffers -------------------------------------------------------------------------------------------------------- */

static size_t used(const buffer *b) { return b->end - b->start; }

static char *reserve(buffer *b, size_t extra) {
    if (b->start == b->end) b->start = b->end = 0;
    if (b->end + extra > b->room) {
        memmove(b->data, b->data + b->start, used(b));
        b->end -= b->start;
        b->start = 0;
        while (b->end + extra > b->room) b->room = b->room ? b->room * 2 : 4096;
        b->data = must(realloc(b->data, b->room));
    }
    return b->data + b->end;
}

/* ---- timers: a binary heap by due time ------------------------------------------------------------------------------- */

static void heap_put(long i, connection *c) {
    heap[i] = c;
    c->heap_at = i;
}

static void heap_sift(long i, connection *c) {
    for (; i > 0 && heap[(i - 1) / 2]->due > c->due; i = (i - 1) / 2) heap_put(i, heap[(i - 1) / 2]);
    for (;;) {
        long child = 2 * i + 1;
        if (child >= heap_size) break;
        if (child + 1 < heap_size && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        heap_put(i, heap[child]);
        i = child;
    }
    heap_put(i, c);
}

static void wake_at(connection *c, uint64_t due) {
    c->due = due;
    if (heap_size == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 1024;
        heap = must(realloc(heap, (size_t)heap_room * sizeof *heap));
    }
    heap_sift(heap_size++, c);
}

static void wake_not(connection *c) {
    if (c->heap_at < 0) return;
    long hole = c->heap_at;
    c->heap_at = -1;
    connection *last = heap[--heap_size];
    if (last != c) heap_sift(hole, last);
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static void watch(connection *c, bool writing) {
    if (writing == c->watching_write) return;
    c->watching_write = writing;
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static bool flush(connection *c) {
    while (used(&c->out)) {
        ssize_t n = send(c->fd, c->out.data + c->out.start, used(&c->out), MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return false;
            watch(c, true);
            return true;
        }
        c->out.start += (size_t)n;
    }
    watch(c, false);
    return true;
}

static bool put(connection *c, const char *data, size_t n) {
    memcpy(reserve(&c->out, n), data, n);
    c->out.end += n;
    return flush(c);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static const char vendor_headers[] =
    "date: Mon, 05 Jan 2026 08:00:00 GMT\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 21\r\n"
    "x-request-id: req_5f3a9c0e7b1d4286\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9998\r\n";

static bool answer_json(connection *c) {
    static const char filler[] = "That sounds heavy, and it makes sense that you are tired. ";
    size_t size = (size_t)c->bytes;
    char *content = must(malloc(size + 1));
    for (size_t i = 0; i < size; i++) content[i] = filler[i % (sizeof filler - 1)];
    content[size] = 0;
    char *body = must(malloc(size + 1024)), head[1024];
    int body_size = sprintf(body,
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1767600000,\"model\":\"bench-1\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":380,\"total_tokens\":590},\"system_fingerprint\":\"fp_bench\"}",
        content);
    int head_size = snprintf(head, sizeof head, "HTTP/1.1 %ld %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n",
                             c->status, c->status == 200 ? "OK" : "Other", body_size, vendor_headers);
    memcpy(reserve(&c->out, (size_t)(head_size + body_size)), head, (size_t)head_size);
    memcpy(c->out.data + c->out.end + head_size, body, (size_t)body_size);
    c->out.end += (size_t)(head_size + body_size);
    free(content);
    free(body);
    return flush(c);
}

static bool answer_sse_head(connection *c) {
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
                     "transfer-encoding: chunked\r\n%s\r\n", vendor_headers);
    c->head_sent = true;
    return put(c, head, (size_t)n);
}

static bool answer_sse_chunk(connection *c) {
    char event[512], framed[600];
    int n = snprintf(event, sizeof event,
                     "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1767600000,"
                     "\"model\":\"bench-1\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{\"index\":0,\"delta\":"
                     "{\"content\":\"@%019llu \"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", (unsigned long long)now_ns());
    int m = snprintf(framed, sizeof framed, "%x\r\n%s\r\n", (unsigned)n, event);
    return put(c, framed, (size_t)m);
}

static void finish(connection *c) {
    c->active = false;
    active--;
}

static bool serve(connection *c);

/* The next piece of the running answer; false when the peer is gone. */
static bool step(connection *c) {
    if (!c->stream) {
        finish(c);
        return answer_json(c) && serve(c);
    }
    if (!c->head_sent && !answer_sse_head(c)) return false;
    while (c->chunks > 0) {
        if (!answer_sse_chunk(c)) return false;
        c->chunks--;
        if (c->pace_ms && c->chunks) {
            uint64_t base = c->due ? c->due : now_ns();
            wake_at(c, base + (uint64_t)c->pace_ms * 1000000ull);
            return true;
        }
    }
    static const char last[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    finish(c);
    return put(c, last, sizeof last - 1) && serve(c);
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

static long header_number(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    return at ? atol(at + strlen(name)) : -1;
}

/* Bytes of the body's wire form, or -1 while it is incomplete. */
static long body_size(const char *head, const char *body, size_t have) {
    if (strcasestr(head, "\ntransfer-encoding:")) {
        if (have >= 5 && !memcmp(body, "0\r\n\r\n", 5)) return 5;
        const char *end = memmem(body, have, "\r\n0\r\n\r\n", 7);
        return end ? end - body + 7 : -1;
    }
    long length = header_number(head, "\ncontent-length:");
    if (length < 0) length = 0;
    return (size_t)length <= have ? length : -1;
}

static long wish(const char *text, const char *end, const char *name, long otherwise) {
    const char *at = memmem(text, (size_t)(end - text), name, strlen(name));
    return at ? atol(at + strlen(name)) : otherwise;
}

static void read_wishes(connection *c, const char *body, size_t size) {
    static const char mark[] = "[mock:";
    const char *note = memmem(body, size, mark, sizeof mark - 1);
    const char *end = note ? memchr(note, ']', (size_t)(body + size - note)) : NULL;
    if (!end) note = end = body;
    c->delay_ms = wish(note, end, "delay=", 0);
    c->pace_ms = wish(note, end, "pace=", 0);
    c->chunks = wish(note, end, "chunks=", 100);
    c->status = wish(note, end, "status=", 200);
    c->bytes = wish(note, end, "bytes=", 1740); /* 2 KB with its JSON envelope */
    if (c->bytes < 0 || c->bytes > MAX_ANSWER) c->bytes = 1740;
    c->stream = memmem(body, size, "\"stream\": true", 14) || memmem(body, size, "\"stream\":true", 13);
    c->head_sent = false;
}

static bool answer_stats(connection *c) {
    char body[256], all[512];
    int n = snprintf(body, sizeof body, "{\"requests\": %ld, \"cancelled\": %ld, \"active\": %ld, \"connections\": %ld}\n", requests,
                     cancelled, active, connections);
    int m = snprintf(all, sizeof all, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
    return put(c, all, (size_t)m) && serve(c);
}

/* Takes the next complete request from the input, if there is one and no answer is running. */
static bool serve(connection *c) {
    if (c->active || !used(&c->in)) return true;
    char *head = c->in.data + c->in.start;
    char *blank = memmem(head, used(&c->in), "\r\n\r\n", 4);
    if (!blank) return used(&c->in) < 65536;
    size_t head_size = (size_t)(blank - head) + 4;
    blank[2] = 0; /* the head as a string; restored below, for the body may still be incomplete */
    bool stats = !strncmp(head, "GET /stats ", 11);
    long size = body_size(head, head + head_size, used(&c->in) - head_size);
    blank[2] = '\r';
    if (size < 0) return used(&c->in) < MAX_REQUEST;
    if (!stats) read_wishes(c, head + head_size, (size_t)size);
    c->in.start += head_size + (size_t)size;
    if (stats) return answer_stats(c);
    requests++;
    active++;
    c->active = true;
    c->due = 0;
    if (!c->delay_ms) return step(c);
    wake_at(c, now_ns() + (uint64_t)c->delay_ms * 1000000ull);
    return true;
}

/* ---- connections ----------------------------------------------------------------------------------------------------- */

static void drop(connection *c) {
    if (c->active) {
        cancelled++;
        finish(c);
    }
    wake_not(c);
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
    connections--;
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *c = must(calloc(1, sizeof *c));
        c->fd = fd;
        c->heap_at = -1;
        connections++;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static bool readable(connection *c) {
    ssize_t n = recv(c->fd, reserve(&c->in, READ_BYTES), READ_BYTES, 0);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    c->in.end += (size_t)n;
    return serve(c);
}

static void run_timers(void) {
    uint64_t now = now_ns();
    while (heap_size && heap[0]->due <= now) {
        connection *c = heap[0];
        wake_not(c);
        if (!step(c)) drop(c);
    }
}

static int until_next(void) {
    if (!heap_size) return 1000;
    uint64_t now = now_ns();
    return heap[0]->due <= now ? 0 : (int)((heap[0]->due - now + 999999) / 1000000);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) die("listen");
    getsockname(fd, (struct sockaddr *)&a, &size);
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void on_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: mock_upstream PORT\n");
        return 2;
    }
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    int listener = listen_on(atoi(argv[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    while (!stopping) {
        int n = epoll_wait(poller, events, MAX_EVENTS, until_next());
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            bool alive = !(events[i].events & EPOLLOUT) || flush(c);
            if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = readable(c);
            if (!alive) drop(c);
        }
        run_timers();
    }
    return 0;
}
