/* HTTP load on 127.0.0.1: one thread, epoll, keep-alive connections, bounded in time; prints one JSON line.
 *
 *   load_generator --port N --body FILE [--path P] [--connections N] [--seconds S] [--warmup S] [--rate R] [--spread MS]
 *                  [--vary 1]
 *
 * Without --rate a closed loop: each connection sends its next request when its answer is complete. With --rate an open
 * loop of R requests/s: latency counts from the instant at which the request was due, so that a stalled proxy can't hide
 * by holding the generator back. --spread starts the connections over that many ms instead of all at once.
 * --vary gives each request an X-Request-Id of its own, as tracing does, so that no two heads on a connection are equal.
 * A chunk's delay is the time from the instant that the mock wrote into it ("@" and 19 digits) to its arrival here.
 * "requests" and "chunks" count the whole run (for CPU per piece); all other figures leave the warm-up out. An answer other
 * than 200 or cut short is an error; a connection without a byte for the last two seconds of the run is "stalled".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 1024, HEAD_ROOM = 8192, READ_BYTES = 262144, MAX_SECONDS = 600, MAX_RECONNECTS = 20000, QUEUE = 1 << 18 };
enum { PATIENCE = 10 }; /* seconds that a load goes on for where nothing was measured before its end */
static const uint64_t SECOND = 1000000000ull;

typedef enum { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LAST_LINE, UNTIL_CLOSE } phase;

typedef struct {
    int fd;
    bool busy, started, closing, line_has_text, seen_mark, watching_write;
    phase at;
    int status;
    size_t sent, head_used;
    long left;          /* bytes left of the body or of the chunk */
    uint64_t since;     /* when the request was due */
    uint64_t last_byte;
    int mark_digits;    /* -1: not in a mark */
    uint64_t mark;
    char head[HEAD_ROOM];
} connection;

typedef struct {
    float *at;          /* microseconds */
    size_t size, room;
} series;

static struct {
    int port;
    const char *path, *body;
    long connections;
    double seconds, warmup, rate, spread;
    int vary;
} wanted = {.path = "/v1/chat/completions", .connections = 1, .seconds = 1};

static connection *all;
static int poller;
static char *request;
static size_t request_size;
static char *request_id; /* 16 digits within the request, or NULL */
static bool measuring;
static long requests, chunks, measured, measured_chunks, errors, reconnects;
static uint64_t bytes;
static series latency, first_chunk, chunk_delay;
static long *idle, idle_size;
static uint64_t *due, due_head, due_tail;
static uint64_t ends;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void add(series *s, uint64_t ns) {
    if (s->size == s->room) {
        s->room = s->room ? s->room * 2 : 65536;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at) die("memory");
    }
    s->at[s->size++] = (float)ns / 1000;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const series *s, double q) { return s->size ? s->at[(size_t)(q * (double)(s->size - 1) + 0.5)] : 0; }

/* ---- sending --------------------------------------------------------------------------------------------------------- */

static void connect_one(connection *c) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wanted.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a)) die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->watching_write = false;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void push_out(connection *c) {
    while (c->sent < request_size) {
        ssize_t n = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0) break; /* full: go on when writable; broken: the read side will tell */
        c->sent += (size_t)n;
    }
    bool writing = c->sent < request_size;
    if (writing != c->watching_write) {
        c->watching_write = writing;
        struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    }
}

static void begin(connection *c, uint64_t since) {
    c->busy = c->started = true;
    c->at = HEAD;
    c->sent = c->head_used = 0;
    c->since = c->last_byte = since;
    c->seen_mark = c->closing = false;
    c->mark_digits = -1;
    if (request_id) {
        static unsigned long long sequence;
        char digits[17];
        snprintf(digits, sizeof digits, "%016llu", ++sequence);
        memcpy(request_id, digits, 16);
    }
    push_out(c);
}

/* Gives an idle connection its next request: at once in a closed loop, else the longest overdue one. */
static void next(connection *c) {
    if (wanted.rate == 0) {
        begin(c, now_ns());
    } else if (due_head < due_tail) {
        begin(c, due[due_head++ % QUEUE]);
    } else {
        idle[idle_size++] = c - all;
    }
}

static void reconnect(connection *c) {
    close(c->fd);
    if (++reconnects > MAX_RECONNECTS) {
        fprintf(stderr, "the proxy closes connections without end\n");
        exit(1);
    }
    connect_one(c);
}

/* ---- receiving ------------------------------------------------------------------------------------------------------- */

static void complete(connection *c, uint64_t now) {
    c->busy = false;
    requests++;
    if (c->status != 200) errors++;
    if (measuring) {
        measured++;
        add(&latency, now - c->since);
    }
    if (c->closing) reconnect(c);
    next(c);
}

static void mark_seen(connection *c, uint64_t now) {
    chunks++;
    if (measuring) {
        measured_chunks++;
        if (now > c->mark) add(&chunk_delay, now - c->mark);
        if (!c->seen_mark) add(&first_chunk, now - c->since);
    }
    c->seen_mark = true;
}

