// A client that moves bytes by one kind of system call: `syscalls PORT KIND...`. For each kind it
// sends one request to 127.0.0.1:PORT and prints kind, status and bytes of the answer's payload.
// Kinds of io_uring are `uring_OPERATION_WAY`, see ring.h.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring.h"

enum { BODY = 300000 };

static const char *kind;

static int is(const char *name) { return strcmp(kind, name) == 0; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Splits a buffer into three parts, the last of which has all that is left.
static int parts(struct iovec *vector, char *buffer, size_t length) {
    size_t first = smaller(length, 7), second = smaller(length - first, 11);
    vector[0] = (struct iovec){buffer, first};
    vector[1] = (struct iovec){buffer + first, second};
    vector[2] = (struct iovec){buffer + first + second, length - first - second};
    return 3;
}

static ssize_t send_some(int fd, char *buffer, size_t length) {
    struct iovec vector[3];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 3};
    if (is("vectors"))
        return writev(fd, vector, parts(vector, buffer, length));
    if (is("send") || is("peek") || is("waitall"))
        return send(fd, buffer, length, 0);
    if (is("sendto"))
        return sendto(fd, buffer, length, MSG_NOSIGNAL, NULL, 0);
    if (is("sendmsg")) {
        parts(vector, buffer, length);
        return sendmsg(fd, &message, 0);
    }
    if (is("sendmmsg")) {
        struct iovec rest = {buffer + smaller(length, 18), length - smaller(length, 18)};
        parts(vector, buffer, smaller(length, 18));
        struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = vector, .msg_iovlen = 3}},
                                      {.msg_hdr = {.msg_iov = &rest, .msg_iovlen = 1}}};
        int sent = sendmmsg(fd, messages, rest.iov_len ? 2 : 1, 0);
        if (sent < 0)
            return -1;
        return messages[0].msg_len + (sent > 1 ? messages[1].msg_len : 0);
    }
    if (is_ring(kind))
        return ring_move(kind, 1, fd, buffer, vector, parts(vector, buffer, length), length);
    if (is("bytewise"))
        return write(fd, buffer, 1);
    return write(fd, buffer, length);
}

static ssize_t receive_some(int fd, char *buffer, size_t length, int first) {
    struct iovec vector[3];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 3};
    if (is("vectors"))
        return readv(fd, vector, parts(vector, buffer, length));
    if (is("send"))
        return recv(fd, buffer, length, 0);
    if (is("peek")) {
        if (recv(fd, buffer, length, MSG_PEEK) < 0 || recv(fd, buffer, 9, MSG_PEEK) < 0)
            return -1;
        return recv(fd, buffer, smaller(length, 50), 0);
    }
    if (is("waitall") && first) // No answer is as short as 64 bytes.
        return recv(fd, buffer, 64, MSG_WAITALL);
    if (is("sendto"))
        return recvfrom(fd, buffer, length, 0, NULL, NULL);
    if (is("sendmsg")) {
        parts(vector, buffer, length);
        return recvmsg(fd, &message, 0);
    }
    if (is("sendmmsg")) {
        struct iovec rest = {buffer + 18, length - 18};
        parts(vector, buffer, 18);
        struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = vector, .msg_iovlen = 3}},
                                      {.msg_hdr = {.msg_iov = &rest, .msg_iovlen = 1}}};
        int received = recvmmsg(fd, messages, 2, MSG_WAITFORONE, NULL);
        if (received < 0)
            return -1;
        return messages[0].msg_len + (received > 1 ? messages[1].msg_len : 0);
    }
    if (is_ring(kind))
        return ring_move(kind, 0, fd, buffer, vector, parts(vector, buffer, length), length);
    if (is("bytewise"))
        return read(fd, buffer, 1);
    return read(fd, buffer, length);
}

static void send_all(int fd, char *buffer, size_t length) {
    while (length > 0) {
        ssize_t sent = send_some(fd, buffer, length);
        if (sent < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (sent <= 0)
            fail(kind);
        buffer += sent;
        length -= (size_t)sent;
    }
}

static int file_of(const char *buffer, size_t length) {
    int file = memfd_create("body", 0);
    if (file < 0 || write(file, buffer, length) != (ssize_t)length || lseek(file, 0, SEEK_SET))
        fail("memfd");
    return file;
}

static void send_body(int fd, char *body, size_t length) {
    int file = file_of(body, length), ends[2];
    if (pipe(ends) < 0)
        fail("pipe");
    for (size_t left = length; left > 0;) {
        ssize_t moved = 0;
        if (is("sendfile")) {
            moved = sendfile(fd, file, NULL, left);
        } else {
            moved = splice(file, NULL, ends[1], NULL, smaller(left, 60000), 0);
            if (moved > 0 && splice(ends[0], NULL, fd, NULL, (size_t)moved, 0) != moved)
                fail("splice");
        }
        if (moved <= 0)
            fail(kind);
        left -= (size_t)moved;
    }
    close(file);
    close(ends[0]);
    close(ends[1]);
}

// Reads a whole answer; prints what it was.
static void receive_answer(int fd) {
    static char answer[65536];
    size_t have = 0;
    for (;;) {
        answer[have] = 0;
        char *end = strstr(answer, "\r\n\r\n");
        char *length = strcasestr(answer, "content-length:");
        if (end && length) {
            size_t body = strtoul(length + 15, NULL, 10);
            if (have == (size_t)(end + 4 - answer) + body) {
                printf("%s\t%.3s\t%zu\n", kind, answer + 9, body);
                return;
            }
        }
        ssize_t received = receive_some(fd, answer + have, sizeof answer - 1 - have, have == 0);
        if (received < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
            continue;
        }
        if (received <= 0)
            fail(kind);
        have += (size_t)received;
    }
}

static void exchange(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    if (is("partial"))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    if (fd < 0 || connect(fd, (struct sockaddr *)address, sizeof *address) < 0)
        fail("connect");
    int has_body = is("partial") || is("sendfile") || is("splice");
    if (is("partial"))
        fcntl(fd, F_SETFL, O_NONBLOCK);
    static char body[BODY], head[256];
    memset(body, 'b', sizeof body);
    int length = snprintf(head, sizeof head,
                          "%s %s?kind=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
                          has_body ? "POST" : "GET", has_body ? "/echo" : "/bytes/1000", kind,
                          has_body ? BODY : 0);
    send_all(fd, head, (size_t)length);
    if (is("partial"))
        send_all(fd, body, BODY);
    else if (has_body)
        send_body(fd, body, BODY);
    receive_answer(fd);
    close(fd);
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 2; i < count; i++) {
        kind = arguments[i];
        exchange(&address);
    }
    return 0;
}
