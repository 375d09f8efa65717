"""gRPC by grpcio, both ends; see ../README.md."""

import collections
import concurrent.futures
import sys
import threading
import time

import grpc

SERVICE = "programs.Streams"
CODES = {code.value[0]: code for code in grpc.StatusCode}


class Command:
    def __init__(self, message):
        numbers = [int(field) for field in message.split()]
        self.count, self.size, delay, self.code = numbers
        self.delay = delay / 1000

    def message(self):
        return bytes(self.size)

    def end(self, context):
        if self.code:
            context.abort(CODES[self.code], "failed as told: 100 % ünavoidable")


def unary(request, context):
    command = Command(request)
    time.sleep(command.delay)
    command.end(context)
    return command.message()


def upload(requests, context):
    for last in requests:
        pass
    return unary(last, context)


def download(request, context):
    command = Command(request)
    for _ in range(command.count):
        time.sleep(command.delay)
        yield command.message()
    command.end(context)


def chat(requests, context):
    for request in requests:
        command = Command(request)
        time.sleep(command.delay)
        yield command.message()
    command.end(context)


def serve(host, port):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Upload": grpc.stream_unary_rpc_method_handler(upload),
        "Download": grpc.unary_stream_rpc_method_handler(download),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"{host}:{port}")
    server.start()
    server.wait_for_termination()


def call(channel, method, messages, timeout, cancel):
    """Gives code and number of messages received."""
    path = f"/{SERVICE}/{method}"
    received = 0
    try:
        if method in ("Download", "Chat"):
            if method == "Download":
                running = channel.unary_stream(path)(messages[0], timeout=timeout)
            else:
                running = channel.stream_stream(path)(iter(messages), timeout=timeout)
            if cancel:
                threading.Timer(cancel, running.cancel).start()
            for _ in running:
                received += 1
        else:
            if method == "Upload":
                running = channel.stream_unary(path).future(iter(messages), timeout=timeout)
            else:
                running = channel.unary_unary(path).future(messages[0], timeout=timeout)
            if cancel:
                threading.Timer(cancel, running.cancel).start()
            running.result()
            received = 1
    except grpc.RpcError as error:
        return error.code().value[0], received
    except grpc.FutureCancelledError:
        return grpc.StatusCode.CANCELLED.value[0], received
    return 0, received


def run_lane(channel, calls):
    for _, name, method, count, size, command, deadline, cancel in calls:
        messages = [command.ljust(int(size)).encode()] * int(count)
        code, received = call(
            channel, method, messages, int(deadline) / 1000 or None, int(cancel) / 1000
        )
        print(f"{name}\t{code}\t{received}\n", end="", flush=True)


def run(base, file):
    lanes = collections.defaultdict(list)
    with open(file, encoding="ascii") as plan:
        for line in plan:
            fields = line.rstrip("\n").split("\t")
            lanes[fields[0]].append(fields)
    with grpc.insecure_channel(base.removeprefix("http://")) as channel:
        threads = [threading.Thread(target=run_lane, args=(channel, lane)) for lane in lanes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # What was cancelled last is on its way still.
        time.sleep(0.1)


{"serve": serve, "call": run}[sys.argv[1]](*sys.argv[2:])
