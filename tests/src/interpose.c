// Calls of the C library, changed for a process under test. Built by interpose.rs and loaded by LD_PRELOAD.
//
// HERD_TEST_SOURCE=ADDRESS   an outgoing connection starts at this IPv4 address, so that packet filters know its node
// HERD_TEST_FAULT=FILE       while FILE is there, with a line `ERRNO CALLS PREFIX`, calls on files below PREFIX fail with that
//                            number. CALLS are letters: r reads, w writes, t changes of
//                            the length, s syncs, o opens for writing
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *source, *fault_file;

__attribute__((constructor)) static void read_environment(void) {
    source = getenv("HERD_TEST_SOURCE");
    fault_file = getenv("HERD_TEST_FAULT");
}

// Error that a call of this kind on this path has to fail with, or 0.
static int fault_at(char kind, const char *path) {
    char line[4096], calls[8], prefix[3072];
    int number, file = syscall(SYS_openat, AT_FDCWD, fault_file, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = syscall(SYS_read, file, line, sizeof line - 1);
    syscall(SYS_close, file);
    if (length <= 0) return 0;
    line[length] = 0;
    if (sscanf(line, "%d %7s %3071s", &number, calls, prefix) != 3) return 0;
    return strchr(calls, kind) && strncmp(path, prefix, strlen(prefix)) == 0 ? number : 0;
}

static int fault(char kind, int fd) {
    char link[64], path[3072];
    if (!fault_file || access(fault_file, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fault_at(kind, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, type, name, parameters, arguments)            \
    type name parameters {                                       \
        static __typeof__(&name) real;                           \
        int error = fault(kind, fd);                             \
        if (error) { errno = error; return -1; }                 \
        if (!real) real = REAL(name);                            \
        return real arguments;                                   \
    }

WRAP('w', ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
WRAP('w', ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRAP('w', ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
WRAP('t', int, ftruncate64, (int fd, off64_t length), (fd, length))
WRAP('w', int, fallocate64, (int fd, int mode, off64_t at, off64_t length), (fd, mode, at, length))
WRAP('s', int, fsync, (int fd), (fd))
WRAP('s', int, fdatasync, (int fd), (fd))
WRAP('r', ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count))
WRAP('r', ssize_t, pread64, (int fd, void *bytes, size_t count, off64_t at), (fd, bytes, count, at))

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (fault_file && (flags & O_ACCMODE) != O_RDONLY && access(fault_file, F_OK) == 0) {
        int error = fault_at('o', path);
        if (error) { errno = error; return -1; }
    }
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    return real(path, flags, mode);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    static __typeof__(&connect) real;
    if (!real) real = REAL(connect);
    if (source && address->sa_family == AF_INET) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        int on = 1;
        inet_pton(AF_INET, source, &from.sin_addr);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        bind(fd, (struct sockaddr *)&from, sizeof from);
    }
    return real(fd, address, length);
}
