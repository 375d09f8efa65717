// A 32-bit client without a C library, so that it needs no 32-bit packages: `compat PORT`. It
// sends one request to 127.0.0.1:PORT by each kind of system call, and exits with 0 when every
// answer was 200. Built by `gcc -m32 -nostdlib -static -ffreestanding`.

struct vector {
    void *base;
    unsigned length;
};

struct message {
    void *name;
    unsigned name_length;
    struct vector *vectors;
    unsigned count;
    void *control;
    unsigned control_length;
    int flags;
};

// Numbers of arch/x86/entry/syscalls/syscall_32.tbl.
enum {
    EXIT = 1,
    READ = 3,
    WRITE = 4,
    CLOSE = 6,
    SOCKETCALL = 102,
    READV = 145,
    WRITEV = 146,
    SOCKET = 359,
    CONNECT = 362,
    SENDMSG = 370,
    RECVMSG = 372,
    SOCKETCALL_SEND = 9,
    SOCKETCALL_RECV = 10,
};

static int call(int number, int first, void *second, int third) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(second), "d"(third)
                     : "memory");
    return result;
}

static int socket_call(int kind, int fd, void *buffer, int length) {
    int arguments[4] = {fd, (int)buffer, length, 0};
    return call(SOCKETCALL, kind, arguments, 0);
}

static int split(struct vector *vectors, char *buffer, int length) {
    vectors[0] = (struct vector){buffer, 5};
    vectors[1] = (struct vector){buffer + 5, (unsigned)length - 5};
    return 2;
}

static int transfer(int kind, int sends, int fd, char *buffer, int length) {
    struct vector vectors[2];
    struct message message = {.vectors = vectors, .count = 2};
    switch (kind) {
    case 0:
        return call(sends ? WRITE : READ, fd, buffer, length);
    case 1:
        return call(sends ? WRITEV : READV, fd, vectors, split(vectors, buffer, length));
    case 2:
        split(vectors, buffer, length);
        return call(sends ? SENDMSG : RECVMSG, fd, &message, 0);
    default:
        return socket_call(sends ? SOCKETCALL_SEND : SOCKETCALL_RECV, fd, buffer, length);
    }
}

static int exchange(int kind, int port) {
    static char request[] = "GET /bytes/10?compat=0 HTTP/1.1\r\nHost: localhost\r\n"
                            "Connection: close\r\n\r\n";
    static char answer[4096];
    struct {
        unsigned short family, port;
        unsigned address, zero[2];
    } address = {2, (unsigned short)(port >> 8 | port << 8), 0x0100007f, {0, 0}};
    int fd = call(SOCKET, 2, (void *)1, 0), have = 0, received;
    if (fd < 0 || call(CONNECT, fd, &address, sizeof address) < 0)
        return 0;
    request[21] = (char)('0' + kind);
    if (transfer(kind, 1, fd, request, sizeof request - 1) != sizeof request - 1)
        return 0;
    while ((received = transfer(kind, 0, fd, answer + have, (int)sizeof answer - have)) > 0)
        have += received;
    call(CLOSE, fd, 0, 0);
    return received == 0 && have > 12 && answer[9] == '2' && answer[10] == '0';
}

__attribute__((used)) static void start(char **stack) {
    int port = 0;
    for (char *digit = stack[2]; *digit; digit++)
        port = port * 10 + *digit - '0';
    for (int kind = 0; kind < 4; kind++)
        if (!exchange(kind, port))
            call(EXIT, 1 + kind, 0, 0);
    call(EXIT, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n"
        "\tpush %eax\n\tcall start\n");