static void find_marks(connection *c, const char *data, size_t n, uint64_t now) {
    for (const char *p = data, *end = data + n; p < end; p++) {
        if (c->mark_digits < 0) {
            p = memchr(p, '@', (size_t)(end - p));
            if (!p) return;
            c->mark_digits = 0;
            c->mark = 0;
        } else if (*p >= '0' && *p <= '9') {
            c->mark = c->mark * 10 + (uint64_t)(*p - '0');
            c->mark_digits++;
        } else {
            if (c->mark_digits == 19) mark_seen(c, now);
            c->mark_digits = -1;
        }
    }
}

static int hex_digit(char x) {
    if (x >= '0' && x <= '9') return x - '0';
    x = (char)(x | 32);
    return x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
}

/* Reads the framing of a body; returns bytes taken, and sets *done at its end. */
static size_t read_body(connection *c, const char *data, size_t n, uint64_t now, bool *done) {
    size_t i = 0;
    while (i < n && !*done) {
        if (c->at == LENGTH || c->at == CHUNK_DATA || c->at == UNTIL_CLOSE) {
            size_t take = n - i;
            if (c->at != UNTIL_CLOSE && take > (size_t)c->left) take = (size_t)c->left;
            find_marks(c, data + i, take, now);
            i += take;
            c->left -= (long)take;
            if (c->at == UNTIL_CLOSE || c->left) continue;
            if (c->at == LENGTH) *done = true;
            else c->at = CHUNK_END;
            continue;
        }
        char x = data[i++];
        if (c->at == CHUNK_SIZE) {
            int digit = hex_digit(x);
            if (x == '\n') {
                c->at = c->left ? CHUNK_DATA : LAST_LINE;
                c->line_has_text = false;
            } else if (digit >= 0) {
                c->left = c->left * 16 + digit;
            }
        } else if (c->at == CHUNK_END && x == '\n') {
            c->at = CHUNK_SIZE;
            c->left = 0;
        } else if (c->at == LAST_LINE) {
            if (x == '\n' && !c->line_has_text) *done = true;
            if (x == '\n') c->line_has_text = false;
            else if (x != '\r') c->line_has_text = true;
        }
    }
    return i;
}

/* Collects the head; returns bytes taken of these, and sets c->at to the body's framing when the head is complete. */
static size_t read_head(connection *c, const char *data, size_t n, bool *done) {
    size_t room = HEAD_ROOM - 1 - c->head_used, take = n < room ? n : room, before = c->head_used;
    memcpy(c->head + before, data, take);
    c->head_used += take;
    c->head[c->head_used] = 0;
    char *blank = memmem(c->head, c->head_used, "\r\n\r\n", 4);
    if (!blank) return take;
    blank[2] = 0;
    c->status = atoi(c->head + 9);
    if (c->status < 200) { /* an interim answer: the real head follows */
        c->head_used = 0;
        return (size_t)(blank + 4 - c->head) - before;
    }
    char *length = strcasestr(c->head, "\ncontent-length:");
    c->closing = strcasestr(c->head, "\nconnection: close") != NULL;
    c->left = length ? atol(length + 16) : 0;
    c->at = length ? LENGTH : strcasestr(c->head, "\ntransfer-encoding: chunked") ? CHUNK_SIZE : UNTIL_CLOSE;
    *done = length && !c->left;
    return (size_t)(blank + 4 - c->head) - before;
}

static void closed(connection *c) {
    bool ended = c->busy && c->at == UNTIL_CLOSE;
    if (c->busy && !ended) errors++;
    bool was_busy = c->busy;
    c->busy = false;
    if (ended) {
        c->closing = true;
        complete(c, now_ns());
        return;
    }
    reconnect(c);
    if (was_busy) next(c);
}

static void readable(connection *c) {
    static char data[READ_BYTES];
    ssize_t got = recv(c->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        closed(c);
        return;
    }
    uint64_t now = now_ns();
    if (measuring) bytes += (uint64_t)got;
    c->last_byte = now;
    bool done = false;
    for (size_t i = 0; i < (size_t)got && c->busy && !done;) {
        i += c->at == HEAD ? read_head(c, data + i, (size_t)got - i, &done) : read_body(c, data + i, (size_t)got - i, now, &done);
    }
    if (done) complete(c, now);
}

/* ---- the run --------------------------------------------------------------------------------------------------------- */

static void make_request(void) {
    FILE *f = fopen(wanted.body, "rb");
    if (!f) die(wanted.body);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    request = malloc((size_t)size + 2048);
    if (!request) die("memory");
    int head = sprintf(request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
        "Content-Type: application/json\r\nAuthorization: Bearer sk-bench-0000000000\r\nUser-Agent: OpenAI/Python 3.54.0\r\n"
        "X-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\nX-Stainless-Retry-Count: 0\r\n%sContent-Length: %ld\r\n\r\n",
        wanted.path, wanted.port, wanted.vary ? "X-Request-Id: 0000000000000000\r\n" : "", size);
    if (wanted.vary) request_id = strstr(request, "X-Request-Id: ") + 14;
    if (fread(request + head, 1, (size_t)size, f) != (size_t)size) die(wanted.body);
    fclose(f);
    request_size = (size_t)head + (size_t)size;
}

