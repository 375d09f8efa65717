// A client by java.net.http; see ../README.md.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

public final class Client {
    public static void main(String[] arguments) throws Exception {
        Map<String, List<String[]>> connections = new TreeMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            String[] fields = line.split("\t");
            connections.computeIfAbsent(fields[0], key -> new ArrayList<>()).add(fields);
        }
        List<Thread> threads = new ArrayList<>();
        for (List<String[]> requests : connections.values()) {
            Thread thread = new Thread(() -> run(arguments[0], requests));
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.exit(0);
    }

    private static void run(String base, List<String[]> requests) {
        HttpClient.Version version = System.getenv("HTTP2") == null
                ? HttpClient.Version.HTTP_1_1 : HttpClient.Version.HTTP_2;
        HttpClient client = HttpClient.newBuilder().version(version).build();
        try {
            for (String[] fields : requests) {
                HttpRequest request = HttpRequest.newBuilder(URI.create(base + fields[2]))
                        .method(fields[1], body(fields)).build();
                HttpResponse<byte[]> response = client.send(request, BodyHandlers.ofByteArray());
                System.out.println(
                        fields[2] + "\t" + response.statusCode() + "\t" + response.body().length);
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static BodyPublisher body(String[] fields) {
        if (fields[3].equals("-")) {
            return BodyPublishers.noBody();
        }
        byte[] bytes = new byte[Integer.parseInt(fields[3])];
        return fields[4].equals("chunked")
                ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes))
                : BodyPublishers.ofByteArray(bytes);
    }
}
