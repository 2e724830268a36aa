/* Records what a process does to some files: every write, truncation, sync and removal, in order.
 *
 * Loaded before the C library (LD_PRELOAD). RECORD_OF is the path of an SQLite database; it and its
 * logs are recorded. RECORD_TO is where the record goes. Each entry is a head of 21 bytes and what the head says follows:
 * what was done (1), the number of the file (4), an offset or size (8), the length of what follows
 * (8); numbers in the order of bytes of the machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { FILES = 64, DESCRIPTORS = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES];
static int of[DESCRIPTORS]; /* the number of the file, and one; 0: none of ours */
static int record = -2;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void put(const void *from, size_t length)
{
    static ssize_t (*write_)(int, const void *, size_t);
    if (!write_) write_ = real("write");
    for (const char *at = from; length > 0;) {
        ssize_t done = write_(record, at, length);
        if (done <= 0) abort();
        at += done;
        length -= (size_t)done;
    }
}

static void note(char what, uint32_t file, uint64_t at, const void *data, uint64_t length)
{
    char head[21];
    head[0] = what;
    memcpy(head + 1, &file, 4);
    memcpy(head + 5, &at, 8);
    memcpy(head + 13, &length, 8);
    put(head, sizeof head);
    if (data && length) put(data, length);
}

/* The number of a file that is recorded, or -1. The lock is held. */
static int number(const char *path)
{
    static int (*open_)(const char *, int, ...);
    const char *begin = getenv("RECORD_OF");
    if (!path || !begin || strncmp(path, begin, strlen(begin)) != 0) return -1;
    const char *rest = path + strlen(begin);
    if (*rest && strcmp(rest, "-wal") != 0 && strcmp(rest, "-journal") != 0) return -1;
    if (record == -2) {
        if (!open_) open_ = real("open");
        record = open_(getenv("RECORD_TO"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record < 0) abort();
    }
    for (int at = 0; at < FILES; at++) {
        if (!names[at]) {
            names[at] = strdup(path);
            note('n', (uint32_t)at, 0, path, strlen(path));
        }
        if (strcmp(names[at], path) == 0) return at;
    }
    abort();
}

static int opened(int descriptor, const char *path, int flags)
{
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return descriptor;
    pthread_mutex_lock(&lock);
    int at = number(path);
    of[descriptor] = at + 1;
    if (at >= 0 && (flags & O_TRUNC)) note('t', (uint32_t)at, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return descriptor;
}

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...)                                         \
    {                                                                                  \
        static int (*next)(const char *, int, ...);                                    \
        if (!next) next = real(#name);                                                 \
        mode_t mode = 0;                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                           \
            va_list more;                                                              \
            va_start(more, flags);                                                     \
            mode = va_arg(more, mode_t);                                               \
            va_end(more);                                                              \
        }                                                                              \
        return opened(next(path, flags, mode), path, flags);                           \
    }
OPEN(open)
OPEN(open64)

#define PWRITE(name, offset_t)                                                         \
    ssize_t name(int descriptor, const void *data, size_t length, offset_t at)         \
    {                                                                                  \
        static ssize_t (*next)(int, const void *, size_t, offset_t);                   \
        if (!next) next = real(#name);                                                 \
        int file = descriptor < DESCRIPTORS ? of[descriptor] : 0;                      \
        if (!file) return next(descriptor, data, length, at);                          \
        pthread_mutex_lock(&lock);                                                     \
        ssize_t done = next(descriptor, data, length, at);                             \
        if (done > 0) note('w', (uint32_t)(file - 1), (uint64_t)at, data, (uint64_t)done); \
        pthread_mutex_unlock(&lock);                                                   \
        return done;                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int descriptor, const void *data, size_t length)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = real("write");
    /* Whoever writes these files says where; one who does not would go unseen. */
    if (descriptor >= 0 && descriptor < DESCRIPTORS && of[descriptor]) abort();
    return next(descriptor, data, length);
}

#define TRUNCATE(name, offset_t)                                                       \
    int name(int descriptor, offset_t size)                                            \
    {                                                                                  \
        static int (*next)(int, offset_t);                                             \
        if (!next) next = real(#name);                                                 \
        int file = descriptor < DESCRIPTORS ? of[descriptor] : 0;                      \
        if (!file) return next(descriptor, size);                                      \
        pthread_mutex_lock(&lock);                                                     \
        int done = next(descriptor, size);                                             \
        if (done == 0) note('t', (uint32_t)(file - 1), (uint64_t)size, NULL, 0);       \
        pthread_mutex_unlock(&lock);                                                   \
        return done;                                                                   \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                     \
    int name(int descriptor)                                                           \
    {                                                                                  \
        static int (*next)(int);                                                       \
        if (!next) next = real(#name);                                                 \
        int file = descriptor < DESCRIPTORS ? of[descriptor] : 0;                      \
        if (!file) return next(descriptor);                                            \
        pthread_mutex_lock(&lock);                                                     \
        int done = next(descriptor);                                                   \
        if (done == 0) note('s', (uint32_t)(file - 1), 0, NULL, 0);                    \
        pthread_mutex_unlock(&lock);                                                   \
        return done;                                                                   \
    }
SYNC(fsync)
SYNC(fdatasync)

int close(int descriptor)
{
    static int (*next)(int);
    if (!next) next = real("close");
    if (descriptor >= 0 && descriptor < DESCRIPTORS) of[descriptor] = 0;
    return next(descriptor);
}

int unlink(const char *path)
{
    static int (*next)(const char *);
    if (!next) next = real("unlink");
    pthread_mutex_lock(&lock);
    int done = next(path);
    int file = done == 0 ? number(path) : -1;
    if (file >= 0) note('u', (uint32_t)file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

/* Called by the process itself: something was acknowledged. */
void record_acknowledged(uint64_t what)
{
    pthread_mutex_lock(&lock);
    if (record >= 0) note('a', 0, what, NULL, 0);
    pthread_mutex_unlock(&lock);
}
