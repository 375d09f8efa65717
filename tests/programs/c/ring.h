// Moves bytes by io_uring, without its library. Kinds are `uring_OPERATION_WAY`: OPERATION is one
// of `send`, `sendmsg`, `write` and `writev` (and its counterpart), WAY says in which context the
// kernel moves the bytes: `inline` in the caller's, `worker` in a thread for blocking calls,
// `polled` in the thread that watches the submission queue.
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int is_ring(const char *kind) { return strncmp(kind, "uring_", 6) == 0; }

struct ring {
    int fd;
    struct io_uring_params parameters;
    char *submission, *completion;
    struct io_uring_sqe *entries;
};

static struct ring *ring_of(int polled) {
    static struct ring rings[2];
    struct ring *ring = &rings[polled];
    if (ring->fd > 0)
        return ring;
    struct io_uring_params *is = &ring->parameters;
    is->flags = polled ? IORING_SETUP_SQPOLL : 0;
    is->sq_thread_idle = 1000;
    ring->fd = (int)syscall(SYS_io_uring_setup, 4, is);
    if (ring->fd < 0)
        fail("io_uring_setup");
    size_t size = is->sq_off.array + is->sq_entries * sizeof(unsigned);
    size_t completions = is->cq_off.cqes + is->cq_entries * sizeof(struct io_uring_cqe);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    ring->submission = mmap(NULL, size, protection, flags, ring->fd, IORING_OFF_SQ_RING);
    ring->completion = mmap(NULL, completions, protection, flags, ring->fd, IORING_OFF_CQ_RING);
    ring->entries = mmap(NULL, is->sq_entries * sizeof *ring->entries, protection, flags,
                         ring->fd, IORING_OFF_SQES);
    if (ring->submission == MAP_FAILED || ring->completion == MAP_FAILED ||
        ring->entries == MAP_FAILED)
        fail("mmap");
    return ring;
}

// Submits one entry and waits for its result.
static ssize_t ring_run(struct ring *ring, const struct io_uring_sqe *entry) {
    struct io_uring_params *is = &ring->parameters;
    unsigned *tail = (unsigned *)(ring->submission + is->sq_off.tail);
    unsigned at = *tail & *(unsigned *)(ring->submission + is->sq_off.ring_mask);
    ring->entries[at] = *entry;
    ((unsigned *)(ring->submission + is->sq_off.array))[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    unsigned flags = IORING_ENTER_GETEVENTS;
    if (is->flags & IORING_SETUP_SQPOLL)
        flags |= IORING_ENTER_SQ_WAKEUP;
    if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, flags, NULL, 0) < 0)
        fail("io_uring_enter");
    unsigned *head = (unsigned *)(ring->completion + is->cq_off.head);
    unsigned completed = *head & *(unsigned *)(ring->completion + is->cq_off.ring_mask);
    int result = ((struct io_uring_cqe *)(ring->completion + is->cq_off.cqes))[completed].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    errno = -result;
    return result < 0 ? -1 : result;
}

// Moves a buffer, which `vector` has in `parts` parts, over a socket.
static ssize_t ring_move(const char *kind, int sends, int fd, char *buffer, struct iovec *vector,
                         int parts, size_t length) {
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)parts};
    struct io_uring_sqe entry = {.fd = fd, .addr = (unsigned long)buffer, .len = (unsigned)length};
    const char *operation = kind + strlen("uring_"), *way = strrchr(kind, '_');
    if (strncmp(operation, "send_", 5) == 0) {
        entry.opcode = sends ? IORING_OP_SEND : IORING_OP_RECV;
    } else if (strncmp(operation, "sendmsg_", 8) == 0) {
        entry.opcode = sends ? IORING_OP_SENDMSG : IORING_OP_RECVMSG;
        entry.addr = (unsigned long)&message;
        entry.len = 1;
    } else if (strncmp(operation, "write_", 6) == 0) {
        entry.opcode = sends ? IORING_OP_WRITE : IORING_OP_READ;
        entry.off = (__u64)-1;
    } else {
        entry.opcode = sends ? IORING_OP_WRITEV : IORING_OP_READV;
        entry.addr = (unsigned long)vector;
        entry.len = (unsigned)parts;
        entry.off = (__u64)-1;
    }
    if (strcmp(way, "_worker") == 0)
        entry.flags = IOSQE_ASYNC;
    return ring_run(ring_of(strcmp(way, "_polled") == 0), &entry);
}