static uint64_t schedule(uint64_t begun, uint64_t now) {
    static uint64_t sent;
    for (;;) {
        uint64_t at = begun + (uint64_t)((double)sent * 1e9 / wanted.rate);
        if (at > now || at >= ends) return at;
        sent++;
        if (idle_size) {
            begin(&all[idle[--idle_size]], at);
        } else if (due_tail - due_head < QUEUE) {
            due[due_tail++ % QUEUE] = at;
        }
    }
}

/* Starts those connections of a closed loop whose turn has come; returns when the next one's comes, or 0 after the last. */
static uint64_t start_more(uint64_t begun, uint64_t now) {
    static long at;
    for (; at < wanted.connections; at++) {
        uint64_t turn = begun + (uint64_t)(wanted.spread * 1e6 * (double)at / (double)wanted.connections);
        if (turn > now) return turn;
        begin(&all[at], now);
    }
    return 0;
}

static void arm(int timer, uint64_t at) {
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run(void) {
    uint64_t begun = now_ns(), measure_at = begun + (uint64_t)(wanted.warmup * 1e9), armed = 0;
    ends = measure_at + (uint64_t)(wanted.seconds * 1e9);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    /* A machine that stands still may take all of a short load's time. */
    for (uint64_t now = begun; now < ends || (!measured && !measured_chunks && now < ends + PATIENCE * SECOND); now = now_ns()) {
        measuring = now >= measure_at;
        uint64_t wake = wanted.rate > 0 ? schedule(begun, now) : start_more(begun, now);
        if (wake && wake != armed) arm(timer, armed = wake);
        int n = epoll_wait(poller, events, MAX_EVENTS, 20);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            uint64_t ticks;
            if (!c) {
                if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
                continue;
            }
            if (events[i].events & EPOLLOUT && c->busy) push_out(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
    }
}

static void report(void) {
    long stalled = 0, open = 0;
    for (long i = 0; i < wanted.connections; i++) {
        open += all[i].busy;
        stalled += all[i].busy && ends - all[i].last_byte > 2 * SECOND && all[i].last_byte < ends;
    }
    series *sorted[] = {&latency, &first_chunk, &chunk_delay};
    for (int i = 0; i < 3; i++) qsort(sorted[i]->at, sorted[i]->size, sizeof(float), by_value);
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) + (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\": %ld, \"chunks\": %ld, \"measured\": %ld, \"measured_chunks\": %ld, \"errors\": %ld, \"stalled\": %ld, "
           "\"open\": %ld, \"reconnects\": %ld, \"requests_per_second\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f, \"first_chunk_p50_us\": %.1f, \"first_chunk_p99_us\": %.1f, \"chunk_delay_p50_us\": %.1f, "
           "\"chunk_delay_p99_us\": %.1f, \"bytes\": %llu, \"cpu_seconds\": %.4f}\n",
           requests, chunks, measured, measured_chunks, errors, stalled, open, reconnects, (double)measured / wanted.seconds,
           quantile(&latency, .5), quantile(&latency, .9), quantile(&latency, .99), quantile(&latency, 1), quantile(&first_chunk, .5),
           quantile(&first_chunk, .99), quantile(&chunk_delay, .5), quantile(&chunk_delay, .99), (unsigned long long)bytes, cpu);
}

static void read_options(int argc, char **argv) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'},   {"body", 1, 0, 'b'}, {"path", 1, 0, 'a'},   {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
        {"warmup", 1, 0, 'w'}, {"rate", 1, 0, 'r'}, {"spread", 1, 0, 'd'}, {"vary", 1, 0, 'v'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': wanted.port = atoi(optarg); break;
        case 'b': wanted.body = optarg; break;
        case 'a': wanted.path = optarg; break;
        case 'c': wanted.connections = atol(optarg); break;
        case 's': wanted.seconds = atof(optarg); break;
        case 'w': wanted.warmup = atof(optarg); break;
        case 'r': wanted.rate = atof(optarg); break;
        case 'd': wanted.spread = atof(optarg); break;
        case 'v': wanted.vary = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (!wanted.port || !wanted.body || wanted.connections < 1 || wanted.seconds <= 0 || wanted.seconds + wanted.warmup > MAX_SECONDS) {
        fprintf(stderr, "needs --port and --body, at least one connection, and at most %d seconds\n", MAX_SECONDS);
        exit(2);
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    make_request();
    poller = epoll_create1(EPOLL_CLOEXEC);
    all = calloc((size_t)wanted.connections, sizeof *all);
    idle = calloc((size_t)wanted.connections + 1, sizeof *idle);
    due = calloc(QUEUE, sizeof *due);
    if (!all || !idle || !due) die("memory");
    for (long i = 0; i < wanted.connections; i++) connect_one(&all[i]);
    if (wanted.rate > 0)
        for (long i = wanted.connections; i-- > 0;) idle[idle_size++] = i;
    run();
    report();
    return 0;
}
