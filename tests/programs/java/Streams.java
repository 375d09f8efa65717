// gRPC by grpc-java, both ends; see ../README.md.

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

public final class Streams {
    static final String SERVICE = "programs.Streams";

    /** Messages are bytes as they are: nothing to generate. */
    static final MethodDescriptor.Marshaller<byte[]> RAW = new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };

    static MethodDescriptor<byte[], byte[]> method(String name) {
        MethodType type = switch (name) {
            case "Upload" -> MethodType.CLIENT_STREAMING;
            case "Download" -> MethodType.SERVER_STREAMING;
            case "Chat" -> MethodType.BIDI_STREAMING;
            default -> MethodType.UNARY;
        };
        return MethodDescriptor.newBuilder(RAW, RAW)
            .setType(type)
            .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
            .build();
    }

    record Command(int count, int size, int delay, int code) {
        static Command parse(byte[] message) {
            String[] fields = new String(message, StandardCharsets.US_ASCII).trim().split(" ");
            return new Command(Integer.parseInt(fields[0]), Integer.parseInt(fields[1]),
                Integer.parseInt(fields[2]), Integer.parseInt(fields[3]));
        }

        void sleep() {
            try {
                Thread.sleep(delay);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }

        void end(StreamObserver<byte[]> responses) {
            if (code == 0) {
                responses.onCompleted();
            } else {
                responses.onError(Status.fromCodeValue(code)
                    .withDescription("failed as told: 100 % \u00fcnavoidable").asException());
            }
        }
    }

    static void unary(byte[] request, StreamObserver<byte[]> responses) {
        Command command = Command.parse(request);
        command.sleep();
        if (command.code() == 0) {
            responses.onNext(new byte[command.size()]);
        }
        command.end(responses);
    }

    static void download(byte[] request, StreamObserver<byte[]> responses) {
        Command command = Command.parse(request);
        for (int i = 0; i < command.count(); i++) {
            command.sleep();
            responses.onNext(new byte[command.size()]);
        }
        command.end(responses);
    }

    static StreamObserver<byte[]> collect(StreamObserver<byte[]> responses, boolean each) {
        return new StreamObserver<>() {
            private byte[] last = new byte[0];

            @Override
            public void onNext(byte[] request) {
                last = request;
                if (each) {
                    Command command = Command.parse(request);
                    command.sleep();
                    responses.onNext(new byte[command.size()]);
                }
            }

            @Override
            public void onError(Throwable error) {
                // The client has gone: there is no one to answer.
            }

            @Override
            public void onCompleted() {
                if (each) {
                    Command.parse(last).end(responses);
                } else {
                    unary(last, responses);
                }
            }
        };
    }

    static void serve(String host, int port) throws Exception {
        ServerServiceDefinition service = ServerServiceDefinition.builder(SERVICE)
            .addMethod(method("Unary"), ServerCalls.asyncUnaryCall(Streams::unary))
            .addMethod(method("Download"), ServerCalls.asyncServerStreamingCall(Streams::download))
            .addMethod(method("Upload"),
                ServerCalls.asyncClientStreamingCall(responses -> collect(responses, false)))
            .addMethod(method("Chat"),
                ServerCalls.asyncBidiStreamingCall(responses -> collect(responses, true)))
            .build();
        NettyServerBuilder.forAddress(new InetSocketAddress(host, port))
            .executor(Executors.newCachedThreadPool())
            .addService(service)
            .build().start().awaitTermination();
    }

    static final ScheduledExecutorService TIMER = Executors.newScheduledThreadPool(1, runnable -> {
        Thread thread = new Thread(runnable);
        thread.setDaemon(true);
        return thread;
    });

    static String carryOut(Channel channel, String[] fields) throws Exception {
        CallOptions options = CallOptions.DEFAULT;
        if (!fields[6].equals("0")) {
            options = options.withDeadlineAfter(Long.parseLong(fields[6]), TimeUnit.MILLISECONDS);
        }
        ClientCall<byte[], byte[]> call = channel.newCall(method(fields[2]), options);
        AtomicInteger received = new AtomicInteger();
        CompletableFuture<Status> end = new CompletableFuture<>();
        call.start(new ClientCall.Listener<>() {
            @Override
            public void onMessage(byte[] message) {
                received.incrementAndGet();
                call.request(1);
            }

            @Override
            public void onClose(Status status, Metadata trailers) {
                end.complete(status);
            }
        }, new Metadata());
        call.request(1);
        int size = Integer.parseInt(fields[4]);
        byte[] message = String.format("%-" + Math.max(size, 1) + "s", fields[5])
            .getBytes(StandardCharsets.US_ASCII);
        for (int i = 0; i < Integer.parseInt(fields[3]); i++) {
            call.sendMessage(message);
        }
        call.halfClose();
        if (!fields[7].equals("0")) {
            TIMER.schedule(() -> call.cancel("as told", null), Long.parseLong(fields[7]),
                TimeUnit.MILLISECONDS);
        }
        int code = end.get().getCode().value();
        return fields[1] + "\t" + code + "\t" + received.get() + "\n";
    }

    static void call(String base, String plan) throws Exception {
        URI uri = URI.create(base);
        ManagedChannel channel = NettyChannelBuilder
            .forAddress(new InetSocketAddress(uri.getHost(), uri.getPort()))
            .usePlaintext().build();
        Map<String, List<String[]>> lanes = new LinkedHashMap<>();
        for (String line : Files.readAllLines(Path.of(plan))) {
            String[] fields = line.split("\t");
            lanes.computeIfAbsent(fields[0], key -> new ArrayList<>()).add(fields);
        }
        List<Thread> threads = new ArrayList<>();
        AtomicInteger failures = new AtomicInteger();
        for (List<String[]> lane : lanes.values()) {
            Thread thread = new Thread(() -> {
                try {
                    for (String[] fields : lane) {
                        System.out.print(carryOut(channel, fields));
                    }
                } catch (Exception error) {
                    error.printStackTrace();
                    failures.incrementAndGet();
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        // What was cancelled last is on its way still.
        Thread.sleep(100);
        channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
        System.exit(failures.get());
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("serve")) {
            serve(arguments[1], Integer.parseInt(arguments[2]));
        } else {
            call(arguments[1], arguments[2]);
        }
    }
}
